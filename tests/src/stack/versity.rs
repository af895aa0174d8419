//! versitygw, a second real server that speaks S3, over a folder; for the slow suite.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cache::Recipe;
use super::engines::succeed;
use super::moto::BUCKET;
use super::process::{self, Server};

const MODULE: &str = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";
const READY: Duration = Duration::from_secs(60);

/// The server, with one bucket; who asks is `test`, and so is the secret. Dropped, it is killed.
pub struct Versity {
    port: u16,
    _folder: tempfile::TempDir,
    _server: Server,
}

impl Versity {
    /// Starts it; builds it where it is missing.
    pub fn start() -> Result<Versity> {
        let (_, version) = MODULE.split_once('@').context("the module has no version")?;
        let recipe = Recipe { name: format!("versitygw-{version}"), file: "recipe", text: MODULE };
        let built = recipe.kept(|new| {
            process::require("go", "version", "golang-go")?;
            eprintln!("building versitygw {version} (five minutes of CPU), once");
            let mut go = Command::new("go");
            go.args(["install", MODULE]).env("GOBIN", new);
            succeed(&mut go, "go install")
        })?;
        let port = process::free_ports(1)?[0];
        let folder = tempfile::Builder::new().prefix("weir-versity-").tempdir()?;
        let (data, log) = (folder.path().join("data"), folder.path().join("versity.log"));
        // A folder of the top is a bucket.
        std::fs::create_dir_all(data.join(BUCKET))?;
        let mut command = Command::new(built.join("versitygw"));
        command.env("ROOT_ACCESS_KEY", "test").env("ROOT_SECRET_KEY", "test");
        command.args(["--port", &format!("127.0.0.1:{port}"), "posix"]).arg(&data);
        let mut server = Server::start(command, &log, folder.path())?;
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if server.exited()?.is_some() || begun.elapsed() > READY {
                bail!("versitygw did not start:\n{}", process::tail(&log, 20));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Versity { port, _folder: folder, _server: server })
    }

    /// Where to reach it.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
