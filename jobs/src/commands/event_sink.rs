//! Where the events of `weir simulate` go.

use std::collections::BTreeMap;
use std::path::Path;

use weir_fleet::sink::{Sink, files::Files, kafka::Kafka};
use weir_fleet::stream::Stream;
use weir_ingest::source::SourceError;

use crate::cli;
use crate::failure::Failure;
use crate::kafka;
use crate::session::Session;

/// Is stdout taken by the events?
pub fn to_stdout(asked: &cli::Simulate) -> bool {
    asked.to.as_deref() == Some(Path::new("-"))
}

/// Where the records go, and the streams that go there.
pub fn open(
    asked: &cli::Simulate,
    streams: &[Stream],
    session: &mut Session,
) -> Result<(Box<dyn Sink>, Vec<Stream>), Failure> {
    match &asked.to {
        Some(_) if to_stdout(asked) => Ok((Box::new(Files::stdout()), streams.to_vec())),
        Some(path) => {
            let files = Files::create(path, streams).map_err(Failure::fleet)?;
            Ok((Box::new(files), streams.to_vec()))
        }
        None => kafka(asked, streams, session),
    }
}

fn kafka(
    asked: &cli::Simulate,
    streams: &[Stream],
    session: &mut Session,
) -> Result<(Box<dyn Sink>, Vec<Stream>), Failure> {
    let config = session.config()?;
    let bootstrap = super::bootstrap(&config)?;
    let topic = |stream: &Stream| Some((*stream, config.streams.get(stream.name())?.topic.clone()));
    let topics: BTreeMap<Stream, String> = streams.iter().filter_map(topic).collect();
    let missing = streams.iter().find(|stream| !topics.contains_key(stream));
    if topics.is_empty() || (missing.is_some() && !asked.streams.is_empty()) {
        let name = missing.map_or("vending.health", |stream| stream.name());
        return Err(Failure::config(format!("the config has no stream {name}"))
            .next("add [streams.\"<name>\"] with its topic and contract; see docs/reference.md"));
    }
    let properties = kafka::properties(&config);
    let refused = |error: SourceError| Failure::new(error.class, error.message);
    // The producer would say only that nobody answers.
    weir_ingest::kafka::reach(&bootstrap, &properties).map_err(refused)?;
    let given: Vec<_> = properties.read().map_err(refused)?.into_iter().collect();
    let token = move || match properties.token() {
        Ok(Some(token)) => Ok((token.value, token.principal, token.until_ms)),
        Ok(None) => Err("kafka.token is not set".to_string()),
        Err(error) => Err(error.message),
    };
    let sink = Kafka::open(&bootstrap, &topics, &given, Box::new(token)).map_err(Failure::fleet)?;
    Ok((Box::new(sink), topics.into_keys().collect()))
}
