//! The fleet: a world of vending machines, stores and traders whose events fill the twelve streams of
//! `contracts/`, deterministic by seed, and written straight into bytes, because it also loads benchmarks.
//!
//! - [`run`]: settings, and the loop in which whoever is due first acts.
//! - [`world`]: sites, models, planograms, and their reference tables.
//! - `life`, `stores`, `accounts`: those who live in it, and what goes wrong with them.
//! - [`road`]: from an event to a record: envelope, duplicates, reordering, malformed records, counts.
//! - [`sink`]: files or Kafka. [`truth`]: what was done to whom when.
//! - [`broker`]: one inside this process, for the quickstart.
//! - [`from_csv`]: real sales as events, by a mapping.
//!
//! `docs/fleet.md` is the guide.

mod accounts;
pub mod broker;
pub mod data;
pub mod error;
pub mod from_csv;
mod life;
pub mod malformed;
mod names;
pub mod rng;
pub mod road;
pub mod run;
pub mod sink;
mod stores;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod text;
pub mod truth;
pub mod world;
