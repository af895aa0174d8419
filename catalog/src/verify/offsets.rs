//! Sets of offsets: what a partition holds, what it lacks, and how both are shown.

use std::fmt;

use roaring::RoaringTreemap;
use serde::{Serialize, Serializer};

/// Ranges that a finding lists at most; its count is always complete.
pub const RANGES_MAX: usize = 10_000;
/// Ranges that a person is shown.
const RANGES_SHOWN: usize = 12;

/// The rows of one partition of one source, as they were found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Offsets of accepted rows.
    pub accepted: RoaringTreemap,
    /// Offsets of rejected rows.
    pub rejected: RoaringTreemap,
    /// Offsets that more than one row has.
    pub doubled: RoaringTreemap,
}

impl Seen {
    /// Adds rows of the consecutive offsets `first..first + rejected.len()`, each rejected or not.
    pub fn add_run(&mut self, first: u64, rejected: &[bool]) {
        let Some(last) = (rejected.len() as u64).checked_sub(1).and_then(|n| first.checked_add(n))
        else {
            return;
        };
        let max = self.accepted.max().max(self.rejected.max());
        let uniform = rejected.iter().all(|r| *r == rejected[0]);
        if uniform && max.is_none_or(|max| max < first) {
            let set = if rejected[0] { &mut self.rejected } else { &mut self.accepted };
            set.insert_range(first..=last);
            return;
        }
        for (offset, rejected) in (first..=last).zip(rejected) {
            self.add(offset, *rejected);
        }
    }

    fn add(&mut self, offset: u64, rejected: bool) {
        let (set, other) = match rejected {
            true => (&mut self.rejected, &self.accepted),
            false => (&mut self.accepted, &self.rejected),
        };
        if other.contains(offset) || !set.insert(offset) {
            self.doubled.insert(offset);
        }
    }

    /// Adds the rows of `other`, found elsewhere in the same table.
    pub fn merge(&mut self, other: Seen) {
        let max = self.accepted.max().max(self.rejected.max());
        let min = other.accepted.min().into_iter().chain(other.rejected.min()).min();
        if max < min || min.is_none() {
            // The usual case: files hold offsets in the order of their commits.
            self.accepted |= other.accepted;
            self.rejected |= other.rejected;
            self.doubled |= other.doubled;
            return;
        }
        let (mine, theirs) = (self.all(), other.all());
        self.doubled |= &mine & &theirs;
        self.doubled |= other.doubled;
        // An offset keeps the class in which it was seen first.
        self.accepted |= other.accepted - &mine;
        self.rejected |= other.rejected - &mine;
    }

    /// All offsets.
    pub fn all(&self) -> RoaringTreemap {
        &self.accepted | &self.rejected
    }
}

/// The offsets from `start` until `until` that are not in `present`.
pub fn holes(start: i64, until: i64, present: &RoaringTreemap) -> RoaringTreemap {
    range(start, until) - present
}

/// The offsets from `start` until `until`.
pub fn range(start: i64, until: i64) -> RoaringTreemap {
    let mut full = RoaringTreemap::new();
    if let (Ok(start), Ok(until)) = (u64::try_from(start.max(0)), u64::try_from(until)) {
        full.insert_range(start..until);
    }
    full
}

/// A set of offsets as a report lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offsets {
    /// How many.
    pub count: u64,
    /// First and last of each unbroken range, ascending; at most [`RANGES_MAX`].
    pub ranges: Vec<(u64, u64)>,
    /// Whether there are more ranges than listed.
    pub truncated: bool,
}

impl From<&RoaringTreemap> for Offsets {
    fn from(set: &RoaringTreemap) -> Offsets {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let mut truncated = false;
        for offset in set {
            if let Some((_, last)) = ranges.last_mut()
                && *last + 1 == offset
            {
                *last = offset;
            } else if ranges.len() < RANGES_MAX {
                ranges.push((offset, offset));
            } else {
                truncated = true;
                break;
            }
        }
        Offsets { count: set.len(), ranges, truncated }
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().take(RANGES_SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        if self.truncated || self.ranges.len() > RANGES_SHOWN {
            write!(f, ", … ({} offsets)", self.count)?;
        }
        Ok(())
    }
}

/// `{"count":"3","ranges":[["5","5"],["7","8"]],"truncated":false}`.
impl Serialize for Offsets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape {
            count: String,
            ranges: Vec<[String; 2]>,
            truncated: bool,
        }
        let ranges = self.ranges.iter().map(|(a, b)| [a.to_string(), b.to_string()]).collect();
        Shape { count: self.count.to_string(), ranges, truncated: self.truncated }
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(offsets: &[u64]) -> RoaringTreemap {
        offsets.iter().copied().collect()
    }

    #[test]
    fn runs_and_single_rows_agree() {
        let mut runs = Seen::default();
        runs.add_run(10, &[false; 5]);
        runs.add_run(15, &[true, false, true]);
        runs.add_run(12, &[false; 2]);
        runs.add_run(15, &[false]);
        runs.add_run(3, &[]);
        assert_eq!(runs.accepted, set(&[10, 11, 12, 13, 14, 16]));
        assert_eq!(runs.rejected, set(&[15, 17]));
        assert_eq!(runs.doubled, set(&[12, 13, 15]), "an offset of another class doubles too");
    }

    #[test]
    fn merging_finds_doubles_across_files() {
        let mut a = Seen::default();
        a.add_run(0, &[false, false, true]);
        let mut b = Seen::default();
        b.add_run(1, &[true, true, false, false]);
        a.merge(b);
        assert_eq!(a.doubled, set(&[1, 2]));
        assert_eq!(a.accepted, set(&[0, 1, 3, 4]));
        assert_eq!(a.rejected, set(&[2]));
    }

    #[test]
    fn holes_are_what_is_not_there() {
        assert_eq!(holes(3, 8, &set(&[3, 4, 7, 9])), set(&[5, 6]));
        assert_eq!(holes(5, 5, &set(&[])), set(&[]));
        assert_eq!(holes(-1, 2, &set(&[0])), set(&[1]), "no offset is negative");
    }

    #[test]
    fn shown_compactly_and_written_in_full() {
        let offsets = Offsets::from(&set(&[1, 2, 3, 7, 9, 10]));
        assert_eq!(offsets.to_string(), "1-3, 7, 9-10");
        assert_eq!(
            serde_json::to_string(&offsets).unwrap(),
            r#"{"count":"6","ranges":[["1","3"],["7","7"],["9","10"]],"truncated":false}"#
        );
        let odd: RoaringTreemap = (0..20_003u64).map(|n| n * 2).collect();
        let offsets = Offsets::from(&odd);
        assert_eq!((offsets.count, offsets.ranges.len()), (20_003, RANGES_MAX));
        assert!(offsets.truncated);
        assert!(offsets.to_string().ends_with("22, … (20003 offsets)"), "{offsets}");
    }
}
