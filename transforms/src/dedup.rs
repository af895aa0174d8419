//! Deduplication, a setting of a model: of the records of one event only the first counts, whatever
//! the order of arrival. First is the least (source, partition, offset); an event's records lie on
//! its day or the days beside it.

use arrow::datatypes::{DataType, Schema};
use weir_contract::names::column;

use crate::lint::RECORD_ID;

/// The SQL that leaves out every row of `sql` for which there is another with the same `identity`,
/// at most a day away, that comes before it. A row whose identity has a null is like no other.
///
/// Nearly all events come once, and cost a look at their identity only: what was seen before is
/// sought among the rows of the few identities that come twice.
pub fn deduplicated(sql: &str, identity: &[String], schema: &Schema) -> String {
    let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let same = |of: &str, columns: &[&str]| -> String {
        let one = |name: &&str| format!("{of}.{name} = m.{name}");
        columns.iter().map(one).collect::<Vec<_>>().join(" and ")
    };
    let of_model = |columns: &[&str]| -> String {
        columns.iter().map(|name| format!("m.{name}")).collect::<Vec<_>>().join(", ")
    };
    let names: Vec<&str> = identity.iter().map(String::as_str).collect();
    let [source, partition, offset] = RECORD_ID;
    // A text that is in the order of the records' ids.
    let place = format!(
        "concat(m.{source}, ' ', lpad(cast(m.{partition} as varchar), 10, '0'), lpad(cast(m.{offset} as \
         varchar), 19, '0'))"
    );
    // The model's own lines stay where they are, so that errors name them. Joins take the side for which
    // DataFusion estimates less into memory, and that must not be the model: it takes all groups to pass `> 1`,
    // a fifth to pass `<> 1`, and knows nothing of what an `unnest` leaves. No step has more
    // subqueries than it must: plans may be as deep as protobuf allows.
    format!(
        "with model as ({sql}\n), twice as (select {identity} from model group by {identity} having \
         count(*) <> 1), again as (select unnest(case when min({place}) over (partition by {m_identity} \
         order by date_trunc('day', m.{time}) range between interval '1 day' preceding and interval '1 day' \
         following) < {place} then make_array(m.{source}) end) as {source}, m.{partition}, m.{offset} from \
         twice as t inner join model as m on {of_twice}) select {columns} from again as a right anti join \
         model as m on {of_again}",
        identity = names.join(", "),
        m_identity = of_model(&names),
        columns = of_model(&columns),
        time = column::EVENT_TIME,
        of_twice = same("t", &names),
        of_again = same("a", &RECORD_ID),
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
