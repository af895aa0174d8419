//! Rows of a result as JSON: booleans, numbers, structs and lists as JSON's own, the rest as text.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};
use weir_contract::class::ErrorClass;

use crate::failure::Failure;

/// Every row of a batch as an object.
pub fn objects(batch: &RecordBatch) -> Result<Vec<Value>, Failure> {
    let columns = columns(batch.schema_ref().fields(), batch.columns())?;
    (0..batch.num_rows()).map(|row| object(&columns, row)).collect()
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

/// A result that cannot be shown.
pub fn shown(error: arrow::error::ArrowError) -> Failure {
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
