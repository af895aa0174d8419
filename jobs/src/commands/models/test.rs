//! `weir test`.

use weir_catalog::Lake;
use weir_contract::class::ErrorClass;
use weir_transforms::project::{DataTest, Severity, UnitTest};
use weir_transforms::{data_test, unit_test};

use super::screen::{Screen, Status, stamped};
use super::show::pretty;
use super::{Models, made};
use crate::cli;
use crate::commands::lake;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::{Done, Session};

/// Rows of a unit test that are shown.
const SHOWN_MAX: usize = 10;

/// Runs unit tests, then tests of the data.
pub fn run(asked: &cli::Test, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = if asked.unit { made(&config)? } else { Some(lake(&config, false)?) };
    let runtime = session.runtime()?;
    runtime.block_on(async {
        let vars = asked.selection.vars.as_deref();
        let models = Models::load(&config, lake.as_ref(), vars).await?;
        tests(asked, &models, lake.as_ref(), &mut session.output).await
    })
}

async fn tests(
    asked: &cli::Test,
    models: &Models,
    lake: Option<&Lake>,
    output: &mut Output,
) -> Result<Done, Failure> {
    let chosen = models.chosen(&asked.selection)?;
    let project = &models.project;
    let unit: Vec<&UnitTest> = (project.unit_tests.iter())
        .filter(|test| !asked.data && chosen.contains(&test.model))
        .collect();
    let data: Vec<&DataTest> = (project.data_tests.iter())
        .filter(|test| !asked.unit && test.models.iter().any(|model| chosen.contains(model)))
        .collect();
    output.say(stamped(&format!(
        "Found {} models, {} data tests, {} unit tests",
        project.models.len(),
        project.data_tests.len(),
        project.unit_tests.len()
    )))?;
    if unit.is_empty() && data.is_empty() {
        output.say(stamped("Nothing to do: no test is selected"))?;
        return Ok(Done::Done);
    }
    let mut screen = Screen::new(unit.len() + data.len());
    for test in unit {
        one_unit(models, test, &mut screen, output).await?;
        if asked.fail_fast && failed(&screen) {
            return finish(&screen, models, output);
        }
    }
    let engine = match lake {
        Some(lake) if !data.is_empty() => {
            Some(models.runner(lake).engine().await.map_err(Failure::catalog)?)
        }
        _ => None,
    };
    for test in data {
        let Some(engine) = &engine else { continue };
        let what = format!("test {}", test.name);
        screen.start(output, &what)?;
        let ended = one_data(models, engine, test).await;
        screen.end(output, &what, ended, data_test::sql(project, test))?;
        if asked.fail_fast && failed(&screen) {
            break;
        }
    }
    finish(&screen, models, output)
}

fn failed(screen: &Screen) -> bool {
    screen.count(Status::Fail) + screen.count(Status::Error) > 0
}

fn finish(screen: &Screen, models: &Models, output: &mut Output) -> Result<Done, Failure> {
    screen.finish(output, models)?;
    match screen.count(Status::Fail) + screen.count(Status::Error) {
        0 => Ok(Done::Done),
        1 => Err(Failure::new(ErrorClass::BadData, "1 test failed")),
        n => Err(Failure::new(ErrorClass::BadData, format!("{n} tests failed"))),
    }
    .map_err(|failure| {
        failure.next(format!(
            "look at what is listed above; the SQL of each test is in {}",
            models.target("run_results.json").display()
        ))
    })
}

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
    screen.end(output, &what, ended, String::new())
}

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
