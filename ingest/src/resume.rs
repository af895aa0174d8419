//! Where the partitions of a source start: from the table's progress and the broker's watermarks. Pure.
//!
//! The table's head is the only position there is. A source that the table has never seen is *opened*:
//! the first start of all its partitions is written down in one commit before a record is read, so that
//! members of a group agree on it and a partition that appears later is known to be new and starts at 0.
//! What cannot be resumed without losing or doubling records stops the stream, with what to do;
//! an operator's `--accept` turns a stop into a recorded step.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use weir_contract::names::SourceId;
use weir_contract::progress::{Fingerprint, Partition, Progress, Step, Steps};

use crate::source::Watermarks;

/// Where a source that the table has never seen starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At the oldest record that the broker still has.
    #[default]
    Earliest,
    /// At the end: only records produced from now on.
    Latest,
}

/// What an operator can accept, by name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AcceptKind {
    /// Offsets that the broker deleted before they were read.
    LostOffsets,
    /// The topic was deleted and made again: a new source, from its beginning.
    RecreatedTopic,
    /// The topic of this name on another Kafka cluster: a new source, from its beginning.
    OtherCluster,
    /// Another topic than the table was fed from so far: a new source, from its beginning.
    OtherTopic,
}

impl AcceptKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [AcceptKind; 4] = [
        AcceptKind::LostOffsets,
        AcceptKind::RecreatedTopic,
        AcceptKind::OtherCluster,
        AcceptKind::OtherTopic,
    ];

    /// The name on the command line and in `weir.accepted`.
    pub fn name(self) -> &'static str {
        match self {
            AcceptKind::LostOffsets => "lost-offsets",
            AcceptKind::RecreatedTopic => "recreated-topic",
            AcceptKind::OtherCluster => "other-cluster",
            AcceptKind::OtherTopic => "other-topic",
        }
    }
}

impl FromStr for AcceptKind {
    type Err = String;

    fn from_str(text: &str) -> Result<AcceptKind, String> {
        AcceptKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<_> = AcceptKind::ALL.iter().map(|kind| kind.name()).collect();
            format!("{text:?} is none of {}", names.join(", "))
        })
    }
}

/// Why a stream cannot go on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The broker's oldest offset lies past the table's head.
    LostOffsets {
        /// Kafka partition.
        partition: i32,
        /// The table's head: the first offset that is not in it.
        head: i64,
        /// The oldest offset that the broker still has.
        low: i64,
    },
    /// The table's head lies past the broker's end: the broker lost records that we have, or the
    /// topic was made again by a broker that gives no topic ids.
    Truncated {
        /// Kafka partition.
        partition: i32,
        /// The table's head.
        head: i64,
        /// The broker's end.
        high: i64,
    },
    /// The table was fed from other sources only.
    NewSource {
        /// What would have to be accepted.
        kind: AcceptKind,
        /// The source that the table knows, the most similar one.
        known: String,
        /// The source that the config leads to now.
        found: String,
    },
    /// The last record that the table took is another one now (brokers without topic ids).
    OtherRecord {
        /// Kafka partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::LostOffsets { partition, head, low } => write!(
                f,
                "partition {partition}: the broker deleted offsets {head} to {} ({} offsets) before \
                 they were ingested; raise the topic's retention, and go on without them by \
                 `--accept lost-offsets`, which counts them as lost",
                low - 1,
                low - head
            ),
            Problem::Truncated { partition, head, high } => write!(
                f,
                "partition {partition}: the table holds offsets up to {head}, but the broker ends at \
                 {high}: it lost records, or the topic was replaced under the same id; compare both \
                 before anything else, and feed the table from a new topic with `--accept other-topic`"
            ),
            Problem::NewSource { kind, known, found } => write!(
                f,
                "the table was fed from {known}, and the config now leads to {found}; if that is \
                 meant, `--accept {}` takes it as a new source from its beginning",
                kind.name()
            ),
            Problem::OtherRecord { partition, offset } => write!(
                f,
                "partition {partition}: the record at offset {offset} is not the one that the table \
                 holds: the topic was made again; feed the table from a topic of another name with \
                 `--accept other-topic`"
            ),
        }
    }
}

/// What the decision is made on.
#[derive(Debug)]
pub struct ResumeFacts<'a> {
    /// The source that the config leads to.
    pub source: &'a SourceId,
    /// The table's progress.
    pub progress: &'a Progress,
    /// Watermarks of the partitions to start; of all partitions where the source is unknown.
    pub watermarks: &'a [Watermarks],
    /// First start of an unknown source.
    pub start: Start,
    /// What the operator accepts.
    pub accept: &'a [AcceptKind],
}

