//! Contracts that change: the table follows, ingest takes the new one up while it runs, writers with the
//! old one go on, and the readers that are not ours read old files and new ones.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeZone, Utc};
use serde_json::Value;
use weir_tests::lab::{Lab, STREAM, TABLE};
use weir_tests::stack::{Message, Producer};

const QUICK: &str = "\n[ingest]\nflush.interval = \"300ms\"\n";
/// More than an int can hold.
const LARGE: i64 = 1 << 40;

/// A contract with these columns behind those that every event has.
fn contract(version: &str, columns: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "apiVersion: v3.2.0\nkind: DataContract\nid: {STREAM}\nversion: {version}\nstatus: active\n\
         description: {{purpose: What a machine counts.}}\nschema:\n  - name: event\n    \
         logicalType: object\n    properties:\n"
    );
    let envelope = [("event_id", "string", "id"), ("event_time", "timestamp", "time")];
    for (name, kind, member) in envelope {
        text += &format!(
            "      - name: {name}\n        logicalType: {kind}\n        required: true\n        \
             customProperties: [{{property: weir.path, value: {member}}}]\n"
        );
    }
    for (name, logical, physical) in columns {
        text += &format!(
            "      - name: {name}\n        logicalType: {logical}\n        physicalType: {physical}\n"
        );
    }
    text
}

/// What the stream says before.
pub fn old() -> String {
    contract("1.0.0", &[("count", "integer", "int"), ("price", "number", "decimal(9,2)")])
}

/// And after: a wider int, a wider decimal, a column more.
pub fn new() -> String {
    let columns = [
        ("count", "integer", "long"),
        ("price", "number", "decimal(12,2)"),
        ("colour", "string", "string"),
    ];
    contract("1.1.0", &columns)
}

/// A lab with the old contract, and what is sent to it.
struct Changing {
    lab: Lab,
    producer: Producer,
    sent: i64,
}

impl Changing {
    fn new(name: &str, partitions: i32) -> Result<Changing> {
        let lab = Lab::new(name, partitions)?;
        let producer = lab.client()?.producer()?;
        let changing = Changing { lab, producer, sent: 0 };
        changing.write("vending.health.yaml", &old())?;
        changing.lab.write_config(QUICK)?;
        Ok(changing)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.lab.path().join(name), text)?)
    }

    fn send(&mut self, partition: i32, count: i64, price: &str, times: i64) -> Result<()> {
        self.send_of(Utc::now(), partition, count, price, times)
    }

    /// Events of this time, sent now.
    fn send_of(
        &mut self,
        time: DateTime<Utc>,
        partition: i32,
        count: i64,
        price: &str,
        times: i64,
    ) -> Result<()> {
        for _ in 0..times {
            let value = format!(
                r#"{{"id":"e{}","time":"{}","data":{{"count":{count},"price":{price},"colour":"red"}}}}"#,
                self.sent,
                time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
            );
            let message = Message {
                partition: Some(partition),
                value: Some(value.as_bytes()),
                timestamp_ms: Some(Utc::now().timestamp_millis()),
                ..Message::default()
            };
            self.producer.send(&self.lab.topic, &message)?;
            self.sent += 1;
        }
        self.producer.flush()
    }

    /// The table's columns and the rows in its partitions, by PyIceberg, once it has made this one required.
    fn columns(&self, required: &[&str]) -> Result<Value> {
        let database = self.lab.path().join("catalog.db").display().to_string();
        let said = self.lab.python("columns.py", &[&[&*database, TABLE], required].concat())?;
        Ok(serde_json::from_str(&said)?)
    }

    /// What PyIceberg and DuckDB, which must agree, read now and at a snapshot.
    fn read(&self, snapshot: &str) -> Result<Value> {
        let database = self.lab.path().join("catalog.db").display().to_string();
        let said = self.lab.python("evolve.py", &[&database, TABLE, snapshot])?;
        Ok(serde_json::from_str(&said)?)
    }
}

