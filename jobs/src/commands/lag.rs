//! `weir lag`.

use serde_json::{Value, json};
use weir_catalog::Lake;
use weir_contract::names::TableName;
use weir_ingest::kafka::{KafkaSettings, KafkaSource};
use weir_ingest::lag::{Lag, lag};
use weir_ingest::resume::Start;

use super::{kafka_settings, lake, selected};
use crate::cli;
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};

const COLUMNS: [Column; 6] = [
    Column::text("stream"),
    Column::number("partition"),
    Column::number("end"),
    Column::number("head"),
    Column::number("records_behind"),
    Column::number("seconds_behind"),
];
/// What the few fetches of a look need, bytes.
const MEMORY: usize = 8 << 20;

/// Compares tables with their topics. A stream that cannot be compared does not hide the others.
pub fn run(asked: &cli::Lag, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    // Before the first ingest there is no lake, and everything is still to come.
    let lake = crate::lake::exists(&config).then(|| lake(&config, false)).transpose()?;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut behind = 0;
    let mut failed: Option<Failure> = None;
    for (name, stream) in selected(&config, &asked.streams)? {
        let kafka = kafka_settings(&config, &name, &stream.topic, MEMORY)?;
        let lags = session.block_on(compare(lake.as_ref(), kafka, &name, config.ingest.start));
        let lags = match lags {
            Ok(lags) => lags,
            Err(failure) => {
                let place = format!("stream {name}");
                failed = Some(match failed {
                    None => failure.at(place),
                    Some(first) => first.at(format!("{place}: {failure}")),
                });
                continue;
            }
        };
        for lag in lags {
            behind += lag.records_behind;
            rows.push(vec![
                json!(name),
                json!(lag.partition),
                json!(lag.end),
                json!(lag.head),
                json!(lag.records_behind),
                json!(lag.seconds_behind),
            ]);
        }
    }
    session.output.result("records_behind", behind);
    if failed.is_none() || !rows.is_empty() {
        session.output.table(&COLUMNS, &rows)?;
    }
    failed.map_or(Ok(Done::Done), Err)
}

async fn compare(
    lake: Option<&Lake>,
    kafka: KafkaSettings,
    stream: &str,
    start: Start,
) -> Result<Vec<Lag>, Failure> {
    let mut source = KafkaSource::open(kafka).map_err(|e| Failure::new(e.class, e.message))?;
    let base = match lake {
        Some(lake) => lake.table(&TableName::raw(stream)).await.map_err(Failure::catalog)?,
        None => None,
    };
    let now_ms = chrono::Utc::now().timestamp_millis();
    let lags = lag(&mut source, base.as_ref(), start, now_ms).await;
    lags.map_err(|e| Failure::new(e.class, e.message))
}
