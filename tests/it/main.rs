//! The integration tests: one binary, one module per subject.

mod backends;
mod complete;
mod crash;
mod dbt;
mod docs;
mod engines;
mod evolve;
mod fleet;
mod foreign;
mod history;
mod increments;
mod ingest;
mod kafka;
mod maintain;
mod models;
mod personal;
mod quickstart;
mod readers;
mod redrive;
mod security;
mod seed;
mod sim;
mod stack;
mod tidy;
mod topics;
