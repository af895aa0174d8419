//! Iceberg's own REST catalog, from the tests of its release: a servlet over SQLite and a folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::http::{Request, forward};
use super::jars;
use super::process::{self, Server};

const READY: Duration = Duration::from_secs(120);

/// The catalog, and the folder in which its tables are to stand. Dropped, it is killed.
pub struct RestCatalog {
    port: u16,
    folder: tempfile::TempDir,
    _server: Server,
}

impl RestCatalog {
    /// Starts an empty one.
    pub fn start() -> Result<RestCatalog> {
        process::require("javac", "-version", "openjdk-17-jdk-headless")?;
        let libs = jars::named(
            "iceberg",
            "Apache Iceberg",
            jars::ICEBERG,
            "the REST catalog of the tests needs it",
        )?;
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("stack/rest/RestCatalog.java");
        let port = process::free_ports(1)?[0];
        let folder = tempfile::Builder::new().prefix("weir-rest-").tempdir()?;
        let (log, path) = (folder.path().join("rest.log"), folder.path());
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp"]);
        command.arg(format!("{}/*", libs.display())).arg(source).arg(port.to_string());
        command.arg(path.join("rest.db")).arg(format!("file://{}/lake", path.display()));
        let mut server = Server::start(command, &log, path)?;
        let begun = Instant::now();
        while !answers(port) {
            if server.exited()?.is_some() || begun.elapsed() > READY {
                bail!("Iceberg's REST catalog did not start:\n{}", process::tail(&log, 20));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(RestCatalog { port, folder, _server: server })
    }

    /// Where to reach it.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A folder that it sees, and that is gone with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn answers(port: u16) -> bool {
    let endpoint = format!("127.0.0.1:{port}");
    let headers = vec![("host".to_string(), endpoint.clone())];
    let request = Request {
        method: "GET".into(),
        target: "/v1/config".into(),
        headers,
        ..Request::default()
    };
    forward(&endpoint, &request).is_ok_and(|reply| reply.status == 200)
}
