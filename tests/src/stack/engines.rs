//! Query engines for the slow suite: Trino, which is Athena's engine, and what Spark needs. About
//! 1.5 GB are fetched once, of which 1.1 GB are kept.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cache::Recipe;
use super::http::{Request, forward};
use super::jars;
use super::process::{self, Server};

/// Athena's engine version 3 follows Trino; this is the last one that Maven Central has whole.
const TRINO: &str = "io.trino:trino-server:476:tar.gz";
const SPARK: &str = "pyspark==4.1.4";
/// Iceberg for Spark, AWS for it, and SQLite's driver for both engines.
const SPARK_JARS: &str = include_str!("../../stack/spark/pom.xml");
const READY: Duration = Duration::from_secs(300);

/// A server. Dropped, it is killed.
pub struct Trino {
    port: u16,
    _folder: tempfile::TempDir,
    _server: Server,
}

impl Trino {
    /// Starts it without any catalog: `CREATE CATALOG` makes them.
    pub fn start() -> Result<Trino> {
        let java = java(25)?;
        let home = trino_home()?;
        let port = process::free_ports(1)?[0];
        let folder = tempfile::Builder::new().prefix("weir-trino-").tempdir()?;
        let (path, log) = (folder.path(), folder.path().join("trino.log"));
        let config = format!(
            "coordinator=true\nnode-scheduler.include-coordinator=true\nhttp-server.http.port={port}\n\
             discovery.uri=http://127.0.0.1:{port}\ncatalog.management=dynamic\n\
             catalog.store=memory\nplugin.dir={}\n",
            home.join("plugin").display()
        );
        std::fs::write(path.join("config.properties"), config)?;
        std::fs::write(path.join("log.properties"), "io.trino=WARN\n")?;
        let mut command = Command::new(java);
        command.current_dir(path).arg("-cp").arg(home.join("lib/*"));
        command.args(["-server", "-Xmx2G", "-XX:+UseSerialGC", "-Dconfig=config.properties"]);
        command.args(["-Djdk.attach.allowAttachSelf=true", "--enable-native-access=ALL-UNNAMED"]);
        command.args([
            "-Dlog.levels-file=log.properties",
            "-Dnode.environment=test",
            "-Dnode.id=1",
        ]);
        // Without these two it listens on every interface.
        command.args(["-Dnode.bind-ip=127.0.0.1", "-Dnode.internal-address=127.0.0.1"]);
        command.arg("-Dnode.data-dir=data").arg("io.trino.server.TrinoServer");
        let mut server = Server::start(command, &log, path)?;
        let begun = Instant::now();
        let endpoint = format!("http://127.0.0.1:{port}");
        while !ready(&endpoint) {
            if server.exited()?.is_some() || begun.elapsed() > READY {
                bail!("Trino did not start:\n{}", process::tail(&log, 30));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(Trino { port, _folder: folder, _server: server })
    }

    /// `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn ready(endpoint: &str) -> bool {
    let host = endpoint.trim_start_matches("http://").to_string();
    let headers = vec![("host".to_string(), host)];
    let request =
        Request { method: "GET".into(), target: "/v1/info".into(), headers, ..Request::default() };
    let reply = forward(endpoint, &request).ok().filter(|reply| reply.status == 200);
    reply.is_some_and(|reply| String::from_utf8_lossy(&reply.body).contains("\"starting\":false"))
}

/// The unpacked server, with no other connector than Iceberg's.
fn trino_home() -> Result<PathBuf> {
    let version = TRINO.split(':').nth(2).unwrap_or_default();
    let text = format!("{TRINO}\n{SPARK_JARS}");
    let recipe = Recipe { name: format!("trino-{version}"), file: "recipe", text: &text };
    let driver = sqlite_driver()?;
    let folder = recipe.kept(|new| {
        // The repository that maven makes of it goes with the archive.
        let artifact = format!("-Dartifact={TRINO}");
        let goal = [
            "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
            &artifact,
            "-DoutputDirectory=archive",
            "-Dmaven.repo.local=archive/repository",
        ];
        let otherwise = "the suite engines needs it";
        jars::maven(new, &goal, &format!("Trino {version} (820 MB)"), otherwise)?;
        let archive = format!("archive/trino-server-{version}.tar.gz");
        // Connectors share jars by links, so that all are unpacked before the others go.
        let sh = format!(
            "set -e; tar -xzf {archive}; rm -r archive; mv trino-server-{version} server; \
             cd server/plugin; find . -mindepth 1 -maxdepth 1 ! -name iceberg -exec rm -r {{}} +; \
             rm -r iceberg/hdfs; cp \"$1\" iceberg/"
        );
        let mut unpack = Command::new("sh");
        unpack.args(["-c", &sh, "sh"]).arg(&driver).current_dir(new);
        succeed(&mut unpack, "unpacking Trino")
    })?;
    Ok(folder.join("server"))
}

/// What a Python needs to run Spark: the folder of its modules, jars, and the Java to run them with.
pub struct SparkParts {
    /// For `PYTHONPATH`.
    pub modules: PathBuf,
    /// Iceberg and SQLite's driver.
    pub jars: Vec<PathBuf>,
    /// For `JAVA_HOME`: Spark 4.1 does not start on Java 25.
    pub java_home: PathBuf,
}

/// Spark's parts, fetched where they are missing.
pub fn spark() -> Result<SparkParts> {
    let recipe = Recipe { name: SPARK.replace("==", "-"), file: "recipe", text: SPARK };
    let folder = recipe.kept(|new| {
        eprintln!("fetching Spark ({SPARK}, 460 MB) from PyPI, once");
        let python = std::env::var("WEIR_PYTHON").context("WEIR_PYTHON is not set")?;
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--no-compile", "--target", "modules", SPARK]).current_dir(new);
        succeed(&mut pip, "pip")
    })?;
    let java = java(17)?;
    let java_home = java.parent().and_then(Path::parent).context("java has no home")?;
    Ok(SparkParts {
        modules: folder.join("modules"),
        jars: spark_jars()?,
        java_home: java_home.to_path_buf(),
    })
}

fn spark_jars() -> Result<Vec<PathBuf>> {
    let version = jars::element(SPARK_JARS, "iceberg.version");
    let recipe =
        Recipe { name: format!("spark-iceberg-{version}"), file: "pom.xml", text: SPARK_JARS };
    let folder = recipe.kept(|new| {
        let what = format!("Iceberg {version} for Spark (125 MB)");
        jars::copy(new, &what, "the suite engines needs it")
    })?;
    let mut jars = Vec::new();
    for jar in std::fs::read_dir(folder.join("libs"))? {
        jars.push(jar?.path());
    }
    Ok(jars)
}

fn sqlite_driver() -> Result<PathBuf> {
    let driver = |jar: &PathBuf| jar.to_string_lossy().contains("sqlite-jdbc");
    spark_jars()?.into_iter().find(driver).context("SQLite's driver is not among Spark's jars")
}

/// A Java of that major version: `WEIR_JAVA_<major>` names its home, else it stands in `/usr/lib/jvm`.
fn java(major: u32) -> Result<PathBuf> {
    let variable = format!("WEIR_JAVA_{major}");
    let named = std::env::var_os(&variable).map(PathBuf::from);
    let standing = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let mut homes: Vec<PathBuf> = named.into_iter().chain(standing.map(|e| e.path())).collect();
    homes.retain(|home| {
        let release = std::fs::read_to_string(home.join("release")).unwrap_or_default();
        release.lines().any(|line| line.starts_with(&format!("JAVA_VERSION=\"{major}")))
    });
    match homes.first() {
        Some(home) => Ok(home.join("bin/java")),
        None => bail!(
            "there is no Java {major}; install it (Debian: openjdk-{major}-jre-headless or \
             temurin-{major}-jdk), or set {variable} to its home"
        ),
    }
}

pub(super) fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let out =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {what}"))?;
    if !out.status.success() {
        let (stdout, stderr) = (out.stdout, out.stderr);
        let said = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        bail!("{what} failed ({}):\n{}", out.status, said.concat());
    }
    Ok(())
}
