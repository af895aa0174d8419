//! How vectors advance, case by case and against a model.

use super::*;

mod model;

const SOURCE: &str = "kf-1/vending.health/dGVzdA";
const OTHER: &str = "kf-1/vending.sales/dGVzdB";

fn step(from: i64, until: i64) -> Step {
    Step { from, until, rows: until - from, ..Default::default() }
}

fn steps(of: &[(&str, i32, Step)]) -> Steps {
    let mut steps = Steps::new();
    for (source, partition, step) in of {
        steps.entry((*source).into()).or_default().insert(*partition, *step);
    }
    steps
}

fn apply(progress: &Progress, id: &str, of: &[(&str, i32, Step)]) -> Progress {
    match progress.advance(id, &steps(of)) {
        Verdict::Apply(next) => next,
        other => panic!("not applied: {other:?}"),
    }
}

/// Partition 0 at 10, partition 1 at 20 of one source.
fn base() -> Progress {
    apply(&Progress::default(), "c1", &[(SOURCE, 0, step(0, 10)), (SOURCE, 1, step(5, 20))])
}

fn partition(progress: &Progress, source: &str, number: i32) -> Partition {
    progress.sources[source][&number]
}

#[test]
fn an_unknown_partition_starts_where_its_step_begins() {
    let known = partition(&base(), SOURCE, 1);
    assert_eq!(known, Partition { start: 5, until: 20, rows: 15, ..Default::default() });
    let next = apply(&base(), "c2", &[(OTHER, 0, step(7, 9))]);
    assert_eq!(partition(&next, OTHER, 0).start, 7);
    assert_eq!(next.sources[SOURCE], base().sources[SOURCE]);
}

#[test]
fn a_step_of_no_offsets_writes_down_the_start() {
    let opened = apply(&Progress::default(), "open", &[(SOURCE, 3, step(42, 42))]);
    let expected = Partition { start: 42, until: 42, ..Default::default() };
    assert_eq!(partition(&opened, SOURCE, 3), expected);
    assert_eq!(opened.head(SOURCE, 3), Some(42));
    let fenced = opened.advance("c1", &steps(&[(SOURCE, 3, step(0, 50))]));
    assert!(matches!(fenced, Verdict::Fenced(_)));
    let next = apply(&opened, "c1", &[(SOURCE, 3, step(42, 50))]);
    assert_eq!(partition(&next, SOURCE, 3).start, 42);
}

#[test]
fn counters_add_to_those_before() {
    let mixed = Step {
        from: 10,
        until: 20,
        rows: 4,
        rejected: 3,
        absent: 2,
        lost: 1,
        extra: 0,
        last: Some(Fingerprint { offset: 18, time_ms: 5, crc: 6 }),
    };
    let next = apply(&base(), "c2", &[(SOURCE, 0, mixed)]);
    let expected = Partition {
        start: 0,
        until: 20,
        rows: 14,
        rejected: 3,
        absent: 2,
        lost: 1,
        removed: 0,
        extra: 0,
        last: mixed.last,
    };
    assert_eq!(partition(&next, SOURCE, 0), expected);
    assert_eq!(next.records(), 14 + 3 + 15);
    // A batch of markers alone consumed no record, so the last one is still the last.
    let markers = Step { from: 20, until: 22, absent: 2, ..Default::default() };
    let next = apply(&next, "c3", &[(SOURCE, 0, markers)]);
    assert_eq!(partition(&next, SOURCE, 0).last, mixed.last);
}

#[test]
fn writers_of_different_partitions_merge() {
    let one = apply(&base(), "w1", &[(SOURCE, 0, step(10, 11))]);
    let both = apply(&one, "w2", &[(SOURCE, 1, step(20, 25)), (OTHER, 0, step(0, 1))]);
    assert_eq!(both.head(SOURCE, 0), Some(11));
    assert_eq!(both.head(SOURCE, 1), Some(25));
    assert_eq!(both.commits, ["c1", "w1", "w2"]);
    let other_order = apply(&base(), "w2", &[(SOURCE, 1, step(20, 25)), (OTHER, 0, step(0, 1))]);
    let other_order = apply(&other_order, "w1", &[(SOURCE, 0, step(10, 11))]);
    assert_eq!(both.sources, other_order.sources);
}

