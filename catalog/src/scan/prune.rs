//! Which manifests and files a query can skip, decided from partitions and column bounds.
//!
//! DataFusion's own `PruningPredicate` does the reasoning; this module decides what it may reason
//! about (conditions on bare columns only: a cast between a column and its bounds need not keep
//! their order) and translates Iceberg's facts for it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use iceberg::spec::{
    DataFile, Datum, FieldSummary, Literal, ManifestFile, PartitionSpec, PrimitiveLiteral,
    PrimitiveType, Schema, Transform, Type,
};
use weir_contract::contract::Division;

const DAY_US: i64 = 86_400_000_000;
const HOUR_US: i64 = 3_600_000_000;

/// What is known of one column in one container (a manifest or a file). `None` is unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// No value is less.
    pub min: Option<ScalarValue>,
    /// No value is greater.
    pub max: Option<ScalarValue>,
    /// Number of nulls, exactly.
    pub nulls: Option<u64>,
}

/// Facts of some columns over some containers, for `PruningPredicate::prune`.
#[derive(Debug)]
pub struct Statistics {
    schema: SchemaRef,
    /// Per column of `schema` (empty: not asked for), one entry per container.
    facts: Vec<Vec<Facts>>,
    rows: Vec<Option<u64>>,
}

impl Statistics {
    /// Facts of the columns named by `columns`; `facts(container, column index)` gives one.
    pub fn collect(
        schema: &SchemaRef,
        columns: &HashSet<String>,
        rows: Vec<Option<u64>>,
        facts: impl Fn(usize, usize) -> Facts,
    ) -> Statistics {
        let facts = schema.fields().iter().enumerate().map(|(index, field)| {
            if columns.contains(field.name()) {
                (0..rows.len()).map(|container| facts(container, index)).collect()
            } else {
                Vec::new()
            }
        });
        Statistics { facts: facts.collect(), schema: schema.clone(), rows }
    }

    fn values(
        &self,
        column: &Column,
        value: impl Fn(&Facts) -> Option<&ScalarValue>,
    ) -> Option<ArrayRef> {
        let index = self.schema.index_of(&column.name).ok()?;
        let null = ScalarValue::try_from(self.schema.field(index).data_type()).ok()?;
        let facts = self.facts.get(index).filter(|facts| !facts.is_empty())?;
        let values = facts.iter().map(|f| value(f).cloned().unwrap_or_else(|| null.clone()));
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for Statistics {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |facts| facts.min.as_ref())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |facts| facts.max.as_ref())
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let index = self.schema.index_of(&column.name).ok()?;
        let facts = self.facts.get(index).filter(|facts| !facts.is_empty())?;
        Some(Arc::new(facts.iter().map(|f| f.nulls).collect::<UInt64Array>()))
    }

    fn row_counts(&self, _column: &Column) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.iter().copied().collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// Whether files may be skipped by this condition: columns stand bare beside literals, nothing is
/// computed from them.
pub fn is_bare(condition: &Expr) -> bool {
    let column = |e: &Expr| matches!(e, Expr::Column(_));
    let literal = |e: &Expr| matches!(e, Expr::Literal(..));
    match condition {
        Expr::Column(_) => true,
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => is_bare(left) && is_bare(right),
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq => {
                (column(left) && literal(right)) || (literal(left) && column(right))
            }
            _ => false,
        },
        Expr::Not(inner) => is_bare(inner),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column(inner),
        Expr::Between(between) => {
            column(&between.expr) && literal(&between.low) && literal(&between.high)
        }
        Expr::InList(list) => column(&list.expr) && list.list.iter().all(literal),
        Expr::Like(like) => !like.case_insensitive && column(&like.expr) && literal(&like.pattern),
        _ => false,
    }
}

