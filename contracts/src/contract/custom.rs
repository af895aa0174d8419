//! Custom properties: what the standard leaves to tools.

use crate::yaml::{Node, Object, Sink, nearest, quoted};

use super::keys::CUSTOM_PROPERTY;

/// The custom properties of Weir (their names begin with `weir.`) that stand here, each at most
/// once. `known` may; others are reported, those of other tools skipped.
pub(super) fn custom_properties<'n>(
    object: &Object<'n>,
    known: &[&'static str],
    sink: &mut Sink<'_>,
) -> Vec<(&'static str, &'n Node)> {
    let mut found: Vec<(&'static str, &'n Node)> = Vec::new();
    for item in object.list("customProperties", sink).unwrap_or_default() {
        let what = format!("a custom property of {}", object.what);
        let Some(item) = Object::new(what, item, sink) else { continue };
        item.check_keys(&CUSTOM_PROPERTY, sink);
        let name = item.require_string("property", "it is the property's name", sink);
        let value = item.require("value", "it is the property's value", sink);
        let (Some((name, at)), Some(value)) = (name, value) else { continue };
        if !name.starts_with("weir.") {
            continue;
        }
        match known.iter().find(|k| **k == name) {
            Some(known) if found.iter().any(|(k, _)| k == known) => {
                sink.push(at, format!("{} has `{name}` twice", object.what));
            }
            Some(known) => found.push((*known, value)),
            None => {
                let message =
                    format!("unknown custom property {} in {}", quoted(name), object.what);
                sink.push(
                    at,
                    match nearest(name, known.iter().copied()) {
                        Some(nearest) => format!("{message}; did you mean `{nearest}`?"),
                        None if known.is_empty() => format!("{message}; none belongs here"),
                        None => format!("{message}; known here: {}", known.join(", ")),
                    },
                );
            }
        }
    }
    found
}
