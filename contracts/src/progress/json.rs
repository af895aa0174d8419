//! The table property `weir.progress`, JSON version 1:
//!
//! ```json
//! {"v":1,"snapshot":"<i64>","seq":"<i64>","commits":["<id>",...],
//!  "sources":{"<source>":{"<partition>":{"start":"0","until":"10","rows":"9","rejected":"1",
//!    "absent":"0","lost":"0","removed":"0","extra":"0",
//!    "last":{"offset":"9","time":"<ms>","crc":0}}}},
//!  "rev":"0"}
//! ```
//!
//! A derived table has the member `derived` besides ([`super::derived`]).
//!
//! Numbers that may need 64 bits are strings; `last` and `extra` are optional; partitions stand in
//! numeric order, and the same vector always gives the same bytes. Unknown members are ignored, so that
//! version 1 can grow; a newer `v` is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Derived, Fingerprint, FormatError, Partition, Progress, Root};
use crate::names::key;

#[cfg(test)]
pub(super) mod tests;

pub(super) const VERSION: u64 = 1;

impl Progress {
    /// The value of the table property `weir.progress`.
    pub fn to_json(&self) -> String {
        let sources = self.sources.iter().map(|(source, partitions)| {
            let partitions = partitions.iter().map(|(n, p)| (*n, PartitionWire::from(p)));
            (source.as_str(), partitions.collect())
        });
        let wire = Written {
            v: VERSION,
            snapshot: Digits(self.snapshot),
            seq: Digits(self.seq),
            commits: &self.commits,
            sources: sources.collect(),
            rev: Digits(self.rev.into()),
            derived: self.derived.as_ref().map(DerivedWire::from),
        };
        // Neither a key nor a value here can fail to serialise.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads a `weir.progress`.
    ///
    /// # Errors
    /// [`FormatError::Newer`] for a version above 1; [`FormatError::Damaged`] for anything that
    /// is not the format, or counters that do not add up, naming the partition.
    pub fn from_json(text: &str) -> Result<Progress, FormatError> {
        check_version(key::PROGRESS, text)?;
        let damaged = |reason: String| FormatError::damaged(key::PROGRESS, reason);
        let wire: Read = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        let mut sources = BTreeMap::new();
        for (source, partitions) in wire.sources.0 {
            let mut known = BTreeMap::new();
            for (number, partition) in partitions.0 {
                let number = canonical::<i32>(&number)
                    .ok_or_else(|| damaged(format!("{source} has a partition {number:?}")))?;
                known.insert(number, partition.into());
            }
            sources.insert(source, known);
        }
        let rev = i32::try_from(wire.rev.0)
            .map_err(|_| damaged(format!("rev {} does not fit in 32 bits", wire.rev.0)))?;
        let (snapshot, seq) = (wire.snapshot.0, wire.seq.0);
        let derived = wire.derived.map(DerivedWire::read).transpose().map_err(damaged)?;
        let progress = Progress { snapshot, seq, commits: wire.commits, sources, rev, derived };
        progress.check().map_err(damaged)?;
        Ok(progress)
    }
}

/// Refuses a text whose `v` is newer than this code, before anything else of it is looked at.
pub(crate) fn check_version(what: &str, text: &str) -> Result<(), FormatError> {
    #[derive(Deserialize)]
    struct Versioned {
        v: serde_json::Value,
    }
    let read: Versioned = serde_json::from_str(text).map_err(|e| FormatError::damaged(what, e))?;
    match read.v.as_u64() {
        Some(VERSION) => Ok(()),
        Some(version) if version > VERSION => {
            Err(FormatError::Newer { what: what.into(), version, reads: VERSION })
        }
        _ => Err(FormatError::damaged(what, format!("{} is not a version", read.v))),
    }
}

/// A number in the one way that we write it: no sign `+`, no leading zeros.
fn canonical<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

#[derive(Serialize)]
struct Written<'a> {
    v: u64,
    snapshot: Digits,
    seq: Digits,
    commits: &'a [String],
    sources: BTreeMap<&'a str, BTreeMap<i32, PartitionWire>>,
    rev: Digits,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived: Option<DerivedWire>,
}

