//! Whoever is not let in is told why, where, which setting to correct, and by the exit code whether to
//! try again.

use anyhow::{Result, ensure};
use weir_tests::lab::{Done, STREAM};
use weir_tests::stack::USERS;

use super::{Door, TLS, sasl};

/// What is said by each command that speaks to the cluster; none of them goes on trying.
fn all(door: &Door, code: i32, words: &[&str]) -> Result<()> {
    let simulate = ["simulate", "--kafka", "--for", "1m", "--stream", STREAM];
    let infer = ["contracts", "infer", "any"];
    // Without an end too: it must not wait for what will not come.
    for command in [&["ingest"][..], &["lag"], &["topics"], &infer, &simulate] {
        let done = door.weir(command)?.expect(code)?;
        done.says(words)?;
        ensure!(!done.stderr.contains("Pa55word"), "the password is told: {done:#?}");
    }
    Ok(())
}

/// What `weir ingest` says.
fn ingest(door: &Door, code: i32, words: &[&str]) -> Result<Done> {
    let done = door.weir(&["ingest"])?.expect(code)?;
    done.says(words)?;
    Ok(done)
}

#[test]
fn a_wrong_password() -> Result<()> {
    let door = Door::new("refused-password", "SASL", &sasl("SCRAM-SHA-512", "weir"))?;
    door.write("password", "wrong-Pa55word\n")?;
    let words = [&*door.server, "does not let weir in", "sasl.password", "sasl.username"];
    all(&door, 1, &words)?;
    door.set(&sasl("PLAIN", "nobody"))?;
    ingest(&door, 1, &words)?;
    Ok(())
}

#[test]
fn a_mechanism_that_the_broker_has_not() -> Result<()> {
    let door = Door::new("refused-mechanism", "SASL", &sasl("SCRAM-SHA-256", "weir"))?;
    ingest(&door, 2, &["sasl.mechanism", "PLAIN,SCRAM-SHA-512"])?;
    Ok(())
}

#[test]
fn an_authority_that_nobody_knows() -> Result<()> {
    let door = Door::new("refused-authority", "TLS", &TLS)?;
    std::fs::copy(door.kafka.stranger.certificate(), door.lab.path().join("ca.pem"))?;
    let words = ["ssl.ca.pem", "CN=authority", "unable to get local issuer certificate"];
    all(&door, 2, &words)?;
    // Without one, the system's are taken.
    door.set(&TLS[..1])?;
    ingest(&door, 2, &words)?;
    door.set(&[TLS[0], ("ssl.ca.pem", "file:password")])?;
    ingest(&door, 2, &["ssl.ca.pem", "PEM"])?;
    door.set(&[TLS[0], ("ssl.ca.pem", "file:nowhere.pem")])?;
    ingest(&door, 2, &["ssl.ca.pem", "nowhere.pem", "No such file"])?;
    Ok(())
}

#[test]
fn a_certificate_of_the_broker_that_has_expired() -> Result<()> {
    let door = Door::new("refused-expired", "EXPIRED", &TLS)?;
    all(&door, 1, &["certificate has expired", "CN=localhost", "renewed", "clock"])
}

#[test]
fn a_host_that_is_not_in_the_certificate() -> Result<()> {
    let mut door = Door::new("refused-host", "TLS", &TLS)?;
    door.server = door.server.replace("localhost", "127.0.0.1");
    let words = ["mismatch", "CN=localhost", "kafka.bootstrap_servers", "advertised.listeners"];
    all(&door, 2, &words)
}

#[test]
fn a_client_certificate_that_is_missing_or_not_trusted() -> Result<()> {
    let door = Door::new("refused-client", "MTLS", &TLS)?;
    let words = ["ssl.certificate.pem", "ssl.key.pem"];
    all(&door, 1, &words)?;

    let own = [("ssl.certificate.pem", "file:client.pem"), ("ssl.key.pem", "file:client.key")];
    let properties = [&TLS[..], &own].concat();
    door.set(&properties)?;
    let foreign = door.kafka.stranger.sign("weir")?;
    std::fs::copy(&foreign.certificate, door.lab.path().join("client.pem"))?;
    std::fs::copy(&foreign.key, door.lab.path().join("client.key"))?;
    ingest(&door, 1, &words)?;
    // A key that belongs to another certificate.
    std::fs::copy(&door.kafka.client.key, door.lab.path().join("client.key"))?;
    ingest(&door, 2, &["kafka.properties", "ssl"])?;
    Ok(())
}

#[test]
fn a_listener_that_speaks_another_language() -> Result<()> {
    let mut door = Door::new("refused-tls", "TLS", &[])?;
    all(&door, 2, &[&door.server, "speaks TLS", "security.protocol"])?;

    door.set(&TLS)?;
    door.server = door.kafka.kafka.bootstrap().into();
    all(&door, 2, &[&door.server, "speaks no TLS", "security.protocol"])?;

    door.server = door.kafka.kafka.listener("SASL")?;
    ingest(&door, 2, &["asks for SASL", "sasl.mechanism"])?;
    door.set(&[])?;
    door.server = door.kafka.kafka.listener("SASL_PLAIN")?;
    ingest(&door, 2, &["asks for SASL", "sasl.mechanism"])?;
    door.set(&sasl("PLAIN", "weir"))?;
    door.server = door.kafka.kafka.listener("TLS")?;
    ingest(&door, 2, &["asks for no SASL", "security.protocol"])?;
    Ok(())
}

#[test]
fn a_user_who_may_not_read_or_write() -> Result<()> {
    let mut door = Door::new("refused-topic", "SASL", &sasl("SCRAM-SHA-512", USERS[1].0))?;
    door.write("password", USERS[1].1)?;
    let topic = door.lab.topic.clone();
    for command in [&["ingest"][..], &["lag"], &["contracts", "infer", &topic]] {
        door.weir(command)?.expect(1)?.says(&[&topic, "allow READ and DESCRIBE on the topic"])?;
    }
    door.weir(&["topics", "--create"])?.expect(1)?.says(&[&topic, "CREATE"])?;

    door.lab.produce(0, 10)?;
    door.lab.client()?.allow_reading(USERS[1].0, &topic)?;
    door.weir(&["lag"])?.expect(0)?;
    let simulate = ["simulate", "--kafka", "--for", "1m", "--stream", STREAM];
    door.weir(&simulate)?.expect(1)?.says(&["allow WRITE and DESCRIBE on the topic"])?;
    let group = format!("{topic}.{STREAM}");
    door.weir(&["ingest"])?.expect(1)?.says(&[&group, "allow READ on the group"])
}

#[test]
fn a_password_that_is_not_there() -> Result<()> {
    let absent = |name| -> Result<()> {
        let mut properties = sasl("PLAIN", "weir");
        properties[4].1 = name;
        let door = Door::new("refused-absent", "SASL", &properties)?;
        let (_, place) = name.split_once(':').unwrap_or_default();
        ingest(&door, 2, &["sasl.password", place, "cannot be read"]).map(drop)
    };
    absent("env:WEIR_NO_SUCH_VARIABLE")?;
    absent("file:no-such-file")?;
    Ok(())
}
