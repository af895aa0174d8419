//! What a quickstart ends with: a few queries, the proof, and how to go on.

use std::path::Path;

use serde_json::json;
use weir_catalog::session::{At, Session as Sql};
use weir_fleet::road::Sent;

use super::folder;
use super::live::Live;
use crate::cli;
use crate::commands::{lake, query, verify};
use crate::config::Config;
use crate::failure::Failure;
use crate::session::Session;

/// What is asked: what it tells, the raw table that it reads, the query.
const QUERIES: [(&str, &str, &str); 4] = [
    (
        "What the machines say",
        "raw.vending_health",
        "SELECT event_type, count(*) AS events, count(DISTINCT machine_id) AS machines \
         FROM raw.vending_health WHERE _error IS NULL GROUP BY 1 ORDER BY 2 DESC",
    ),
    (
        "Takings by region, each sale with the machine and the site as they were then",
        "raw.vending_sales",
        "SELECT site.country_code, site.region, sale.currency, count(*) AS payments, \
         count(DISTINCT sale.machine_id) AS machines, sum(sale.paid_amount) AS paid \
         FROM raw.vending_sales sale \
         LEFT JOIN ref.machines_history machine ON machine.machine_id = sale.machine_id \
         AND sale.event_time >= machine.valid_from \
         AND (machine.valid_to IS NULL OR sale.event_time < machine.valid_to) \
         LEFT JOIN ref.sites_history site ON site.site_id = machine.site_id \
         AND sale.event_time >= site.valid_from \
         AND (site.valid_to IS NULL OR sale.event_time < site.valid_to) \
         WHERE sale.event_type = 'vending.sales.payment' AND sale.payment_outcome = 'succeeded' \
         GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT 5",
    ),
    (
        "Faults",
        "raw.vending_faults",
        "SELECT event_type, component, eva_dts_code, count(*) AS events FROM raw.vending_faults \
         WHERE _error IS NULL GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 5",
    ),
    (
        "Machines that fell silent",
        "raw.vending_health",
        "WITH heard AS (SELECT machine_id, max(event_time) AS last_heard FROM raw.vending_health \
         WHERE _error IS NULL GROUP BY 1), newest AS (SELECT max(last_heard) AS at FROM heard) \
         SELECT machine_id, last_heard FROM heard, newest \
         WHERE last_heard < at - INTERVAL '10' MINUTE ORDER BY 2 LIMIT 4",
    ),
];

/// Queries, verify, and the commands to go on with.
pub fn tell(
    session: &mut Session,
    config: &Config,
    folder: &Path,
    sent: &Sent,
    live: &Live,
) -> Result<(), Failure> {
    if !session.output.is_json() {
        let lake = lake(config, false)?;
        let runtime = session.runtime()?;
        let tables = runtime.block_on(async {
            let sql = Sql::open(&lake, At::Current).await.map_err(Failure::catalog)?;
            let there = lake.tables().await.map_err(Failure::catalog)?;
            let there: Vec<String> = there.iter().map(ToString::to_string).collect();
            let mut tables = Vec::new();
            // A signal may come before a stream has made its table.
            for (title, _, text) in QUERIES.iter().filter(|(_, t, _)| there.iter().any(|n| n == t))
            {
                let answer = sql.sql(text).await.map_err(Failure::catalog)?;
                tables.push((title, query::pretty(answer)?));
            }
            Ok::<_, Failure>(tables)
        })?;
        for (title, table) in tables {
            session.output.say(format!("\n{title}\n{table}"))?;
        }
        session.output.say("\nIs every record there exactly once? (weir verify)")?;
    }
    verify::run(&cli::Verify::default(), session)?;
    session.output.result("sent", sent.records);
    session.output.result("rows", live.rows);
    session.output.result("rejected", live.rejected);
    session.output.result("rejects", json!(live.rejects));
    session.output.result("commits", live.commits);
    session.output.result("freshness_max_ms", live.freshness_max.as_millis() as u64);
    session.output.result("folder", folder.display().to_string());
    go_on(session, folder)
}

fn go_on(session: &mut Session, folder: &Path) -> Result<(), Failure> {
    let program = std::env::args().next().unwrap_or_else(|| "weir".into());
    let weir = format!("{program} --config {}", folder.join(folder::CONFIG).display());
    session.output.say(format!(
        "\nGo on with it:
  {weir} tables
  {weir} query \"SELECT _error['class'] AS class, count(*) FROM raw.vending_health GROUP BY 1\"
  {weir} snapshots raw.vending_sales
  {program} quickstart --folder {folder} --keep-running     the same lake, on and on
The broker was part of this process and is gone; with a real Kafka: README.md.
What was done to which machine when: {truth}",
        folder = folder.display(),
        truth = folder.join(folder::TRUTH).display(),
    ))
}
