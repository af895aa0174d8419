//! The decoder: one record after another, each by the quick way or the general one.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::general::{Findings, NameScratch, Reader};
use super::plan::{self, Plan};
use super::reject::{self, Fault};
use super::reserved::Reserved;
use super::shapes::{Shapes, Trace, UNKNOWN_MAX};
use super::sink::Sink;
use super::{Chunk, Outcome, Record, column, extra, redact, scan};
use crate::contract::{Contract, Policy};
use crate::rule::Truth;
use crate::time;

/// Decodes the records of one stream; to be reused, since it learns how the records look.
#[derive(Debug)]
pub struct Decoder {
    contract: Arc<Contract>,
    source: String,
    schema: SchemaRef,
    plan: Plan,
    sink: Sink,
    pub(super) shapes: Shapes,
    trace: Trace,
    names: NameScratch,
    reserved: Reserved,
    /// Scratch: the hash of a key, `_extra`, a value without what must not be stored.
    key: Vec<u8>,
    extra: Vec<u8>,
    redacted: Vec<u8>,
    days: Vec<Option<i32>>,
    rejected: usize,
    width: usize,
    /// How many bytes may be held.
    pub(super) room: usize,
    /// For tests: leave the quick way out.
    pub(super) general_only: bool,
    /// For tests: how many records took the quick way.
    pub(super) quick: usize,
}

/// What one column can hold, less what the texts of one `_error` take.
const ROOM: usize = column::BYTES_MAX - (1 << 16);

/// Why a record was rejected, and what of its identity could be read.
struct Reject {
    fault: Fault,
    identity: [Option<String>; 4],
    /// The text is JSON throughout, so that what must not be stored can be found in it.
    whole: bool,
}

impl From<Fault> for Reject {
    fn from(fault: Fault) -> Reject {
        Reject { fault, identity: Default::default(), whole: false }
    }
}

impl Decoder {
    /// A decoder for records of the source with this short id.
    ///
    /// # Panics
    /// If the contract hashes and its `hash_key` was not set: who loads a contract must see to it.
    pub fn new(contract: Arc<Contract>, source_short: &str) -> Decoder {
        let keyless = contract.hashes() && contract.hash_key.is_none();
        assert!(!keyless, "contract {} hashes, but has no key", contract.id);
        let plan = Plan::new(&contract);
        let sink = Sink::new(&contract, plan.tokens + UNKNOWN_MAX);
        Decoder {
            source: source_short.into(),
            schema: plan::raw_schema(&contract),
            shapes: Shapes::new(&plan),
            width: sink.width() + Reserved::WIDTH + source_short.len(),
            sink,
            plan,
            contract,
            trace: Trace::default(),
            names: NameScratch::default(),
            reserved: Reserved::default(),
            key: Vec::new(),
            extra: Vec::new(),
            redacted: Vec::new(),
            days: Vec::new(),
            rejected: 0,
            room: ROOM,
            general_only: false,
            quick: 0,
        }
    }

    /// The same decoder, for rows that replace rejected ones at this revision (`_rev`).
    #[must_use]
    pub fn at_rev(mut self, rev: i32) -> Decoder {
        self.reserved.rev = rev;
        self
    }

    /// Adds one record as one row. Call [`Decoder::finish`] long before [`Decoder::bytes`] reaches
    /// 2 GiB, which is all that a column can hold.
    pub fn push(&mut self, record: &Record<'_>) -> Outcome {
        let row = self.days.len();
        if let Some(bytes) = self.no_room(record) {
            let bare = Record { key: None, value: None, headers: &[], ..*record };
            self.reserved.record(row, &bare, None);
            return self.reject(row, &bare, Fault::no_room(bytes).into());
        }
        let key = match (self.contract.key_policy, &self.contract.hash_key, record.key) {
            (Policy::Keep, _, key) => key,
            (Policy::Hash, Some(with), Some(key)) => {
                with.hash(key, &mut self.key);
                Some(self.key.as_slice())
            }
            _ => None,
        };
        self.reserved.record(row, record, key);
        match self.read(row, record) {
            Ok(event_time_us) => {
                if !self.sink.row.unknowns.is_empty() {
                    self.reserved.extra(row, &self.extra);
                }
                if self.contract.keep_value {
                    self.reserved.keep(row, record);
                }
                self.reserved.rejected.push(false);
                self.days.push(Some(event_time_us.div_euclid(time::DAY_US) as i32));
                Outcome::Accepted { event_time_us }
            }
            Err(reject) => self.reject(row, record, *reject),
        }
    }

    /// Rows held.
    pub fn rows(&self) -> usize {
        self.days.len()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.rows() * self.width + self.sink.bytes() + self.reserved.bytes
    }

    /// Takes the rows; the decoder is empty then, and ready for the next.
    ///
    /// # Panics
    /// If the decoder itself has made columns that do not fit its schema.
    pub fn finish(&mut self, ingested_at_us: i64) -> Chunk {
        let rows = self.rows();
        let mut columns = self.sink.finish(rows);
        columns.extend(self.reserved.finish(rows, &self.source, ingested_at_us));
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .expect("columns are made after the schema");
        let days = std::mem::replace(&mut self.days, Vec::with_capacity(rows));
        Chunk { batch, days, rejected: std::mem::take(&mut self.rejected) }
    }

    /// The record's size, if what it adds to the columns might not fit them any more.
    fn no_room(&self, record: &Record<'_>) -> Option<usize> {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        // In `_headers` a name's byte takes up to six, a value's 4/3.
        let headers =
            record.headers.iter().map(|(name, value)| name.len() * 6 + length(*value) * 2);
        let bytes = length(record.key) + length(record.value) + headers.sum::<usize>();
        (self.bytes().saturating_add(bytes) > self.room).then_some(bytes)
    }

