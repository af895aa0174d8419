//! `weir wait`.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use weir_contract::class::ErrorClass;
use weir_transforms::complete::{Complete, Standing};
use weir_transforms::project::Model;

use crate::cli;
use crate::failure::Failure;
use crate::lake::open as lake;
use crate::models::Models;
use crate::session::{Done, Session};

/// How often is looked.
const PAUSE: Duration = Duration::from_secs(2);

/// Waits until the rows of a model are complete up to a time.
pub fn run(asked: &cli::Wait, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let until = Complete::Until(asked.until.timestamp_micros());
    let patience = asked.patience.unwrap_or_default();
    let began = Instant::now();
    session.runtime()?.block_on(async {
        let mut models = Models::load(&config, Some(&lake), asked.vars.as_deref()).await?;
        let name = models.named(&asked.model)?;
        loop {
            let model = &models.project.models[&name];
            let standing = models.runner(&lake).standing(model).await.map_err(Failure::catalog)?;
            let complete = standing.as_ref().map_or(Complete::Unknown, |s| s.complete);
            session.output.result("complete_until", shown(complete));
            if standing.is_some() && complete >= until {
                session.output.say(format!("{} {}", model.relation, words(complete)))?;
                return Ok(Done::Done);
            }
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(not_yet(asked, model, standing.as_ref()));
            }
            tokio::time::sleep(PAUSE.min(left)).await;
            models.look_again(&config, &lake).await?;
        }
    })
}

fn not_yet(asked: &cli::Wait, model: &Model, standing: Option<&Standing>) -> Failure {
    let (relation, until) = (&model.relation, asked.until.to_rfc3339());
    let build = format!("weir run --select +{}", model.name);
    let Some(standing) = standing else {
        let what = format!("{relation} has not been built");
        return Failure::new(ErrorClass::Retry, what).next(format!("build it: {build}"));
    };
    let what = format!("{relation} {}, not yet until {until}", words(standing.complete));
    let mut failure = Failure::new(ErrorClass::Retry, what);
    for table in &standing.behind {
        failure = failure.at(format!("{table} has records that {relation} is not made of"));
    }
    for (stream, covered_us) in &standing.streams {
        let covered = covered_us.map_or(Complete::Unknown, Complete::Until);
        failure = failure.at(match covered {
            Complete::Until(_) => format!("{stream} holds all that came until {}", text(covered)),
            _ => format!("of {stream} it is not known until when it holds all that came"),
        });
    }
    failure.next(match standing.behind.is_empty() {
        true => "let `weir ingest` run, which says up to when a stream is covered; then wait again"
            .into(),
        false => format!("build it, then wait again: {build}"),
    })
}

fn words(complete: Complete) -> String {
    match complete {
        Complete::Until(_) => format!("is complete until {}", text(complete)),
        Complete::Always => "is not made of streams, and complete".into(),
        Complete::Unknown => "is complete until a time that is not known".into(),
    }
}

/// The time for machines; null if there is none.
pub(super) fn shown(complete: Complete) -> Value {
    match complete {
        Complete::Until(_) => json!(text(complete)),
        Complete::Always | Complete::Unknown => Value::Null,
    }
}

fn text(complete: Complete) -> String {
    let time = match complete {
        Complete::Until(us) => DateTime::<Utc>::from_timestamp_micros(us),
        _ => None,
    };
    time.map_or("?".into(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
