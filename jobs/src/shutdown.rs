//! Signals: the first SIGTERM or SIGINT asks for an orderly end, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use weir_contract::class::ErrorClass;

/// Listens from now on; the flag is set at the first signal. Needs a running runtime.
pub fn listen() -> Result<Arc<AtomicBool>, Failure> {
    let failed =
        |error| Failure::new(ErrorClass::Denied, format!("signals cannot be watched: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let flag = Arc::new(AtomicBool::new(false));
    let asked = flag.clone();
    tokio::spawn(async move {
        loop {
            let number = tokio::select! {
                _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
                _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            };
            if asked.swap(true, Ordering::Relaxed) {
                // Nothing to tidy up: a crash at any instruction leaves the old state or the new.
                std::process::exit(128 + number);
            }
            tracing::info!(signal = number, "stopping; a second signal ends the process at once");
        }
    });
    Ok(flag)
}

/// Ends the process with `code` once `after` has passed since the first signal, if it has not ended by
/// itself: a crash at any instruction leaves the old state or the new.
pub fn give_up(flag: &Arc<AtomicBool>, after: Duration, code: i32) {
    let flag = flag.clone();
    std::thread::spawn(move || {
        while !flag.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(after);
        tracing::warn!("what was under way did not end in time and was abandoned");
        std::process::exit(code);
    });
}
