//! Bytes of Kafka records to Arrow columns and rejects.