#[test]
fn ingest_takes_a_new_contract_up_without_a_restart() -> Result<()> {
    let mut it = Changing::new("evolve", 1)?;
    let mut weir = it.lab.start(&["ingest"])?;
    it.send(0, 7, "1.25", 20)?;
    weir.until("the first are there", |w| w.committed(STREAM) == 20)?;
    let first = weir.events(STREAM, "batch_committed");
    let first = first.last().and_then(|e| e["snapshot_id"].as_i64()).context("no id")?.to_string();

    // The file changed, the table did not: the old contract stays, and rejects what it cannot hold.
    it.write("vending.health.yaml", &new())?;
    it.send(0, LARGE, "1.25", 2)?;
    it.send(0, 8, "2.50", 3)?;
    weir.until("the rest is there", |w| w.committed(STREAM) == 25)?;
    let refused = weir.events(STREAM, "contract_refused");
    ensure!(refused.len() == 1, "{refused:#?}");
    let why = refused[0]["why"].as_str().context("no reason")?;
    ensure!(why.contains("column colour (string) is missing"), "{why}");
    ensure!(why.contains("weir contracts apply"), "{why}");
    // One that is no contract at all.
    it.write("vending.health.yaml", &new().replace("kind: DataContract", "kind: Something"))?;
    it.send(0, 8, "2.50", 1)?;
    weir.until("it is told", |w| w.events(STREAM, "contract_refused").len() == 2)?;
    weir.until("it is there", |w| w.committed(STREAM) == 26)?;
    it.write("vending.health.yaml", &new())?;

    let planned = it.lab.result(&["contracts", "plan"])?;
    ensure!(planned["changes"] == 4, "{planned:#}");
    let applied = it.lab.result(&["contracts", "apply"])?;
    ensure!(applied["plans"] == planned["plans"], "{applied:#}");
    let again = it.lab.weir(&["contracts", "apply", "--exit-99-when-idle"])?.expect(99)?;
    ensure!(again.stdout.contains("nothing to do"), "{again:#?}");

    it.send(0, LARGE, "1234567890.12", 5)?;
    weir.until("the new ones are there", |w| w.committed(STREAM) == 31)?;
    let taken = weir.events(STREAM, "contract_taken");
    ensure!(taken.len() == 1 && taken[0]["version"] == "1.1.0", "{taken:#?}");
    weir.signal("TERM")?;
    weir.end(Duration::from_secs(10))?.expect(0)?;

    let sql = format!("SELECT count(*) AS n FROM {TABLE} WHERE colour = 'red' AND count = {LARGE}");
    ensure!(it.lab.count(&sql)? == 5);
    ensure!(it.lab.count("SELECT count(*) AS n FROM ops.rejects")? == 2);
    it.lab.result(&["redrive"])?;
    ensure!(it.lab.count(&sql)? == 7, "the rejected ones have their colour now");
    it.lab.verify_clean()?;

    let said = it.read(&first)?;
    let now = &said["now"];
    ensure!(now["rows"] == 31 && now["colours"] == 7, "{said:#}");
    ensure!(now["count"] == 20 * 7 + 4 * 8 + 7 * LARGE, "{said:#}");
    ensure!(now["price"] == "6172839488.10", "{said:#}");
    ensure!(said["then"]["rows"] == 20, "{said:#}");
    let then = said["then"]["columns"].to_string();
    ensure!(!then.contains("colour") && now["columns"].to_string().contains("colour"), "{said:#}");
    let past = ["query", "--snapshot", &first, "SELECT colour FROM raw.vending_health"];
    it.lab.weir(&past)?.expect(2)?.says(&["colour"])?;
    Ok(())
}

#[test]
fn a_writer_with_the_old_contract_goes_on_beside_a_new_one() -> Result<()> {
    let mut it = Changing::new("evolve-old", 2)?;
    // The second process has the old contract for ever.
    it.write("old.yaml", &old())?;
    let config = std::fs::read_to_string(it.lab.config())?;
    let old_config = it.lab.path().join("old.toml");
    std::fs::write(&old_config, config.replace("vending.health.yaml", "old.yaml"))?;
    let mut newer = it.lab.start(&["ingest"])?;
    let mut command = std::process::Command::new(weir_tests::lab::binary());
    command.arg("--config").arg(&old_config).args(["--log-format", "json", "ingest"]);
    let older = weir_tests::running::Running::start(&mut command)?;
    let both = |newer: &weir_tests::running::Running, older: &weir_tests::running::Running| {
        newer.committed(STREAM) + older.committed(STREAM)
    };
    // Until both have a partition.
    let mut rounds = 0;
    while newer.committed(STREAM) == 0 || older.committed(STREAM) == 0 || rounds < 2 {
        it.send(0, 1, "0.50", 5)?;
        it.send(1, 2, "0.50", 5)?;
        let sent = it.sent;
        newer.until("all is there", |newer| both(newer, &older) == sent)?;
        rounds += 1;
        ensure!(rounds < 200, "one of them got no partition");
    }
    it.write("vending.health.yaml", &new())?;
    it.lab.result(&["contracts", "apply"])?;
    for _ in 0..4 {
        it.send(0, 3, "0.50", 10)?;
        it.send(1, 4, "0.50", 10)?;
        let sent = it.sent;
        newer.until("all is there", |newer| both(newer, &older) == sent)?;
    }
    ensure!(newer.events(STREAM, "contract_taken").len() == 1);
    ensure!(older.events(STREAM, "contract_taken").is_empty());
    for weir in [newer, older] {
        weir.signal("TERM")?;
        weir.end(Duration::from_secs(10))?.expect(0)?;
    }
    let coloured = it.lab.count(&format!("SELECT count(colour) AS n FROM {TABLE}"))?;
    ensure!(coloured == 40, "{coloured} rows of the new one have a colour");
    let extra = format!("SELECT count(*) AS n FROM {TABLE} WHERE _extra LIKE '%red%'");
    ensure!(
        it.lab.count(&extra)? == it.sent - 40,
        "those of the old one have it as unknown member"
    );
    it.lab.verify_clean()
}

