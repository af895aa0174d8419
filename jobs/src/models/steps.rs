//! The steps of `weir run` and `weir build`: what is built and tested, several models at a time where that is
//! asked for, and what is skipped because something before it failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use tokio::runtime::Handle;
use weir_catalog::Lake;
use weir_contract::class::ErrorClass;
use weir_transforms::data_test;
use weir_transforms::engine::Reads;
use weir_transforms::project::{DataTest, Model};
use weir_transforms::run::{Ask, Built};

use super::Models;
use super::checks::{data_id, one_data, one_unit, unit_id};
use super::screen::{Ended, PROGRESS, Screen, Started, Status, watched};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Done;

/// What is asked of a run.
pub struct Asked {
    /// What to build.
    pub ask: Ask,
    /// Test the models, too.
    pub tested: bool,
    /// Skip the rest after the first failure.
    pub fail_fast: bool,
}

/// A run under way. Its threads share it.
pub struct Run<'r> {
    models: &'r Models,
    lake: &'r Lake,
    asked: Asked,
    /// Of each model all those before it.
    before: BTreeMap<String, BTreeSet<String>>,
    state: Mutex<State<'r>>,
    ready: Condvar,
}

struct State<'r> {
    screen: Screen,
    output: &'r mut Output,
    /// Models that have not begun, parents first.
    waiting: Vec<String>,
    /// Models whose tables are as they are going to be: tests of their rows can run.
    there: BTreeSet<String>,
    /// Models that have ended, well or not.
    done: BTreeSet<String>,
    /// Those that are not as they should be: what reads them is skipped.
    broken: BTreeSet<String>,
    /// Of what did not work.
    classes: Vec<ErrorClass>,
    /// Why nobody can be told of the run any more.
    lost: Option<Failure>,
}

