//! Whether an increment of a model can be right: what its strategy asks of its SQL and of what it reads.
//! Pure.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use weir_contract::names::column;

use crate::inputs::{inputs, is_reference, roots};
use crate::lineage;
use crate::lint::RECORD_ID;
use crate::project::{Model, Project, Strategy};

/// What dimensions call it that no row follows.
const IS_CURRENT: &str = "is_current";

/// What is wrong with an incremental model of this plan and these columns.
pub fn mistakes(
    project: &Project,
    model: &Model,
    plan: &LogicalPlan,
    schema: &Schema,
) -> Vec<String> {
    match model.settings.strategy {
        Some(Strategy::Microbatch) => microbatch(project, model, plan, schema),
        Some(Strategy::Append) => append(project, model, plan, schema),
        Some(Strategy::Merge) => merge(project, model, schema),
        None => Vec::new(),
    }
}

fn microbatch(
    project: &Project,
    model: &Model,
    plan: &LogicalPlan,
    schema: &Schema,
) -> Vec<String> {
    let mut found = Vec::new();
    let column = model.settings.event_time.as_deref().unwrap_or_default();
    match schema.field_with_name(column).map(|field| field.data_type()) {
        Err(_) => {
            found.push(format!("`event_time` names the column `{column}`, which is not there"))
        }
        Ok(DataType::Timestamp(..) | DataType::Date32) => {}
        Ok(_) => found.push(format!("`event_time` names `{column}`, which is no time or date")),
    }
    for name in inputs(project, model).tables {
        let Some(parent) = project.models.get(&name) else { continue };
        let windows = parent.settings.strategy == Some(Strategy::Microbatch);
        if !windows && !roots(project, parent).keys().all(is_reference) {
            found.push(format!(
                "it reads {name}, of which nobody can tell which times a build changed; make that \
                 microbatch too, or this one a table"
            ));
        }
    }
    found.extend(twice_deduplicated(project, model));
    // What holds until when is for joins as of a time. A row that shows it, or whether it is over,
    // changes long after its window.
    let shown = lineage::columns(plan).into_iter().find(|(_, origins)| {
        origins.iter().any(|o| [column::VALID_TO, IS_CURRENT].contains(&o.column.as_str()))
    });
    if let Some((name, _)) = shown {
        found.push(format!(
            "column `{name}` says until when a row of a reference holds, which changes when the next \
             one comes, long after the window; make it a table, or leave the column out"
        ));
    }
    if names(plan, IS_CURRENT) {
        found.push(
            "it asks what is current, which is another for old windows with every load; join as of \
             event time, or make it a table"
                .into(),
        );
    }
    found
}

/// Deduplication looks at the records of one source; of what other views made of them an increment could
/// not tell which records were one event.
fn twice_deduplicated(project: &Project, model: &Model) -> Option<String> {
    let mut open = vec![model];
    while let Some(view) = open.pop() {
        let is_of_one = view.refs.is_empty() && view.sources.len() == 1;
        if !view.settings.dedup.is_empty() && !is_of_one {
            return Some(format!(
                "{} is deduplicated, and its rows are not those of one source as they came; deduplicate each \
                 source by itself",
                view.name
            ));
        }
        let parents = view.refs.iter().filter_map(|name| project.models.get(name));
        open.extend(parents.filter(|parent| !parent.is_stored()));
    }
    None
}

fn append(project: &Project, model: &Model, plan: &LogicalPlan, schema: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(name) = RECORD_ID.into_iter().find(|name| schema.field_with_name(name).is_err()) {
        found.push(format!(
            "the rows of an append model keep the id of their record; `{name}` is missing"
        ));
    }
    found.extend(sources_only(project, model, "append"));
    if roots(project, model).keys().any(is_reference) {
        found.push(
            "a load of a reference would change rows that were appended; use microbatch".into(),
        );
    }
    if let Some(node) = not_row_by_row(plan) {
        found.push(format!(
            "an append model gives rows record by record, and this has {node}; use microbatch"
        ));
    }
    found
}

/// A part of the plan in which a row is made of more than one row, in SQL's words.
fn not_row_by_row(plan: &LogicalPlan) -> Option<&'static str> {
    let mut found = None;
    let visited = plan.apply_with_subqueries(|node| {
        found = found.or(match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::Union(_) => None,
            LogicalPlan::Join(_) => Some("a join"),
            LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => Some("GROUP BY or DISTINCT"),
            LogicalPlan::Window(_) => Some("a window function"),
            LogicalPlan::Limit(_) | LogicalPlan::Sort(_) => Some("ORDER BY or LIMIT"),
            _ => Some("more than SELECT, WHERE and UNION ALL"),
        });
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(visited.is_ok());
    found
}

fn merge(project: &Project, model: &Model, schema: &Schema) -> Vec<String> {
    let key = &model.settings.unique_key;
    let missing = key.iter().find(|name| schema.field_with_name(name).is_err());
    let missing =
        missing.map(|name| format!("`unique_key` names the column `{name}`, which is not there"));
    missing.into_iter().chain(sources_only(project, model, "merge")).collect()
}

/// What is new of a source is known by its records. Of a table it is not, and whether a record is the
/// second of its event cannot be told by what is new alone.
fn sources_only(project: &Project, model: &Model, strategy: &str) -> Vec<String> {
    let inputs = inputs(project, model);
    let tables = inputs.tables.iter().filter_map(|name| project.models.get(name));
    let tables =
        tables.filter(|table| !roots(project, table).keys().all(is_reference)).map(|table| {
            format!(
                "it reads {}, and {strategy} models read what is new of sources; use microbatch",
                table.name
            )
        });
    let views = inputs.sources.values().flatten().map(|view| {
        format!(
            "it reads {view}, which is deduplicated: whether a record is an event's first cannot be told \
             by what is new; read the source, or use microbatch"
        )
    });
    tables.chain(views).collect()
}

/// Whether an expression of the plan names a column.
fn names(plan: &LogicalPlan, column: &str) -> bool {
    let mut found = false;
    let visited = plan.apply_with_subqueries(|node| {
        for expr in node.expressions() {
            // A projection passes on what somebody above may ask for; who filters or joins by it asks.
            let asks = !matches!(node, LogicalPlan::Projection(_));
            found |= asks && expr.column_refs().iter().any(|c| c.name == column);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(visited.is_ok());
    found
}
