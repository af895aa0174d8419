//! A contract as an Iceberg schema, of a raw or a reference table, and a table's schema as the encoder needs it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, Fields, SchemaRef as ArrowSchemaRef, TimeUnit};
use iceberg::arrow::type_to_arrow_type;
use iceberg::spec::{
    NestedField, NullOrder, PartitionField, PartitionSpecRef, PrimitiveType, Schema, SchemaRef,
    SortDirection, SortField, SortOrder, StructType, TableMetadata, Transform, Type,
    UnboundPartitionSpec,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use weir_contract::contract::{Contract, Division, FieldType};
use weir_contract::names::{TableName, column};

use crate::error::{CatalogError, Result};

/// The Iceberg type of a contract's column.
pub fn iceberg_type(kind: FieldType) -> PrimitiveType {
    match kind {
        FieldType::String | FieldType::Json => PrimitiveType::String,
        FieldType::Boolean => PrimitiveType::Boolean,
        FieldType::Int => PrimitiveType::Int,
        FieldType::Long => PrimitiveType::Long,
        FieldType::Double => PrimitiveType::Double,
        FieldType::Decimal { precision, scale } => {
            PrimitiveType::Decimal { precision: precision.into(), scale: scale.into() }
        }
        FieldType::Timestamp => PrimitiveType::Timestamptz,
        FieldType::Date => PrimitiveType::Date,
    }
}

/// The schema of a contract's raw table: its columns, then the reserved ones; all nullable, since
/// a rejected row has no values. Field ids count from 1.
///
/// Errors: bad config if the contract has no timestamp `event_time`, or a column's name is
/// reserved.
pub fn raw_iceberg_schema(contract: &Contract) -> Result<Schema> {
    let by_day = contract
        .fields
        .iter()
        .any(|f| f.name == column::EVENT_TIME && f.kind == FieldType::Timestamp);
    if !by_day {
        return Err(CatalogError::bad_config(format!(
            "contract {} has no timestamp column {}, by which raw tables are partitioned",
            contract.id,
            column::EVENT_TIME
        )));
    }
    iceberg_schema(contract, reserved())
}

/// The schema of a reference table: the contract's columns, then `_load`; all nullable. Field ids
/// count from 1.
///
/// Errors: bad config if a column's name is reserved.
pub fn reference_iceberg_schema(contract: &Contract) -> Result<Schema> {
    let doc =
        "Number of the load that brought the row; of one key and valid_from the greatest counts";
    let load = (column::LOAD, Type::Primitive(PrimitiveType::Long), doc);
    iceberg_schema(contract, [load].into_iter())
}

/// Whether a table is a reference table by its columns.
pub fn is_reference(schema: &Schema) -> bool {
    schema.field_by_name(column::LOAD).is_some()
}

fn iceberg_schema<'a>(
    contract: &'a Contract,
    reserved: impl Iterator<Item = (&'a str, Type, &'a str)>,
) -> Result<Schema> {
    let contracted = contract
        .fields
        .iter()
        .map(|f| (f.name.as_str(), Type::Primitive(iceberg_type(f.kind)), f.description.as_str()));
    let columns: Vec<_> = contracted.chain(reserved).collect();
    // Ids of nested members follow those of the columns, as the library assigns them.
    let mut nested = columns.len() as i32;
    let mut fields = Vec::with_capacity(columns.len());
    for (id, (name, kind, doc)) in (1..).zip(columns) {
        let kind = match kind {
            Type::Struct(members) => {
                let members = members.fields().iter().map(|member| {
                    nested += 1;
                    let kind = member.field_type.as_ref().clone();
                    NestedField::optional(nested, &member.name, kind).into()
                });
                Type::Struct(StructType::new(members.collect()))
            }
            kind => kind,
        };
        let field = NestedField::optional(id, name, kind);
        fields.push(Arc::new(if doc.is_empty() { field } else { field.with_doc(doc) }));
    }
    Schema::builder().with_fields(fields).build().map_err(|e| {
        CatalogError::bad_config(format!("contract {} makes no valid table: {e}", contract.id))
            .with_source(e)
    })
}

