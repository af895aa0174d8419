//! Tables that models make: are the rows there that the build counted? Whether they are the right ones is
//! what the tests of the model ask.

use weir_contract::progress::Progress;

use super::files::{self, Structure};
use super::report::{Finding, Kind};
use super::rows;
use crate::{Base, Lake, Result};

/// What was found in a derived table.
pub struct Looked {
    pub structure: Structure,
    pub rows: u64,
    pub findings: Vec<Finding>,
}

/// Looks at the files of the current snapshot; `claim` is what the table's progress says, none where that
/// cannot be told.
///
/// Errors: what says nothing about the table.
pub async fn look(lake: &Lake, base: &Base, claim: Option<&Progress>) -> Result<Looked> {
    let structure = files::structure(lake, base).await?;
    let mut looked = Looked { structure, rows: 0, findings: Vec::new() };
    for file in &looked.structure.files {
        let deletes = looked.structure.deletes.get(file.path()).cloned().unwrap_or_default();
        match rows::read(lake, base, file, deletes).await {
            Ok(read) => looked.rows += read.positions.rows,
            Err(e) => {
                let finding = files::as_finding(e, base, Kind::FileUnreadable)?;
                looked.findings.push(finding.file(file.path()));
            }
        }
    }
    if let Some(progress) = claim
        && i128::from(looked.rows) != progress.records()
    {
        let message = format!(
            "the table holds {} rows, its build counted {}; build it anew",
            looked.rows,
            progress.records()
        );
        looked.findings.push(Finding::new(Kind::Counts, &base.name, message));
    }
    Ok(looked)
}
