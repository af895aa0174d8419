//! What must hold of rows: tests as queries that give the rows for which it does not.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use weir_catalog::{CatalogError, Result};
use weir_contract::names::TableName;

use crate::engine::{Engine, Rows};
use crate::project::{DataTest, Project, TestKind};

/// Failing rows that are shown.
pub const SHOWN_MAX: usize = 5;

/// The query whose rows fail `test`.
pub fn sql(project: &Project, test: &DataTest) -> String {
    let of = || -> String {
        // Of two models that a test names, it stands with the one that has the columns.
        let other = match &test.kind {
            TestKind::Relationships { to, .. } => Some(to),
            _ => None,
        };
        let relations = test.models.iter().filter_map(|name| project.models.get(name));
        let relations: Vec<&TableName> = relations.map(|model| &model.relation).collect();
        let own = relations.iter().find(|r| Some(**r) != other).or(relations.first());
        own.map(ToString::to_string).unwrap_or_default()
    };
    match &test.kind {
        TestKind::NotNull(column) => format!("select * from {} where {column} is null", of()),
        TestKind::Unique(columns) => {
            let (list, known) = (columns.join(", "), columns.join(" is not null and "));
            format!(
                "select {list}, count(*) as _rows from {} where {known} is not null group by {list} \
                 having count(*) > 1",
                of()
            )
        }
        TestKind::AcceptedValues(column, values) => format!(
            "select {column}, count(*) as _rows from {} where {column} not in ({}) group by {column}",
            of(),
            values.join(", ")
        ),
        TestKind::Relationships { column, to, field } => format!(
            "select a.{column}, count(*) as _rows from {} as a where a.{column} is not null and not \
             exists (select 1 from {to} as b where b.{field} = a.{column}) group by a.{column}",
            of()
        ),
        TestKind::Expression(expression) => {
            format!("select * from {} where not ({expression})", of())
        }
        TestKind::Singular(sql) => sql.clone(),
    }
}

/// What came of a test.
#[derive(Debug)]
pub struct Outcome {
    /// Rows that fail.
    pub failures: u64,
    /// Some of them.
    pub shown: Rows,
}

/// Runs a test.
pub async fn run(engine: &Engine, project: &Project, test: &DataTest) -> Result<Outcome> {
    let sql = sql(project, test);
    let failed = |e: CatalogError| {
        let message = format!("test {} cannot run: {e}", test.name);
        CatalogError::new(e.class(), message).with_source(e)
    };
    let shown = engine.rows(&sql, SHOWN_MAX).await.map_err(failed)?;
    let mut failures = shown.count() as u64;
    if shown.count() == SHOWN_MAX {
        let counted = engine.rows(&format!("select count(*) from ({sql}) as f"), 1).await;
        let counted = counted.map_err(failed)?;
        let column = counted.batches.first().map(|batch| batch.column(0).clone());
        let count = column.as_ref().and_then(|c| c.as_primitive_opt::<Int64Type>());
        failures = count.map_or(failures, |c| c.value(0).unsigned_abs());
    }
    Ok(Outcome { failures, shown })
}
