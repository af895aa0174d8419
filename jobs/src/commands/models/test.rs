//! `weir test`.

use weir_catalog::Lake;
use weir_contract::class::ErrorClass;
use weir_transforms::data_test;
use weir_transforms::project::{DataTest, UnitTest};

use crate::cli;
use crate::failure::Failure;
use crate::lake::open as lake;
use crate::models::checks::{one_data, one_unit};
use crate::models::screen::{PROGRESS, Screen, Status, stamped, watched};
use crate::models::{Models, made};
use crate::output::Output;
use crate::session::{Done, Session};

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
        .filter(|test| !asked.unit && test.models.iter().all(|model| chosen.contains(model)))
        .collect();
    output.say(stamped(&models.found()))?;
    if unit.is_empty() && data.is_empty() {
        output.say(stamped("Nothing to do: no test is selected"))?;
        return Ok(Done::Done);
    }
    let mut screen = Screen::new(unit.len() + data.len());
    for test in unit {
        let started = screen.start(output, format!("unit_test {}::{}", test.model, test.name))?;
        let ended = one_unit(models, test).await?;
        screen.end(output, started, ended, (String::new(), None))?;
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
        let started = screen.start(output, format!("test {}", test.name))?;
        let ended = watched(PROGRESS, one_data(models, engine, test), || {
            screen.goes_on(output, &started, None)
        });
        let ended = ended.await?;
        screen.end(output, started, ended, (data_test::sql(project, test), None))?;
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
