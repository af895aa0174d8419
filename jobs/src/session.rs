//! One run of the program: from the command line to the exit code.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use weir_contract::class::ErrorClass;

use crate::cli::{Cli, Global, LogFormat};
use crate::commands;
use crate::config::{self, Config, Entry, Flag};
use crate::failure::Failure;
use crate::output::Output;
use crate::telemetry::{self, Form};
use crate::usage;

/// The config file where none is named.
const CONFIG: &str = "weir.toml";
/// The environment variable that names the config file.
const CONFIG_VARIABLE: &str = "WEIR_CONFIG";

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It did what it was asked.
    Done,
    /// There was nothing to do, and the user wants to see that.
    Idle,
}

impl Done {
    fn exit_code(self) -> u8 {
        match self {
            Done::Done => 0,
            Done::Idle => 99,
        }
    }
}

/// What a command works with.
pub struct Session {
    global: Global,
    form: Form,
    /// The file that takes the log, if it is not stderr's.
    log: Option<PathBuf>,
    /// Whether logging has started.
    logs: bool,
    /// Where its output goes.
    pub output: Output,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes. With the stream gone there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let started = Instant::now();
    let form = telemetry::form(cli.global.log_format.unwrap_or(LogFormat::Auto));
    report_panics(form);
    let output = Output::stdout(cli.global.output, cli.global.result_json);
    let mut session = Session { global: cli.global, form, log: None, logs: false, output };
    session.output.result("command", cli.command.name());
    let ended = commands::run(cli.command, &mut session);
    session.output.result("process", usage::since(started));
    ExitCode::from(session.end(ended))
}

impl Session {
    /// The config. Logging starts with it, since it decides the level.
    pub fn config(&mut self) -> Result<Config, Failure> {
        let config = config::load(&self.file(), self.flags()?)?;
        self.form = telemetry::form(config.log.format);
        report_panics(self.form);
        if !std::mem::replace(&mut self.logs, true) {
            telemetry::init(self.form, &config.log.level, self.log.as_deref())?;
        }
        Ok(config)
    }

    /// Reads its config from this file, whatever was asked, and logs into that one.
    pub fn use_files(&mut self, config: PathBuf, log: PathBuf) {
        self.global.config = Some(config);
        self.log = Some(log);
    }

    /// Every key of the config with its value and origin.
    pub fn entries(&mut self) -> Result<Vec<Entry>, Failure> {
        self.config()?;
        config::show(&self.file(), self.flags()?)
    }

    fn file(&self) -> PathBuf {
        match (&self.global.config, std::env::var_os(CONFIG_VARIABLE)) {
            (Some(file), _) => file.clone(),
            (None, Some(file)) => PathBuf::from(file),
            (None, None) => PathBuf::from(CONFIG),
        }
    }

    /// Runs a future to its end on a runtime of its own.
    pub fn block_on<T>(
        &self,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.runtime()?.block_on(future)
    }

    /// A runtime with its threads.
    pub fn runtime(&self) -> Result<Runtime, Failure> {
        Builder::new_multi_thread().enable_all().build().map_err(|error| {
            Failure::new(ErrorClass::Denied, format!("threads cannot be started: {error}"))
        })
    }

    /// The flags that set keys.
    fn flags(&self) -> Result<Vec<Flag>, Failure> {
        let mut flags = Vec::new();
        for set in &self.global.set {
            let (key, value) = set.split_once('=').ok_or_else(|| {
                Failure::config(format!("--set {set} has no value"))
                    .next("write --set KEY=VALUE, for example --set log.level=debug")
            })?;
            flags.push((format!("--set {key}"), key.trim().into(), value.trim().into()));
        }
        if let Some(format) = self.global.log_format {
            flags.push(("--log-format".into(), "log.format".into(), format.to_string()));
        }
        Ok(flags)
    }

    fn end(&mut self, ended: Result<Done, Failure>) -> u8 {
        let (code, failure) = match ended {
            Ok(done) => (done.exit_code(), None),
            // `weir query … | head` got what it wanted.
            Err(failure) if failure.reader_gone() => return 0,
            Err(failure) => (failure.class.exit_code(), Some(failure)),
        };
        if let Some(failure) = &failure {
            telemetry::report(self.form, failure);
        }
        match self.output.finish(code, failure.as_ref()) {
            Err(error) if !error.reader_gone() => {
                telemetry::report(self.form, &error);
                error.class.exit_code()
            }
            _ => code,
        }
    }
}

/// A panic is a bug of ours: it is told in the form of every failure, and ends the process with exit
/// code 1. No tidying up is tried: a table is what it was before a commit, or after it.
fn report_panics(form: Form) {
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let failure = Failure::new(ErrorClass::Bug, format!("weir has a bug: {message}"));
        let failure = match panic.location() {
            Some(location) => failure.at(location),
            None => failure,
        };
        telemetry::report(form, &failure);
        std::process::exit(i32::from(ErrorClass::Bug.exit_code()));
    }));
}
