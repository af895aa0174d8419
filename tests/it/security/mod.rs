//! Kafka with TLS, client certificates, SASL, tokens and access lists: everything works there, and whoever is
//! not let in is told which setting to correct. A real broker, the real binary.

mod bearer;
mod msk;
mod refused;
mod rotation;
mod works;

use std::process::Command;

use anyhow::Result;
use weir_tests::lab::{Done, Lab, done};
use weir_tests::stack::{SecureKafka, USERS};

/// How a lab's commands reach the broker: a listener, and what the config says about it.
struct Door {
    kafka: &'static SecureKafka,
    lab: Lab,
    server: String,
}

/// What every door with TLS needs.
const TLS: [(&str, &str); 2] = [("security.protocol", "SSL"), ("ssl.ca.pem", "file:ca.pem")];

impl Door {
    /// A lab behind this listener. `ca.pem`, `client.pem`, `client.key` and `password` stand beside the
    /// config, as the properties may name them.
    fn new(name: &str, listener: &str, properties: &[(&str, &str)]) -> Result<Door> {
        Door::of(SecureKafka::shared(), name, listener, properties)
    }

    fn of(
        kafka: &'static SecureKafka,
        name: &str,
        listener: &str,
        properties: &[(&str, &str)],
    ) -> Result<Door> {
        let lab = Lab::on(&kafka.kafka, name, 2, &[])?;
        std::fs::copy(kafka.authority.certificate(), lab.path().join("ca.pem"))?;
        std::fs::copy(&kafka.client.certificate, lab.path().join("client.pem"))?;
        std::fs::copy(&kafka.client.key, lab.path().join("client.key"))?;
        let door = Door { kafka, lab, server: kafka.kafka.listener(listener)? };
        door.write("password", USERS[0].1)?;
        door.set(properties)?;
        Ok(door)
    }

    /// Replaces a file beside the config.
    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.lab.path().join(name), text)?)
    }

    /// Other properties.
    fn set(&self, properties: &[(&str, &str)]) -> Result<()> {
        let line = |(name, value): &(&str, &str)| format!("{name:?} = {value:?}\n");
        let lines: String = properties.iter().map(line).collect();
        self.lab.write_config(&format!(
            "\n[kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n{lines}\n\
             [ingest]\nflush.interval = \"300ms\"\n"
        ))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.command(&[]);
        command.args(["--set", &format!("kafka.bootstrap_servers={}", self.server)]);
        command.args(arguments);
        command
    }

    fn weir(&self, arguments: &[&str]) -> Result<Done> {
        Ok(done(self.command(arguments).output()?))
    }
}

/// The properties of a user with SASL over TLS; the password in a file.
fn sasl<'a>(mechanism: &'a str, user: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.pem", "file:ca.pem"),
        ("sasl.mechanism", mechanism),
        ("sasl.username", user),
        ("sasl.password", "file:password"),
    ]
}
