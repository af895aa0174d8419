//! Whether the topics of the streams are set up as their contracts ask. Pure: topics found in, what to
//! do out. What exists is never changed by Weir; the plan says which command would.

use weir_contract::contract::{Cleanup, Retention, Topic};

/// Retention below which an outage of ingest over a night loses records, ms.
pub const RETENTION_LEAST_MS: i64 = 24 * 60 * 60 * 1000;

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Partitions.
    pub partitions: u32,
    /// Replicas of the partition that has the fewest.
    pub replication: u16,
    /// `retention.ms`.
    pub retention: Retention,
    /// `cleanup.policy`.
    pub cleanup: Cleanup,
}

/// What to do about a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does not exist.
    Missing,
    /// It is as its contract asks.
    InOrder,
    /// It differs.
    Drift(Vec<Difference>),
}

impl State {
    /// Does the topic exist, and differ?
    pub fn is_drift(&self) -> bool {
        matches!(self, State::Drift(_))
    }

    /// The word for it in output.
    pub fn name(&self) -> &'static str {
        match self {
            State::Missing => "create",
            State::InOrder => "in_order",
            State::Drift(_) => "drift",
        }
    }
}

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `partitions`, `replication`, `retention` or `cleanup`.
    pub setting: &'static str,
    /// As the contract asks.
    pub wanted: String,
    /// As it is.
    pub found: String,
    /// What mends it.
    pub mend: String,
}

/// The plan for one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What to do.
    pub state: State,
    /// What the operator should know of it.
    pub warnings: Vec<String>,
}

/// Plans one topic. What `wanted` leaves open is the broker's to decide, and never a drift.
/// `bootstrap` is for the commands that mend.
pub fn plan(bootstrap: &str, topic: &str, wanted: &Topic, found: Option<&Found>) -> Plan {
    let Some(found) = found else {
        let warnings = risks(wanted.retention, wanted.cleanup);
        return Plan { state: State::Missing, warnings };
    };
    let mut warnings = risks(Some(found.retention), Some(found.cleanup));
    let mut differences = Vec::new();
    let alter = format!("--bootstrap-server {bootstrap} --alter");
    if let Some(wanted) = wanted.partitions
        && wanted != found.partitions
    {
        let mend = match wanted > found.partitions {
            true => {
                warnings.push(
                    "more partitions send a key to another partition: records of one key from \
                     before and after may be read in another order"
                        .into(),
                );
                format!("kafka-topics.sh {alter} --topic {topic} --partitions {wanted}")
            }
            false => format!(
                "partitions cannot be taken away: set weir.topicPartitions to {}, or make a new \
                 topic",
                found.partitions
            ),
        };
        differences.push(difference("partitions", wanted, found.partitions, mend));
    }
    if let Some(wanted) = wanted.replication
        && wanted != found.replication
    {
        let mend = format!(
            "kafka-reassign-partitions.sh --bootstrap-server {bootstrap} --execute \
             --reassignment-json-file FILE, with {wanted} replicas for each partition of {topic}"
        );
        differences.push(difference("replication", wanted, found.replication, mend));
    }
    let config = |set: String| {
        format!(
            "kafka-configs.sh {alter} --entity-type topics --entity-name {topic} --add-config {set}"
        )
    };
    if let Some(wanted) = wanted.retention
        && wanted != found.retention
    {
        let mend = config(format!("retention.ms={}", wanted.ms()));
        differences.push(difference("retention", wanted, found.retention, mend));
    }
    if let Some(wanted) = wanted.cleanup
        && wanted != found.cleanup
    {
        let mend = config(format!("cleanup.policy=[{}]", wanted.policy()));
        differences.push(difference("cleanup", wanted.policy(), found.cleanup.policy(), mend));
    }
    match differences.is_empty() {
        true => Plan { state: State::InOrder, warnings },
        false => Plan { state: State::Drift(differences), warnings },
    }
}

fn difference(
    setting: &'static str,
    wanted: impl ToString,
    found: impl ToString,
    mend: String,
) -> Difference {
    Difference { setting, wanted: wanted.to_string(), found: found.to_string(), mend }
}

