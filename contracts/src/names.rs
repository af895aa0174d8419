//! Every name that Weir writes to disk or to the wire, spelled once.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Namespace of the tables that ingest writes.
pub const NAMESPACE_RAW: &str = "raw";
/// Namespace of the models that are one stream each, cleansed.
pub const NAMESPACE_STAGING: &str = "staging";
/// Namespace of the models that people read.
pub const NAMESPACE_MART: &str = "mart";
/// Namespace of what Weir says about its own work.
pub const NAMESPACE_OPS: &str = "ops";
/// The view `ops.rejects` over the rejected rows of all raw tables.
pub const VIEW_REJECTS: &str = "rejects";

/// What the name of a reference table is followed by in the view of its rows that count.
pub const VIEW_HISTORY_SUFFIX: &str = "_history";

/// First part of the source whose offsets are the loads of a reference table.
pub const NAMESPACE_SEED: &str = "seed";

/// What a tag of the snapshot ladder begins with; the hour follows, `2026-11-28T17` in UTC.
pub const TAG_HOUR_PREFIX: &str = "weir-hour-";
/// The same of a day, `2026-11-28`.
pub const TAG_DAY_PREFIX: &str = "weir-day-";
/// The same of a month, `2026-11`.
pub const TAG_MONTH_PREFIX: &str = "weir-month-";
/// What the tag begins with by which changes without a snapshot see each other in a REST catalog; a
/// number follows.
pub const TAG_TURN_PREFIX: &str = "weir-turn-";
/// What all of them begin with, and no tag that people set.
pub const TAG_PREFIX: &str = "weir-";

/// Namespace of the reference tables, which `weir seed` writes.
pub const NAMESPACE_REF: &str = "ref";

/// What a keyed hash begins with; 64 hex digits of HMAC-SHA-256 follow.
pub const HASH_PREFIX: &str = "hmac-sha256:";

/// Reserved columns of a raw table, behind the contract's own.
pub mod column {
    /// Short id of the source; the full one stands in the table property `weir.source.<short>`.
    pub const SOURCE: &str = "_source";
    /// Kafka partition.
    pub const PARTITION: &str = "_kafka_partition";
    /// Kafka offset.
    pub const OFFSET: &str = "_offset";
    /// Kafka record timestamp, µs UTC; null where the record has none.
    pub const KAFKA_TIME: &str = "_kafka_time";
    /// When Weir decoded the record, µs UTC.
    pub const INGESTED_AT: &str = "_ingested_at";
    /// Kafka key, as bytes.
    pub const KEY: &str = "_key";
    /// Trace id (32 hex digits) of the record header `traceparent`.
    pub const TRACE_ID: &str = "_trace_id";
    /// Unknown members, verbatim, as one JSON object.
    pub const EXTRA: &str = "_extra";
    /// Why the record was rejected; null if it was accepted.
    pub const ERROR: &str = "_error";
    /// The record's value, as bytes: of rejected rows, or of all if the contract says so.
    pub const VALUE: &str = "_value";
    /// The record's headers as JSON, `[["name","base64"|null],...]`; kept where `_value` is.
    pub const HEADERS: &str = "_headers";
    /// 0; raised by redrive.
    pub const REV: &str = "_rev";

    /// Number of the load that brought the row; the one reserved column of a reference table.
    pub const LOAD: &str = "_load";
    /// From when on a row of a reference table holds.
    pub const VALID_FROM: &str = "valid_from";
    /// Until when it holds, that instant not included; null while it does.
    pub const VALID_TO: &str = "valid_to";

    /// The event's time: partitions every raw table, by day or month.
    pub const EVENT_TIME: &str = "event_time";
    /// The event's id.
    pub const EVENT_ID: &str = "event_id";
    /// The event's type: decides which members are required.
    pub const EVENT_TYPE: &str = "event_type";
    /// The machine that speaks.
    pub const MACHINE_ID: &str = "machine_id";

    /// Columns whose text a rejected row keeps in `_error`, in that order.
    pub const IDENTITY: [&str; 4] = [EVENT_ID, EVENT_TYPE, MACHINE_ID, EVENT_TIME];

    /// Members of the struct `_error`, in order. All are strings.
    pub const ERROR_MEMBERS: [&str; 8] = [
        "class",
        "field",
        "message",
        "contract_version",
        "event_id",
        "event_type",
        "machine_id",
        "event_time",
    ];
}

