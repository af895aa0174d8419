//! Raw and reference tables from contracts.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::spec::{
    FormatVersion, Schema, SortOrder, TableMetadata, TableMetadataBuilder, UnboundPartitionSpec,
};
use weir_contract::contract::{Contract, Division};
use weir_contract::names::{TableName, key};
use weir_contract::reference::Reference;

use crate::backend::Outcome;
use crate::error::{CatalogError, Result};
use crate::schema::{
    check_schema, raw_iceberg_schema, raw_partition_spec, raw_spec, reference_iceberg_schema,
    sort_order,
};
use crate::table::{Base, Lake, LakeOptions};

/// How often a table is created of which the catalog does not tell, and has nothing.
const CREATES_MAX: u32 = 3;
/// Ten years: longer than the seven for which tags keep history.
const HISTORY_SECONDS: u64 = 10 * 366 * 24 * 60 * 60;
/// Manifests are merged up to this size.
pub(crate) const MANIFEST_BYTES_MAX: usize = 8 << 20;
/// Iceberg's property that says so.
pub(crate) const MANIFEST_TARGET_PROPERTY: &str = "commit.manifest.target-size-bytes";

impl Lake {
    /// The raw table of a contract: made if it is not there, checked if it is.
    ///
    /// Errors: bad config if the table cannot take the contract's rows; what the catalog says.
    pub async fn ensure_raw(&self, contract: &Contract, name: &TableName) -> Result<Base> {
        if let Some(base) = self.raw(contract, name).await? {
            return Ok(base);
        }
        let metadata = self.new_raw_table(contract, name)?;
        checked(self.create(name, metadata).await?, &raw_iceberg_schema(contract)?)
    }

    /// The reference table of a contract; none if there is no such table.
    ///
    /// Errors: bad config if it cannot take the contract's rows, or has another key.
    pub async fn reference(&self, reference: &Reference) -> Result<Option<Base>> {
        let base = self.table(&reference.table()).await?;
        base.map(|base| checked_reference(base, reference)).transpose()
    }

    /// The same, made if it is not there.
    pub async fn ensure_reference(&self, reference: &Reference) -> Result<Base> {
        if let Some(base) = self.reference(reference).await? {
            return Ok(base);
        }
        let (contract, name) = (&reference.contract, reference.table());
        let schema = reference_iceberg_schema(contract)?;
        let mut properties = properties(contract, &self.options);
        properties.insert(key::REFERENCE_KEY.into(), key_property(reference));
        let spec = UnboundPartitionSpec::builder().build();
        let metadata = self.new_table(&name, schema, spec, properties)?;
        checked_reference(self.create(&name, metadata).await?, reference)
    }

    /// Puts a new table into the catalog. Whatever came of it, the catalog knows: another process
    /// may have been first, or an answer was lost.
    pub(crate) async fn create(&self, name: &TableName, metadata: TableMetadata) -> Result<Base> {
        let mut why = String::new();
        for _ in 0..CREATES_MAX {
            why = match self.backend.create(name, metadata.clone()).await {
                Outcome::Committed(loaded) => return Ok(Base { name: name.clone(), loaded }),
                Outcome::Failed(e) => return Err(e),
                Outcome::Conflict(why) | Outcome::Unknown(why) => why,
            };
            if let Some(found) = self.table(name).await? {
                return Ok(found);
            }
        }
        Err(CatalogError::retry(format!("creating table {name}: {why}")))
    }

    /// The raw table of a contract; none if there is no such table.
    ///
    /// Errors: bad config if it cannot take the contract's rows; what the catalog says.
    pub async fn raw(&self, contract: &Contract, name: &TableName) -> Result<Option<Base>> {
        let wanted = raw_iceberg_schema(contract)?;
        self.table(name).await?.map(|base| checked(base, &wanted)).transpose()
    }

    fn new_raw_table(&self, contract: &Contract, name: &TableName) -> Result<TableMetadata> {
        let schema = raw_iceberg_schema(contract)?;
        let division = contract.partitioned_by.unwrap_or(Division::Day);
        let spec = raw_partition_spec(&schema, division)?;
        let order = sort_order(&schema, &contract.sorted_by)?;
        let properties = properties(contract, &self.options);
        self.new_sorted_table(name, schema, spec, order, properties)
    }

    pub(crate) fn new_table(
        &self,
        name: &TableName,
        schema: Schema,
        spec: UnboundPartitionSpec,
        properties: HashMap<String, String>,
    ) -> Result<TableMetadata> {
        self.new_sorted_table(name, schema, spec, SortOrder::unsorted_order(), properties)
    }

    fn new_sorted_table(
        &self,
        name: &TableName,
        schema: Schema,
        spec: UnboundPartitionSpec,
        order: SortOrder,
        properties: HashMap<String, String>,
    ) -> Result<TableMetadata> {
        let location = format!("{}/{}/{}", self.warehouse.location(), name.namespace, name.name);
        let built =
            TableMetadataBuilder::new(schema, spec, order, location, FormatVersion::V2, properties)
                .and_then(|builder| builder.assign_uuid(self.env.ids.uuid()).build())
                .map_err(|e| CatalogError::iceberg(format!("making table {name}"), e))?;
        stamp(built.metadata, self.env.clock.now_ms())
    }
}

