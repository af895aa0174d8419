//! Every model planned over the columns of its inputs, before anything runs: an unknown column, a
//! type that tables cannot have and one that is not as described are mistakes with their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::prelude::SessionContext;
use weir_catalog::derived::columns::{column_type, type_name};
use weir_catalog::session::{SessionOptions, detached, explain};
use weir_catalog::{CatalogError, Result};
use weir_contract::class::ErrorClass;
use weir_contract::names::{NAMESPACE_MART, TableName};
use weir_contract::yaml::{Diagnostic, Position, nearest};

use crate::data_test;
use crate::dedup::{deduplicated, lacks};
use crate::incremental;
use crate::project::{DataTest, Model, Place, Project, TestKind};

/// The catalog under which models see each other and their sources.
const CATALOG: &str = "weir";

/// A model that DataFusion can run.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// Its columns, with the types that its rows have.
    pub schema: SchemaRef,
    /// Its SQL as it runs: deduplicated, if the model is.
    pub sql: String,
    /// Its columns, with the types that an increment's rows have; none if it has no SQL of its own for that.
    pub increment: Option<SchemaRef>,
    /// The plan of the file's SQL over its direct inputs, types coerced, not optimized.
    pub plan: LogicalPlan,
}

/// The columns of each source.
pub type Sources = BTreeMap<TableName, SchemaRef>;

/// Plans all models of `project`, parents first.
///
/// # Errors
/// Every mistake of every model whose inputs are without one; what DataFusion itself gets wrong.
pub async fn compile(
    project: &Project,
    sources: &Sources,
) -> Result<Result<BTreeMap<String, Compiled>, Vec<Diagnostic>>> {
    let space = Space::new(detached(&SessionOptions::default())?)?;
    for (name, schema) in sources {
        space.add(name, Arc::new(EmptyTable::new(schema.clone())))?;
    }
    let (mut compiled, mut mistakes) = (BTreeMap::new(), Vec::new());
    for name in project.graph().order().unwrap_or_default() {
        let Some(model) = project.models.get(&name) else { continue };
        if !model.refs.iter().all(|parent| compiled.contains_key(parent)) {
            continue;
        }
        match plan(&space.context, project, model).await? {
            Ok(mut one) => {
                space.add(&model.relation, Arc::new(EmptyTable::new(one.schema.clone())))?;
                match increment(&space.context, model, &one.schema).await? {
                    Ok(schema) => one.increment = schema,
                    Err(found) => mistakes.push(found),
                }
                compiled.insert(name, one);
            }
            Err(found) => mistakes.extend(found),
        }
    }
    for test in &project.data_tests {
        if test.models.iter().all(|model| compiled.contains_key(model)) {
            mistakes.extend(plan_test(&space.context, project, test).await?);
        }
    }
    Ok(if mistakes.is_empty() { Ok(compiled) } else { Err(mistakes) })
}

async fn planned(context: &SessionContext, sql: &str) -> Result<LogicalPlan, DataFusionError> {
    let state = context.state();
    let plan = state.create_logical_plan(sql).await?;
    state.analyzer().execute_and_check(plan, &state.config_options().clone(), |_, _| {})
}

async fn plan(
    context: &SessionContext,
    project: &Project,
    model: &Model,
) -> Result<Result<Compiled, Vec<Diagnostic>>> {
    let plan = match planned(context, &model.sql).await {
        Ok(plan) => plan,
        Err(error) => return mistake(&model.path, error).map(|one| Err(vec![one])),
    };
    let mut mistakes = columns(model, &plan);
    mistakes.extend(float_money(model, &plan));
    // What the settings ask for is said where they stand.
    let place = Place { file: model.path.clone(), at: model.config_at };
    if !model.settings.dedup.is_empty() {
        let lacks = lacks(&model.settings.dedup, plan.schema().as_arrow());
        mistakes.extend(lacks.map(|message| place.says(message)));
    }
    let wrong = incremental::mistakes(project, model, &plan, plan.schema().as_arrow());
    mistakes.extend(wrong.into_iter().map(|message| place.says(message)));
    if !mistakes.is_empty() {
        return Ok(Err(mistakes));
    }
    let schema = Arc::new(stored(plan.schema().as_arrow()));
    let sql = match model.settings.dedup.as_slice() {
        [] => model.sql.clone(),
        identity => deduplicated(&model.sql, identity, &schema),
    };
    Ok(Ok(Compiled { schema, sql, increment: None, plan }))
}

