//! The integration tests: one binary, one module per subject.

mod crash;
mod fleet;
mod foreign;
mod kafka;
mod readers;
mod sim;
mod stack;
mod tidy;
