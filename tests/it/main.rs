//! The integration tests: one binary, one module per subject.

mod crash;
mod foreign;
mod kafka;
mod readers;
mod redrive;
mod sim;
mod stack;
mod tidy;
