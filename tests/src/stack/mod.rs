//! Real servers for tests and for a laptop: started on loopback, on free ports, with their data in
//! a temporary folder, and gone when the process that started them is gone.

mod access_list;
mod authority;
mod cache;
mod client;
mod engines;
mod glue;
mod http;
mod jars;
mod kafka;
mod moto;
mod process;
mod rest;
mod secure;
mod tap;
mod versity;

pub use authority::{Authority, Certificate};
pub use client::{Client, Delivered, Message, Producer};
pub use engines::{SparkParts, Trino, spark};
pub use glue::GlueServer;
pub use http::{HttpServer, Reply, Request, forward};
pub use kafka::{Kafka, KafkaOptions};
pub use moto::{BUCKET, Moto};
pub use rest::RestCatalog;
pub use secure::{MSK_KEY, SecureKafka, USERS};
pub use tap::{Fault, Tap};
pub use versity::Versity;
