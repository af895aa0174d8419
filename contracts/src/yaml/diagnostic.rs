//! Mistakes in a file, each with its place.

use std::fmt;

/// A place in a file; line and column count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Position {
    /// The file's first character.
    pub const START: Position = Position { line: 1, column: 1 };
}

/// One mistake in a file; displayed as `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as the caller named it.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// What a file of one kind is called, and how it begins: for messages.
#[derive(Debug)]
pub struct Format {
    /// What the file holds one of, for example `contract`.
    pub noun: &'static str,
    /// Its first line.
    pub begins: &'static str,
    /// The page that explains its keys.
    pub docs: &'static str,
}

/// Collects the mistakes of one file.
pub struct Sink<'f> {
    /// What kind of file it is.
    pub format: &'static Format,
    file: &'f str,
    list: Vec<Diagnostic>,
}

impl<'f> Sink<'f> {
    /// Without mistakes yet; `file` as the caller names it.
    pub fn new(format: &'static Format, file: &'f str) -> Sink<'f> {
        Sink { format, file, list: Vec::new() }
    }

    /// Adds a mistake.
    pub fn push(&mut self, at: Position, message: impl Into<String>) {
        self.list.push(Diagnostic {
            file: self.file.into(),
            line: at.line,
            column: at.column,
            message: message.into(),
        });
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The mistakes in the order of the file.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| (d.line, d.column));
        self.list
    }
}

/// A value as messages show it: quoted, escaped, and cut where it is long.
pub fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
        None => format!("{text:?}"),
    }
}
