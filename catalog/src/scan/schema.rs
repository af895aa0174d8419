//! The Arrow schema that queries see, and whether files may be read by column name.
//!
//! DataFusion's Parquet source finds columns by name, Iceberg by field id. The two agree as long as
//! no column of the table was ever renamed, or dropped and added again under its old name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema as ArrowSchema, SchemaRef};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{Schema, SchemaId, TableMetadata};
use parquet::schema::types::Type as ParquetType;

use crate::{CatalogError, Result};

/// The Arrow schema of `schema` as queries see it: the library's types, but for the zone of
/// timestamps, spelled `UTC` everywhere, and binary columns, which keep Parquet's 32-bit offsets.
pub fn query_schema(schema: &Schema) -> Result<SchemaRef> {
    let arrow = schema_to_arrow_schema(schema)
        .map_err(|e| CatalogError::iceberg("converting the table's schema", e))?;
    let fields: Fields = arrow.fields().iter().map(query_field).collect();
    Ok(Arc::new(ArrowSchema::new(fields)))
}

fn query_field(field: &FieldRef) -> FieldRef {
    let data_type = query_type(field.data_type());
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn query_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("UTC".into())),
        DataType::LargeBinary => DataType::Binary,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(query_field).collect()),
        DataType::List(element) => DataType::List(query_field(element)),
        DataType::Map(entries, sorted) => DataType::Map(query_field(entries), *sorted),
        other => other.clone(),
    }
}

/// Whether every file ever written for the table maps onto `schema` by name: in the table's whole
/// known history a field id has one name and a name one field id, and no column has a default for
/// rows that were written before it (the Parquet source would give null).
pub fn names_are_stable(metadata: &TableMetadata, schema: &Schema) -> bool {
    // A schema that was removed from the metadata may still be that of a file.
    let known: HashSet<SchemaId> = metadata.schemas_iter().map(|s| s.schema_id()).collect();
    let newest = known.iter().copied().max().unwrap_or(0);
    if known.len() as i64 != i64::from(newest) + 1 {
        return false;
    }
    let mut name_of: HashMap<i32, &str> = HashMap::new();
    let mut id_of: HashMap<&str, i32> = HashMap::new();
    for past in metadata.schemas_iter() {
        for (id, name) in past.field_id_to_name_map() {
            if *name_of.entry(*id).or_insert(name) != name
                || *id_of.entry(name).or_insert(*id) != *id
            {
                return false;
            }
        }
    }
    schema.field_id_to_fields().values().all(|field| field.initial_default.is_none())
}

/// Whether the columns of one file map onto `schema` by name: each column of the file that the
/// schema has by id has the same name there, and each that it has by name has the same id.
pub fn file_matches_by_name(file: &ParquetType, schema: &Schema) -> bool {
    if schema.field_id_to_fields().values().any(|field| field.initial_default.is_some()) {
        return false;
    }
    let ParquetType::GroupType { fields, .. } = file else { return false };
    fields.iter().all(|column| column_matches(column, schema, ""))
}

fn column_matches(column: &ParquetType, schema: &Schema, prefix: &str) -> bool {
    let info = column.get_basic_info();
    let name = format!("{prefix}{}", info.name());
    if !info.has_id() {
        // The middle levels of lists and maps have none; a column without one has no identity.
        return schema.field_id_by_name(&name).is_none();
    }
    let by_id = schema.name_by_field_id(info.id());
    let by_name = schema.field_id_by_name(&name);
    let same = match (by_id, by_name) {
        (Some(found), Some(id)) => found == name && id == info.id(),
        (None, None) => true,
        _ => false,
    };
    let nested = match column {
        ParquetType::GroupType { fields, basic_info }
            if basic_info.converted_type() == parquet::basic::ConvertedType::NONE =>
        {
            fields.iter().all(|child| column_matches(child, schema, &format!("{name}.")))
        }
        _ => true,
    };
    same && nested
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{NestedField, PrimitiveType, Type};
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn schema(columns: &[(i32, &str)]) -> Schema {
        Schema::builder()
            .with_fields(columns.iter().map(|(id, name)| {
                NestedField::optional(*id, name, Type::Primitive(PrimitiveType::Long)).into()
            }))
            .build()
            .unwrap()
    }

    fn matches(file: &str, columns: &[(i32, &str)]) -> bool {
        file_matches_by_name(&parse_message_type(file).unwrap(), &schema(columns))
    }

    #[test]
    fn a_file_matches_only_where_names_and_ids_agree() {
        let file = "message m { optional int64 a = 1; optional int64 b = 2; }";
        assert!(matches(file, &[(1, "a"), (2, "b")]));
        assert!(matches(file, &[(1, "a"), (2, "b"), (3, "added")]));
        assert!(matches(file, &[(1, "a")]), "b was dropped");
        assert!(!matches(file, &[(1, "a"), (2, "renamed")]));
        assert!(!matches(file, &[(1, "a"), (3, "b")]), "b was dropped and added again");
        assert!(!matches(file, &[(1, "b"), (2, "a")]), "swapped");
        let without_ids = "message m { optional int64 a; }";
        assert!(!matches(without_ids, &[(1, "a")]));
    }

    #[test]
    fn zones_are_spelled_utc_and_binary_stays_small() {
        let schema = Schema::builder()
            .with_fields([
                NestedField::optional(1, "t", Type::Primitive(PrimitiveType::Timestamptz)).into(),
                NestedField::optional(2, "b", Type::Primitive(PrimitiveType::Binary)).into(),
            ])
            .build()
            .unwrap();
        let arrow = query_schema(&schema).unwrap();
        let utc = DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, Some("UTC".into()));
        assert_eq!(arrow.field(0).data_type(), &utc);
        assert_eq!(arrow.field(1).data_type(), &DataType::Binary);
    }
}
