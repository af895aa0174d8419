//! The loop of one stream: read, decode, write, commit.
//!
//! Roles: the *source* hands out partitions and records; the *batch* turns records into chunks and
//! counts what becomes of every offset; the *writer* encodes chunks; a *flight* puts the files and
//! commits them while the next batch is being read. Flow, per turn: decide whether to flush, then
//! wait for whichever comes first, the flight's outcome or the source's next event.
//!
//! Invariants:
//! - A partition is read from the table's head, and from nowhere else.
//! - What a flight commits begins where the table ends; if it does not, another writer was faster:
//!   everything uncommitted is thrown away and reading starts again at the heads.
//! - A flight's outcome is awaited before its partitions are given back, and before the next flight.
//! - A dropped loop (a crash) leaves the table before or after a commit, never between.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::{Either, select};
use weir_catalog::table::Base;
use weir_contract::class::ErrorClass;
use weir_contract::coverage::Coverage;
use weir_contract::decode::Decoder;
use weir_contract::names::SourceId;
use weir_contract::progress::Steps;

use crate::batch::Batch;
use crate::event::{IngestEvent, MEMBERS_MAX};
use crate::flight::{Committer, Flight, Outcome, landed};
use crate::flush::{Flush, FlushFacts, decide_flush};
use crate::news::Pending;
use crate::resume::{Begin, Problem, Resume, ResumeFacts, decide_resume};
use crate::source::{Event, Identity, Source};
use crate::stream::{IngestError, Report, Stream, Until, pause};
use crate::writer::{DayWriter, Writer};

mod cover;

/// The longest wait for the source in one turn: bounds how late a signal or a landing is seen.
const TURN: Duration = Duration::from_millis(50);
/// How long partitions that are being revoked wait for the commit under way.
const REVOKE_WAIT: Duration = Duration::from_secs(5);
/// How long the last batch may take to commit once the run is told to end.
const DRAIN_WAIT: Duration = Duration::from_secs(8);
/// Failed commits in a row after which a bounded run gives up.
const FAILURES_MAX: u32 = 5;
/// How often the table is looked at while nothing comes: it may have been rolled back.
const IDLE_LOOK_MS: i64 = 30_000;
/// How long after its start a run that found nothing writes down that there is nothing.
const FIRST_COVER_MS: i64 = 5_000;
/// How often it is written down then up to when the table holds all of the topic.
const IDLE_COVER_MS: i64 = 60_000;
/// How often a bounded run looks at what other members of the group committed.
const LOOK_INTERVAL_MS: i64 = 1_000;

/// A stream whose source is open.
pub(crate) struct Run<'a, S: Source> {
    stream: Stream<'a, S>,
    id: SourceId,
    base: Base,
    batch: Batch,
    writer: Option<Writer>,
    flight: Option<Flight>,
    targets: BTreeMap<i32, i64>,
    pub(crate) report: Report,
    failures: u32,
    started_ms: i64,
    looked_at_ms: i64,
    /// When the topic was last looked at to be covered.
    covered_at_ms: Option<i64>,
    /// Something failed that may pass: nothing is read before this time, then from the heads.
    recover_at_ms: Option<i64>,
    /// All partitions, until it is known that they can be started: before the group is joined.
    unopened: Option<Vec<i32>>,
    /// Partitions that the group gave us and that the source has not been told to start.
    unstarted: Vec<i32>,
    /// Members of the group that hold partitions, when last heard of.
    members: usize,
    /// A contract that is not in use yet.
    pending: Pending,
}

/// What a turn brought.
enum Turn<B> {
    Landed(Outcome),
    Event(Event<B>),
}

/// Whether what was in flight is in the table now.
#[derive(PartialEq)]
enum Landing {
    Committed,
    /// It is not, and neither may be what was read behind it.
    Refused,
}

/// What a run begins with.
pub(crate) struct Opening {
    source: SourceId,
    partitions: Vec<i32>,
    base: Base,
    targets: BTreeMap<i32, i64>,
}

/// Looks at the broker and the lake, and sees to the table.
pub(crate) async fn look<S: Source>(stream: &mut Stream<'_, S>) -> Result<Opening, IngestError> {
    let Identity { source, partitions } = stream.source.identity().await?;
    let base = stream.lake.ensure_raw(&stream.contract, &stream.table).await?;
    let mut targets = BTreeMap::new();
    if stream.settings.until == Until::Latest {
        let marks = stream.source.watermarks(&partitions).await?;
        targets = marks.iter().map(|mark| (mark.partition, mark.stable)).collect();
    }
    Ok(Opening { source, partitions, base, targets })
}

