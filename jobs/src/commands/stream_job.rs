//! One stream of `weir ingest`, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use weir_catalog::Lake;
use weir_contract::contract::Contract;
use weir_contract::names::TableName;
use weir_ingest::event::IngestEvent;
use weir_ingest::kafka::KafkaSource;
use weir_ingest::source::Source;
use weir_ingest::stream::{IngestError, Report, Settings, Stream};

use super::contract_file::ContractFile;

/// A stream that is ready to run.
pub struct Job {
    pub name: String,
    pub lake: Arc<Lake>,
    pub contract: Arc<Contract>,
    /// The contract's file, which may change meanwhile.
    pub news: ContractFile,
    pub source: KafkaSource,
    pub settings: Settings,
    pub shutdown: Arc<AtomicBool>,
    /// Hears what happens, besides the log.
    pub listen: Box<dyn FnMut(&IngestEvent) + Send>,
}

/// How a stream ended.
pub struct Ended {
    pub name: String,
    pub report: Report,
    pub result: Result<(), IngestError>,
}

impl Job {
    /// Runs the stream on a thread of its own.
    pub fn start(self, runtime: &tokio::runtime::Handle) -> JoinHandle<Ended> {
        let runtime = runtime.clone();
        // A busy source is always ready, so that the run never gives its thread back and tokio never
        // renews the budget of 128 steps that it gives a task: the 129th commit would wait for ever.
        std::thread::spawn(move || runtime.block_on(tokio::task::coop::unconstrained(self.run())))
    }

    /// Runs the stream to its end.
    async fn run(self) -> Ended {
        let Job { name, lake, contract, mut news, mut source, settings, shutdown, mut listen } =
            self;
        let table = TableName::raw(&name);
        let mut listen = |event: &IngestEvent| {
            log(&name, &table, event);
            listen(event);
        };
        let stream = Stream {
            lake,
            source: &mut source,
            contract,
            news: Some(&mut news),
            table: table.clone(),
            settings,
            spawn: Arc::new(|work| {
                let task = tokio::spawn(work);
                Box::pin(async move {
                    match task.await {
                        Ok(outcome) => outcome,
                        Err(error) => Err(weir_catalog::CatalogError::bug(format!(
                            "a commit's task ended without an outcome: {error}"
                        ))),
                    }
                })
            }),
            shutdown,
            listen: &mut listen,
        };
        let (report, result) = stream.run().await;
        if let Err(error) = &result {
            // At once: the other streams may go on for ever.
            tracing::error!(stream = %name, table = %table, error_class = %error.class, "{error}");
        }
        source.close().await;
        Ended { name, report, result }
    }
}

/// One event as one line: its text for people, and whole as JSON for machines.
fn log(stream: &str, table: &TableName, event: &IngestEvent) {
    let detail = serde_json::to_string(event).unwrap_or_default();
    match event {
        _ if event.is_warning() => tracing::warn!(stream, %table, detail, "{event}"),
        _ => tracing::info!(stream, %table, detail, "{event}"),
    }
}
