//! The steps of `weir run`, `weir build` and `weir test`: what is built and tested, and what is skipped
//! because something before it failed.

use std::collections::BTreeSet;

use weir_catalog::Lake;
use weir_contract::class::ErrorClass;
use weir_transforms::engine::Reads;
use weir_transforms::project::{DataTest, Model, Severity, UnitTest};
use weir_transforms::run::{Ask, Built};
use weir_transforms::{data_test, unit_test};

use super::Models;
use super::screen::{Screen, Status};
use crate::commands::models::show::pretty;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Done;

/// Rows of a unit test that are shown.
const SHOWN_MAX: usize = 10;

/// Steps of a run: views are no steps, they are computed where they are named.
fn steps(models: &Models, order: &[String], tested: bool) -> usize {
    let mut steps = 0;
    for (at, name) in order.iter().enumerate() {
        let model = &models.project.models[name];
        steps += usize::from(model.is_stored());
        if tested {
            steps += models.project.unit_tests.iter().filter(|test| test.model == *name).count();
            steps += due(models, name, &order[..=at]).count();
        }
    }
    steps
}

/// The tests of the data that can run once `name`, the last of `done`, is there.
fn due<'m>(
    models: &'m Models,
    name: &'m str,
    done: &'m [String],
) -> impl Iterator<Item = &'m DataTest> {
    models.project.data_tests.iter().filter(move |test| {
        test.models.contains(name) && test.models.iter().all(|model| done.contains(model))
    })
}

/// A run under way.
pub struct Run<'r> {
    models: &'r Models,
    lake: &'r Lake,
    ask: Ask,
    fail_fast: bool,
    screen: Screen,
    /// Models that are not as they should be: what reads them is skipped.
    broken: BTreeSet<String>,
    /// Of what did not work.
    classes: Vec<ErrorClass>,
}

impl<'r> Run<'r> {
    /// A run over the models in `order`, parents first; with their tests, if `tested`.
    pub fn new(
        models: &'r Models,
        lake: &'r Lake,
        order: &[String],
        tested: bool,
        (ask, fail_fast): (Ask, bool),
    ) -> Run<'r> {
        let screen = Screen::new(steps(models, order, tested));
        Run { models, lake, ask, fail_fast, screen, broken: BTreeSet::new(), classes: Vec::new() }
    }

    /// Whether every step so far found nothing to do.
    pub fn is_idle(&self) -> bool {
        self.screen.is_idle()
    }

    /// Builds `name`, the last of `done`, and tests it, if `tested`.
    pub async fn model(
        &mut self,
        name: &str,
        done: &[String],
        tested: bool,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let models = self.models;
        let model = &models.project.models[name];
        let skipped = (self.fail_fast && !self.broken.is_empty())
            || model.refs.iter().any(|parent| self.broken.contains(parent));
        if skipped {
            self.broken.insert(name.to_string());
            return self.skip(model, model.is_stored(), done, tested, output);
        }
        if tested {
            for test in models.project.unit_tests.iter().filter(|test| test.model == name) {
                one_unit(models, test, &mut self.screen, output).await?;
            }
            if self.failed() {
                self.broken.insert(name.to_string());
                return self.skip_rest(model, model.is_stored(), done, output);
            }
        }
        if model.is_stored() {
            self.build(model, output).await?;
        }
        if !tested {
            return Ok(());
        }
        if self.broken.contains(name) {
            return self.skip_rest(model, false, done, output);
        }
        let tests: Vec<&DataTest> = due(models, name, done).collect();
        if tests.is_empty() {
            return Ok(());
        }
        let engine = models.runner(self.lake).engine().await.map_err(Failure::catalog)?;
        for test in tests {
            let what = format!("test {}", test.name);
            self.screen.start(output, &what)?;
            let ended = one_data(models, &engine, test).await;
            let sql = data_test::sql(&models.project, test);
            self.screen.end(output, &what, ended, (sql, None))?;
        }
        if self.failed() {
            self.broken.insert(name.to_string());
        }
        Ok(())
    }

    /// Whether a test failed that no table has been blamed for yet.
    fn failed(&mut self) -> bool {
        let failed = self.screen.count(Status::Fail) + self.screen.count(Status::Error);
        let new = failed > self.classes.len();
        self.classes.resize(failed, ErrorClass::BadData);
        new
    }

    async fn build(&mut self, model: &Model, output: &mut Output) -> Result<(), Failure> {
        let kind = match model.settings.strategy {
            Some(_) => "incremental",
            None => "table",
        };
        let what = format!("sql {kind} model {}", model.relation);
        let id = format!("model.weir.{}", model.name);
        self.screen.start(output, &what)?;
        let before = self.models.reads();
        let built = self.models.runner(self.lake).build(model, &self.ask).await;
        let ended = match built {
            Ok(Built::Done { rows, written: None, why: None }) => {
                (id, Status::Success, None, format!("{rows} rows"))
            }
            Ok(Built::Done { rows, why: Some(why), .. }) => {
                (id, Status::Success, None, format!("{rows} rows, all anew: {why},"))
            }
            Ok(Built::Done { rows, written: Some(written), .. }) => {
                (id, Status::Success, None, format!("{written} of {rows} rows"))
            }
            Ok(Built::UpToDate) => (id, Status::NoOp, None, String::new()),
            Err(error) => {
                self.broken.insert(model.name.clone());
                self.classes.push(error.class());
                (id, Status::Error, None, format!("{}: {error}", model.path))
            }
        };
        let created = match ended.1 {
            Status::Success => format!("created {what}"),
            _ => what,
        };
        let sql = self.models.compiled[&model.name].sql.clone();
        let now = self.models.reads();
        let reads = Reads { files: now.files - before.files, bytes: now.bytes - before.bytes };
        self.screen.end(output, &created, ended, (sql, Some(reads)))
    }

    fn skip(
        &mut self,
        model: &Model,
        is_table: bool,
        done: &[String],
        tested: bool,
        output: &mut Output,
    ) -> Result<(), Failure> {
        if !tested {
            return match is_table {
                true => self.skipped(format!("relation {}", model.relation), &model.name, output),
                false => Ok(()),
            };
        }
        let models = self.models;
        for test in models.project.unit_tests.iter().filter(|test| test.model == model.name) {
            self.skipped(format!("unit_test {}::{}", test.model, test.name), &test.name, output)?;
        }
        self.skip_rest(model, is_table, done, output)
    }

    fn skip_rest(
        &mut self,
        model: &Model,
        is_table: bool,
        done: &[String],
        output: &mut Output,
    ) -> Result<(), Failure> {
        if is_table {
            self.skipped(format!("relation {}", model.relation), &model.name, output)?;
        }
        for test in due(self.models, &model.name, done) {
            self.skipped(format!("test {}", test.name), &test.name, output)?;
        }
        Ok(())
    }

    fn skipped(&mut self, what: String, name: &str, output: &mut Output) -> Result<(), Failure> {
        let ended = (format!("skipped.weir.{name}"), Status::Skip, None, String::new());
        self.screen.end(output, &what, ended, (String::new(), None))
    }

    /// What came of it, after its last lines.
    pub fn end(&self, idle: bool, output: &mut Output) -> Result<Done, Failure> {
        self.screen.finish(output, self.models)?;
        let class = match self.classes.as_slice() {
            [] if idle => return Ok(Done::Idle),
            [] => return Ok(Done::Done),
            [one] => *one,
            several => match several.iter().all(|class| *class == ErrorClass::Retry) {
                true => ErrorClass::Retry,
                false => ErrorClass::BadData,
            },
        };
        let what = match self.classes.len() {
            1 => "1 step of the run failed".to_string(),
            n => format!("{n} steps of the run failed"),
        };
        Err(Failure::new(class, what).next(format!(
            "look at what is listed above; what has been built stands, and the SQL of each step is in {}",
            self.models.target("run_results.json").display()
        )))
    }
}

