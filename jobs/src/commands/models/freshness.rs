//! `weir freshness`.

use chrono::Utc;
use serde_json::{Value, json};
use weir_contract::class::ErrorClass;
use weir_transforms::complete::Complete;

use super::wait::shown;
use crate::cli;
use crate::commands::contracts;
use crate::config::Config;
use crate::failure::Failure;
use crate::lake::open as lake;
use crate::models::Models;
use crate::output::Column;
use crate::session::{Done, Session};

const COLUMNS: [Column; 5] = [
    Column::text("relation"),
    Column::text("complete_until"),
    Column::number("age_s"),
    Column::number("limit_s"),
    Column::text("status"),
];

/// Ages from which on something is stale, seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    warn_s: Option<i64>,
    error_s: Option<i64>,
}

/// Tells how fresh streams and tables of models are.
pub fn run(asked: &cli::Freshness, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let promised = promised(&config)?;
    let vars = asked.selection.vars.as_deref();
    let mut rows: Vec<Vec<Value>> = Vec::new();
    session.block_on(async {
        let models = Models::load(&config, Some(&lake), vars).await?;
        let chosen = models.chosen(&asked.selection)?;
        let now_us = Utc::now().timestamp_micros();
        let streams = models.sources.iter().filter(|source| source.key().is_none());
        for (source, limits) in streams.zip(promised) {
            let covered_us = source.covered_us().map_err(Failure::catalog)?;
            let complete = covered_us.map_or(Complete::Unknown, Complete::Until);
            rows.push(row(&source.table.to_string(), complete, limits, now_us));
        }
        let runner = models.runner(&lake);
        for model in models.project.models.values().filter(|m| m.is_stored()) {
            if !chosen.contains(&model.name) {
                continue;
            }
            let standing = runner.standing(model).await.map_err(Failure::catalog)?;
            let of = model.settings.freshness;
            let limits = Limits { warn_s: of.warn_after_s, error_s: of.error_after_s };
            let complete = standing.map_or(Complete::Unknown, |standing| standing.complete);
            rows.push(row(&model.relation.to_string(), complete, limits, now_us));
        }
        Ok(())
    })?;
    session.output.table(&COLUMNS, &rows)?;
    let stale = |status: &str| rows.iter().filter(|row| row[4] == status).count();
    session.output.result("relations", rows.len());
    session.output.result("warn", stale(WARN));
    match stale(ERROR) {
        0 => Ok(Done::Done),
        n => Err(Failure::new(ErrorClass::BadData, format!("{n} of {} are stale", rows.len())).next(
            "`weir lag` tells whether streams are ingested, `weir wait MODEL --until TIME` what a model \
             lacks",
        )),
    }
}

const PASS: &str = "pass";
const WARN: &str = "warn";
const ERROR: &str = "error";

/// What the contracts of the streams promise, in the order of the config.
fn promised(config: &Config) -> Result<Vec<Limits>, Failure> {
    let files: Vec<_> = config.streams.values().map(|stream| stream.contract.clone()).collect();
    let contracts = contracts::of_streams(&files)?;
    Ok(contracts.iter().map(|c| Limits { warn_s: None, error_s: c.latency_max_s }).collect())
}

fn row(relation: &str, complete: Complete, limits: Limits, now_us: i64) -> Vec<Value> {
    let age_s = match complete {
        Complete::Until(us) => Some((now_us - us).div_euclid(1_000_000)),
        Complete::Always | Complete::Unknown => None,
    };
    vec![
        json!(relation),
        shown(complete),
        json!(age_s),
        json!(limits.error_s.or(limits.warn_s)),
        json!(status(complete, age_s, limits)),
    ]
}

/// What is not known is as old as can be.
fn status(complete: Complete, age_s: Option<i64>, limits: Limits) -> &'static str {
    let is_over = |limit: Option<i64>| limit.is_some_and(|l| age_s.is_none_or(|age| age > l));
    match limits {
        _ if complete == Complete::Always => PASS,
        Limits { error_s, .. } if is_over(error_s) => ERROR,
        Limits { warn_s, .. } if is_over(warn_s) => WARN,
        _ => PASS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_its_limit_is_stale_and_what_is_not_known_too() {
        let limits = Limits { warn_s: Some(60), error_s: Some(3_600) };
        let of = |age_s: i64| row("x", Complete::Until(0), limits, age_s * 1_000_000)[4].clone();
        assert_eq!((of(60), of(61), of(3_601)), (json!(PASS), json!(WARN), json!(ERROR)));
        assert_eq!(row("x", Complete::Unknown, limits, 0)[4], ERROR);
        assert_eq!(row("x", Complete::Unknown, Limits::default(), 0)[4], PASS);
        assert_eq!(row("x", Complete::Always, limits, 0)[4], PASS);
    }
}
