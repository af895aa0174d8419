//! Unit tests: given these rows of its inputs, a model gives those rows. Without Kafka, without a
//! lake.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use weir_catalog::session::{SessionOptions, detached, explain};
use weir_catalog::{CatalogError, Result};
use weir_contract::names::TableName;
use weir_contract::yaml::nearest;

use crate::compile::{Compiled, Sources, Space};
use crate::project::{Project, Row, UnitTest};

/// How a unit test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The rows are those that were expected.
    Passed,
    /// They are not.
    Failed {
        /// Expected rows that did not come.
        missing: Vec<String>,
        /// Rows that came and were not expected.
        surplus: Vec<String>,
    },
    /// The test itself is wrong.
    Wrong(String),
}

/// Runs one unit test.
///
/// # Errors
/// What DataFusion itself gets wrong.
pub async fn run(
    project: &Project,
    compiled: &BTreeMap<String, Compiled>,
    sources: &Sources,
    test: &UnitTest,
) -> Result<Outcome> {
    let (Some(model), Some(plan)) = (project.models.get(&test.model), compiled.get(&test.model))
    else {
        return Ok(Outcome::Wrong(format!("there is no model {}", test.model)));
    };
    let parents = model.refs.iter().filter_map(|name| {
        Some((project.models.get(name)?.relation.clone(), compiled.get(name)?.schema.clone()))
    });
    let own =
        model.sources.iter().filter_map(|name| Some((name.clone(), sources.get(name)?.clone())));
    let inputs: BTreeMap<TableName, SchemaRef> = parents.chain(own).collect();
    let batches = match given(test, &inputs) {
        Ok(batches) => batches,
        Err(why) => return Ok(Outcome::Wrong(why)),
    };
    let options = SessionOptions { target_partitions: 1, ..SessionOptions::default() };
    let space = Space::new(detached(&options)?)?;
    for (name, batch) in batches {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(explain)?;
        space.add(&name, Arc::new(table))?;
    }
    let expected = match expected(test, &plan.schema) {
        Ok(expected) => expected,
        Err(why) => return Ok(Outcome::Wrong(why)),
    };
    let frame = space.context.sql(&plan.sql).await.map_err(explain)?;
    let came = match frame.collect().await {
        Ok(batches) => batches,
        Err(error) => {
            let error = explain(error);
            return Ok(Outcome::Failed { missing: Vec::new(), surplus: vec![error.to_string()] });
        }
    };
    let wanted = expected.schema();
    let mut surplus = Vec::new();
    for batch in &came {
        let names = wanted.fields().iter().map(|field| field.name());
        let columns = names.filter_map(|name| batch.column_by_name(name).cloned());
        surplus.extend(texts(&wanted, &columns.collect::<Vec<ArrayRef>>(), batch.num_rows())?);
    }
    let mut missing = Vec::new();
    for row in texts(&wanted, expected.columns(), expected.num_rows())? {
        match surplus.iter().position(|came| *came == row) {
            Some(at) => drop(surplus.swap_remove(at)),
            None => missing.push(row),
        }
    }
    surplus.sort();
    Ok(match missing.is_empty() && surplus.is_empty() {
        true => Outcome::Passed,
        false => Outcome::Failed { missing, surplus },
    })
}

/// The rows of all inputs; every input must be given, and nothing else.
fn given(
    test: &UnitTest,
    inputs: &BTreeMap<TableName, SchemaRef>,
) -> Result<BTreeMap<TableName, RecordBatch>, String> {
    let mut batches = BTreeMap::new();
    for given in &test.given {
        let Some(schema) = inputs.get(&given.input) else {
            return Err(format!("{} does not read {}", test.model, given.input));
        };
        let batch = batch(&given.rows, schema).map_err(|why| format!("{}: {why}", given.input))?;
        if batches.insert(given.input.clone(), batch).is_some() {
            return Err(format!("the rows of {} are given twice", given.input));
        }
    }
    match inputs.keys().find(|name| !batches.contains_key(*name)) {
        Some(name) => Err(format!(
            "{} reads {name}, whose rows are not given; write rows: [] if there are none",
            test.model
        )),
        None => Ok(batches),
    }
}

/// The expected rows, of the columns that they name.
fn expected(test: &UnitTest, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let mut named: Vec<usize> = Vec::new();
    for (name, _) in test.expect.iter().flatten() {
        let at = position(schema, name)?;
        if !named.contains(&at) {
            named.push(at);
        }
    }
    if named.is_empty() {
        // No rows at all are expected: any column tells.
        named.extend(0..schema.fields().len());
    }
    named.sort_unstable();
    let schema = Arc::new(schema.project(&named).map_err(|e| e.to_string())?);
    batch(&test.expect, &schema)
}

fn position(schema: &SchemaRef, name: &str) -> Result<usize, String> {
    schema.index_of(name).map_err(|_| {
        let near = nearest(name, schema.fields().iter().map(|f| f.name().as_str()));
        let advice = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
        format!("there is no column `{name}`{advice}")
    })
}

/// Rows of texts as columns of the schema.
fn batch(rows: &[Row], schema: &SchemaRef) -> Result<RecordBatch, String> {
    for (name, _) in rows.iter().flatten() {
        position(schema, name)?;
    }
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef, String> {
        let of = |row: &Row| row.iter().find(|(name, _)| name == field.name()).cloned();
        let texts: Vec<Option<String>> = rows.iter().map(|row| of(row).and_then(|c| c.1)).collect();
        if texts.iter().all(Option::is_none) {
            return Ok(new_null_array(field.data_type(), rows.len()));
        }
        let texts = StringArray::from(texts);
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&texts, field.data_type(), &options)
            .map_err(|e| format!("column `{}`: {e}", field.name()))
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, String>>()?;
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &rows).map_err(|e| e.to_string())
}

/// Each row as `a=1, b=null`. Numbers of one value are one text, whatever their type.
fn texts(
    schema: &arrow::datatypes::Schema,
    columns: &[ArrayRef],
    rows: usize,
) -> Result<Vec<String>> {
    let failed = |e| CatalogError::bug("showing the rows of a unit test").with_source(e);
    let options = FormatOptions::new().with_null("null");
    let mut cells = Vec::new();
    for (field, column) in schema.fields().iter().zip(columns) {
        let column = match field.data_type() == column.data_type() {
            true => column.clone(),
            false => arrow::compute::cast(column, field.data_type()).map_err(failed)?,
        };
        cells.push((field.name().clone(), column));
    }
    let mut lines = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut line = Vec::with_capacity(cells.len());
        for (name, column) in &cells {
            let shown = ArrayFormatter::try_new(column.as_ref(), &options).map_err(failed)?;
            let text = match (column.is_null(row), column.data_type()) {
                (false, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                    format!("{:?}", shown.value(row).to_string())
                }
                _ => shown.value(row).to_string(),
            };
            line.push(format!("{name}={text}"));
        }
        lines.push(line.join(", "));
    }
    Ok(lines)
}
