//! What this process has used, as the kernel counts it.

use std::time::Instant;

use anyhow::{Context, Result};

/// CPU, wall time and memory of one measured piece of work.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// User and system time of all threads, seconds.
    pub cpu: f64,
    /// Seconds.
    pub wall: f64,
    /// The process's greatest resident set, MiB.
    pub rss_mib: f64,
    /// Records that passed.
    pub records: u64,
}

impl Usage {
    /// CPU-seconds per million records.
    pub fn cpu_per_million(&self) -> f64 {
        self.cpu / (self.records as f64 / 1e6)
    }

    /// Records per second.
    pub fn per_second(&self) -> f64 {
        self.records as f64 / self.wall
    }
}

/// A measurement that has begun.
pub struct Meter {
    cpu: f64,
    begun: Instant,
}

impl Meter {
    /// Begins now.
    pub fn start() -> Result<Meter> {
        Ok(Meter { cpu: cpu_seconds()?, begun: Instant::now() })
    }

    /// Ends now.
    pub fn stop(&self, records: u64) -> Result<Usage> {
        Ok(Usage {
            cpu: cpu_seconds()? - self.cpu,
            wall: self.begun.elapsed().as_secs_f64(),
            rss_mib: peak_rss_mib()?,
            records,
        })
    }
}

fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let rest = stat.rsplit_once(')').context("no command in /proc/self/stat")?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // utime and stime, in ticks of 1/100 s on every Linux that Rust runs on.
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

fn peak_rss_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no VmHWM")?.parse()?;
    Ok(kib / 1024.0)
}
