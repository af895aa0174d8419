//! The truth rule: which vector describes the rows of a table's current snapshot, when the
//! property and the summaries may disagree because other engines roll back, expire, rewrite and
//! restore.
//!
//! The *chain* is what the walk from the current snapshot over parents finds standing, and the
//! parent that the oldest of these names, if expiry took it: that one is known to be an ancestor
//! too. *Ours* is a snapshot whose summary has a `weir.commit-id` or a `weir.heads`. Then, in
//! this order:
//!
//! 1. A property of a newer version is refused. Nothing is read in its place: a newer Weir has
//!    written here, and its summaries may mean something else as well.
//! 2. A table without a current snapshot is empty if nothing of ours is left in it; otherwise it
//!    was replaced or its branch dropped, and starting anew is the operator's decision.
//! 3. The property counts if its snapshot is in the chain and none of ours stands above it.
//!    *Above* matters: when another engine restores old properties, the rows of our later
//!    commits are still there, and reading their offsets again would double them.
//! 4. Otherwise the newest of ours in the chain counts: after a rollback, after a property was
//!    removed, damaged or restored, with or without foreign commits on top. Only the newest: if
//!    its heads are damaged, an older one would double rows, so there is no answer; if they are
//!    of a newer version, they are refused.
//! 5. Where none of ours stands in the chain and expiry has broken it, the property counts if
//!    its `seq` is below the oldest survivor's, that survivor's `total-records` is the property's
//!    rows + rejected, and no other standing snapshot of ours lies between the two. The survivor
//!    may name its expired parent or none: PyIceberg takes the parent out when it expires it.
//! 6. Otherwise there is no answer: stop and ask.
//!
//! Rule 5 is the only one that infers. It errs where a rollback was followed by foreign commits
//! that changed the row count by exactly what was rolled back, and then by expiry of all of ours.
//! A chain with a cycle, or with a current snapshot that does not stand, is a damaged table, never
//! an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{COMMITS_KEPT, FormatError, Progress};
use crate::names::key;

#[cfg(test)]
mod tests;

/// What the rule needs to know of one standing snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotFacts {
    /// The snapshot's id.
    pub id: i64,
    /// The id of its parent, standing or not.
    pub parent: Option<i64>,
    /// Its data sequence number; it grows with every commit to the table.
    pub seq: i64,
    /// `total-records` of its summary.
    pub total_records: Option<i64>,
    /// `weir.heads` of its summary.
    pub heads: Option<String>,
    /// `weir.commit-id` of its summary.
    pub commit_id: Option<String>,
}

/// What the rule needs to know of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// The table property `weir.progress`.
    pub property: Option<String>,
    /// The id of the current snapshot.
    pub current: Option<i64>,
    /// All standing snapshots, in any order.
    pub snapshots: Vec<SnapshotFacts>,
}

/// The answer of the truth rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// Nothing was ever committed here: the vector is empty.
    Empty,
    /// The property counts.
    Property(Progress),
    /// The newest summary of ours counts.
    Summary {
        /// The vector, with that snapshot's id, sequence number and preceding commit ids.
        progress: Progress,
        /// The snapshot that carries it.
        snapshot: i64,
        /// Why the property does not count.
        why: Recovery,
    },
    /// The rows of the table cannot be told: what is known, and what to do.
    Unknowable(String),
    /// Written by a newer Weir.
    Refused(FormatError),
}

/// Why a summary counts and not the property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The table has no `weir.progress`.
    PropertyMissing,
    /// The table was rolled back from the snapshot that the property names.
    RolledBack {
        /// The property's snapshot.
        from: i64,
    },
    /// The property is older than the newest snapshot of ours: another engine restored it.
    PropertyStale {
        /// The property's snapshot.
        names: i64,
    },
    /// The property cannot be read: why.
    PropertyDamaged(String),
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recovery::PropertyMissing => write!(f, "the property {} is missing", key::PROGRESS),
            Recovery::RolledBack { from } => {
                write!(f, "the table was rolled back from snapshot {from}")
            }
            Recovery::PropertyStale { names } => {
                write!(f, "the property {} was set back to snapshot {names}", key::PROGRESS)
            }
            Recovery::PropertyDamaged(why) => f.write_str(why),
        }
    }
}

