//! `weir contracts infer`.

use weir_contract::infer::Observer;
use weir_ingest::kafka::KafkaSource;

use super::kafka_settings;
use crate::cli::Infer;
use crate::failure::Failure;
use crate::session::{Done, Session};

/// What the fetches of a look need, bytes.
const MEMORY: usize = 16 << 20;

/// Drafts a contract from the newest records of a topic.
pub fn run(asked: &Infer, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let settings = kafka_settings(&config, &asked.topic, &asked.topic, MEMORY)?;
    let failed = |error: weir_ingest::source::SourceError| Failure::new(error.class, error.message);
    let mut observer = Observer::new();
    let mut source = KafkaSource::open(settings).map_err(failed)?;
    source.sample(asked.records, &mut |value| observer.observe(value)).map_err(failed)?;
    if observer.records() == 0 {
        return Err(Failure::config(format!("topic {} holds no record to look at", asked.topic))
            .next("send some events to the topic first"));
    }
    session.output.result("records", observer.records());
    session.output.line(observer.draft(&asked.topic).trim_end())?;
    Ok(Done::Done)
}
