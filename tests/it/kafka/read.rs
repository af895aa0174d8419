//! What is read: every committed record once, gaps, ends, offsets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use weir_contract::class::ErrorClass;
use weir_ingest::kafka::KafkaSource;
use weir_ingest::source::{Event, Records, Source};
use weir_tests::sample::Rng;
use weir_tests::stack::{Message, Producer};

use super::harness::{PATIENCE, Topic, now};

#[test]
fn a_sample_is_the_newest_records_of_each_partition() {
    let topic = Topic::new(3, &[]);
    let producer = topic.producer();
    topic.fill(&producer, 0, 0, 1000);
    topic.fill(&producer, 1, 0, 5);
    let mut source = KafkaSource::open(topic.settings()).unwrap();
    let mut numbers = Vec::new();
    let mut take = |value: Option<&[u8]>| {
        numbers.push(i64::from_be_bytes(value.unwrap().try_into().unwrap()));
    };
    source.sample(300, &mut take).unwrap();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..5).chain(900..1000).collect::<Vec<i64>>());
}

#[test]
fn every_record_comes_once_with_all_it_has() {
    let topic = Topic::new(3, &[]);
    let producer = topic.producer();
    let headers: &[(&str, Option<&[u8]>)] = &[
        ("traceparent", Some(b"00-abc")),
        ("empty", Some(b"")),
        ("null", None),
        ("null", Some(b"2")),
    ];
    for i in 0..9_000usize {
        let value = format!("value {i}");
        let message = Message {
            partition: Some((i % 3) as i32),
            key: (i % 2 == 0).then_some(b"key"),
            value: match i % 5 {
                0 => None,
                1 => Some(b""),
                _ => Some(value.as_bytes()),
            },
            timestamp_ms: Some(1_790_000_000_000 + i as i64),
            headers: if i % 7 == 0 { headers } else { &[] },
            tag: i,
        };
        producer.send(&topic.name, &message).unwrap();
    }
    producer.flush().unwrap();

    let mut member = topic.member();
    member.until_ends(&[3_000; 3]);
    let seen: BTreeMap<(i32, i64), _> =
        member.seen.iter().map(|s| ((s.partition, s.offset), s)).collect();
    assert_eq!(seen.len(), 9_000);
    assert_eq!(member.seen.len(), 9_000);
    for delivered in producer.delivered() {
        let (i, seen) = (delivered.tag, seen[&(delivered.partition, delivered.offset)]);
        assert_eq!(seen.time, Some(1_790_000_000_000 + i as i64));
        assert_eq!(seen.key, (i % 2 == 0).then(|| b"key".to_vec()));
        let value = match i % 5 {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some(format!("value {i}").into_bytes()),
        };
        assert_eq!(seen.value, value);
        if i % 7 == 0 {
            let expected: Vec<_> =
                headers.iter().map(|(n, v)| (n.to_string(), v.map(<[u8]>::to_vec))).collect();
            assert_eq!(seen.headers, expected);
        } else {
            assert_eq!(seen.headers, []);
        }
    }
    // The partitions stand at their ends; more comes as it is written.
    topic.fill(&producer, 1, 3_000, 5);
    member.until_ends(&[3_000, 3_005, 3_000]);
    assert_eq!(member.seen.len(), 9_005);
    now(member.source.close());
}

