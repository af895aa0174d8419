//! `weir contracts plan` and `weir contracts apply`.

use serde_json::{Value, json};
use weir_catalog::Lake;
use weir_catalog::evolve::{self, Evolution};
use weir_contract::contract::Contract;

use super::{choose, contracts, lake};
use crate::cli;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};

const COLUMNS: [Column; 4] = [
    Column::text("contract"),
    Column::text("table"),
    Column::text("outcome"),
    Column::text("what"),
];

/// Says what the contracts would change in their tables.
pub fn plan(asked: &cli::Evolve, session: &mut Session) -> Result<Done, Failure> {
    run(asked, false, session)
}

/// Changes the tables as their contracts ask, all or none.
pub fn apply(asked: &cli::Evolve, session: &mut Session) -> Result<Done, Failure> {
    run(asked, true, session)
}

fn run(asked: &cli::Evolve, apply: bool, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let contracts = named(&config, &asked.names)?;
    let lake = lake(&config, false)?;
    let plans = session.block_on(look(&lake, &contracts))?;
    let refused: Vec<&Evolution> = plans.iter().filter(|plan| !plan.refused.is_empty()).collect();
    let changes: usize = plans.iter().map(|plan| plan.steps.len()).sum();
    if apply && refused.is_empty() {
        session.block_on(async {
            for (contract, plan) in contracts.iter().zip(&plans) {
                if !plan.steps.is_empty() {
                    evolve::apply(&lake, contract).await.map_err(Failure::catalog)?;
                }
            }
            Ok(())
        })?;
    }
    let outcome = match (apply, refused.is_empty()) {
        (true, true) => "done",
        (true, false) => "left",
        (false, _) => "planned",
    };
    let rows: Vec<Vec<Value>> =
        contracts.iter().zip(&plans).flat_map(|(c, plan)| rows(&c.id, plan, outcome)).collect();
    session.output.table(&COLUMNS, &rows)?;
    session.output.result("plans", json!(plans));
    session.output.result("changes", changes);
    if let Some(first) = refused.first() {
        let what = match refused.len() {
            1 => format!("the contract of {} asks for what cannot be done", first.table),
            n => format!("{n} contracts ask for what cannot be done"),
        };
        let places = refused.iter().flat_map(|plan| {
            plan.refused.iter().map(|refusal| format!("table {}: {refusal}", plan.table))
        });
        let failure = Failure::config(what).next("take the way out; nothing was changed");
        return Err(places.fold(failure, Failure::at));
    }
    Ok(if changes == 0 && asked.exit_99_when_idle { Done::Idle } else { Done::Done })
}

async fn look(lake: &Lake, contracts: &[Contract]) -> Result<Vec<Evolution>, Failure> {
    let mut plans = Vec::with_capacity(contracts.len());
    for contract in contracts {
        plans.push(evolve::plan(lake, contract).await.map_err(Failure::catalog)?);
    }
    Ok(plans)
}

/// The contracts of the streams and reference tables that were named, or of all.
fn named(config: &Config, names: &[String]) -> Result<Vec<Contract>, Failure> {
    let streams = config.streams.iter().map(|(name, of)| (name.clone(), of.contract.clone()));
    let references = config.references.iter().map(|(name, of)| (name.clone(), of.contract.clone()));
    let all = streams.chain(references).collect();
    let chosen = choose("stream or reference table", &all, names)?;
    chosen.iter().map(|(_, file)| contracts::any(file)).collect()
}

fn rows(contract: &str, plan: &Evolution, outcome: &str) -> Vec<Vec<Value>> {
    let row = |outcome: &str, what: String| {
        vec![json!(contract), json!(plan.table.to_string()), json!(outcome), json!(what)]
    };
    if !plan.exists {
        return vec![row("no table yet", "the first ingest or load makes it".into())];
    }
    let mut rows: Vec<_> =
        plan.refused.iter().map(|refusal| row("refused", refusal.to_string())).collect();
    rows.extend(plan.steps.iter().map(|step| row(outcome, step.to_string())));
    if rows.is_empty() {
        rows.push(row("fits", "nothing to do".into()));
    }
    if !plan.unused.is_empty() {
        let what = format!("only the table has {}: null in new rows", plan.unused.join(", "));
        rows.push(row("unused", what));
    }
    rows
}
