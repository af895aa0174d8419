//! Files that DataFusion's Parquet source must not read itself: those with delete files, and those
//! whose columns have other names than the table's. The library's reader applies both.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};
use iceberg::scan::FileScanTask;
use iceberg::table::Table;
use weir_contract::names::TableName;

/// Reads tasks through the library's reader, one group of them per partition.
#[derive(Debug)]
pub struct ReaderExec {
    of: TableName,
    table: Table,
    groups: Vec<Vec<FileScanTask>>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl ReaderExec {
    /// A plan over `tasks`, whose projections give the columns of `schema` in order, in at most
    /// `partitions` partitions. With an empty schema, tasks must project some column to count by.
    pub fn new(
        (of, table): (TableName, Table),
        tasks: Vec<FileScanTask>,
        schema: SchemaRef,
        partitions: usize,
    ) -> ReaderExec {
        let count = partitions.min(tasks.len()).max(1);
        let mut groups: Vec<Vec<FileScanTask>> = vec![Vec::new(); count];
        for (index, task) in tasks.into_iter().enumerate() {
            groups[index % count].push(task);
        }
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        ReaderExec { of, table, groups, schema, properties }
    }

    /// The table that it reads.
    pub fn table(&self) -> &TableName {
        &self.of
    }
}

impl DisplayAs for ReaderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let files: usize = self.groups.iter().map(Vec::len).sum();
        write!(f, "IcebergReaderExec: file_groups={}, files={files}", self.groups.len())
    }
}

impl ExecutionPlan for ReaderExec {
    fn name(&self) -> &str {
        "IcebergReaderExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let Some(group) = self.groups.get(partition) else {
            return Err(DataFusionError::Internal(format!("no partition {partition}")));
        };
        let tasks = futures::stream::iter(group.clone().into_iter().map(Ok)).boxed();
        let reader = self
            .table
            .reader_builder()
            .with_batch_size(context.session_config().batch_size())
            .with_data_file_concurrency_limit(1)
            .build();
        let batches = reader.read(tasks).map_err(external)?.stream().map_err(external);
        let schema = self.schema.clone();
        let shaped = batches.map(move |batch| reshape(&batch?, &schema));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), shaped)))
    }
}

/// The library's batch in the types that queries see (see `schema::query_schema`).
pub fn reshape(batch: &RecordBatch, schema: &SchemaRef) -> DfResult<RecordBatch> {
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns
        .map(|(field, column)| match column.data_type() == field.data_type() {
            true => Ok(column.clone()),
            false => cast(column, field.data_type()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

fn external(error: iceberg::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
