//! How a vector moves: by offsets read ([`Progress::advance`]), by deletions that an operator
//! acknowledged or that retention made ([`Progress::remove`]), and by rejected rows that a later contract
//! accepts ([`Progress::redrive`]). Compaction does not move it ([`Progress::rewrite`]). All are checked against the vector of exactly the base that will be
//! swapped, at every attempt; an error changes nothing.

use std::collections::BTreeMap;

use super::{COMMITS_KEPT, Fingerprint, Partition, Progress, adds_up, within};

#[cfg(test)]
mod tests;

/// What became of the offsets `from..until` of one partition in one batch.
///
/// `rows + rejected + absent + lost == until - from + extra`, and none is negative. A step of no
/// offsets writes down where a partition starts before any of its records is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// The head that the batch continues.
    pub from: i64,
    /// The head after the batch.
    pub until: i64,
    /// Accepted records.
    pub rows: i64,
    /// Rejected records.
    pub rejected: i64,
    /// Offsets without a record.
    pub absent: i64,
    /// Offsets lost to retention, accepted by an operator.
    pub lost: i64,
    /// Rows beyond one an offset; only of loads of a reference table.
    pub extra: i64,
    /// The last record of the batch; only where the broker gives no topic id. None keeps the
    /// fingerprint that the partition has.
    pub last: Option<Fingerprint>,
}

impl Step {
    /// No offsets yet, at `offset`.
    pub fn at(offset: i64) -> Step {
        Step { from: offset, until: offset, ..Step::default() }
    }
}

/// The steps of one batch: full source id → partition → step.
pub type Steps = BTreeMap<String, BTreeMap<i32, Step>>;

/// Rows of one partition that were deleted, by others or by retention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Accepted rows.
    pub rows: i64,
    /// Rejected rows.
    pub rejected: i64,
}

/// Rejected rows that a later contract accepts: full source id → partition → how many.
pub type Accepted = BTreeMap<String, BTreeMap<i32, i64>>;

/// Whether a commit may go on top of a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and this is the vector after it; `snapshot` and `seq` are still those of the base.
    Apply(Progress),
    /// The commit is in the table already: there is nothing left to do.
    Already,
    /// Another writer moved these partitions: abandon the batch, seek to the heads, go on.
    Fenced(Vec<Fence>),
    /// The commit contradicts itself or the vector: what is wrong, and where.
    Invalid(String),
}

/// A partition whose head is not where a batch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Full source id.
    pub source: String,
    /// Kafka partition.
    pub partition: i32,
    /// Where the table is; none if it no longer knows the partition.
    pub head: Option<i64>,
    /// Where the batch begins.
    pub from: i64,
}

impl Progress {
    /// The vector after `steps`, each of which must begin at its partition's head. A partition
    /// that the vector does not know starts where its step begins. Sources and partitions
    /// without a step stay as they are, so writers of different partitions merge.
    pub fn advance(&self, commit_id: &str, steps: &Steps) -> Verdict {
        self.advance_since(&Progress::default(), commit_id, steps)
    }

    /// As [`Progress::advance`], but fences also the partitions that the writer has `seen` in
    /// the table and that this vector no longer knows. A rollback to before a partition's first
    /// commit does that; starting it anew at the writer's position would skip, unseen, the
    /// offsets that were rolled back. `seen` is the vector that the writer's positions come from.
    pub fn advance_since(&self, seen: &Progress, commit_id: &str, steps: &Steps) -> Verdict {
        if self.commits.iter().any(|id| id == commit_id) {
            return Verdict::Already;
        }
        if let Err(why) = check(commit_id, steps) {
            return Verdict::Invalid(why);
        }
        let mut fences = Vec::new();
        let mut next = self.clone();
        for (source, partitions) in steps.iter().filter(|(_, steps)| !steps.is_empty()) {
            let heads = next.sources.entry(source.clone()).or_default();
            for (&partition, step) in partitions {
                let head = heads.get(&partition).map(|p| p.until);
                let forgotten = head.is_none() && seen.head(source, partition).is_some();
                if forgotten || head.is_some_and(|head| head != step.from) {
                    let source = source.clone();
                    fences.push(Fence { source, partition, head, from: step.from });
                    continue;
                }
                let start = Partition { start: step.from, until: step.from, ..Default::default() };
                let moved = heads.entry(partition).or_insert(start);
                match moved.step(step) {
                    Ok(after) => *moved = after,
                    Err(why) => return invalid(source, partition, &why),
                }
            }
        }
        if fences.is_empty() {
            Verdict::Apply(next.remember(commit_id))
        } else {
            Verdict::Fenced(fences)
        }
    }

    /// The vector after these rows were deleted, by others and acknowledged by an operator, or by
    /// retention: they move from `rows` and `rejected` to `removed`, and no head moves.
    pub fn remove(
        &self,
        commit_id: &str,
        removed: &BTreeMap<String, BTreeMap<i32, Removed>>,
    ) -> Verdict {
        self.recount(commit_id, removed, Partition::remove)
    }