/// The property, as far as it can be read.
enum Property {
    Missing,
    Damaged(String),
    Read(Progress),
}

/// Decides which vector describes the current snapshot; the rule stands in the module's head.
pub fn resolve(facts: &TableFacts) -> Truth {
    let property = match facts.property.as_deref().map(Progress::from_json) {
        None => Property::Missing,
        Some(Ok(progress)) => Property::Read(progress),
        Some(Err(newer @ FormatError::Newer { .. })) => return Truth::Refused(newer),
        Some(Err(damaged)) => Property::Damaged(damaged.to_string()),
    };
    let Some(current) = facts.current else {
        return without_snapshot(facts, &property);
    };
    let chain = match Chain::walk(facts, current) {
        Ok(chain) => chain,
        Err(known) => return unknowable(facts, &known),
    };
    let newest = chain.standing.iter().position(|snapshot| is_ours(snapshot));
    match (property, newest) {
        (Property::Read(progress), newest)
            if chain
                .depth(progress.snapshot)
                .is_some_and(|depth| newest.is_none_or(|newest| depth <= newest)) =>
        {
            Truth::Property(progress)
        }
        (property, Some(newest)) => summary(facts, &chain, newest, &property),
        (Property::Read(progress), None) => behind_expiry(facts, &chain, progress),
        (Property::Damaged(why), None) => unknowable(
            facts,
            &format!(
                "{why}, and no snapshot of weir's stands in the history of snapshot {current}"
            ),
        ),
        (Property::Missing, None) => unknowable(
            facts,
            &format!(
                "the table has no property {} and no snapshot of weir's in the history of \
                 snapshot {current}",
                key::PROGRESS
            ),
        ),
    }
}

/// Rule 2.
fn without_snapshot(facts: &TableFacts, property: &Property) -> Truth {
    let known = match property {
        Property::Missing if !facts.snapshots.iter().any(is_ours) => return Truth::Empty,
        Property::Missing => "snapshots of weir's stand in it".to_string(),
        Property::Damaged(why) => why.clone(),
        Property::Read(progress) => {
            format!("{} names snapshot {}", key::PROGRESS, progress.snapshot)
        }
    };
    let known = format!(
        "the table has no current snapshot, but {known}: it was replaced or its branch was dropped"
    );
    unknowable(facts, &known)
}

/// Rule 4.
fn summary(facts: &TableFacts, chain: &Chain, newest: usize, property: &Property) -> Truth {
    let ours = chain.standing[newest];
    let why = match property {
        Property::Missing => Recovery::PropertyMissing,
        Property::Damaged(why) => Recovery::PropertyDamaged(why.clone()),
        // The property is written by every commit of ours, so it can be older only if somebody
        // else wrote it.
        Property::Read(p) if p.seq < ours.seq || chain.depth(p.snapshot).is_some() => {
            Recovery::PropertyStale { names: p.snapshot }
        }
        Property::Read(p) => Recovery::RolledBack { from: p.snapshot },
    };
    let heads = match &ours.heads {
        Some(heads) => Progress::from_heads(heads),
        None => Err(FormatError::damaged(key::HEADS, "it is missing")),
    };
    match heads {
        Ok(progress) => {
            let mut commits: Vec<String> = chain.standing[newest..]
                .iter()
                .filter_map(|snapshot| snapshot.commit_id.clone())
                .take(COMMITS_KEPT)
                .collect();
            commits.reverse();
            let progress = Progress { commits, ..progress }.with_snapshot(ours.id, ours.seq);
            Truth::Summary { progress, snapshot: ours.id, why }
        }
        Err(FormatError::Newer { what, version, reads }) => {
            let what = format!("{what} of snapshot {}", ours.id);
            Truth::Refused(FormatError::Newer { what, version, reads })
        }
        Err(damaged) => unknowable(
            facts,
            &format!("{why}, and in snapshot {}, weir's newest in the table, {damaged}", ours.id),
        ),
    }
}

