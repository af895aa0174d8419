//! What works without TLS works with it: every command that speaks to Kafka.

use anyhow::{Result, ensure};
use weir_tests::lab::{Lab, STREAM, TABLE};
use weir_tests::stack::USERS;

use super::{Door, TLS, sasl};

/// What `--until-latest` must bring in.
const RECORDS: u64 = 40;

fn ingested(door: &mut Door) -> Result<()> {
    door.lab.produce(0, RECORDS / 2)?;
    door.lab.produce(1, RECORDS / 2)?;
    door.weir(&["ingest", "--until-latest"])?.expect(0)?;
    let rows = rows(&door.lab)?;
    ensure!(rows == RECORDS as i64, "{rows} rows, expected {RECORDS}");
    door.lab.verify_clean()
}

fn rows(lab: &Lab) -> Result<i64> {
    lab.count(&format!("SELECT count(*) AS n FROM {TABLE}"))
}

#[test]
fn tls_alone() -> Result<()> {
    // The user is ANONYMOUS there, who may do everything.
    ingested(&mut Door::new("security-tls", "TLS", &TLS)?)
}

#[test]
fn a_client_certificate() -> Result<()> {
    let own = [("ssl.certificate.pem", "file:client.pem"), ("ssl.key.pem", "file:client.key")];
    ingested(&mut Door::new("security-mtls", "MTLS", &[&TLS[..], &own].concat())?)
}

#[test]
fn plain_over_tls() -> Result<()> {
    ingested(&mut Door::new("security-plain", "SASL", &sasl("PLAIN", USERS[0].0))?)
}

#[test]
fn scram_sha_256_without_tls() -> Result<()> {
    let properties = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "SCRAM-SHA-256"),
        ("sasl.username", USERS[0].0),
        ("sasl.password", "file:password"),
    ];
    ingested(&mut Door::new("security-scram-256", "SASL_PLAIN", &properties)?)
}

#[test]
fn every_command_over_scram_and_tls() -> Result<()> {
    let mut door = Door::new("security-scram", "SASL", &sasl("SCRAM-SHA-512", USERS[0].0))?;
    ingested(&mut door)?;

    let lag = door.weir(&["--output", "json", "lag"])?.expect(0)?;
    ensure!(lag.stdout.lines().count() == 2, "{lag:#?}");
    ensure!(lag.stdout.lines().all(|l| l.contains("\"records_behind\":0")), "{lag:#?}");
    let topic = door.lab.topic.clone();
    let drafted = door.weir(&["contracts", "infer", &topic])?.expect(0)?;
    ensure!(drafted.stdout.contains("vending.health.heartbeat"), "{drafted:#?}");

    // A topic made and filled through the same door.
    let name = format!("{topic}-new");
    let other = format!("streams.\"{STREAM}\".topic={name}");
    let through = |arguments: &[&str]| door.weir(&[&["--set", &other][..], arguments].concat());
    through(&["topics", "--create"])?.expect(0)?;
    let simulate = ["simulate", "--kafka", "--for", "10m", "--speed-up", "max", "--machines", "20"];
    through(&[&simulate[..], &["--stream", STREAM]].concat())?.expect(0)?;
    ensure!(door.lab.client()?.end_offsets(&name)?.iter().sum::<i64>() > 100, "nothing was sent");
    Ok(())
}

/// At the loudest: librdkafka prints its whole configuration, and every step of an authentication.
#[test]
fn no_secret_is_told() -> Result<()> {
    let own = [
        ("ssl.certificate.pem", "file:client.pem"),
        ("ssl.key.pem", "file:client.key"),
        ("debug", "all"),
    ];
    let properties = [&sasl("SCRAM-SHA-512", USERS[0].0)[..], &own].concat();
    let mut door = Door::new("security-secret", "SASL", &properties)?;
    door.lab.produce(0, 5)?;
    let key = std::fs::read_to_string(door.lab.path().join("client.key"))?;
    let key = key.lines().nth(1).unwrap_or_default();
    ensure!(key.len() > 40, "{key}");

    let debug = ["--set", "log.level=trace"];
    let mut loud = Vec::new();
    for command in [&["ingest", "--until-latest"][..], &["lag"], &["config"]] {
        loud.push(door.weir(&[&debug[..], command].concat())?.expect(0)?);
    }
    // The lab's topic is not as the contract asks.
    loud.push(door.weir(&[&debug[..], &["topics"]].concat())?.expect(1)?);
    // A password that is wrong is a secret too.
    door.write("password", "wrong-Pa55word")?;
    for command in [&["ingest", "--until-latest"][..], &["lag"]] {
        loud.push(door.weir(&[&debug[..], command].concat())?.expect(1)?);
    }
    for done in loud {
        let said = format!("{}{}", done.stdout, done.stderr);
        ensure!(!said.contains("Pa55word"), "the password is told: {said}");
        ensure!(!said.contains(key), "the key is told: {said}");
    }
    let shown = door.weir(&["config"])?.expect(0)?.stdout;
    ensure!(shown.contains("file:password") && shown.contains("file:client.key"), "{shown}");
    Ok(())
}
