//! Newline-delimited JSON: each record's value is one line; a tombstone is an empty one. Malformed
//! records stand as they are.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Record, Sink};
use crate::error::FleetError;
use crate::stream::Stream;

const BUFFER: usize = 1 << 20;

/// Writes lines to one file, or to one for each stream.
pub struct Files {
    outs: Vec<(PathBuf, BufWriter<Box<dyn Write>>)>,
    /// Per stream: which of the outs.
    of: Vec<usize>,
    live: bool,
}

impl Files {
    /// All streams to stdout, in the order in which they are sent.
    pub fn stdout() -> Files {
        Files::one("stdout".into(), Box::new(io::stdout()))
    }

    /// To `path`: a folder, in which each stream gets `<stream>.ndjson`; or one file for all of them,
    /// where `path` ends in `.ndjson` or is there already and no folder (`/dev/null`).
    pub fn create(path: &Path, streams: &[Stream]) -> Result<Files, FleetError> {
        let failed = |path: &Path, error: io::Error| FleetError::file(path, "written", &error);
        let open = |path: &Path| File::create(path).map_err(|error| failed(path, error));
        let single = path.extension().is_some_and(|extension| extension == "ndjson");
        if single || (path.exists() && !path.is_dir()) {
            return Ok(Files::one(path.into(), Box::new(open(path)?)));
        }
        fs::create_dir_all(path).map_err(|error| failed(path, error))?;
        let mut files = Files { outs: Vec::new(), of: vec![0; Stream::ALL.len()], live: false };
        for stream in streams {
            files.of[*stream as usize] = files.outs.len();
            let file = path.join(format!("{stream}.ndjson"));
            let out: Box<dyn Write> = Box::new(open(&file)?);
            files.outs.push((file, BufWriter::with_capacity(BUFFER, out)));
        }
        Ok(files)
    }

    fn one(path: PathBuf, out: Box<dyn Write>) -> Files {
        let outs = vec![(path, BufWriter::with_capacity(BUFFER, out))];
        Files { outs, of: vec![0; Stream::ALL.len()], live: true }
    }

    fn flush(&mut self) -> Result<(), FleetError> {
        for (path, out) in &mut self.outs {
            out.flush().map_err(|error| FleetError::file(path, "written", &error))?;
        }
        Ok(())
    }
}

impl Sink for Files {
    fn put(&mut self, record: &Record<'_>) -> Result<(), FleetError> {
        let (path, out) = &mut self.outs[self.of[record.stream as usize]];
        let written = out.write_all(record.value.unwrap_or_default());
        written
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|error| FleetError::file(path, "written", &error))
    }

    fn idle(&mut self) -> Result<(), FleetError> {
        // Somebody may be watching.
        if self.live { self.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), FleetError> {
        self.flush()
    }
}
