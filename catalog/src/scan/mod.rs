//! Reading tables: [`IcebergProvider`] gives one snapshot of a table to DataFusion.
//!
//! Iceberg's metadata plans (which files, how many rows), DataFusion's own Parquet source reads:
//! parallel, with row-group and page pruning. Files that it would read wrongly (delete files of
//! other engines, renamed columns) go through the library's reader. [`file`] reads one file whole.

mod by_name;
pub mod file;
pub mod plan;
mod prune;
mod reader;
mod schema;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, DataFusionError, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use iceberg::spec::{
    DataFileFormat, ManifestContentType, ManifestFile, SchemaRef as IcebergSchemaRef, SnapshotRef,
};

pub use schema::query_schema;

use crate::sought::whole;
use crate::{Base, CatalogError, Lake, Result};
use plan::LiveFile;
use weir_contract::names::{TableName, column};

/// Under this URL the lake's store stands in a DataFusion runtime that reads its tables.
pub const STORE_URL: &str = "weir://lake/";

/// Which files of a snapshot are read.
#[derive(Debug, Clone)]
pub enum Only {
    /// Those with rows that a reader may lack who read all up to this sequence number and `_rev`. Files are
    /// passed over by it, rows are not: that is for a condition.
    Newer {
        /// The greatest sequence number that was read.
        seq: i64,
        /// The greatest `_rev` that was read.
        rev: i32,
    },
    /// Those at these locations.
    Files(Arc<HashSet<String>>),
}

/// One snapshot of a table. The runtime that executes its plans must know the lake's store under
/// [`STORE_URL`].
#[derive(Debug)]
pub struct IcebergProvider {
    lake: Lake,
    base: Base,
    snapshot: Option<SnapshotRef>,
    table_schema: IcebergSchemaRef,
    schema: SchemaRef,
    only: Option<Only>,
}

impl IcebergProvider {
    /// The snapshot `id` of `base`, or its current one. A past snapshot is read with the schema
    /// that it was written with.
    ///
    /// Errors: bad config (no such snapshot), bad data (a schema that cannot be read).
    pub fn new(lake: &Lake, base: &Base, id: Option<i64>) -> Result<IcebergProvider> {
        let snapshot = plan::snapshot(base, id)?;
        let table_schema = match (&snapshot, id) {
            (Some(snapshot), Some(_)) => snapshot.schema(base.metadata()).map_err(|e| {
                CatalogError::iceberg(format!("reading the schema of {}", base.name), e)
            })?,
            _ => base.metadata().current_schema().clone(),
        };
        let schema = query_schema(&table_schema)?;
        Ok(IcebergProvider {
            lake: lake.clone(),
            base: base.clone(),
            snapshot,
            table_schema,
            schema,
            only: None,
        })
    }

    /// The same, less the files that are not meant.
    #[must_use]
    pub fn only(self, only: Only) -> IcebergProvider {
        IcebergProvider { only: Some(only), ..self }
    }

    fn is_meant(&self, file: &LiveFile) -> bool {
        match &self.only {
            None => true,
            Some(Only::Files(paths)) => paths.contains(file.path()),
            Some(Only::Newer { seq, rev }) => {
                let id = self.table_schema.field_id_by_name(column::REV);
                let bounds = file.entry.data_file().upper_bounds();
                let greatest = id.and_then(|id| bounds.get(&id)).and_then(whole);
                file.entry.sequence_number().is_none_or(|own| own > *seq)
                    || greatest.is_none_or(|own| own > i64::from(*rev))
            }
        }
    }