#[test]
fn what_cannot_be_done_is_refused_with_the_way_out() -> Result<()> {
    let mut it = Changing::new("evolve-refused", 1)?;
    let none = it.lab.weir(&["contracts", "plan"])?;
    ensure!(none.code == Some(2), "there is no lake yet: {none:#?}");
    it.send(0, 7, "1.25", 5)?;
    it.lab.ingest(&[])?;
    it.write("vending.health.yaml", &new().replace("decimal(12,2)", "decimal(12,4)"))?;
    let before = it.lab.table(STREAM)?.loaded.location;
    for command in ["plan", "apply"] {
        let done = it.lab.weir(&["contracts", command])?.expect(2)?;
        done.says(&["column price: it is decimal(9, 2)", "another name", "nothing was changed"])?;
        ensure!(done.stdout.contains("add column colour"), "the rest is told too: {done:#?}");
    }
    ensure!(it.lab.table(STREAM)?.loaded.location == before);
    it.lab.weir(&["contracts", "plan", "nowhere"])?.expect(2)?.says(&["choose one of"])?;
    // A contract that has fewer columns fits: they stay, and are null.
    it.write("vending.health.yaml", &contract("1.2.0", &[("count", "integer", "int")]))?;
    let planned = it.lab.weir(&["--output", "human", "contracts", "plan"])?.expect(0)?;
    ensure!(planned.stdout.contains("only the table has price"), "{planned:#?}");
    it.lab.result(&["contracts", "apply"])?;
    it.send(0, 8, "2.50", 5)?;
    it.lab.ingest(&[])?;
    ensure!(it.lab.count(&format!("SELECT count(price) AS n FROM {TABLE}"))? == 5);
    it.lab.verify_clean()
}

#[test]
fn compaction_sorts_as_the_contract_says() -> Result<()> {
    let mut it = Changing::new("evolve-sorted", 1)?;
    for count in [5, 3, 9, 1, 7] {
        it.send(0, count, "1.25", 2)?;
        it.lab.ingest(&[])?;
    }
    let sorted = |by: &str| {
        let property = format!("{{property: weir.sortedBy, value: [{by}]}}");
        old().replace("1.0.0", "1.1.0") + &format!("customProperties:\n  - {property}\n")
    };
    it.write("vending.health.yaml", &sorted("colour, event_time, price, price"))?;
    let file = it.lab.path().join("vending.health.yaml").display().to_string();
    it.lab.weir(&["contracts", "check", &file])?.expect(2)?.says(&[
        "names \\\"colour\\\", which is no column that is stored",
        "ends with `event_time` by itself",
        "names \\\"price\\\" twice",
    ])?;
    it.write("vending.health.yaml", &sorted("count"))?;
    let planned = it.lab.weir(&["--output", "human", "contracts", "plan"])?.expect(0)?;
    ensure!(planned.stdout.contains("sort the rows of an hour by count"), "{planned:#?}");
    it.lab.result(&["contracts", "apply"])?;
    it.lab.weir(&["contracts", "apply", "--exit-99-when-idle"])?.expect(99)?;
    it.lab.weir(&["--set", "maintain.age_min=0s", "maintain"])?.expect(0)?;
    // One file, which is read from its beginning to its end.
    let sql = format!("SELECT date_trunc('hour', event_time) AS hour, \"count\" AS n FROM {TABLE}");
    let done = it.lab.weir(&["--output", "json", "query", &sql])?.expect(0)?;
    let rows = done.stdout.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let number = |row: &Value| row["n"].to_string().trim_matches('"').parse::<i64>();
    let rows: Vec<_> = rows.iter().map(|row| (row["hour"].to_string(), number(row))).collect();
    ensure!(rows.len() == 10 && rows.iter().all(|(_, n)| n.is_ok()), "{rows:?}");
    let key = |(hour, n): &(String, Result<i64, _>)| (hour.clone(), *n.as_ref().unwrap_or(&0));
    ensure!(rows.is_sorted_by_key(key), "{rows:?}");
    it.lab.verify_clean()
}