impl<'a, S: Source> Run<'a, S> {
    pub(crate) fn new(stream: Stream<'a, S>, opening: Opening, started_ms: i64) -> Run<'a, S> {
        let Opening { source, partitions, base, targets } = opening;
        let decoder = Decoder::new(stream.contract.clone(), &source.short());
        let fingerprints = source.topic_id == "-";
        Run {
            id: source,
            base,
            batch: Batch::new(decoder, fingerprints),
            writer: None,
            flight: None,
            targets,
            report: Report::default(),
            failures: 0,
            started_ms,
            looked_at_ms: started_ms,
            covered_at_ms: None,
            recover_at_ms: None,
            unopened: Some(partitions),
            unstarted: Vec::new(),
            members: 0,
            pending: Pending::default(),
            stream,
        }
    }

    pub(crate) async fn turn_until_done(&mut self) -> Result<(), IngestError> {
        loop {
            if self.told_to_end() {
                return self.drain().await;
            }
            match self.turn().await {
                Ok(false) => {}
                Ok(true) => {
                    self.report.complete = true;
                    return Ok(());
                }
                Err(error) if error.class == ErrorClass::Retry => {
                    self.postpone(error)?;
                    self.abandon("it could not be continued");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One turn; true when the run has reached its targets.
    async fn turn(&mut self) -> Result<bool, IngestError> {
        if self.recover_at_ms.is_some_and(|at_ms| self.now_ms() >= at_ms) {
            self.restart().await?;
            self.recover_at_ms = None;
        }
        if self.recover_at_ms.is_none()
            && let Some(partitions) = &self.unopened
        {
            let partitions = partitions.clone();
            self.starts(&partitions).await?;
            self.unopened = None;
        }
        if self.reached_targets().await? {
            if self.covered_at_ms.is_none() {
                self.cover().await?;
            }
            return Ok(true);
        }
        self.look_while_idle().await?;
        let flush = self.decide_flush();
        if flush == Flush::Now {
            let coverage = self.coverage().await?;
            let next = self.next_contract().await?;
            self.launch(coverage)?;
            if let Some(decoder) = next {
                self.batch.decode_by(decoder);
            }
        }
        match self.next_turn(flush != Flush::Hold && self.recover_at_ms.is_none()).await? {
            Turn::Landed(outcome) => self.land(outcome).await?,
            Turn::Event(event) => self.handle(event).await?,
        }
        Ok(false)
    }

    /// Looks now and then whether the table still stands where reading goes on. A batch that is being
    /// made would find out by itself when it is committed; without one nobody would.
    async fn look_while_idle(&mut self) -> Result<(), IngestError> {
        let idle = self.flight.is_none() && self.batch.moved_at_ms().is_none();
        let now_ms = self.now_ms();
        let due = now_ms - self.looked_at_ms >= IDLE_LOOK_MS
            || self.covered_at_ms.is_none() && now_ms - self.started_ms >= FIRST_COVER_MS;
        if !idle || !due || self.recover_at_ms.is_some() || self.unopened.is_some() {
            return Ok(());
        }
        let now = self.table().await?;
        self.looked_at_ms = self.now_ms();
        self.stand_on(now).await?;
        if self.covered_at_ms.is_none_or(|at_ms| self.now_ms() - at_ms >= IDLE_COVER_MS) {
            self.cover().await?;
        }
        Ok(())
    }

    /// Goes on from this version of the table; where it was rolled back, from its heads.
    async fn stand_on(&mut self, now: Base) -> Result<(), IngestError> {
        if self.went_back(&now)? {
            self.abandon("the table was rolled back");
            return self.restart().await;
        }
        self.base = now;
        Ok(())
    }

    /// Whether the table lacks offsets that it had when our positions were taken from it.
    fn went_back(&self, now: &Base) -> Result<bool, IngestError> {
        let (seen, now) = (self.base.progress()?, now.progress()?);
        let source = self.id.to_string();
        let mut heads = seen.sources.get(&source).into_iter().flatten();
        Ok(heads
            .any(|(partition, p)| now.head(&source, *partition).is_none_or(|head| head < p.until)))
    }

    /// Something failed that may pass: everything is read again from the heads, a little later. A
    /// bounded run gives up after some failures in a row.
    fn postpone(&mut self, error: IngestError) -> Result<(), IngestError> {
        self.failures += 1;
        let failures = self.failures;
        if self.stream.settings.until != Until::Forever && failures >= FAILURES_MAX {
            return Err(error);
        }
        self.tell(&IngestEvent::Interrupted { error: error.message, failures });
        self.recover_at_ms = Some(self.now_ms() + pause(failures).as_millis() as i64);
        Ok(())
    }

    async fn handle(&mut self, event: Event<S::Batch>) -> Result<(), IngestError> {
        match event {
            Event::Idle => Ok(()),
            Event::Members(members) => {
                let before = std::mem::replace(&mut self.members, members);
                if members > MEMBERS_MAX && members != before {
                    self.tell(&IngestEvent::ManyMembers { members });
                }
                Ok(())
            }
            Event::Records(records) => {
                if self.batch.rows() == 0
                    && self.flight.is_none()
                    && let Some(decoder) = self.next_contract().await?
                {
                    self.batch.decode_by(decoder);
                }
                self.take(&records)
            }
            Event::End { partition, offset } => {
                let now_ms = self.now_ms();
                self.batch.reach(partition, offset, now_ms);
                Ok(())
            }
            Event::Assigned(partitions) => self.assigned(&partitions).await,
            Event::Revoked { partitions, lost } => self.revoked(&partitions, lost).await,
            Event::OutOfRange { partition, position } => {
                self.abandon(&format!("partition {partition} has no offset {position} any more"));
                self.settle().await?;
                self.restart_soon().await
            }
            Event::Reset(reason) => {
                self.abandon(&reason);
                self.batch.end_all();
                self.unstarted.clear();
                self.settle().await?;
                self.tell(&IngestEvent::ClientRebuilt { reason });
                Ok(())
            }
        }
    }

    /// Records into the open batch.
    fn take(&mut self, records: &S::Batch) -> Result<(), IngestError> {
        let now_ms = self.now_ms();
        if self.report.first_fetch_ms.is_none() {
            self.report.first_fetch_ms = Some(now_ms - self.started_ms);
            self.tell(&IngestEvent::FirstFetch);
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.open_writer()?,
        };
        let mut pushed = Ok(());
        let taken = self.batch.take(records, now_ms, |chunk| {
            if pushed.is_ok() {
                pushed = writer.push(chunk);
            }
        });
        self.writer = Some(writer);
        pushed?;
        self.report.add(&taken);
        self.report.memory_peak = self.report.memory_peak.max(self.memory());
        match taken.other_record {
            Some((partition, offset)) => {
                Err(self.stopped(&[Problem::OtherRecord { partition, offset }]))
            }
            None => Ok(()),
        }
    }

    async fn assigned(&mut self, partitions: &[i32]) -> Result<(), IngestError> {
        self.report.assignments += 1;
        partitions.iter().for_each(|partition| self.batch.hold(*partition));
        self.unstarted = partitions.to_vec();
        if self.recover_at_ms.is_some() && !partitions.is_empty() {
            return Ok(());
        }
        let starts = self.starts(partitions).await?;
        let reads = self.begin(&starts);
        self.stream.source.start(&reads).await?;
        self.unstarted.clear();
        self.tell_started(&starts);
        Ok(())
    }

    async fn revoked(&mut self, partitions: &[i32], lost: bool) -> Result<(), IngestError> {
        let partitions = partitions.to_vec();
        let touched = self.batch.touches(&partitions);
        if touched {
            self.abandon("partitions in it were revoked");
        }
        partitions.iter().for_each(|partition| self.batch.end(*partition));
        self.unstarted.retain(|partition| !partitions.contains(partition));
        let landing = self.settle().await?;
        self.stream.source.release().await?;
        self.tell(&IngestEvent::PartitionsRevoked { partitions, lost });
        if !touched && landing == Landing::Committed {
            return Ok(());
        }
        self.abandon("the batch before it is not in the table");
        self.restart_soon().await
    }

    /// A decoder for the contract that came meanwhile, once the table can take its rows. Asked between
    /// batches, while no commit is under way: the table that it is compared with is the one that the
    /// next batch is written for.
    async fn next_contract(&mut self) -> Result<Option<Decoder>, IngestError> {
        let Some(news) = self.stream.news.as_mut().map(|news| news.look()) else { return Ok(None) };
        if let Some(why) = news.and_then(|news| self.pending.hear(&self.stream.contract, news)) {
            self.tell(&IngestEvent::ContractRefused { why });
        }
        let Some(contract) = self.pending.contract() else { return Ok(None) };
        // It may have been changed for this contract since we last committed.
        let now = self.table().await?;
        if self.went_back(&now)? {
            // Whoever commits on the base that positions come from is fenced.
            return Ok(None);
        }
        if let Err(error) = now.takes(&contract) {
            let why = error.to_string();
            if self.pending.waits(&why) {
                self.tell(&IngestEvent::ContractRefused { why });
            }
            return Ok(None);
        }
        self.base = now;
        self.pending.taken();
        self.writer = self.writer.take().filter(|_| self.batch.rows() > 0);
        self.tell(&IngestEvent::ContractTaken { version: contract.version.clone() });
        self.stream.contract = contract.clone();
        Ok(Some(Decoder::new(contract, &self.id.short())))
    }

    /// Hands the open batch over to be committed.
    fn launch(&mut self, coverage: Coverage) -> Result<(), IngestError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.open_writer()?,
        };
        let (steps, rejected) = self.batch.close(&mut writer, self.now_ms())?;
        let steps = Steps::from([(self.id.to_string(), steps)]);
        let commit_id = self.commit_id();
        let memory = writer.memory();
        let committer = self.committer();
        let commit = (commit_id.clone(), steps.clone());
        let work = committer.batch(self.base.clone(), writer, commit, coverage);
        let work = (self.stream.spawn)(Box::pin(work));
        self.tell(&IngestEvent::CommitStarted { commit_id: commit_id.clone() });
        self.flight = Some(Flight { work, commit_id, steps, rejected, memory });
        Ok(())
    }

    /// Takes note of how the flight ended, and starts again from the heads if it was refused.
    async fn land(&mut self, outcome: Outcome) -> Result<(), IngestError> {
        if self.note(outcome).await? == Landing::Committed {
            return Ok(());
        }
        self.abandon("the batch before it is not in the table");
        self.restart_soon().await
    }

    async fn note(&mut self, outcome: Outcome) -> Result<Landing, IngestError> {
        let Some(Flight { commit_id, steps, rejected, .. }) = self.flight.take() else {
            return Ok(Landing::Committed);
        };
        match outcome.map(landed) {
            Ok(Ok(receipt)) => {
                self.failures = 0;
                let steps: Vec<_> = steps.into_values().flatten().collect();
                self.report.commit(&steps, &receipt);
                self.tell(&IngestEvent::committed(commit_id, &steps, &rejected, &receipt));
                self.base = receipt.base;
                let heads: Vec<_> = steps.iter().map(|(p, step)| (*p, step.until)).collect();
                self.stream.source.publish(&heads).await;
                Ok(Landing::Committed)
            }
            Ok(Err(fences)) => {
                self.failures = 0;
                self.report.fenced += 1;
                self.tell(&IngestEvent::fenced(commit_id, &fences));
                Ok(Landing::Refused)
            }
            Err(error) if error.class() == ErrorClass::Retry => {
                self.report.failed += 1;
                self.postpone(error.into())?;
                Ok(Landing::Refused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Throws the open batch away; the partitions stay held, without a position.
    fn abandon(&mut self, reason: &str) {
        let records = self.batch.abandon();
        self.writer = None;
        if records > 0 {
            self.report.abandoned += 1;
            self.tell(&IngestEvent::BatchAbandoned { records, reason: reason.into() });
        }
    }

    /// [`Run::restart`], unless that is to wait.
    async fn restart_soon(&mut self) -> Result<(), IngestError> {
        if self.recover_at_ms.is_some() { Ok(()) } else { self.restart().await }
    }

    /// Reads all partitions held from the table's heads again.
    async fn restart(&mut self) -> Result<(), IngestError> {
        let held = self.batch.partitions();
        if held.is_empty() {
            return Ok(());
        }
        let starts = self.starts(&held).await?;
        let reads = self.begin(&starts);
        if !self.unstarted.is_empty() {
            let new = |(partition, _): &&(i32, i64)| self.unstarted.contains(partition);
            let first: Vec<_> = reads.iter().filter(new).copied().collect();
            self.stream.source.start(&first).await?;
            self.unstarted.clear();
        }
        self.stream.source.restart(&reads).await?;
        self.tell_started(&starts);
        Ok(())
    }

    /// Waits for the flight, if any, for at most [`REVOKE_WAIT`]. One that is still under way then is
    /// left to itself: whatever becomes of it, the table's head says so.
    async fn settle(&mut self) -> Result<Landing, IngestError> {
        match self.await_flight(REVOKE_WAIT).await {
            Some(outcome) => self.note(outcome).await,
            None if self.flight.take().is_some() => Ok(Landing::Refused),
            None => Ok(Landing::Committed),
        }
    }

    async fn await_flight(&mut self, wait: Duration) -> Option<Outcome> {
        let flight = self.flight.as_mut()?;
        let timer = self.stream.lake.env.clock.sleep(wait);
        match select(&mut flight.work, timer).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        }
    }

    /// Where `partitions` start; opens the source or records accepted steps first where needed.
    async fn starts(&mut self, partitions: &[i32]) -> Result<Vec<Begin>, IngestError> {
        let mut looked_twice = false;
        loop {
            self.reload().await?;
            let progress = self.base.progress()?;
            let known = progress.sources.contains_key(&self.id.to_string());
            let marks = if known {
                self.stream.source.watermarks(partitions).await?
            } else {
                let all = self.stream.source.identity().await?.partitions;
                self.stream.source.watermarks(&all).await?
            };
            let decision = decide_resume(&ResumeFacts {
                source: &self.id,
                progress: &progress,
                watermarks: &marks,
                start: self.stream.settings.start,
                accept: &self.stream.settings.accept,
            });
            match decision {
                Resume::Start(starts) => return Ok(starts),
                Resume::Record { steps, accepted } => self.record(steps, accepted).await?,
                // The head may have moved between the two reads: look once more before stopping.
                Resume::Stop(problems) if looked_twice => return Err(self.stopped(&problems)),
                Resume::Stop(_) => looked_twice = true,
            }
        }
    }

    async fn record(&mut self, steps: Steps, accepted: Vec<String>) -> Result<(), IngestError> {
        let (base, commit_id) = (self.base.clone(), self.commit_id());
        match self.committer().record(base, commit_id, steps, &accepted).await.map(landed)? {
            Ok(receipt) => {
                self.base = receipt.base;
                self.tell(&IngestEvent::StepsRecorded { accepted });
            }
            // Another member was faster: what it wrote down is read next.
            Err(_) => self.report.fenced += 1,
        }
        Ok(())
    }

    /// Begins partitions; returns the offsets to read them from.
    fn begin(&mut self, starts: &[Begin]) -> Vec<(i32, i64)> {
        let limited = self.stream.settings.until == Until::Latest;
        for Begin { partition, head, probe } in starts {
            // A partition that did not exist at the start has no target and is left to the next run.
            let target = limited.then(|| self.targets.get(partition).copied().unwrap_or(0));
            self.batch.begin(*partition, *head, target, *probe);
        }
        starts.iter().map(|begin| (begin.partition, begin.offset())).collect()
    }

    async fn reload(&mut self) -> Result<(), IngestError> {
        self.base = self.table().await?;
        self.looked_at_ms = self.now_ms();
        Ok(())
    }

    /// The table as it is.
    async fn table(&self) -> Result<Base, IngestError> {
        let table = &self.stream.table;
        self.stream.lake.table(table).await?.ok_or_else(|| IngestError {
            class: ErrorClass::BadData,
            message: format!("table {table} was dropped while it was being written"),
        })
    }

    /// Whether the table holds every partition up to the end that it had at the start.
    async fn reached_targets(&mut self) -> Result<bool, IngestError> {
        if self.stream.settings.until != Until::Latest || self.flight.is_some() {
            return Ok(false);
        }
        if self.holds_targets()? {
            return Ok(true);
        }
        if self.batch.at_targets() && self.now_ms() - self.looked_at_ms >= LOOK_INTERVAL_MS {
            self.reload().await?;
            return self.holds_targets();
        }
        Ok(false)
    }

    fn holds_targets(&self) -> Result<bool, IngestError> {
        let progress = self.base.progress()?;
        let known = progress.sources.get(&self.id.to_string());
        Ok(self.targets.iter().all(|(partition, target)| {
            known.and_then(|k| k.get(partition)).map_or(0, |p| p.until) >= *target
        }))
    }

    fn told_to_end(&self) -> bool {
        if self.stream.shutdown.load(Ordering::Relaxed) {
            return true;
        }
        match self.stream.settings.until {
            Until::For(time) => self.now_ms() - self.started_ms >= time.as_millis() as i64,
            _ => false,
        }
    }

    /// Commits what is open, within [`DRAIN_WAIT`]; what does not make it is read again by the next run.
    async fn drain(&mut self) -> Result<(), IngestError> {
        let ends_ms = self.now_ms() + DRAIN_WAIT.as_millis() as i64;
        for _ in 0..2 {
            let left = Duration::from_millis((ends_ms - self.now_ms()).max(0) as u64);
            match self.await_flight(left).await {
                Some(outcome) => match self.note(outcome).await? {
                    Landing::Committed => {}
                    Landing::Refused => self.abandon("the run ended"),
                },
                None if self.flight.is_some() => {
                    self.abandon("the run ended before the batch ahead of it was committed");
                    return Ok(());
                }
                None => {}
            }
            if self.batch.moved_at_ms().is_none() {
                break;
            }
            let coverage = self.coverage().await?;
            self.launch(coverage)?;
        }
        self.report.complete = !self.stream.shutdown.load(Ordering::Relaxed);
        if self.report.complete && self.covered_at_ms.is_none() {
            self.cover().await?;
        }
        Ok(())
    }

    fn decide_flush(&self) -> Flush {
        let moved_at_ms = self.batch.moved_at_ms();
        let age_ms = moved_at_ms.map_or(0, |moved| self.now_ms() - moved);
        let facts = FlushFacts {
            moved: moved_at_ms.is_some(),
            rows: self.batch.rows(),
            bytes: self.batch.bytes(),
            age: Duration::from_millis(age_ms.max(0) as u64),
            in_flight: self.flight.is_some(),
            // What one more read may add: of large records a batch takes up to half of the source's
            // memory, and columns are at most twice as large as what they are decoded from.
            memory_full: self.memory() + self.stream.settings.source_memory
                > self.stream.settings.memory_max,
            draining: self.stream.settings.until == Until::Latest && self.batch.at_targets(),
        };
        decide_flush(&facts, &self.stream.settings.flush)
    }

    async fn next_turn(&mut self, records: bool) -> Result<Turn<S::Batch>, IngestError> {
        let source = self.stream.source.next(TURN, records);
        let Some(flight) = &mut self.flight else { return Ok(Turn::Event(source.await?)) };
        match select(&mut flight.work, source).await {
            Either::Left((outcome, _)) => Ok(Turn::Landed(outcome)),
            Either::Right((event, _)) => Ok(Turn::Event(event?)),
        }
    }

    fn open_writer(&self) -> Result<Writer, IngestError> {
        let lake = &self.stream.lake;
        let writer = DayWriter::new(lake.format.clone(), self.base.schema()?);
        Ok(if self.stream.settings.threaded {
            Writer::threaded(writer)?
        } else {
            Writer::Inline(writer)
        })
    }

    /// Bytes held: what the source may queue, the open batch, and the one in flight.
    fn memory(&self) -> usize {
        self.stream.settings.source_memory
            + self.batch.memory()
            + self.writer.as_ref().map_or(0, Writer::memory)
            + self.flight.as_ref().map_or(0, |flight| flight.memory)
    }

    fn committer(&self) -> Committer {
        Committer { lake: self.stream.lake.clone(), advance: self.stream.settings.advance }
    }

    fn commit_id(&self) -> String {
        self.stream.lake.env.ids.uuid().to_string()
    }

    fn now_ms(&self) -> i64 {
        self.stream.lake.env.clock.now_ms()
    }

    fn tell_started(&mut self, starts: &[Begin]) {
        let offsets = starts.iter().map(|begin| (begin.partition, begin.head)).collect();
        self.tell(&IngestEvent::PartitionsStarted { offsets });
    }

    fn tell(&mut self, event: &IngestEvent) {
        (self.stream.listen)(event);
    }

    fn stopped(&self, problems: &[Problem]) -> IngestError {
        let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
        IngestError {
            class: ErrorClass::BadData,
            message: format!("stream of table {} stopped: {}", self.stream.table, lines.join("; ")),
        }
    }
}
