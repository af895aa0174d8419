//! The road from a machine to Kafka: events get their envelope here, a few are spoiled, doubled or
//! held up on the way, and everything is counted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::data::Data;
use crate::error::FleetError;
use crate::malformed::Malformed;
use crate::names::Name;
use crate::rng::{Rng, mix};
use crate::sink::{Record, Sink};
use crate::stream::{Kind, Stream};
use crate::text;
use crate::truth::Truth;

/// What happens on the road; shares of all records, 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Hazards {
    /// Which streams are sent.
    pub streams: Vec<Stream>,
    /// The share of each kind of malformed record.
    pub malformed: BTreeMap<Malformed, f64>,
    /// Sent twice.
    pub duplicates: f64,
    /// Overtaken by later records of the same machine.
    pub reordered: f64,
}

/// At most so many records are held up at a time; the oldest goes on when there are more.
const HELD_MAX: usize = 50_000;
/// Places in the counters.
const DUPLICATE: usize = 0;
const REJECTED: usize = 1;

/// A clock that was lost stays so for this many events on average.
const CLOCK_LOST_EVENTS: u64 = 20;

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub struct Speaker {
    /// Number among all speakers: for counting, and for ids.
    pub number: u32,
    /// The CloudEvents subject, and the record's key.
    pub name: Name,
    /// What the event's source looks like.
    pub origin: Origin,
    /// Where it stands, if it stands anywhere.
    pub site: Option<Name>,
}

/// Kinds of speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A machine, through the collector.
    Machine,
    /// A till, with its number; it writes to Kafka itself.
    Till(u32),
    /// A store's back office; it writes to Kafka itself.
    Store,
    /// The trading system.
    Desk,
}

/// What a speaker must remember of its own events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// Events so far.
    pub events: u32,
    /// When the last one was sent, ms.
    pub sent: i64,
    /// For how many events its clock is still lost.
    clock_lost: u32,
}

/// What was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Records, duplicates and malformed ones included.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Duplicates among them.
    pub duplicates: u64,
    /// Records that were overtaken.
    pub reordered: u64,
    /// Malformed records by kind.
    pub malformed: BTreeMap<Malformed, u64>,
    /// Records by stream, in the order of [`Stream::ALL`].
    pub streams: [u64; Stream::ALL.len()],
}

/// A record that waits on the road.
#[derive(Debug, Clone)]
struct Held {
    stream: Stream,
    key: Name,
    value: Vec<u8>,
}

/// What the counters know of one event.
#[derive(Debug, Clone, Copy)]
struct Mark {
    speaker: Speaker,
    kind: Kind,
    time: i64,
    sent: i64,
    id: (u64, u64),
    /// The EVA-DTS code of the fault that the event is about.
    fault: Option<&'static str>,
}

/// The road.
pub struct Road<'a> {
    seed: u64,
    sink: &'a mut dyn Sink,
    /// What happened, for those who check.
    pub truth: Truth,
    wanted: Vec<bool>,
    /// Upper bounds in a draw of 32 bits: of the malformed kinds, then duplicates, then reordered.
    malformed: Vec<(u32, Malformed)>,
    duplicates: u32,
    reordered: u32,
    value: Vec<u8>,
    held: Vec<Held>,
    free: Vec<usize>,
    due: BinaryHeap<Reverse<(i64, usize)>>,
    next_due: i64,
    /// Records per speaker and kind.
    counts: Vec<u32>,
    /// Of them, per speaker and kind: duplicates and rejects.
    exceptions: BTreeMap<(u32, Kind), [u64; 2]>,
    /// Per speaker, kind and code of the fault: records, duplicates and rejects.
    faults: BTreeMap<(u32, Kind, &'static str), [u64; 3]>,
    sent: Sent,
    failed: Option<FleetError>,
}

