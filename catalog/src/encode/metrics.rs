//! A manifest's metrics from the statistics in a Parquet footer.
//!
//! The library's own collector keeps a bound that only some row groups vouch for, and long strings
//! whole; ours drops the one and cuts the other.

use std::collections::{HashMap, HashSet};

use iceberg::spec::{Datum, PrimitiveType, Schema, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;

use super::Metrics;
use super::bounds::{cut_lower, cut_upper};

/// Metrics of every leaf column that has a field id in `schema`. `nulls` are null counts of
/// columns that the footer has no statistics of.
pub(super) fn metrics(
    schema: &Schema,
    footer: &ParquetMetaData,
    nulls: &HashMap<i32, u64>,
) -> Metrics {
    let mut metrics = Metrics { null_counts: nulls.clone(), ..Metrics::default() };
    // Columns of which a row group does not tell bounds: then the file does not, either.
    let mut unbounded = HashSet::new();
    for group in footer.row_groups() {
        for chunk in group.columns() {
            let info = chunk.column_descr().self_type().get_basic_info();
            if !info.has_id() {
                continue;
            }
            let id = info.id();
            let Some(Type::Primitive(kind)) = schema.field_by_id(id).map(|f| &*f.field_type) else {
                continue;
            };
            add_counts(&mut metrics, id, chunk);
            let values = chunk.num_values();
            let statistics = chunk.statistics();
            let null_count = statistics.and_then(Statistics::null_count_opt);
            if null_count.is_some_and(|n| n as i64 == values) {
                continue;
            }
            match statistics.and_then(|s| bounds(kind, s)) {
                Some((lower, upper)) => widen(&mut metrics, id, lower, upper),
                None => {
                    unbounded.insert(id);
                }
            }
        }
        metrics.split_offsets.extend(split_offset(group.columns()));
    }
    metrics.lower_bounds.retain(|id, _| !unbounded.contains(id));
    metrics.upper_bounds.retain(|id, _| !unbounded.contains(id));
    cut(&mut metrics);
    metrics
}

fn add_counts(metrics: &mut Metrics, id: i32, chunk: &ColumnChunkMetaData) {
    *metrics.column_sizes.entry(id).or_default() += chunk.compressed_size().max(0) as u64;
    *metrics.value_counts.entry(id).or_default() += chunk.num_values().max(0) as u64;
    if let Some(nulls) = chunk.statistics().and_then(Statistics::null_count_opt) {
        *metrics.null_counts.entry(id).or_default() += nulls;
    }
}

/// Where a row group begins: its first column's first page.
fn split_offset(chunks: &[ColumnChunkMetaData]) -> Option<i64> {
    chunks.first().map(|chunk| {
        let data = chunk.data_page_offset();
        chunk.dictionary_page_offset().filter(|d| *d > 0).map_or(data, |d| d.min(data))
    })
}

fn widen(metrics: &mut Metrics, id: i32, lower: Datum, upper: Datum) {
    match metrics.lower_bounds.get_mut(&id) {
        Some(known) if *known <= lower => {}
        Some(known) => *known = lower,
        None => {
            metrics.lower_bounds.insert(id, lower);
        }
    }
    match metrics.upper_bounds.get_mut(&id) {
        Some(known) if *known >= upper => {}
        Some(known) => *known = upper,
        None => {
            metrics.upper_bounds.insert(id, upper);
        }
    }
}

/// Least and greatest value, if the statistics vouch for both.
fn bounds(kind: &PrimitiveType, statistics: &Statistics) -> Option<(Datum, Datum)> {
    if !statistics.min_is_exact() || !statistics.max_is_exact() {
        return None;
    }
    let least = datum(kind, statistics, statistics.min_bytes_opt()?)?;
    let greatest = datum(kind, statistics, statistics.max_bytes_opt()?)?;
    Some((least, greatest))
}

/// A value of Parquet statistics (little-endian; decimals in bytes big-endian) as Iceberg has it.
fn datum(kind: &PrimitiveType, statistics: &Statistics, bytes: &[u8]) -> Option<Datum> {
    match kind {
        PrimitiveType::Binary | PrimitiveType::Fixed(_) | PrimitiveType::Uuid => None,
        PrimitiveType::Decimal { .. } => {
            let unscaled = match statistics {
                Statistics::Int32(_) => i32::from_le_bytes(bytes.try_into().ok()?).into(),
                Statistics::Int64(_) => i64::from_le_bytes(bytes.try_into().ok()?).into(),
                Statistics::FixedLenByteArray(_) => big_endian(bytes)?,
                _ => return None,
            };
            Datum::try_from_bytes(&i128::to_be_bytes(unscaled), kind.clone()).ok()
        }
        _ => Datum::try_from_bytes(bytes, kind.clone()).ok().filter(|datum| !datum.is_nan()),
    }
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xFF };
    let mut wide = [sign; 16];
    let start = wide.len().checked_sub(bytes.len())?;
    wide[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

fn cut(metrics: &mut Metrics) {
    let is_text = |datum: &Datum| *datum.data_type() == PrimitiveType::String;
    for datum in metrics.lower_bounds.values_mut().filter(|d| is_text(d)) {
        *datum = Datum::string(cut_lower(text(datum)));
    }
    metrics.upper_bounds.retain(|_, datum| {
        if !is_text(datum) {
            return true;
        }
        let upper = cut_upper(text(datum)).map(Datum::string);
        let kept = upper.is_some();
        if let Some(upper) = upper {
            *datum = upper;
        }
        kept
    });
}

fn text(datum: &Datum) -> &str {
    match datum.literal() {
        iceberg::spec::PrimitiveLiteral::String(text) => text,
        _ => "",
    }
}
