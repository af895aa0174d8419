//! The integration tests: one binary, one module per subject.

mod kafka;
mod stack;
mod tidy;
