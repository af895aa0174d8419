//! The data contract of a stream or a reference table.
//!
//! A contract is a YAML file of the Open Data Contract Standard 3.2.0; `docs/contracts.md` is the
//! guide to the subset. [`parse`] turns the file into a [`Contract`], or into a list of every
//! mistake in it, each with its place.

mod allowed;
mod column;
mod custom;
mod division;
mod document;
mod keep;
mod keys;
mod limits;
mod model;
mod resolve;
mod rules;
#[cfg(test)]
mod tests;
mod topic;
mod types;
mod value;

pub use crate::yaml::Diagnostic;
pub use division::Division;
pub use document::parse;
pub use keep::Keep;
pub use model::*;
pub use topic::{Cleanup, Retention, Topic};
pub(crate) use value::{NAME_MAX, decimal, double, integer, is_name};