#[test]
fn every_moved_partition_is_fenced_by_name() {
    let batch = steps(&[
        (SOURCE, 0, step(9, 12)),
        (SOURCE, 1, step(20, 22)),
        (SOURCE, 2, step(3, 4)),
        (OTHER, 0, step(0, 1)),
    ]);
    let mut table = base();
    table.sources.insert(OTHER.into(), BTreeMap::from([(0, Partition::default())]));
    let fence = |source: &str, partition, head, from| Fence {
        source: source.into(),
        partition,
        head,
        from,
    };
    assert_eq!(table.advance("c2", &batch), Verdict::Fenced(vec![fence(SOURCE, 0, Some(10), 9)]));
    let table = apply(&table, "c1b", &[(OTHER, 0, step(0, 5))]);
    let fences = vec![fence(SOURCE, 0, Some(10), 9), fence(OTHER, 0, Some(5), 0)];
    assert_eq!(table.advance("c2", &batch), Verdict::Fenced(fences));
}

#[test]
fn a_partition_that_the_table_forgot_is_fenced() {
    let batch = steps(&[(SOURCE, 0, step(10, 12)), (OTHER, 7, step(3, 4))]);
    let rolled_back = Progress::default();
    let fence = Fence { source: SOURCE.into(), partition: 0, head: None, from: 10 };
    assert_eq!(rolled_back.advance_since(&base(), "c2", &batch), Verdict::Fenced(vec![fence]));
    assert!(matches!(base().advance_since(&base(), "c2", &batch), Verdict::Apply(_)));
}

#[test]
fn a_commit_in_the_table_is_recognised_before_anything_else() {
    // The heads have moved, and the steps are even wrong: what landed, landed.
    let wrong = Step { from: 0, until: 10, rows: 3, ..Default::default() };
    assert_eq!(base().advance("c1", &steps(&[(SOURCE, 0, wrong)])), Verdict::Already);
    assert_eq!(base().remove("c1", &BTreeMap::new()), Verdict::Already);
}

#[test]
fn the_last_commits_are_remembered() {
    let mut table = Progress::default();
    for at in 0..40 {
        table = apply(&table, &format!("c{at}"), &[(SOURCE, 0, step(at, at + 1))]);
    }
    assert_eq!(table.commits.len(), COMMITS_KEPT);
    assert_eq!(table.commits.first().map(String::as_str), Some("c24"));
    assert_eq!(table.commits.last().map(String::as_str), Some("c39"));
    // A forgotten commit id is still stopped, by its offsets.
    let again = table.advance("c3", &steps(&[(SOURCE, 0, step(3, 4))]));
    assert!(matches!(again, Verdict::Fenced(_)));
}

#[test]
fn a_batch_that_contradicts_itself_is_invalid() {
    let last = |offset| Some(Fingerprint { offset, time_ms: 0, crc: 0 });
    let cases = [
        (Step { rows: 1, ..step(10, 12) }, "rows 1 + rejected 0 + absent 0 + lost 0 make 1"),
        (Step { rows: 3, rejected: -1, ..step(10, 12) }, "rejected is -1"),
        (step(12, 10), "is not a range"),
        (step(-1, 0), "is not a range"),
        (Step { rows: i64::MAX, rejected: i64::MAX, ..step(10, 12) }, "make 18446744073709551614"),
        (Step { last: last(9), ..step(10, 12) }, "its last record 9 is not within 10..12"),
        (Step { last: last(12), ..step(10, 12) }, "its last record 12 is not within 10..12"),
        (Step { last: last(10), ..step(10, 10) }, "its last record 10 is not within 10..10"),
    ];
    for (wrong, message) in cases {
        let batch = steps(&[(SOURCE, 1, step(20, 21)), (SOURCE, 0, wrong)]);
        match base().advance("c2", &batch) {
            Verdict::Invalid(why) => {
                assert!(why.starts_with(&format!("partition 0 of {SOURCE}: ")), "{why}");
                assert!(why.contains(message), "{why:?} does not say {message:?}");
            }
            other => panic!("{wrong:?} gave {other:?}"),
        }
    }
    for (id, source, number) in [("", SOURCE, 0), ("c2", "", 0), ("c2", SOURCE, -1)] {
        let verdict = base().advance(id, &steps(&[(source, number, step(10, 11))]));
        assert!(matches!(verdict, Verdict::Invalid(_)), "{id:?} {source:?} {number}");
    }
}

#[test]
fn a_vector_that_does_not_add_up_is_not_extended() {
    let mut table = base();
    let known = table.sources.get_mut(SOURCE).and_then(|p| p.get_mut(&0)).unwrap();
    known.rows = i64::MAX;
    let verdict = table.advance("c2", &steps(&[(SOURCE, 0, step(10, 11))]));
    assert!(matches!(&verdict, Verdict::Invalid(why) if why.contains("64 bits")), "{verdict:?}");
}

#[test]
fn offsets_up_to_the_last_fit() {
    let next = apply(&base(), "c2", &[(SOURCE, 0, step(10, i64::MAX))]);
    assert_eq!(partition(&next, SOURCE, 0).rows, i64::MAX);
    assert_eq!(next.records(), i128::from(i64::MAX) + 15);
}

