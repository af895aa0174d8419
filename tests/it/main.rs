//! The integration tests: one binary, one module per subject.

mod backends;
mod crash;
mod docs;
mod fleet;
mod foreign;
mod ingest;
mod kafka;
mod personal;
mod quickstart;
mod readers;
mod redrive;
mod seed;
mod sim;
mod stack;
mod tidy;
mod topics;
