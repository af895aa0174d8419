//! The schema's `quality` → rules.

use super::keys;
use super::model::Field;
use super::value;
use crate::rule::Rule;
use crate::yaml::{self, Node, Object, Sink, quoted};

/// The rules of the list `node` over the columns `fields`.
pub(super) fn read(node: &Node, fields: &[Field], sink: &mut Sink<'_>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let items = yaml::list(node, "`quality` of the schema", sink).unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        let Some(rule) = read_one(item, index, fields, sink) else { continue };
        if rules.iter().any(|other| other.name == rule.name) {
            sink.push(item.at, format!("a second rule {}", quoted(&rule.name)));
        }
        rules.push(rule);
    }
    rules
}

fn read_one(node: &Node, index: usize, fields: &[Field], sink: &mut Sink<'_>) -> Option<Rule> {
    let mut object = Object::new(format!("rule {}", index + 1), node, sink)?;
    let name = object.require_string("name", "rejects are told by it, in lower snake case", sink);
    if let Some((name, at)) = name {
        object.what = format!("rule {}", quoted(name).replace('"', "`"));
        if !value::is_name(name) {
            let advice = "a name has only lower case letters, digits and underscores";
            sink.push(at, format!("rule name {}: {advice}", quoted(name)));
        }
    }
    object.check_keys(&keys::RULE, sink);
    for (key, wanted) in [("type", "custom"), ("engine", "weir")] {
        let hint = format!("write `{key}: {wanted}`");
        if let Some((found, at)) = object.require_string(key, &hint, sink)
            && found != wanted
        {
            let found = quoted(found);
            sink.push(
                at,
                format!("`{key}` of {} is {found}, which Weir does not check; {hint}", object.what),
            );
        }
    }
    object.string("description", sink);
    let hint = "it says what must hold, for example `paid_amount >= price`";
    let (text, at) = object.require_string("implementation", hint, sink)?;
    match Rule::parse(name.map_or("", |(name, _)| name), text, fields) {
        Ok(rule) => Some(rule),
        Err(error) => {
            sink.push(at, format!("`implementation` of {}: {error}", object.what));
            None
        }
    }
}