#[test]
fn snapshot_and_sequence_are_filled_in_afterwards() {
    let table = base().with_snapshot(77, 3);
    assert_eq!((table.snapshot, table.seq), (77, 3));
    let next = apply(&table, "c2", &[]);
    assert_eq!(next, Progress { commits: vec!["c1".into(), "c2".into()], ..table });
}

#[test]
fn an_empty_map_of_steps_names_no_source() {
    let batch = Steps::from([(OTHER.into(), BTreeMap::new())]);
    let Verdict::Apply(next) = base().advance("c2", &batch) else { panic!("not applied") };
    assert_eq!(next.sources, base().sources);
}

#[test]
fn acknowledged_deletions_move_to_removed() {
    let rejects = Step { from: 10, until: 12, rejected: 2, ..Default::default() };
    let table = apply(&base(), "c2", &[(SOURCE, 0, rejects)]);
    let remove = |rows, rejected| {
        BTreeMap::from([(SOURCE.to_string(), BTreeMap::from([(0, Removed { rows, rejected })]))])
    };
    let Verdict::Apply(next) = table.remove("ack", &remove(4, 1)) else { panic!("not applied") };
    let expected =
        Partition { start: 0, until: 12, rows: 6, rejected: 1, removed: 5, ..Default::default() };
    assert_eq!(partition(&next, SOURCE, 0), expected);
    assert_eq!(partition(&next, SOURCE, 1), partition(&table, SOURCE, 1));
    assert_eq!(next.commits.last().map(String::as_str), Some("ack"));
    let Verdict::Apply(none_left) = next.remove("ack2", &remove(6, 1)) else {
        panic!("not applied")
    };
    assert_eq!(partition(&none_left, SOURCE, 0).removed, 12);
    let cases = [
        (remove(7, 0), "cannot remove 7 of 6 rows"),
        (remove(0, 2), "cannot remove 2 of 1 rejected"),
        (remove(-1, 0), "cannot remove -1 of 6 rows"),
        (remove(1, i64::MIN), "cannot remove -9223372036854775808 of 1 rejected"),
        (BTreeMap::from([(OTHER.into(), BTreeMap::from([(0, Removed::default())]))]), "not know"),
        (BTreeMap::from([(SOURCE.into(), BTreeMap::from([(9, Removed::default())]))]), "not know"),
    ];
    for (removed, message) in cases {
        let verdict = next.remove("ack2", &removed);
        assert!(matches!(&verdict, Verdict::Invalid(w) if w.contains(message)), "{verdict:?}");
    }
    assert!(matches!(next.remove("", &remove(1, 0)), Verdict::Invalid(_)));
}

#[test]
fn compaction_is_remembered_and_moves_nothing() {
    let Verdict::Apply(next) = base().rewrite("compact") else { panic!("not applied") };
    assert_eq!((&next.sources, next.rev), (&base().sources, base().rev));
    assert_eq!(next.commits, ["c1", "compact"]);
    assert_eq!(next.rewrite("compact"), Verdict::Already);
    assert!(matches!(next.rewrite(""), Verdict::Invalid(_)));
}

#[test]
fn a_redrive_moves_rejected_to_rows_and_raises_the_revision() {
    let rejected = Step { rows: 6, rejected: 4, ..step(0, 10) };
    let base = apply(&Progress::default(), "c1", &[(SOURCE, 0, rejected)]);
    let accepted = |partition, count| {
        Accepted::from([(SOURCE.to_string(), BTreeMap::from([(partition, count)]))])
    };
    let Verdict::Apply(next) = base.redrive("r1", 1, &accepted(0, 3)) else { panic!() };
    let moved = Partition { until: 10, rows: 9, rejected: 1, ..Default::default() };
    assert_eq!((partition(&next, SOURCE, 0), next.rev), (moved, 1));
    assert_eq!(next.records(), base.records());
    assert_eq!(next.redrive("r1", 1, &accepted(0, 3)), Verdict::Already);
    let wrong =
        [(2, 0, 1, "does not follow"), (1, 0, 5, "cannot accept 5 of 4"), (1, 7, 1, "know")];
    for (rev, partition, count, why) in wrong {
        match base.redrive("r2", rev, &accepted(partition, count)) {
            Verdict::Invalid(message) => assert!(message.contains(why), "{message}"),
            other => panic!("{other:?}"),
        }
    }
    // Ingest goes on as if nothing had happened.
    let after = apply(&next, "c2", &[(SOURCE, 0, step(10, 12))]);
    assert_eq!((after.rev, partition(&after, SOURCE, 0).rows), (1, 11));
}
