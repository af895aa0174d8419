//! `weir-stack`: real servers and sample events for a laptop.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use weir_tests::load::{self, Load};
use weir_tests::sample::Stream;
use weir_tests::stack::{Client, Kafka, KafkaOptions};

/// Real servers for trying Weir out, and sample events for them.
#[derive(Parser)]
#[command(name = "weir-stack", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a real Apache Kafka broker on this machine, and print its bootstrap servers.
    ///
    /// Its data is temporary. It ends with ctrl-c, with SIGTERM, or when its standard input is
    /// closed. The jars are fetched from Maven Central once (java 17 and mvn are needed).
    Kafka(KafkaArgs),
    /// Create a topic and fill it with sample events.
    Load(LoadArgs),
}

#[derive(Args)]
struct KafkaArgs {
    /// The port to listen on; a free one by default.
    #[arg(long)]
    port: Option<u16>,
    /// Do not end when standard input is closed, only on a signal.
    #[arg(long)]
    foreground: bool,
    /// Write the bootstrap servers to this file as soon as the broker is ready.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

#[derive(Args)]
struct LoadArgs {
    /// The broker: host:port[,host:port].
    #[arg(long)]
    bootstrap: String,
    /// The topic; created where it does not exist. The stream's name by default.
    #[arg(long)]
    topic: Option<String>,
    /// Which events: vending.health, vending.sales or trades.
    #[arg(long, default_value = "vending.health")]
    stream: String,
    /// How many events.
    #[arg(long, default_value_t = 100_000)]
    records: u64,
    /// The same seed makes the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The share of malformed events, for example 1% or 0.01.
    #[arg(long, default_value = "0", value_parser = parse_share)]
    bad: f64,
    /// Partitions of the topic, where it is created.
    #[arg(long, default_value_t = 8)]
    partitions: i32,
    /// The last event's time, ms since 1970; now by default.
    #[arg(long, value_name = "MS")]
    until_ms: Option<i64>,
    /// Hours of event time that the events cover.
    #[arg(long, default_value_t = 1.0)]
    hours: f64,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&(share / unit)) => Ok(share / unit),
        _ => Err("expected a share from 0 to 1, or a percentage such as 1%".into()),
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Kafka(args) => kafka(&args),
        Command::Load(args) => load(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn kafka(args: &KafkaArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    // Before the broker starts, so that a signal during its start ends it too.
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let started = Instant::now();
    let (ready, mut wait_ready) = tokio::sync::mpsc::channel(1);
    let options = KafkaOptions { port: args.port, ..KafkaOptions::default() };
    thread::spawn(move || {
        let _ = ready.blocking_send(Kafka::start_own(&options));
    });
    let kafka = runtime.block_on(async {
        tokio::select! {
            Some(kafka) = wait_ready.recv() => kafka,
            // Leaving the process closes the watchdog's pipe, which ends what had been started.
            _ = interrupt.recv() => Err(anyhow!("interrupted")),
            _ = terminate.recv() => Err(anyhow!("terminated")),
            else => Err(anyhow!("the broker's start broke off")),
        }
    })?;
    println!("{}", kafka.bootstrap());
    if let Some(file) = &args.address_file {
        std::fs::write(file, format!("{}\n", kafka.bootstrap()))?;
    }
    let log = kafka.log().unwrap_or_default();
    eprintln!(
        "Kafka is ready at {} after {:.1} s (log: {}); ctrl-c ends it",
        kafka.bootstrap(),
        started.elapsed().as_secs_f64(),
        log.display()
    );
    let (closed, mut wait_closed) = tokio::sync::mpsc::channel(1);
    if !args.foreground {
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while std::io::stdin().read(&mut buffer).is_ok_and(|n| n > 0) {}
            let _ = closed.blocking_send(());
        });
    }
    runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            Some(()) = wait_closed.recv() => {}
        }
    });
    eprintln!("stopping Kafka");
    kafka.stop()
}

fn load(args: &LoadArgs) -> Result<()> {
    let Some(stream) = Stream::by_name(&args.stream) else {
        bail!(
            "no sample events for stream {:?}; there are vending.health and vending.sales",
            args.stream
        );
    };
    let topic = args.topic.as_deref().unwrap_or(&args.stream);
    let client = Client::new(&args.bootstrap)?;
    if !client.ready(Duration::from_secs(10)) {
        bail!("no Kafka broker answers at {} within 10 s", args.bootstrap);
    }
    if client.partitions(topic)? == 0 {
        client.create_topic(topic, args.partitions, &[])?;
    }
    let now = chrono::Utc::now().timestamp_millis();
    let plan = Load {
        stream,
        records: args.records,
        seed: args.seed,
        bad: args.bad,
        until_ms: args.until_ms.unwrap_or(now),
        span_ms: (args.hours * 3_600_000.0) as i64,
    };
    let started = Instant::now();
    let loaded = load::run(&client.producer()?, topic, client.partitions(topic)?, &plan)?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "{} events ({} of them malformed, {:.1} MB) are in topic {topic} after {seconds:.1} s",
        loaded.records,
        loaded.bad,
        loaded.bytes as f64 / 1e6,
    );
    Ok(())
}
