//! The test stack itself: a broker that keeps its data over stops and kills.

use weir_tests::lab::{binary, done};
use weir_tests::stack::{Kafka, KafkaOptions, Message, Producer};

#[test]
fn a_broker_keeps_its_data_and_address_over_stop_and_kill() {
    let kafka = Kafka::start_own(&KafkaOptions::default()).unwrap();
    let client = kafka.client().unwrap();
    client.create_topic("kept", 2, &[]).unwrap();
    let producer = Producer::tracking(kafka.bootstrap()).unwrap();
    let send = |from: usize| {
        for tag in from..from + 100 {
            let partition = Some((tag % 2) as i32);
            let value = Some(&b"value"[..]);
            producer
                .send("kept", &Message { partition, value, tag, ..Default::default() })
                .unwrap();
        }
        producer.flush().unwrap();
        let mut tags: Vec<usize> = producer.delivered().iter().map(|d| d.tag).collect();
        tags.sort();
        assert_eq!(tags, (from..from + 100).collect::<Vec<_>>());
    };

    send(0);
    kafka.stop().unwrap();
    assert_eq!(kafka.pid(), None);
    kafka.restart().unwrap();
    assert_eq!(client.end_offsets("kept").unwrap(), [50, 50]);

    send(100);
    kafka.kill().unwrap();
    kafka.restart().unwrap();
    assert_eq!(client.end_offsets("kept").unwrap(), [100, 100]);

    client.delete_topic("kept").unwrap();
    assert_eq!(client.partitions("kept").unwrap(), 0);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut stack = std::process::Command::new(binary().with_file_name("weir-stack"));
    let refused = done(stack.args(["kafka", "--port", &port]).output().unwrap());
    let words = [&*format!("port {port} of 127.0.0.1"), "in use", "another with --port"];
    refused.expect(1).unwrap().says(&words).unwrap();
}
