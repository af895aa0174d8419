//! A stream's data contract.

mod model;

pub use model::*;
