//! What a running quickstart shows: figures that change in place on a terminal, a line a second
//! elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weir_ingest::event::IngestEvent;

/// How far everything has come.
#[derive(Debug, Default)]
pub struct Live {
    /// Records that the fleet has sent.
    pub sent: u64,
    /// The fleet's time, ms since 1970.
    pub world_ms: i64,
    /// Accepted rows in the lake.
    pub rows: u64,
    /// Rejected rows in the lake.
    pub rejected: u64,
    /// The same, by class.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Commits.
    pub commits: u64,
    /// Warnings.
    pub warnings: u64,
    /// How long the newest rows took from being sent to being visible.
    pub freshness: Option<Duration>,
    /// The greatest of all.
    pub freshness_max: Duration,
    /// When how much had been sent: what freshness is told by.
    marks: VecDeque<(Instant, u64)>,
}

impl Live {
    /// The fleet has sent so many records in all.
    pub fn sent(&mut self, records: u64, world_ms: i64) {
        if records > self.sent {
            self.marks.push_back((Instant::now(), records));
        }
        (self.sent, self.world_ms) = (records, world_ms);
    }

    /// Something happened to a stream.
    pub fn hear(&mut self, event: &IngestEvent) {
        self.warnings += u64::from(event.is_warning());
        let IngestEvent::BatchCommitted { rows, rejected, rejects, .. } = event else { return };
        self.rows += rows;
        self.rejected += rejected;
        self.commits += 1;
        for (class, count) in rejects {
            *self.rejects.entry(class).or_default() += count;
        }
        let there = self.in_lake();
        while let Some((at, _)) = self.marks.front().filter(|(_, sent)| *sent <= there) {
            let age = at.elapsed();
            self.freshness = Some(age);
            self.freshness_max = self.freshness_max.max(age);
            self.marks.pop_front();
        }
    }

    /// Rows in the lake, accepted or not.
    pub fn in_lake(&self) -> u64 {
        self.rows + self.rejected
    }

    /// Records sent and not yet in the lake.
    pub fn lag(&self) -> u64 {
        self.sent.saturating_sub(self.in_lake())
    }

    fn lines(&self, since: Duration) -> Vec<String> {
        let time = chrono::DateTime::from_timestamp_millis(self.world_ms).unwrap_or_default();
        let mut classes = String::new();
        for (class, count) in &self.rejects {
            let _ =
                write!(classes, "{}{class} {count}", if classes.is_empty() { "" } else { ", " });
        }
        let fresh = self.freshness.map_or("-".into(), |age| format!("{:.1} s", age.as_secs_f64()));
        vec![
            format!("  fleet's time     {}", time.format("%F %T")),
            format!("  events sent      {:>9}   in {:.0} s", self.sent, since.as_secs_f64()),
            format!("  rows             {:>9}   accepted", self.rows),
            format!("  rejected         {:>9}   {classes}", self.rejected),
            format!("  lag              {:>9}   records not yet in the lake", self.lag()),
            format!("  freshness        {fresh:>9}   from sent to visible"),
            format!("  commits          {:>9}", self.commits),
        ]
    }

    fn line(&self) -> String {
        format!(
            "{} events sent, {} rows, {} rejected, lag {}, {} commits",
            self.sent,
            self.rows,
            self.rejected,
            self.lag(),
            self.commits
        )
    }
}

/// Where the figures are shown.
pub struct Screen {
    begun: Instant,
    terminal: bool,
    shown: usize,
    last: Option<Instant>,
}

impl Screen {
    /// Nothing shown yet.
    pub fn new() -> Screen {
        let terminal = std::io::stderr().is_terminal();
        Screen { begun: Instant::now(), terminal, shown: 0, last: None }
    }

    /// Shows the figures: on stderr, since stdout is for results.
    pub fn show(&mut self, live: &Live) {
        let every = Duration::from_millis(if self.terminal { 200 } else { 1000 });
        if self.last.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        self.last = Some(Instant::now());
        let mut text = String::new();
        if self.terminal {
            if self.shown > 0 {
                let _ = write!(text, "\x1b[{}A", self.shown);
            }
            let lines = live.lines(self.begun.elapsed());
            self.shown = lines.len();
            for line in lines {
                let _ = writeln!(text, "\x1b[2K{line}");
            }
        } else {
            let _ =
                writeln!(text, "{:>4.0} s  {}", self.begun.elapsed().as_secs_f64(), live.line());
        }
        // Without a stderr nobody looks.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Shows the last figures, however fresh the last look is.
    pub fn end(mut self, live: &Live) {
        self.last = None;
        self.show(live);
    }
}

/// The guard, whoever died holding it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
