//! One real Apache Kafka broker (KRaft, one node), or the one that `WEIR_TEST_KAFKA` names.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::client::Client;
use super::jars;
use super::process::{self, Server};

/// The environment variable with the bootstrap servers of a broker to use instead of our own.
pub const BROKER_VARIABLE: &str = "WEIR_TEST_KAFKA";

const LOG4J: &str = include_str!("../../stack/kafka/log4j2.properties");
/// On a machine that does much else too.
const READY: Duration = Duration::from_secs(180);

/// The folder of classes of our own, in the broker's.
const CLASSES: &str = "classes";

/// Only the quick compiler, and one thread that collects garbage.
const LIGHT: [&str; 2] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/// How a broker is started.
#[derive(Debug, Clone, Default)]
pub struct KafkaOptions {
    /// The port of the listener; a free one where there is none.
    pub port: Option<u16>,
    /// For a life of minutes at a low rate: starts with half the CPU, and never becomes fast.
    pub light: bool,
    /// More lines of `server.properties`; they win over ours.
    pub properties: Vec<(String, String)>,
    /// Listeners beside the plaintext one, with their security protocols.
    pub listeners: Vec<(&'static str, &'static str)>,
    /// Users of SCRAM, with their passwords.
    pub users: Vec<(&'static str, &'static str)>,
    /// Classes of our own for the broker: a Java file of `tests/stack/kafka`.
    pub classes: Option<&'static str>,
}

/// With this environment variable set, a broker's data is kept when it ends.
const KEEP_VARIABLE: &str = "WEIR_TEST_KEEP";

/// A broker. Dropped, it is killed and its data removed (kept while panicking, for its log).
pub struct Kafka {
    bootstrap: String,
    own: Option<Own>,
}

struct Own {
    /// What an old broker needs beside it.
    _zookeeper: Option<Server>,
    libs: PathBuf,
    light: bool,
    port: u16,
    listeners: Vec<Listener>,
    folder: Option<tempfile::TempDir>,
    server: Mutex<Option<Server>>,
}

/// A listener beside the plaintext one.
struct Listener {
    name: &'static str,
    protocol: &'static str,
    port: u16,
}

impl Kafka {
    /// The broker that `WEIR_TEST_KAFKA` names, else one of our own.
    pub fn start() -> Result<Kafka> {
        match std::env::var(BROKER_VARIABLE) {
            Ok(bootstrap) if !bootstrap.is_empty() => {
                let kafka = Kafka { bootstrap, own: None };
                kafka.wait_until_ready().with_context(|| format!("from {BROKER_VARIABLE}"))?;
                Ok(kafka)
            }
            _ => Kafka::start_own(&KafkaOptions::default()),
        }
    }

