//! An Iceberg schema as Glue's columns, in the words of Iceberg's Java catalog. They are what people
//! see in the console; engines read the metadata file. So no type is refused: what Glue has no word
//! for is a string.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::Column;
use iceberg::spec::{NestedField, PrimitiveType, TableMetadata, Type};

const FIELD_ID: &str = "iceberg.field.id";
const FIELD_OPTIONAL: &str = "iceberg.field.optional";
const FIELD_CURRENT: &str = "iceberg.field.current";
/// Glue's bound of a comment, bytes.
const COMMENT_MAX: usize = 255;

/// The columns of the current schema, then those that older schemas had besides. A comment that
/// somebody wrote in Glue stays where the schema has none.
pub(super) fn columns(
    metadata: &TableMetadata,
    found: &[Column],
) -> Result<Vec<Column>, BuildError> {
    let comments: BTreeMap<&str, &str> =
        found.iter().filter_map(|column| Some((column.name(), column.comment()?))).collect();
    let current = metadata.current_schema();
    let older = metadata.schemas_iter().filter(|s| s.schema_id() != current.schema_id());
    let mut older: Vec<_> = older.collect();
    older.sort_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
    let mut seen = BTreeSet::new();
    let mut columns = Vec::new();
    for (schema, is_current) in
        std::iter::once((current, true)).chain(older.into_iter().map(|schema| (schema, false)))
    {
        for field in schema.as_struct().fields() {
            if seen.insert(field.name.clone()) {
                columns.push(column(field, is_current, comments.get(&*field.name).copied())?);
            }
        }
    }
    Ok(columns)
}

fn column(field: &NestedField, current: bool, comment: Option<&str>) -> Result<Column, BuildError> {
    let comment = field.doc.as_deref().or(comment).map(|text| cut(text, COMMENT_MAX).into());
    Column::builder()
        .name(&field.name)
        .r#type(type_text(&field.field_type))
        .parameters(FIELD_ID, field.id.to_string())
        .parameters(FIELD_OPTIONAL, (!field.required).to_string())
        .parameters(FIELD_CURRENT, current.to_string())
        .set_comment(comment)
        .build()
}

/// A type in Glue's (Hive's) words.
fn type_text(kind: &Type) -> String {
    match kind {
        Type::Primitive(kind) => primitive(kind),
        Type::Struct(members) => {
            let member = |f: &NestedField| format!("{}:{}", f.name, type_text(&f.field_type));
            let members: Vec<_> = members.fields().iter().map(|f| member(f)).collect();
            format!("struct<{}>", members.join(","))
        }
        Type::List(list) => format!("array<{}>", type_text(&list.element_field.field_type)),
        Type::Map(map) => {
            let (key, value) = (&map.key_field.field_type, &map.value_field.field_type);
            format!("map<{},{}>", type_text(key), type_text(value))
        }
    }
}

fn primitive(kind: &PrimitiveType) -> String {
    match kind {
        PrimitiveType::Boolean => "boolean",
        PrimitiveType::Int => "int",
        PrimitiveType::Long => "bigint",
        PrimitiveType::Float => "float",
        PrimitiveType::Double => "double",
        PrimitiveType::Decimal { precision, scale } => {
            return format!("decimal({precision},{scale})");
        }
        PrimitiveType::Date => "date",
        PrimitiveType::Timestamp
        | PrimitiveType::Timestamptz
        | PrimitiveType::TimestampNs
        | PrimitiveType::TimestamptzNs => "timestamp",
        PrimitiveType::Fixed(_) | PrimitiveType::Binary => "binary",
        PrimitiveType::Time | PrimitiveType::String | PrimitiveType::Uuid => "string",
    }
    .to_string()
}

/// The beginning of a text, at most `max` bytes.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use iceberg::spec::{
        FormatVersion, ListType, MapType, Schema, SortOrder, StructType, TableMetadataBuilder,
        UnboundPartitionSpec,
    };

    use super::*;

    fn metadata(schemas: Vec<Vec<NestedField>>) -> TableMetadata {
        let mut schemas = schemas.into_iter().map(|fields| {
            Schema::builder().with_fields(fields.into_iter().map(Arc::new)).build().unwrap()
        });
        let mut builder = TableMetadataBuilder::new(
            schemas.next().unwrap(),
            UnboundPartitionSpec::builder().build(),
            SortOrder::unsorted_order(),
            "s3://lake/raw/t".into(),
            FormatVersion::V2,
            HashMap::new(),
        )
        .unwrap();
        for schema in schemas {
            builder = builder.add_current_schema(schema).unwrap();
        }
        builder.build().unwrap().metadata
    }

    fn of(kind: PrimitiveType) -> Type {
        Type::Primitive(kind)
    }

    #[test]
    fn every_type_has_a_word() {
        use PrimitiveType::*;
        for (kind, text) in [
            (Boolean, "boolean"),
            (Int, "int"),
            (Long, "bigint"),
            (Float, "float"),
            (Double, "double"),
            (Decimal { precision: 18, scale: 4 }, "decimal(18,4)"),
            (Date, "date"),
            (Time, "string"),
            (Timestamp, "timestamp"),
            (Timestamptz, "timestamp"),
            (TimestampNs, "timestamp"),
            (TimestamptzNs, "timestamp"),
            (String, "string"),
            (Uuid, "string"),
            (Fixed(16), "binary"),
            (Binary, "binary"),
        ] {
            assert_eq!(type_text(&of(kind)), text);
        }
        let member = |id, name: &str, kind| Arc::new(NestedField::optional(id, name, kind));
        let list = Type::List(ListType::new(member(3, "element", of(Timestamptz))));
        let map = Type::Map(MapType::new(member(4, "key", of(String)), member(5, "value", list)));
        let all = Type::Struct(StructType::new(vec![member(1, "a", of(Int)), member(2, "b", map)]));
        assert_eq!(type_text(&all), "struct<a:int,b:map<string,array<timestamp>>>");
    }

    #[test]
    fn columns_say_id_optionality_and_whether_they_are_current() {
        let field = |id, name: &str| NestedField::optional(id, name, of(PrimitiveType::Int));
        let first = vec![field(1, "a").with_doc("the first"), field(2, "gone")];
        let second = vec![
            field(1, "a"),
            NestedField::required(3, "b", of(PrimitiveType::Timestamptz)).with_doc("é".repeat(200)),
        ];
        let found = |name: &str, comment: &str| {
            Column::builder().name(name).comment(comment).build().unwrap()
        };
        let found = [found("a", "by hand"), found("b", "x")];
        let columns = columns(&metadata(vec![first, second]), &found).unwrap();
        let names: Vec<_> = columns.iter().map(Column::name).collect();
        assert_eq!(names, ["a", "b", "gone"]);
        let said = |column: &Column, key: &str| column.parameters().unwrap()[key].clone();
        assert_eq!((columns[0].r#type(), columns[0].comment()), (Some("int"), Some("by hand")));
        let keys = ["iceberg.field.id", "iceberg.field.optional", "iceberg.field.current"];
        assert_eq!(keys.map(|key| said(&columns[0], key)), ["1", "true", "true"]);
        assert_eq!(columns[1].r#type(), Some("timestamp"));
        assert_eq!(said(&columns[1], "iceberg.field.optional"), "false");
        assert_eq!(columns[1].comment().unwrap().len(), 254);
        assert_eq!(said(&columns[2], "iceberg.field.current"), "false");
    }
}