/// Keys of table properties and snapshot summaries.
pub mod key {
    /// Table property: the table's progress, JSON.
    pub const PROGRESS: &str = "weir.progress";
    /// Table property: up to which Kafka time a raw table holds all of its topic, JSON.
    pub const COVERAGE: &str = "weir.coverage";
    /// Table property prefix: `weir.source.<short>` = the full source id.
    pub const SOURCE_PREFIX: &str = "weir.source.";
    /// Table property: the contract's id and version that made the table, `<id>@<version>`.
    pub const CONTRACT: &str = "weir.contract";
    /// Table property: what an operator accepted (lost offsets, a recreated topic, ...), JSON array.
    pub const ACCEPTED: &str = "weir.accepted";
    /// Table property: foreign deletions that were acknowledged, JSON array.
    pub const ACKNOWLEDGED: &str = "weir.acknowledged";
    /// Table property: when files of nobody's were last deleted, RFC 3339.
    pub const SWEPT: &str = "weir.swept";
    /// Table property of a derived table: the model that makes it.
    pub const MODEL: &str = "weir.model";
    /// Table property and summary of a derived table: what made its rows; the same text, the same rows.
    pub const SQL_HASH: &str = "weir.sql-hash";
    /// Summary of a derived table: up to which event time its rows are complete, as
    /// far as events come within the lateness that is allowed, RFC 3339.
    pub const COMPLETE_UNTIL: &str = "weir.complete-until";
    /// Table property of a reference table: the columns of its business key, JSON array.
    pub const REFERENCE_KEY: &str = "weir.reference-key";

    /// Summary: the id of the commit that made the snapshot.
    pub const COMMIT_ID: &str = "weir.commit-id";
    /// Summary: the stage that made the snapshot (`ingest`, `verify`, `redrive`, `maintain`, `retain`).
    pub const STAGE: &str = "weir.stage";
    /// Summary: the version of Weir that made the snapshot.
    pub const CODE_VERSION: &str = "weir.code-version";
    /// Summary: the whole vector after the commit, compactly.
    pub const HEADS: &str = "weir.heads";
    /// Summary: what the operator said when accepting or acknowledging.
    pub const REASON: &str = "weir.reason";
}

/// A table's name: `<namespace>.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// `raw`, `staging`, `mart`, `ref` or `ops`.
    pub namespace: String,
    /// Lower case letters, digits and underscores.
    pub name: String,
}

impl TableName {
    /// `raw.<stream with dots as underscores>`, the raw table of a stream.
    pub fn raw(stream: &str) -> TableName {
        TableName { namespace: NAMESPACE_RAW.into(), name: stream.replace(['.', '-'], "_") }
    }

    /// `ref.<name>`, the table of the reference contract `ref.<name>`.
    pub fn reference(id: &str) -> TableName {
        let name = id.strip_prefix("ref.").unwrap_or(id);
        TableName { namespace: NAMESPACE_REF.into(), name: name.replace(['.', '-'], "_") }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<TableName, String> {
        let valid = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        match text.split_once('.') {
            Some((namespace, name)) if valid(namespace) && valid(name) => {
                Ok(TableName { namespace: namespace.into(), name: name.into() })
            }
            _ => Err(format!(
                "table name {text:?} is not of the form <namespace>.<name> in lower case letters, \
                 digits and underscores; for example raw.vending_health"
            )),
        }
    }
}

/// `<kafka cluster id>/<topic>/<topic id>`; `-` where the broker gives no topic id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId {
    /// The Kafka cluster's id.
    pub cluster: String,
    /// The topic's name (it may hold dots, never a slash).
    pub topic: String,
    /// The topic's id (base64 as Kafka prints it), or `-`.
    pub topic_id: String,
}

impl SourceId {
    /// The value of `_source`: 12 hex digits of the full id's SHA-256.
    pub fn short(&self) -> String {
        let digest = Sha256::digest(self.to_string().as_bytes());
        digest[..6].iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.topic, self.topic_id)
    }
}

impl FromStr for SourceId {
    type Err = String;

    fn from_str(text: &str) -> Result<SourceId, String> {
        // A topic id may hold '/'-free base64 only (Kafka prints the URL-safe alphabet).
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(cluster), Some(topic), Some(topic_id))
                if !cluster.is_empty() && !topic.is_empty() && !topic_id.is_empty() =>
            {
                Ok(SourceId {
                    cluster: cluster.into(),
                    topic: topic.into(),
                    topic_id: topic_id.into(),
                })
            }
            _ => Err(format!("source id {text:?} is not <cluster id>/<topic>/<topic id>")),
        }
    }
}