#[test]
fn only_committed_transactions_are_read_and_ends_lie_past_the_markers() {
    let topic = Topic::new(3, &[]);
    let producer = Producer::transactional(&topic.bootstrap, &topic.name).unwrap();
    let transaction = |partitions: &[i32], commit: bool| {
        producer.begin().unwrap();
        for partition in partitions {
            topic.fill(&producer, *partition, 0, 10);
        }
        if commit { producer.commit().unwrap() } else { producer.abort().unwrap() }
    };
    transaction(&[0, 1], true); // offsets 0..10 and the marker 10
    transaction(&[0, 1], false); // 11..21 aborted, the marker 21
    transaction(&[1], true); // 22..32, the marker 32
    transaction(&[2], false); // nothing but an aborted transaction

    let mut member = topic.member();
    member.until_ends(&[22, 33, 11]);
    assert_eq!(topic.client.end_offsets(&topic.name).unwrap(), [22, 33, 11]);
    assert_eq!(member.offsets(0), (0..10).collect::<Vec<_>>());
    assert_eq!(member.offsets(1), (0..10).chain(22..32).collect::<Vec<_>>());
    assert_eq!(member.offsets(2), [] as [i64; 0]);

    // An open transaction holds the end back: what lies behind it is not stable.
    producer.begin().unwrap();
    topic.fill(&producer, 0, 0, 4);
    let plain = topic.producer();
    topic.fill(&plain, 0, 0, 3);
    let marks = now(member.source.watermarks(&[0, 1, 2])).unwrap();
    let of = |i: usize| (marks[i].partition, marks[i].low, marks[i].stable, marks[i].high);
    assert_eq!(of(0), (0, 0, 22, 29));
    assert_eq!(of(1), (1, 0, 33, 33));
    assert_eq!(of(2), (2, 0, 11, 11));
    member.for_a(Duration::from_millis(500));
    assert_eq!(member.ends[&0], 22);
    assert_eq!(member.offsets(0).last(), Some(&9));

    producer.commit().unwrap();
    member.until_ends(&[30, 33, 11]);
    assert_eq!(member.offsets(0), (0..10).chain(22..29).collect::<Vec<_>>());
    // Nothing comes by itself once everything is told.
    let before = member.ends.clone();
    member.for_a(Duration::from_millis(500));
    assert_eq!(member.ends, before);
}

#[test]
fn what_compaction_removed_is_a_gap() {
    let topic = Topic::new(
        1,
        &[
            ("cleanup.policy", "compact"),
            ("segment.ms", "100"),
            ("min.cleanable.dirty.ratio", "0.001"),
            ("min.compaction.lag.ms", "0"),
            ("delete.retention.ms", "100"),
        ],
    );
    let producer = topic.producer();
    let deadline = Instant::now() + PATIENCE;
    let mut written = 0i64;
    loop {
        for i in 0..100 {
            let key = format!("key {}", i % 3);
            let message = Message {
                partition: Some(0),
                key: Some(key.as_bytes()),
                value: Some(b"value"),
                ..Message::default()
            };
            producer.send(&topic.name, &message).unwrap();
            written += 1;
        }
        producer.flush().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let mut member = topic.member();
        member.until_ends(&[written]);
        let read = member.seen.len() as i64;
        now(member.source.close());
        if read < written {
            // The latest of each key is always there.
            let last: Vec<i64> = member.seen.iter().rev().take(3).map(|s| s.offset).collect();
            assert_eq!(last, [written - 1, written - 2, written - 3]);
            break;
        }
        assert!(Instant::now() < deadline, "the broker never compacted");
    }
}

#[test]
fn a_restart_under_load_never_brings_what_was_queued_before() {
    let topic = Topic::new(4, &[]);
    let producer = topic.producer();
    for partition in 0..4 {
        topic.fill(&producer, partition, 0, 100_000);
    }
    let mut member = topic.member();
    let mut rng = Rng::new(42);
    for round in 0..120 {
        // At any moment: while the first fetches are under way, with full queues, at the ends.
        let steps = rng.below(4) * rng.below(8);
        for _ in 0..steps {
            let event = member.next(Duration::from_millis(rng.below(40))).unwrap();
            member.answer(event);
        }
        let offsets: Vec<(i32, i64)> = (0..4).map(|p| (p, rng.below(100_001) as i64)).collect();
        if member.held.is_empty() {
            continue;
        }
        now(member.source.restart(&offsets)).unwrap();
        member.heads = offsets.iter().copied().collect();
        member.ends.clear();
        // Contiguous topics: the first record of each partition is the one asked for.
        let first = member.seen.len();
        let mut expected = member.heads.clone();
        for _ in 0..rng.below(6) {
            let event = member.next(Duration::from_millis(50)).unwrap();
            member.answer(event);
        }
        for seen in &member.seen[first..] {
            let next = expected.get_mut(&seen.partition).unwrap();
            assert_eq!(seen.offset, *next, "round {round}, partition {}", seen.partition);
            assert_eq!(seen.number(), seen.offset);
            *next += 1;
        }
        member.seen.clear();
    }
    // And after all that, everything is still read to its end.
    now(member.source.restart(&[(0, 0), (1, 0), (2, 0), (3, 99_999)])).unwrap();
    member.heads = BTreeMap::from([(3, 99_999)]);
    member.seen.clear();
    member.ends.clear();
    member.until_ends(&[100_000; 4]);
    assert_eq!(member.seen.len(), 300_001);
}

