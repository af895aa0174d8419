//! Engines that are not ours, real ones: Trino, which is Athena's, and Spark. They read every table, and
//! they write beside us; what was seen stands in docs/readers.md.
//!
//! Slow, and no part of `tests/run` without `--only`: it needs Java 25 beside 17, Go, and downloads 1.5 GB.

mod asked;
mod fleet;
mod laptop;
mod page;
mod reading;
mod versity;
mod writing;