impl<'r> Run<'r> {
    /// A run over the models in `order`, parents first.
    pub fn new(
        models: &'r Models,
        lake: &'r Lake,
        order: Vec<String>,
        asked: Asked,
        output: &'r mut Output,
    ) -> Run<'r> {
        let graph = models.project.graph();
        let chosen: BTreeSet<&String> = order.iter().collect();
        let ancestors = |name: &String| {
            let all = graph.ancestors(name, None).into_iter();
            (name.clone(), all.filter(|name| chosen.contains(name)).collect())
        };
        let before = order.iter().map(ancestors).collect();
        let state = State {
            screen: Screen::new(steps(models, &order, asked.tested)),
            output,
            waiting: order,
            there: BTreeSet::new(),
            done: BTreeSet::new(),
            broken: BTreeSet::new(),
            classes: Vec::new(),
            lost: None,
        };
        Run { models, lake, asked, before, state: Mutex::new(state), ready: Condvar::new() }
    }

    /// Does all steps, of at most `threads` models at the same time.
    pub fn work(&self, threads: usize, runtime: &Handle) {
        std::thread::scope(|scope| {
            for number in 1..threads {
                let thread = Builder::new().name(format!("thread-{number}"));
                // Where no more can be had, those that are there do the work.
                let _ = thread.spawn_scoped(scope, || self.work_alone(runtime));
            }
            self.work_alone(runtime);
        });
    }

    fn work_alone(&self, runtime: &Handle) {
        while let Some(name) = self.next() {
            let ended = runtime.block_on(self.model(&self.models.project.models[&name]));
            let mut state = self.state();
            state.done.insert(name);
            state.lost = state.lost.take().or(ended.err());
            drop(state);
            self.ready.notify_all();
        }
    }

    /// The next model whose parents have ended, once there is one; none if none is left.
    fn next(&self) -> Option<String> {
        let mut state = self.state();
        loop {
            if state.lost.is_some() || state.waiting.is_empty() {
                return None;
            }
            let is_free = |name: &String| self.before[name].is_subset(&state.done);
            if let Some(at) = state.waiting.iter().position(is_free) {
                return Some(state.waiting.remove(at));
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Builds a model and tests it.
    async fn model(&self, model: &Model) -> Result<(), Failure> {
        let (name, tested) = (&model.name, self.asked.tested);
        let skipped = {
            let state = self.state();
            let before = &self.before[name];
            (self.asked.fail_fast && !state.broken.is_empty())
                || before.iter().any(|parent| state.broken.contains(parent))
        };
        if skipped {
            return self.skip(model, tested, model.is_stored());
        }
        if tested && !self.unit_tests(model).await? {
            return self.skip(model, false, model.is_stored());
        }
        if model.is_stored() && !self.build(model).await? {
            return self.skip(model, false, false);
        }
        match tested {
            true => self.data_tests(name).await,
            false => Ok(()),
        }
    }

    /// Runs the unit tests of a model; whether it may be built.
    async fn unit_tests(&self, model: &Model) -> Result<bool, Failure> {
        let mut good = true;
        for test in self.models.project.unit_tests.iter().filter(|test| test.model == model.name) {
            let started = self.start(format!("unit_test {}::{}", test.model, test.name))?;
            let ended = one_unit(self.models, test).await?;
            if ended.status != Status::Pass {
                good = false;
                self.broken(&model.name, ErrorClass::BadData);
            }
            self.end(started, ended, (String::new(), None))?;
        }
        Ok(good)
    }

    /// Runs the tests of rows that `name`, which has just been built, is the last to be there for.
    async fn data_tests(&self, name: &str) -> Result<(), Failure> {
        let tests = {
            let mut state = self.state();
            state.there.insert(name.to_string());
            due(self.models, name, &state.there)
        };
        if tests.is_empty() {
            return Ok(());
        }
        let engine = self.models.runner(self.lake).engine().await.map_err(Failure::catalog)?;
        for test in tests {
            let started = self.start(format!("test {}", test.name))?;
            let work = one_data(self.models, &engine, test);
            let ended = watched(PROGRESS, work, || self.goes_on(&started, None)).await?;
            if matches!(ended.status, Status::Fail | Status::Error) {
                self.broken(name, ErrorClass::BadData);
            }
            self.end(started, ended, (data_test::sql(&self.models.project, test), None))?;
        }
        Ok(())
    }

    /// Builds the table of a model; whether that went well.
    async fn build(&self, model: &Model) -> Result<bool, Failure> {
        let kind = match model.settings.strategy {
            Some(_) => "incremental",
            None => "table",
        };
        let started = self.start(format!("sql {kind} model {}", model.relation))?;
        let runner = self.models.runner(self.lake);
        let build = runner.build(model, &self.asked.ask);
        let built =
            watched(PROGRESS, build, || self.goes_on(&started, Some(runner.counter.reads())));
        let built = built.await?;
        let (status, message) = match built {
            Ok(Built::Done { rows, written: None, why: None }) => {
                (Status::Success, format!("{rows} rows"))
            }
            Ok(Built::Done { rows, why: Some(why), .. }) => {
                (Status::Success, format!("{rows} rows, all anew: {why},"))
            }
            Ok(Built::Done { rows, written: Some(written), .. }) => {
                (Status::Success, format!("{written} of {rows} rows"))
            }
            Ok(Built::UpToDate) => (Status::NoOp, String::new()),
            Err(error) => {
                self.broken(&model.name, error.class());
                (Status::Error, format!("{}: {error}", model.path))
            }
        };
        let id = model_id(&model.name);
        let sql = self.models.compiled[&model.name].sql.clone();
        let reads = Some(runner.counter.reads());
        let relation = Some(model.relation.to_string());
        let ended = Ended { id, status, failures: None, message, relation };
        self.end(started, ended, (sql, reads))?;
        Ok(status != Status::Error)
    }

    /// Passes over what is left of a model: its unit tests, its table, and the tests of rows.
    fn skip(&self, model: &Model, units: bool, table: bool) -> Result<(), Failure> {
        let mut state = self.state();
        state.broken.insert(model.name.clone());
        state.there.insert(model.name.clone());
        if units {
            for test in self.models.project.unit_tests.iter().filter(|t| t.model == model.name) {
                let what = format!("unit_test {}::{}", test.model, test.name);
                state.skipped(what, unit_id(test), None)?;
            }
        }
        if table {
            let relation = model.relation.to_string();
            state.skipped(format!("relation {relation}"), model_id(&model.name), Some(relation))?;
        }
        if !self.asked.tested {
            return Ok(());
        }
        let tests = due(self.models, &model.name, &state.there);
        for test in tests {
            state.skipped(format!("test {}", test.name), data_id(test), None)?;
        }
        Ok(())
    }

    fn broken(&self, name: &str, class: ErrorClass) {
        let mut state = self.state();
        state.broken.insert(name.to_string());
        state.classes.push(class);
    }

    fn start(&self, what: String) -> Result<Started, Failure> {
        let state = &mut *self.state();
        state.screen.start(state.output, what)
    }

    fn goes_on(&self, started: &Started, reads: Option<Reads>) -> Result<(), Failure> {
        let state = &mut *self.state();
        state.screen.goes_on(state.output, started, reads)
    }

    fn end(
        &self,
        started: Started,
        ended: Ended,
        made: (String, Option<Reads>),
    ) -> Result<(), Failure> {
        let state = &mut *self.state();
        state.screen.end(state.output, started, ended, made)
    }

    fn state(&self) -> MutexGuard<'_, State<'r>> {
        // A thread that panics ends the process.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of it, after its last lines; `idle`: whether a run that had nothing to do says so.
    pub fn finish(self, idle: bool) -> Result<Done, Failure> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let State { screen, output, classes, lost, .. } = state;
        if let Some(failure) = lost {
            return Err(failure);
        }
        screen.finish(output, self.models)?;
        let class = match classes.as_slice() {
            [] if idle && screen.is_idle() => return Ok(Done::Idle),
            [] => return Ok(Done::Done),
            all => class_of(all),
        };
        let what = match classes.len() {
            1 => "1 step of the run failed".to_string(),
            n => format!("{n} steps of the run failed"),
        };
        Err(Failure::new(class, what).next(format!(
            "look at what is listed above; what has been built stands, and the SQL of each step is in {}",
            self.models.target("run_results.json").display()
        )))
    }
}

impl State<'_> {
    fn skipped(
        &mut self,
        what: String,
        id: String,
        relation: Option<String>,
    ) -> Result<(), Failure> {
        let started = self.screen.passed_over(what);
        let (status, message) = (Status::Skip, String::new());
        let ended = Ended { id, status, failures: None, message, relation };
        self.screen.end(self.output, started, ended, (String::new(), None))
    }
}

/// What steps that failed come to. As in dbt that is exit code 1, whatever was wrong with them; 75 where another
/// try may do.
fn class_of(failed: &[ErrorClass]) -> ErrorClass {
    match failed.iter().all(|class| class.exit_code() == ErrorClass::Retry.exit_code()) {
        true => ErrorClass::Retry,
        false => ErrorClass::BadData,
    }
}

/// dbt's id of a model.
fn model_id(name: &str) -> String {
    format!("model.weir.{name}")
}

/// Steps of a run: views are no steps, they are computed where they are named.
fn steps(models: &Models, order: &[String], tested: bool) -> usize {
    let (mut steps, mut there) = (0, BTreeSet::new());
    for name in order {
        there.insert(name.clone());
        steps += usize::from(models.project.models[name].is_stored());
        if tested {
            steps += models.project.unit_tests.iter().filter(|test| test.model == *name).count();
            steps += due(models, name, &there).len();
        }
    }
    steps
}

/// The tests of rows that can run once `name`, the last of `there`, is there.
fn due<'m>(models: &'m Models, name: &str, there: &BTreeSet<String>) -> Vec<&'m DataTest> {
    let is_due = |test: &&DataTest| {
        test.models.contains(name) && test.models.iter().all(|model| there.contains(model))
    };
    models.project.data_tests.iter().filter(is_due).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_may_be_tried_again_if_all_that_failed_may() {
        use ErrorClass::{BadConfig, BadData, Denied, Fenced, Retry};
        for (failed, code) in [
            (&[Retry][..], 75),
            (&[Retry, Fenced], 75),
            (&[Retry, BadData], 1),
            (&[BadConfig], 1),
            (&[Denied], 1),
        ] {
            assert_eq!(class_of(failed).exit_code(), code, "{failed:?}");
        }
    }
}