    /// The files that may hold rows for `conditions`.
    async fn files(
        &self,
        manifests: Vec<ManifestFile>,
        predicate: Option<&PruningPredicate>,
    ) -> Result<Vec<LiveFile>> {
        let data: Vec<ManifestFile> =
            manifests.into_iter().filter(|m| m.content == ManifestContentType::Data).collect();
        let Some(predicate) = predicate else {
            return plan::data_files(&self.lake.io, data).await;
        };
        let columns: HashSet<String> = collect_columns(predicate.orig_expr())
            .into_iter()
            .map(|column| column.name().to_string())
            .collect();
        let keep =
            self.prune(predicate, &columns, data.iter().map(prune::manifest_rows), |i, c| {
                let spec = self.base.metadata().partition_spec_by_id(data[i].partition_spec_id);
                let field = self.table_schema.as_struct().fields().get(c);
                match (spec, field) {
                    (Some(spec), Some(field)) => {
                        let data_type = self.schema.field(c).data_type();
                        prune::manifest_facts(
                            &data[i],
                            spec,
                            &self.table_schema,
                            field.id,
                            data_type,
                        )
                    }
                    _ => prune::Facts::default(),
                }
            })?;
        let data = data.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(m, _)| m).collect();
        let files = plan::data_files(&self.lake.io, data).await?;
        let rows = files.iter().map(|f| Some(f.entry.record_count()));
        let keep = self.prune(predicate, &columns, rows, |i, c| {
            let spec = self.base.metadata().partition_spec_by_id(files[i].spec_id);
            let field = self.table_schema.as_struct().fields().get(c);
            match (spec, field) {
                (Some(spec), Some(field)) => {
                    let data_type = self.schema.field(c).data_type();
                    prune::file_facts(files[i].entry.data_file(), spec, field.id, data_type)
                }
                _ => prune::Facts::default(),
            }
        })?;
        Ok(files.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(f, _)| f).collect())
    }

    fn prune(
        &self,
        predicate: &PruningPredicate,
        columns: &HashSet<String>,
        rows: impl Iterator<Item = Option<u64>>,
        facts: impl Fn(usize, usize) -> prune::Facts,
    ) -> Result<Vec<bool>> {
        let statistics = prune::Statistics::collect(&self.schema, columns, rows.collect(), facts);
        predicate.prune(&statistics).map_err(|e| {
            CatalogError::bug(format!("skipping files of {} failed: {e}", self.base.name))
                .with_source(e)
        })
    }

    /// The parts of `filters` that may decide about whole files.
    fn pruning_predicate(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> DfResult<Option<PruningPredicate>> {
        let bare = filters.iter().filter(|f| prune::is_bare(f)).cloned();
        let Some(physical) = self.physical(state, bare)? else { return Ok(None) };
        let predicate = PruningPredicate::try_new(physical, self.schema.clone())?;
        Ok((!predicate.always_true()).then_some(predicate))
    }

    fn physical(
        &self,
        state: &dyn Session,
        filters: impl IntoIterator<Item = Expr>,
    ) -> DfResult<Option<Arc<dyn PhysicalExpr>>> {
        let Some(condition) = conjunction(filters) else { return Ok(None) };
        let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        state.create_physical_expr(condition, &schema).map(Some)
    }

    fn parquet_plan(
        &self,
        state: &dyn Session,
        files: &[LiveFile],
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let mut source = ParquetSource::new(self.schema.clone());
        if let Some(predicate) = self.physical(state, filters.iter().cloned())? {
            source = source.with_predicate(predicate);
        }
        let rows: u64 = files.iter().map(|f| f.entry.record_count()).sum();
        let bytes: u64 = files.iter().map(|f| f.entry.file_size_in_bytes()).sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.total_byte_size =
            Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
        statistics.num_rows = match (usize::try_from(rows), filters.is_empty() && limit.is_none()) {
            (Ok(rows), true) => Precision::Exact(rows),
            (Ok(rows), false) => Precision::Inexact(rows),
            _ => Precision::Absent,
        };
        let groups = self.groups(files, state.config().target_partitions())?;
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
                .with_file_groups(groups)
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .with_statistics(statistics)
                .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Files spread over at most `partitions` groups of about the same size.
    fn groups(&self, files: &[LiveFile], partitions: usize) -> DfResult<Vec<FileGroup>> {
        let count = partitions.min(files.len()).max(1);
        let mut groups: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); count];
        let mut by_size: Vec<&LiveFile> = files.iter().collect();
        by_size.sort_by_key(|f| std::cmp::Reverse(f.entry.file_size_in_bytes()));
        for file in by_size {
            let size = file.entry.file_size_in_bytes();
            let meta = object_store::ObjectMeta {
                location: self.lake.warehouse.object_path(file.path()).map_err(outward)?,
                last_modified: chrono::DateTime::<chrono::Utc>::UNIX_EPOCH,
                size,
                e_tag: None,
                version: None,
            };
            let Some(least) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) else { continue };
            least.0 += size;
            least.1.push(PartitionedFile::new_from_meta(meta));
        }
        Ok(groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect())
    }

    fn reader_plan(
        &self,
        state: &dyn Session,
        files: Vec<(LiveFile, Vec<iceberg::scan::FileScanTaskDeleteFile>)>,
        projection: Option<&Vec<usize>>,
        out: &SchemaRef,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let fields = self.table_schema.as_struct().fields();
        let mut ids: Vec<i32> = match projection {
            Some(indices) => indices.iter().filter_map(|i| fields.get(*i)).map(|f| f.id).collect(),
            None => fields.iter().map(|f| f.id).collect(),
        };
        if ids.is_empty() {
            // The reader takes no columns for all columns: count by the first.
            ids.extend(fields.first().map(|f| f.id));
        }
        let tasks = files.into_iter().map(|(file, deletes)| {
            plan::reader_task(&self.base, &file, &self.table_schema, ids.clone(), deletes)
        });
        let tasks = tasks.collect::<Result<Vec<_>>>()?;
        let table = plan::library_table(&self.lake.io, &self.base)?;
        let partitions = state.config().target_partitions();
        let name = self.base.name.clone();
        Ok(Arc::new(reader::ReaderExec::new((name, table), tasks, out.clone(), partitions)))
    }
}

