//! Real servers for tests and for a laptop: started on loopback, on free ports, with their data in
//! a temporary folder, and gone when the process that started them is gone.

mod client;
mod jars;
mod kafka;
mod process;

pub use client::{Client, Delivered, Message, Producer};
pub use kafka::{Kafka, KafkaOptions};
