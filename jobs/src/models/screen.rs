//! The lines that dbt's users know, and `run_results.json`.

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Local, Utc};
use serde_json::{Value, json};
use weir_transforms::engine::Reads;

use super::Models;
use crate::failure::Failure;
use crate::output::Output;

/// Where dots end and a status begins.
const WIDTH: usize = 70;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A table was built.
    Success,
    /// There was nothing to build.
    NoOp,
    /// A test passed.
    Pass,
    /// It failed, and that is only told.
    Warn,
    /// It failed.
    Fail,
    /// It could not run.
    Error,
    /// It was not run, for another failed.
    Skip,
}

impl Status {
    /// As in `run_results.json`.
    fn name(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::NoOp => "no-op",
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
            Status::Error => "error",
            Status::Skip => "skipped",
        }
    }
}

/// One step of a run.
pub struct Step {
    /// dbt's id, such as `test.weir.not_null_fct_vends_event_id`.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// Rows that fail.
    pub failures: Option<u64>,
    /// What to say of it.
    pub message: String,
    /// Its SQL.
    pub sql: String,
    /// What building a table read of data files.
    pub reads: Option<Reads>,
    began: SystemTime,
    took: Duration,
}

/// A run under way.
pub struct Screen {
    total: usize,
    began: Instant,
    at: Instant,
    at_wall: SystemTime,
    steps: Vec<Step>,
}

impl Screen {
    /// A run of `total` steps.
    pub fn new(total: usize) -> Screen {
        let now = Instant::now();
        Screen { total, began: now, at: now, at_wall: SystemTime::now(), steps: Vec::new() }
    }

    /// A step begins.
    pub fn start(&mut self, output: &mut Output, what: &str) -> Result<(), Failure> {
        (self.at, self.at_wall) = (Instant::now(), SystemTime::now());
        let text = format!("{} of {} START {what} ", self.steps.len() + 1, self.total);
        output.say(line(&text, "[RUN]"))
    }

    /// It has ended.
    pub fn end(
        &mut self,
        output: &mut Output,
        what: &str,
        (id, status, failures, message): (String, Status, Option<u64>, String),
        (sql, reads): (String, Option<Reads>),
    ) -> Result<(), Failure> {
        let took = self.at.elapsed();
        let n = failures.unwrap_or(0);
        let word = match status {
            Status::Success => "OK".to_string(),
            Status::Skip => "SKIP".to_string(),
            other => other.name().to_uppercase(),
        };
        let count = if n > 0 { format!(" {n}") } else { String::new() };
        let text = format!("{} of {} {word}{count} {what} ", self.steps.len() + 1, self.total);
        let state = match status {
            Status::Skip => "[SKIP]".to_string(),
            Status::Success => format!("[{message} in {:.2}s]", took.as_secs_f64()),
            _ => format!("[{word}{count} in {:.2}s]", took.as_secs_f64()),
        };
        self.steps.push(Step {
            id,
            status,
            failures,
            message,
            sql,
            reads,
            began: self.at_wall,
            took,
        });
        output.say(line(&text, &state))
    }

    /// Whether no step had anything to do.
    pub fn is_idle(&self) -> bool {
        self.count(Status::NoOp) == self.total
    }

    /// How many ended so.
    pub fn count(&self, status: Status) -> usize {
        self.steps.iter().filter(|step| step.status == status).count()
    }

    /// The last lines, and the file.
    pub fn finish(&self, output: &mut Output, models: &Models) -> Result<(), Failure> {
        let pass = self.count(Status::Pass) + self.count(Status::Success);
        let idle = self.count(Status::NoOp);
        let (warn, skip) = (self.count(Status::Warn), self.count(Status::Skip));
        let error = self.count(Status::Fail) + self.count(Status::Error);
        output.say(stamped(""))?;
        for step in &self.steps {
            if matches!(step.status, Status::Warn | Status::Fail | Status::Error) {
                output.say(stamped(&format!("{} in {}", step.status.name(), step.id)))?;
                for text in step.message.lines() {
                    output.say(stamped(&format!("  {text}")))?;
                }
            }
        }
        let total = self.steps.len();
        output.say(stamped(&format!(
            "Done. PASS={pass} WARN={warn} ERROR={error} SKIP={skip} NO-OP={idle} TOTAL={total}"
        )))?;
        for (name, n) in
            [("pass", pass), ("warn", warn), ("error", error), ("skip", skip), ("no_op", idle)]
        {
            output.result(name, n);
        }
        for step in &self.steps {
            output.object(&step.json())?;
        }
        let results: Vec<Value> = self.steps.iter().map(Step::json).collect();
        let text = json!({
            "metadata": {
                "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
                "generated_at": Utc::now().to_rfc3339(),
                "weir_version": env!("CARGO_PKG_VERSION"),
            },
            "elapsed_time": self.began.elapsed().as_secs_f64(),
            "results": results,
        });
        models.write("run_results.json", &format!("{text:#}\n"))
    }
}

impl Step {
    fn json(&self) -> Value {
        let time = |at: SystemTime| DateTime::<Utc>::from(at).to_rfc3339();
        json!({
            "unique_id": self.id,
            "status": self.status.name(),
            "failures": self.failures,
            "message": self.message,
            "execution_time": self.took.as_secs_f64(),
            "timing": [{
                "name": "execute",
                "started_at": time(self.began),
                "completed_at": time(self.began + self.took),
            }],
            "adapter_response": self.reads.map_or(json!({}), |reads| {
                json!({"files_read": reads.files, "bytes_read": reads.bytes})
            }),
            "compiled_code": self.sql,
        })
    }
}

/// A line with the time of day.
pub fn stamped(text: &str) -> String {
    format!("{}  {text}", Local::now().format("%H:%M:%S"))
}

fn line(text: &str, state: &str) -> String {
    stamped(&format!("{text:.<WIDTH$} {state}"))
}
