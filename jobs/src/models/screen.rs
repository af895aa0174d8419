//! The lines that dbt's users know, and `run_results.json`.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Local, Utc};
use serde_json::{Value, json};
use tokio::time::timeout;
use weir_transforms::engine::Reads;

use super::Models;
use crate::failure::Failure;
use crate::output::Output;

/// Where dots end and a status begins.
const WIDTH: usize = 70;
/// How often is told that a long step goes on.
pub const PROGRESS: Duration = Duration::from_secs(10);

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

/// A step that has begun.
pub struct Started {
    what: String,
    number: usize,
    began: Instant,
    began_wall: SystemTime,
}

/// How a step ended.
pub struct Ended {
    /// dbt's id, such as `test.weir.not_null_fct_vends_event_id`.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// Rows that fail.
    pub failures: Option<u64>,
    /// What to say of it.
    pub message: String,
    /// The table that it builds, or would have built.
    pub relation: Option<String>,
}

/// One step of a run.
struct Step {
    ended: Ended,
    thread: String,
    sql: String,
    /// What building a table read of data files.
    reads: Option<Reads>,
    began: SystemTime,
    took: Duration,
}

/// A run under way.
pub struct Screen {
    total: usize,
    began: Instant,
    started: usize,
    steps: Vec<Step>,
}

impl Screen {
    /// A run of `total` steps.
    pub fn new(total: usize) -> Screen {
        Screen { total, began: Instant::now(), started: 0, steps: Vec::new() }
    }

    /// A step begins.
    pub fn start(&mut self, output: &mut Output, what: String) -> Result<Started, Failure> {
        let started = self.passed_over(what);
        let text = format!("{} of {} START {} ", started.number, self.total, started.what);
        output.say(line(&text, "[RUN]"))?;
        Ok(started)
    }

    /// It is still under way, and has read so much of data files if that is known.
    pub fn goes_on(
        &self,
        output: &mut Output,
        started: &Started,
        reads: Option<Reads>,
    ) -> Result<(), Failure> {
        let text = format!("{} of {} RUN {} ", started.number, self.total, started.what);
        let seconds = started.began.elapsed().as_secs();
        let far = reads.map_or("running".to_string(), |reads| {
            let mib = reads.bytes as f64 / f64::from(1 << 20);
            format!("{mib:.1} MiB of {} files read", reads.files)
        });
        output.say(line(&text, &format!("[{far} in {seconds}s]")))
    }

    /// A step that ends as it begins.
    pub fn passed_over(&mut self, what: String) -> Started {
        self.started += 1;
        let number = self.started;
        Started { what, number, began: Instant::now(), began_wall: SystemTime::now() }
    }

    /// It has ended.
    pub fn end(
        &mut self,
        output: &mut Output,
        started: Started,
        ended: Ended,
        (sql, reads): (String, Option<Reads>),
    ) -> Result<(), Failure> {
        let Started { what, number, began, began_wall } = started;
        let took = began.elapsed();
        let n = ended.failures.unwrap_or(0);
        let word = match ended.status {
            Status::Success => "OK".to_string(),
            Status::Skip => "SKIP".to_string(),
            other => other.name().to_uppercase(),
        };
        let count = if n > 0 { format!(" {n}") } else { String::new() };
        let text =
            format!("{number} of {} {word}{count} {} ", self.total, done(&what, ended.status));
        let state = match ended.status {
            Status::Skip => "[SKIP]".to_string(),
            Status::Success => format!("[{} in {:.2}s]", ended.message, took.as_secs_f64()),
            _ => format!("[{word}{count} in {:.2}s]", took.as_secs_f64()),
        };
        let thread = std::thread::current().name().unwrap_or("main").to_string();
        self.steps.push(Step { ended, thread, sql, reads, began: began_wall, took });
        output.say(line(&text, &state))
    }

    /// Whether no step had anything to do.
    pub fn is_idle(&self) -> bool {
        self.count(Status::NoOp) == self.total
    }

    /// How many ended so.
    pub fn count(&self, status: Status) -> usize {
        self.steps.iter().filter(|step| step.ended.status == status).count()
    }

    /// The last lines, and the file.
    pub fn finish(&self, output: &mut Output, models: &Models) -> Result<(), Failure> {
        let pass = self.count(Status::Pass) + self.count(Status::Success);
        let idle = self.count(Status::NoOp);
        let (warn, skip) = (self.count(Status::Warn), self.count(Status::Skip));
        let error = self.count(Status::Fail) + self.count(Status::Error);
        output.say(stamped(""))?;
        for Step { ended: step, .. } in &self.steps {
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
                "env": {"weir_version": env!("CARGO_PKG_VERSION")},
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
            "unique_id": self.ended.id,
            "status": self.ended.status.name(),
            "failures": self.ended.failures,
            "message": self.ended.message,
            "execution_time": self.took.as_secs_f64(),
            "thread_id": self.thread,
            "timing": [{
                "name": "execute",
                "started_at": time(self.began),
                "completed_at": time(self.began + self.took),
            }],
            "adapter_response": self.reads.map_or(json!({}), |reads| {
                json!({"files_read": reads.files, "bytes_read": reads.bytes})
            }),
            "compiled": !self.sql.is_empty(),
            "compiled_code": self.sql,
            "relation_name": self.ended.relation,
        })
    }
}

/// Works on; each time that it took so long again, that is told.
pub async fn watched<T>(
    every: Duration,
    work: impl Future<Output = T>,
    mut tell: impl FnMut() -> Result<(), Failure>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    loop {
        match timeout(every, &mut work).await {
            Ok(done) => return Ok(done),
            Err(_) => tell()?,
        }
    }
}

/// What was done, as dbt says it: `test` stands only where one starts or is passed over.
fn done(what: &str, status: Status) -> String {
    match status {
        Status::Skip | Status::NoOp => what.to_string(),
        Status::Success => format!("created {what}"),
        Status::Error if what.starts_with("sql ") => format!("creating {what}"),
        _ => what.split_once(' ').map_or(what, |(_, name)| name).to_string(),
    }
}

/// A line with the time of day.
pub fn stamped(text: &str) -> String {
    format!("{}  {text}", Local::now().format("%H:%M:%S"))
}

fn line(text: &str, state: &str) -> String {
    stamped(&format!("{text:.<WIDTH$} {state}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_long_is_told_until_it_is_done() {
        let mut told = 0;
        let work = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            7
        };
        let done = watched(Duration::from_millis(5), work, || {
            told += 1;
            Ok(())
        });
        assert_eq!(done.await.ok(), Some(7));
        assert!(told > 1, "told {told} times");
        let lost = watched(Duration::from_millis(1), std::future::pending::<()>(), || {
            Err(Failure::config("nobody listens"))
        });
        assert!(lost.await.is_err());
    }

    #[test]
    fn lines_are_those_of_dbt() {
        for (what, status, line) in [
            ("sql table model mart.x", Status::Success, "created sql table model mart.x"),
            ("sql table model mart.x", Status::Error, "creating sql table model mart.x"),
            ("sql table model mart.x", Status::NoOp, "sql table model mart.x"),
            ("test not_null_x_a", Status::Pass, "not_null_x_a"),
            ("test not_null_x_a", Status::Error, "not_null_x_a"),
            ("test not_null_x_a", Status::Skip, "test not_null_x_a"),
            ("unit_test x::y", Status::Fail, "x::y"),
        ] {
            assert_eq!(done(what, status), line);
        }
    }
}
