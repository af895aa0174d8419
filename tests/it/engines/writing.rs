//! They write: delete, optimize, rewrite manifests, expire. Our ingest goes on after each, `weir verify`
//! says what it must, and in the end every reader sees what ours does.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::running::Running;

use super::asked::{ENGINES, Engines};
use super::fleet::{At, Fleet};
use super::page::Table;
use crate::backends::place::moto;

/// What an engine does, and how it says it.
struct Writer {
    name: &'static str,
    stream: &'static str,
    table: &'static str,
}

const WRITERS: [Writer; 2] = [
    Writer { name: "trino", stream: "vending.sales", table: "raw.vending_sales" },
    Writer { name: "spark", stream: "vending.health", table: "raw.vending_health" },
];

/// A trino session in which nothing is too young to go.
const AT_ONCE: &str = "lake.expire_snapshots_min_retention=0s";

impl Writer {
    fn optimize(&self, table: &str) -> String {
        match self.name {
            "trino" => format!("ALTER TABLE {table} EXECUTE optimize"),
            _ => spark("rewrite_data_files", table, ", options => map('rewrite-all', 'true')"),
        }
    }

    fn manifests(&self, table: &str) -> String {
        match self.name {
            "trino" => format!("ALTER TABLE {table} EXECUTE optimize_manifests"),
            _ => spark("rewrite_manifests", table, ""),
        }
    }

    fn expire(&self, table: &str) -> String {
        match self.name {
            "trino" => {
                format!("ALTER TABLE {table} EXECUTE expire_snapshots(retention_threshold => '0s')")
            }
            _ => {
                let now = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S");
                let more = format!(", older_than => TIMESTAMP '{now}', retain_last => 1");
                spark("expire_snapshots", table, &more)
            }
        }
    }

    fn run(&self, engines: &mut Engines, sql: &str) -> Result<Vec<Value>> {
        engines.sql_with(self.name, sql, AT_ONCE)
    }
}

fn spark(procedure: &str, table: &str, more: &str) -> String {
    let (catalog, table) = table.split_once('.').unwrap_or_default();
    format!("CALL {catalog}.system.{procedure}(table => '{table}'{more})")
}

/// One engine, one table, one act after the other; what was seen.
struct Beside<'a> {
    writer: &'a Writer,
    fleet: &'a mut Fleet,
    rounds: u64,
    deleted: i64,
}

impl Beside<'_> {
    /// Ingest goes on, and every offset has its row but for what was deleted.
    fn goes_on(&mut self) -> Result<()> {
        self.rounds += 1;
        let before = self.rows()?;
        self.fleet.live(100 + self.rounds, 1, &[self.writer.stream])?;
        ensure!(self.rows()? > before, "nothing was ingested");
        let table = self.writer.table;
        let all = self.fleet.count(&format!(
            "SELECT sum(n) FROM (SELECT max(_offset) + 1 AS n FROM {table} GROUP BY _kafka_partition)"
        ))?;
        ensure!(self.rows()? == all - self.deleted, "rows are lost or doubled");
        Ok(())
    }

    fn rows(&self) -> Result<i64> {
        self.fleet.count(&format!("SELECT count(*) FROM {}", self.writer.table))
    }

    fn clean(&mut self) -> Result<()> {
        self.fleet.verify_clean(self.writer.table)?;
        self.goes_on()?;
        self.fleet.verify_clean(self.writer.table)
    }

    /// Rows go: a finding until somebody says why.
    fn delete(&mut self, engines: &mut Engines) -> Result<()> {
        let (table, named) = (self.writer.table, self.fleet.named(self.writer.table));
        let rows = "WHERE _kafka_partition = 0 AND _offset BETWEEN 30 AND 33";
        self.writer.run(engines, &format!("DELETE FROM {named} {rows}"))?;
        let snapshot = self.fleet.newest(table)?;
        self.deleted += 4;
        self.goes_on()?;
        let (code, findings) = self.fleet.verify(table)?;
        let text = serde_json::to_string(&findings)?;
        ensure!(code == 1 && text.contains("30") && text.contains("33"), "not named: {text}");
        let acknowledge = ["verify", table, "--acknowledge", &snapshot, "--reason", "a test"];
        self.fleet.weir(&acknowledge)?.expect(0)?;
        self.clean()
    }

    /// A row is written anew, the same as before.
    fn update(&mut self, engines: &mut Engines) -> Result<()> {
        let named = self.fleet.named(self.writer.table);
        let rows = "WHERE _kafka_partition = 0 AND _offset BETWEEN 40 AND 49";
        let update = format!("UPDATE {named} SET machine_id = machine_id {rows}");
        self.writer.run(engines, &update)?;
        self.clean()
    }

    /// The tables that `weir compile` calls readable by this process only.
    fn unportable(&self) -> Result<Vec<String>> {
        let done = self.fleet.result(&["compile"])?;
        let tables = done["unportable"].as_array().context("no list")?;
        Ok(tables.iter().filter_map(|table| Some(table.as_str()?.to_string())).collect())
    }

    fn act(&mut self, engines: &mut Engines, sql: &str) -> Result<()> {
        self.writer.run(engines, sql)?;
        self.clean()
    }

    fn maintained(&mut self) -> Result<()> {
        self.fleet.result(&["--set", "maintain.age_min=0s", "maintain", self.writer.table])?;
        self.clean()
    }
}

