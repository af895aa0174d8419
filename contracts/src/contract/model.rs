//! A contract as the rest of Weir sees it: checked, resolved, without YAML.

use super::division::Division;
use super::keep::Keep;
use super::topic::Topic;
use crate::names::TableName;
use crate::privacy::HashKey;
use crate::rule::Rule;

/// The contract of one stream or reference table: its columns and what a record must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contract {
    /// The contract's id, for example `vending.health`; also the stream's name.
    pub id: String,
    /// The contract's version, for example `1.0.0`; `_error.contract_version`.
    pub version: String,
    /// What the stream carries, one sentence; the table's comment.
    pub description: String,
    /// The columns, in order. Names are unique; so are paths.
    pub fields: Vec<Field>,
    /// The event types that the contract knows, sorted; empty where `event_type` is no column or
    /// any type is allowed. [`Requirement::For`] indexes into this list.
    pub event_types: Vec<String>,
    /// Caps and bounds.
    pub limits: Limits,
    /// Keep `_value` and `_headers` of accepted rows too.
    pub keep_value: bool,
    /// Where the rows come from.
    pub kind: Kind,
    /// What must hold between the columns of a row, in order.
    pub rules: Vec<Rule>,
    /// Members that are never stored (policy `drop`); they are no columns.
    pub dropped: Vec<Path>,
    /// What becomes of the records' Kafka key.
    pub key_policy: Policy,
    /// Columns by which compaction sorts the rows of an hour, before their event time; empty: as Weir
    /// sees fit.
    pub sorted_by: Vec<String>,
    /// By which spans of event time the table is partitioned; none: as it is, a new one by day.
    pub partitioned_by: Option<Division>,
    /// How the stream's topic is to be set up.
    pub topic: Topic,
    /// How long the lake keeps the rows.
    pub keep: Keep,
    /// How long a record may take from Kafka into the lake, seconds; none: nothing is promised.
    pub latency_max_s: Option<i64>,
    /// The key of hashed columns; who loads the contract sets it.
    pub hash_key: Option<HashKey>,
}

/// Where a table's rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kind {
    /// From a topic, into a raw table.
    #[default]
    Stream,
    /// From CSV files, into a reference table; rows hold from `valid_from` until before `valid_to`.
    Reference {
        /// Positions of the columns of the business key, in its order.
        key: Vec<usize>,
    },
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// It is stored as it is.
    #[default]
    Keep,
    /// Its keyed hash is stored.
    Hash,
    /// It is not stored.
    Drop,
}

impl Contract {
    /// The table of the contract's rows.
    pub fn table(&self) -> TableName {
        match self.kind {
            Kind::Stream => TableName::raw(&self.id),
            Kind::Reference { .. } => TableName::reference(&self.id),
        }
    }

    /// Does the contract hash something, so that it needs a key?
    pub fn hashes(&self) -> bool {
        self.key_policy == Policy::Hash || self.fields.iter().any(|f| f.hashed)
    }

    /// Does the contract keep some member of the records out of the lake?
    pub fn protects(&self) -> bool {
        !self.dropped.is_empty() || self.fields.iter().any(|f| f.hashed)
    }

    /// Position of the column named `name`.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// Where the value stands in the record.
    pub path: Path,
    /// The column's type.
    pub kind: FieldType,
    /// When the value must be there.
    pub required: Requirement,
    /// What the value may be.
    pub allowed: Allowed,
    /// Store the keyed hash of the value (a string) instead of it.
    pub hashed: bool,
    /// The column's comment.
    pub description: String,
}

/// A member of the record (`temperature`) or of one of its objects (`data.temperature`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// The enclosing object's member name, if any.
    pub object: Option<String>,
    /// The member's name.
    pub member: String,
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{object}.{}", self.member),
            None => f.write_str(&self.member),
        }
    }
}

/// A column's type, with its Arrow and Iceberg counterparts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Utf8 / string.
    String,
    /// Boolean / boolean.
    Boolean,
    /// Int32 / int.
    Int,
    /// Int64 / long.
    Long,
    /// Float64 / double; finite.
    Double,
    /// Decimal128 / decimal; read from the number's text.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// Timestamp(µs, "UTC") / timestamptz; RFC 3339 with a zone.
    Timestamp,
    /// Date32 / date; `YYYY-MM-DD`.
    Date,
    /// Utf8 / string holding an object or array verbatim.
    Json,
}

/// When a member must be present and not null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// It may be absent.
    Never,
    /// In every event.
    Always,
    /// In events of these types: indexes into [`Contract::event_types`], sorted.
    For(Vec<usize>),
}

/// What a value may be; empty means anything of the type. Bounds are inclusive.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Allowed {
    /// The closed list of values (strings and integers, as text).
    pub values: Vec<String>,
    /// Least number.
    pub minimum: Option<Bound>,
    /// Greatest number.
    pub maximum: Option<Bound>,
    /// Least length of a string, in characters.
    pub length_min: Option<usize>,
    /// Greatest length of a string, in characters.
    pub length_max: Option<usize>,
}

/// A bound in the units of its column: Int and Long as they are, Decimal unscaled at the column's
/// scale, Double as a double.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Of Int, Long and (unscaled) Decimal columns.
    Exact(i128),
    /// Of Double columns.
    Double(f64),
}

/// Caps and bounds of a contract, with their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Greatest size of a value, bytes.
    pub value_bytes_max: usize,
    /// Greatest size of `_extra`, bytes.
    pub extra_bytes_max: usize,
    /// Greatest nesting of objects and arrays; the record itself is 1.
    pub depth_max: usize,
    /// Earliest event time, µs since 1970-01-01T00:00:00Z.
    pub event_time_min_us: i64,
    /// How far the event time may lie after the record's Kafka time, µs.
    pub skew_max_us: i64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            value_bytes_max: 1 << 20,
            extra_bytes_max: 16 << 10,
            depth_max: 32,
            event_time_min_us: 1_577_836_800_000_000, // 2020-01-01T00:00:00Z
            skew_max_us: 3_600_000_000,               // one hour
        }
    }
}
