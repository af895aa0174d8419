//! The integration tests: one binary, one module per subject.

mod crash;
mod foreign;
mod kafka;
mod personal;
mod readers;
mod seed;
mod sim;
mod stack;
mod tidy;
mod topics;