#[async_trait]
impl TableProvider for IcebergProvider {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let out = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => self.schema.clone(),
        };
        let Some(snapshot) = &self.snapshot else { return Ok(Arc::new(EmptyExec::new(out))) };
        let predicate = self.pruning_predicate(state, filters)?;
        let manifests = plan::manifests(&self.lake, &self.base, snapshot).await.map_err(outward)?;
        let mut deletes =
            plan::deletes(&self.lake, &self.base, snapshot, &manifests).await.map_err(outward)?;
        let mut files = self.files(manifests, predicate.as_ref()).await.map_err(outward)?;
        files.retain(|file| self.is_meant(file));
        let by_name = by_name::decide(&self.lake, &self.base, &self.table_schema, &files)
            .await
            .map_err(outward)?;
        let (mut plain, mut others) = (Vec::new(), Vec::new());
        for (file, by_name) in files.into_iter().zip(by_name) {
            if file.entry.file_format() != DataFileFormat::Parquet {
                return Err(outward(CatalogError::bad_data(format!(
                    "{} of {} is not a Parquet file; Weir reads Parquet only",
                    file.path(),
                    self.base.name
                ))));
            }
            match deletes.remove(file.path()) {
                None if by_name => plain.push(file),
                deletes => others.push((file, deletes.unwrap_or_default())),
            }
        }
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !plain.is_empty() {
            plans.push(self.parquet_plan(state, &plain, projection, filters, limit)?);
        }
        if !others.is_empty() {
            plans.push(self.reader_plan(state, others, projection, &out).map_err(outward)?);
        }
        match plans.len() {
            0 => Ok(Arc::new(EmptyExec::new(out))),
            1 => Ok(plans.remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}

/// The tables that a plan reads through the library's reader, file by file: only this process can.
pub fn unportable(plan: &Arc<dyn ExecutionPlan>) -> BTreeSet<TableName> {
    let mut tables: BTreeSet<TableName> =
        plan.children().into_iter().flat_map(unportable).collect();
    if let Some(reader) = plan.as_any().downcast_ref::<reader::ReaderExec>() {
        tables.insert(reader.table().clone());
    }
    tables
}

fn outward(error: CatalogError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
