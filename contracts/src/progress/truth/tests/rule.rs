//! The rule, line by line.

use super::lake::{Lake, SOURCE};
use super::*;

/// The property counts, and it is the vector of the rows.
fn assert_property(lake: &Lake) {
    let Truth::Property(progress) = lake.truth() else { panic!("{:?}", lake.truth()) };
    assert_eq!(progress.sources, lake.now().0.sources);
    assert_eq!(Ok(progress), Progress::from_json(lake.facts.property.as_ref().unwrap()));
}

/// The summary of snapshot `id` counts, and it is the vector of the rows.
fn assert_summary(lake: &Lake, id: i64, because: Recovery) {
    let Truth::Summary { progress, snapshot, why } = lake.truth() else {
        panic!("{:?}", lake.truth())
    };
    assert_eq!((snapshot, &why), (id, &because));
    let vector = &lake.made[&id].vector;
    assert_eq!((progress.snapshot, progress.seq), (vector.snapshot, vector.seq));
    assert!(!progress.commits.is_empty() && vector.commits.ends_with(&progress.commits));
    assert_eq!(progress.sources, lake.now().0.sources);
}

fn assert_unknowable(lake: &Lake, parts: &[&str]) {
    let Truth::Unknowable(message) = lake.truth() else { panic!("{:?}", lake.truth()) };
    assert!(message.starts_with("cannot tell which offsets the table holds: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

#[test]
fn a_fresh_table_is_empty() {
    assert_eq!(Lake::default().truth(), Truth::Empty);
}

#[test]
fn a_table_without_a_current_snapshot() {
    let mut foreign_only = Lake::default();
    foreign_only.foreign(3);
    foreign_only.facts.current = None;
    assert_eq!(foreign_only.truth(), Truth::Empty);

    let mut dropped = Lake::with_commits(&[10, 5]);
    dropped.facts.current = None;
    assert_unknowable(
        &dropped,
        &["no current snapshot", "names snapshot 1002", "roll the table to snapshot 1002"],
    );
    dropped.facts.property = None;
    assert_unknowable(&dropped, &["no current snapshot", "snapshots of weir's stand in it"]);
    dropped.facts.property = Some("{".into());
    assert_unknowable(&dropped, &["no current snapshot", "weir.progress is damaged"]);
    dropped.facts.property = Lake::with_commits(&[1]).facts.property;
    dropped.facts.snapshots.clear();
    assert_unknowable(&dropped, &["no current snapshot", "ingest into a new table"]);
}

#[test]
fn the_property_counts_in_the_chain() {
    let mut lake = Lake::with_commits(&[10, 5]);
    assert_property(&lake);
    lake.foreign(0);
    lake.foreign(-3);
    lake.foreign(100);
    assert_property(&lake);
    lake.expire(&[Lake::id(1)]);
    assert_property(&lake);
}

#[test]
fn the_parent_that_the_oldest_survivor_names_is_in_the_chain() {
    // A deletion by another engine, then expiry of everything but it: the counts do not match,
    // but nothing of ours can lie between.
    let mut lake = Lake::with_commits(&[10, 5]);
    lake.foreign(-3);
    lake.expire(&[Lake::id(1), Lake::id(2)]);
    assert_property(&lake);
}

#[test]
fn a_property_behind_expiry_counts_if_the_rows_agree() {
    let mut lake = Lake::with_commits(&[10, 5]);
    lake.foreign(0);
    lake.foreign(0);
    lake.foreign(-2);
    lake.expire(&[Lake::id(1), Lake::id(2), Lake::id(3)]);
    assert_property(&lake);
    let mut later = lake.clone();
    later.expire(&[Lake::id(4)]);
    assert_unknowable(&later, &["parent 1004 has expired", "holds 13 records", "counts 15"]);
    let mut uncounted = lake.clone();
    uncounted.snapshot(Lake::id(4)).total_records = None;
    assert_unknowable(&uncounted, &["no total-records"]);
    // Rejected rows count as rows, removed ones do not.
    let mut mixed = Lake::default();
    let step = Step { until: 10, rows: 5, rejected: 3, absent: 2, ..Default::default() };
    mixed.advance(&Progress::default(), &[(0, step)]);
    mixed.foreign(-1);
    let vector = mixed.now().0;
    mixed.acknowledge(&vector, 0, 1);
    mixed.foreign(0);
    mixed.foreign(0);
    mixed.expire(&[Lake::id(1), Lake::id(2), Lake::id(3), Lake::id(4)]);
    assert_property(&mixed);
}

/// As PyIceberg expires: it takes the expired parent out of the survivor.
#[test]
fn a_survivor_without_a_parent_is_compared_with_the_property() {
    let mut lake = Lake::with_commits(&[10, 5]);
    lake.foreign(-15);
    lake.foreign(15);
    lake.expire(&[Lake::id(1), Lake::id(2), Lake::id(3)]);
    lake.snapshot(Lake::id(4)).parent = None;
    assert_property(&lake);
    lake.snapshot(Lake::id(4)).total_records = Some(14);
    assert_unknowable(&lake, &["names no parent", "holds 14 records", "counts 15"]);
}

#[test]
fn behind_expiry_a_property_that_is_not_older_was_rolled_back() {
    let mut lake = Lake::with_commits(&[10]);
    lake.foreign(0);
    lake.foreign(5);
    lake.commit(5);
    lake.roll(Lake::id(3));
    lake.expire(&[Lake::id(1), Lake::id(2)]);
    // Snapshot 3 holds 15 rows, ten of them ours; the property counts 15 of ours.
    assert_eq!(lake.now().1, 15);
    assert_unknowable(&lake, &["rolled back from it", "roll the table to snapshot 1004"]);
}

#[test]
fn behind_expiry_a_property_older_than_a_standing_snapshot_of_ours_is_stale() {
    let mut lake = Lake::with_commits(&[10]);
    let old = lake.facts.property.clone();
    lake.commit(5);
    lake.foreign(-5);
    lake.foreign(0);
    lake.facts.property = old;
    lake.expire(&[Lake::id(1), Lake::id(3)]); // a tag keeps snapshot 2
    assert_unknowable(&lake, &["snapshot 1002 of weir's is newer than the property"]);
}

#[test]
fn behind_expiry_a_summary_above_wins() {
    let mut lake = Lake::with_commits(&[10, 5]);
    let old = lake.facts.property.clone();
    lake.foreign(-5);
    lake.commit(5);
    lake.facts.property = old;
    lake.expire(&[Lake::id(1), Lake::id(2)]);
    // Snapshot 3 holds as many rows as the old property counts less five, snapshot 4 as many.
    assert_summary(&lake, Lake::id(4), Recovery::PropertyStale { names: Lake::id(2) });
}

#[test]
fn a_property_that_is_gone_is_recovered() {
    let mut lake = Lake::with_commits(&[10, 5]);
    lake.facts.property = None;
    assert_summary(&lake, Lake::id(2), Recovery::PropertyMissing);
    lake.foreign(-4);
    lake.foreign(7);
    assert_summary(&lake, Lake::id(2), Recovery::PropertyMissing);
    lake.expire(&[Lake::id(1)]);
    let Truth::Summary { progress, .. } = lake.truth() else { panic!("{:?}", lake.truth()) };
    assert_eq!(progress.commits, ["commit-2"], "what stands of the commit ids");
    lake.expire(&[Lake::id(2)]);
    assert_unknowable(&lake, &["no property weir.progress", "history of snapshot 1004"]);
}

#[test]
fn a_recovered_vector_knows_the_last_commits() {
    let mut lake = Lake::with_commits(&[1; 20]);
    lake.facts.property = None;
    assert_summary(&lake, Lake::id(20), Recovery::PropertyMissing);
    let Truth::Summary { progress, .. } = lake.truth() else { panic!("{:?}", lake.truth()) };
    assert_eq!(progress, lake.made[&Lake::id(20)].vector);
    assert_eq!(progress.commits.len(), COMMITS_KEPT);
}

#[test]
fn a_damaged_property_is_recovered_and_said() {
    let mut lake = Lake::with_commits(&[10, 5]);
    lake.facts.property =
        Some(lake.facts.property.unwrap().replace(r#""rows":"15""#, r#""rows":"14""#));
    let why = Progress::from_json(lake.facts.property.as_ref().unwrap()).unwrap_err().to_string();
    assert!(why.contains("rows 14"));
    assert_summary(&lake, Lake::id(2), Recovery::PropertyDamaged(why));
    lake.foreign(0);
    lake.expire(&[Lake::id(1), Lake::id(2)]);
    assert_unknowable(&lake, &["weir.progress is damaged", "rows 14", "no snapshot of weir's"]);
}

#[test]
fn damaged_heads_are_only_asked_for_where_they_matter() {
    let mut lake = Lake::with_commits(&[10, 5, 5]);
    lake.snapshot(Lake::id(3)).heads = Some("{".into());
    assert_property(&lake);
    let property = lake.facts.property.take();
    // Never the older summary below: the rows of snapshot 3 are in the table.
    assert_unknowable(
        &lake,
        &[
            "weir.progress is missing",
            "in snapshot 1003",
            "weir.heads is damaged",
            "to snapshot 1002",
        ],
    );
    lake.snapshot(Lake::id(3)).heads = None;
    assert_unknowable(&lake, &["weir.heads is damaged: it is missing"]);
    // A property below it does not count either.
    lake.facts.property = Some(lake.made[&Lake::id(2)].vector.to_json());
    assert_unknowable(&lake, &["set back to snapshot 1002", "in snapshot 1003"]);
    lake.facts.property = property;
    assert_property(&lake);
}

#[test]
fn a_newer_version_is_refused_and_never_worked_around() {
    let mut lake = Lake::with_commits(&[10, 5]);
    let newer = include_str!("../../golden/progress-v2.json");
    lake.facts.property = Some(newer.into());
    let error = Progress::from_json(newer).unwrap_err();
    assert_eq!(lake.truth(), Truth::Refused(error.clone()));
    lake.facts.current = None;
    assert_eq!(lake.truth(), Truth::Refused(error));

    let mut lake = Lake::with_commits(&[10, 5]);
    lake.snapshot(Lake::id(2)).heads = Some(include_str!("../../golden/heads-v2.json").into());
    assert_property(&lake);
    for property in [None, Some(lake.made[&Lake::id(1)].vector.to_json())] {
        lake.facts.property = property;
        let Truth::Refused(error) = lake.truth() else { panic!("{:?}", lake.truth()) };
        assert_eq!(
            error.to_string(),
            "weir.heads of snapshot 1002 has version 2, this weir reads 1: use a newer weir"
        );
    }
}

#[test]
fn a_rollback_is_followed_and_said() {
    let mut lake = Lake::with_commits(&[10, 5, 7]);
    lake.roll(Lake::id(1));
    let back = Recovery::RolledBack { from: Lake::id(3) };
    assert_summary(&lake, Lake::id(1), back.clone());
    // Then foreign commits on top.
    lake.foreign(12);
    lake.foreign(0);
    assert_summary(&lake, Lake::id(1), back.clone());
    // Then expiry of what was rolled back.
    lake.expire(&[Lake::id(2), Lake::id(3)]);
    assert_summary(&lake, Lake::id(1), back);
    // Then a commit of ours: the property is in the chain again.
    lake.commit(5);
    assert_property(&lake);
}

#[test]
fn a_rollback_that_is_undone() {
    let mut lake = Lake::with_commits(&[10, 5, 7]);
    lake.roll(Lake::id(1));
    lake.roll(Lake::id(3));
    assert_property(&lake);
    // With a commit of ours in between, which the way forward leaves behind.
    lake.roll(Lake::id(1));
    lake.commit(2);
    assert_property(&lake);
    lake.roll(Lake::id(3));
    assert_summary(&lake, Lake::id(3), Recovery::RolledBack { from: Lake::id(4) });
}

#[test]
fn a_rollback_to_before_our_first_commit_stops() {
    let mut lake = Lake::default();
    lake.foreign(3);
    lake.commit(10);
    lake.roll(Lake::id(1));
    assert_unknowable(
        &lake,
        &["names snapshot 1002 (sequence 2)", "complete", "to before weir's first commit"],
    );
    lake.facts.property = None;
    assert_unknowable(&lake, &["no property", "roll the table to snapshot 1002"]);
}

#[test]
fn rows_of_others_without_anything_of_ours_stop() {
    let mut lake = Lake::default();
    lake.foreign(3);
    assert_unknowable(&lake, &["no property weir.progress", "ingest into a new table"]);
}

#[test]
fn an_old_property_below_a_newer_summary_does_not_count() {
    let mut lake = Lake::with_commits(&[10]);
    let old = lake.facts.property.clone();
    lake.commit(5);
    lake.facts.property = old;
    let stale = Recovery::PropertyStale { names: Lake::id(1) };
    assert_summary(&lake, Lake::id(2), stale.clone());
    lake.foreign(-5);
    assert_summary(&lake, Lake::id(2), stale.clone());
    lake.expire(&[Lake::id(1)]);
    assert_summary(&lake, Lake::id(2), stale);
}

#[test]
fn a_damaged_history_neither_loops_nor_answers() {
    let mut cycle = Lake::with_commits(&[10, 5]);
    cycle.snapshot(Lake::id(1)).parent = Some(Lake::id(2));
    assert_unknowable(&cycle, &["snapshot 1002 is its own ancestor"]);
    cycle.snapshot(Lake::id(2)).parent = Some(Lake::id(2));
    assert_unknowable(&cycle, &["snapshot 1002 is its own ancestor"]);

    let mut missing = Lake::with_commits(&[10, 5]);
    missing.facts.current = Some(7);
    assert_unknowable(&missing, &["current snapshot 7 does not stand"]);
    missing.facts.snapshots.clear();
    assert_unknowable(&missing, &["current snapshot 7 does not stand"]);
}

#[test]
fn counts_beyond_64_bits_are_compared_exactly() {
    let huge = Partition { until: i64::MAX, rows: i64::MAX, ..Default::default() };
    let sources = BTreeMap::from([(SOURCE.into(), BTreeMap::from([(0, huge), (1, huge)]))]);
    let property = Progress { snapshot: 1, seq: 1, sources, ..Default::default() };
    let mut lake = Lake::with_commits(&[1]);
    lake.foreign(-3);
    lake.foreign(0);
    lake.expire(&[Lake::id(1), Lake::id(2)]);
    assert_eq!(lake.now().1, -2); // what the sum of the two would wrap to
    lake.facts.property = Some(property.to_json());
    assert_unknowable(&lake, &["counts 18446744073709551614"]);
}
