//! `weir query`.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use serde_json::{Map, Value};
use weir_catalog::session::{Answer, At, Session as Sql};
use weir_contract::class::ErrorClass;

use super::lake;
use crate::cli;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::{Done, Session};

/// Runs one query; which snapshots it read goes to stderr, by the log.
pub fn run(asked: &cli::Query, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let at = match (asked.snapshot, asked.as_of) {
        (Some(id), _) => At::Snapshot(id),
        (None, Some(time)) => At::Time(time.timestamp_millis()),
        (None, None) => At::Current,
    };
    let runtime = session.runtime()?;
    runtime.block_on(async {
        let sql = Sql::open(&lake, at).await.map_err(Failure::catalog)?;
        if session.output.is_json() {
            return stream(&sql, &asked.sql, at, &mut session.output).await;
        }
        let answer = sql.sql(&asked.sql).await.map_err(Failure::catalog)?;
        for table in answer.tables.iter().filter(|_| at != At::Current) {
            tracing::info!(table = %table.table, snapshot_id = table.snapshot, "read {table}");
        }
        session.output.line(&pretty(answer)?)?;
        Ok(Done::Done)
    })
}

/// The rows as a table for people.
pub fn pretty(answer: Answer) -> Result<String, Failure> {
    let batches = match answer.batches.is_empty() {
        true => vec![RecordBatch::new_empty(answer.schema)],
        false => answer.batches,
    };
    Ok(pretty_format_batches(&batches).map_err(shown)?.to_string())
}

/// One JSON object per row, as rows come.
async fn stream(sql: &Sql, text: &str, at: At, output: &mut Output) -> Result<Done, Failure> {
    let mut running = sql.stream(text).await.map_err(Failure::catalog)?;
    for table in running.tables.iter().filter(|_| at != At::Current) {
        tracing::info!(table = %table.table, snapshot_id = table.snapshot, "read {table}");
    }
    loop {
        let next = running.batches.try_next().await;
        let next = next.map_err(|e| Failure::catalog(sql.explain_error(e)))?;
        let Some(batch) = next else { return Ok(Done::Done) };
        let columns = columns(batch.schema_ref().fields(), batch.columns())?;
        for row in 0..batch.num_rows() {
            output.line(&object(&columns, row)?.to_string())?;
        }
    }
}

/// A column, and how its values are written.
struct Shown<'a> {
    name: String,
    column: &'a dyn Array,
    form: Form<'a>,
}

enum Form<'a> {
    Plain(ArrayFormatter<'a>),
    Struct(Vec<Shown<'a>>),
    List(&'a ListArray),
}

const FORMAT: FormatOptions<'static> = FormatOptions::new();

fn columns<'a>(fields: &Fields, columns: &'a [ArrayRef]) -> Result<Vec<Shown<'a>>, Failure> {
    let shown = |(field, column): (&FieldRef, &'a ArrayRef)| Shown::new(field.name(), column);
    fields.iter().zip(columns).map(shown).collect()
}

impl<'a> Shown<'a> {
    fn new(name: &str, column: &'a ArrayRef) -> Result<Shown<'a>, Failure> {
        let form = if let Some(members) = column.as_struct_opt() {
            Form::Struct(columns(members.fields(), members.columns())?)
        } else if let Some(list) = column.as_list_opt::<i32>() {
            Form::List(list)
        } else {
            Form::Plain(ArrayFormatter::try_new(column.as_ref(), &FORMAT).map_err(shown)?)
        };
        Ok(Shown { name: name.to_string(), column: column.as_ref(), form })
    }

    /// Booleans and numbers, structs and lists as JSON's own, everything else as text.
    fn value(&self, row: usize) -> Result<Value, Failure> {
        if self.column.is_null(row) {
            return Ok(Value::Null);
        }
        let text = match &self.form {
            Form::Struct(members) => return object(members, row),
            Form::List(list) => {
                let items = list.value(row);
                let item = Shown::new("", &items)?;
                return (0..items.len()).map(|i| item.value(i)).collect();
            }
            Form::Plain(formatter) => formatter.value(row).to_string(),
        };
        Ok(match self.column.data_type() {
            DataType::Boolean => Value::Bool(text == "true"),
            kind if kind.is_integer() || kind.is_floating() => {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            _ => Value::String(text),
        })
    }
}

/// One row as a JSON object.
fn object(columns: &[Shown<'_>], row: usize) -> Result<Value, Failure> {
    let members = columns.iter().map(|column| Ok((column.name.clone(), column.value(row)?)));
    Ok(Value::Object(members.collect::<Result<Map<_, _>, Failure>>()?))
}

fn shown(error: arrow::error::ArrowError) -> Failure {
    Failure::new(ErrorClass::Bug, format!("the result cannot be shown: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, StringArray, StructArray};
    use arrow::datatypes::{Field, Int32Type};
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_values_are_json_too() {
        let class: ArrayRef = Arc::new(StringArray::from(vec![Some("not_json"), None]));
        let at: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(7)]));
        let fields = [("class", DataType::Utf8), ("at", DataType::Int32)];
        let fields = fields.map(|(name, kind)| Arc::new(Field::new(name, kind, true)));
        let fields = Fields::from_iter(fields);
        let nulls = Some(vec![true, false].into());
        let error: ArrayRef = Arc::new(StructArray::new(fields, vec![class, at], nulls));
        let lists = [Some(vec![Some(1), None]), None];
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
        let real: ArrayRef = Arc::new(Float64Array::from(vec![0.5, f64::NAN]));
        let batch = [("error", error), ("list", list), ("real", real)];
        let batch = RecordBatch::try_from_iter(batch).unwrap();
        let columns = columns(batch.schema_ref().fields(), batch.columns()).unwrap();
        let first = json!({
            "error": {"class": "not_json", "at": null}, "list": [1, null], "real": 0.5
        });
        assert_eq!(object(&columns, 0).unwrap(), first);
        let second = json!({"error": null, "list": null, "real": "NaN"});
        assert_eq!(object(&columns, 1).unwrap(), second);
    }
}
