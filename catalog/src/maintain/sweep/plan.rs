//! Which files of a table's folders to delete: those that were seen of nobody's before, long enough ago, and
//! are so still. Pure.

use std::collections::BTreeMap;

/// Least time between the two looks that find a file of nobody's.
pub const APART_MS: i64 = 24 * 60 * 60 * 1_000;

/// Endings of the files that tables have: data, manifests, metadata, statistics, and what a crash left of
/// one of ours. What ends otherwise is not ours to judge.
const KINDS: [&str; 9] = [
    ".parquet",
    ".avro",
    ".orc",
    ".metadata.json",
    ".metadata.json.gz",
    ".puffin",
    ".stats",
    ".tmp",
    ".crc",
];

/// A file in one of the table's folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path below the table's folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, ms since the epoch, by the storage's clock.
    pub modified_ms: i64,
}

/// What earlier looks found to be nobody's: path → when, ms since the epoch.
pub type Memory = BTreeMap<String, i64>;

/// What to do with the files of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Positions of the files to delete.
    pub delete: Vec<usize>,
    /// What to remember for the next look, without those.
    pub remember: Memory,
    /// Files of a kind that no table has.
    pub strangers: u64,
}

/// Decides over a listing that was made *before* it was asked who is `referenced`, so that a file which came
/// in between is not taken for nobody's. `begun_ms` is when the listing began, `ended_ms` when the
/// references were complete; both looks count whole.
pub fn plan(
    listed: &[Listed],
    referenced: impl Fn(&Listed) -> bool,
    memory: &Memory,
    begun_ms: i64,
    ended_ms: i64,
) -> Plan {
    let mut plan = Plan::default();
    for (position, file) in listed.iter().enumerate() {
        if !KINDS.iter().any(|kind| file.path.ends_with(kind)) {
            plan.strangers += 1;
            continue;
        }
        if referenced(file) {
            continue;
        }
        // A file that was written since is another one; a clock that went back proves nothing.
        let first = memory.get(&file.path).copied();
        let first = first.filter(|at_ms| *at_ms <= ended_ms && file.modified_ms <= *at_ms);
        match first {
            Some(at_ms) if begun_ms.saturating_sub(at_ms) >= APART_MS => plan.delete.push(position),
            _ => {
                plan.remember.insert(file.path.clone(), first.unwrap_or(ended_ms));
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = APART_MS;

    fn file(path: &str, modified_ms: i64) -> Listed {
        Listed { path: path.into(), bytes: 1, modified_ms }
    }

    fn look(files: &[Listed], memory: &Memory, at_ms: i64) -> Plan {
        plan(files, |_| false, memory, at_ms, at_ms + 10)
    }

    #[test]
    fn two_looks_a_day_apart() {
        let files = [file("data/a.parquet", 0)];
        let first = look(&files, &Memory::new(), 100);
        assert_eq!((first.delete.len(), first.remember["data/a.parquet"]), (0, 110));
        assert!(look(&files, &first.remember, 109 + DAY).delete.is_empty());
        assert_eq!(look(&files, &first.remember, 110 + DAY).delete, [0]);
        assert!(look(&files, &first.remember, 110 + DAY).remember.is_empty());
    }

    #[test]
    fn what_is_referenced_in_between_begins_anew() {
        let files = [file("data/a.parquet", 0)];
        let first = look(&files, &Memory::new(), 100).remember;
        let second = plan(&files, |_| true, &first, DAY, DAY).remember;
        assert!(second.is_empty());
        assert!(look(&files, &second, 3 * DAY).delete.is_empty());
    }

    #[test]
    fn a_new_file_of_an_old_name_and_a_clock_that_went_back_begin_anew() {
        let memory = Memory::from([("data/a.parquet".into(), 100)]);
        assert!(look(&[file("data/a.parquet", 101)], &memory, 9 * DAY).delete.is_empty());
        let memory = Memory::from([("data/a.parquet".into(), 5 * DAY)]);
        let plan = look(&[file("data/a.parquet", 0)], &memory, 3 * DAY);
        assert_eq!((plan.delete.len(), plan.remember["data/a.parquet"]), (0, 3 * DAY + 10));
    }

    #[test]
    fn strangers_are_counted_and_never_touched() {
        let files = [file("metadata/version-hint.text", 0), file("data/.hidden", 0)];
        let memory = files.iter().map(|f| (f.path.clone(), 0)).collect();
        let plan = look(&files, &memory, 9 * DAY);
        assert_eq!(plan, Plan { strangers: 2, ..Plan::default() });
    }

    /// What happens to a lake between looks.
    #[derive(Debug, Clone)]
    enum Act {
        /// A file is written.
        Write(u8),
        /// It becomes referenced; only files that were written can.
        Refer(u8),
        /// It is no longer referenced.
        Drop(u8),
        /// Time passes, hours.
        Pass(i64),
        /// A look; what it remembers may get lost.
        Look { forget: bool },
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0u8..6).prop_map(Act::Write),
            (0u8..6).prop_map(Act::Refer),
            (0u8..6).prop_map(Act::Drop),
            (1i64..40).prop_map(Act::Pass),
            any::<bool>().prop_map(|forget| Act::Look { forget }),
        ]
    }

    proptest! {
        /// Against a model that keeps the whole history: whatever is deleted is of nobody's now, was found
        /// so by an earlier look at least a day ago, and was not written since.
        #[test]
        fn nothing_is_deleted_that_the_whole_history_would_spare(
            acts in prop::collection::vec(act(), 0..60),
        ) {
            let (mut now, mut memory) = (0i64, Memory::new());
            let mut files: BTreeMap<u8, i64> = BTreeMap::new();
            let mut referenced: BTreeSet<u8> = BTreeSet::new();
            // Each look of the past: when, and what was there of nobody's.
            let mut looks: Vec<(i64, BTreeSet<u8>)> = Vec::new();
            let path = |n: u8| format!("data/{n}.parquet");
            for act in acts {
                now += 1;
                match act {
                    Act::Write(n) => { files.entry(n).or_insert(now); }
                    Act::Refer(n) if files.contains_key(&n) => { referenced.insert(n); }
                    Act::Refer(_) => {}
                    Act::Drop(n) => { referenced.remove(&n); }
                    Act::Pass(hours) => now += hours * 3_600_000,
                    Act::Look { forget } => {
                        let numbers: Vec<u8> = files.keys().copied().collect();
                        let listed: Vec<Listed> =
                            files.iter().map(|(n, at)| file(&path(*n), *at)).collect();
                        let held = |f: &Listed| referenced.iter().any(|n| path(*n) == f.path);
                        let plan = plan(&listed, held, &memory, now, now);
                        for position in &plan.delete {
                            let n = numbers[*position];
                            prop_assert!(!referenced.contains(&n), "a live file was deleted");
                            let seen = looks.iter().any(|(at, orphans)| {
                                now - at >= APART_MS && orphans.contains(&n) && files[&n] <= *at
                            });
                            prop_assert!(seen, "no look found it of nobody's a day ago");
                        }
                        let orphans = numbers.iter().filter(|n| !referenced.contains(n)).copied();
                        looks.push((now, orphans.collect()));
                        for position in plan.delete {
                            files.remove(&numbers[position]);
                        }
                        memory = if forget { Memory::new() } else { plan.remember };
                    }
                }
            }
            // And everything of nobody's goes in the end.
            for _ in 0..2 {
                let listed: Vec<Listed> = files.iter().map(|(n, at)| file(&path(*n), *at)).collect();
                let numbers: Vec<u8> = files.keys().copied().collect();
                let held = |f: &Listed| referenced.iter().any(|n| path(*n) == f.path);
                let plan = plan(&listed, held, &memory, now, now);
                plan.delete.iter().for_each(|position| { files.remove(&numbers[*position]); });
                memory = plan.remember;
                now += APART_MS;
            }
            prop_assert!(files.keys().all(|n| referenced.contains(n)));
        }
    }
}