/// Where a partition goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Kafka partition.
    pub partition: i32,
    /// The table's head: the first offset that is not in it.
    pub head: i64,
    /// The last record that the table took, to be read once more and compared (brokers without
    /// topic ids); none where the broker has deleted it.
    pub probe: Option<Fingerprint>,
}

impl Begin {
    /// The offset to read from.
    pub fn offset(&self) -> i64 {
        self.probe.map_or(self.head, |probe| probe.offset)
    }
}

/// What to do about the partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Read each partition from there.
    Start(Vec<Begin>),
    /// Commit these steps first, then decide again: a source is opened, or offsets are given up.
    Record {
        /// Steps without records.
        steps: Steps,
        /// What was accepted by whom it may concern, for `weir.accepted`; empty for a first start.
        accepted: Vec<String>,
    },
    /// Stop the stream.
    Stop(Vec<Problem>),
}

/// Decides where each partition starts; see the module's text for the rules.
pub fn decide_resume(facts: &ResumeFacts<'_>) -> Resume {
    let id = facts.source.to_string();
    let Some(known) = facts.progress.sources.get(&id) else {
        return open_source(facts, &id);
    };
    let mut starts = Vec::new();
    let mut lost: BTreeMap<i32, Step> = BTreeMap::new();
    let mut problems = Vec::new();
    for mark in facts.watermarks {
        // A partition that appears later starts at its beginning, offset 0.
        let known = known.get(&mark.partition);
        let head = known.map_or(0, |p: &Partition| p.until);
        if mark.low > head {
            problems.push(Problem::LostOffsets { partition: mark.partition, head, low: mark.low });
            let step =
                Step { from: head, until: mark.low, lost: mark.low - head, ..Step::at(head) };
            lost.insert(mark.partition, step);
        } else if mark.high < head {
            problems.push(Problem::Truncated { partition: mark.partition, head, high: mark.high });
        } else {
            let probe = known.and_then(|p| p.last).filter(|last| last.offset >= mark.low);
            starts.push(Begin { partition: mark.partition, head, probe });
        }
    }
    if problems.is_empty() {
        return Resume::Start(starts);
    }
    let all_lost = problems.iter().all(|p| matches!(p, Problem::LostOffsets { .. }));
    if all_lost && facts.accept.contains(&AcceptKind::LostOffsets) {
        let accepted = lost
            .iter()
            .map(|(partition, step)| {
                format!("lost-offsets {id} partition {partition} {}..{}", step.from, step.until)
            })
            .collect();
        return Resume::Record { steps: Steps::from([(id, lost)]), accepted };
    }
    Resume::Stop(problems)
}

fn open_source(facts: &ResumeFacts<'_>, id: &str) -> Resume {
    let similar = most_similar(facts.source, facts.progress);
    let mut accepted = Vec::new();
    if let Some((kind, known)) = similar {
        if !facts.accept.contains(&kind) {
            return Resume::Stop(vec![Problem::NewSource { kind, known, found: id.into() }]);
        }
        accepted.push(format!("{} {id} after {known}", kind.name()));
    }
    // The config's start is for a table's first source; one that replaces another starts at its
    // beginning, so that nothing produced in between is passed over.
    let start = if accepted.is_empty() { facts.start } else { Start::Earliest };
    let steps = facts
        .watermarks
        .iter()
        .map(|mark| match start {
            Start::Earliest => (mark.partition, Step::at(mark.low)),
            Start::Latest => (mark.partition, Step::at(mark.stable)),
        })
        .collect();
    Resume::Record { steps: Steps::from([(id.to_string(), steps)]), accepted }
}

