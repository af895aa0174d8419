//! `weir rejects`: the view `ops.rejects`, counted and sampled.

use arrow::array::{Array, AsArray};
use serde_json::{Value, json};
use weir_catalog::session::{At, Session as Sql};

use super::{lake, selected, sql};
use crate::cli;
use crate::failure::Failure;
use crate::output::Column;
use crate::rows::objects;
use crate::session::{Done, Session};

const COLUMNS: [Column; 5] = [
    Column::text("stream"),
    Column::text("class"),
    Column::number("rows"),
    Column::text("first"),
    Column::text("last"),
];
/// Characters of a value that machines and people are shown.
const VALUE_MAX: usize = 2_000;
const VALUE_SHOWN: usize = 160;

/// Lists the classes of rejected rows, the most frequent first, and samples of each.
pub fn run(asked: &cli::Rejects, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let streams = selected(&config, &asked.filter.streams)?;
    let streams: Vec<String> = streams.into_iter().map(|(name, _)| name).collect();
    let condition = condition(&asked.filter, &streams);
    let groups = session.block_on(async {
        let sql = sql(&config, &lake, At::Current).await?;
        let counts = format!(
            "SELECT stream, class, count(*) AS rows, min(_kafka_time) AS first, max(_kafka_time) AS \
             last FROM ops.rejects WHERE {condition} GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
        );
        let mut groups = Vec::new();
        for batch in sql.sql(&counts).await.map_err(Failure::catalog)?.batches {
            for mut group in objects(&batch)? {
                group["samples"] = samples(&sql, &group, &condition, asked.samples).await?;
                groups.push(group);
            }
        }
        Ok(groups)
    })?;
    let rows = groups.iter().filter_map(|group| group["rows"].as_u64()).sum::<u64>();
    session.output.result("rows", rows);
    session.output.result("classes", groups.len());
    if session.output.is_json() {
        return groups
            .iter()
            .try_for_each(|group| session.output.object(group))
            .map(|()| Done::Done);
    }
    let cells = |group: &Value| COLUMNS.iter().map(|c| group[c.name].clone()).collect();
    session.output.table(&COLUMNS, &groups.iter().map(cells).collect::<Vec<Vec<Value>>>())?;
    for group in &groups {
        show_samples(group, session)?;
    }
    Ok(Done::Done)
}

/// The filter in SQL.
fn condition(filter: &cli::Filter, streams: &[String]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let list = |items: Vec<String>| items.join(", ");
    let streams = streams.iter().map(|stream| quoted(stream)).collect();
    let mut all = vec![format!("stream IN ({})", list(streams))];
    if !filter.classes.is_empty() {
        let classes = filter.classes.iter().map(|class| quoted(class.name())).collect();
        all.push(format!("class IN ({})", list(classes)));
    }
    all.extend(filter.partition.map(|partition| format!("_kafka_partition = {partition}")));
    all.extend(
        filter
            .offsets
            .as_ref()
            .map(|offsets| format!("_offset >= {} AND _offset < {}", offsets.start, offsets.end)),
    );
    all.join(" AND ")
}

/// The newest rows of one class.
async fn samples(sql: &Sql, of: &Value, condition: &str, most: usize) -> Result<Value, Failure> {
    let text = |name: &str| of[name].as_str().unwrap_or_default().replace('\'', "''");
    let query = format!(
        "SELECT _kafka_partition, _offset, _kafka_time, field, message, contract_version, event_id, \
         machine_id, _value FROM ops.rejects WHERE {condition} AND stream = '{}' AND class = '{}' \
         ORDER BY _kafka_time DESC, _kafka_partition, _offset DESC LIMIT {most}",
        text("stream"),
        text("class"),
    );
    let mut samples = Vec::new();
    for batch in sql.sql(&query).await.map_err(Failure::catalog)?.batches {
        let values = batch.column_by_name("_value").and_then(|c| c.as_binary_opt::<i32>().cloned());
        for (row, mut sample) in objects(&batch)?.into_iter().enumerate() {
            let value = values.as_ref().filter(|values| values.is_valid(row)).map(|values| {
                let text = String::from_utf8_lossy(values.value(row)).into_owned();
                cut(&text, VALUE_MAX)
            });
            sample["_value"] = json!(value);
            samples.push(sample);
        }
    }
    Ok(Value::Array(samples))
}

fn show_samples(group: &Value, session: &mut Session) -> Result<(), Failure> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_string(),
        other => other.to_string(),
    };
    let samples = group["samples"].as_array().into_iter().flatten();
    for (index, sample) in samples.enumerate() {
        if index == 0 {
            let title = format!("\n{} {}, newest:", text(&group["stream"]), text(&group["class"]));
            session.output.say(title)?;
        }
        let place = format!("{}/{}", text(&sample["_kafka_partition"]), text(&sample["_offset"]));
        let what = format!("{}: {}", text(&sample["field"]), text(&sample["message"]));
        session.output.say(format!("  {place}  {what}"))?;
        let value = cut(&text(&sample["_value"]).replace(char::is_control, " "), VALUE_SHOWN);
        session.output.say(format!("    {value}"))?;
    }
    Ok(())
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}
