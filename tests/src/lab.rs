//! A lake of its own, a topic of its own, the real binary, and the readers that are not ours: what an
//! end-to-end test works with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use weir_catalog::table::Base;
use weir_catalog::{Lake, LakeOptions};
use weir_contract::progress::Progress;

use crate::running::Running;
use crate::sample::{self, Rng, Stream};
use crate::stack::{Client, Kafka, Message, Producer};

/// The stream and the table of every lab.
pub const STREAM: &str = "vending.health";
/// The table.
pub const TABLE: &str = "raw.vending_health";
/// A second stream of the labs that have one.
pub const OTHER_STREAM: &str = "vending.sales";

/// One test's world. The folder goes with it, unless the test fails.
pub struct Lab {
    /// The broker, mostly the one that the tests share.
    pub kafka: &'static Kafka,
    /// The topic.
    pub topic: String,
    folder: tempfile::TempDir,
    rng: Rng,
    sent: u64,
}

/// What a command of weir left behind.
#[derive(Debug)]
pub struct Done {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Lab {
    /// A new topic with `partitions`, and a folder with a config for it.
    pub fn new(name: &str, partitions: i32) -> Result<Lab> {
        Lab::on(Kafka::shared(), name, partitions, &[])
    }

    /// The same on any broker, the topic with settings of its own.
    pub fn on(
        kafka: &'static Kafka,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<Lab> {
        let folder = tempfile::Builder::new().prefix("weir-lab-").tempdir()?;
        let topic = format!("{name}-{}", folder.path().file_name().unwrap_or_default().display());
        kafka.client()?.create_topic(&topic, partitions, configs)?;
        let lab = Lab { kafka, topic, folder, rng: Rng::new(7), sent: 0 };
        lab.write_config("")?;
        Ok(lab)
    }

    /// Gives the stream a contract of its own: the repository's, with this text replaced.
    pub fn write_contract(&self, from: &str, to: &str) -> Result<()> {
        let text = std::fs::read_to_string(repository().join("contracts/vending.health.yaml"))?;
        ensure!(text.contains(from), "the contract has no {from:?}");
        std::fs::write(self.path().join("vending.health.yaml"), text.replacen(from, to, 1))?;
        self.write_config("")
    }

    /// Writes the config, with `more` at its end; the consumer groups are the lab's own.
    pub fn write_config(&self, more: &str) -> Result<()> {
        let contracts = match self.path().join("vending.health.yaml").exists() {
            true => self.path().to_path_buf(),
            false => repository().join("contracts"),
        };
        let text = format!(
            r#"warehouse = "lake"

[catalog]
uri = "sqlite:///{folder}/catalog.db"

[kafka]
bootstrap_servers = "{bootstrap}"
group_prefix = "{topic}"

[streams."{STREAM}"]
topic = "{topic}"
contract = "{contracts}/vending.health.yaml"
{more}"#,
            folder = self.path().display(),
            bootstrap = self.kafka.bootstrap(),
            topic = self.topic,
            contracts = contracts.display(),
        );
        Ok(std::fs::write(self.config(), text)?)
    }

    /// A second stream with a topic of its own (one partition), and `more` at the config's end.
    pub fn add_other_stream(&self, more: &str) -> Result<String> {
        let topic = format!("{}-sales", self.topic);
        self.client()?.create_topic(&topic, 1, &[])?;
        let contract = repository().join("contracts/vending.sales.yaml");
        self.write_config(&format!(
            "\n[streams.\"{OTHER_STREAM}\"]\ntopic = \"{topic}\"\ncontract = \"{}\"\n{more}",
            contract.display()
        ))?;
        Ok(topic)
    }

    /// The lab's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.path().join("weir.toml")
    }

    /// The broker's administrator.
    pub fn client(&self) -> Result<Client> {
        self.kafka.client()
    }

    /// Produces `count` heartbeats to one partition, each twentieth broken.
    pub fn produce(&mut self, partition: i32, count: u64) -> Result<()> {
        let producer = self.client()?.producer()?;
        self.send(&producer, partition, count)
    }

