//! Which columns a column is made of: read off the plan, not guessed from the SQL.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan};
use serde::Serialize;

/// A column of a model or source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    /// `<namespace>.<name>`.
    pub table: String,
    /// The column there.
    pub column: String,
}

type Origins = BTreeSet<Origin>;

/// For each column of the plan, the columns of its inputs from which its values come. Conditions
/// that only choose rows are not among them.
pub fn columns(plan: &LogicalPlan) -> Vec<(String, Origins)> {
    let names = plan.schema().fields().iter().map(|field| field.name().clone());
    names.zip(trace(plan)).collect()
}

/// The origins of each column of `plan`, in their order.
fn trace(plan: &LogicalPlan) -> Vec<Origins> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let origin = |name: &String| {
                let name = Origin { table: table(&scan.table_name), column: name.clone() };
                Origins::from([name])
            };
            plan.schema().fields().iter().map(|field| origin(field.name())).collect()
        }
        LogicalPlan::Projection(projection) => {
            let (below, schema) = (trace(&projection.input), projection.input.schema());
            projection.expr.iter().map(|expr| of(expr, schema, &below)).collect()
        }
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => {
            let (below, schema) = (trace(input), input.schema());
            let mut found: Vec<Origins> =
                group_expr.iter().flat_map(groups).map(|e| of(e, schema, &below)).collect();
            // A grouping set has a column more that says which of the sets a row is of.
            let more = plan.schema().fields().len().saturating_sub(found.len() + aggr_expr.len());
            found.extend(std::iter::repeat_n(Origins::new(), more));
            found.extend(aggr_expr.iter().map(|expr| of(expr, schema, &below)));
            found
        }
        LogicalPlan::Window(window) => {
            let (mut below, schema) = (trace(&window.input), window.input.schema());
            let made: Vec<Origins> =
                window.window_expr.iter().map(|expr| of(expr, schema, &below)).collect();
            below.extend(made);
            below
        }
        LogicalPlan::Union(union) => {
            let mut found = vec![Origins::new(); plan.schema().fields().len()];
            for input in &union.inputs {
                for (all, one) in found.iter_mut().zip(trace(input)) {
                    all.extend(one);
                }
            }
            found
        }
        LogicalPlan::Distinct(Distinct::On(on)) => {
            let (below, schema) = (trace(&on.input), on.input.schema());
            on.select_expr.iter().map(|expr| of(expr, schema, &below)).collect()
        }
        _ => passed(plan),
    }
}

/// Of a node that makes no columns: those of its inputs, as they are named. Joins that only ask
/// whether there is a match have fewer, which the names tell.
fn passed(plan: &LogicalPlan) -> Vec<Origins> {
    let inputs: Vec<(&DFSchema, Vec<Origins>)> =
        plan.inputs().into_iter().map(|input| (input.schema().as_ref(), trace(input))).collect();
    let all: Vec<Origins> = inputs.iter().flat_map(|(_, below)| below.clone()).collect();
    if all.len() == plan.schema().fields().len() {
        return all;
    }
    let find = |column: &Column| {
        inputs.iter().find_map(|(schema, below)| {
            schema.maybe_index_of_column(column).and_then(|at| below.get(at).cloned())
        })
    };
    plan.schema().columns().iter().map(|column| find(column).unwrap_or_default()).collect()
}

fn groups(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::GroupingSet(set) => set.distinct_expr(),
        other => vec![other],
    }
}

/// The origins of what an expression over `schema` names, subqueries included.
fn of(expr: &Expr, schema: &DFSchema, below: &[Origins]) -> Origins {
    let mut found = Origins::new();
    let visited = expr.apply(|part| {
        match part {
            Expr::Column(column) => {
                let at = schema.maybe_index_of_column(column);
                found.extend(at.and_then(|at| below.get(at)).into_iter().flatten().cloned());
            }
            Expr::ScalarSubquery(subquery) => {
                found.extend(trace(&subquery.subquery).into_iter().flatten());
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(visited.is_ok());
    found
}

fn table(name: &datafusion::common::TableReference) -> String {
    match name.schema() {
        Some(schema) => format!("{schema}.{}", name.table()),
        None => name.table().to_string(),
    }
}