#[test]
fn they_write_and_nothing_is_lost_or_doubled() -> Result<()> {
    let mut engines = Engines::shared()?;
    let endpoint = moto()?.endpoint();
    let at = At::Glue { glue: endpoint.clone(), s3: endpoint };
    let mut fleet = Fleet::new("lake", at, &mut engines)?;
    for round in 0..3 {
        fleet.live(10 + round, 2, &WRITERS.map(|writer| writer.stream))?;
    }
    let mut page = Table::new("writes", &ENGINES);
    for writer in &WRITERS {
        let named = fleet.named(writer.table);
        let mut beside = Beside { writer, fleet: &mut fleet, rounds: 0, deleted: 0 };
        let mut seen = |what: &str, done: Result<()>| {
            page.see(writer.name, what, done.map(|()| Value::Null), &[])
        };
        seen("rows deleted: a finding until acknowledged", beside.delete(&mut engines))?;
        // Trino's deletes are files of their own, which only Iceberg's library reads; until files are written anew.
        let by_position = writer.name == "trino";
        ensure!(
            beside.unportable()?.contains(&writer.table.to_string()) == by_position,
            "{}",
            writer.name
        );
        seen("rows updated to what they were", beside.update(&mut engines))?;
        seen("files rewritten", beside.act(&mut engines, &writer.optimize(&named)))?;
        ensure!(!beside.unportable()?.contains(&writer.table.to_string()), "{}", writer.name);
        seen("manifests rewritten", beside.act(&mut engines, &writer.manifests(&named)))?;
        if writer.name == "spark" {
            // As our properties ask, nothing is old enough.
            let count = format!("SELECT count(*) FROM {named}.snapshots");
            let before = writer.run(&mut engines, &count)?;
            writer.run(&mut engines, &spark("expire_snapshots", &named, ""))?;
            ensure!(writer.run(&mut engines, &count)? == before, "snapshots went by default");
        }
        seen("snapshots expired", beside.act(&mut engines, &writer.expire(&named)))?;
        seen("`weir maintain` after all that", beside.maintained())?;
        for by in ["trino", "spark", "duckdb"] {
            engines.ask(&beside.fleet.about("rows", by, writer.table)).with_context(|| {
                format!("{by} after {} has written to {}", writer.name, writer.table)
            })?;
        }
    }
    page.settle()
}

#[test]
fn commits_of_engines_and_of_ingest_race() -> Result<()> {
    let mut engines = Engines::shared()?;
    let endpoint = moto()?.endpoint();
    let at = At::Glue { glue: endpoint.clone(), s3: endpoint };
    let mut fleet = Fleet::new("lake", at, &mut engines)?;
    fleet.live(20, 2, &WRITERS.map(|writer| writer.stream))?;
    let mut command = std::process::Command::new(weir_tests::lab::binary());
    command.arg("--config").arg(fleet.config()).args(["--log-format", "json"]);
    command.args(["--set", "ingest.flush.interval=300ms", "ingest"]);
    let ingest = Running::start(&mut command)?;
    let config = fleet.config().display().to_string();
    let mut command = std::process::Command::new(weir_tests::lab::binary());
    command.args(["--config", &config, "simulate", "--kafka", "--machines", "12", "--sites", "10"]);
    command.args(["--seed", "21", "--rate", "12", "--for", "60s"]);
    for writer in &WRITERS {
        command.args(["--stream", writer.stream]);
    }
    let feeding = Running::start(&mut command)?;
    let mut refusals = Vec::new();
    for round in 0..6 {
        for writer in &WRITERS {
            let named = fleet.named(writer.table);
            let sql = match round % 2 {
                0 => writer.optimize(&named),
                _ => format!("UPDATE {named} SET machine_id = machine_id WHERE _offset < 20"),
            };
            // Whoever comes second may be refused; who was told yes must find it there.
            refusals.extend(writer.run(&mut engines, &sql).err().map(|error| format!("{error:#}")));
        }
    }
    feeding.end(Duration::from_secs(120))?.expect(0)?;
    std::thread::sleep(Duration::from_secs(3));
    let beaten: i64 = (WRITERS.iter())
        .flat_map(|writer| ingest.events(writer.stream, "batch_committed"))
        .filter_map(|event| event["conflicts"].as_i64())
        .sum();
    ingest.signal("TERM")?;
    ingest.end(Duration::from_secs(60))?.expect(0)?;
    fleet.weir(&["ingest", "--until-latest"])?.expect(0)?;
    println!(
        "{} of 12 foreign commits were refused, {beaten} of ours: {refusals:#?}",
        refusals.len()
    );
    ensure!(refusals.len() < 12, "no engine could commit");
    ensure!(beaten > 0 || !refusals.is_empty(), "nobody met anybody");
    for refusal in &refusals {
        let words = ["commit", "onflict", "oncurrent", "version"];
        ensure!(words.iter().any(|word| refusal.contains(word)), "another failure: {refusal}");
    }
    for writer in &WRITERS {
        fleet.verify_clean(writer.table)?;
        for by in ["trino", "spark", "duckdb"] {
            engines.ask(&fleet.about("rows", by, writer.table))?;
        }
    }
    Ok(())
}
