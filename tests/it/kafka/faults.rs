//! A broker that goes away, and calls that are wrong.

use std::time::{Duration, Instant};

use weir_contract::class::ErrorClass;
use weir_ingest::kafka::KafkaSource;
use weir_ingest::source::{Event, Source};
use weir_tests::stack::{Kafka, KafkaOptions};

use super::harness::{Topic, now};

#[test]
fn reading_goes_on_when_the_broker_comes_back() {
    let kafka = Kafka::start_own(&KafkaOptions::default()).unwrap();
    let topic = Topic::on(&kafka, 2, &[]);
    let producer = topic.producer();
    topic.fill(&producer, 0, 0, 1000);
    topic.fill(&producer, 1, 0, 1000);
    let mut member = topic.member();
    member.until_ends(&[1000, 1000]);

    kafka.kill().unwrap();
    member.for_a(Duration::from_secs(2));
    kafka.restart().unwrap();
    topic.fill(&producer, 0, 1000, 10);
    member.until("the new records came", |m| m.offsets(0).len() == 1010);
    assert_eq!(member.offsets(0), (0..1010).collect::<Vec<_>>());
    assert_eq!(member.offsets(1), (0..1000).collect::<Vec<_>>());
}

#[test]
fn wrong_settings_are_found_at_once_and_values_are_not_repeated() {
    let topic = Topic::new(1, &[]);
    let settings = topic.settings_with(&[("sasl.pasword", "hunter2")]);
    let error = KafkaSource::open(settings).err().unwrap();
    assert_eq!(error.class, ErrorClass::BadConfig);
    assert!(error.message.contains("sasl.pasword"), "{error}");
    assert!(!error.message.contains("hunter2"), "{error}");

    let settings = topic.settings_with(&[("fetch.wait.max.ms", "hunter2")]);
    let error = KafkaSource::open(settings).err().unwrap();
    assert!(error.message.contains("fetch.wait.max.ms"), "{error}");
    assert!(!error.message.contains("hunter2"), "{error}");

    let settings = topic.settings_with(&[("session.timeout.ms", "10")]);
    let mut source = KafkaSource::open(settings).unwrap();
    let started = Instant::now();
    let error = loop {
        assert!(started.elapsed() < Duration::from_secs(30));
        if let Err(error) = now(source.next(Duration::from_millis(100), true)) {
            break error;
        }
    };
    assert_eq!(error.class, ErrorClass::BadConfig);
    assert!(error.message.contains("session.timeout.ms"), "{error}");
}

#[test]
fn wrong_calls_are_bugs_not_losses() {
    let topic = Topic::new(2, &[]);
    let mut source = KafkaSource::open(topic.settings()).unwrap();
    assert_eq!(now(source.start(&[(0, 0)])).unwrap_err().class, ErrorClass::Bug);
    now(source.release()).unwrap();
    now(source.restart(&[])).unwrap();
    let partitions = loop {
        if let Event::Assigned(partitions) = now(source.next(Duration::from_secs(1), true)).unwrap()
        {
            break partitions;
        }
    };
    assert_eq!(partitions.len(), 2);
    // One partition forgotten: reading it from nowhere would lose what it has.
    assert_eq!(now(source.start(&[(0, 0)])).unwrap_err().class, ErrorClass::Bug);
    assert_eq!(now(source.start(&[(0, 0), (1, -1)])).unwrap_err().class, ErrorClass::Bug);
    now(source.start(&[(1, 0), (0, 0)])).unwrap();
    assert_eq!(now(source.restart(&[(1, 0)])).unwrap_err().class, ErrorClass::Bug);
}
