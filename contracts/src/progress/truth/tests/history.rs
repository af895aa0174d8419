//! The rule against random histories of a table: it gives the vector that describes the rows of
//! the current snapshot, or says that it cannot; never another vector. And it must not give up
//! where a summary or the property is within reach.
//!
//! Kafka never changes its mind: a partition is a fixed list of segments, each all records or all
//! without records. Each number of rows that an operation adds or takes is a power of three of its
//! own, so that equal totals mean equal rows, and rule 5 cannot be right by accident.

use proptest::prelude::*;

use super::lake::{Lake, SOURCE};
use super::*;

const PARTITIONS: usize = 2;
const SEGMENTS: usize = 8;
/// Powers of three: first those of foreign deletions, then of segments, then of foreign rows.
const FIRST_SEGMENT: u32 = 12;
const FIRST_FOREIGN: u32 = 28;
const LAST: u32 = 39;

/// The step over a partition's segment.
fn segment(partition: usize, at: usize, from: i64) -> Step {
    if (at + partition) % 4 == 3 {
        return Step { from, until: from + 5, absent: 5, ..Default::default() };
    }
    let records = 3i64.pow(FIRST_SEGMENT + (partition * SEGMENTS + at) as u32);
    let rejected = records / 3;
    let rows = records - rejected;
    Step { from, until: from + records, rows, rejected, ..Default::default() }
}

/// The next segment behind a head.
fn next_segment(vector: &Progress, partition: usize) -> Option<Step> {
    let head = vector.head(SOURCE, partition as i32).unwrap_or(0);
    let mut from = 0;
    for at in 0..SEGMENTS {
        let step = segment(partition, at, from);
        if from == head {
            return Some(step);
        }
        from = step.until;
    }
    None
}

/// The records between the start of a partition and a head.
fn records_before(vector: &Progress, partition: usize) -> i64 {
    let head = vector.head(SOURCE, partition as i32).unwrap_or(0);
    let (mut from, mut records) = (0, 0);
    for at in 0..SEGMENTS {
        let step = segment(partition, at, from);
        if from < head {
            records += step.rows + step.rejected;
        }
        from = step.until;
    }
    records
}

#[derive(Debug, Clone)]
enum Op {
    Commit {
        partitions: [bool; PARTITIONS],
    },
    Acknowledge {
        partition: usize,
    },
    Rewrite,
    Append,
    Delete {
        partition: usize,
    },
    /// Rollback or roll forward, to any standing snapshot.
    Roll {
        to: prop::sample::Index,
    },
    DropBranch,
    /// The oldest snapshots go, but for those that `kept` (tags) and the current one.
    Expire {
        oldest: usize,
        kept: u8,
    },
    RemoveProperty,
    DamageProperty,
    RestoreProperty {
        of: prop::sample::Index,
    },
    DamageHeads {
        of: prop::sample::Index,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        10 => any::<[bool; PARTITIONS]>().prop_map(|partitions| Op::Commit { partitions }),
        2 => (0..PARTITIONS).prop_map(|partition| Op::Acknowledge { partition }),
        3 => Just(Op::Rewrite),
        2 => Just(Op::Append),
        2 => (0..PARTITIONS).prop_map(|partition| Op::Delete { partition }),
        4 => index().prop_map(|to| Op::Roll { to }),
        1 => Just(Op::DropBranch),
        6 => (1..6usize, any::<u8>())
            .prop_map(|(oldest, kept)| Op::Expire { oldest, kept: kept & (kept >> 4) }),
        1 => Just(Op::RemoveProperty),
        1 => Just(Op::DamageProperty),
        2 => index().prop_map(|of| Op::RestoreProperty { of }),
        1 => index().prop_map(|of| Op::DamageHeads { of }),
    ]
}

#[derive(Default)]
struct World {
    lake: Lake,
    properties: Vec<String>,
    /// Foreign deletions that nobody acknowledged: snapshot → rows per partition.
    deleted: BTreeMap<i64, [i64; PARTITIONS]>,
    deletions: u32,
    appends: u32,
}

