//! Tests of the decoder as a whole: each class by table, and properties against a slow oracle.

mod generate;
mod oracle;
mod personal;
mod properties;
mod rejects;
mod rows;
mod rules;
mod support;
mod values;