/// The columns of the SQL of an increment, which may read the model's own table: they must be those of the
/// whole.
async fn increment(
    context: &SessionContext,
    model: &Model,
    whole: &SchemaRef,
) -> Result<Result<Option<SchemaRef>, Diagnostic>> {
    let Some(sql) = &model.increment else { return Ok(Ok(None)) };
    let plan = match planned(context, sql).await {
        Ok(plan) => plan,
        Err(error) => return mistake(&model.path, error).map(Err),
    };
    let schema = stored(plan.schema().as_arrow());
    let kinds = |schema: &Schema| -> Vec<String> {
        let fields = schema.fields().iter();
        fields
            .map(|f| format!("{} {}", f.name(), iceberg_type(f.data_type()).unwrap_or_default()))
            .collect()
    };
    let (all, new) = (kinds(whole), kinds(&schema));
    if all == new {
        return Ok(Ok(Some(Arc::new(schema))));
    }
    let place = Place { file: model.path.clone(), at: model.config_at };
    Ok(Err(place.says(format!(
        "with is_incremental() the columns are {}, without it {}; they must be the same",
        new.join(", "),
        all.join(", ")
    ))))
}

/// What is wrong with the query of a test.
async fn plan_test(
    context: &SessionContext,
    project: &Project,
    test: &DataTest,
) -> Result<Option<Diagnostic>> {
    let planned = planned(context, &data_test::sql(project, test)).await;
    let Err(error) = planned else { return Ok(None) };
    // Only a test that is a file of its own has the lines of one.
    match test.kind {
        TestKind::Singular(_) => mistake(&test.place.file, error).map(Some),
        _ => {
            let message = mistake(&test.place.file, error)?.message;
            Ok(Some(test.place.says(format!("test {}: {message}", test.name))))
        }
    }
}

/// What DataFusion says of the SQL of a file, at its place; its own faults are errors.
fn mistake(file: &str, error: DataFusionError) -> Result<Diagnostic> {
    let span = error.diagnostic().and_then(|d| d.span);
    let at = span.map_or(Position::START, |span| Position {
        line: span.start.line as usize,
        column: span.start.column as usize,
    });
    let error = explain(error);
    if error.class() == ErrorClass::Bug {
        let message = format!("{file}: planning it failed: {error}");
        return Err(CatalogError::bug(message).with_source(error));
    }
    Ok(Place { file: file.to_string(), at }.says(error.message()))
}

/// Columns that a table cannot have, and those that are not as they are described.
fn columns(model: &Model, plan: &LogicalPlan) -> Vec<Diagnostic> {
    let schema = plan.schema().as_arrow();
    let mut mistakes = Vec::new();
    let nested = model.relation.namespace == NAMESPACE_MART;
    for (number, field) in schema.fields().iter().enumerate() {
        let name = field.name();
        let made_by = match plan {
            LogicalPlan::Projection(projection) => projection.expr.get(number),
            _ => None,
        };
        let place = Place { file: model.path.clone(), at: made_by.map_or(Position::START, at) };
        if !is_name(name) {
            let message = format!(
                "column {} is called {name:?}; give it a name of lower case letters, digits and \
                 underscores with `as`",
                number + 1
            );
            mistakes.push(place.says(message));
            continue;
        }
        match iceberg_type(field.data_type()) {
            Err(why) => mistakes.push(place.says(format!("column `{name}`: {why}"))),
            Ok(kind) if nested && (kind.starts_with("list<") || kind.starts_with("struct<")) => {
                let message = format!(
                    "column `{name}` is a {kind}; a mart has flat columns, which every reader knows"
                );
                mistakes.push(place.says(message));
            }
            Ok(_) => {}
        }
    }
    for described in &model.columns {
        let found = schema.fields().iter().find(|f| *f.name() == described.name);
        let Some(field) = found else {
            let names = schema.fields().iter().map(|f| f.name().as_str());
            let near = nearest(&described.name, names);
            let advice = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            let message =
                format!("model {} has no column `{}`{advice}", model.name, described.name);
            mistakes.push(described.at.says(message));
            continue;
        };
        if let (Some(wanted), Ok(kind)) = (&described.data_type, iceberg_type(field.data_type()))
            && *wanted != kind
        {
            let message = format!(
                "column `{}` of {} is {wanted} by its description, and {kind} by its SQL",
                described.name, model.name
            );
            mistakes.push(described.at.says(message));
        }
    }
    mistakes
}

