//! A state of a table as people name it: by snapshot id, tag or time.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use iceberg::spec::SnapshotRef;
use serde::Serialize;

use super::as_of::{AsOf, no_state, resolve_as_of, show_time};
use super::{as_text, as_text_or_null, past};
use crate::{Base, CatalogError, Result};

/// Tags that a message names at most.
const NAMED_MAX: usize = 12;

/// Which state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The current one.
    Current,
    /// That of this snapshot.
    Snapshot(i64),
    /// That of the snapshot with this tag.
    Tag(String),
    /// That at this time, ms since the epoch.
    Time(i64),
}

/// A number is a snapshot's id, what reads as RFC 3339 a time, and all else a tag.
impl FromStr for Which {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Which, Infallible> {
        if let Ok(id) = text.parse() {
            return Ok(Which::Snapshot(id));
        }
        Ok(match chrono::DateTime::parse_from_rfc3339(text) {
            Ok(time) => Which::Time(time.timestamp_millis()),
            Err(_) => Which::Tag(text.to_string()),
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Current => f.write_str("the current state"),
            Which::Snapshot(id) => write!(f, "snapshot {id}"),
            Which::Tag(tag) => write!(f, "tag {tag}"),
            Which::Time(ms) => f.write_str(&show_time(*ms)),
        }
    }
}

/// A state that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its snapshot.
    #[serde(serialize_with = "as_text")]
    pub snapshot: i64,
    /// When that was committed, ms since the epoch.
    #[serde(serialize_with = "as_text")]
    pub committed_at_ms: i64,
    /// Tags that keep it.
    pub tags: Vec<String>,
    /// How much older it is than the time asked for, ms; none if no time was.
    #[serde(serialize_with = "as_text_or_null")]
    pub off_by_ms: Option<i64>,
    /// Whether there were later states up to the time asked for, which have expired.
    pub later_expired: bool,
}

impl Found {
    fn new(base: &Base, snapshot: &SnapshotRef) -> Found {
        let id = snapshot.snapshot_id();
        let refs = base.loaded.refs.iter();
        let tags = refs.filter(|(_, r)| !r.is_branch() && r.snapshot_id == id);
        Found {
            snapshot: id,
            committed_at_ms: snapshot.timestamp_ms(),
            tags: tags.map(|(name, _)| name.clone()).collect(),
            off_by_ms: None,
            later_expired: false,
        }
    }
}

/// Finds a state of the table.
///
/// Errors: bad config (no such snapshot or tag), bad data (no snapshot answers for the time, or
/// there is none at all).
pub fn find(base: &Base, which: &Which) -> Result<Found> {
    let standing = |id: i64| match base.metadata().snapshot_by_id(id) {
        Some(snapshot) => Ok(Found::new(base, snapshot)),
        None => Err(CatalogError::bad_config(format!(
            "table {0} has no standing snapshot {id}; `weir snapshots {0}` lists them",
            base.name
        ))),
    };
    match which {
        Which::Current => match base.metadata().current_snapshot_id() {
            Some(id) => standing(id),
            None => Err(no_state(&base.name, 0, &AsOf::NoSnapshots)),
        },
        Which::Snapshot(id) => standing(*id),
        Which::Tag(tag) => match base.loaded.refs.get(tag).filter(|r| !r.is_branch()) {
            Some(reference) => standing(reference.snapshot_id),
            None => Err(no_tag(base, tag)),
        },
        Which::Time(ms) => match resolve_as_of(&past(base), *ms) {
            AsOf::Found { snapshot, off_by_ms } => {
                Ok(Found { off_by_ms: Some(off_by_ms), ..standing(snapshot.id)? })
            }
            AsOf::Kept { snapshot, off_by_ms, .. } => Ok(Found {
                off_by_ms: Some(off_by_ms),
                later_expired: true,
                ..standing(snapshot.id)?
            }),
            nothing => Err(no_state(&base.name, *ms, &nothing)),
        },
    }
}

/// No such tag.
pub(crate) fn no_tag(base: &Base, tag: &str) -> CatalogError {
    let refs = base.loaded.refs.iter().filter(|(_, r)| !r.is_branch());
    let names: Vec<&str> = refs.map(|(name, _)| name.as_str()).collect();
    let known = match names.len() {
        0 => "it has none".to_string(),
        n if n > NAMED_MAX => format!("it has {n}; `weir snapshots {}` lists them", base.name),
        _ => format!("it has {}", names.join(", ")),
    };
    CatalogError::bad_config(format!("table {} has no tag {tag}; {known}", base.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_told_by_its_form() {
        let cases = [
            ("4358109269898191000", Which::Snapshot(4_358_109_269_898_191_000)),
            ("1970-01-01T00:00:01Z", Which::Time(1_000)),
            ("1970-01-01T02:00:01+02:00", Which::Time(1_000)),
            ("weir-day-2026-11-28", Which::Tag("weir-day-2026-11-28".into())),
            ("2026-11-28", Which::Tag("2026-11-28".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }
}