#[test]
fn a_lost_offset_is_told_and_the_partition_goes_on_where_it_is_told_to() {
    let topic = Topic::new(2, &[]);
    let producer = topic.producer();
    topic.fill(&producer, 0, 0, 100);
    topic.fill(&producer, 1, 0, 100);
    topic.client.delete_records(&topic.name, &[(0, 50)]).unwrap();
    let mut member = topic.member();
    member.until("out of range", |m| !m.out_of_range.is_empty() && m.ends.contains_key(&1));
    assert_eq!(member.out_of_range, [(0, 0)]);
    let marks = now(member.source.watermarks(&[0])).unwrap();
    assert_eq!((marks[0].low, marks[0].high), (50, 100));

    now(member.source.restart(&[(0, 50), (1, 100)])).unwrap();
    member.heads.insert(0, 50);
    member.until_ends(&[100, 100]);
    assert_eq!(member.offsets(0), (50..100).collect::<Vec<_>>());
    assert_eq!(member.offsets(1), (0..100).collect::<Vec<_>>());
    assert_eq!(member.out_of_range.len(), 1);

    // Deleted under a reader that stands still, and an offset beyond the end.
    now(member.source.restart(&[(0, 60), (1, 105)])).unwrap();
    member.heads = BTreeMap::from([(0, 60), (1, 105)]);
    member.until("out of range again", |m| m.out_of_range.contains(&(1, 105)));
}

#[test]
fn identity_follows_the_topic_and_says_what_is_missing() {
    let topic = Topic::new(3, &[]);
    let mut source = KafkaSource::open(topic.settings()).unwrap();
    let first = now(source.identity()).unwrap();
    assert_eq!(first.partitions, [0, 1, 2]);
    assert_eq!(first.source.topic, topic.name);
    assert_eq!(first.source.topic_id.len(), 22, "{}", first.source);
    assert_eq!(first.source.cluster.len(), 22, "{}", first.source);
    assert_eq!(first, now(source.identity()).unwrap());
    assert_eq!(first.source.to_string().parse(), Ok(first.source.clone()));

    topic.client.add_partitions(&topic.name, 5).unwrap();
    assert_eq!(now(source.identity()).unwrap().partitions, [0, 1, 2, 3, 4]);

    topic.client.delete_topic(&topic.name).unwrap();
    let error = now(source.identity()).unwrap_err();
    assert_eq!(error.class, ErrorClass::BadConfig);
    assert!(error.message.contains(&topic.name), "{error}");
    assert!(error.message.contains(&topic.bootstrap), "{error}");

    topic.client.create_topic(&topic.name, 3, &[]).unwrap();
    let second = now(source.identity()).unwrap();
    assert_ne!(first.source.topic_id, second.source.topic_id);
    assert_eq!(first.source.cluster, second.source.cluster);
}