/// Rule 5, and 6 where it does not hold.
fn behind_expiry(facts: &TableFacts, chain: &Chain, progress: Progress) -> Truth {
    let named = format!(
        "{} names snapshot {} (sequence {})",
        key::PROGRESS,
        progress.snapshot,
        progress.seq
    );
    let oldest = match chain.standing.last() {
        Some(oldest) if chain.expired.is_some() || oldest.seq > progress.seq => oldest,
        _ => {
            let known = format!(
                "{named}, and neither it nor any other of weir's is in the history of the current \
                 snapshot, which is complete: the table was rolled back to before weir's first \
                 commit, or replaced"
            );
            return unknowable(facts, &known);
        }
    };
    let survivor = format!("snapshot {} (sequence {})", oldest.id, oldest.seq);
    let between = facts.snapshots.iter().find(|snapshot| {
        is_ours(snapshot) && snapshot.seq > progress.seq && snapshot.seq < oldest.seq
    });
    let why = if progress.seq >= oldest.seq {
        "the property is not older, so the table was rolled back from it".into()
    } else if let Some(between) = between {
        format!("snapshot {} of weir's is newer than the property", between.id)
    } else {
        match oldest.total_records {
            Some(total) if i128::from(total) == progress.records() => {
                return Truth::Property(progress);
            }
            Some(total) => {
                format!("it holds {total} records where the property counts {}", progress.records())
            }
            None => "its summary has no total-records to compare the property with".into(),
        }
    };
    let parent = match chain.expired {
        Some(expired) => format!("whose parent {expired} has expired"),
        None => "which names no parent".into(),
    };
    let known =
        format!("{named}, the history of the table ends at {survivor}, {parent}, and {why}");
    unknowable(facts, &known)
}

fn is_ours(snapshot: &SnapshotFacts) -> bool {
    snapshot.commit_id.is_some() || snapshot.heads.is_some()
}

/// What is known, and the ways out that this table has.
fn unknowable(facts: &TableFacts, known: &str) -> Truth {
    let newest = facts
        .snapshots
        .iter()
        .filter(|s| s.heads.as_deref().is_some_and(|heads| Progress::from_heads(heads).is_ok()))
        .max_by_key(|s| s.seq);
    let way = match newest {
        Some(ours) => format!(
            "roll the table to snapshot {}, the newest that stands with weir's vector, after \
             checking what that undoes",
            ours.id
        ),
        None => format!("ingest into a new table, or restore {} from a backup", key::PROGRESS),
    };
    Truth::Unknowable(format!(
        "cannot tell which offsets the table holds: {known}; {way}; `weir snapshots` lists what \
         stands"
    ))
}

/// The history of the current snapshot, newest first.
struct Chain<'a> {
    standing: Vec<&'a SnapshotFacts>,
    /// The parent that the oldest survivor names and that no longer stands.
    expired: Option<i64>,
}

impl<'a> Chain<'a> {
    fn walk(facts: &'a TableFacts, current: i64) -> Result<Chain<'a>, String> {
        let by_id: BTreeMap<i64, &SnapshotFacts> =
            facts.snapshots.iter().map(|snapshot| (snapshot.id, snapshot)).collect();
        let mut seen = BTreeSet::new();
        let mut chain = Chain { standing: Vec::new(), expired: None };
        let mut next = Some(current);
        while let Some(id) = next {
            if !seen.insert(id) {
                return Err(format!("snapshot {id} is its own ancestor: the table is damaged"));
            }
            match by_id.get(&id) {
                Some(snapshot) => {
                    chain.standing.push(snapshot);
                    next = snapshot.parent;
                }
                None if chain.standing.is_empty() => {
                    return Err(format!(
                        "the current snapshot {id} does not stand: the table is damaged"
                    ));
                }
                None => {
                    chain.expired = Some(id);
                    next = None;
                }
            }
        }
        Ok(chain)
    }

    /// How far below the current snapshot an ancestor lies.
    fn depth(&self, id: i64) -> Option<usize> {
        let standing = self.standing.iter().position(|snapshot| snapshot.id == id);
        standing.or_else(|| (self.expired == Some(id)).then_some(self.standing.len()))
    }
}
