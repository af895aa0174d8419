//! A stream's data contract.
//!
//! A contract is a YAML file of the Open Data Contract Standard 3.2.0; `docs/contracts.md` is the
//! guide to the subset. [`parse`] turns the file into a [`Contract`], or into a list of every
//! mistake in it, each with its place.

mod allowed;
mod column;
mod diagnostic;
mod document;
mod keys;
mod limits;
mod model;
mod reader;
mod resolve;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod yaml;

pub use diagnostic::Diagnostic;
pub(crate) use diagnostic::quoted;
pub use document::parse;
pub use model::*;
pub(crate) use value::{decimal, double, integer, nearest};
