//! What a model's SQL may not say, because the same inputs would not give the same rows again, or
//! because it does something else than whoever wrote it meant.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, FunctionArgumentClause, FunctionArguments, OrderByExpr, OrderByKind,
    Query, SelectItem, SetExpr, Spanned, Statement, UnaryOperator, Visit, Visitor, WindowType,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;
use weir_contract::names::column;
use weir_contract::yaml::Position;

/// The columns that tell any record from any other: ties broken by them are broken alike for ever.
pub const RECORD_ID: [&str; 3] = [column::SOURCE, column::PARTITION, column::OFFSET];

/// Functions of the wall clock.
const CLOCK: [&str; 9] = [
    "now",
    "today",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "getdate",
    "clock_timestamp",
];
/// Functions of chance.
const CHANCE: [&str; 5] = ["random", "rand", "uuid", "gen_random_uuid", "newid"];
/// Functions that take one row before another.
const ORDERED: [&str; 4] = ["row_number", "first_value", "last_value", "nth_value"];

/// What the rules ask of a model.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'r> {
    /// Its columns must be named one by one.
    pub named_columns: bool,
    /// Columns of which no two of its rows have the same values; none if it says nothing of them.
    pub unique_key: &'r [String],
}

/// The mistakes in the SQL of a model, in its order.
pub fn lint(sql: &str, rules: Rules<'_>) -> Vec<(Position, String)> {
    let statements = match Parser::parse_sql(&GenericDialect {}, sql) {
        Ok(statements) => statements,
        Err(error) => return vec![syntax(&error.to_string())],
    };
    let [Statement::Query(query)] = statements.as_slice() else {
        let message = match statements.len() {
            0 => "the model has no SELECT",
            1 => "a model is one SELECT; what it makes of the table is said in config()",
            _ => "a model is one SELECT; remove the semicolon and what is behind it",
        };
        return vec![(Position::START, message.into())];
    };
    let mut linter = Linter { rules, found: Vec::new() };
    let _ = query.visit(&mut linter);
    linter.found.sort_by_key(|(at, _)| *at);
    linter.found.dedup();
    linter.found
}

/// `sql parser error: Expected: ..., found: x at Line: 3, Column: 5` with its place.
fn syntax(text: &str) -> (Position, String) {
    let text = text.strip_prefix("sql parser error: ").unwrap_or(text);
    let place = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        let at = Position { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? };
        Some((at, message))
    });
    let (at, message) = place.unwrap_or((Position::START, text));
    (at, format!("not SQL: {message}"))
}

struct Linter<'r> {
    rules: Rules<'r>,
    found: Vec<(Position, String)>,
}

impl Visitor for Linter<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let order: &[OrderByExpr] = match query.order_by.as_ref().map(|by| &by.kind) {
            Some(OrderByKind::Expressions(list)) => list,
            _ => &[],
        };
        if query.limit_clause.is_some() || query.fetch.is_some() {
            self.ordered("LIMIT", query.span(), order, &[]);
        }
        if let SetExpr::Select(select) = query.body.as_ref() {
            let named = self.rules.named_columns;
            for item in select.projection.iter().filter(|_| named) {
                if let SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) = item {
                    self.say(
                        item.span(),
                        "`*` in a mart: a column that appears upstream would appear here, and \
                         reports break when one goes; name the columns",
                    );
                }
            }
            if let Some(Distinct::On(_)) = select.distinct {
                self.ordered("DISTINCT ON", query.span(), order, &[]);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.function(function, expr.span()),
            Expr::InSubquery { negated: true, .. } => self.not_in(expr),
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } if is_in_subquery(inner) => {
                self.not_in(expr);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_in_subquery(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_in_subquery(inner),
        Expr::InSubquery { negated, .. } => !negated,
        _ => false,
    }
}