/// What a topic's settings put at risk, whoever chose them.
fn risks(retention: Option<Retention>, cleanup: Option<Cleanup>) -> Vec<String> {
    let mut risks = Vec::new();
    if let Some(Retention::Ms(ms)) = retention
        && ms < RETENTION_LEAST_MS
        && cleanup != Some(Cleanup::Compact)
    {
        risks.push(format!(
            "records that ingest has not read within {} are lost; a day bridges an outage over a \
             night",
            Retention::Ms(ms)
        ));
    }
    if cleanup.is_some_and(|cleanup| cleanup != Cleanup::Delete) {
        risks.push(
            "compaction removes records that a later one of their key supersedes; what ingest has \
             not read by then never reaches the lake and is counted as absent"
                .into(),
        );
    }
    risks
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = RETENTION_LEAST_MS;

    fn found() -> Found {
        Found {
            partitions: 6,
            replication: 1,
            retention: Retention::Ms(7 * DAY),
            cleanup: Cleanup::Delete,
        }
    }

    fn wanted() -> Topic {
        Topic {
            partitions: Some(6),
            replication: None,
            retention: Some(Retention::Ms(7 * DAY)),
            cleanup: Some(Cleanup::Delete),
        }
    }

    fn planned(wanted: Topic, found: Option<Found>) -> Plan {
        plan("b:9092", "t", &wanted, found.as_ref())
    }

    fn differences(plan: &Plan) -> Vec<(&'static str, &str, &str)> {
        let State::Drift(differences) = &plan.state else { panic!("{plan:?}") };
        differences.iter().map(|d| (d.setting, d.found.as_str(), d.mend.as_str())).collect()
    }

    #[test]
    fn a_topic_is_missing_in_order_or_differs() {
        assert_eq!(planned(wanted(), None).state, State::Missing);
        let in_order = planned(wanted(), Some(found()));
        assert_eq!(in_order, Plan { state: State::InOrder, warnings: vec![] });
        // What the contract leaves open is nobody's mistake.
        let open = planned(Topic::default(), Some(found()));
        assert_eq!(open.state, State::InOrder);
    }

    #[test]
    fn each_difference_names_the_command_that_mends_it() {
        let other = Topic {
            partitions: Some(12),
            replication: Some(3),
            retention: Some(Retention::Forever),
            cleanup: Some(Cleanup::Both),
        };
        let plan = planned(other, Some(found()));
        let config = "kafka-configs.sh --bootstrap-server b:9092 --alter --entity-type topics \
                      --entity-name t --add-config ";
        let (retention, cleanup) = (
            format!("{config}retention.ms=-1"),
            format!("{config}cleanup.policy=[compact,delete]"),
        );
        let expected = [
            (
                "partitions",
                "6",
                "kafka-topics.sh --bootstrap-server b:9092 --alter --topic t --partitions 12",
            ),
            (
                "replication",
                "1",
                "kafka-reassign-partitions.sh --bootstrap-server b:9092 --execute \
                 --reassignment-json-file FILE, with 3 replicas for each partition of t",
            ),
            ("retention", "7d", retention.as_str()),
            ("cleanup", "delete", cleanup.as_str()),
        ];
        assert_eq!(differences(&plan), expected);
        assert!(plan.warnings[0].contains("another partition"), "{plan:?}");
    }

    #[test]
    fn partitions_are_never_taken_away() {
        let fewer = Topic { partitions: Some(3), ..wanted() };
        let plan = planned(fewer, Some(found()));
        assert!(differences(&plan)[0].2.contains("set weir.topicPartitions to 6"), "{plan:?}");
        assert_eq!(plan.warnings, Vec::<String>::new());
    }

    #[test]
    fn short_retention_and_compaction_are_warned_of() {
        let hour = Found { retention: Retention::Ms(DAY / 24), ..found() };
        let plan = planned(Topic::default(), Some(hour));
        assert!(plan.warnings[0].contains("within 1h are lost"), "{plan:?}");
        let compacted = Found { cleanup: Cleanup::Compact, ..found() };
        let plan = planned(Topic::default(), Some(compacted));
        assert!(plan.warnings[0].contains("counted as absent"), "{plan:?}");
        let asked = Topic { cleanup: Some(Cleanup::Both), ..wanted() };
        assert_eq!(planned(asked, None).warnings.len(), 1);
    }
}
