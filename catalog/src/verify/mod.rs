//! x
pub mod offsets;
pub mod report;