    /// A broker of our own, which the caller may stop, kill and restart.
    pub fn start_own(options: &KafkaOptions) -> Result<Kafka> {
        options.port.map_or(Ok(()), process::require_free)?;
        process::require("java", "-version", "openjdk-17-jre-headless")?;
        let libs = jars::of(jars::KAFKA)?;
        // Another process may take a port between our look and the broker's start.
        let mut tries = 3;
        loop {
            tries -= 1;
            let kafka = Kafka::prepare(&libs, options)?;
            match kafka.launch() {
                Ok(()) => return Ok(kafka),
                Err(error) => {
                    let taken = error.to_string().contains("Address already in use");
                    if tries == 0 || !taken || options.port.is_some() {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// A broker of before topics had ids (2.7, with a ZooKeeper).
    pub fn start_without_topic_ids() -> Result<Kafka> {
        process::require("java", "-version", "openjdk-17-jre-headless")?;
        let libs = jars::of(jars::KAFKA_2_7)?;
        let ports = process::free_ports(2)?;
        let (port, zookeeper) = (ports[0], ports[1]);
        let folder = tempfile::Builder::new().prefix("weir-kafka-").tempdir()?;
        let path = folder.path().to_path_buf();
        std::fs::write(path.join("zookeeper.cfg"), zookeeper_config(zookeeper, &path))?;
        std::fs::write(path.join("server.properties"), old_properties(port, zookeeper, &path))?;
        let mut command = java(&libs, &path);
        command.args(["-Xmx256m", "org.apache.zookeeper.server.quorum.QuorumPeerMain"]);
        command.arg("zookeeper.cfg");
        let running = Server::start(command, &path.join("zookeeper.log"), &path)?;
        let own = Own {
            _zookeeper: Some(running),
            libs,
            light: false,
            port,
            listeners: Vec::new(),
            folder: Some(folder),
            server: Mutex::new(None),
        };
        let kafka = Kafka { bootstrap: format!("127.0.0.1:{port}"), own: Some(own) };
        kafka.launch()?;
        Ok(kafka)
    }

    /// The broker that all tests of this process share; it ends with the process.
    pub fn shared() -> &'static Kafka {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| match Kafka::start() {
            Ok(kafka) => kafka,
            Err(error) => panic!("the tests need a Kafka broker: {error:#}"),
        })
    }

    /// `host:port` list for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `localhost:port` of the listener of this name.
    pub fn listener(&self, name: &str) -> Result<String> {
        let listener = self.own()?.listeners.iter().find(|listener| listener.name == name);
        let listener = listener.with_context(|| format!("the broker has no listener {name}"))?;
        Ok(format!("localhost:{}", listener.port))
    }

    /// Runs one of the broker's own programs: a class of its jars, with arguments.
    pub fn program(&self, arguments: &[&str]) -> Result<()> {
        let own = self.own()?;
        let out = java(&own.libs, own.path()).args(LIGHT).args(arguments).output()?;
        succeeded(&format!("run {}", arguments[0]), &out)
    }

    /// Topics, offsets and producers of this broker.
    pub fn client(&self) -> Result<Client> {
        Client::new(&self.bootstrap)
    }

    /// The broker's process id, where the broker is ours and runs.
    pub fn pid(&self) -> Option<u32> {
        self.own.as_ref().and_then(|own| own.server().as_ref().map(Server::pid))
    }

    /// The file that the broker logs to, where the broker is ours.
    pub fn log(&self) -> Option<PathBuf> {
        self.own.as_ref().map(Own::log)
    }

    /// Ends the broker in order: SIGTERM, after 20 s SIGKILL. Its data stays for [`Kafka::restart`].
    pub fn stop(&self) -> Result<()> {
        match self.own()?.server().take() {
            Some(server) => Ok(server.stop(Duration::from_secs(20))?),
            None => Ok(()),
        }
    }

    /// SIGKILL, as in a power cut of the process. Its data stays for [`Kafka::restart`].
    pub fn kill(&self) -> Result<()> {
        drop(self.own()?.server().take());
        Ok(())
    }

    /// Starts the broker again on the same ports and data; kills it first where it runs.
    pub fn restart(&self) -> Result<()> {
        self.kill()?;
        self.launch()
    }

    fn own(&self) -> Result<&Own> {
        match &self.own {
            Some(own) => Ok(own),
            None => bail!("the broker that {BROKER_VARIABLE} names is not ours to stop"),
        }
    }

    /// Writes the configuration and formats the data folder.
    fn prepare(libs: &Path, options: &KafkaOptions) -> Result<Kafka> {
        let ports = process::free_ports(2 + options.listeners.len())?;
        let (port, controller) = (options.port.unwrap_or(ports[0]), ports[1]);
        let of = |(&(name, protocol), &port): (&(&'static str, &'static str), &u16)| Listener {
            name,
            protocol,
            port,
        };
        let listeners: Vec<Listener> = options.listeners.iter().zip(&ports[2..]).map(of).collect();
        let folder = tempfile::Builder::new().prefix("weir-kafka-").tempdir()?;
        let properties = folder.path().join("server.properties");
        let data = folder.path().join("data");
        let text = server_properties(port, controller, &listeners, &data, &options.properties);
        std::fs::write(&properties, text)?;
        std::fs::write(folder.path().join("log4j2.properties"), LOG4J)?;
        if let Some(source) = options.classes {
            compile(libs, folder.path(), source)?;
        }
        let mut format = java(libs, folder.path());
        format.args(LIGHT).arg("kafka.tools.StorageTool");
        format.args(["format", "--standalone", "-t", &cluster_id(), "-c"]).arg(&properties);
        for (user, password) in &options.users {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                let user = format!("{mechanism}=[name={user},password={password}]");
                format.args(["--add-scram", &user]);
            }
        }
        succeeded("format the broker's data folder", &format.output()?)?;
        let server = Mutex::new(None);
        let own = Own {
            _zookeeper: None,
            libs: libs.into(),
            light: options.light,
            port,
            listeners,
            folder: Some(folder),
            server,
        };
        Ok(Kafka { bootstrap: format!("127.0.0.1:{port}"), own: Some(own) })
    }

    fn launch(&self) -> Result<()> {
        let own = self.own()?;
        let mut command = java(&own.libs, own.path());
        if own.light {
            command.args(LIGHT);
        }
        command.args(["-Xmx1g", "-XX:+ExitOnOutOfMemoryError", "kafka.Kafka", "server.properties"]);
        let server = Server::start(command, &own.log(), own.path())?;
        *own.server() = Some(server);
        self.wait_until_ready()
    }

    fn wait_until_ready(&self) -> Result<()> {
        let started = Instant::now();
        let mut client = None;
        loop {
            if let Some(own) = &self.own {
                let log = own.log();
                if let Some(server) = own.server().as_mut()
                    && let Some(status) = server.exited()?
                {
                    let lines = process::tail(&log, 30);
                    bail!(
                        "the Kafka broker ended ({status}); {} ends with:\n{lines}",
                        log.display()
                    );
                }
                if started.elapsed() > READY {
                    bail!("the Kafka broker is not ready after {READY:?}; see {}", log.display());
                }
                if TcpStream::connect(("127.0.0.1", own.port)).is_err() {
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
            } else if started.elapsed() > Duration::from_secs(20) {
                bail!("no Kafka broker answers at {}", self.bootstrap);
            }
            let client = match &client {
                Some(client) => client,
                None => client.insert(Client::new(&self.bootstrap)?),
            };
            if client.ready(Duration::from_secs(2)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Own {
    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self) -> &Path {
        // Only `drop` takes the folder.
        self.folder.as_ref().map_or(Path::new("/nonexistent"), |folder| folder.path())
    }

    fn log(&self) -> PathBuf {
        self.path().join("kafka.log")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.server().take());
        let keep = std::thread::panicking() || std::env::var_os(KEEP_VARIABLE).is_some();
        if keep && let Some(folder) = self.folder.take() {
            eprintln!("the broker's data is kept: {}", folder.keep().join("kafka.log").display());
        }
    }
}

fn succeeded(what: &str, out: &Output) -> Result<()> {
    if out.status.success() {
        return Ok(());
    }
    let (stdout, stderr) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    bail!("cannot {what} ({}):\n{stdout}{stderr}", out.status)
}

fn java(libs: &Path, folder: &Path) -> Command {
    let mut command = Command::new("java");
    command
        .arg("-Dlog4j2.configurationFile=log4j2.properties")
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg("-cp")
        .arg(format!("{}/*:{CLASSES}", libs.display()))
        .current_dir(folder);
    command
}

/// Makes classes for the broker in `folder`.
fn compile(libs: &Path, folder: &Path, source: &str) -> Result<()> {
    process::require("javac", "-version", "openjdk-17-jdk-headless")?;
    let mut command = Command::new("javac");
    command.arg("-cp").arg(format!("{}/*", libs.display())).args(["-d", CLASSES]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/kafka").join(source));
    succeeded(&format!("compile {source}"), &command.current_dir(folder).output()?)
}

/// 16 random bytes in URL-safe base64, as Kafka writes its ids.
fn cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (high, low) = (process::unique(), process::unique());
    let mut bits = (u128::from(high) << 64) | u128::from(low);
    // 22 digits of six bits; the last holds two bits of the id, and four zeroes.
    let mut text = vec![ALPHABET[((bits & 3) << 4) as usize]];
    bits >>= 2;
    for _ in 0..21 {
        text.push(ALPHABET[(bits & 63) as usize]);
        bits >>= 6;
    }
    // An id must not begin with a dash: the command line would take it for a flag.
    text.reverse();
    if text[0] == b'-' {
        text[0] = b'A';
    }
    text.into_iter().map(char::from).collect()
}

fn server_properties(
    port: u16,
    controller: u16,
    listeners: &[Listener],
    data: &Path,
    more: &[(String, String)],
) -> String {
    let all = |form: &dyn Fn(&Listener) -> String| listeners.iter().map(form).collect::<String>();
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{}
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
log.dirs={}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=16777216
log.initial.task.delay.ms=1000
",
        all(&|l| format!(",{}://127.0.0.1:{}", l.name, l.port)),
        all(&|l| format!(",{}://localhost:{}", l.name, l.port)),
        all(&|l| format!(",{}:{}", l.name, l.protocol)),
        data.display()
    );
    for (key, value) in more {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

fn zookeeper_config(port: u16, folder: &Path) -> String {
    format!(
        "dataDir={}
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
tickTime=500
",
        folder.join("zookeeper").display()
    )
}

fn old_properties(port: u16, zookeeper: u16, folder: &Path) -> String {
    format!(
        "broker.id=1
listeners=PLAINTEXT://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
zookeeper.connect=127.0.0.1:{zookeeper}
log.dirs={}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=16777216
",
        folder.join("data").display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_look_like_kafkas() {
        let (a, b) = (cluster_id(), cluster_id());
        assert_ne!(a, b);
        for id in [a, b] {
            assert_eq!(id.len(), 22);
            assert!(!id.starts_with('-'));
            assert!("AQgw".contains(&id[21..]), "{id}");
        }
    }
}
