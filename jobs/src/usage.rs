//! What this process has used of the machine so far, as Linux counts it; for `--result-json`.

use std::time::Instant;

use serde_json::{Value, json};

/// Clock ticks per second in `/proc`: 100 on every Linux, whatever the kernel's own timer does.
const TICKS_PER_SECOND: f64 = 100.0;

/// `{wall_seconds, cpu_seconds, peak_rss_bytes}`; null where the system has no `/proc`.
pub fn since(started: Instant) -> Value {
    let read = |name| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    json!({
        "wall_seconds": started.elapsed().as_secs_f64(),
        "cpu_seconds": cpu_seconds(&read("stat")),
        "peak_rss_bytes": peak_rss_bytes(&read("status")),
    })
}

/// User and system time out of `/proc/self/stat`: fields 14 and 15, counted behind the name, which
/// may hold spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

/// `VmHWM` out of `/proc/self/status`, which stands there in KiB.
fn peak_rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "4242 (a b) c) S 1 4242 4242 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("nonsense"), None);
        assert_eq!(peak_rss_bytes("VmPeak:\t  9 kB\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(peak_rss_bytes("VmPeak:\t  9 kB\n"), None);
    }
}
