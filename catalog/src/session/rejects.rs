//! The view `ops.rejects`: the rejected rows of all raw tables, with the members of `_error` as columns.
//! What a row has of Kafka keeps the names that it has in the raw table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, case, col, lit};
use weir_contract::names::{TableName, column};

use crate::scan::IcebergProvider;

/// Columns of the view that a raw table has too, by the same names.
const KEPT: [&str; 6] = [
    column::SOURCE,
    column::PARTITION,
    column::OFFSET,
    column::KAFKA_TIME,
    column::KEY,
    column::VALUE,
];

/// A raw table of the view.
pub struct Part {
    /// Its name.
    pub table: TableName,
    /// The stream whose table it is.
    pub stream: String,
    /// Short source id → full one.
    pub sources: BTreeMap<String, String>,
    /// Its rows.
    pub provider: IcebergProvider,
}

impl Part {
    /// Whether the table has what the view shows; other engines may make tables beside ours.
    pub fn is_raw(&self) -> bool {
        let schema = self.provider.schema();
        let of = |name: &str| schema.column_with_name(name).map(|(_, field)| field.data_type());
        let DataType::Struct(members) = of(column::ERROR).unwrap_or(&DataType::Null) else {
            return false;
        };
        of(column::EVENT_TIME).is_some()
            && KEPT.iter().all(|name| of(name) == Some(&view_type(name)))
            && column::ERROR_MEMBERS.iter().all(|name| {
                members.find(name).is_some_and(|(_, member)| *member.data_type() == DataType::Utf8)
            })
    }

    fn plan(self) -> DfResult<LogicalPlan> {
        let name = TableReference::partial(self.table.namespace, self.table.name);
        let source = provider_as_source(Arc::new(self.provider));
        let mut full_id = col(column::SOURCE);
        let mut full = case(col(column::SOURCE));
        for (short, id) in self.sources {
            full = full.when(lit(short), lit(id));
            full_id = full.otherwise(col(column::SOURCE))?;
        }
        let mut columns: Vec<Expr> =
            vec![lit(self.stream).alias("stream"), full_id.alias("source")];
        columns.extend(KEPT[..4].iter().map(|name| col(*name)));
        let error = |name: &&str| col(column::ERROR).field(*name).alias(*name);
        columns.extend(column::ERROR_MEMBERS.iter().map(error));
        columns.extend(KEPT[4..].iter().map(|name| col(*name)));
        LogicalPlanBuilder::scan(name, source, None)?
            // No row without an error lacks its time: whole days of accepted rows are not read.
            .filter(col(column::EVENT_TIME).is_null().and(col(column::ERROR).is_not_null()))?
            .project(columns)?
            .build()
    }
}

fn view_type(name: &str) -> DataType {
    match name {
        column::PARTITION => DataType::Int32,
        column::OFFSET => DataType::Int64,
        column::KAFKA_TIME => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        column::KEY | column::VALUE => DataType::Binary,
        _ => DataType::Utf8,
    }
}

fn schema() -> SchemaRef {
    let names = ["stream", "source"].into_iter().chain(KEPT[..4].iter().copied());
    let names = names.chain(column::ERROR_MEMBERS).chain(KEPT[4..].iter().copied());
    let field = |name: &str| Field::new(name, view_type(name), true);
    Arc::new(Schema::new(names.map(field).collect::<Vec<_>>()))
}

/// The view over these tables.
pub fn view(parts: Vec<Part>) -> DfResult<Arc<dyn TableProvider>> {
    let mut all: Option<LogicalPlan> = None;
    for part in parts {
        let plan = part.plan()?;
        all = Some(match all {
            None => plan,
            Some(others) => LogicalPlanBuilder::from(others).union(plan)?.build()?,
        });
    }
    Ok(match all {
        Some(plan) => Arc::new(ViewTable::new(plan, None)),
        None => Arc::new(EmptyTable::new(schema())),
    })
}