/// Where an expression stands: where it first names a column.
fn at(expr: &Expr) -> Position {
    let columns = expr.column_refs().into_iter();
    let starts = columns.filter_map(|column| column.spans.first()).map(|span| span.start);
    let first = starts.min_by_key(|start| (start.line, start.column));
    first.map_or(Position::START, |start| Position {
        line: start.line as usize,
        column: start.column as usize,
    })
}

/// The cast by DataFusion's own function.
const ARROW_CAST: &str = "arrow_cast";

/// What an expression makes another type of, and of which one.
fn cast_of(expr: &Expr, schema: &datafusion::common::DFSchema) -> Option<(Expr, DataType)> {
    match expr {
        Expr::Cast(Cast { expr: inner, data_type, .. })
        | Expr::TryCast(TryCast { expr: inner, data_type, .. }) => {
            Some(((**inner).clone(), data_type.clone()))
        }
        Expr::ScalarFunction(function) if function.name() == ARROW_CAST => {
            Some((function.args.first()?.clone(), expr.get_type(schema).ok()?))
        }
        _ => None,
    }
}

/// Decimals that become floating numbers: money would be rounded.
fn float_money(model: &Model, plan: &LogicalPlan) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let visited = plan.apply_with_subqueries(|node| {
        let mut schema = datafusion::common::DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        for expr in node.expressions() {
            expr.apply(|part| {
                if let Some((inner, kind)) = cast_of(part, &schema)
                    && kind.is_floating()
                    && inner.get_type(&schema).is_ok_and(|kind| kind.is_decimal())
                {
                    found.push((at(&inner), inner.to_string()));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(visited.is_ok());
    found.sort();
    found.dedup();
    let says = |(at, what): (Position, String)| {
        Place { file: model.path.clone(), at }.says(format!(
            "the decimal `{what}` becomes a floating number, and money would be rounded; write \
             other numbers beside it as decimals, for example 0.5 as cast(0.5 as decimal(3, 2))"
        ))
    };
    found.into_iter().map(says).collect()
}

/// The name by which Iceberg knows a type.
///
/// # Errors
/// Why a table cannot have it, and what to write.
pub fn iceberg_type(kind: &DataType) -> Result<String, String> {
    column_type(kind).map(|kind| type_name(&kind))
}

/// The schema of the rows as they are stored: everything may be null, whatever SQL can prove.
pub(crate) fn stored(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Names in SQL: what models and sources are called.
pub(crate) struct Space {
    pub context: SessionContext,
    catalog: Arc<MemoryCatalogProvider>,
}

impl Space {
    /// Puts a catalog into the context, with nothing in it.
    pub fn new(context: SessionContext) -> Result<Space> {
        let catalog = Arc::new(MemoryCatalogProvider::new());
        context.register_catalog(CATALOG, catalog.clone());
        let state = context.state_ref();
        let mut state = state.write();
        let options = state.config_mut().options_mut();
        options.catalog.default_catalog = CATALOG.into();
        options.sql_parser.collect_spans = true;
        drop(state);
        Ok(Space { context, catalog })
    }

    /// Whether there is a table of this name.
    pub fn has(&self, name: &TableName) -> bool {
        let schema = self.catalog.schema(&name.namespace);
        schema.is_some_and(|schema| schema.table_exist(&name.name))
    }

    /// Gives a table its name.
    pub fn add(&self, name: &TableName, table: Arc<dyn TableProvider>) -> Result<()> {
        let schema = match self.catalog.schema(&name.namespace) {
            Some(schema) => schema,
            None => {
                let made: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                self.catalog.register_schema(&name.namespace, made.clone()).map_err(explain)?;
                made
            }
        };
        schema.register_table(name.name.clone(), table).map(|_| ()).map_err(explain)
    }
}