    /// Reads the record into the row and says its event's time, µs.
    fn read(&mut self, row: usize, record: &Record<'_>) -> Result<i64, Box<Reject>> {
        let limits = &self.contract.limits;
        let latest = record
            .timestamp_ms
            .map_or(i64::MAX, |ms| ms.saturating_mul(1000).saturating_add(limits.skew_max_us));
        self.sink.begin(row, latest);
        let Some(text) = record.value else { return Err(Box::new(Fault::null_value().into())) };
        if text.len() > limits.value_bytes_max {
            let fault = Fault::value_too_large(text.len(), limits.value_bytes_max);
            return Err(self.unread(fault, &text[..limits.value_bytes_max]));
        }
        if simdutf8::basic::from_utf8(text).is_err() {
            return Err(self.unread(Fault::not_utf8(text), text));
        }
        let event_time = match self.read_quickly(text) {
            Some(event_time) => event_time,
            None => {
                self.sink.roll_back();
                self.read_generally(text)?
            }
        };
        if let Some(fault) = self.failed_rule() {
            self.sink.roll_back();
            return Err(Box::new(Reject { whole: true, ..*self.unread(fault, text) }));
        }
        Ok(event_time)
    }

    /// The first rule that the row fails.
    #[inline]
    fn failed_rule(&self) -> Option<Fault> {
        let rules = self.contract.rules.iter();
        rules.map(|rule| (rule, rule.truth(&self.sink))).find_map(|(rule, truth)| match truth {
            Truth::True | Truth::Null => None,
            failed => Some(Fault::rule(rule, failed, &self.contract, &self.sink)),
        })
    }

    #[inline]
    fn read_quickly(&mut self, text: &[u8]) -> Option<i64> {
        if self.general_only
            || !self.shapes.read(&self.plan, &mut self.sink, text)
            || !self.sink.row.complete(&self.plan)
            || self.extra_bytes(text) > self.contract.limits.extra_bytes_max
        {
            return None;
        }
        self.quick += 1;
        self.sink.row.event_time
    }

    fn read_generally(&mut self, text: &[u8]) -> Result<i64, Box<Reject>> {
        let (stop, findings) = self.explore(text);
        match self.judge(stop, &findings, text) {
            Ok(event_time) => {
                let unknowns = &self.sink.row.unknowns;
                self.shapes.learn(&self.plan, &self.trace, unknowns, text);
                Ok(event_time)
            }
            Err(fault) => {
                let identity = reject::identity(&findings, text);
                Err(Box::new(Reject { fault, identity, whole: stop.is_ok() }))
            }
        }
    }

    fn explore(&mut self, text: &[u8]) -> (Result<(), scan::Stop>, Findings) {
        let mut reader = Reader {
            plan: &self.plan,
            sink: &mut self.sink,
            trace: &mut self.trace,
            names: &mut self.names,
            findings: Findings::default(),
            text,
        };
        (reader.read(), reader.findings)
    }

    /// Chooses among the findings, in the order that the module's head lays down.
    fn judge(
        &mut self,
        stop: Result<(), scan::Stop>,
        findings: &Findings,
        text: &[u8],
    ) -> Result<i64, Fault> {
        let Decoder { contract, plan, .. } = &*self;
        let row = &self.sink.row;
        stop.map_err(|stop| Fault::stop(stop, text, contract))?;
        if let Some(duplicate) = findings.duplicate {
            return Err(Fault::duplicate(duplicate, plan, text));
        }
        let missing = plan.order.iter().position(|&column| row.misses(plan, column));
        match (findings.wrong, missing) {
            (Some((rank, wrong)), missing) if missing.is_none_or(|missing| rank <= missing) => {
                return Err(Fault::wrong(wrong, contract, plan, text));
            }
            (_, Some(missing)) => {
                return Err(Fault::missing(contract, plan.order[missing], row.event_type()));
            }
            _ => {}
        }
        let event_time = row.event_time.ok_or_else(Fault::timeless)?;
        let (bytes, max) = (self.extra_bytes(text), self.contract.limits.extra_bytes_max);
        if bytes > max {
            return Err(Fault::extra_too_large(bytes, max));
        }
        Ok(event_time)
    }

    /// A reject whose text is not to be read; its identity may stand in it all the same.
    fn unread(&mut self, fault: Fault, text: &[u8]) -> Box<Reject> {
        let (_, findings) = self.explore(text);
        Box::new(Reject { fault, identity: reject::identity(&findings, text), whole: false })
    }

    /// Writes the row's unknown members to `extra`, and says how many bytes they are.
    #[inline]
    fn extra_bytes(&mut self, text: &[u8]) -> usize {
        if self.sink.row.unknowns.is_empty() {
            return 0;
        }
        extra::write(&self.plan, &self.sink.row.unknowns, text, &mut self.extra);
        self.extra.len()
    }

    #[cold]
    fn reject(&mut self, row: usize, record: &Record<'_>, reject: Reject) -> Outcome {
        let Reject { mut fault, identity, whole } = reject;
        self.sink.roll_back();
        if !self.contract.protects() {
            self.reserved.keep(row, record);
        } else if let Some(value) = record.value {
            let key = self.contract.hash_key.as_ref();
            let depth_max = self.contract.limits.depth_max;
            if whole && redact::write(&self.plan, key, depth_max, value, &mut self.redacted) {
                self.reserved.keep_value(row, &self.redacted);
            } else {
                fault = fault.unkept();
            }
        }
        self.reserved.error(row, &fault, &self.contract.version, &identity);
        self.reserved.rejected.push(true);
        self.days.push(None);
        self.rejected += 1;
        Outcome::Rejected(fault.class)
    }
}
