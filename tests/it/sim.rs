//! Seeded simulation of ingest. A failing seed is repeated by `WEIR_SIM_SEED=<seed> tests/run --only
//! sim::one_seed`.

use std::sync::atomic::{AtomicU64, Ordering};

use weir_tests::sim::audit::Counts;
use weir_tests::sim::place::Where;
use weir_tests::sim::world::{self, Careless, Options};

/// Seeds in CI; `WEIR_SIM_SEEDS` sets another number.
const SEEDS: u64 = 600;
/// One seed in so many writes real Parquet.
const PARQUET_EVERY: u64 = 35;

/// A half of the seeds are on the disk, a third on S3 and Glue, the others on S3 and a REST catalog; so are
/// those with Parquet.
fn options(seed: u64) -> Options {
    let at = match seed % 6 {
        1 | 4 => Where::Glue,
        2 => Where::Rest,
        _ => Where::Disk,
    };
    Options { parquet: seed.is_multiple_of(PARQUET_EVERY), at, ..Options::default() }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn one_seed() {
    let seed = number("WEIR_SIM_SEED").unwrap_or(1);
    match world::run(seed, options(seed)) {
        Ok(outcome) => println!("{}\n{:?}", outcome.trace.join("\n"), outcome.counts),
        Err(failure) => panic!("{}\nseed {seed}: {}", failure.trace.join("\n"), failure.why),
    }
}

#[test]
fn one_seed_run_twice_gives_the_same_trace() {
    for seed in [1, 2, 3, PARQUET_EVERY, 2 * PARQUET_EVERY, 3 * PARQUET_EVERY] {
        assert_eq!(world::run(seed, options(seed)), world::run(seed, options(seed)), "seed {seed}");
    }
}

#[test]
fn no_seed_loses_or_doubles_a_record() {
    let seeds = number("WEIR_SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let work = || {
        let (mut counts, mut failed) = (Counts::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || !failed.is_empty() {
                return (counts, failed);
            }
            match world::run(seed, options(seed)) {
                Ok(outcome) => counts.add(&outcome.counts),
                Err(failure) => failed.push(format!(
                    "seed {seed}: {}\n  repeat: WEIR_SIM_SEED={seed} tests/run --only sim::one_seed",
                    failure.why
                )),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let results: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a seed panicked")).collect()
    });
    let mut counts = Counts::default();
    for (more, failed) in results {
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        counts.add(&more);
    }
    println!("{seeds} seeds: {counts:?}");
    assert_eq!(counts.never(), Vec::<&str>::new(), "these never happened in {seeds} seeds");
}

/// The auditor must catch the careless world in at least one of the first seeds.
fn caught_in(options: Options) {
    let seeds = 60;
    let Options { careless, at, .. } = options;
    match (0..seeds).find_map(|seed| world::run(seed, options).err()) {
        Some(failure) => println!("{careless:?} at {at:?}: {}", failure.why),
        None => panic!("{careless:?} at {at:?} went unnoticed in {seeds} seeds"),
    }
}

fn caught_at(at: Where, careless: Careless) {
    caught_in(Options { careless, at, parquet: false });
}

fn caught(careless: Careless) {
    caught_at(Where::Disk, careless);
}

#[test]
fn the_auditor_notices_a_missing_head_check() {
    caught(Careless::HeadCheck);
    caught_at(Where::Rest, Careless::HeadCheck);
}

#[test]
fn the_auditor_notices_a_missing_fence() {
    caught(Careless::Fence);
}

#[test]
fn the_auditor_notices_a_missing_unknown_rule() {
    caught(Careless::UnknownRule);
    caught_at(Where::Glue, Careless::UnknownRule);
}

#[test]
fn the_auditor_notices_files_that_are_not_synced() {
    caught(Careless::FileSync);
}

#[test]
fn the_auditor_notices_folders_that_are_not_synced() {
    caught(Careless::FolderSync);
}

#[test]
fn the_auditor_notices_coverage_that_says_too_much() {
    caught(Careless::Clock);
}

#[test]
fn the_auditor_notices_a_sweep_that_does_not_wait() {
    caught_in(Options { careless: Careless::Sweep, parquet: true, ..Options::default() });
}
