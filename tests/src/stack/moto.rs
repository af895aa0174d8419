//! moto, which stands in for S3, Glue and STS, with the check of versions that it leaves out.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::http::{Request, forward};
use super::process::{self, Server};

const READY: Duration = Duration::from_secs(120);
/// The bucket that it begins with.
pub const BUCKET: &str = "lake";

/// The server, with one bucket. Dropped, it is killed.
pub struct Moto {
    port: u16,
    _folder: tempfile::TempDir,
    _server: Server,
}

impl Moto {
    /// Starts it with the Python that has the readers.
    pub fn start() -> Result<Moto> {
        let python = std::env::var("WEIR_PYTHON").context(
            "WEIR_PYTHON is not set: run this test by `tests/run --only NAME`, which installs moto",
        )?;
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("stack/moto_server.py");
        let port = process::free_ports(1)?[0];
        let folder = tempfile::Builder::new().prefix("weir-moto-").tempdir()?;
        let log = folder.path().join("moto.log");
        let mut command = Command::new(python);
        command.arg(script).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command.current_dir(folder.path());
        let mut server = Server::start(command, &log, folder.path())?;
        let begun = Instant::now();
        let endpoint = format!("http://127.0.0.1:{port}");
        while make_bucket(&endpoint).is_none() {
            if server.exited()?.is_some() || begun.elapsed() > READY {
                bail!("moto did not start:\n{}", process::tail(&log, 20));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Moto { port, _folder: folder, _server: server })
    }

    /// Where to reach all of its services.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn make_bucket(endpoint: &str) -> Option<()> {
    let host = endpoint.trim_start_matches("http://").to_string();
    let headers = vec![("host".to_string(), host), ("content-length".to_string(), "0".to_string())];
    let request = Request {
        method: "PUT".into(),
        target: format!("/{BUCKET}"),
        headers,
        ..Request::default()
    };
    forward(endpoint, &request).ok().filter(|reply| reply.status == 200).map(|_| ())
}