#[test]
fn a_table_is_partitioned_as_the_contract_says_while_ingest_runs() -> Result<()> {
    let mut it = Changing::new("evolve-months", 1)?;
    let march = |day| Utc.with_ymd_and_hms(2026, 3, day, 12, 0, 0).single().context("no time");
    let mut weir = it.lab.start(&["ingest"])?;
    for day in 2..7 {
        it.send_of(march(day)?, 0, 1, "1.25", 2)?;
        let sent = it.sent;
        weir.until("the day is there", |w| w.committed(STREAM) == sent)?;
    }
    let contract = |division: &str| {
        let property = format!("{{property: weir.partitionedBy, value: {division}}}");
        old().replace("1.0.0", "1.1.0") + &format!("customProperties:\n  - {property}\n")
    };
    let file = it.lab.path().join("wrong.yaml").display().to_string();
    it.write("wrong.yaml", &contract("week"))?;
    it.lab.weir(&["contracts", "check", &file])?.expect(2)?.says(&["`day` or `month`"])?;
    it.write("vending.health.yaml", &contract("month"))?;
    let planned = it.lab.weir(&["--output", "human", "contracts", "plan"])?.expect(0)?;
    ensure!(planned.stdout.contains("partition new files by month, not by day"), "{planned:#?}");
    it.lab.result(&["contracts", "apply"])?;
    it.lab.weir(&["contracts", "apply", "--exit-99-when-idle"])?.expect(99)?;
    for day in [7, 30] {
        it.send_of(march(day)?, 0, 1, "1.25", 2)?;
        let sent = it.sent;
        weir.until("the rest is there", |w| w.committed(STREAM) == sent)?;
    }
    // A reader of one day opens the month's files and that day's.
    let specs = it.columns(&[])?["partitions"].clone();
    ensure!(specs == serde_json::json!({"event_day": 10, "event_month": 4}), "{specs}");
    let maintained = it.lab.result(&["--set", "maintain.age_min=0s", "maintain"])?;
    let compaction = &maintained["tables"][TABLE]["compaction"];
    ensure!(compaction["inputs"] == 7 && compaction["outputs"] == 1, "{maintained:#}");
    weir.signal("TERM")?;
    weir.end(Duration::from_secs(10))?.expect(0)?;
    let specs = it.columns(&[])?["partitions"].clone();
    ensure!(specs == serde_json::json!({"event_month": 14}), "{specs}");
    let one_day = format!(
        "SELECT count(*) AS n FROM {TABLE} WHERE event_time >= '2026-03-06T00:00:00Z' \
         AND event_time < '2026-03-07T00:00:00Z'"
    );
    ensure!(it.lab.count(&one_day)? == 2);
    let said = it.read(&current_snapshot(&it.lab)?)?;
    ensure!(said["now"]["rows"] == 14 && said["now"]["price"] == "17.50", "{said:#}");
    it.lab.verify_clean()
}

fn current_snapshot(lab: &Lab) -> Result<String> {
    let table = lab.table(STREAM)?;
    Ok(table.metadata().current_snapshot_id().context("no snapshot")?.to_string())
}