    /// The vector after rejected rows were replaced by accepted ones of revision `rev`, which must
    /// be the next: they move from `rejected` to `rows`, and no head moves.
    pub fn redrive(&self, commit_id: &str, rev: i32, accepted: &Accepted) -> Verdict {
        match self.recount(commit_id, accepted, Partition::accept) {
            Verdict::Apply(_) if self.rev.checked_add(1) != Some(rev) => {
                Verdict::Invalid(format!("revision {rev} does not follow {}", self.rev))
            }
            Verdict::Apply(next) => Verdict::Apply(Progress { rev, ..next }),
            other => other,
        }
    }

    /// The vector after files or manifests were written anew: the same, and the commit is remembered.
    pub fn rewrite(&self, commit_id: &str) -> Verdict {
        self.recount(commit_id, &BTreeMap::new(), Partition::remove)
    }

    /// The vector after `count` moved the counters of each partition that `by` names.
    fn recount<T>(
        &self,
        commit_id: &str,
        by: &BTreeMap<String, BTreeMap<i32, T>>,
        count: fn(&Partition, &T) -> Result<Partition, String>,
    ) -> Verdict {
        if self.commits.iter().any(|id| id == commit_id) {
            return Verdict::Already;
        }
        if commit_id.is_empty() {
            return Verdict::Invalid("the commit has no id".into());
        }
        let mut next = self.clone();
        for (source, partitions) in by {
            for (&partition, counts) in partitions {
                let known = next.sources.get_mut(source).and_then(|p| p.get_mut(&partition));
                let Some(known) = known else {
                    return invalid(source, partition, "the table does not know this partition");
                };
                match count(known, counts) {
                    Ok(after) => *known = after,
                    Err(why) => return invalid(source, partition, &why),
                }
            }
        }
        Verdict::Apply(next.remember(commit_id))
    }

    pub(super) fn remember(mut self, commit_id: &str) -> Progress {
        self.commits.push(commit_id.into());
        let surplus = self.commits.len().saturating_sub(COMMITS_KEPT);
        self.commits.drain(..surplus);
        self
    }
}

impl Partition {
    fn step(&self, step: &Step) -> Result<Partition, String> {
        let after = Partition {
            start: self.start,
            until: step.until,
            rows: add(self.rows, step.rows)?,
            rejected: add(self.rejected, step.rejected)?,
            absent: add(self.absent, step.absent)?,
            lost: add(self.lost, step.lost)?,
            removed: self.removed,
            extra: add(self.extra, step.extra)?,
            last: step.last.or(self.last),
        };
        // The step adds up, so this fails only where the vector itself did not.
        after.check().map(|()| after)
    }

    fn remove(&self, counts: &Removed) -> Result<Partition, String> {
        let take = |name: &str, has: i64, count: i64| match has.checked_sub(count) {
            Some(rest) if count >= 0 && rest >= 0 => Ok(rest),
            _ => Err(format!("cannot remove {count} of {has} {name}")),
        };
        let after = Partition {
            rows: take("rows", self.rows, counts.rows)?,
            rejected: take("rejected", self.rejected, counts.rejected)?,
            removed: add(self.removed, add(counts.rows, counts.rejected)?)?,
            ..*self
        };
        after.check().map(|()| after)
    }

    fn accept(&self, count: &i64) -> Result<Partition, String> {
        match self.rejected.checked_sub(*count) {
            Some(rejected) if *count >= 0 && rejected >= 0 => {
                Ok(Partition { rejected, rows: add(self.rows, *count)?, ..*self })
            }
            _ => Err(format!("cannot accept {count} of {} rejected rows", self.rejected)),
        }
    }
}

fn add(a: i64, b: i64) -> Result<i64, String> {
    a.checked_add(b).ok_or_else(|| format!("{a} + {b} does not fit in 64 bits"))
}

fn check(commit_id: &str, steps: &Steps) -> Result<(), String> {
    if commit_id.is_empty() {
        return Err("the commit has no id".into());
    }
    for (source, partitions) in steps {
        if source.is_empty() {
            return Err("a source has no name".into());
        }
        for (partition, step) in partitions {
            let named = |why| format!("partition {partition} of {source}: {why}");
            if *partition < 0 {
                return Err(named("its number is negative".into()));
            }
            let counters = [
                ("rows", step.rows),
                ("rejected", step.rejected),
                ("absent", step.absent),
                ("lost", step.lost),
            ];
            adds_up(("from", step.from), step.until, step.extra, &counters).map_err(named)?;
            within(step.last, step.from, step.until).map_err(named)?;
        }
    }
    Ok(())
}

fn invalid(source: &str, partition: i32, why: &str) -> Verdict {
    Verdict::Invalid(format!("partition {partition} of {source}: {why}"))
}
