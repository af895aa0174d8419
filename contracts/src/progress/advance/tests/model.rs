//! The algebra against the plainest model there is: the set of offsets that the table owns, with
//! what became of each. Several writers whose view may be stale read, commit, repeat themselves
//! and race; operators acknowledge deletions.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const PARTITIONS: usize = 4;
const WRITERS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Row,
    Rejected,
    Absent,
    Lost,
    Removed,
}

/// What Kafka says of an offset: always the same.
fn kafka(partition: usize, offset: i64) -> Kind {
    match (offset * 7 + partition as i64 * 3) % 5 {
        0 => Kind::Rejected,
        1 => Kind::Absent,
        2 if offset % 4 == 2 => Kind::Lost,
        _ => Kind::Row,
    }
}

/// Partitions 0, 1 belong to one source, 2, 3 to another; each starts at an offset of its own.
fn place(partition: usize) -> (&'static str, i32, i64) {
    let source = if partition < 2 { SOURCE } else { OTHER };
    (source, partition as i32 % 2, partition as i64 * 10)
}

#[derive(Debug, Clone)]
enum Op {
    /// A writer seeks to the heads of the table.
    Seek { writer: usize },
    /// A writer commits this many offsets of each partition that has a number.
    Commit { writer: usize, counts: [Option<u8>; PARTITIONS] },
    /// A writer repeats its last commit, not knowing whether it landed.
    Repeat { writer: usize },
    /// Others deleted this many rows and rejects, and an operator acknowledges it.
    Acknowledge { partition: usize, rows: u8, rejected: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    let writer = || 0..WRITERS;
    let counts = || prop::array::uniform4(prop::option::of(0..6u8));
    prop_oneof![
        2 => writer().prop_map(|writer| Op::Seek { writer }),
        6 => (writer(), counts()).prop_map(|(writer, counts)| Op::Commit { writer, counts }),
        1 => writer().prop_map(|writer| Op::Repeat { writer }),
        1 => (0..PARTITIONS, 0..4u8, 0..3u8)
            .prop_map(|(partition, rows, rejected)| Op::Acknowledge { partition, rows, rejected }),
    ]
}

#[derive(Default)]
struct Writer {
    positions: [Option<i64>; PARTITIONS],
    last: Option<(String, Steps)>,
}

#[derive(Default)]
struct Model {
    owned: [BTreeSet<(i64, Kind)>; PARTITIONS],
    opened: [bool; PARTITIONS],
    landed: Vec<String>,
}

impl Model {
    fn head(&self, partition: usize) -> Option<i64> {
        let next = self.owned[partition].last().map(|(offset, _)| offset + 1);
        self.opened[partition].then(|| next.unwrap_or(place(partition).2))
    }

    fn count(&self, partition: usize, kind: Kind) -> i64 {
        self.owned[partition].iter().filter(|(_, of)| *of == kind).count() as i64
    }

    /// Takes what a batch holds; an offset that is owned already is a doubled record.
    fn take(&mut self, partition: usize, from: i64, until: i64) {
        assert!(self.head(partition).is_none_or(|head| head == from), "a gap or an overlap");
        self.opened[partition] = true;
        for offset in from..until {
            assert!(self.owned[partition].insert((offset, kafka(partition, offset))));
        }
    }

    fn expected(&self, partition: usize) -> Option<Partition> {
        let until = self.head(partition)?;
        Some(Partition {
            start: place(partition).2,
            until,
            rows: self.count(partition, Kind::Row),
            rejected: self.count(partition, Kind::Rejected),
            absent: self.count(partition, Kind::Absent),
            lost: self.count(partition, Kind::Lost),
            removed: self.count(partition, Kind::Removed),
            extra: 0,
            last: None,
        })
    }

