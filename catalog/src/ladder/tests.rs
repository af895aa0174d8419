//! The ladder: names, what is kept, and what that promises.

use proptest::prelude::*;

use super::*;

fn ms(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

fn plan(ladder: Ladder, history: &[(i64, &str)], tags: &[&str], now: &str) -> LadderPlan {
    let history: Vec<Past> =
        history.iter().map(|(id, at)| Past { id: *id, at_ms: ms(at) }).collect();
    plan_ladder(&ladder, &history, tags.iter().copied(), &BTreeSet::new(), ms(now))
}

#[test]
fn names_are_read_back_and_others_are_not_ours() {
    let at = ms("2026-11-28T17:59:59.999Z");
    let names = ["weir-hour-2026-11-28T17", "weir-day-2026-11-28", "weir-month-2026-11"];
    for (rung, name) in RUNGS.iter().zip(names) {
        let period = rung.period(at).unwrap();
        assert_eq!(rung.name(period).as_deref(), Some(name));
        assert_eq!(rung.period_of(name), Some(period));
        assert!(is_of_ladder(name));
    }
    for other in
        ["audit-2026", "weir-day-2026-11-31", "weir-day-2026-11-2", "weir-hour-2026-11-28", "weir-"]
    {
        assert!(!is_of_ladder(other), "{other}");
    }
}

#[test]
fn the_last_snapshot_of_a_period_is_tagged_once_it_has_ended() {
    let history = [(1, "2026-11-27T22:10:00Z"), (2, "2026-11-28T09:10:00Z")];
    let more = [&history[..], &[(3, "2026-11-28T09:50:00Z")]].concat();
    let ladder = Ladder { hours: 48, days: 90, months: 84 };
    let done = plan(ladder, &more, &[], "2026-11-28T10:00:00Z");
    let expected = [
        ("weir-hour-2026-11-27T22", 1),
        ("weir-hour-2026-11-28T09", 3),
        ("weir-day-2026-11-27", 1),
    ];
    assert_eq!(done.set, expected.map(|(name, id)| (name.to_string(), id)));
    assert!(done.remove.is_empty());
    // The hour has not ended, and what is tagged stays where it is.
    let tags = ["weir-hour-2026-11-27T22", "weir-day-2026-11-27"];
    assert_eq!(plan(ladder, &more, &tags, "2026-11-28T09:59:59Z"), LadderPlan::default());
}

#[test]
fn what_is_out_of_reach_goes_but_for_the_state_at_its_edge() {
    let ladder = Ladder { hours: 3, days: 0, months: 0 };
    let tags = [
        "weir-hour-2026-11-28T01",
        "weir-hour-2026-11-28T05",
        "weir-hour-2026-11-28T08",
        "weir-day-2026-11-27",
        "mine",
    ];
    let done = plan(ladder, &[], &tags, "2026-11-28T10:30:00Z");
    assert_eq!(done.remove, ["weir-hour-2026-11-28T01", "weir-day-2026-11-27"]);
}

#[test]
fn a_name_that_is_taken_by_a_branch_is_left() {
    let history = [Past { id: 1, at_ms: ms("2026-11-28T09:10:00Z") }];
    let taken = BTreeSet::from(["weir-hour-2026-11-28T09"]);
    let ladder = Ladder { hours: 3, days: 0, months: 0 };
    let done = plan_ladder(&ladder, &history, [], &taken, ms("2026-11-28T10:00:00Z"));
    assert_eq!(done, LadderPlan::default());
}

/// A table that commits at these times with this ladder and keeps `cap` untagged snapshots: all
/// states that it ever had, and those that stand in the end.
fn live(ladder: &Ladder, times: &[i64], cap: usize) -> (Vec<Past>, BTreeMap<i64, i64>) {
    let mut all: Vec<Past> = Vec::new();
    let mut tags: BTreeMap<String, i64> = BTreeMap::new();
    for (id, at_ms) in (0..).zip(times) {
        // Below what expired nothing is known any more.
        let untagged = all.iter().rev().filter(|p| !tags.values().any(|id| *id == p.id));
        let oldest = untagged.take(cap).last().map_or(0, |p| p.id);
        let standing = &all[usize::try_from(oldest).unwrap()..];
        let names: Vec<String> = tags.keys().cloned().collect();
        let names = names.iter().map(String::as_str);
        let plan = plan_ladder(ladder, standing, names, &BTreeSet::new(), *at_ms);
        plan.remove.iter().for_each(|tag| assert!(tags.remove(tag).is_some(), "{tag}"));
        for (tag, id) in plan.set {
            assert!(tags.insert(tag, id).is_none(), "a tag was moved");
        }
        all.push(Past { id, at_ms: *at_ms });
    }
    let bound = ladder.hours + ladder.days + ladder.months + 3;
    assert!(tags.len() <= bound as usize, "{} tags", tags.len());
    let newest = all.iter().rev().take(cap).map(|p| p.id);
    let stand = newest.chain(tags.into_values());
    let stand = stand.map(|id| (all[usize::try_from(id).unwrap()].at_ms, id)).collect();
    (all, stand)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_instant_in_reach_has_a_state_of_its_period(
        gaps in prop::collection::vec(
            prop_oneof![6 => 1_000i64..4 * HOUR_MS, 2 => 1_000i64..3 * DAY_MS, 1 => DAY_MS..70 * DAY_MS],
            2..150,
        ),
        (hours, days, months) in (1u32..8, 1u32..8, 1u32..8),
        cap in 1usize..6,
        asked in prop::collection::vec(0.0f64..1.0, 20),
    ) {
        let ladder = Ladder { hours, days, months };
        let begin = ms("2026-01-31T23:30:00Z");
        let times: Vec<i64> = gaps
            .iter()
            .scan(begin, |at, gap| { *at += gap; Some(*at) })
            .collect();
        let (all, stand) = live(&ladder, &times, cap);
        let now = *times.last().unwrap();
        let reaches = [
            (HOUR_MS, i64::from(hours) * HOUR_MS),
            (DAY_MS, i64::from(days) * DAY_MS),
            (31 * DAY_MS, i64::from(months) * 28 * DAY_MS),
        ];
        for (step, reach) in reaches {
            let mut before = None;
            let mut instants: Vec<i64> =
                asked.iter().map(|share| now - (share * reach as f64) as i64).collect();
            instants.sort_unstable();
            // Before the first period has ended there is no state at a period's beginning.
            for at in instants.into_iter().filter(|at| *at >= all[0].at_ms + step) {
                let found = stand.range(..=at).next_back();
                prop_assert!(found.is_some(), "nothing at {at}");
                let (found_at, id) = found.unwrap();
                prop_assert!(*found_at <= at);
                // It was the table's state until its successor came, less than a step before.
                let successor = all.get(usize::try_from(id + 1).unwrap());
                prop_assert!(successor.is_none_or(|next| next.at_ms > at - step));
                prop_assert!(before <= Some(id), "a later instant has an earlier state");
                before = Some(id);
            }
        }
    }
}
