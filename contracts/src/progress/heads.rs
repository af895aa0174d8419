//! The snapshot summary `weir.heads`, version 1: the whole vector after a commit, compactly,
//! because every standing snapshot carries one.
//!
//! ```text
//! heads  = {"v":1,"rev":<number>,"h":{"<source>":"<list>",...}[,"d":<derived>]}
//! list   = "" | entry *( ";" entry )
//! entry  = [ partition "=" ] until *( "," count ) [ "@" back "," time "," crc ]
//! count  = [ number ]        in the order start, rejected, absent, lost, removed, extra; empty is 0
//! number = digits of base 36 (0-9, a-z), no leading zeros
//! ```
//!
//! A partition is named only where it is not the one after its predecessor (the first: 0), and
//! partitions ascend. Counts at the end that are 0 are left out. `rows` is not written: it is
//! `until - start + extra` less the other counts. After `@` stands the fingerprint of the last record
//! consumed: `back` is `until - offset`, `time` its Kafka time in ms (may be negative).
//!
//! 1,024 partitions with 12-digit `start` and `until` take 18 KiB. The snapshot, the sequence
//! number and the commit id stand in the snapshot itself; a vector that is read from here has none.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::json::{Members, VERSION, check_version};
use super::{Derived, Fingerprint, FormatError, Partition, Progress, Root};
use crate::names::key;

#[cfg(test)]
mod tests;

