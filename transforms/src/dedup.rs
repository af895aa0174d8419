//! Deduplication, a setting of a model: of the records of one event only the first counts, whatever
//! the order of arrival. First is the least (source, partition, offset); an event's records lie on
//! its day or the days beside it.

use arrow::datatypes::{DataType, Schema};
use weir_contract::names::column;

use crate::lint::RECORD_ID;

/// The SQL that leaves out every row of `sql` for which there is another with the same `identity`,
/// at most a day away, that comes before it.
///
/// Of the rows of one identity and day only the first can survive, and it does unless that of the
/// day before or of the day after comes before it: each looks at two neighbours, not at all rows.
pub fn deduplicated(sql: &str, identity: &[String], schema: &Schema) -> String {
    let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let (columns, identity) = (columns.join(", "), identity.join(", "));
    let [source, partition, offset] = RECORD_ID;
    let neighbour = |function: &str, prefix: &str| {
        let one = |name: &str, of: &str| format!("{function}({of}) over days as {prefix}_{name}");
        [("day", "_day"), ("source", source), ("partition", partition), ("offset", offset)]
            .map(|(name, of)| one(name, of))
            .join(", ")
    };
    let first = |prefix: &str, day: &str| {
        format!(
            "coalesce({prefix}_day = _day {day} interval '1 day' and ({prefix}_source < {source} or \
             {prefix}_source = {source} and ({prefix}_partition < {partition} or {prefix}_partition \
             = {partition} and {prefix}_offset < {offset})), false)"
        )
    };
    // The model's own lines stay where they are, so that errors name them.
    format!(
        "select {columns} from (select *, {before}, {after} from (select *, row_number() over \
         (partition by {identity}, _day order by {source}, {partition}, {offset}) as _number from \
         (select *, date_trunc('day', {time}) as _day from ({sql}\n) as model) as dated) as numbered \
         where _number = 1 window days as (partition by {identity} order by _day)) as neighboured \
         where not {is_later} and not {is_earlier}",
        before = neighbour("lag", "_before"),
        after = neighbour("lead", "_after"),
        time = column::EVENT_TIME,
        is_later = first("_before", "-"),
        is_earlier = first("_after", "+"),
    )
}

/// What a model that is deduplicated lacks.
pub fn lacks(identity: &[String], schema: &Schema) -> Option<String> {
    let has = |name: &str| schema.field_with_name(name).is_ok();
    let mut needed =
        identity.iter().map(String::as_str).chain(RECORD_ID).chain([column::EVENT_TIME]);
    if let Some(name) = needed.find(|name| !has(name)) {
        return Some(format!(
            "`dedup` tells records apart by their id and looks at the days beside an event's: the \
             model must have the columns {}, {} and its identity; `{name}` is missing",
            RECORD_ID.join(", "),
            column::EVENT_TIME
        ));
    }
    let time = schema.field_with_name(column::EVENT_TIME).ok()?;
    (!matches!(time.data_type(), DataType::Timestamp(..)))
        .then(|| format!("`dedup` needs {} to be a time", column::EVENT_TIME))
}