/// What the manifest says of the column `field_id` in one data file.
pub fn file_facts(
    file: &DataFile,
    spec: &PartitionSpec,
    field_id: i32,
    data_type: &DataType,
) -> Facts {
    let mut facts = Facts::default();
    // Bounds leave NaN out, which queries order above every number.
    let nan_free = file.nan_value_counts().get(&field_id) == Some(&0);
    if !data_type.is_floating() || nan_free {
        facts.min = file.lower_bounds().get(&field_id).and_then(|d| scalar(d, data_type));
        facts.max = file.upper_bounds().get(&field_id).and_then(|d| scalar(d, data_type));
    }
    facts.nulls = file.null_value_counts().get(&field_id).copied();
    for (index, field) in spec.fields().iter().enumerate() {
        if field.source_id != field_id || index >= file.partition().fields().len() {
            continue;
        }
        let value = &file.partition()[index];
        let from_partition = match value {
            None if keeps_null(field.transform) => {
                Facts { min: None, max: None, nulls: Some(file.record_count()) }
            }
            None => continue,
            Some(Literal::Primitive(value)) => {
                let (min, max) = source_range(field.transform, value, value, data_type);
                Facts { min, max, nulls: None }
            }
            Some(_) => continue,
        };
        merge(&mut facts, from_partition);
    }
    facts
}

/// What the manifest list says of the column `field_id` in one manifest.
pub fn manifest_facts(
    manifest: &ManifestFile,
    spec: &PartitionSpec,
    schema: &Schema,
    field_id: i32,
    data_type: &DataType,
) -> Facts {
    let mut facts = Facts::default();
    let Some(summaries) = &manifest.partitions else { return facts };
    for (field, summary) in spec.fields().iter().zip(summaries) {
        if field.source_id == field_id {
            merge(
                &mut facts,
                summary_facts(manifest, field.transform, summary, schema, field_id, data_type),
            );
        }
    }
    facts
}

fn summary_facts(
    manifest: &ManifestFile,
    transform: Transform,
    summary: &FieldSummary,
    schema: &Schema,
    field_id: i32,
    data_type: &DataType,
) -> Facts {
    if data_type.is_floating() || !keeps_null(transform) {
        return Facts::default();
    }
    let datum = |bytes: Option<&Vec<u8>>| {
        let source = schema.field_by_id(field_id)?.field_type.as_ref();
        let Ok(Type::Primitive(result)) = transform.result_type(source) else { return None };
        Datum::try_from_bytes(bytes?, result).ok()
    };
    let lower = datum(summary.lower_bound.as_deref());
    let upper = datum(summary.upper_bound.as_deref());
    let nulls = match (summary.contains_null, &summary.lower_bound, &summary.upper_bound) {
        (false, _, _) => Some(0),
        (true, None, None) => manifest_rows(manifest),
        _ => None,
    };
    let (min, max) = match (&lower, &upper) {
        (Some(lower), Some(upper)) => {
            source_range(transform, lower.literal(), upper.literal(), data_type)
        }
        _ => (None, None),
    };
    Facts { min, max, nulls }
}

/// Live rows of a manifest, if its list entry says so.
pub fn manifest_rows(manifest: &ManifestFile) -> Option<u64> {
    Some(manifest.added_rows_count? + manifest.existing_rows_count?)
}

/// Null goes to null and nothing else does.
fn keeps_null(transform: Transform) -> bool {
    matches!(
        transform,
        Transform::Identity
            | Transform::Day
            | Transform::Hour
            | Transform::Month
            | Transform::Year
            | Transform::Bucket(_)
            | Transform::Truncate(_)
    )
}

/// The values of the source column that a range of partition values allows. Months, days and hours of a
/// timestamp, and identity; others say nothing here, and the file's own bounds must do.
fn source_range(
    transform: Transform,
    lower: &PrimitiveLiteral,
    upper: &PrimitiveLiteral,
    data_type: &DataType,
) -> (Option<ScalarValue>, Option<ScalarValue>) {
    let unit = match transform {
        Transform::Identity => {
            return (literal_scalar(lower, data_type), literal_scalar(upper, data_type));
        }
        Transform::Day | Transform::Month => DAY_US,
        Transform::Hour => HOUR_US,
        _ => return (None, None),
    };
    let (
        PrimitiveLiteral::Int(lower),
        PrimitiveLiteral::Int(upper),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, zone),
    ) = (lower, upper, data_type)
    else {
        return (None, None);
    };
    let (mut lower, mut upper) = (*lower, *upper);
    if transform == Transform::Month {
        (lower, upper) = (Division::Month.days_of(lower).0, Division::Month.days_of(upper).1);
    }
    let first = i64::from(lower).checked_mul(unit);
    let last = (i64::from(upper) + 1).checked_mul(unit).and_then(|us| us.checked_sub(1));
    let time = |us| ScalarValue::TimestampMicrosecond(Some(us), zone.clone());
    (first.map(time), last.map(time))
}

