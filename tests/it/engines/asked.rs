//! One process for all tests that asks the engines, `tests/readers/engines.py`; JSON lines to and fro.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use weir_tests::lab;
use weir_tests::stack::{Trino, spark};

/// The engines that have SQL of their own.
pub const ENGINES: [&str; 2] = ["trino", "spark"];

/// The process. It ends when its stdin is closed, which this process's end does.
pub struct Engines {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _trino: Trino,
}

impl Engines {
    /// The one that all tests share.
    pub fn shared() -> Result<MutexGuard<'static, Engines>> {
        static SHARED: OnceLock<std::result::Result<Mutex<Engines>, String>> = OnceLock::new();
        let made = SHARED.get_or_init(|| match Engines::start() {
            Ok(engines) => Ok(Mutex::new(engines)),
            Err(error) => Err(format!("{error:#}")),
        });
        let engines = made.as_ref().map_err(|why| anyhow::anyhow!("no engines: {why}"))?;
        Ok(engines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn start() -> Result<Engines> {
        let python = std::env::var("WEIR_PYTHON").context(
            "WEIR_PYTHON is not set: run this by `tests/run --only engines::`, which installs it",
        )?;
        let (spark, trino) = (spark()?, Trino::start()?);
        let mut command = Command::new(python);
        command.arg(lab::repository().join("tests/readers/engines.py"));
        command.arg(trino.endpoint()).arg(lab::binary()).args(&spark.jars);
        command.env("PYTHONPATH", &spark.modules).env("JAVA_HOME", &spark.java_home);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start python")?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Engines { stdin, stdout, _trino: trino })
    }

    /// One question, one answer. A refusal of the engine, and a difference, are errors.
    pub fn ask(&mut self, question: &Value) -> Result<Value> {
        writeln!(self.stdin, "{question}")?;
        self.stdin.flush()?;
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0, "engines.py has ended at {question}");
        let answer: Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => Ok(answer),
        }
    }

    /// One statement; its rows.
    pub fn sql(&mut self, by: &str, sql: &str) -> Result<Vec<Value>> {
        self.sql_with(by, sql, "")
    }

    /// The same with settings of a session of Trino's, `name=value`.
    pub fn sql_with(&mut self, by: &str, sql: &str, session: &str) -> Result<Vec<Value>> {
        let asked = json!({"do": "sql", "by": by, "sql": sql, "session": session});
        let answer = self.ask(&asked).with_context(|| format!("{by}: {sql}"))?;
        Ok(answer["rows"].as_array().cloned().unwrap_or_default())
    }
}
