//! What must hold between the columns of one row: the rules of a contract.
//!
//! A rule is an SQL expression of a closed subset:
//!
//! ```text
//! condition  := conjunction ("or" conjunction)*
//! conjunction := negation ("and" negation)*
//! negation   := "not" negation | predicate
//! predicate  := sum [ ("=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") sum
//!                   | ["not"] "between" sum "and" sum
//!                   | ["not"] "in" "(" sum ("," sum)* ")"
//!                   | "is" ["not"] "null" ]
//! sum        := product (("+" | "-") product)*
//! product    := factor ("*" factor)*
//! factor     := "-" factor | "(" condition ")" | column | literal
//! literal    := 1 | 2.50 | 'text' | true | false | timestamp '…' | date '…'
//! ```
//!
//! # What it means
//! - *Null* is unknown, as in SQL: what is compared with null is unknown, and only a rule that is
//!   false fails, as with CHECK.
//! - *Exact* numbers (integers, decimals) are calculated and compared exactly; doubles as IEEE 754.
//!   The two do not mix, but a literal or an `int` column becomes a double beside one.
//! - *Overflow*: an exact number beyond 38 digits or 128 bits, or a double that is not finite. A
//!   condition that depends on it fails the row. `false and …` and `true or …` do not depend on the
//!   rest, in either order; what is calculated with null is null.
//! - *Text* is compared by its UTF-8 bytes, times as instants.

mod eval;
mod lexer;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::contract::Field;

pub use eval::{Cells, Truth};

/// One rule, ready to be checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The rule's name; `_error.field` of a row that fails it.
    pub name: String,
    /// The expression as the contract writes it.
    pub text: String,
    condition: eval::Condition,
    columns: Vec<usize>,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// Where, in characters from 1.
    pub at: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.message)
    }
}

impl std::error::Error for RuleError {}

impl Rule {
    /// Reads a rule over these columns.
    ///
    /// # Errors
    /// Where the text leaves the subset, names no column, or compares what cannot be compared.
    pub fn parse(name: &str, text: &str, fields: &[Field]) -> Result<Rule, RuleError> {
        let (condition, columns) = parse::parse(text, fields)?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Rule { name: name.into(), text, condition, columns })
    }

    /// Whether the rule holds for a row. It fails if it is [`Truth::False`] or [`Truth::Overflow`].
    #[inline]
    pub fn truth(&self, row: &impl Cells) -> Truth {
        self.condition.truth(row)
    }

    /// Positions of the columns that the rule names, each once, in the order of the text.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }
}
