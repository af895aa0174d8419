//! The columns of a derived table: Arrow types as a query gives them, Iceberg types as tables have them.
//! Pure.

use std::sync::Arc;

use arrow_schema::DataType;
use iceberg::spec::{
    ListType, NestedField, PrimitiveType, Schema, StructType, TableMetadata, Type,
};

use crate::Base;
use crate::error::{CatalogError, Result};
use crate::scan::query_schema;

/// A column that a model gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the query gives it.
    pub data_type: DataType,
    /// What it holds; may be empty.
    pub doc: String,
}

/// The type by which a table has values of `kind`. Field ids inside are 0.
///
/// # Errors
/// Why no table can have it, and what to write.
pub fn column_type(kind: &DataType) -> std::result::Result<Type, String> {
    let primitive = match kind {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            PrimitiveType::Int
        }
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => PrimitiveType::Long,
        DataType::Float16 | DataType::Float32 => PrimitiveType::Float,
        DataType::Float64 => PrimitiveType::Double,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s)
            if *s >= 0 =>
        {
            PrimitiveType::Decimal { precision: (*p).into(), scale: s.unsigned_abs().into() }
        }
        DataType::Date32 | DataType::Date64 => PrimitiveType::Date,
        DataType::Timestamp(_, Some(_)) => PrimitiveType::Timestamptz,
        DataType::Timestamp(_, None) => {
            return Err("a time without its zone; cast it to `timestamp with time zone`".into());
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => PrimitiveType::String,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => PrimitiveType::Binary,
        DataType::Dictionary(_, values) => return column_type(values),
        DataType::List(item) | DataType::LargeList(item) => {
            let element = NestedField::list_element(0, column_type(item.data_type())?, false);
            return Ok(Type::List(ListType::new(Arc::new(element))));
        }
        DataType::Struct(fields) => {
            let member = |field: &arrow_schema::FieldRef| {
                let kind = column_type(field.data_type())?;
                Ok(Arc::new(NestedField::optional(0, field.name(), kind)))
            };
            let members = fields.iter().map(member).collect::<Result<_, String>>()?;
            return Ok(Type::Struct(StructType::new(members)));
        }
        DataType::Null => return Err("always null, without a type; cast it to one".into()),
        other => return Err(format!("tables have no type {other}; cast it")),
    };
    Ok(Type::Primitive(primitive))
}

/// How people write a type: `long`, `decimal(18, 4)`, `list<string>`.
pub fn type_name(kind: &Type) -> String {
    match kind {
        Type::Primitive(PrimitiveType::Decimal { precision, scale }) => {
            format!("decimal({precision}, {scale})")
        }
        Type::Primitive(primitive) => primitive.to_string(),
        Type::List(list) => format!("list<{}>", type_name(&list.element_field.field_type)),
        Type::Struct(members) => {
            let member = |f: &Arc<NestedField>| format!("{}: {}", f.name, type_name(&f.field_type));
            let members: Vec<String> = members.fields().iter().map(member).collect();
            format!("struct<{}>", members.join(", "))
        }
        Type::Map(map) => format!(
            "map<{}, {}>",
            type_name(&map.key_field.field_type),
            type_name(&map.value_field.field_type)
        ),
    }
}

/// The columns of a table, as a query gives them.
pub fn columns_of(base: &Base) -> Result<Vec<Column>> {
    let schema = base.metadata().current_schema();
    let kinds = query_schema(schema)?;
    let fields = schema.as_struct().fields().iter().zip(kinds.fields());
    let column = |(field, arrow): (&Arc<NestedField>, &arrow_schema::FieldRef)| Column {
        name: field.name.clone(),
        data_type: arrow.data_type().clone(),
        doc: field.doc.clone().unwrap_or_default(),
    };
    Ok(fields.map(column).collect())
}

/// The schema of a new table.
pub fn new_schema(columns: &[Column]) -> Result<Schema> {
    build(columns, None)
}

/// The schema that the table has next, if it is another: a column that keeps name and type keeps its
/// field id, every other one gets a new id, so that old snapshots are read as they were.
pub fn next_schema(metadata: &TableMetadata, columns: &[Column]) -> Result<Option<Schema>> {
    let (now, next) = (metadata.current_schema(), build(columns, Some(metadata))?);
    Ok((now.as_struct() != next.as_struct()).then_some(next))
}

fn build(columns: &[Column], metadata: Option<&TableMetadata>) -> Result<Schema> {
    let mut last = metadata.map_or(0, TableMetadata::last_column_id);
    let mut fields = Vec::new();
    for column in columns {
        let wrong = |why| CatalogError::bad_config(format!("column `{}`: {why}", column.name));
        let kind = column_type(&column.data_type).map_err(wrong)?;
        let kept = metadata.and_then(|m| m.current_schema().field_by_name(&column.name));
        let kept = kept.filter(|field| type_name(&field.field_type) == type_name(&kind));
        let field = match kept {
            Some(kept) => NestedField::optional(kept.id, &column.name, (*kept.field_type).clone()),
            None => {
                last += 1;
                let id = last;
                NestedField::optional(id, &column.name, numbered(kind, &mut last))
            }
        };
        fields.push(Arc::new(match column.doc.is_empty() {
            true => field,
            false => field.with_doc(&column.doc),
        }));
    }
    let built = Schema::builder().with_fields(fields).build();
    built.map_err(|e| CatalogError::iceberg("making the schema of a model", e))
}

/// The type with field ids after `last`, which moves on.
fn numbered(kind: Type, last: &mut i32) -> Type {
    let mut next = || {
        *last += 1;
        *last
    };
    match kind {
        Type::List(list) => {
            let id = next();
            let inner = numbered((*list.element_field.field_type).clone(), last);
            Type::List(ListType::new(Arc::new(NestedField::list_element(id, inner, false))))
        }
        Type::Struct(members) => {
            let ids: Vec<i32> = members.fields().iter().map(|_| next()).collect();
            let member = |(field, id): (&Arc<NestedField>, i32)| {
                let inner = numbered((*field.field_type).clone(), last);
                Arc::new(NestedField::optional(id, &field.name, inner))
            };
            Type::Struct(StructType::new(members.fields().iter().zip(ids).map(member).collect()))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{Field, TimeUnit};

    use super::*;

    #[test]
    fn types_of_queries_are_types_of_tables() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true)));
        for (kind, name) in [
            (DataType::UInt64, "long"),
            (DataType::Int8, "int"),
            (DataType::Utf8View, "string"),
            (DataType::Decimal128(18, 4), "decimal(18, 4)"),
            (DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into())), "timestamptz"),
            (DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), "string"),
            (list.clone(), "list<string>"),
            (
                DataType::Struct([Arc::new(Field::new("a", list, true))].into_iter().collect()),
                "struct<a: list<string>>",
            ),
        ] {
            assert_eq!(type_name(&column_type(&kind).unwrap()), name);
        }
        for kind in [DataType::Null, DataType::Timestamp(TimeUnit::Second, None)] {
            column_type(&kind).unwrap_err();
        }
    }

    #[test]
    fn ids_are_numbered_through() {
        let item = Arc::new(Field::new("item", DataType::Int64, true));
        let column =
            |name: &str, data_type| Column { name: name.into(), data_type, doc: "".into() };
        let columns = [column("a", DataType::List(item)), column("b", DataType::Utf8)];
        let schema = new_schema(&columns).unwrap();
        let ids: Vec<i32> = schema.as_struct().fields().iter().map(|f| f.id).collect();
        assert_eq!((ids, schema.highest_field_id()), (vec![1, 3], 3));
    }
}
