//! What a running quickstart shows: figures that change in place on a terminal, a line a second
//! elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::live::Live;

/// Classes of rejects in one line: 80 columns hold them.
const CLASSES: usize = 3;
/// A line that is too long for the terminal is cut there: wrapped, it would be two to go up by.
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

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
            let lines = lines(live, self.begun.elapsed());
            self.shown = lines.len();
            text.push_str(WRAP_OFF);
            for line in lines {
                let _ = writeln!(text, "\x1b[2K{line}");
            }
            text.push_str(WRAP_ON);
        } else {
            let _ = writeln!(text, "{:>4.0} s  {}", self.begun.elapsed().as_secs_f64(), line(live));
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

fn lines(live: &Live, since: Duration) -> Vec<String> {
    let time = chrono::DateTime::from_timestamp_millis(live.world_ms).unwrap_or_default();
    let classes: Vec<String> =
        live.rejects.iter().map(|(class, count)| format!("{class} {count}")).collect();
    let mut classes = classes.chunks(CLASSES).map(|some| some.join(", "));
    let fresh = live.freshness.map_or("-".into(), |age| format!("{:.1} s", age.as_secs_f64()));
    let mut lines = vec![
        format!("  fleet's time     {}", time.format("%F %T")),
        format!("  events sent      {:>9}   in {:.0} s", live.sent, since.as_secs_f64()),
        format!("  rows             {:>9}   accepted", live.rows),
        format!("  rejected         {:>9}   {}", live.rejected, classes.next().unwrap_or_default()),
    ];
    lines.extend(classes.map(|more| format!("{:31}{more}", "")));
    lines.extend([
        format!("  lag              {:>9}   records not yet in the lake", live.lag()),
        format!("  freshness        {fresh:>9}   from sent to visible"),
        format!("  commits          {:>9}", live.commits),
    ]);
    lines
}

fn line(live: &Live) -> String {
    format!(
        "{} events sent, {} rows, {} rejected, lag {}, {} commits",
        live.sent,
        live.rows,
        live.rejected,
        live.lag(),
        live.commits
    )
}
