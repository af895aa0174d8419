//! The rows of some files in one order, whatever their number: what does not fit into the memory is spilled
//! to the folder for temporary files.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ident;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt};
use weir_contract::names::column;

use super::order::Order;
use crate::scan::file::{Rows, batch_rows, rows};
use crate::session::errors::clean;
use crate::sought::Found;
use crate::{Base, CatalogError, Lake, Result};

/// The hour of event time, while rows are sorted.
const HOUR: &str = "_weir_hour";
const HOUR_US: i64 = 3_600_000_000;

/// All rows of `files` in `order`, less what other engines deleted, holding about `memory` bytes.
///
/// Errors, also of the stream: bad data (a file cannot be read), bad config (the memory is too little for
/// rows of this size), retry (no room to spill to).
pub async fn sorted(
    lake: &Lake,
    base: &Base,
    files: &[Found],
    order: &Order,
    memory: usize,
) -> Result<Rows> {
    let schema = base.schema()?.arrow().clone();
    let with_hour = with_hour(&schema);
    let unsorted = {
        let (lake, base, files) = (lake.clone(), base.clone(), files.to_vec());
        let one = move |found: Found| {
            let (lake, base) = (lake.clone(), base.clone());
            async move { rows(&lake, &base, &found).await }
        };
        futures::stream::iter(files).then(one).try_flatten()
    };
    let wide = with_hour.clone();
    let unsorted = unsorted.map(move |batch| {
        batch
            .and_then(|batch| add_hour(&batch, &wide))
            .map_err(|e| DataFusionError::External(e.into()))
    });
    let source = Once { schema: with_hour.clone(), rows: Mutex::new(Some(unsorted.boxed())) };
    let (count, bytes) = files.iter().fold((0, 0), |(n, b), f| (n + f.rows(), b + f.bytes()));
    let context = context(batch_rows(count, bytes), memory)?;
    let table = StreamingTable::try_new(with_hour, vec![Arc::new(source)]).map_err(failed)?;
    let by = order.columns(HOUR).into_iter().map(|name| ident(name).sort(true, true)).collect();
    let frame = context.read_table(Arc::new(table)).and_then(|frame| frame.sort(by));
    let sorted = frame.map_err(failed)?.execute_stream().await.map_err(failed)?;
    let columns: Vec<usize> = (0..schema.fields().len()).collect();
    let narrow = move |batch: std::result::Result<RecordBatch, DataFusionError>| {
        let batch = batch.map_err(failed)?;
        batch.project(&columns).map_err(|e| CatalogError::bug("sorting rows").with_source(e))
    };
    Ok(sorted.map(narrow).boxed())
}

fn failed(error: DataFusionError) -> CatalogError {
    clean(error, "maintain.memory_max")
}

/// DataFusion with one thread's worth of sorting within `memory`.
fn context(batch_rows: usize, memory: usize) -> Result<SessionContext> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
        .build_arc()
        .map_err(failed)?;
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(batch_rows);
    config.options_mut().execution.sort_spill_reservation_bytes = memory / 8;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

fn with_hour(schema: &SchemaRef) -> SchemaRef {
    let hour = Arc::new(Field::new(HOUR, DataType::Int64, true));
    let fields = schema.fields().iter().cloned().chain([hour]);
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

fn add_hour(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let times = batch.column_by_name(column::EVENT_TIME);
    let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
    let hours: Int64Array = match times {
        Some(times) => times.unary(|us| us.div_euclid(HOUR_US)),
        None => Int64Array::new_null(batch.num_rows()),
    };
    let columns = batch.columns().iter().cloned().chain([Arc::new(hours) as Arc<dyn Array>]);
    RecordBatch::try_new(schema.clone(), columns.collect())
        .map_err(|e| CatalogError::bug("adding the hour to rows").with_source(e))
}

type Unsorted = futures::stream::BoxStream<'static, Result<RecordBatch, DataFusionError>>;

/// Rows that can be read once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<Unsorted>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows of data files")
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        let again = || DataFusionError::Internal("the rows were read before".into());
        let rows = rows.unwrap_or_else(|| futures::stream::iter([Err(again())]).boxed());
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}