#[test]
fn a_missing_topic_or_broker_is_an_error_that_names_it() {
    let topic = Topic::new(1, &[]);
    let mut settings = topic.settings();
    settings.topic = "weir-it-no-such-topic".into();
    let mut source = KafkaSource::open(settings).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < deadline, "a member of no topic is never told");
        match now(source.next(Duration::from_millis(100), true)) {
            Ok(Event::Assigned(partitions)) => assert!(partitions.is_empty()),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.class, ErrorClass::BadConfig);
    assert!(error.message.contains("weir-it-no-such-topic"), "{error}");

    let mut settings = topic.settings();
    settings.bootstrap = "127.0.0.1:1".into();
    let mut source = KafkaSource::open(settings).unwrap();
    let started = Instant::now();
    let error = now(source.identity()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Retry);
    assert!(error.message.contains("127.0.0.1:1"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn offsets_of_many_partitions_are_one_question() {
    let topic = Topic::new(200, &[]);
    let producer = topic.producer();
    topic.fill(&producer, 7, 0, 3);
    let mut source = KafkaSource::open(topic.settings()).unwrap();
    now(source.identity()).unwrap();
    let all: Vec<i32> = (0..200).rev().collect();
    now(source.watermarks(&all)).unwrap();
    let started = Instant::now();
    let marks = now(source.watermarks(&all)).unwrap();
    // One question each would take about 200 ms at the very least.
    let took = started.elapsed();
    assert_eq!(marks.iter().map(|m| m.partition).collect::<Vec<_>>(), all);
    assert!(marks.iter().all(|m| m.high == if m.partition == 7 { 3 } else { 0 }));
    assert!(took < Duration::from_millis(1000), "{took:?}");
    assert_eq!(now(source.watermarks(&[])).unwrap(), []);
    assert!(now(source.watermarks(&[200])).is_err());
}

#[test]
fn times_of_records_are_found_at_or_after_an_offset() {
    let topic = Topic::new(3, &[]);
    let producer = topic.producer();
    for i in 0..100 {
        let message = Message {
            partition: Some(0),
            value: Some(b"v"),
            timestamp_ms: Some(1_790_000_000_000 + i),
            ..Message::default()
        };
        producer.send(&topic.name, &message).unwrap();
    }
    producer.flush().unwrap();
    let transactional = Producer::transactional(&topic.bootstrap, &topic.name).unwrap();
    transactional.begin().unwrap();
    topic.fill(&transactional, 1, 0, 10);
    transactional.abort().unwrap();
    topic.client.delete_records(&topic.name, &[(0, 20)]).unwrap();

    let mut source = KafkaSource::open(topic.settings()).unwrap();
    let times = |source: &mut KafkaSource, offsets: &[(i32, i64)]| {
        now(source.record_times(offsets)).unwrap()
    };
    let base = 1_790_000_000_000;
    assert_eq!(times(&mut source, &[(2, 0), (0, 50), (1, 0)]), [None, Some(base + 50), None]);
    assert_eq!(times(&mut source, &[(0, 5)]), [Some(base + 20)], "after what was deleted");
    assert_eq!(times(&mut source, &[(0, 100)]), [None], "at the end");
    assert_eq!(times(&mut source, &[]), []);
}

#[test]
fn large_records_come_in_small_batches() {
    let topic = Topic::new(2, &[("max.message.bytes", "2000000")]);
    let producer = topic.producer();
    let mut rng = Rng::new(1);
    for i in 0..60 {
        let value: Vec<u8> = (0..131_072).flat_map(|_| rng.next().to_be_bytes()).collect();
        let message = Message { partition: Some(i % 2), value: Some(&value), ..Message::default() };
        producer.send(&topic.name, &message).unwrap();
    }
    producer.flush().unwrap();
    let mut settings = topic.settings();
    settings.memory = 8 << 20;
    let mut member = super::harness::Member::new(KafkaSource::open(settings).unwrap());
    let mut most = 0;
    let deadline = Instant::now() + PATIENCE;
    while member.ends.values().sum::<i64>() < 60 {
        assert!(Instant::now() < deadline, "ends {:?}", member.ends);
        let event = member.next(Duration::from_millis(100)).unwrap();
        if let Event::Records(batch) = &event {
            most = most.max(batch.bytes());
        }
        member.answer(event);
        member.seen.clear();
    }
    assert!(most <= 3 << 20, "{most}");
}
