//! Looking at tables.
pub mod as_of;