/// Runs a unit test as a step.
pub async fn one_unit(
    models: &Models,
    test: &UnitTest,
    screen: &mut Screen,
    output: &mut Output,
) -> Result<(), Failure> {
    let what = format!("unit_test {}::{}", test.model, test.name);
    screen.start(output, &what)?;
    let ran = unit_test::run(&models.project, &models.compiled, &models.columns, test).await;
    let id = format!("unit_test.weir.{}.{}", test.model, test.name);
    let ended = match ran.map_err(Failure::catalog)? {
        unit_test::Outcome::Passed => (id, Status::Pass, None, String::new()),
        unit_test::Outcome::Wrong(why) => {
            let place = test.place.says(why).to_string();
            (id, Status::Error, None, place)
        }
        unit_test::Outcome::Failed { missing, surplus } => {
            let list = |sign: &str, rows: &[String]| {
                let shown = rows.iter().take(SHOWN_MAX).map(|row| format!("\n{sign} {row}"));
                let more = rows.len().saturating_sub(SHOWN_MAX);
                let more = (more > 0).then(|| format!("\n{sign} and {more} more"));
                shown.chain(more).collect::<String>()
            };
            let place = test.place.says("expected (-) and actual (+) rows differ:");
            let text = format!("{place}{}{}", list("-", &missing), list("+", &surplus));
            (id, Status::Fail, Some((missing.len() + surplus.len()) as u64), text)
        }
    };
    screen.end(output, &what, ended, (String::new(), None))
}

/// Runs a test of the data; what to end its step with.
pub async fn one_data(
    models: &Models,
    engine: &weir_transforms::engine::Engine,
    test: &DataTest,
) -> (String, Status, Option<u64>, String) {
    let id = format!("test.weir.{}", test.name);
    match data_test::run(engine, &models.project, test).await {
        Err(error) => (id, Status::Error, None, test.place.says(error.message()).to_string()),
        Ok(outcome) if outcome.failures == 0 => (id, Status::Pass, Some(0), String::new()),
        Ok(outcome) => {
            let status = match test.severity {
                Severity::Error => Status::Fail,
                Severity::Warn => Status::Warn,
            };
            let n = outcome.failures;
            let rows = pretty(outcome.shown).unwrap_or_default();
            let says = test.place.says(format!("{n} rows fail, for example:"));
            (id, status, Some(n), format!("{says}\n{rows}"))
        }
    }
}
