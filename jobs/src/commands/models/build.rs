//! `weir run` and `weir build`.

use weir_transforms::run::Ask;
use weir_transforms::windows::Ranges;

use crate::cli;
use crate::failure::Failure;
use crate::lake::open as lake;
use crate::models::Models;
use crate::models::screen::stamped;
use crate::models::steps::{Asked, Run};
use crate::session::{Done, Session};

/// Builds tables, parents first; with their tests, if `tested`.
pub fn run(asked: &cli::Run, tested: bool, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let ask = Ask { full: asked.full_refresh, between: between(asked)? };
    let lake = lake(&config, false)?;
    let runtime = session.runtime()?;
    let (models, order) = runtime.block_on(async {
        let vars = asked.selection.vars.as_deref();
        let models = Models::load(&config, Some(&lake), vars).await?;
        let chosen = models.chosen(&asked.selection)?;
        let order = models.project.graph().order().unwrap_or_default();
        let order: Vec<String> = order.into_iter().filter(|name| chosen.contains(name)).collect();
        session.output.say(stamped(&models.found()))?;
        Ok((models, order))
    })?;
    let asked_of = Asked { ask, tested, fail_fast: asked.fail_fast };
    let run = Run::new(&models, &lake, order, asked_of, &mut session.output);
    run.work(asked.threads, runtime.handle());
    run.finish(asked.exit_99_when_idle)
}

/// The times whose windows are asked for.
fn between(asked: &cli::Run) -> Result<Option<Ranges>, Failure> {
    let (Some(start), Some(end)) = (asked.event_time_start, asked.event_time_end) else {
        return Ok(None);
    };
    match start < end {
        true => Ok(Some(Ranges::of([(start.timestamp_micros(), end.timestamp_micros())]))),
        false => Err(Failure::config(format!("--event-time-start {start} is not before {end}"))),
    }
}