impl<'a> Road<'a> {
    /// A road for so many speakers.
    pub fn new(
        seed: u64,
        hazards: &Hazards,
        speakers: usize,
        sink: &'a mut dyn Sink,
        truth: Truth,
    ) -> Road<'a> {
        let part = |share: f64| (share * 4_294_967_295.0) as u32;
        let mut bound = 0u32;
        let mut next = |share: f64| {
            bound = bound.saturating_add(part(share));
            bound
        };
        let malformed = hazards.malformed.iter().map(|(kind, share)| {
            let share = match kind {
                // One draw costs many events.
                Malformed::Clock1970 => share / CLOCK_LOST_EVENTS as f64,
                Malformed::Class(_) => *share,
            };
            (next(share), *kind)
        });
        Road {
            seed: mix(seed ^ 0x0f1e_e700),
            malformed: malformed.collect(),
            duplicates: next(hazards.duplicates),
            reordered: next(hazards.reordered),
            wanted: Stream::ALL.iter().map(|stream| hazards.streams.contains(stream)).collect(),
            counts: vec![0; speakers * Kind::ALL.len()],
            sink,
            truth,
            value: Vec::with_capacity(1 << 15),
            held: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            next_due: i64::MAX,
            exceptions: BTreeMap::new(),
            faults: BTreeMap::new(),
            sent: Sent::default(),
            failed: None,
        }
    }

    /// Lets go what was held up until `now`; tells the first error of the sink.
    pub fn advance(&mut self, now: i64) -> Result<(), FleetError> {
        while self.next_due <= now || self.due.len() > HELD_MAX {
            self.release();
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// There is nothing to send for a moment.
    pub fn idle(&mut self) -> Result<(), FleetError> {
        self.sink.idle()
    }

    /// What was sent until now.
    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Lets everything go, waits until it has arrived, and tells the counts to the truth.
    pub fn finish(&mut self, name_of: impl Fn(u32) -> Name) -> Result<Sent, FleetError> {
        while !self.due.is_empty() {
            self.release();
        }
        self.failed.take().map_or(Ok(()), Err)?;
        self.sink.finish()?;
        let kinds = Kind::ALL.len();
        for (at, records) in self.counts.iter().enumerate().filter(|(_, records)| **records > 0) {
            let (speaker, kind) = ((at / kinds) as u32, Kind::ALL[at % kinds]);
            let [duplicates, rejected] =
                self.exceptions.get(&(speaker, kind)).copied().unwrap_or_default();
            self.truth.line("count", |data| {
                data.text("stream", kind.stream().name())
                    .text("event_type", kind.name())
                    .text("subject", name_of(speaker).as_str())
                    .integer("records", (*records).into())
                    .integer("duplicates", duplicates as i64)
                    .integer("rejected", rejected as i64);
            });
        }
        for ((speaker, kind, code), [records, duplicates, rejected]) in &self.faults {
            self.truth.line("fault_count", |data| {
                data.text("event_type", kind.name())
                    .text("subject", name_of(*speaker).as_str())
                    .text("eva_dts_code", code)
                    .integer("records", *records as i64)
                    .integer("duplicates", *duplicates as i64)
                    .integer("rejected", *rejected as i64);
            });
        }
        Ok(std::mem::take(&mut self.sent))
    }

    fn count(&mut self, mark: &Mark) {
        self.counts[mark.place()] += 1;
        if let Some(code) = mark.fault {
            let key = (mark.speaker.number, mark.kind, code);
            self.faults.entry(key).or_default()[0] += 1;
        }
    }

    /// Counts a record beside: as a duplicate or as rejected.
    fn except(&mut self, mark: &Mark, what: usize) {
        self.exceptions.entry((mark.speaker.number, mark.kind)).or_default()[what] += 1;
        if let Some(code) = mark.fault {
            let key = (mark.speaker.number, mark.kind, code);
            self.faults.entry(key).or_default()[what + 1] += 1;
        }
    }

    fn release(&mut self) {
        let Some(Reverse((time, place))) = self.due.pop() else {
            self.next_due = i64::MAX;
            return;
        };
        self.next_due = self.due.peek().map_or(i64::MAX, |Reverse((time, _))| *time);
        let held = &self.held[place];
        let record = Record {
            stream: held.stream,
            key: held.key.bytes(),
            value: Some(&held.value),
            time_ms: time,
        };
        if let Err(error) = self.sink.put(&record) {
            self.failed.get_or_insert(error);
        }
        self.sent.records += 1;
        self.sent.bytes += held.value.len() as u64;
        self.sent.streams[held.stream as usize] += 1;
        self.free.push(place);
    }

    /// Keeps a copy of the value until `until`.
    fn hold(&mut self, mark: &Mark, until: i64) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.held.push(Held {
                stream: mark.kind.stream(),
                key: mark.speaker.name,
                value: Vec::with_capacity(1024),
            });
            self.held.len() - 1
        });
        let held = &mut self.held[place];
        held.stream = mark.kind.stream();
        held.key = mark.speaker.name;
        held.value.clear();
        held.value.extend_from_slice(&self.value);
        self.due.push(Reverse((until, place)));
        self.next_due = self.next_due.min(until);
        self.count(mark);
    }

    /// Sends the event that stands in `self.value`.
    fn send(&mut self, mark: &Mark, line: &mut Line) {
        let draw = mix(mark.id.1);
        let (low, high) = (draw as u32, draw >> 32);
        if low >= self.reordered && line.clock_lost == 0 {
            return self.put(mark, true);
        }
        let mut rng = Rng::new(draw);
        let spoil = match line.clock_lost {
            0 => self.malformed.iter().find(|(bound, _)| low < *bound).map(|(_, kind)| *kind),
            _ => {
                line.clock_lost -= 1;
                Some(Malformed::Clock1970)
            }
        };
        if spoil.is_some_and(|spoil| !spoil.fits(mark.kind)) {
            return self.put(mark, true);
        }
        if let Some(kind) = spoil {
            if kind == Malformed::Clock1970 && line.clock_lost == 0 && low < self.reordered {
                line.clock_lost = (high % (2 * CLOCK_LOST_EVENTS - 1)) as u32;
            }
            let has_value = kind.spoil(&mut self.value, &mut rng, mark.time);
            *self.sent.malformed.entry(kind).or_default() += 1;
            self.except(mark, REJECTED);
            self.tell("malformed", mark, |data| {
                data.text("kind", kind.name()).text("class", kind.class().name());
            });
            return self.put(mark, has_value);
        }
        let later = mark.sent + rng.between(1_000, 90_000);
        if low < self.duplicates {
            self.put(mark, true);
            self.sent.duplicates += 1;
            self.except(mark, DUPLICATE);
            self.tell("duplicate", mark, |data| {
                data.time("sent_again_at", later);
            });
        } else {
            self.sent.reordered += 1;
            self.tell("reordered", mark, |data| {
                data.time("sent_at_last", later);
            });
        }
        self.hold(mark, later);
    }

    fn put(&mut self, mark: &Mark, has_value: bool) {
        let stream = mark.kind.stream();
        let record = Record {
            stream,
            key: mark.speaker.name.bytes(),
            value: has_value.then_some(&self.value[..]),
            time_ms: mark.sent,
        };
        if let Err(error) = self.sink.put(&record) {
            self.failed.get_or_insert(error);
        }
        self.count(mark);
        self.sent.records += 1;
        self.sent.bytes += self.value.len() as u64;
        self.sent.streams[stream as usize] += 1;
    }

    fn tell(&mut self, record: &str, mark: &Mark, more: impl FnOnce(&mut Data<'_>)) {
        self.truth.line(record, |data| {
            data.text("stream", mark.kind.stream().name())
                .text("event_type", mark.kind.name())
                .text("subject", mark.speaker.name.as_str())
                .named("event_id", |out| text::uuid(out, mark.time, mark.id.0, mark.id.1))
                .time("event_time", mark.time)
                .time("sent_at", mark.sent);
            more(data);
        });
    }
}

