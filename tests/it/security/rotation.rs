//! Passwords and certificates change while ingest runs: what is written to the files first, and then
//! asked for by the broker, costs a new connection and nothing else.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use weir_tests::lab::{STREAM, TABLE};
use weir_tests::running::Running;
use weir_tests::stack::{SecureKafka, USERS};

use super::{Door, TLS, sasl};

/// A broker of the test's own: it is restarted, which cuts every connection.
fn own_broker() -> Result<&'static SecureKafka> {
    Ok(Box::leak(Box::new(SecureKafka::start()?)))
}

/// Changes what the broker asks for, and cuts every connection; ingest goes on.
fn survives(door: &mut Door, change: impl FnOnce(&Door) -> Result<()>) -> Result<()> {
    door.lab.produce(0, 20)?;
    let mut weir = Running::start(&mut door.command(&["ingest"]))?;
    weir.until("the first are in the table", |w| w.committed(STREAM) == 20)?;
    change(door)?;
    door.kafka.kafka.restart()?;
    door.lab.produce(1, 20)?;
    weir.until("the others are in the table", |w| w.committed(STREAM) == 40)?;
    let rebuilt = !weir.events(STREAM, "client_rebuilt").is_empty();
    ensure!(rebuilt, "the old credentials were taken: {}", weir.said());
    weir.signal("TERM")?;
    weir.end(Duration::from_secs(15))?.expect(0)?;
    let rows = door.lab.count(&format!("SELECT count(*) AS n FROM {TABLE}"))?;
    ensure!(rows == 40, "{rows} rows");
    door.lab.verify_clean()
}

#[test]
fn a_password() -> Result<()> {
    let kafka = own_broker()?;
    let mut door =
        Door::of(kafka, "rotation-password", "SASL", &sasl("SCRAM-SHA-512", USERS[0].0))?;
    survives(&mut door, |door| {
        door.write("password", "another-Pa55word")?;
        door.kafka.kafka.program(&[
            "kafka.admin.ConfigCommand",
            "--bootstrap-server",
            door.kafka.kafka.bootstrap(),
            "--alter",
            "--add-config",
            "SCRAM-SHA-512=[password=another-Pa55word]",
            "--entity-type",
            "users",
            "--entity-name",
            USERS[0].0,
        ])
    })
}

#[test]
fn a_client_certificate() -> Result<()> {
    let kafka = own_broker()?;
    let own = [("ssl.certificate.pem", "file:client.pem"), ("ssl.key.pem", "file:client.key")];
    let properties = [&TLS[..], &own].concat();
    let mut door = Door::of(kafka, "rotation-certificate", "MTLS", &properties)?;
    // One that is valid for the start of ingest, and not for long.
    let until = SystemTime::now() + Duration::from_secs(20);
    let put = |certificate: &weir_tests::stack::Certificate, door: &Door| -> Result<()> {
        std::fs::copy(&certificate.key, door.lab.path().join("client.key"))?;
        std::fs::copy(&certificate.certificate, door.lab.path().join("client.pem"))?;
        Ok(())
    };
    put(&kafka.authority.sign_until("weir", until)?, &door)?;
    survives(&mut door, |door| {
        put(&kafka.authority.sign("weir")?, door)?;
        let left = until.duration_since(SystemTime::now()).unwrap_or_default();
        std::thread::sleep(left + Duration::from_secs(2));
        Ok(())
    })
}
