//! Seeded simulation of ingest: the real loop and the real commit layer on a fake broker, clock, disk
//! and pointer, driven by one seed on one thread.
//!
//! - [`rng`]: the seed's stream of choices. - [`clock`]: virtual time, and ids. - [`faults`]: what fails.
//! - [`disk`]: a disk that forgets what was not synced. - [`store`]: an object store over it that is slow
//!   and fails. - [`bucket`]: S3, which does late what it was not heard of to do.
//! - [`pointer`]: a catalog whose answers get lost. - [`rest`]: one that writes metadata itself.
//! - [`place`]: which of these a lake is on. - [`broker`]: a topic, and a group that rebalances.
//! - [`format`]: data files as lines of text. - [`foreign`]: another engine that commits in between.
//! - [`world`]: the driver: processes, faults, time. - [`audit`]: what must hold in the end.
//!
//! Every await of a fake gives the driver a turn, so that a crash can happen there.

pub mod audit;
pub mod broker;
pub mod bucket;
pub mod clock;
pub mod disk;
pub mod faults;
pub mod foreign;
pub mod format;
pub mod place;
pub mod pointer;
pub mod rest;
pub mod rng;
pub mod store;
pub mod world;

use std::pin::Pin;
use std::task::{Context, Poll};

/// Pending once: a point at which the driver may do something else, or crash the process.
pub struct Turn(bool);

/// Gives the driver a turn.
pub fn turn() -> Turn {
    Turn(false)
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // The driver polls anyway; a set of futures polls only those that are awake.
        context.waker().wake_by_ref();
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}
