//! Members that come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use weir_ingest::kafka::KafkaSource;
use weir_ingest::source::{Event, Source};

use super::harness::{Member, PATIENCE, Topic, now};

/// Steps all members in turn until `done`.
fn until(members: &mut [&mut Member], what: &str, mut done: impl FnMut(&[&mut Member]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done(members) {
        assert!(
            Instant::now() < deadline,
            "never: {what}; held {:?}",
            members.iter().map(|m| m.held.clone()).collect::<Vec<_>>()
        );
        share_heads(members);
        for index in 0..members.len() {
            let event = members[index].next(Duration::from_millis(20)).unwrap();
            share_heads(members);
            members[index].answer(event);
        }
    }
}

/// What one has read the other knows, as from the table.
fn share_heads(members: &mut [&mut Member]) {
    let mut heads = BTreeMap::new();
    for member in members.iter() {
        for (partition, head) in &member.heads {
            let known = heads.entry(*partition).or_insert(*head);
            *known = (*known).max(*head);
        }
    }
    for member in members {
        for (partition, head) in &heads {
            if !member.held.contains(partition) {
                member.heads.insert(*partition, *head);
            }
        }
    }
}

fn held(members: &[&mut Member]) -> Vec<usize> {
    members.iter().map(|m| m.held.len()).collect()
}

/// Every number of every partition, once over all members.
fn assert_complete(members: &[&Member], ends: &[i64]) {
    for (partition, end) in ends.iter().enumerate() {
        let mut numbers: Vec<i64> = members
            .iter()
            .flat_map(|m| &m.seen)
            .filter(|s| s.partition == partition as i32)
            .map(|s| s.number())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..*end).collect::<Vec<_>>(), "partition {partition}");
    }
}

#[test]
fn partitions_at_their_end_lose_nothing_in_a_rebalance() {
    // librdkafka's batch call leaves a position one too far after an end of partition, from which a
    // rebalance resumes (its issue 4844): the one record that comes next would be skipped, or the
    // partition be out of range.
    let topic = Topic::new(4, &[]);
    let producer = topic.producer();
    for partition in 0..3 {
        topic.fill(&producer, partition, 0, 10);
    }
    let (mut a, mut b) = (topic.member(), topic.member());
    a.until_ends(&[10, 10, 10, 0]);
    until(&mut [&mut a, &mut b], "both hold two", |m| held(m) == [2, 2]);
    for partition in 0..4 {
        let from = if partition == 3 { 0 } else { 10 };
        topic.fill(&producer, partition, from, 1);
    }
    let all = |m: &[&mut Member]| m[0].seen.len() + m[1].seen.len() == 34;
    until(&mut [&mut a, &mut b], "the one record of each came", all);
    assert_complete(&[&a, &b], &[11, 11, 11, 1]);
    assert_eq!(a.out_of_range, []);

    // And once more, as the other leaves.
    let (seen, heads) = (std::mem::take(&mut b.seen), b.heads.clone());
    now(b.source.close());
    for (partition, head) in heads {
        if !a.held.contains(&partition) {
            a.heads.insert(partition, head);
        }
    }
    a.until("a holds all", |m| m.held.len() == 4);
    for partition in 0..4 {
        let from = if partition == 3 { 1 } else { 11 };
        topic.fill(&producer, partition, from, 1);
    }
    a.until_ends(&[12, 12, 12, 2]);
    a.seen.extend(seen);
    assert_complete(&[&a], &[12, 12, 12, 2]);
}

#[test]
fn many_rebalances_under_load_lose_and_repeat_nothing() {
    let topic = Topic::new(6, &[]);
    let stop = AtomicBool::new(false);
    let mut a = topic.member();
    let mut others: Vec<super::harness::Seen> = Vec::new();
    let ends = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let producer = topic.producer();
            let mut next = [0i64; 6];
            let mut rng = weir_tests::sample::Rng::new(7);
            while !stop.load(Ordering::Relaxed) {
                // Some partitions are busy, some stand at their end most of the time.
                for (partition, next) in next.iter_mut().enumerate() {
                    let count = if partition < 3 { 300 } else { rng.below(20) / 19 } as i64;
                    for number in *next..*next + count {
                        topic.send(&producer, partition as i32, number);
                    }
                    *next += count;
                }
                producer.flush().unwrap();
                thread::sleep(Duration::from_millis(10));
            }
            next
        });
        a.until("a holds all", |m| m.held.len() == 6);
        for _ in 0..8 {
            let mut b = topic.member();
            until(&mut [&mut a, &mut b], "b holds three", |m| held(m) == [3, 3]);
            let mark = b.seen.len();
            until(&mut [&mut a, &mut b], "b reads", |m| m[1].seen.len() > mark + 1000);
            share_heads(&mut [&mut a, &mut b]);
            let Member { source, seen, .. } = b;
            now(source.close());
            others.extend(seen);
            a.until("a holds all again", |m| m.held.len() == 6);
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    a.until_ends(&ends);
    a.seen.extend(others);
    assert_complete(&[&a], &ends);
    assert_eq!((a.out_of_range, a.resets), (vec![], vec![]));
}

