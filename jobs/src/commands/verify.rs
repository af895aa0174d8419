//! `weir verify`.

use weir_catalog::Lake;
use weir_catalog::verify::{VerifyOptions, VerifyReport, acknowledge, verify};
use weir_contract::class::ErrorClass;
use weir_contract::names::TableName;

use super::{lake, tables};
use crate::cli;
use crate::failure::Failure;
use crate::session::{Done, Session};

/// Verifies tables, or acknowledges what a snapshot of another engine deleted.
pub fn run(asked: &cli::Verify, session: &mut Session) -> Result<Done, Failure> {
    if asked.json {
        session.output.force_json();
    }
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let names = session.block_on(tables(&lake, &asked.tables))?;
    if let (Some(snapshot), [name]) = (asked.acknowledge, &names[..]) {
        return acknowledge_one(&lake, name, snapshot, asked, session);
    }
    if asked.acknowledge.is_some() {
        return Err(Failure::config("--acknowledge needs exactly one table"));
    }
    let reports = session.block_on(verify_all(&lake, names))?;
    let findings: usize = reports.iter().map(|report| report.findings.len()).sum();
    for report in &reports {
        session.output.object(&serde_json::to_value(report).unwrap_or_default())?;
        session.output.say(report.to_string().trim_end())?;
    }
    if reports.is_empty() {
        session.output.say("there is no table yet: nothing to verify")?;
    }
    session.output.result("tables", reports.len());
    session.output.result("findings", findings);
    if findings == 0 {
        return Ok(Done::Done);
    }
    let wrong = reports.iter().filter(|report| !report.ok);
    let failure =
        Failure::new(ErrorClass::BadData, format!("{findings} findings; the report says which"))
            .next("follow the advice beside each finding");
    Err(wrong.fold(failure, |failure, report| failure.at(format!("table {}", report.table))))
}

async fn verify_all(lake: &Lake, names: Vec<TableName>) -> Result<Vec<VerifyReport>, Failure> {
    let mut reports = Vec::with_capacity(names.len());
    for name in &names {
        let report = verify(lake, name, &VerifyOptions::default()).await;
        reports.push(report.map_err(Failure::catalog)?);
    }
    Ok(reports)
}

fn acknowledge_one(
    lake: &Lake,
    name: &TableName,
    snapshot: i64,
    asked: &cli::Verify,
    session: &mut Session,
) -> Result<Done, Failure> {
    let reason = asked.reason.as_deref().unwrap_or_default();
    let done = session.block_on(async {
        acknowledge(lake, name, snapshot, reason).await.map_err(Failure::catalog)
    })?;
    let before = if done.already { "had been moved to removed before" } else { "moved to removed" };
    session.output.say(format!(
        "{name}: {} rows and {} rejected records {before} (snapshot {snapshot})",
        done.rows, done.rejected
    ))?;
    let object = serde_json::to_value(&done).unwrap_or_default();
    session.output.object(&object)?;
    session.output.result("acknowledged", object);
    Ok(Done::Done)
}
