//! Logs on stderr: for people on a terminal, one JSON object per line elsewhere. The fields are a
//! closed list: `stream`, `table`, `partition`, `offset_from`, `offset_until`, `snapshot_id`,
//! `commit_id`, `trace_id`, `error_class`, and counts.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;

use serde_json::json;
use tracing_subscriber::EnvFilter;
use weir_contract::class::ErrorClass;

use crate::cli::LogFormat;
use crate::failure::Failure;

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people; with colours on a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// The form that was asked for, or the one that fits stderr.
pub fn form(asked: LogFormat) -> Form {
    match asked {
        LogFormat::Human => Form::Human,
        LogFormat::Json => Form::Json,
        LogFormat::Auto if std::io::stderr().is_terminal() => Form::Human,
        LogFormat::Auto => Form::Json,
    }
}

/// The libraries' directives around Weir's own level.
fn directives(level: &str) -> String {
    // librdkafka's own debug lines come only where `kafka.properties.debug` asks for them.
    let crates =
        ["weir", "weir_contract", "weir_catalog", "weir_fleet", "weir_ingest", "librdkafka"];
    let ours: Vec<String> = crates.iter().map(|name| format!("{name}={level}")).collect();
    let libraries = if level == "error" { "error" } else { "warn" };
    // What it warns of, somebody was not let in, our errors say.
    format!("{libraries},aws_config=error,{}", ours.join(","))
}

/// Sends the process's log to stderr, or into a file. To be called once.
pub fn init(form: Form, level: &str, file: Option<&Path>) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(directives(level)).map_err(Failure::config)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    if let Some(path) = file {
        let file = File::options().create(true).append(true).open(path).map_err(|error| {
            let what = format!("the log {} cannot be written: {error}", path.display());
            Failure::new(ErrorClass::Denied, what)
        })?;
        let builder = builder.with_ansi(false).with_target(false).with_writer(Mutex::new(file));
        return builder.try_init().map_err(Failure::bug);
    }
    let builder = builder.with_writer(std::io::stderr);
    let done = match form {
        Form::Human => {
            builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
        }
        Form::Json => builder.json().with_current_span(false).with_span_list(false).try_init(),
    };
    done.map_err(Failure::bug)
}

/// Prints a failure to stderr in the log's form. Works before [`init`].
pub fn report(form: Form, failure: &Failure) {
    let text = match form {
        Form::Human => failure.human(),
        Form::Json => json_line(failure),
    };
    // With stderr gone there is nobody left to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// A failure as the log writes an event.
fn json_line(failure: &Failure) -> String {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let line = json!({
        "timestamp": now,
        "level": "ERROR",
        "fields": failure.json(),
        "target": "weir",
    });
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_makes_a_filter() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            assert!(EnvFilter::try_new(directives(level)).is_ok());
        }
    }

    #[test]
    fn a_failure_is_one_line_of_json() {
        let line = json_line(&Failure::config("a\nb").at("weir.toml:1"));
        assert_eq!(line.lines().count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["level"], "ERROR");
        assert_eq!(object["fields"]["error_class"], "bad_config");
    }
}