/// Both are true: take the stronger.
fn merge(facts: &mut Facts, other: Facts) {
    let stronger = |a: Option<ScalarValue>, b: Option<ScalarValue>, greater: bool| match (a, b) {
        (Some(a), Some(b)) => match a.partial_cmp(&b) {
            Some(order) if order.is_lt() == greater => Some(b),
            _ => Some(a),
        },
        (a, b) => a.or(b),
    };
    facts.min = stronger(facts.min.take(), other.min, true);
    facts.max = stronger(facts.max.take(), other.max, false);
    facts.nulls = facts.nulls.or(other.nulls);
}

/// A bound as a value of the column's type; a bound of an older, narrower type is widened.
fn scalar(datum: &Datum, data_type: &DataType) -> Option<ScalarValue> {
    if let (PrimitiveType::Decimal { scale, .. }, DataType::Decimal128(_, to)) =
        (datum.data_type(), data_type)
        && i64::from(*scale) != i64::from(*to)
    {
        return None;
    }
    literal_scalar(datum.literal(), data_type)
}

fn literal_scalar(literal: &PrimitiveLiteral, data_type: &DataType) -> Option<ScalarValue> {
    use arrow::datatypes::TimeUnit::Microsecond;
    Some(match (literal, data_type) {
        (PrimitiveLiteral::Boolean(v), DataType::Boolean) => ScalarValue::Boolean(Some(*v)),
        (PrimitiveLiteral::Int(v), DataType::Int32) => ScalarValue::Int32(Some(*v)),
        (PrimitiveLiteral::Int(v), DataType::Int64) => ScalarValue::Int64(Some(i64::from(*v))),
        (PrimitiveLiteral::Int(v), DataType::Date32) => ScalarValue::Date32(Some(*v)),
        (PrimitiveLiteral::Long(v), DataType::Int64) => ScalarValue::Int64(Some(*v)),
        (PrimitiveLiteral::Long(v), DataType::Timestamp(Microsecond, zone)) => {
            ScalarValue::TimestampMicrosecond(Some(*v), zone.clone())
        }
        (PrimitiveLiteral::Float(v), DataType::Float32) => ScalarValue::Float32(Some(v.0)),
        (PrimitiveLiteral::Float(v), DataType::Float64) => {
            ScalarValue::Float64(Some(f64::from(v.0)))
        }
        (PrimitiveLiteral::Double(v), DataType::Float64) => ScalarValue::Float64(Some(v.0)),
        (PrimitiveLiteral::String(v), DataType::Utf8) => ScalarValue::Utf8(Some(v.clone())),
        (PrimitiveLiteral::Binary(v), DataType::Binary) => ScalarValue::Binary(Some(v.clone())),
        (PrimitiveLiteral::Int128(v), DataType::Decimal128(precision, scale)) => {
            ScalarValue::Decimal128(Some(*v), *precision, *scale)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{cast, col, lit};

    use super::*;

    #[test]
    fn only_bare_columns_decide_about_files() {
        let bare = [
            col("a").gt(lit(1)),
            lit(1).lt_eq(col("a")).and(col("b").is_null().or(!col("c"))),
            col("a").between(lit(1), lit(2)),
            col("a").in_list(vec![lit(1), lit(2)], true),
            col("s").like(lit("x%")),
        ];
        bare.iter().for_each(|e| assert!(is_bare(e), "{e}"));
        let computed = [
            cast(col("a"), DataType::Boolean).eq(lit(false)),
            (col("a") + lit(1)).gt(lit(1)),
            col("a").gt(col("b")),
            col("a").gt(lit(1)).or(cast(col("a"), DataType::Int32).eq(lit(0))),
            col("s").ilike(lit("x%")),
            cast(col("a"), DataType::Utf8).is_null(),
        ];
        computed.iter().for_each(|e| assert!(!is_bare(e), "{e}"));
    }
}
