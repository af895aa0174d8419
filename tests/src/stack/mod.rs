//! Real servers for tests and for a laptop: started on loopback, on free ports, with their data in
//! a temporary folder, and gone when the process that started them is gone.

mod access_list;
mod authority;
mod client;
mod jars;
mod kafka;
mod process;
mod secure;

pub use authority::{Authority, Certificate};
pub use client::{Client, Delivered, Message, Producer};
pub use kafka::{Kafka, KafkaOptions};
pub use secure::{SecureKafka, USERS};