    /// The same by a producer of the caller's, within its transaction if there is one.
    pub fn send(&mut self, producer: &Producer, partition: i32, count: u64) -> Result<()> {
        let topic = self.topic.clone();
        self.send_to(&topic, Stream::Health, producer, partition, count)
    }

    /// Heartbeats with `keys` keys in turn, none broken: what a compacted topic takes.
    pub fn send_keyed(
        &mut self,
        producer: &Producer,
        partition: i32,
        count: u64,
        keys: u64,
    ) -> Result<()> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        for _ in 0..count {
            let value = sample::heartbeat(self.sent, &mut self.rng, now_ms);
            let message = Message {
                partition: Some(partition),
                key: Some(&sample::key(self.sent % keys)),
                value: Some(&value),
                timestamp_ms: Some(now_ms),
                ..Message::default()
            };
            self.sent += 1;
            producer.send(&self.topic, &message)?;
        }
        producer.flush()
    }

    /// Events of any stream to any topic.
    pub fn send_to(
        &mut self,
        topic: &str,
        stream: Stream,
        producer: &Producer,
        partition: i32,
        count: u64,
    ) -> Result<()> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        for _ in 0..count {
            let i = self.sent;
            self.sent += 1;
            let value = if i % 20 == 19 {
                let class = sample::CLASSES[(i / 20 % sample::CLASSES.len() as u64) as usize];
                sample::bad(stream, class, i, &mut self.rng, now_ms)
            } else {
                let mut value = Vec::with_capacity(640);
                stream.write(&mut value, i, &mut self.rng, now_ms);
                Some(value)
            };
            producer.send(
                topic,
                &Message {
                    partition: Some(partition),
                    value: value.as_deref(),
                    timestamp_ms: Some(now_ms),
                    ..Message::default()
                },
            )?;
        }
        producer.flush()
    }

    /// A command of weir, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.config()).args(["--log-format", "json"]).args(arguments);
        command
    }

    /// Runs weir to its end, which must succeed; the result object.
    pub fn result(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = vec!["--result-json"];
        all.extend_from_slice(arguments);
        let done = self.weir(&all)?;
        ensure!(done.code == Some(0), "weir {arguments:?} failed: {done:#?}");
        done.result()
    }

    /// Runs weir to its end.
    pub fn weir(&self, arguments: &[&str]) -> Result<Done> {
        Ok(done(self.command(arguments).output()?))
    }

    /// Starts weir, with its result at the end of its output.
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        Running::start(self.command(&["--result-json"]).args(arguments))
    }

    /// Ingests up to the end, which must succeed; the stream's part of the result.
    pub fn ingest(&self, more: &[&str]) -> Result<Value> {
        let mut arguments = vec!["--result-json", "ingest", "--until-latest"];
        arguments.extend_from_slice(more);
        let done = self.weir(&arguments)?;
        ensure!(done.code == Some(0), "weir ingest failed: {done:#?}");
        Ok(done.result()?["streams"][STREAM].clone())
    }

    /// `weir verify`: its exit code and its findings.
    pub fn verify(&self) -> Result<(i32, Vec<Value>)> {
        let done = self.weir(&["verify", "--json", TABLE])?;
        let code = done.code.context("verify was killed")?;
        let line = done.stdout.lines().find(|l| l.starts_with('{'));
        let line = line.with_context(|| format!("no report: {done:#?}"))?;
        let report: Value = serde_json::from_str(line)?;
        let findings = report["findings"].as_array().context("no findings in the report")?;
        Ok((code, findings.clone()))
    }

    /// Fails unless verify finds nothing.
    pub fn verify_clean(&self) -> Result<()> {
        let (code, findings) = self.verify()?;
        ensure!(code == 0 && findings.is_empty(), "verify found: {findings:#?}");
        Ok(())
    }

    /// The table as it stands.
    pub fn table(&self, stream: &str) -> Result<Base> {
        let (warehouse, catalog) = (self.path().join("lake"), self.path().join("catalog.db"));
        let lake = Lake::open_local(&warehouse, &catalog, "weir", LakeOptions::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let table = runtime.block_on(lake.table(&weir_contract::names::TableName::raw(stream)))?;
        table.with_context(|| format!("the stream {stream} has no table"))
    }

    /// How far the table of the lab's stream has come.
    pub fn progress(&self) -> Result<Progress> {
        Ok(self.table(STREAM)?.progress()?)
    }

    /// Holds the catalog's write lock until it is dropped: commits wait, looks do not.
    pub fn lock_catalog(&self) -> Result<rusqlite::Connection> {
        let connection = rusqlite::Connection::open(self.path().join("catalog.db"))?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(connection)
    }

    /// One number out of one query.
    pub fn count(&self, sql: &str) -> Result<i64> {
        let done = self.weir(&["--output", "json", "query", sql])?;
        ensure!(done.code == Some(0), "{sql}: {done:#?}");
        let line = done.stdout.lines().next().context("no row")?;
        let row: Value = serde_json::from_str(line)?;
        let value = row.as_object().and_then(|row| row.values().next()).context("no column")?;
        match value {
            Value::String(text) => Ok(text.parse()?),
            other => other.as_i64().with_context(|| format!("{other} is no number")),
        }
    }

    /// Runs a script of `tests/readers/`.
    pub fn python(&self, script: &str, arguments: &[&str]) -> Result<String> {
        python(script, arguments)
    }

    /// Another engine acts on the table (`tests/readers/foreign.py`).
    pub fn foreign(&self, arguments: &[&str]) -> Result<String> {
        let database = self.path().join("catalog.db");
        let mut all = vec![database.to_str().context("path")?, TABLE];
        all.extend_from_slice(arguments);
        self.python("foreign.py", &all)
    }
}

