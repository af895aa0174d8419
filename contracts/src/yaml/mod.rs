//! YAML files with the place of every value, for messages that name file, line and column.

mod diagnostic;
mod nearest;
mod object;
mod tree;

pub use diagnostic::{Diagnostic, Format, Position, Sink, quoted};
pub use nearest::nearest;
pub use object::{Keys, Object, boolean, list, number, string, text};
pub use tree::{Entry, Kind, Node, Value, load};