fn reserved<'a>() -> impl Iterator<Item = (&'a str, Type, &'a str)> {
    use PrimitiveType::{Binary, Int, Long, String, Timestamptz};
    let members = column::ERROR_MEMBERS
        .iter()
        .map(|name| NestedField::optional(0, name, Type::Primitive(String)).into());
    let error = Type::Struct(StructType::new(members.collect()));
    let plain = |name, kind, doc| (name, Type::Primitive(kind), doc);
    [
        plain(column::SOURCE, String, "Short id of the Kafka topic; in full: property weir.source"),
        plain(column::PARTITION, Int, "Kafka partition"),
        plain(column::OFFSET, Long, "Kafka offset"),
        plain(column::KAFKA_TIME, Timestamptz, "Kafka timestamp of the record"),
        plain(column::INGESTED_AT, Timestamptz, "When the record was decoded"),
        plain(column::KEY, Binary, "Kafka key"),
        plain(column::TRACE_ID, String, "Trace id of the record's header traceparent"),
        plain(column::EXTRA, String, "Unknown members, verbatim, as one JSON object"),
        (column::ERROR, error, "Why the record was rejected; null if it was accepted"),
        plain(column::VALUE, Binary, "The record's value, kept where the contract or _error says"),
        plain(column::HEADERS, Binary, "The record's headers as JSON, kept where _value is"),
        plain(column::REV, Int, "0; raised when the row is replaced by redrive"),
    ]
    .into_iter()
}

/// The partition field of a division of raw tables, by which files' folders are named.
pub fn partition_field(division: Division) -> &'static str {
    match division {
        Division::Day => "event_day",
        Division::Month => "event_month",
    }
}

/// The partitioning of raw tables: by day or month of event time.
pub fn raw_partition_spec(schema: &Schema, division: Division) -> Result<UnboundPartitionSpec> {
    let source = schema.field_by_name(column::EVENT_TIME).map(|f| f.id);
    let source = source.ok_or_else(|| CatalogError::bug("raw schema without event_time"))?;
    let transform = match division {
        Division::Day => Transform::Day,
        Division::Month => Transform::Month,
    };
    let field = partition_field(division);
    let spec = UnboundPartitionSpec::builder().add_partition_field(source, field, transform);
    Ok(spec.map_err(|e| CatalogError::iceberg("partitioning by event time", e))?.build())
}

/// The order of rows that a contract asks for: the hour of event time, these columns, event time. None of
/// them: no order.
///
/// Errors: bad config if the schema lacks one.
pub fn sort_order(schema: &Schema, by: &[String]) -> Result<SortOrder> {
    if by.is_empty() {
        return Ok(SortOrder::unsorted_order());
    }
    let id = |name: &str| {
        let field = schema.field_by_name(name);
        field.map(|field| field.id).ok_or_else(|| {
            CatalogError::bad_config(format!("rows cannot be sorted by {name}: no such column"))
        })
    };
    let mut builder = SortOrder::builder();
    let event_time = column::EVENT_TIME;
    let columns = by.iter().map(|name| (name.as_str(), Transform::Identity));
    let ends = [(event_time, Transform::Hour), (event_time, Transform::Identity)];
    for (name, transform) in [ends[0]].into_iter().chain(columns).chain([ends[1]]) {
        let field = SortField::builder()
            .source_id(id(name)?)
            .transform(transform)
            .direction(SortDirection::Ascending)
            .null_order(NullOrder::First)
            .build();
        builder.with_sort_field(field);
    }
    builder.build(schema).map_err(|e| CatalogError::iceberg("ordering rows", e))
}

/// The columns of an order between the hour of event time and event time itself, also of one that another
/// engine gave the table.
pub fn sorted_by(schema: &Schema, order: &SortOrder) -> Vec<String> {
    let plain = order.fields.iter().filter(|field| field.transform == Transform::Identity);
    let names = plain.filter_map(|field| schema.name_by_field_id(field.source_id));
    names.filter(|name| *name != column::EVENT_TIME).map(str::to_string).collect()
}

/// Whether an order is one that a contract gave the table.
pub fn is_contracts(order: &SortOrder) -> bool {
    order.fields.first().is_some_and(|field| field.transform == Transform::Hour)
}

