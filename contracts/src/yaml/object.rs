//! Typed access to the members of a mapping; what is not as it must be is reported once.

use super::{Entry, Kind, Node, Position, Sink, Value, nearest, quoted};

/// The keys of one kind of mapping.
pub struct Keys {
    /// Read.
    pub used: &'static [&'static str],
    /// Accepted and ignored: for people and other tools.
    pub ignored: &'static [&'static str],
    /// Known keys that are refused, each with what to do instead.
    pub refused: &'static [(&'static str, &'static str)],
}

/// A mapping, with the name that messages give it.
pub struct Object<'n> {
    /// For example ``column `price` ``.
    pub what: String,
    /// Where it begins.
    pub at: Position,
    entries: &'n [Entry],
}

impl<'n> Object<'n> {
    /// `node` as a mapping; reported if it is something else.
    pub fn new(what: impl Into<String>, node: &'n Node, sink: &mut Sink<'_>) -> Option<Self> {
        let what = what.into();
        match &node.value {
            Value::Map(entries) => Some(Object { what, at: node.at, entries }),
            _ => {
                if let Some(kind) = node.kind() {
                    sink.push(node.at, format!("{what} must be a mapping, not {}", kind.words()));
                }
                None
            }
        }
    }

    /// Reports the keys that `keys` does not know or refuses.
    pub fn check_keys(&self, keys: &Keys, sink: &mut Sink<'_>) {
        for entry in self.entries {
            let key = entry.key.as_str();
            if keys.used.contains(&key) || keys.ignored.contains(&key) {
                continue;
            }
            if let Some((_, advice)) = keys.refused.iter().find(|(refused, _)| *refused == key) {
                sink.push(entry.at, format!("`{key}` in {}: {advice}", self.what));
                continue;
            }
            let known = keys.used.iter().chain(keys.ignored).copied();
            let known = known.chain(keys.refused.iter().map(|(key, _)| *key));
            let advice = match nearest(key, known) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("{} lists the known ones", sink.format.docs),
            };
            sink.push(entry.at, format!("unknown key {} in {}; {advice}", quoted(key), self.what));
        }
    }

    /// The member's value, whatever it is.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.value)
    }

    /// The member's value; reported if it is not there. `hint` says what to write.
    pub fn require(&self, key: &str, hint: &str, sink: &mut Sink<'_>) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() {
            sink.push(self.at, format!("{} has no `{key}`; {hint}", self.what));
        }
        node
    }

    /// A string member, with its place; reported if it is something else.
    pub fn string(&self, key: &str, sink: &mut Sink<'_>) -> Option<(&'n str, Position)> {
        self.get(key).and_then(|node| string(node, &self.member(key), sink))
    }

    /// A string member that must be there.
    pub fn require_string(
        &self,
        key: &str,
        hint: &str,
        sink: &mut Sink<'_>,
    ) -> Option<(&'n str, Position)> {
        let node = self.require(key, hint, sink)?;
        string(node, &self.member(key), sink)
    }

    /// A boolean member; reported if it is something else.
    pub fn boolean(&self, key: &str, sink: &mut Sink<'_>) -> Option<bool> {
        self.get(key).and_then(|node| boolean(node, &self.member(key), sink))
    }

    /// The items of a list member; reported if it is something else.
    pub fn list(&self, key: &str, sink: &mut Sink<'_>) -> Option<&'n [Node]> {
        self.get(key).and_then(|node| list(node, &self.member(key), sink))
    }

    fn member(&self, key: &str) -> String {
        format!("`{key}` of {}", self.what)
    }
}

/// `node` as a string; `what` names it in the report.
pub fn string<'n>(node: &'n Node, what: &str, sink: &mut Sink<'_>) -> Option<(&'n str, Position)> {
    match (&node.value, node.kind()?) {
        (Value::Scalar { text, .. }, Kind::String) => Some((text, node.at)),
        (Value::Scalar { text, .. }, kind) if kind != Kind::Null => {
            let kind = kind.words();
            sink.push(node.at, format!("{what} must be a string, not {kind}: write \"{text}\""));
            None
        }
        (_, kind) => wrong(node, what, "a string", kind, sink),
    }
}

/// `node` as a boolean.
pub fn boolean(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<bool> {
    match node.kind()? {
        Kind::Boolean(value) => Some(value),
        kind => wrong(node, what, "true or false", kind, sink),
    }
}

/// The text of `node`, which is a number that `read` can read.
pub fn number<T>(
    node: &Node,
    what: &str,
    sink: &mut Sink<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    match (&node.value, node.kind()?) {
        (Value::Scalar { text, .. }, Kind::Integer | Kind::Number) => match read(text) {
            Ok(number) => Some(number),
            Err(error) => {
                sink.push(node.at, format!("{what} is {}: {error}", quoted(text)));
                None
            }
        },
        (_, kind) => wrong(node, what, "a number", kind, sink),
    }
}

/// The text of `node`, a string that `read` can read.
pub fn text<T>(
    node: &Node,
    what: &str,
    sink: &mut Sink<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    match (&node.value, node.kind()?) {
        (Value::Scalar { text, .. }, Kind::String | Kind::Integer | Kind::Number) => {
            match read(text) {
                Ok(value) => Some(value),
                Err(error) => {
                    sink.push(node.at, format!("{what} is {}: {error}", quoted(text)));
                    None
                }
            }
        }
        (_, kind) => wrong(node, what, "a string", kind, sink),
    }
}

/// The items of `node`, a list.
pub fn list<'n>(node: &'n Node, what: &str, sink: &mut Sink<'_>) -> Option<&'n [Node]> {
    match (&node.value, node.kind()?) {
        (Value::List(items), _) => Some(items),
        (_, kind) => wrong(node, what, "a list", kind, sink),
    }
}

fn wrong<T>(node: &Node, what: &str, wanted: &str, kind: Kind, sink: &mut Sink<'_>) -> Option<T> {
    let kind = match &node.value {
        Value::Scalar { text, .. } if kind == Kind::String => {
            format!("the string {}", quoted(text))
        }
        _ => kind.words().to_owned(),
    };
    sink.push(node.at, format!("{what} must be {wanted}, not {kind}"));
    None
}
