//! Unit tests of models and tests of their rows, as steps of a run.

use weir_transforms::engine::Engine;
use weir_transforms::project::{DataTest, Severity, UnitTest};
use weir_transforms::{data_test, unit_test};

use super::Models;
use super::screen::{Ended, Status};
use crate::commands::models::show::pretty;
use crate::failure::Failure;

/// Rows of a unit test that are shown.
const SHOWN_MAX: usize = 10;

/// dbt's id of a unit test.
pub fn unit_id(test: &UnitTest) -> String {
    format!("unit_test.weir.{}.{}", test.model, test.name)
}

/// dbt's id of a test of rows.
pub fn data_id(test: &DataTest) -> String {
    format!("test.weir.{}", test.name)
}

/// Runs a unit test; how its step ends.
pub async fn one_unit(models: &Models, test: &UnitTest) -> Result<Ended, Failure> {
    let ran = unit_test::run(&models.project, &models.compiled, &models.columns, test).await;
    let id = unit_id(test);
    let (status, failures, message) = match ran.map_err(Failure::catalog)? {
        unit_test::Outcome::Passed => (Status::Pass, None, String::new()),
        unit_test::Outcome::Wrong(why) => (Status::Error, None, test.place.says(why).to_string()),
        unit_test::Outcome::Failed { missing, surplus } => {
            let list = |sign: &str, rows: &[String]| {
                let shown = rows.iter().take(SHOWN_MAX).map(|row| format!("\n{sign} {row}"));
                let more = rows.len().saturating_sub(SHOWN_MAX);
                let more = (more > 0).then(|| format!("\n{sign} and {more} more"));
                shown.chain(more).collect::<String>()
            };
            let place = test.place.says("expected (-) and actual (+) rows differ:");
            let text = format!("{place}{}{}", list("-", &missing), list("+", &surplus));
            (Status::Fail, Some((missing.len() + surplus.len()) as u64), text)
        }
    };
    Ok(Ended { id, status, failures, message, relation: None })
}

/// Runs a test of rows; how its step ends.
pub async fn one_data(models: &Models, engine: &Engine, test: &DataTest) -> Ended {
    let id = data_id(test);
    let (status, failures, message) = match data_test::run(engine, &models.project, test).await {
        Err(error) => (Status::Error, None, test.place.says(error.message()).to_string()),
        Ok(outcome) if outcome.failures == 0 => (Status::Pass, Some(0), String::new()),
        Ok(outcome) => {
            let status = match test.severity {
                Severity::Error => Status::Fail,
                Severity::Warn => Status::Warn,
            };
            let n = outcome.failures;
            let rows = pretty(outcome.shown).unwrap_or_default();
            let says = test.place.says(format!("{n} rows fail, for example:"));
            (status, Some(n), format!("{says}\n{rows}"))
        }
    };
    Ended { id, status, failures, message, relation: None }
}