impl Progress {
    /// The value of the snapshot summary `weir.heads`.
    pub fn to_heads(&self) -> String {
        let lists: BTreeMap<&str, String> =
            self.sources.iter().map(|(source, p)| (source.as_str(), write_list(p))).collect();
        // A map of strings cannot fail to serialise.
        let lists = serde_json::to_string(&lists).unwrap_or_default();
        let derived = self.derived.as_ref().map(write_derived).unwrap_or_default();
        format!(r#"{{"v":{VERSION},"rev":{},"h":{lists}{derived}}}"#, self.rev)
    }

    /// Reads a `weir.heads`. `snapshot` and `seq` are 0 and `commits` is empty: the summary's
    /// snapshot knows them.
    ///
    /// # Errors
    /// [`FormatError::Newer`] for a version above 1; [`FormatError::Damaged`] for anything that
    /// is not the format, or counters that do not add up, naming the partition.
    pub fn from_heads(text: &str) -> Result<Progress, FormatError> {
        #[derive(Deserialize)]
        struct Heads {
            rev: i32,
            h: Members<String>,
            d: Option<DerivedHeads>,
        }
        check_version(key::HEADS, text)?;
        let damaged = |reason: String| FormatError::damaged(key::HEADS, reason);
        let heads: Heads = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        let mut progress = Progress { rev: heads.rev, ..Default::default() };
        for (source, list) in heads.h.0 {
            let partitions = read_list(&list).map_err(|why| damaged(format!("{source}: {why}")))?;
            progress.sources.insert(source, partitions);
        }
        progress.derived = heads.d.map(read_derived).transpose().map_err(damaged)?;
        progress.check().map_err(damaged)?;
        Ok(progress)
    }
}

#[derive(Serialize, Deserialize)]
struct DerivedHeads {
    rows: i64,
    roots: Members<RootHeads>,
}

#[derive(Serialize, Deserialize)]
struct RootHeads {
    rev: i32,
    h: Members<String>,
}

/// The member `d`, with the comma before it.
fn write_derived(derived: &Derived) -> String {
    let root = |(name, root): (&String, &Root)| {
        let lists = root.until.iter().map(|(source, until)| (source.clone(), write_until(until)));
        (name.clone(), RootHeads { rev: root.rev, h: Members(lists.collect()) })
    };
    let roots = Members(derived.roots.iter().map(root).collect());
    let heads = DerivedHeads { rows: derived.rows, roots };
    // Maps of strings and numbers cannot fail to serialise.
    format!(r#","d":{}"#, serde_json::to_string(&heads).unwrap_or_default())
}

fn read_derived(heads: DerivedHeads) -> Result<Derived, String> {
    let mut roots = BTreeMap::new();
    for (name, RootHeads { rev, h }) in heads.roots.0 {
        let mut until = BTreeMap::new();
        for (source, list) in h.0 {
            let read = read_list(&list).map_err(|why| format!("root {name}, {source}: {why}"))?;
            until.insert(source, read.into_iter().map(|(n, p)| (n, p.until)).collect());
        }
        roots.insert(name, Root { rev, seq: 0, until });
    }
    Ok(Derived { rows: heads.rows, roots })
}

/// A list of `until` only.
fn write_until(until: &BTreeMap<i32, i64>) -> String {
    let only = |(n, at): (&i32, &i64)| (*n, Partition { until: *at, ..Partition::default() });
    write_list(&until.iter().map(only).collect())
}

fn write_list(partitions: &BTreeMap<i32, Partition>) -> String {
    let mut out = String::with_capacity(partitions.len() * 20);
    let mut expected = 0;
    for (&number, p) in partitions {
        if !out.is_empty() {
            out.push(';');
        }
        if number != expected {
            push(&mut out, number.into());
            out.push('=');
        }
        expected = number.saturating_add(1);
        push(&mut out, p.until);
        let counts = [p.start, p.rejected, p.absent, p.lost, p.removed, p.extra];
        let written = counts.iter().rposition(|count| *count != 0).map_or(0, |last| last + 1);
        for &count in &counts[..written] {
            out.push(',');
            if count != 0 {
                push(&mut out, count);
            }
        }
        if let Some(last) = p.last {
            out.push('@');
            push(&mut out, p.until.wrapping_sub(last.offset));
            out.push(',');
            push(&mut out, last.time_ms);
            out.push(',');
            push(&mut out, last.crc.into());
        }
    }
    out
}

fn read_list(list: &str) -> Result<BTreeMap<i32, Partition>, String> {
    let mut partitions = BTreeMap::new();
    let mut previous = -1;
    for entry in list.split(';').filter(|_| !list.is_empty()) {
        let (number, rest) = match entry.split_once('=') {
            Some((number, rest)) => (read(number)?, rest),
            None => (i64::from(previous) + 1, entry),
        };
        let number = i32::try_from(number)
            .ok()
            .filter(|number| *number > previous)
            .ok_or_else(|| format!("partition {number} after {previous} is out of order"))?;
        let partition =
            read_entry(rest).map_err(|why| format!("partition {number} ({rest:?}): {why}"))?;
        partitions.insert(number, partition);
        previous = number;
    }
    Ok(partitions)
}

fn read_entry(entry: &str) -> Result<Partition, String> {
    let (counts, last) = match entry.split_once('@') {
        Some((counts, last)) => (counts, Some(last)),
        None => (entry, None),
    };
    let mut numbers = counts.split(',');
    let until = read(numbers.next().unwrap_or_default())?;
    let mut counts = [0; 6];
    for (at, text) in numbers.enumerate() {
        let count = counts.get_mut(at).ok_or("too many counts")?;
        if !text.is_empty() {
            *count = read(text)?;
        }
    }
    let [start, rejected, absent, lost, removed, extra] = counts;
    let rows = [start, rejected, absent, lost, removed]
        .iter()
        .try_fold(until, |rest, count| rest.checked_sub(*count))
        .and_then(|rest| rest.checked_add(extra))
        .filter(|rows| *rows >= 0)
        .ok_or("its counts exceed its offsets")?;
    let last = last.map(|text| read_fingerprint(text, until)).transpose()?;
    Ok(Partition { start, until, rows, rejected, absent, lost, removed, extra, last })
}

fn read_fingerprint(text: &str, until: i64) -> Result<Fingerprint, String> {
    let parts: Vec<&str> = text.split(',').collect();
    let [back, time, crc] = parts[..] else {
        return Err(format!("{text:?} is not a fingerprint"));
    };
    Ok(Fingerprint {
        offset: until.checked_sub(read(back)?).ok_or("its last record is not an offset")?,
        time_ms: read(time)?,
        crc: u32::try_from(read(crc)?).map_err(|_| "its crc does not fit in 32 bits")?,
    })
}

/// Appends a number in base 36.
fn push(out: &mut String, number: i64) {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    if number < 0 {
        out.push('-');
    }
    let mut rest = number.unsigned_abs();
    let mut digits = [0u8; 13];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = DIGITS[(rest % 36) as usize];
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    // Thirteen digits of base 36 hold any 64-bit number.
    let _ = out.write_str(std::str::from_utf8(&digits[first..]).unwrap_or_default());
}

/// Reads a number in base 36, only in the one way that [`push`] writes it.
fn read(text: &str) -> Result<i64, String> {
    let number = i64::from_str_radix(text, 36).map_err(|_| format!("{text:?} is not a number"))?;
    let mut canonical = String::new();
    push(&mut canonical, number);
    if canonical == text { Ok(number) } else { Err(format!("{text:?} is not a number")) }
}
