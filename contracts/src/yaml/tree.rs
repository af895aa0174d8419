//! YAML text → a tree of nodes with their places.
//!
//! A loader of our own over the parser's events, because numbers must keep their text
//! (a bound of a decimal is exact) and every duplicate key must be reported, not the first alone.

use saphyr::{Marker, Scalar, ScalarStyle};
use saphyr_parser::{Event, Parser};

use super::{Format, Position, Sink, quoted};

/// Greatest nesting of lists and mappings in a file.
const DEPTH_MAX: usize = 32;
/// Greatest size of a file, bytes.
const BYTES_MAX: usize = 1 << 20;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A scalar's text; `plain` if it stood without quotes and is no block of text.
    Scalar {
        /// As it was written, without quotes.
        text: String,
        /// Whether it stood without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping.
    Map(Vec<Entry>),
    /// Something that has already been reported.
    Invalid,
}

/// A member of a mapping. Keys of one mapping are unique: later ones are reported and left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Where the name stands.
    pub at: Position,
    /// Its value.
    pub value: Node,
}

/// What a value is; a scalar by the YAML 1.2 core schema. Integers beyond 64 bits are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Empty or `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 64 bits.
    Integer,
    /// Another number.
    Number,
    /// A string.
    String,
    /// A list.
    List,
    /// A mapping.
    Map,
}

impl Kind {
    /// The kind in words, with its article.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Null => "empty",
            Kind::Boolean(_) => "a boolean",
            Kind::Integer => "an integer",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::List => "a list",
            Kind::Map => "a mapping",
        }
    }
}

impl Node {
    /// The kind of the value; `None` if it has already been reported.
    pub fn kind(&self) -> Option<Kind> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(plain_kind(text)),
            Value::Scalar { plain: false, .. } => Some(Kind::String),
            Value::List(_) => Some(Kind::List),
            Value::Map(_) => Some(Kind::Map),
            Value::Invalid => None,
        }
    }
}

fn plain_kind(text: &str) -> Kind {
    match Scalar::parse_from_cow(text.into()) {
        Scalar::String(text) if text.is_empty() => Kind::Null,
        Scalar::Null => Kind::Null,
        Scalar::Boolean(value) => Kind::Boolean(value),
        Scalar::Integer(_) => Kind::Integer,
        Scalar::FloatingPoint(_) => Kind::Number,
        Scalar::String(_) => Kind::String,
    }
}

/// The file's one document. Mistakes go to `sink`; `None` where no tree could be built.
pub fn load(text: &str, sink: &mut Sink<'_>) -> Option<Node> {
    if text.len() > BYTES_MAX {
        let message =
            format!("the file has {} bytes; a {} has at most 1 MiB", text.len(), sink.format.noun);
        sink.push(Position::START, message);
        return None;
    }
    let mut builder = Builder { open: Vec::new(), root: None };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                sink.push(position(error.marker()), format!("not YAML: {}", error.info()));
                return None;
            }
        };
        if !builder.event(event, position(&span.start), sink) {
            return None;
        }
    }
    if builder.root.is_none() {
        let Format { noun, begins, .. } = sink.format;
        sink.push(Position::START, format!("the file is empty; a {noun} begins with `{begins}`"));
    }
    builder.root
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// A list or mapping whose end has not been seen.
enum Open {
    List(Position, Vec<Node>),
    Map { at: Position, entries: Vec<Entry>, key: Option<(Key, Position)> },
}

/// A key whose value has not been seen; `None` for one that has been reported.
type Key = Option<String>;

struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
}

