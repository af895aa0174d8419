//! Tables that follow their contracts: what would change, and the change itself, a commit without a
//! snapshot. Writers that have the old contract go on; rows that they bring lack the new columns.

mod plan;

use std::collections::HashMap;

use iceberg::TableUpdate;
use iceberg::spec::FormatVersion;
use serde::Serialize;
use weir_contract::contract::{Contract, Division, Kind};
use weir_contract::names::{TableName, key};

pub use plan::{Refusal, Step};

use crate::commit::alter::{Alter, Altered, alter};
use crate::create::{key_names, reference_key};
use crate::look::as_text;
use crate::schema::{
    is_contracts, raw_iceberg_schema, raw_partition_spec, raw_spec, reference_iceberg_schema,
    sort_order, sorted_by,
};
use crate::{Base, CatalogError, Lake, Result};
use plan::plan_evolution;

const COMMENT: &str = "comment";

/// What a contract asks of its table, or asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evolution {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// Whether it is there; else the first ingest or load makes it as the contract says.
    pub exists: bool,
    /// What changes.
    pub steps: Vec<Step>,
    /// What cannot be done; then nothing is.
    pub refused: Vec<Refusal>,
    /// Columns that the contract no longer has: they stay, and are null in new rows.
    pub unused: Vec<String>,
}

/// What the contract asks of its table.
///
/// Errors: bad config (a contract that makes no table), and what the catalog says.
pub async fn plan(lake: &Lake, contract: &Contract) -> Result<Evolution> {
    let table = contract.table();
    match lake.table(&table).await? {
        Some(base) => Ok(look(&base, contract)?.0),
        None => Ok(Evolution {
            table,
            exists: false,
            steps: Vec::new(),
            refused: Vec::new(),
            unused: Vec::new(),
        }),
    }
}

/// Changes the table as the contract asks; what was done.
///
/// Errors: bad config if something is refused, and those of a commit.
pub async fn apply(lake: &Lake, contract: &Contract) -> Result<Evolution> {
    let table = contract.table();
    let Some(base) = lake.table(&table).await? else { return plan(lake, contract).await };
    let done = look(&base, contract)?.0;
    let what = format!("contract {}", named(contract));
    let Altered { .. } = alter(lake, base, &what, &mut |base| {
        let (evolution, updates) = look(base, contract)?;
        match evolution.refused.first() {
            Some(refusal) => {
                Err(CatalogError::bad_config(format!("table {}: {refusal}", base.name)))
            }
            None if updates.is_empty() => Ok(Alter::Nothing),
            None => Ok(Alter::Updates(updates)),
        }
    })
    .await?;
    Ok(done)
}

/// What is to be done on one version of the table, and how.
fn look(base: &Base, contract: &Contract) -> Result<(Evolution, Vec<TableUpdate>)> {
    let metadata = base.metadata();
    let wanted = match contract.kind {
        Kind::Stream => raw_iceberg_schema(contract)?,
        Kind::Reference { .. } => reference_iceberg_schema(contract)?,
    };
    let columns = plan_evolution(metadata.current_schema(), &wanted, metadata.last_column_id())?;
    let mut refused = whole(base, contract);
    refused.extend(columns.refused);
    let mut steps = columns.steps;
    let mut properties = HashMap::new();
    let of = |key: &str| metadata.properties().get(key);
    let comment = &contract.description;
    if !comment.is_empty() && of(COMMENT) != Some(comment) {
        steps.push(Step::Document { column: None });
        properties.insert(COMMENT.to_string(), comment.clone());
    }
    let schema = columns.schema.as_ref().unwrap_or(metadata.current_schema());
    let order = resorted(base, contract);
    steps.extend(order.clone().map(|(from, to)| Step::Sort { from, to }));
    let order = order.filter(|_| refused.is_empty());
    let order = order.map(|(_, to)| sort_order(schema, &to)).transpose()?;
    let division = repartitioned(base, contract);
    steps.extend(division.map(|(from, to)| Step::Partition { from, to }));
    let division = division.filter(|_| refused.is_empty());
    let spec = division.map(|(_, to)| raw_partition_spec(schema, to)).transpose()?;
    let to = named(contract);
    if of(key::CONTRACT) != Some(&to) {
        steps.push(Step::Contract { from: of(key::CONTRACT).cloned(), to: to.clone() });
        properties.insert(key::CONTRACT.to_string(), to);
    }
    let mut updates = Vec::new();
    if let Some(schema) = columns.schema {
        updates.push(TableUpdate::AddSchema { schema });
        updates.push(TableUpdate::SetCurrentSchema { schema_id: -1 });
    }
    if let Some(sort_order) = order {
        updates.push(TableUpdate::AddSortOrder { sort_order });
        updates.push(TableUpdate::SetDefaultSortOrder { sort_order_id: -1 });
    }
    if let Some(spec) = spec {
        updates.push(TableUpdate::AddSpec { spec });
        updates.push(TableUpdate::SetDefaultSpec { spec_id: -1 });
    }
    if !properties.is_empty() {
        updates.push(TableUpdate::SetProperties { updates: properties });
    }
    let (table, unused) = (base.name.clone(), columns.unused);
    Ok((Evolution { table, exists: true, steps, refused, unused }, updates))
}

/// The columns of the order that the table has and of the one that the contract asks for, if they differ.
/// Where it asks for none, an order that another engine gave the table stays.
fn resorted(base: &Base, contract: &Contract) -> Option<(Vec<String>, Vec<String>)> {
    let metadata = base.metadata();
    let order = metadata.default_sort_order();
    let (from, to) = (sorted_by(metadata.current_schema(), order), contract.sorted_by.clone());
    let stays = from == to || (to.is_empty() && !is_contracts(order));
    (!stays).then_some((from, to))
}

/// The division of the spec that files are written under and the one that the contract asks for, if they
/// differ. Files stay where they are.
fn repartitioned(base: &Base, contract: &Contract) -> Option<(Division, Division)> {
    let to = contract.partitioned_by?;
    let (_, from) = raw_spec(&base.name, base.metadata()).ok()?;
    (from != to).then_some((from, to))
}

fn named(contract: &Contract) -> String {
    format!("{}@{}", contract.id, contract.version)
}

/// What is wrong with the table as a whole, for this contract.
fn whole(base: &Base, contract: &Contract) -> Vec<Refusal> {
    let metadata = base.metadata();
    let mut refused = Vec::new();
    let mut refuse = |why: String, way_out: &str| {
        refused.push(Refusal { column: None, why, way_out: way_out.into() });
    };
    let version = metadata.format_version();
    if version != FormatVersion::V2 {
        let why = format!("the table has Iceberg format {version}, weir writes v2");
        refuse(why, "give the stream another table");
    }
    let has = metadata.properties().get(key::CONTRACT);
    let id = has.and_then(|has| has.split_once('@')).map(|(id, _)| id);
    if let Some(id) = id.filter(|id| *id != contract.id) {
        let why = format!("the table is that of contract {id}, not of {}", contract.id);
        refuse(why, "give the contract its own stream, and so its own table");
    }
    match &contract.kind {
        Kind::Stream => {
            if let Err(e) = raw_spec(&base.name, metadata) {
                refuse(e.to_string(), "give the stream another table");
            }
        }
        Kind::Reference { key } => {
            let wanted = key_names(contract, key);
            let found = reference_key(base).unwrap_or_default();
            if found != wanted {
                let why =
                    format!("its rows are told apart by {found:?}, the contract says {wanted:?}");
                refuse(why, "a key is for ever: give the new one a table of its own");
            }
        }
    }
    refused
}

#[cfg(test)]
mod tests;
