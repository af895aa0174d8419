//! Tests of the decoder as a whole: each class by table, and properties against a slow oracle.

mod generate;
mod oracle;
mod properties;
mod rejects;
mod rows;
mod support;
mod values;