#[test]
fn readers_see_comments_and_columns_that_may_be_null_again() -> Result<()> {
    let mut it = Changing::new("evolve-relaxed", 1)?;
    it.send(0, 7, "1.25", 5)?;
    it.lab.ingest(&[])?;
    // Another writer took the table's price for one that is always there.
    let before = it.columns(&["price"])?;
    ensure!(before["columns"]["price"]["required"] == true, "{before:#}");
    it.send(0, 7, "1.25", 5)?;
    let refused = it.lab.weir(&["ingest", "--until-latest"])?.expect(2)?;
    refused.says(&["price", "weir contracts plan"])?;
    let documented = old().replace("1.0.0", "1.0.1").replace(
        "physicalType: decimal(9,2)\n",
        "physicalType: decimal(9,2)\n        description: What it costs.\n",
    );
    it.write("vending.health.yaml", &documented)?;
    let planned = it.lab.weir(&["--output", "human", "contracts", "plan"])?.expect(0)?;
    for step in ["let column price be null", "document column price"] {
        ensure!(planned.stdout.contains(step), "{step}: {planned:#?}");
    }
    it.lab.result(&["contracts", "apply"])?;
    it.lab.ingest(&[])?;
    let price = &it.columns(&[])?["columns"]["price"];
    ensure!(price["required"] == false && price["doc"] == "What it costs.", "{price:#}");
    let said = it.read(&current_snapshot(&it.lab)?)?;
    ensure!(said["now"]["rows"] == 10 && said["now"]["price"] == "12.50", "{said:#}");
    it.lab.verify_clean()
}

const STAGED: &str =
    "select event_id, event_time COLUMNS from {{ source('raw', 'vending_health') }}";
const COLOURS: &str = "{{ config(materialized='incremental', incremental_strategy='microbatch', \
                       event_time='hour_at', batch_size='hour') }}\n\
                       select date_trunc('hour', event_time) as hour_at, COLOUR as colour, count(*) as n\n\
                       from {{ ref('stg_counts') }} group by 1, 2";
const COLOURS_NOTE: &str = "models: [{name: colours, config: {meta: {readers: [tests]}}}]";

#[test]
fn what_came_before_its_column_is_found_by_models() -> Result<()> {
    let mut it = Changing::new("promoted", 1)?;
    let models = it.lab.path().join("transforms/sql");
    for folder in ["staging", "marts"] {
        std::fs::create_dir_all(models.join(folder))?;
    }
    let write = |staged: &str, colour: &str| -> Result<()> {
        std::fs::write(models.join("staging/stg_counts.sql"), STAGED.replace("COLUMNS", staged))?;
        std::fs::write(models.join("marts/colours.yml"), COLOURS_NOTE)?;
        Ok(std::fs::write(models.join("marts/colours.sql"), COLOURS.replace("COLOUR", colour))?)
    };
    write("", "cast(null as string)")?;
    it.send(0, 7, "1.25", 20)?;
    // No text, which the column could not hold.
    let now = chrono::Utc::now();
    let odd =
        format!(r#"{{"id":"odd","time":"{}","data":{{"count":1,"colour":5}}}}"#, now.to_rfc3339());
    let odd = Message { partition: Some(0), value: Some(odd.as_bytes()), ..Message::default() };
    it.producer.send(&it.lab.topic, &odd)?;
    it.producer.flush()?;
    it.lab.ingest(&[])?;
    it.lab.weir(&["run"])?.expect(0)?;

    it.write("vending.health.yaml", &new())?;
    it.lab.weir(&["contracts", "apply", STREAM])?.expect(0)?;
    it.send(0, 8, "2.50", 3)?;
    it.lab.ingest(&[])?;
    write(", colour", "colour")?;
    let built = it.lab.weir(&["--output", "human", "run"])?.expect(0)?;
    ensure!(built.stdout.contains("its SQL changed"), "{built:#?}");
    let count = |sql: &str| it.lab.count(sql);
    // In the table the column is null before it was one; models find what came.
    ensure!(count("SELECT count(colour) AS n FROM raw.vending_health")? == 3);
    ensure!(count("SELECT sum(n) AS n FROM mart.colours WHERE colour = 'red'")? == 23);
    ensure!(count("SELECT sum(n) AS n FROM mart.colours WHERE colour IS NULL")? == 1);
    // An increment finds them, too: the hour is made anew from all its records.
    it.send(0, 8, "2.50", 2)?;
    it.lab.ingest(&[])?;
    it.lab.weir(&["run"])?.expect(0)?;
    ensure!(it.lab.count("SELECT sum(n) AS n FROM mart.colours WHERE colour = 'red'")? == 25);
    let compiled = it.lab.weir(&["--output", "human", "compile"])?.expect(0)?;
    ensure!(
        compiled.stdout.contains("raw.vending_health can be read by this process only"),
        "{compiled:#?}"
    );
    // A plan of them survives where the functions that look there are known.
    crate::increments::plans_survive(it.lab.path())?;
    it.lab.verify_clean()
}
