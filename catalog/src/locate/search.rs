//! From what an event says of itself to its place: by trace id, by event id.

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::util::display::array_value_to_string;
use arrow_array::Array;
use serde::Serialize;
use weir_contract::names::{TableName, column};

use super::as_text;
use crate::session::{At, Session};
use crate::{Base, CatalogError, Lake, Result};

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// Rows of this trace (`_trace_id`).
    Trace(String),
    /// Rows of this event (`event_id`, of rejected rows as far as it could be read).
    Event(String),
}

/// A row that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// Full source id, or the short one where the table does not know it.
    pub source: String,
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    #[serde(serialize_with = "as_text")]
    pub offset: i64,
    /// Whether it is a rejected row.
    pub rejected: bool,
    /// Kafka's time of the record.
    pub kafka_time: Option<String>,
}

/// The first rows of a table that are of `search`, at most `most`. Trace ids follow no order, so that
/// this column is read of every file; event ids that begin with the time spare most of them.
///
/// Errors: what the session says.
pub async fn search(lake: &Lake, base: &Base, search: &Search, most: usize) -> Result<Vec<Hit>> {
    let schema = base.metadata().current_schema();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let conditions = match search {
        Search::Trace(id) => vec![format!("{} = {}", column::TRACE_ID, quoted(id))],
        Search::Event(id) => {
            let rejected = format!(
                "{} IS NULL AND {error} IS NOT NULL AND {error}['{}'] = {}",
                column::EVENT_TIME,
                column::EVENT_ID,
                quoted(id),
                error = column::ERROR,
            );
            let accepted = schema
                .field_id_by_name(column::EVENT_ID)
                .map(|_| format!("{} = {}", column::EVENT_ID, quoted(id)));
            accepted.into_iter().chain([rejected]).collect()
        }
    };
    let session = Session::open(lake, At::Current).await?;
    let names = base.sources();
    let mut hits = Vec::new();
    for condition in conditions {
        let sql = format!(
            "SELECT {}, {}, {}, {} IS NOT NULL, {} FROM {}.{} WHERE {condition} LIMIT {}",
            column::SOURCE,
            column::PARTITION,
            column::OFFSET,
            column::ERROR,
            column::KAFKA_TIME,
            base.name.namespace,
            base.name.name,
            most - hits.len().min(most),
        );
        for batch in session.sql(&sql).await?.batches {
            let sources = batch.column(0).as_string_opt::<i32>();
            let partitions = batch.column(1).as_primitive_opt::<Int32Type>();
            let offsets = batch.column(2).as_primitive_opt::<Int64Type>();
            let (Some(sources), Some(partitions), Some(offsets)) = (sources, partitions, offsets)
            else {
                return Err(CatalogError::bad_config(format!(
                    "the positions of {} have other types than a raw table's",
                    base.name
                )));
            };
            for row in 0..batch.num_rows() {
                let short = sources.value(row);
                let time = batch.column(4);
                hits.push(Hit {
                    table: base.name.clone(),
                    source: names.get(short).cloned().unwrap_or_else(|| short.to_string()),
                    partition: partitions.value(row),
                    offset: offsets.value(row),
                    rejected: batch.column(3).as_boolean().value(row),
                    kafka_time: time
                        .is_valid(row)
                        .then(|| array_value_to_string(time, row).ok())
                        .flatten(),
                });
            }
        }
    }
    hits.sort_by(|a, b| {
        (&a.source, a.partition, a.offset).cmp(&(&b.source, b.partition, b.offset))
    });
    Ok(hits)
}