fn checked(base: Base, wanted: &Schema) -> Result<Base> {
    check_format(&base)?;
    check_schema(&base.name, base.metadata().current_schema(), wanted)?;
    raw_spec(&base.name, base.metadata())?;
    Ok(base)
}

fn checked_reference(base: Base, reference: &Reference) -> Result<Base> {
    check_format(&base)?;
    let wanted = reference_iceberg_schema(&reference.contract)?;
    check_schema(&base.name, base.metadata().current_schema(), &wanted)?;
    let (found, wanted) =
        (reference_key(&base).unwrap_or_default(), key_names(&reference.contract, &reference.key));
    if found != wanted {
        return Err(CatalogError::bad_config(format!(
            "the rows of {} are told apart by {found:?} (its property {}), the contract says \
             {wanted:?}; a key is for ever: give the new one a table of its own",
            base.name,
            key::REFERENCE_KEY
        )));
    }
    Ok(base)
}

fn check_format(base: &Base) -> Result<()> {
    match base.metadata().format_version() {
        FormatVersion::V2 => Ok(()),
        other => Err(CatalogError::bad_config(format!(
            "table {} has Iceberg format {other}, weir writes v2; give the stream another table",
            base.name
        ))),
    }
}

/// The columns of the business key of a reference table; none if it is no table of ours.
pub(crate) fn reference_key(base: &Base) -> Option<Vec<String>> {
    let text = base.metadata().properties().get(key::REFERENCE_KEY)?;
    let schema = base.metadata().current_schema();
    let names: Vec<String> = serde_json::from_str(text).ok()?;
    let known = names.iter().all(|name| schema.field_by_name(name).is_some());
    (known && !names.is_empty()).then_some(names)
}

/// The names of these columns of a contract.
pub(crate) fn key_names(contract: &Contract, key: &[usize]) -> Vec<String> {
    key.iter().map(|column| contract.fields[*column].name.clone()).collect()
}

fn key_property(reference: &Reference) -> String {
    serde_json::Value::from(key_names(&reference.contract, &reference.key)).to_string()
}

/// The builder reads the machine's clock; ours may be a simulation's.
fn stamp(metadata: TableMetadata, now_ms: i64) -> Result<TableMetadata> {
    let stamped = serde_json::to_value(&metadata).and_then(|mut value| {
        value["last-updated-ms"] = now_ms.into();
        serde_json::from_value(value)
    });
    stamped.map_err(|e| CatalogError::bug("stamping new metadata").with_source(e))
}

/// Properties of a new raw table. They are set once: what an operator changes stays changed.
fn properties(contract: &Contract, options: &LakeOptions) -> HashMap<String, String> {
    let mut properties = table_properties(&contract.description, options);
    properties.insert(key::CONTRACT.into(), format!("{}@{}", contract.id, contract.version));
    properties
}

impl Lake {
    /// Properties of any new table of ours, with what it holds as comment.
    pub(crate) fn table_properties(&self, comment: &str) -> HashMap<String, String> {
        table_properties(comment, &self.options)
    }
}

fn table_properties(comment: &str, options: &LakeOptions) -> HashMap<String, String> {
    let history_ms = HISTORY_SECONDS * 1000;
    let snapshots = options.snapshots_max.max(1);
    let mut properties = vec![
        ("write.format.default", "parquet".into()),
        ("write.parquet.compression-codec", "zstd".into()),
        ("write.metadata.compression-codec", "gzip".into()),
        ("write.metadata.previous-versions-max", options.metadata_log_max.max(1).to_string()),
        ("write.metadata.delete-after-commit.enabled", "true".into()),
        (MANIFEST_TARGET_PROPERTY, MANIFEST_BYTES_MAX.to_string()),
        // No delete files: readers differ in what they support.
        ("write.delete.mode", "copy-on-write".into()),
        ("write.update.mode", "copy-on-write".into()),
        ("write.merge.mode", "copy-on-write".into()),
        // Every commit of ours expires by count. Other engines expire by age when they are told
        // to maintain the table (Athena's VACUUM by default after five days), and an audit trail
        // is not theirs to cut.
        ("history.expire.max-snapshot-age-ms", history_ms.to_string()),
        ("history.expire.min-snapshots-to-keep", snapshots.to_string()),
        ("vacuum_max_snapshot_age_seconds", HISTORY_SECONDS.to_string()),
        ("vacuum_min_snapshots_to_keep", snapshots.to_string()),
    ];
    if !comment.is_empty() {
        properties.push(("comment", comment.into()));
    }
    properties.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

impl Base {
    /// Whether this version of a raw table can take the rows of a contract.
    ///
    /// Errors: bad config naming every column that differs.
    pub fn takes(&self, contract: &Contract) -> Result<()> {
        check_schema(&self.name, self.metadata().current_schema(), &raw_iceberg_schema(contract)?)
    }

    /// Whether both are versions of one table, not of a table and its replacement.
    pub(crate) fn is_same_table(&self, other: &Base) -> bool {
        Arc::ptr_eq(&self.loaded.metadata, &other.loaded.metadata)
            || self.metadata().uuid() == other.metadata().uuid()
    }
}
