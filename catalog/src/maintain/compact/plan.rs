//! Which files to write anew together. Pure.

use std::collections::BTreeMap;

/// Files that make a group at least: fewer are left, so that rows are not written again and again for a
/// gain that no reader notices.
const INPUTS_MIN: usize = 4;
/// Bytes and files that are sorted together at most, about.
const GROUP_BYTES: u64 = 1 << 30;
const GROUP_FILES: usize = 2_000;

/// What the plan needs to know of a live data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Its size.
    pub bytes: u64,
    /// Its data sequence number: how old its rows are.
    pub sequence: i64,
    /// Whether it may be written anew.
    pub state: State,
}

/// Whether a file may be written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Yes, with others of its partition, a day or month of event time; none: of the rejected rows, or of a
    /// reference table.
    Free(Option<i32>),
    /// It is so young that readers of what is new may still want it.
    Young,
    /// Another engine deleted rows of it.
    HasDeletes,
    /// Its rows may be of several partitions: another engine wrote it under a partition spec of its own, or
    /// the table was partitioned by month before and is by day now.
    OtherSpec,
}

/// Files of one partition to be written anew together: positions in the list of facts.
pub type Group = Vec<usize>;

/// Groups of files, oldest partition first. Only files below three quarters of `target` bytes take part, and none
/// that is larger than the smaller ones of its partition together: a byte is written anew only where that at
/// least doubles the file that it stands in, so seldom in its life, and a plan that was carried out is
/// followed by an empty one.
pub fn plan(files: &[FileFacts], target: u64) -> Vec<Group> {
    let mut spans: BTreeMap<Option<i32>, Vec<usize>> = BTreeMap::new();
    for (position, file) in files.iter().enumerate() {
        if let State::Free(span) = file.state
            && file.bytes < target / 4 * 3
        {
            spans.entry(span).or_default().push(position);
        }
    }
    spans.into_values().flat_map(|small| groups(files, small)).collect()
}

fn groups(files: &[FileFacts], mut small: Vec<usize>) -> Vec<Group> {
    let bytes = |position: &usize| files[*position].bytes;
    small.sort_by_key(bytes);
    let mut sum: u64 = small.iter().map(bytes).sum();
    while let Some(largest) = small.last().map(bytes)
        && largest > sum - largest
    {
        sum -= largest;
        small.pop();
    }
    // Neighbours in time share a file, so that readers of some time open few.
    small.sort_by_key(|position| (files[*position].sequence, *position));
    let mut groups: Vec<Group> = Vec::new();
    let mut room = 0;
    for position in small {
        match groups.last_mut() {
            Some(group) if bytes(&position) <= room && group.len() < GROUP_FILES => {
                room -= bytes(&position);
                group.push(position);
            }
            _ => {
                room = GROUP_BYTES.saturating_sub(bytes(&position));
                groups.push(vec![position]);
            }
        }
    }
    groups.retain(|group| group.len() >= INPUTS_MIN);
    groups
}

/// A standing snapshot's sequence number and commit time, ms since the epoch.
pub type Standing = (i64, i64);

/// Whether the rows of a file were committed before `before_ms`: as far as standing snapshots tell, else by
/// when its youngest row was ingested. What cannot be told is young.
pub fn is_old(
    sequence: i64,
    ingested_ms: Option<i64>,
    standing: &[Standing],
    before_ms: i64,
) -> bool {
    let mut later = standing.iter().filter(|(seq, _)| *seq >= sequence);
    if later.clone().any(|(_, at_ms)| *at_ms <= before_ms) {
        return true;
    }
    if later.any(|(seq, _)| *seq == sequence) {
        return false;
    }
    ingested_ms.is_some_and(|at_ms| at_ms <= before_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn file(day: i32, bytes: u64) -> FileFacts {
        FileFacts { bytes, sequence: 1, state: State::Free(Some(day)) }
    }

    #[test]
    fn small_files_of_a_day_are_grouped_and_few_or_large_ones_left() {
        let mut files = vec![file(1, MIB); 3];
        assert!(plan(&files, 128 * MIB).is_empty(), "three are too few");
        files.push(file(2, MIB));
        assert!(plan(&files, 128 * MIB).is_empty(), "another day does not help");
        files.push(file(1, 2 * MIB));
        files.push(file(1, 96 * MIB));
        files.push(FileFacts { state: State::Young, ..file(1, MIB) });
        assert_eq!(plan(&files, 128 * MIB), vec![vec![0, 1, 2, 4]]);
    }

    #[test]
    fn rejected_rows_are_a_group_of_their_own() {
        let rejects = FileFacts { state: State::Free(None), ..file(1, MIB) };
        let files = [file(1, MIB), rejects, rejects, rejects, rejects];
        assert_eq!(plan(&files, 128 * MIB), vec![vec![1, 2, 3, 4]]);
    }

    #[test]
    fn a_large_file_waits_until_there_is_as_much_to_add() {
        let small = vec![file(1, MIB); 10];
        let with = |bytes| plan(&[&[file(1, bytes)], &small[..]].concat(), 128 * MIB);
        assert_eq!(with(11 * MIB), vec![(1..11).collect::<Vec<_>>()]);
        assert_eq!(with(10 * MIB), vec![(0..11).collect::<Vec<_>>()]);
    }

    #[test]
    fn the_age_of_rows_is_told_by_snapshots_and_else_by_ingest() {
        let standing = [(5, 500), (6, 600), (9, 900)];
        assert!(is_old(4, None, &standing, 550), "an older one was committed before");
        assert!(is_old(5, None, &standing, 550));
        assert!(!is_old(6, Some(100), &standing, 550), "its own snapshot stands");
        assert!(is_old(8, Some(540), &standing, 550), "its snapshot has expired");
        assert!(!is_old(8, Some(560), &standing, 550));
        assert!(!is_old(8, None, &standing, 550));
    }

    proptest! {
        #[test]
        fn a_plan_that_was_carried_out_leaves_nothing_and_moves_a_byte_seldom(
            sizes in prop::collection::vec((0i32..3, 1u64..200), 0..120),
            ratio in 30u64..=100,
        ) {
            let target = 128 * MIB;
            let mut files: Vec<FileFacts> =
                sizes.into_iter().map(|(day, mib)| file(day, mib * MIB)).collect();
            for _ in 0..6 {
                let groups = plan(&files, target);
                if groups.is_empty() {
                    break;
                }
                let mut seen = std::collections::BTreeSet::new();
                let mut made = Vec::new();
                for group in &groups {
                    prop_assert!(group.len() >= INPUTS_MIN);
                    let bytes: u64 = group.iter().map(|i| files[*i].bytes).sum();
                    prop_assert!(bytes <= GROUP_BYTES.max(target));
                    for i in group {
                        prop_assert!(seen.insert(*i) && files[*i].bytes < target / 4 * 3);
                        prop_assert_eq!(files[*i].state, files[group[0]].state);
                    }
                    let mut left = bytes * ratio / 100;
                    let before = made.len();
                    while left > 0 {
                        made.push(FileFacts { bytes: left.min(target), ..files[group[0]] });
                        left -= left.min(target);
                    }
                    prop_assert!(made.len() - before < group.len(), "fewer than before");
                }
                let mut position = 0;
                files.retain(|_| { position += 1; !seen.contains(&(position - 1)) });
                files.extend(made);
            }
            prop_assert!(plan(&files, target).is_empty());
        }
    }
}
