//! `weir lag`.

use serde_json::{Value, json};
use weir_contract::names::TableName;
use weir_ingest::kafka::KafkaSource;
use weir_ingest::lag::lag;

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

/// Compares tables with their topics.
pub fn run(asked: &cli::Lag, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut behind = 0;
    for (name, stream) in selected(&config, &asked.streams)? {
        let kafka = kafka_settings(&config, &name, &stream.topic, MEMORY)?;
        let mut source = KafkaSource::open(kafka).map_err(|e| Failure::new(e.class, e.message))?;
        let table = TableName::raw(&name);
        let now_ms = lake.env.clock.now_ms();
        let runtime = session.runtime()?;
        let lags = runtime.block_on(async {
            let base = lake.table(&table).await.map_err(Failure::catalog)?;
            let lags = lag(&mut source, base.as_ref(), now_ms).await;
            lags.map_err(|e| Failure::new(e.class, e.message).at(format!("stream {name}")))
        })?;
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
    session.output.table(&COLUMNS, &rows)?;
    Ok(Done::Done)
}
