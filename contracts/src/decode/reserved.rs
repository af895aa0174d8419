//! The reserved columns of a raw table: where a record came from, and what it could not say in the
//! contract's columns.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, Int32Array, StringArray, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::DataType;

use super::Record;
use super::column::{Bytes, Fixed};
use super::plan;
use super::reject::Fault;

/// Buffers of the reserved columns.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    partition: Fixed<i32>,
    offset: Fixed<i64>,
    kafka_time: Fixed<i64>,
    key: Bytes,
    trace_id: Bytes,
    extra: Bytes,
    value: Bytes,
    headers: Bytes,
    error: [Bytes; 8],
    /// Per row: was it rejected?
    pub rejected: Vec<bool>,
    /// Bytes of strings held.
    pub bytes: usize,
    /// The revision of every row.
    pub rev: i32,
    scratch: Vec<u8>,
}

impl Reserved {
    /// Bytes that every row takes: partition, offset, times, and the offsets of the strings.
    pub const WIDTH: usize = 4 + 8 + 8 + 8 + 5 * 4 + 8 * 4 + 12 + 4;

    /// What every row has, whatever becomes of it. `key` is what may be stored of the record's.
    #[inline]
    pub fn record(&mut self, row: usize, record: &Record<'_>, key: Option<&[u8]>) {
        self.partition.push(row, record.partition);
        self.offset.push(row, record.offset);
        if let Some(ms) = record.timestamp_ms {
            self.kafka_time.push(row, ms.saturating_mul(1000));
        }
        if let Some(key) = key {
            self.key.push(row, key);
            self.bytes += key.len();
        }
        if let Some(trace_id) = trace_id(record.headers) {
            self.trace_id.push(row, trace_id);
            self.bytes += trace_id.len();
        }
    }

    /// `_extra` of an accepted row.
    pub fn extra(&mut self, row: usize, extra: &[u8]) {
        self.extra.push(row, extra);
        self.bytes += extra.len();
    }

    /// `_value` and `_headers`.
    pub fn keep(&mut self, row: usize, record: &Record<'_>) {
        if let Some(value) = record.value {
            self.keep_value(row, value);
        }
        self.scratch.clear();
        headers_json(record.headers, &mut self.scratch);
        self.headers.push(row, &self.scratch);
        self.bytes += self.scratch.len();
    }

    /// `_value` alone.
    pub fn keep_value(&mut self, row: usize, value: &[u8]) {
        self.value.push(row, value);
        self.bytes += value.len();
    }

    /// `_error` of a rejected row.
    pub fn error(
        &mut self,
        row: usize,
        fault: &Fault,
        version: &str,
        identity: &[Option<String>; 4],
    ) {
        let [class, field, message, contract_version, names @ ..] = &mut self.error;
        let members = [
            (class, Some(fault.class.name())),
            (field, fault.field.as_deref()),
            (message, Some(fault.message.as_str())),
            (contract_version, Some(version)),
        ];
        let names = names.iter_mut().zip(identity.iter().map(Option::as_deref));
        for (column, text) in members.into_iter().chain(names) {
            if let Some(text) = text {
                column.push(row, text.as_bytes());
                self.bytes += text.len();
            }
        }
    }

    /// The rows as arrays, in the order of the schema; the columns are empty then.
    pub fn finish(&mut self, rows: usize, source: &str, ingested_at_us: i64) -> Vec<ArrayRef> {
        let time = plan::timestamp_type();
        let ingested_at = TimestampMicrosecondArray::from(vec![ingested_at_us; rows]);
        let arrays: Vec<ArrayRef> = vec![
            repeated(source, rows),
            self.partition.finish::<Int32Type>(rows, &DataType::Int32),
            self.offset.finish::<Int64Type>(rows, &DataType::Int64),
            self.kafka_time.finish::<TimestampMicrosecondType>(rows, &time),
            Arc::new(ingested_at.with_data_type(time)),
            self.key.finish_binary(rows),
            self.trace_id.finish_utf8(rows),
            self.extra.finish_utf8(rows),
            self.finish_error(rows),
            self.value.finish_binary(rows),
            self.headers.finish_binary(rows),
            Arc::new(Int32Array::from(vec![self.rev; rows])),
        ];
        self.bytes = 0;
        arrays
    }

    fn finish_error(&mut self, rows: usize) -> ArrayRef {
        let rejected = std::mem::take(&mut self.rejected);
        if !rejected.contains(&true) {
            let null = new_null_array(&DataType::Utf8, rows);
            let members = vec![null; self.error.len()];
            let nulls = Some(NullBuffer::new_null(rows));
            return Arc::new(StructArray::new(plan::error_fields(), members, nulls));
        }
        let members = self.error.iter_mut().map(|member| member.finish_utf8(rows)).collect();
        let nulls = Some(NullBuffer::from(rejected));
        Arc::new(StructArray::new(plan::error_fields(), members, nulls))
    }
}