#[derive(Deserialize)]
struct Read {
    snapshot: Digits,
    seq: Digits,
    commits: Vec<String>,
    sources: Members<Members<PartitionWire>>,
    rev: Digits,
    derived: Option<DerivedWire>,
}

#[derive(Serialize, Deserialize)]
struct DerivedWire {
    rows: Digits,
    roots: Members<RootWire>,
}

#[derive(Serialize, Deserialize)]
struct RootWire {
    rev: Digits,
    seq: Digits,
    until: Members<Members<Digits>>,
}

impl From<&Derived> for DerivedWire {
    fn from(derived: &Derived) -> DerivedWire {
        let until = |root: &Root| {
            let each = root.until.iter().map(|(source, partitions)| {
                let each = partitions.iter().map(|(n, at)| (n.to_string(), Digits(*at)));
                (source.clone(), Members(each.collect()))
            });
            Members(each.collect())
        };
        let root = |(name, root): (&String, &Root)| {
            let (rev, seq) = (Digits(root.rev.into()), Digits(root.seq));
            (name.clone(), RootWire { rev, seq, until: until(root) })
        };
        let roots = Members(derived.roots.iter().map(root).collect());
        DerivedWire { rows: Digits(derived.rows), roots }
    }
}

impl DerivedWire {
    fn read(self) -> Result<Derived, String> {
        let mut roots = BTreeMap::new();
        for (name, wire) in self.roots.0 {
            let rev = i32::try_from(wire.rev.0).map_err(|_| {
                format!("rev {} of root {name} does not fit in 32 bits", wire.rev.0)
            })?;
            let mut until = BTreeMap::new();
            for (source, partitions) in wire.until.0 {
                let mut heads = BTreeMap::new();
                for (number, at) in partitions.0 {
                    let number = canonical::<i32>(&number)
                        .ok_or_else(|| format!("{source} has a partition {number:?}"))?;
                    heads.insert(number, at.0);
                }
                until.insert(source, heads);
            }
            roots.insert(name, Root { rev, seq: wire.seq.0, until });
        }
        Ok(Derived { rows: self.rows.0, roots })
    }
}

#[derive(Serialize, Deserialize)]
struct PartitionWire {
    start: Digits,
    until: Digits,
    rows: Digits,
    rejected: Digits,
    absent: Digits,
    lost: Digits,
    removed: Digits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extra: Option<Digits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<FingerprintWire>,
}

#[derive(Serialize, Deserialize)]
struct FingerprintWire {
    offset: Digits,
    time: Digits,
    crc: u32,
}

impl From<&Partition> for PartitionWire {
    fn from(p: &Partition) -> PartitionWire {
        let wire = |last: Fingerprint| FingerprintWire {
            offset: Digits(last.offset),
            time: Digits(last.time_ms),
            crc: last.crc,
        };
        PartitionWire {
            start: Digits(p.start),
            until: Digits(p.until),
            rows: Digits(p.rows),
            rejected: Digits(p.rejected),
            absent: Digits(p.absent),
            lost: Digits(p.lost),
            removed: Digits(p.removed),
            extra: (p.extra != 0).then_some(Digits(p.extra)),
            last: p.last.map(wire),
        }
    }
}

impl From<PartitionWire> for Partition {
    fn from(p: PartitionWire) -> Partition {
        let last = p.last.map(|last| Fingerprint {
            offset: last.offset.0,
            time_ms: last.time.0,
            crc: last.crc,
        });
        Partition {
            start: p.start.0,
            until: p.until.0,
            rows: p.rows.0,
            rejected: p.rejected.0,
            absent: p.absent.0,
            lost: p.lost.0,
            removed: p.removed.0,
            extra: p.extra.map_or(0, |extra| extra.0),
            last,
        }
    }
}

/// A 64-bit number as a JSON string: many readers of JSON keep only 53 bits of a number.
struct Digits(i64);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digits, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Digits;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of 64 bits in a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digits, E> {
                canonical(text)
                    .map(Digits)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The members of an object; a name that occurs twice is an error, not "the last one wins".
pub(super) struct Members<T>(pub(super) BTreeMap<String, T>);

impl<T: Serialize> Serialize for Members<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<T>, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Members<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<T>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format!("{name:?} occurs twice")));
                    }
                    members.insert(name, value);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}