impl Done {
    /// Fails unless it ended with that exit code.
    pub fn expect(self, code: i32) -> Result<Done> {
        ensure!(self.code == Some(code), "expected exit code {code}: {self:#?}");
        Ok(self)
    }

    /// Fails unless it said all of this on stderr.
    pub fn says(&self, words: &[&str]) -> Result<()> {
        for word in words {
            ensure!(self.stderr.contains(word), "{word:?} was not said: {}", self.stderr);
        }
        Ok(())
    }

    /// The JSON object in the last line of stdout.
    pub fn result(&self) -> Result<Value> {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).with_context(|| format!("no result in {self:#?}"))
    }
}

/// What a finished process left.
pub fn done(output: Output) -> Done {
    Done {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a script of `tests/readers/` with the Python that has the readers; its output.
pub fn python(script: &str, arguments: &[&str]) -> Result<String> {
    let python = std::env::var("WEIR_PYTHON").context(
        "WEIR_PYTHON is not set: run this test by `tests/run --only NAME`, which installs the readers",
    )?;
    let script = repository().join("tests/readers").join(script);
    let output = Command::new(python).arg(script).args(arguments).output()?;
    let done = done(output);
    if done.code != Some(0) {
        bail!("python failed: {}\n{}", done.stdout, done.stderr);
    }
    Ok(done.stdout)
}

/// The binary under test: `WEIR_BIN`, else the one beside the test binary's folder.
pub fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("WEIR_BIN") {
        return binary.into();
    }
    let mut path = std::env::current_exe().unwrap_or_default();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("weir")
}

/// The binary without root's right to pass over permissions.
pub fn as_anybody() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search"]).arg(binary());
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if root { command } else { Command::new(binary()) }
}

/// The binary where no file may grow beyond so many blocks of 512 bytes: the system then fails writes
/// as it does on a full disk.
pub fn on_a_full_disk(blocks: u32) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh"]);
    command.arg(blocks.to_string()).arg(binary());
    command
}

/// Sets the permissions of a file or folder.
pub fn permissions(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