/// Whether a table can take the rows of a contract: every column of `wanted` is there with its
/// type, or a wider one. Columns that only the table has stay null.
///
/// Errors: bad config naming every column that differs.
pub fn check_schema(name: &TableName, table: &Schema, wanted: &Schema) -> Result<()> {
    let mut faults = Vec::new();
    for field in wanted.as_struct().fields() {
        match table.as_struct().field_by_name(&field.name) {
            None => faults.push(format!("column {} ({}) is missing", field.name, field.field_type)),
            Some(found) if !same_type(&found.field_type, &field.field_type) => {
                faults.push(format!(
                    "column {} is {}, the contract says {}",
                    field.name, found.field_type, field.field_type
                ));
            }
            Some(found) if found.required => {
                faults.push(format!("column {} is required, rejects need it null", field.name));
            }
            Some(_) => {}
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(CatalogError::bad_config(format!(
        "table {name} does not fit its contract: {}; `weir contracts plan` says whether `weir \
         contracts apply` can change that",
        faults.join("; ")
    )))
}

/// Whether every value of type `from` is one of type `to`, and Iceberg lets a column go that way.
pub fn widens(from: &PrimitiveType, to: &PrimitiveType) -> bool {
    use PrimitiveType::{Decimal, Double, Float, Int, Long};
    match (from, to) {
        (Int, Long) | (Float, Double) => true,
        (Decimal { precision, scale }, Decimal { precision: wider, scale: same }) => {
            wider > precision && scale == same
        }
        _ => false,
    }
}

/// Equal but for field ids and comments, or wider than what is wanted.
fn same_type(found: &Type, wanted: &Type) -> bool {
    match (found, wanted) {
        (Type::Struct(found), Type::Struct(wanted)) => wanted.fields().iter().all(|w| {
            found.field_by_name(&w.name).is_some_and(|f| same_type(&f.field_type, &w.field_type))
        }),
        (Type::Primitive(found), Type::Primitive(wanted)) => {
            found == wanted || widens(wanted, found)
        }
        (found, wanted) => found == wanted,
    }
}

/// What an encoder must know of a table: the columns of its files, with field ids.
#[derive(Debug, Clone)]
pub struct TableSchema {
    schema: SchemaRef,
    arrow: ArrowSchemaRef,
}

impl TableSchema {
    /// The current schema of a table.
    ///
    /// Errors: bad data if it has a type that Arrow does not have.
    pub fn of(metadata: &TableMetadata) -> Result<TableSchema> {
        TableSchema::new(metadata.current_schema().clone())
    }

    /// A schema with its Arrow counterpart.
    pub fn new(schema: SchemaRef) -> Result<TableSchema> {
        let fields = arrow_fields(schema.as_struct())?;
        Ok(TableSchema { schema, arrow: Arc::new(arrow_schema::Schema::new(fields)) })
    }

    /// The Arrow schema of the table's files: all columns nullable, field ids in the metadata
    /// under `PARQUET:field_id`, timestamps in zone `UTC`.
    pub fn arrow(&self) -> &ArrowSchemaRef {
        &self.arrow
    }

    /// The Iceberg schema.
    pub fn iceberg(&self) -> &SchemaRef {
        &self.schema
    }
}

fn arrow_fields(fields: &StructType) -> Result<Fields> {
    fields
        .fields()
        .iter()
        .map(|field| {
            let kind = arrow_type(&field.field_type)?;
            let id = (PARQUET_FIELD_ID_META_KEY.to_string(), field.id.to_string());
            let arrow = ArrowField::new(&field.name, kind, true);
            Ok(Arc::new(arrow.with_metadata(HashMap::from([id]))))
        })
        .collect()
}

// As `weir_contract::decode` makes them; the library differs in the name of UTC and in binary.
fn arrow_type(kind: &Type) -> Result<DataType> {
    match kind {
        Type::Primitive(PrimitiveType::Timestamptz) => {
            Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
        }
        Type::Primitive(PrimitiveType::Binary) => Ok(DataType::Binary),
        Type::Struct(members) => Ok(DataType::Struct(arrow_fields(members)?)),
        other => type_to_arrow_type(other)
            .map_err(|e| CatalogError::iceberg(format!("type {other} as Arrow"), e)),
    }
}

/// The division of a raw table that a partition field makes; `schema` is the table's.
pub fn division_of(field: &PartitionField, schema: &Schema) -> Option<Division> {
    let division = match field.transform {
        Transform::Day => Division::Day,
        Transform::Month => Division::Month,
        _ => return None,
    };
    (schema.field_id_by_name(column::EVENT_TIME) == Some(field.source_id)).then_some(division)
}

/// The partition specs of a table that are exactly a division of raw tables, by their ids.
pub fn divisions(metadata: &TableMetadata) -> BTreeMap<i32, Division> {
    let schema = metadata.current_schema();
    let exactly = |spec: &PartitionSpecRef| match spec.fields() {
        [only] => Some((spec.spec_id(), division_of(only, schema)?)),
        _ => None,
    };
    metadata.partition_specs_iter().filter_map(exactly).collect()
}

/// The partition spec under which rows are written, and its division: the table's default one if
/// possible. Another engine may have changed the default since.
///
/// Errors: bad config if the table has none.
pub fn raw_spec(name: &TableName, metadata: &TableMetadata) -> Result<(i32, Division)> {
    let divisions = divisions(metadata);
    let default = metadata.default_partition_spec_id();
    let default = divisions.get_key_value(&default);
    let found = default.or_else(|| divisions.last_key_value());
    found.map(|(id, division)| (*id, *division)).ok_or_else(|| {
        CatalogError::bad_config(format!(
            "table {name} has no partitioning by day or month of {}; raw tables need one",
            column::EVENT_TIME
        ))
    })
}

#[cfg(test)]
mod tests;