impl Linter<'_> {
    fn not_in(&mut self, expr: &Expr) {
        let message =
            "NOT IN (subquery) is never true once the subquery gives a null; write NOT EXISTS";
        self.say(expr.span(), message);
    }

    fn function(&mut self, function: &Function, span: Span) {
        let name = function.name.to_string().to_ascii_lowercase();
        let name = name.as_str();
        if CLOCK.contains(&name) {
            let message = format!(
                "`{name}` reads the clock, and the same events would not give the same rows again; \
                 use a column such as event_time or _kafka_time"
            );
            self.say(span, message);
        }
        if CHANCE.contains(&name) {
            let message = format!(
                "`{name}` gives another value at every run, and the same events would not give the \
                 same rows again; derive the value from columns, such as the record id"
            );
            self.say(span, message);
        }
        if !ORDERED.contains(&name) {
            return;
        }
        match &function.over {
            Some(WindowType::WindowSpec(spec)) => {
                self.ordered(name, span, &spec.order_by, &spec.partition_by);
            }
            Some(WindowType::NamedWindow(window)) => {
                let message = format!("`{name}`: write the window `{window}` out where it is used");
                self.say(span, message);
            }
            None => {
                let FunctionArguments::List(list) = &function.args else { return };
                let order = list.clauses.iter().find_map(|clause| match clause {
                    FunctionArgumentClause::OrderBy(order) => Some(order.as_slice()),
                    _ => None,
                });
                self.ordered(name, span, order.unwrap_or_default(), &[]);
            }
        }
    }

    /// Rows that compare equal must not be taken in the order in which they happen to come.
    fn ordered(&mut self, what: &str, span: Span, order: &[OrderByExpr], within: &[Expr]) {
        let names: Vec<String> = order.iter().filter_map(|by| last_name(&by.expr)).collect();
        let within: Vec<String> = within.iter().filter_map(last_name).collect();
        let has = |name: &str| names.iter().chain(&within).any(|n| n == name);
        let by_record = names.last().is_some_and(|last| last == column::OFFSET)
            && RECORD_ID.into_iter().all(has);
        let key = self.rules.unique_key;
        // Within a partition by some of the key its columns are the same, and break no tie.
        let by_key = !key.is_empty() && key.iter().all(|name| names.contains(name));
        if !by_record && !by_key {
            let message = format!(
                "`{what}` takes one of several rows, and ties would be broken by chance: its ORDER \
                 BY must end in {} (or hold itself all columns of unique_key)",
                RECORD_ID.join(", ")
            );
            self.say(span, message);
        }
    }

    fn say(&mut self, span: Span, message: impl Into<String>) {
        let (line, column) = (span.start.line as usize, span.start.column as usize);
        self.found.push((Position { line: line.max(1), column: column.max(1) }, message.into()));
    }
}

/// The column that an expression names, without its table.
fn last_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sql: &str, key: &[&str]) -> Vec<String> {
        let key: Vec<String> = key.iter().map(|k| k.to_string()).collect();
        let found = lint(sql, Rules { named_columns: true, unique_key: &key });
        found.into_iter().map(|(at, text)| format!("{}:{}: {text}", at.line, at.column)).collect()
    }

    #[test]
    fn what_would_not_come_out_again_is_refused() {
        for (sql, place, says) in [
            ("select now() as a from t", "1:8", "reads the clock"),
            ("select a from t\nwhere d < current_date", "2:11", "reads the clock"),
            ("select a from t where t > current_timestamp", "1:27", "reads the clock"),
            ("select random() as a from t", "1:8", "another value at every run"),
            ("select uuid() as a from t", "1:8", "another value at every run"),
            ("select * from t", "1:8", "`*` in a mart"),
            ("select t.* from t", "1:8", "`*` in a mart"),
            ("with x as (select * from t) select a from x", "1:19", "`*` in a mart"),
            ("select a from t where a not in (select b from u)", "1:23", "NOT EXISTS"),
            ("select a from t where not a in (select b from u)", "1:27", "NOT EXISTS"),
            ("select a from t where not (a in (select b from u))", "1:28", "NOT EXISTS"),
            ("select a from t limit 1", "1:1", "ORDER BY must end in _source"),
            ("select a from t order by a limit 1", "1:1", "ORDER BY must end in"),
            ("select a from t order by a fetch first 1 rows only", "1:1", "ORDER BY must end in"),
            ("select distinct on (a) a, b from t", "1:1", "`DISTINCT ON`"),
            ("select row_number() over (partition by a order by b) as n from t", "1:8", "row_nu"),
            ("select first_value(a order by b) as n from t", "1:8", "`first_value`"),
            ("select last_value(a) over (order by b) as n from t", "1:8", "`last_value`"),
            ("select a fro t where", "1:14", "not SQL"),
            ("select a from t; select b from t", "1:1", "remove the semicolon"),
            ("delete from t", "1:1", "a model is one SELECT"),
            ("", "1:1", "no SELECT"),
        ] {
            let found = said(sql, &[]);
            assert_eq!(found.len(), 1, "{sql}: {found:?}");
            assert!(found[0].starts_with(&format!("{place}: ")), "{sql}: {found:?}");
            assert!(found[0].contains(says), "{sql}: {found:?}");
        }
    }

    /// By what rows are parted their ties are not broken, whatever the model's key is.
    #[test]
    fn a_key_in_the_partition_breaks_no_tie() {
        for sql in [
            "select row_number() over (partition by a order by t desc) as n from x",
            "select row_number() over (partition by a, b order by t desc) as n from x",
            "select row_number() over (partition by a order by t, b) as n from x",
        ] {
            let found = said(sql, &["a", "b"]);
            assert_eq!(found.len(), 1, "{sql}: {found:?}");
            assert!(found[0].contains("hold itself all columns of unique_key"), "{found:?}");
        }
    }

    #[test]
    fn what_comes_out_again_is_not() {
        for sql in [
            "select a, count(*) as n from t where a in (1, 2) and b not in (3) group by a",
            "select a from t where not exists (select 1 from u where u.b = t.a)",
            "select a from t order by b, _source, _kafka_partition, _offset limit 1",
            "select row_number() over (partition by a, _source order by x.b, x._kafka_partition, \
             x._offset) as n from x",
            "select first_value(a order by event_time, _source, _kafka_partition, _offset) as n from t",
            "select row_number() over (order by site, machine) as n from t",
        ] {
            assert_eq!(said(sql, &["machine", "site"]), Vec::<String>::new(), "{sql}");
        }
    }
}