impl World {
    fn run(&mut self, op: &Op) {
        let before = self.lake.facts.current;
        match op {
            Op::Commit { partitions } => self.commit(partitions),
            Op::Acknowledge { partition } => self.acknowledge(*partition),
            Op::Rewrite => self.foreign(0, None),
            Op::Append if FIRST_FOREIGN + self.appends < LAST => {
                self.foreign(3i64.pow(FIRST_FOREIGN + self.appends), None);
                self.appends += 1;
            }
            Op::Delete { partition } if self.deletions < FIRST_SEGMENT => {
                // The least segment is greater than all deletions together.
                if records_before(&self.lake.now().0, *partition) > 0 {
                    self.foreign(-(3i64.pow(self.deletions)), Some(*partition));
                    self.deletions += 1;
                }
            }
            Op::Append | Op::Delete { .. } => {}
            Op::Roll { to } if !self.lake.facts.snapshots.is_empty() => {
                let id = to.get(&self.lake.facts.snapshots).id;
                self.lake.roll(id);
            }
            Op::Roll { .. } => {}
            Op::DropBranch => self.lake.facts.current = None,
            Op::Expire { oldest, kept } => {
                let snapshots = self.lake.facts.snapshots.iter().map(|snapshot| snapshot.id);
                let gone: Vec<i64> = snapshots
                    .take(*oldest)
                    .enumerate()
                    .filter(|(at, id)| kept & (1 << at) == 0 && Some(*id) != before)
                    .map(|(_, id)| id)
                    .collect();
                self.lake.expire(&gone);
            }
            Op::RemoveProperty => self.lake.facts.property = None,
            Op::DamageProperty => self.lake.facts.property = Some(r#"{"v":1}"#.into()),
            Op::RestoreProperty { of } if !self.properties.is_empty() => {
                self.lake.facts.property = Some(of.get(&self.properties).clone());
            }
            Op::RestoreProperty { .. } => {}
            Op::DamageHeads { of } if !self.lake.facts.snapshots.is_empty() => {
                let id = of.get(&self.lake.facts.snapshots).id;
                let snapshot = self.lake.snapshot(id);
                snapshot.heads = snapshot.heads.as_ref().map(|_| r#"{"v":1,"rev":0}"#.into());
            }
            Op::DamageHeads { .. } => {}
        }
    }

    /// What a commit of ours starts from: what the rule says, or nothing if it stops.
    fn known(&self) -> Option<Progress> {
        match self.lake.truth() {
            Truth::Empty => Some(Progress::default()),
            Truth::Property(progress) | Truth::Summary { progress, .. } => Some(progress),
            Truth::Unknowable(_) | Truth::Refused(_) => None,
        }
    }

    fn missing(&self) -> [i64; PARTITIONS] {
        let current = self.lake.facts.current.unwrap_or_default();
        self.deleted.get(&current).copied().unwrap_or_default()
    }

    fn commit(&mut self, partitions: &[bool; PARTITIONS]) {
        let Some(known) = self.known() else { return };
        let steps: Vec<(i32, Step)> = (0..PARTITIONS)
            .filter(|&partition| partitions[partition])
            .filter_map(|partition| Some((partition as i32, next_segment(&known, partition)?)))
            .collect();
        let missing = self.missing();
        let id = self.lake.advance(&known, &steps);
        self.deleted.insert(id, missing);
        self.properties.extend(self.lake.facts.property.clone());
    }

    fn acknowledge(&mut self, partition: usize) {
        let Some(known) = self.known() else { return };
        let mut missing = self.missing();
        if missing[partition] == 0 {
            return;
        }
        let rows = std::mem::take(&mut missing[partition]);
        let id = self.lake.acknowledge(&known, partition as i32, rows);
        self.deleted.insert(id, missing);
        self.properties.extend(self.lake.facts.property.clone());
    }

    fn foreign(&mut self, delta: i64, partition: Option<usize>) {
        let mut missing = self.missing();
        if let Some(partition) = partition {
            missing[partition] -= delta;
        }
        let id = self.lake.foreign(delta);
        self.deleted.insert(id, missing);
    }

    /// The snapshots of the current chain that stand, newest first.
    fn chain(&self) -> Vec<&SnapshotFacts> {
        let mut chain = Vec::new();
        let mut next = self.lake.facts.current;
        while let Some(id) = next {
            let standing = self.lake.facts.snapshots.iter().find(|snapshot| snapshot.id == id);
            next = standing.and_then(|snapshot| snapshot.parent);
            chain.extend(standing);
        }
        chain
    }

    fn check(&self) {
        let (truth, _) = self.lake.now();
        let chain = self.chain();
        let ours = chain.iter().copied().find(|snapshot| snapshot.commit_id.is_some());
        match self.lake.truth() {
            Truth::Empty => assert_eq!((self.lake.facts.current, chain.len()), (None, 0)),
            Truth::Property(progress) if ours.is_some_and(|ours| ours.id == progress.snapshot) => {
                assert_eq!(progress.sources, truth.sources);
            }
            Truth::Property(progress) => {
                // Found behind expiry: the same records, whoever says so.
                for partition in 0..PARTITIONS {
                    let expected = records_before(&truth, partition);
                    assert_eq!(records_before(&progress, partition), expected);
                }
            }
            Truth::Summary { progress, snapshot, .. } => {
                assert_eq!(progress.sources, truth.sources);
                assert_eq!(Some(snapshot), ours.map(|ours| ours.id));
                let named = (progress.snapshot, Some(progress.seq));
                assert_eq!(named, (snapshot, ours.map(|ours| ours.seq)));
            }
            Truth::Unknowable(message) => self.check_unknowable(&chain, ours, &message),
            Truth::Refused(error) => panic!("{error}"),
        }
    }

    /// Nothing that decides may have been within reach.
    fn check_unknowable(
        &self,
        chain: &[&SnapshotFacts],
        ours: Option<&SnapshotFacts>,
        message: &str,
    ) {
        let property = self.lake.facts.property.as_deref().map(Progress::from_json);
        let names = property.and_then(Result::ok).map(|property| property.snapshot);
        let Some(oldest) = chain.last() else { return };
        if let Some(ours) = ours {
            assert!(Progress::from_heads(ours.heads.as_deref().unwrap()).is_err(), "{message}");
            assert_ne!(names, Some(ours.id), "{message}");
        } else {
            assert!(names.is_none() || oldest.parent != names, "{message}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn never_a_wrong_vector(ops in prop::collection::vec(op(), 1..40)) {
        let mut world = World::default();
        world.check();
        for op in &ops {
            world.run(op);
            world.check();
        }
    }
}