impl Builder {
    /// Takes one event; false if building must stop.
    fn event(&mut self, event: Event<'_>, at: Position, sink: &mut Sink<'_>) -> bool {
        if let Event::Scalar(_, _, _, Some(_))
        | Event::SequenceStart(_, Some(_))
        | Event::MappingStart(_, Some(_)) = &event
        {
            sink.push(at, "YAML tags are not supported; remove it");
        }
        match event {
            Event::Scalar(_, _, _, Some(_)) => self.add(Node { at, value: Value::Invalid }, sink),
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                self.add(
                    Node { at, value: Value::Scalar { text: text.into_owned(), plain } },
                    sink,
                );
            }
            Event::Alias(_) => {
                sink.push(at, "aliases are not supported; write the value out");
                self.add(Node { at, value: Value::Invalid }, sink);
            }
            Event::SequenceStart(..) => return self.start(Open::List(at, Vec::new()), at, sink),
            Event::MappingStart(..) => {
                return self.start(Open::Map { at, entries: Vec::new(), key: None }, at, sink);
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(at, items)) => {
                    self.add(Node { at, value: Value::List(items) }, sink);
                }
                Some(Open::Map { at, entries, .. }) => {
                    self.add(Node { at, value: Value::Map(entries) }, sink);
                }
                None => {}
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                let noun = sink.format.noun;
                sink.push(
                    at,
                    format!("a second YAML document begins here; a file holds one {noun}"),
                );
                return false;
            }
            _ => {}
        }
        true
    }

    fn start(&mut self, open: Open, at: Position, sink: &mut Sink<'_>) -> bool {
        if self.open.len() == DEPTH_MAX {
            sink.push(at, format!("nested deeper than {DEPTH_MAX} levels"));
            return false;
        }
        self.open.push(open);
        true
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, sink: &mut Sink<'_>) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => *key = Some((as_key(&node, sink), node.at)),
                Some((None, _)) => {}
                Some((Some(name), at)) => match entries.iter().find(|e| e.key == name) {
                    Some(first) => {
                        let (name, line) = (quoted(&name), first.at.line);
                        sink.push(at, format!("key {name} is given twice; first in line {line}"));
                    }
                    None => entries.push(Entry { key: name, at, value: node }),
                },
            },
        }
    }
}

fn as_key(node: &Node, sink: &mut Sink<'_>) -> Key {
    match &node.value {
        Value::Scalar { text, .. } => Some(text.clone()),
        Value::Invalid => None,
        Value::List(_) | Value::Map(_) => {
            sink.push(node.at, "a key must be a word");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("true", Kind::Boolean(true)),
            ("False", Kind::Boolean(false)),
            ("yes", Kind::String),
            ("0", Kind::Integer),
            ("-17", Kind::Integer),
            ("0x1F", Kind::Integer),
            ("0o17", Kind::Integer),
            ("1.", Kind::Number),
            (".5", Kind::Number),
            ("1e3", Kind::Number),
            ("-1.5E-3", Kind::Number),
            ("-.inf", Kind::Number),
            (".nan", Kind::Number),
            ("1.0.0", Kind::String),
            (".", Kind::String),
            ("-", Kind::String),
            ("e3", Kind::String),
            ("1e", Kind::String),
            ("99999999999999999999", Kind::Number),
        ] {
            assert_eq!(plain_kind(text), kind, "{text:?}");
        }
    }

    #[test]
    fn places_and_text_survive() {
        let format = &Format { noun: "test", begins: "a: 1", docs: "docs" };
        let mut sink = Sink::new(format, "t");
        let root = load("a: 1.50\nb:\n  - \"2\"\n  - ä: |\n      x\n", &mut sink);
        assert!(sink.is_empty());
        let Some(Node { value: Value::Map(entries), .. }) = root else { panic!("{root:?}") };
        assert_eq!(entries[0].value.value, Value::Scalar { text: "1.50".into(), plain: true });
        assert_eq!(entries[0].value.at, Position { line: 1, column: 4 });
        let Value::List(items) = &entries[1].value.value else { panic!() };
        assert_eq!(items[0].kind(), Some(Kind::String));
        let Value::Map(inner) = &items[1].value else { panic!() };
        assert_eq!(items[1].at, Position { line: 4, column: 5 });
        assert_eq!(inner[0].at, Position { line: 4, column: 5 });
        assert_eq!(inner[0].value.value, Value::Scalar { text: "x\n".into(), plain: false });
    }
}