#[test]
fn a_member_can_go_at_any_moment() {
    // librdkafka cannot destroy a client that owes its group an answer: it hangs, spinning.
    let topic = Topic::new(4, &[]);
    let mut stays = topic.member();
    stays.until_ends(&[0; 4]);
    let mut rng = weir_tests::sample::Rng::new(3);
    for round in 0..12 {
        let mut goes = topic.member();
        let until = Instant::now() + Duration::from_millis(rng.below(600));
        while Instant::now() < until {
            // Told, but never answered; sometimes not even told.
            let told = goes.next(Duration::from_millis(20)).unwrap();
            if round % 3 == 0 {
                goes.answer(told);
            }
            stays.step();
        }
        let started = Instant::now();
        drop(goes);
        assert!(started.elapsed() < Duration::from_secs(8), "round {round}");
    }
    stays.until("the one that stays holds all", |m| m.held.len() == 4);
    drop(stays);
    let deadline = Instant::now() + PATIENCE;
    while ending() > 0 {
        assert!(Instant::now() < deadline, "clients are still ending");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Threads that end a client.
fn ending() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "kafka-end").count()
}

#[test]
fn a_member_without_partitions_is_told_so() {
    let topic = Topic::new(1, &[]);
    let mut a = topic.member();
    a.until_ends(&[0]);
    let mut b = topic.member();
    until(&mut [&mut a, &mut b], "b has joined", |m| m[1].joined);
    assert_eq!(a.held, BTreeSet::from([0]));
    assert_eq!(b.held, BTreeSet::new());
    // Both are told that only one of them holds anything.
    until(&mut [&mut a, &mut b], "they were counted", |m| m[0].members.is_some());
    until(&mut [&mut a, &mut b], "they were counted", |m| m[1].members.is_some());
    assert_eq!((a.members, b.members), (Some(1), Some(1)));
}

#[test]
fn the_older_of_two_static_members_of_one_name_is_reset_and_waits() {
    let topic = Topic::new(2, &[]);
    let mut settings = topic.settings();
    settings.instance = Some("only-one".into());
    let open = || Member::new(KafkaSource::open(settings.clone()).unwrap());
    let mut a = open();
    a.until_ends(&[0, 0]);
    let mut b = open();
    let deadline = Instant::now() + PATIENCE;
    while a.resets.is_empty() {
        assert!(Instant::now() < deadline, "a was never fenced");
        b.step();
        a.step();
    }
    assert!(a.resets[0].contains("group.instance.id"), "{}", a.resets[0]);
    assert!(a.resets[0].contains("only-one"), "{}", a.resets[0]);
    // The waits grow: in 10 s each can be thrown out only a few times.
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        a.step();
        b.step();
    }
    let resets = a.resets.len() + b.resets.len();
    assert!((2..=8).contains(&resets), "{resets}");
    // Left alone, the survivor gets all and reads.
    drop(b);
    topic.fill(&topic.producer(), 0, 0, 10);
    a.until("a reads again", |m| m.held.len() == 2 && m.ends.get(&0) == Some(&10));
}

#[test]
fn a_static_member_that_comes_back_in_time_disturbs_nobody() {
    let topic = Topic::new(4, &[]);
    let open = |instance: &str| {
        let mut settings = topic.settings();
        settings.instance = Some(instance.into());
        Member::new(KafkaSource::open(settings).unwrap())
    };
    let (mut a, mut b) = (open("a"), open("b"));
    until(&mut [&mut a, &mut b], "both hold two", |m| held(m) == [2, 2]);
    let (of_a, of_b) = (a.held.clone(), b.held.clone());
    now(b.source.close());
    let mut b = open("b");
    until(&mut [&mut a, &mut b], "b is back", |m| m[1].held.len() == 2);
    assert_eq!((a.held, b.held), (of_a, of_b));
}

#[test]
fn new_partitions_are_found() {
    let topic = Topic::new(1, &[]);
    let mut member = topic.member();
    member.until_ends(&[0]);
    topic.client.add_partitions(&topic.name, 3).unwrap();
    topic.fill(&topic.producer(), 2, 0, 5);
    member.until_ends(&[0, 0, 5]);
    assert_eq!(member.offsets(2), [0, 1, 2, 3, 4]);
}

#[test]
fn held_back_a_member_stays_a_member_and_gets_no_records() {
    let topic = Topic::new(2, &[]);
    let settings =
        topic.settings_with(&[("session.timeout.ms", "1000"), ("heartbeat.interval.ms", "200")]);
    let mut member = Member::new(KafkaSource::open(settings).unwrap());
    member.until_ends(&[0, 0]);
    topic.fill(&topic.producer(), 0, 0, 1000);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        match now(member.source.next(Duration::from_millis(100), false)).unwrap() {
            Event::Idle | Event::Members(_) => {}
            other => panic!("{other:?}"),
        }
    }
    member.until_ends(&[1000, 0]);
    assert_eq!(member.seen.len(), 1000);
    assert_eq!(member.resets, [] as [String; 0]);
}

#[test]
fn published_offsets_can_be_seen_in_the_group() {
    let topic = Topic::new(2, &[]);
    topic.fill(&topic.producer(), 1, 0, 7);
    let mut member = topic.member();
    member.until_ends(&[0, 7]);
    now(member.source.publish(&[(0, 0), (1, 7), (9, 1)]));
    let watcher: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &topic.bootstrap)
        .set("group.id", topic.settings().group)
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition(&topic.name, 1);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let committed = watcher.committed_offsets(list.clone(), Duration::from_secs(10)).unwrap();
        if committed.elements()[0].offset() == rdkafka::Offset::Offset(7) {
            break;
        }
        assert!(Instant::now() < deadline, "{committed:?}");
        member.step();
    }
}
