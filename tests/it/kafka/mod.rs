//! The Kafka source against a real broker.

mod faults;
mod group;
mod harness;
mod read;