/// The known source that differs least from `source`, and what accepting the change is called.
fn most_similar(source: &SourceId, progress: &Progress) -> Option<(AcceptKind, String)> {
    let kinds = progress.sources.keys().map(|known| {
        let kind = match known.parse::<SourceId>() {
            Ok(k) if k.cluster == source.cluster && k.topic == source.topic => {
                AcceptKind::RecreatedTopic
            }
            Ok(k) if k.topic == source.topic => AcceptKind::OtherCluster,
            _ => AcceptKind::OtherTopic,
        };
        (kind, known.clone())
    });
    kinds.min_by_key(|(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(cluster: &str, topic: &str, topic_id: &str) -> SourceId {
        SourceId { cluster: cluster.into(), topic: topic.into(), topic_id: topic_id.into() }
    }

    fn mark(partition: i32, low: i64, high: i64) -> Watermarks {
        Watermarks { partition, low, high, stable: high }
    }

    fn at(heads: &[(i32, i64)]) -> Progress {
        let mut progress = Progress::default();
        let partitions = heads
            .iter()
            .map(|(p, until)| {
                (*p, Partition { until: *until, rows: *until, ..Partition::default() })
            })
            .collect();
        progress.sources.insert("c/t/1".into(), partitions);
        progress
    }

    fn check(
        progress: &Progress,
        marks: &[Watermarks],
        accept: &[AcceptKind],
        found: SourceId,
    ) -> Resume {
        decide_resume(&ResumeFacts {
            source: &found,
            progress,
            watermarks: marks,
            start: Start::Latest,
            accept,
        })
    }

    #[test]
    fn known_partitions_start_at_the_head_and_new_ones_at_zero() {
        let resume = check(
            &at(&[(0, 5), (1, 9)]),
            &[mark(0, 2, 8), mark(2, 0, 3)],
            &[],
            source("c", "t", "1"),
        );
        let begin = |partition, head| Begin { partition, head, probe: None };
        assert_eq!(resume, Resume::Start(vec![begin(0, 5), begin(2, 0)]));
    }

    #[test]
    fn the_last_record_is_compared_where_the_broker_still_has_it() {
        let last = Fingerprint { offset: 3, time_ms: 1, crc: 2 };
        let mut progress = at(&[(0, 5)]);
        let known = progress.sources.get_mut("c/t/1").unwrap();
        known.get_mut(&0).unwrap().last = Some(last);
        for (low, probe, offset) in [(0, Some(last), 3), (3, Some(last), 3), (4, None, 5)] {
            let begin = Begin { partition: 0, head: 5, probe };
            assert_eq!(begin.offset(), offset);
            let resume = check(&progress, &[mark(0, low, 9)], &[], source("c", "t", "1"));
            assert_eq!(resume, Resume::Start(vec![begin]));
        }
    }

    #[test]
    fn a_first_start_is_written_down_for_all_partitions() {
        let resume = check(
            &Progress::default(),
            &[mark(0, 2, 8), mark(1, 0, 0)],
            &[],
            source("c", "t", "1"),
        );
        let steps = BTreeMap::from([(0, Step::at(8)), (1, Step::at(0))]);
        let steps = Steps::from([("c/t/1".to_string(), steps)]);
        assert_eq!(resume, Resume::Record { steps, accepted: vec![] });
    }

    #[test]
    fn lost_offsets_stop_until_they_are_accepted() {
        let stop = check(&at(&[(0, 5)]), &[mark(0, 7, 9)], &[], source("c", "t", "1"));
        let problem = Problem::LostOffsets { partition: 0, head: 5, low: 7 };
        assert_eq!(stop, Resume::Stop(vec![problem.clone()]));
        assert!(problem.to_string().contains("offsets 5 to 6 (2 offsets)"), "{problem}");

        let accept = [AcceptKind::LostOffsets];
        let go = check(&at(&[(0, 5)]), &[mark(0, 7, 9)], &accept, source("c", "t", "1"));
        let step = Step { from: 5, until: 7, lost: 2, ..Step::at(5) };
        assert_eq!(
            go,
            Resume::Record {
                steps: Steps::from([("c/t/1".into(), BTreeMap::from([(0, step)]))]),
                accepted: vec!["lost-offsets c/t/1 partition 0 5..7".into()],
            }
        );
    }

    #[test]
    fn a_new_partition_that_has_lost_its_beginning_stops() {
        let stop = check(&at(&[(0, 5)]), &[mark(3, 4, 9)], &[], source("c", "t", "1"));
        assert_eq!(
            stop,
            Resume::Stop(vec![Problem::LostOffsets { partition: 3, head: 0, low: 4 }])
        );
    }

    #[test]
    fn an_end_before_the_head_stops_whatever_is_accepted() {
        let stop = check(&at(&[(0, 5)]), &[mark(0, 0, 4)], &AcceptKind::ALL, source("c", "t", "1"));
        assert_eq!(stop, Resume::Stop(vec![Problem::Truncated { partition: 0, head: 5, high: 4 }]));
    }

    #[test]
    fn another_source_stops_by_its_kind_and_starts_at_its_beginning_when_accepted() {
        let cases = [
            (source("c", "t", "2"), AcceptKind::RecreatedTopic),
            (source("d", "t", "1"), AcceptKind::OtherCluster),
            (source("c", "u", "1"), AcceptKind::OtherTopic),
        ];
        for (found, kind) in cases {
            let id = found.to_string();
            let stop = check(&at(&[(0, 5)]), &[mark(0, 3, 9)], &[], found.clone());
            let known = "c/t/1".to_string();
            let problem = Problem::NewSource { kind, known, found: id.clone() };
            assert_eq!(stop, Resume::Stop(vec![problem]));
            match check(&at(&[(0, 5)]), &[mark(0, 3, 9)], &[kind], found) {
                Resume::Record { steps, accepted } => {
                    assert_eq!(steps[&id][&0], Step::at(3));
                    assert_eq!(accepted, [format!("{} {id} after c/t/1", kind.name())]);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