/// One string in every row.
fn repeated(text: &str, rows: usize) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(text.len(), rows));
    Arc::new(StringArray::new(offsets, Buffer::from_vec(text.repeat(rows).into_bytes()), None))
}

/// The trace id of a W3C `traceparent` header: 32 hex digits, not all zero.
#[inline]
fn trace_id<'a>(headers: &[(&str, Option<&'a [u8]>)]) -> Option<&'a [u8]> {
    let (_, parent) = headers.iter().find(|(name, _)| *name == "traceparent")?;
    let hex = |text: &[u8]| text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |text: &[u8]| text.iter().all(|b| *b == b'0');
    let (version, rest) = (*parent)?.split_first_chunk::<3>()?;
    let (id, rest) = rest.split_first_chunk::<32>()?;
    match rest {
        [b'-', span @ .., b'-', f1, f0] if version == b"00-" && span.len() == 16 => {
            (hex(id) && hex(span) && hex(&[*f1, *f0]) && !zero(id)).then_some(id.as_slice())
        }
        _ => None,
    }
}

/// Writes `[["name","base64"|null],...]`.
fn headers_json(headers: &[(&str, Option<&[u8]>)], out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, (name, value)) in headers.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"[" } else { b",[" });
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(&mut *out, name);
        out.push(b',');
        match value {
            Some(value) => {
                out.push(b'"');
                base64(value, out);
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
        out.push(b']');
    }
    out.push(b']');
}

/// Reads `_headers` as the decoder has written it, names and values in order; none for anything
/// else.
pub fn read_headers(json: &[u8]) -> Option<Vec<(String, Option<Vec<u8>>)>> {
    let pairs: Vec<(String, Option<String>)> = serde_json::from_slice(json).ok()?;
    let header = |(name, value): (String, Option<String>)| match value {
        Some(text) => Some((name, Some(unbase64(text.as_bytes())?))),
        None => Some((name, None)),
    };
    pairs.into_iter().map(header).collect()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Reads what [`base64`] writes.
fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for (at, group) in text.chunks(4).enumerate() {
        let last = (at + 1) * 4 == text.len();
        let padding = group.iter().rev().take_while(|digit| **digit == b'=').count();
        if group.len() != 4 || padding > 2 || (padding > 0 && !last) {
            return None;
        }
        let mut bits = 0u32;
        for digit in &group[..4 - padding] {
            bits = bits << 6 | DIGITS.iter().position(|d| d == digit)? as u32;
        }
        let bytes = (bits << (6 * padding)).to_be_bytes();
        out.extend_from_slice(&bytes[1..4 - padding]);
    }
    Some(out)
}

/// Writes base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() { digit } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_json_with_base64() {
        let render = |headers: &[(&str, Option<&[u8]>)]| {
            let mut out = Vec::new();
            headers_json(headers, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(render(&[]), "[]");
        let headers: &[(&str, Option<&[u8]>)] = &[
            ("", Some(b"")),
            ("f", Some(b"f")),
            ("fo", Some(b"fo")),
            ("fo\"\\\n", Some(b"foo")),
            ("é", Some(b"\xFF\xFE\xFDfoob")),
            ("none", None),
        ];
        let expected = r#"[["",""],["f","Zg=="],["fo","Zm8="],["fo\"\\\n","Zm9v"],["é","//79Zm9vYg=="],["none",null]]"#;
        assert_eq!(render(headers), expected);
        let owned =
            |(name, value): &(&str, Option<&[u8]>)| (name.to_string(), value.map(<[u8]>::to_vec));
        let read = read_headers(expected.as_bytes()).unwrap();
        assert_eq!(read, headers.iter().map(owned).collect::<Vec<_>>());
        for bad in ["", "[", "[[\"a\"]]", "[[\"a\",\"Zg=\"]]", "[[\"a\",\"Zg==Zg==\"]]", "{}"] {
            assert_eq!(read_headers(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn trace_ids() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |parent: &str| {
            trace_id(&[("other", None), ("traceparent", Some(parent.as_bytes()))])
                .map(|id| String::from_utf8_lossy(id).into_owned())
        };
        assert_eq!(read(&format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
        for bad in [
            format!("01-{id}-00f067aa0ba902b7-01"),
            format!("00-{id}-00f067aa0ba902b7-0"),
            format!("00-{id}-00f067aa0ba902b7-01-"),
            format!("00-{id}-00f067aa0ba902b7"),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{id}-00f067aa0ba902bx-01"),
            String::new(),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
        assert_eq!(trace_id(&[("traceparent", None)]), None);
        assert_eq!(trace_id(&[]), None);
    }
}
