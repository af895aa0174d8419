//! The ground truth: what was done to whom when, and what was sent, one JSON object per line.
//! `docs/fleet.md` explains the lines.

use std::io::{self, Write};

use crate::data::Data;

/// Version of the format; the first line tells it.
pub const VERSION: i64 = 1;

/// Writes the lines, or nothing where nobody asked for them.
pub struct Truth {
    out: Option<Box<dyn Write>>,
    line: Vec<u8>,
    failed: Option<io::Error>,
}

impl Truth {
    /// Nobody asked.
    pub fn none() -> Truth {
        Truth { out: None, line: Vec::new(), failed: None }
    }

    /// To a writer, which should be buffered.
    pub fn to(out: Box<dyn Write>) -> Truth {
        Truth { out: Some(out), ..Truth::none() }
    }

    /// One line. `record` says what it is about.
    pub fn line(&mut self, record: &str, write: impl FnOnce(&mut Data<'_>)) {
        let Some(out) = &mut self.out else { return };
        self.line.clear();
        self.line.push(b'{');
        let mut data = Data(&mut self.line);
        data.text("record", record);
        write(&mut data);
        self.line.extend_from_slice(b"}\n");
        if let Err(error) = out.write_all(&self.line) {
            self.failed.get_or_insert(error);
        }
    }

    /// Something that befell `subject`, from when until when; no end means that it lasts.
    pub fn episode(
        &mut self,
        what: &str,
        subject: &str,
        from: i64,
        until: Option<i64>,
        detail: impl FnOnce(&mut Data<'_>),
    ) {
        self.line("episode", |data| {
            data.text("what", what).text("subject", subject).time("from", from);
            match until {
                Some(until) => data.time("until", until),
                None => data.json("until", b"null"),
            };
            detail(data);
        });
    }

    /// Writes what is buffered; the first error of all.
    pub fn finish(&mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}
