//! SQL models: files with one SELECT each, in dbt's manner, and the YAML beside them.
//!
//! - [`project`]: files → models, tests and unit tests, with every mistake and its place. Pure.
//! - [`template`]: a model's file → its SQL, and what it reads. Pure.
//! - [`graph`], [`select`]: what depends on what, and which models are meant. Pure.
//! - [`lint`]: what a model's SQL may not say. Pure.
//! - [`compile`]: every model planned by DataFusion over the columns of its inputs.
//! - [`dedup`]: of the records of one event only the first.
//! - [`engine`]: models and their sources as names in SQL over a lake.
//! - [`inputs`], [`windows`]: what a model reads, and which windows of time new records touch. Pure.
//! - [`cut`], [`run`], [`increment`], [`microbatch`]: up to which vector a model reads its inputs, and the build of
//!   its table, whole or what is new of it, as [`decide`] says; [`changed`] says what is new.
//! - [`lineage`]: which columns a column is made of.
//! - [`data_test`], [`unit_test`]: what must hold of rows, and what rows must come out.

pub mod changed;
pub mod compile;
pub mod complete;
pub mod cut;
pub mod data_test;
pub mod decide;
pub mod dedup;
pub mod engine;
pub mod graph;
mod increment;
mod incremental;
pub mod inputs;
pub mod lineage;
pub mod lint;
pub mod microbatch;
pub mod project;
pub mod run;
pub mod select;
pub mod template;
pub mod unit_test;
pub mod windows;

#[cfg(test)]
mod tests;