impl Mark {
    /// Where its counter stands.
    fn place(&self) -> usize {
        self.speaker.number as usize * Kind::ALL.len() + self.kind as usize
    }
}

/// Somebody who speaks, at one moment.
pub struct Voice<'v, 'a> {
    /// The road that the events take.
    pub road: &'v mut Road<'a>,
    /// Who speaks.
    pub speaker: Speaker,
    /// What it remembers.
    pub line: &'v mut Line,
    /// The true time, ms.
    pub now: i64,
    /// The events leave no earlier than this, ms.
    pub leaves: i64,
    /// By how much the speaker's clock is ahead, ms.
    pub skew: i64,
    /// What every event of a device says: is it being serviced?
    pub in_maintenance: Option<bool>,
    /// The EVA-DTS code of the fault that the next event is about.
    pub fault: Option<&'static str>,
}

impl Voice<'_, '_> {
    /// What the speaker's clock shows at a true time.
    pub fn clock(&self, time_ms: i64) -> i64 {
        time_ms + self.skew
    }

    /// Something that befell the speaker, for the ground truth.
    pub fn episode(
        &mut self,
        what: &str,
        from: i64,
        until: Option<i64>,
        detail: impl FnOnce(&mut Data<'_>),
    ) {
        let subject = self.speaker.name;
        self.road.truth.episode(what, subject.as_str(), from, until, detail);
    }

    /// Says one event; `write` adds its members.
    pub fn say(&mut self, kind: Kind, write: impl FnOnce(&mut Data<'_>)) {
        let number = u64::from(self.line.events);
        self.line.events = self.line.events.wrapping_add(1);
        // One after the other, also when a flood of late events goes out.
        let sent = self.leaves.max(self.line.sent + 1);
        self.line.sent = sent;
        let fault = self.fault.take();
        if !self.road.wanted[kind.stream() as usize] {
            return;
        }
        let unique = u64::from(self.speaker.number) << 27 & 0xffff_f800_0000 | number & 0x7ff_ffff;
        let id = (unique, mix(self.road.seed ^ u64::from(self.speaker.number) << 32 ^ number));
        let time = self.clock(self.now);
        let mark = Mark { speaker: self.speaker, kind, time, sent, id, fault };
        let mut value = std::mem::take(&mut self.road.value);
        value.clear();
        envelope(&mut value, &mark);
        let mut data = Data(&mut value);
        if let Some(in_maintenance) = self.in_maintenance {
            data.flag("in_maintenance", in_maintenance);
        }
        write(&mut data);
        value.extend_from_slice(b"}}");
        self.road.value = value;
        self.road.send(&mark, self.line);
    }
}

/// The CloudEvents attributes, up to the brace that opens `data`.
fn envelope(out: &mut Vec<u8>, mark: &Mark) {
    let Speaker { name, origin, site, .. } = &mark.speaker;
    out.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":\"");
    text::uuid(out, mark.time, mark.id.0, mark.id.1);
    out.extend_from_slice(match origin {
        Origin::Machine => b"\",\"source\":\"/machines/",
        Origin::Till(_) | Origin::Store => &b"\",\"source\":\"/stores/"[..],
        Origin::Desk => b"\",\"source\":\"/trading/desk-1",
    });
    match origin {
        Origin::Till(number) => {
            out.extend_from_slice(site.as_ref().map_or(&b""[..], Name::bytes));
            out.extend_from_slice(b"/tills/");
            text::number(out, (*number).into());
        }
        Origin::Machine | Origin::Store => out.extend_from_slice(name.bytes()),
        Origin::Desk => {}
    }
    out.extend_from_slice(b"\",\"type\":\"");
    out.extend_from_slice(mark.kind.name().as_bytes());
    out.extend_from_slice(b"\",\"subject\":\"");
    out.extend_from_slice(name.bytes());
    out.extend_from_slice(b"\",\"time\":\"");
    text::time(out, mark.time);
    if *origin == Origin::Machine {
        out.extend_from_slice(b"\",\"receivedat\":\"");
        text::time(out, mark.sent);
        out.extend_from_slice(b"\",\"traceid\":\"");
        text::hex(out, mix(mark.id.1 ^ 1), 16);
        text::hex(out, mix(mark.id.1 ^ 2), 16);
    }
    if let Some(site) = site {
        out.extend_from_slice(b"\",\"siteid\":\"");
        out.extend_from_slice(site.bytes());
    }
    out.extend_from_slice(b"\",\"data\":{");
}