    fn remove(&mut self, partition: usize, kind: Kind, count: u8) {
        let of_kind = self.owned[partition].iter().filter(|(_, of)| *of == kind);
        let gone: Vec<_> = of_kind.copied().take(count.into()).collect();
        for (offset, kind) in gone {
            self.owned[partition].remove(&(offset, kind));
            self.owned[partition].insert((offset, Kind::Removed));
        }
    }
}

fn batch(writer: &Writer, counts: &[Option<u8>; PARTITIONS]) -> Steps {
    let mut batch = Steps::new();
    for (number, count) in counts.iter().enumerate() {
        let Some(count) = count else { continue };
        let (source, partition, start) = place(number);
        let from = writer.positions[number].unwrap_or(start);
        let until = from + i64::from(*count);
        let count = |kind| (from..until).filter(|at| kafka(number, *at) == kind).count() as i64;
        let step = Step {
            from,
            until,
            rows: count(Kind::Row),
            rejected: count(Kind::Rejected),
            absent: count(Kind::Absent),
            lost: count(Kind::Lost),
            extra: 0,
            last: None,
        };
        batch.entry(source.to_string()).or_default().insert(partition, step);
    }
    batch
}

#[derive(Default)]
struct World {
    table: Progress,
    model: Model,
    writers: [Writer; WRITERS],
}

impl World {
    fn run(&mut self, at: usize, op: &Op) {
        match op {
            Op::Seek { writer } => {
                for number in 0..PARTITIONS {
                    let (source, partition, _) = place(number);
                    self.writers[*writer].positions[number] = self.table.head(source, partition);
                }
            }
            Op::Commit { writer, counts } => {
                let steps = batch(&self.writers[*writer], counts);
                self.commit(*writer, format!("c{at}"), steps);
            }
            Op::Repeat { writer } => {
                if let Some((id, steps)) = self.writers[*writer].last.clone() {
                    self.commit(*writer, id, steps);
                }
            }
            Op::Acknowledge { partition, rows, rejected } => {
                self.acknowledge(at, *partition, *rows, *rejected);
            }
        }
    }

    fn commit(&mut self, writer: usize, id: String, steps: Steps) {
        let step_of = |number: usize| {
            let (source, partition, _) = place(number);
            steps.get(source).and_then(|p| p.get(&partition)).copied()
        };
        let moved: Vec<usize> = (0..PARTITIONS)
            .filter(|&number| match (step_of(number), self.model.head(number)) {
                (Some(step), Some(head)) => step.from != head,
                _ => false,
            })
            .collect();
        match self.table.advance(&id, &steps) {
            Verdict::Already => assert!(self.model.landed.contains(&id)),
            Verdict::Invalid(why) => panic!("{why}"),
            Verdict::Fenced(fences) => {
                let named: Vec<usize> = (0..PARTITIONS)
                    .filter(|&number| {
                        let (source, partition, _) = place(number);
                        fences.iter().any(|f| f.source == source && f.partition == partition)
                    })
                    .collect();
                assert_eq!((fences.len(), named), (moved.len(), moved));
            }
            Verdict::Apply(next) => {
                assert!(moved.is_empty());
                for number in 0..PARTITIONS {
                    if let Some(step) = step_of(number) {
                        self.model.take(number, step.from, step.until);
                        self.writers[writer].positions[number] = Some(step.until);
                    }
                }
                self.model.landed.push(id.clone());
                self.table = next;
            }
        }
        self.writers[writer].last = Some((id, steps));
    }

    fn acknowledge(&mut self, at: usize, number: usize, rows: u8, rejected: u8) {
        let (source, partition, _) = place(number);
        let counts = Removed { rows: rows.into(), rejected: rejected.into() };
        let removed = BTreeMap::from([(source.into(), BTreeMap::from([(partition, counts)]))]);
        let possible = self.model.opened[number]
            && self.model.count(number, Kind::Row) >= counts.rows
            && self.model.count(number, Kind::Rejected) >= counts.rejected;
        match self.table.remove(&format!("ack{at}"), &removed) {
            Verdict::Apply(next) => {
                assert!(possible);
                self.model.remove(number, Kind::Row, rows);
                self.model.remove(number, Kind::Rejected, rejected);
                self.table = next;
            }
            Verdict::Invalid(_) => assert!(!possible),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn the_vector_is_the_set_of_offsets(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::default();
        for (at, op) in ops.iter().enumerate() {
            world.run(at, op);
            for number in 0..PARTITIONS {
                let (source, partition, _) = place(number);
                let known = world.table.sources.get(source).and_then(|p| p.get(&partition));
                prop_assert_eq!(known.copied(), world.model.expected(number));
            }
            let read = Progress::from_json(&world.table.to_json());
            prop_assert_eq!(read.as_ref(), Ok(&world.table));
            let heads = Progress::from_heads(&world.table.to_heads()).map(|read| read.sources);
            prop_assert_eq!(heads.as_ref(), Ok(&world.table.sources));
        }
    }
}
