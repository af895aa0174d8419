//! `weir topics` against a real Kafka: the plan, what is created, what differs, what is refused.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use weir_tests::lab::{self, Done};
use weir_tests::stack::{Client, Kafka};

const PATIENCE: Duration = Duration::from_secs(30);
const STREAMS: [&str; 3] = ["vending.health", "vending.configuration", "trades"];

/// A folder with a config of three streams, whose topics have names of their own.
struct Fleet {
    folder: tempfile::TempDir,
}

impl Fleet {
    fn new(bootstrap: &str, contract: impl Fn(&str) -> String) -> Result<Fleet> {
        let folder = tempfile::Builder::new().prefix("weir-topics-").tempdir()?;
        let fleet = Fleet { folder };
        let mut config = format!(
            "warehouse = \"lake\"\ncatalog.uri = \"sqlite:///catalog.db\"\n\
             kafka.bootstrap_servers = \"{bootstrap}\"\n"
        );
        for stream in STREAMS {
            let file = lab::repository().join(format!("contracts/{stream}.yaml"));
            let text = contract(&std::fs::read_to_string(file)?);
            std::fs::write(fleet.folder.path().join(format!("{stream}.yaml")), text)?;
            let topic = fleet.topic(stream);
            config += &format!(
                "[streams.\"{stream}\"]\ntopic = \"{topic}\"\ncontract = \"{stream}.yaml\"\n"
            );
        }
        std::fs::write(fleet.folder.path().join("weir.toml"), config)?;
        Ok(fleet)
    }

    fn topic(&self, stream: &str) -> String {
        let name = self.folder.path().file_name().unwrap_or_default();
        format!("{stream}-{}", name.display())
    }

    fn weir(&self, arguments: &[&str]) -> Result<Done> {
        let mut command = std::process::Command::new(lab::binary());
        command.arg("--config").arg(self.folder.path().join("weir.toml"));
        command.args(["--log-format", "json", "--output", "json", "topics"]).args(arguments);
        Ok(lab::done(command.output()?))
    }
}

fn states(done: &Done) -> Result<Vec<(String, Value)>> {
    let row = |line: &str| -> Result<(String, Value)> {
        let row: Value = serde_json::from_str(line)?;
        Ok((row["state"].as_str().unwrap_or_default().to_string(), row))
    };
    done.stdout.lines().map(row).collect()
}

/// Waits until all partitions of a topic have their leaders.
fn has(client: &Client, topic: &str, partitions: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        match client.watermarks(topic) {
            Ok(found) if found.len() == partitions => return Ok(()),
            other => ensure!(begun.elapsed() < PATIENCE, "{topic}: {other:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn topics_are_planned_created_and_compared() -> Result<()> {
    let kafka = Kafka::shared();
    let fleet = Fleet::new(kafka.bootstrap(), str::to_string)?;
    let plan = fleet.weir(&[])?;
    ensure!(plan.code == Some(0), "{plan:#?}");
    ensure!(states(&plan)?.iter().all(|(state, _)| state == "create"), "{plan:#?}");

    let created = fleet.weir(&["--create"])?;
    ensure!(created.code == Some(0), "{created:#?}");
    ensure!(states(&created)?.iter().all(|(state, _)| state == "created"), "{created:#?}");
    let client = kafka.client()?;
    for (stream, partitions) in STREAMS.iter().zip([12, 3, 12]) {
        has(&client, &fleet.topic(stream), partitions)?;
    }
    let again = fleet.weir(&["--create"])?;
    ensure!(again.code == Some(0), "{again:#?}");
    ensure!(states(&again)?.iter().all(|(state, _)| state == "in_order"), "{again:#?}");

    // The topic has more partitions than its contract says: shown, and left alone.
    client.add_partitions(&fleet.topic("vending.configuration"), 5)?;
    let drift = fleet.weir(&["--create"])?;
    ensure!(drift.code == Some(1), "{drift:#?}");
    let drifted: Vec<_> = states(&drift)?.into_iter().filter(|(s, _)| s == "drift").collect();
    ensure!(drifted.len() == 1, "{drift:#?}");
    let difference = &drifted[0].1["differences"][0];
    ensure!(difference["found"] == "5" && difference["wanted"] == "3", "{difference}");
    has(&client, &fleet.topic("vending.configuration"), 5)?;
    ensure!(fleet.weir(&["--stream", "trades"])?.code == Some(0));
    Ok(())
}

#[test]
fn retention_and_cleanup_are_compared_too() -> Result<()> {
    let kafka = Kafka::shared();
    let fleet = Fleet::new(kafka.bootstrap(), str::to_string)?;
    let settings = [("retention.ms", "3600000"), ("cleanup.policy", "compact,delete")];
    kafka.client()?.create_topic(&fleet.topic("trades"), 12, &settings)?;
    let drift = fleet.weir(&["--stream", "trades"])?;
    ensure!(drift.code == Some(1), "{drift:#?}");
    let (_, row) = states(&drift)?.remove(0);
    let settings: Vec<_> = row["differences"].as_array().into_iter().flatten().collect();
    ensure!(settings.len() == 2 && settings[0]["found"] == "1h", "{row}");
    ensure!(settings[0]["mend"].as_str().is_some_and(|m| m.contains("retention.ms=604800000")));
    ensure!(row["warnings"].as_array().is_some_and(|w| w.len() == 2), "{row}");
    Ok(())
}

#[test]
fn what_cannot_be_done_says_what_to_do() -> Result<()> {
    let kafka = Kafka::shared();
    let more = "  - {property: weir.topicReplication, value: 9}\n";
    let fleet = Fleet::new(kafka.bootstrap(), |text| format!("{text}{more}"))?;
    let refused = fleet.weir(&["--create"])?;
    ensure!(refused.code == Some(2), "{refused:#?}");
    ensure!(refused.stderr.contains("lower weir.topicReplication"), "{refused:#?}");

    let nobody = Fleet::new("127.0.0.1:9", str::to_string)?;
    let away = nobody.weir(&[])?;
    ensure!(away.code == Some(75), "{away:#?}");
    away.says(&["no Kafka broker answers", "is it running", "kafka.bootstrap_servers"])?;
    let broken = Fleet::new("127.0.0.1:9", |_| "schema: [\n".into())?;
    broken.weir(&[])?.expect(2)?.says(&["3 mistakes", "vending.health.yaml:2:1: not YAML"])
}
