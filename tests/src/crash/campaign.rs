//! A campaign: lanes side by side, then every reader against the producers' lists, then one report.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::place::Where;
use super::{COMPACTED, Outcome, Plan, Report, TRANSACTIONS, run, settle, write_csv};
use crate::lab;

/// What to do.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Where the lakes are.
    pub at: Where,
    /// Faults in all, those of S3 and Glue apart.
    pub faults: usize,
    /// Lanes that run at the same time; the faults are spread over them.
    pub lanes: usize,
    /// The seed of the first lane; each further lane takes the next.
    pub seed: u64,
    /// The binary.
    pub weir: PathBuf,
}

/// What was done, and what every reader found in the end.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Summary {
    /// What was done, over all lanes.
    pub report: Report,
    /// Rows in the tables: the same by `weir verify`, PyIceberg and DuckDB.
    pub rows: u64,
    /// Superseded records that the broker compacted away before they were read.
    pub compacted_away: u64,
}

/// Runs the campaign. An error names the lane's seed and its folder, which is kept.
pub fn campaign(asked: &Campaign) -> Result<Summary> {
    let lanes: Vec<_> = (0..asked.lanes)
        .map(|lane| {
            let seed = asked.seed + lane as u64;
            let faults =
                asked.faults / asked.lanes + usize::from(lane < asked.faults % asked.lanes);
            let (at, weir) = (asked.at, asked.weir.clone());
            std::thread::spawn(move || one(at, seed, faults, weir))
        })
        .collect();
    // All of them end before one fails the campaign: they hold brokers and processes.
    let lanes: Vec<_> = lanes.into_iter().map(std::thread::JoinHandle::join).collect();
    let mut summary = Summary::default();
    for lane in lanes {
        let lane = lane.map_err(|_| anyhow!("a lane panicked"))??;
        summary.report.add(&lane.report);
        summary.rows += lane.rows;
        summary.compacted_away += lane.compacted_away;
    }
    summary.report.check(asked.at)?;
    let away = summary.compacted_away > 0 || asked.at == Where::Aws;
    ensure!(away, "nothing was compacted away: {summary:?}");
    Ok(summary)
}

/// One lane, in a folder of its own that goes only if all is well.
fn one(at: Where, seed: u64, faults: usize, weir: PathBuf) -> Result<Summary> {
    let folder = tempfile::Builder::new().prefix("weir-crash-").tempdir()?;
    // Copies: a long campaign must not see how somebody edits the contracts.
    for (stream, _) in [TRANSACTIONS, COMPACTED] {
        let file = format!("{stream}.yaml");
        let from = lab::repository().join("contracts").join(&file);
        std::fs::copy(&from, folder.path().join(&file))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let plan = Plan { faults, seed, at, weir, folder: folder.path().to_path_buf() };
    let lane = run(&plan).and_then(|outcome| {
        settle(&plan, &outcome)?;
        compare(&plan, &outcome)
    });
    lane.with_context(|| {
        let kept = folder.keep();
        format!("WEIR_CRASH_SEED={seed}, {faults} faults; its files: {}", kept.display())
    })
}

fn compare(plan: &Plan, outcome: &Outcome) -> Result<Summary> {
    let verify = std::process::Command::new(&plan.weir)
        .arg("--config")
        .arg(&outcome.config)
        .args(["verify", "--json"])
        .output()?;
    let verify = lab::done(verify);
    ensure!(verify.code == Some(0), "verify disagrees: {verify:#?}");
    let mut summary = Summary { report: outcome.report.clone(), ..Summary::default() };
    let lists =
        [(TRANSACTIONS.0, &outcome.fed.transactions), (COMPACTED.0, &outcome.fed.compacted)];
    for (stream, list) in lists {
        let csv = plan.folder.join(format!("{stream}.csv"));
        write_csv(list, &csv)?;
        let found = readers(&outcome.place.for_readers(), stream, &csv)?;
        summary.rows += found["rows"].as_u64().context("no rows")?;
        summary.compacted_away += found["compacted_away"].as_u64().context("no compacted_away")?;
    }
    Ok(summary)
}

fn readers(catalog: &str, stream: &str, csv: &Path) -> Result<Value> {
    let table = weir_contract::names::TableName::raw(stream).to_string();
    let said = lab::python("compare.py", &[catalog, &table, &csv.display().to_string()])?;
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("compare.py said: {said}"))
}

impl Summary {
    /// The report as a page; `command` is what makes it again.
    pub fn page(&self, asked: &Campaign, command: &str) -> String {
        let Report { heard, .. } = &self.report;
        let report = &self.report;
        let rows = [
            ("killed (SIGKILL) and started again at once", report.kills_at_once),
            ("killed, started again after its partners took over", report.kills_after_takeover),
            ("frozen (SIGSTOP) past the session's end, then woken", report.freezes),
            ("broker killed and started again", report.broker_restarts),
            ("commits under way at a kill that had landed", report.unknown_landed),
            ("commits under way at a kill that had not landed", report.unknown_not_landed),
            ("batches committed", heard.commits),
            ("commits that another writer beat, then made on the new base", heard.conflicts),
            ("commits without an answer, then found or made", heard.unknowns),
            ("batches fenced: another process had moved the partitions", heard.fenced),
            ("batches abandoned: partitions revoked, or the batch before refused", heard.abandoned),
            ("partitions taken over by another process", heard.takeovers),
            ("Kafka clients that died and were built anew", heard.rebuilt),
            ("interruptions: broker or catalog away for a while", heard.interrupted),
            ("offsets without a record: markers, aborted, compacted", heard.absent),
            ("records produced to be accepted", report.accepted),
            ("records produced to be rejected", report.rejected),
            ("of these compacted away before they were read", self.compacted_away),
            ("rows by `weir verify`, PyIceberg and DuckDB alike", self.rows),
        ];
        let mut page = format!(
            "# {} faults{}\n\nMade by `{command}` on {}, {} lanes side by side (each a broker, three \
             processes and a producer), seeds {} to {}, {} minutes.\n\nNothing was lost and nothing \
             doubled: in the end `weir verify` checks every table, and PyIceberg and DuckDB compare \
             every row with the producers' own lists; a single difference would have failed the \
             command.\n\n| what | count |\n| --- \
             | --- |\n",
            asked.faults,
            match asked.at {
                Where::Disk => "",
                Where::Aws => " of processes, on S3 and Glue that fail, too",
            },
            chrono::Utc::now().format("%Y-%m-%d"),
            asked.lanes,
            asked.seed,
            asked.seed + asked.lanes as u64 - 1,
            report.seconds / 60,
        );
        for (what, count) in rows {
            page += &format!("| {what} | {count} |\n");
        }
        for (what, count) in &report.storm {
            page += &format!("| {what} | {count} |\n");
        }
        page
    }
}
