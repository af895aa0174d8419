//! Reference tables: what holds from when on, stated by CSV files and kept as append-only rows.
//!
//! - [`read`]: the text of a CSV file → [`Stated`] rows, or every mistake in it with its line.
//! - [`plan`]: what the table says now, and what a file states → the rows that one load appends.
//!
//! # What a table says
//! A row holds for its business key from `valid_from` until before `valid_to`, for ever where that
//! is null. Rows are only ever appended, each with the number of its load in `_load`: *of the rows
//! with one key and one `valid_from`, that of the greatest `_load` counts*; where its `valid_to`
//! equals its `valid_from` it holds at no time, which is how a row is withdrawn. Of one key the rows
//! that count never overlap, so a key has at most one row at each instant.
//!
//! # What a file states
//! For each of its keys, everything from the first `valid_from` on that it gives; what the table
//! says of the time before stays. Within the file, a row without `valid_to` holds until the next row
//! of its key. A key that the file does not name stays as it is, unless the file is said to be full.

mod cell;
mod plan;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field as ArrowField, Schema, SchemaRef};

pub use plan::{Counts, Plan, plan};
pub use read::read;

use crate::contract::{Contract, Kind};
use crate::decode::arrow_type;
use crate::names::{NAMESPACE_SEED, TableName, column};

/// Mistakes that are told of one file; further ones are only counted.
pub const MISTAKES_MAX: usize = 100;

/// The contract of a reference table, with the positions that matter.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The contract.
    pub contract: Arc<Contract>,
    /// Columns of the business key.
    pub key: Vec<usize>,
    /// The column `valid_from`.
    pub valid_from: usize,
    /// The column `valid_to`.
    pub valid_to: usize,
}

impl Reference {
    /// None if the contract is one of a stream.
    pub fn of(contract: Arc<Contract>) -> Option<Reference> {
        let Kind::Reference { key } = &contract.kind else { return None };
        let key = key.clone();
        let valid_from = contract.index_of(column::VALID_FROM)?;
        let valid_to = contract.index_of(column::VALID_TO)?;
        Some(Reference { contract, key, valid_from, valid_to })
    }

    /// The table of the rows.
    pub fn table(&self) -> TableName {
        self.contract.table()
    }

    /// The contract's columns, in order.
    pub fn schema(&self) -> SchemaRef {
        let fields = &self.contract.fields;
        let fields = fields.iter().map(|f| ArrowField::new(&f.name, arrow_type(f.kind), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// All columns but the validity.
    fn values(&self) -> Vec<usize> {
        let all = 0..self.contract.fields.len();
        all.filter(|c| *c != self.valid_from && *c != self.valid_to).collect()
    }
}

/// The source whose offsets are the loads of a table: `seed/<table>`.
pub fn source(table: &TableName) -> String {
    format!("{NAMESPACE_SEED}/{table}")
}

/// The rows of a file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Stated {
    /// With [`Reference::schema`]; each `valid_to` is where the row ends, also where the file leaves
    /// that to the next row.
    pub rows: RecordBatch,
}

/// Something wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line at which the row begins, counted from 1.
    pub line: u64,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

/// Every mistake of a file, in the order of its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// The first [`MISTAKES_MAX`].
    pub told: Vec<Mistake>,
    /// All.
    pub count: usize,
}

impl Mistakes {
    fn push(&mut self, line: u64, message: impl Into<String>) {
        self.count += 1;
        if self.told.len() < MISTAKES_MAX {
            self.told.push(Mistake { line, message: message.into() });
        }
    }

    fn sorted(mut self) -> Mistakes {
        self.told.sort_by_key(|mistake| mistake.line);
        self
    }
}
