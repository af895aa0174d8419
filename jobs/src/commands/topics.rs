//! `weir topics`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_contract::class::ErrorClass;
use weir_contract::contract::Topic;
use weir_ingest::kafka::KafkaAdmin;
use weir_ingest::source::SourceError;
use weir_ingest::topics::{Plan, State, plan};

use super::{bootstrap, contracts, selected};
use crate::cli;
use crate::failure::Failure;
use crate::kafka;
use crate::output::Column;
use crate::session::{Done, Session};

const COLUMNS: [Column; 5] = [
    Column::text("stream"),
    Column::text("topic"),
    Column::text("state"),
    Column::text("differences"),
    Column::text("warnings"),
];

/// A stream's topic and what is planned for it.
struct Planned {
    stream: String,
    topic: String,
    wanted: Topic,
    plan: Plan,
    created: bool,
}

/// Shows the plan, and creates what is missing where asked to.
pub fn run(asked: &cli::Topics, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let bootstrap = bootstrap(&config)?;
    let properties = kafka::properties(&config);
    let streams = selected(&config, &asked.streams)?;
    let files: Vec<_> = streams.iter().map(|(_, stream)| stream.contract.clone()).collect();
    let contracts = contracts::of_streams(&files)?.into_iter().map(|contract| contract.topic);
    let wanted = streams.into_iter().zip(contracts);
    let wanted = wanted.map(|((name, stream), topic)| (name, stream.topic, topic)).collect();
    let admin = KafkaAdmin::open(&bootstrap, &properties).map_err(failure)?;
    let (planned, failed) = session.block_on(async {
        let mut planned = plan_all(&admin, &bootstrap, wanted).await.map_err(failure)?;
        let mut failed = None;
        if asked.create {
            failed = create_missing(&admin, &mut planned).await.err();
        }
        Ok((planned, failed))
    })?;
    show(&planned, session)?;
    failed.map_or(Ok(()), |error| Err(failure(error)))?;
    let drift: Vec<&Planned> = planned.iter().filter(|p| p.plan.state.is_drift()).collect();
    if drift.is_empty() {
        return Ok(Done::Done);
    }
    let what = match drift.len() {
        1 => "1 topic differs from its contract".to_string(),
        n => format!("{n} topics differ from their contracts"),
    };
    let failure = Failure::new(ErrorClass::BadData, what)
        .next("run the commands beside each difference, or change the contract");
    Err(drift.iter().fold(failure, |failure, p| failure.at(format!("topic {}", p.topic))))
}

async fn plan_all(
    admin: &KafkaAdmin,
    bootstrap: &str,
    wanted: Vec<(String, String, Topic)>,
) -> Result<Vec<Planned>, SourceError> {
    let names: Vec<&str> = wanted.iter().map(|(_, topic, _)| topic.as_str()).collect();
    let found = admin.find(&names).await?;
    let one = |(stream, topic, wanted): (String, String, Topic)| {
        let plan = plan(bootstrap, &topic, &wanted, found.get(&topic));
        Planned { stream, topic, wanted, plan, created: false }
    };
    Ok(wanted.into_iter().map(one).collect())
}

/// Stops at the first that fails; those before it stay created.
async fn create_missing(admin: &KafkaAdmin, planned: &mut [Planned]) -> Result<(), SourceError> {
    // Two streams may share a topic.
    let mut done = BTreeSet::new();
    for one in planned.iter_mut().filter(|p| p.plan.state == State::Missing) {
        if done.insert(one.topic.clone()) {
            one.created = admin.create(&one.topic, &one.wanted).await?;
        }
    }
    Ok(())
}

fn show(planned: &[Planned], session: &mut Session) -> Result<(), Failure> {
    let rows: Vec<Vec<Value>> = planned.iter().map(row).collect();
    let output = &mut session.output;
    let count = |state: &str| planned.iter().filter(|p| p.plan.state.name() == state).count();
    output.result("topics", planned.len());
    output.result("missing", count("create"));
    output.result("drift", count("drift"));
    output.result("created", planned.iter().filter(|p| p.created).count());
    if output.is_json() {
        return output.table(&COLUMNS, &rows);
    }
    let short: Vec<Vec<Value>> = rows.iter().map(|row| row[..3].to_vec()).collect();
    output.table(&COLUMNS[..3], &short)?;
    for one in planned {
        if let State::Drift(differences) = &one.plan.state {
            for d in differences {
                let (topic, set) = (&one.topic, d.setting);
                output.say(format!("{topic}: {set} is {}, wanted {}", d.found, d.wanted))?;
                output.say(format!("  → {}", d.mend))?;
            }
        }
        for warning in &one.plan.warnings {
            output.say(format!("{}: beware: {warning}", one.topic))?;
        }
    }
    match planned.iter().any(|p| p.plan.state == State::Missing && !p.created) {
        true => output.say("`weir topics --create` creates what is missing"),
        false => Ok(()),
    }
}

fn row(one: &Planned) -> Vec<Value> {
    let differences: Vec<Value> = match &one.plan.state {
        State::Drift(differences) => differences
            .iter()
            .map(|d| {
                json!({"setting": d.setting, "wanted": d.wanted, "found": d.found, "mend": d.mend})
            })
            .collect(),
        _ => Vec::new(),
    };
    let state = if one.created { "created" } else { one.plan.state.name() };
    vec![
        json!(one.stream),
        json!(one.topic),
        json!(state),
        json!(differences),
        json!(one.plan.warnings),
    ]
}

fn failure(error: SourceError) -> Failure {
    Failure::new(error.class, error.message)
}
