//! Rejected rows through a corrected contract: once each, whatever dies or commits in between.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_tests::lab::{Lab, STREAM, TABLE, as_anybody, done, on_a_full_disk, permissions};
use weir_tests::sample::Rng;

/// What feeds the controller: nearly all heartbeats say the first.
const WIDE: &str = "          - {value: mains}\n          - {value: battery}\n";
const NARROW: &str = "          - {value: battery}\n";

/// A lab whose contract rejects nearly everything, and what must be accepted by the right one.
struct Corrected {
    lab: Lab,
    /// Partition and offset → whether the right contract accepts the record.
    list: BTreeMap<(i32, i64), bool>,
    sent: u64,
    ends: [i64; 2],
}

impl Corrected {
    fn new(name: &str) -> Result<Corrected> {
        let lab = Lab::new(name, 2)?;
        lab.write_contract(WIDE, NARROW)?;
        Ok(Corrected { lab, list: BTreeMap::new(), sent: 0, ends: [0, 0] })
    }

    /// Produces heartbeats, each twentieth broken for ever.
    fn produce(&mut self, partition: i32, count: u64) -> Result<()> {
        self.lab.produce(partition, count)?;
        let end = &mut self.ends[partition as usize];
        for _ in 0..count {
            self.list.insert((partition, *end), self.sent % 20 != 19);
            (self.sent, *end) = (self.sent + 1, *end + 1);
        }
        Ok(())
    }

    fn correct(&self) -> Result<()> {
        self.lab.write_contract(WIDE, WIDE)
    }

    /// Fails unless verify, PyIceberg and DuckDB find exactly what the right contract says.
    fn agree(&self) -> Result<()> {
        self.lab.verify_clean()?;
        let path = self.lab.path().join("list.csv");
        let mut text = String::from("partition,offset,accepted,required\n");
        for ((partition, offset), accepted) in &self.list {
            text += &format!("{partition},{offset},{accepted},true\n");
        }
        std::fs::write(&path, text)?;
        let database = self.lab.path().join("catalog.db").display().to_string();
        self.lab.python("compare.py", &[&database, TABLE, &path.display().to_string()])?;
        Ok(())
    }

    fn rejected(&self) -> Result<i64> {
        self.lab.count("SELECT count(*) AS n FROM ops.rejects")
    }

    /// Rows that are accepted by the right contract, of those sent so far.
    fn good(&self) -> i64 {
        self.list.values().filter(|good| **good).count() as i64
    }
}

#[test]
fn a_corrected_contract_accepts_what_it_rejected() -> Result<()> {
    let mut corrected = Corrected::new("redrive")?;
    for _ in 0..3 {
        corrected.produce(0, 60)?;
        corrected.produce(1, 40)?;
        corrected.lab.ingest(&[])?;
    }
    let before = corrected.rejected()?;
    ensure!(before > 250, "{before} rejected");
    corrected.correct()?;

    let dry = corrected.lab.result(&["redrive", "--dry-run"])?;
    let said = &dry["streams"][STREAM];
    ensure!(said["selected"] == json!(before) && said["commits"] == 0, "{dry:#}");
    ensure!(said["refused"].get("out_of_range").is_some(), "1e999 stays out of range: {dry:#}");
    ensure!(corrected.rejected()? == before, "a dry run changed something");

    // A part first: one class, one partition, some offsets.
    let arguments = ["redrive", "--stream", STREAM, "--class", "out_of_range"];
    let part = [&arguments[..], &["--partition", "1", "--offsets", "10..20"]].concat();
    let said = corrected.lab.result(&part)?["streams"][STREAM].clone();
    ensure!(said["rev"] == 1 && said["commits"] == 1, "{said:#}");
    let sql = format!(
        "SELECT count(*) AS n FROM {TABLE} WHERE _rev = 1 AND _kafka_partition = 1 AND \
                       _offset >= 10 AND _offset < 20 AND _error IS NULL"
    );
    let moved = corrected.lab.count(&sql)?;
    ensure!(moved > 0 && corrected.rejected()? == before - moved, "{moved} moved");
    corrected.lab.verify_clean()?;

    let said = corrected.lab.result(&["redrive"])?["streams"][STREAM].clone();
    ensure!(said["rev"] == 2, "{said:#}");
    let rejected = corrected.list.len() as i64 - corrected.good();
    ensure!(corrected.rejected()? == rejected, "{} of {rejected}", corrected.rejected()?);
    corrected.agree()?;

    let again = corrected.lab.weir(&["--result-json", "redrive", "--exit-99-when-idle"])?;
    ensure!(again.code == Some(99), "{again:#?}");
    ensure!(again.result()?["streams"][STREAM]["commits"] == 0, "{again:#?}");
    // Ingest goes on where it was.
    corrected.produce(0, 60)?;
    corrected.lab.ingest(&[])?;
    corrected.agree()
}

#[test]
fn a_rewrite_by_another_engine_is_redriven_too() -> Result<()> {
    let mut corrected = Corrected::new("redrive-foreign")?;
    for _ in 0..3 {
        corrected.produce(0, 40)?;
        corrected.lab.ingest(&[])?;
    }
    corrected.lab.foreign(&["rewrite"])?;
    corrected.correct()?;
    corrected.lab.result(&["redrive", "--partition", "0", "--offsets", "..50"])?;
    corrected.lab.foreign(&["rewrite"])?;
    corrected.lab.result(&["redrive"])?;
    corrected.agree()
}

#[test]
fn two_at_once_do_it_once() -> Result<()> {
    let mut corrected = Corrected::new("redrive-two")?;
    for _ in 0..4 {
        corrected.produce(0, 80)?;
        corrected.lab.ingest(&[])?;
    }
    corrected.correct()?;
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(start(&corrected.lab, &["redrive"])?);
    }
    for child in running {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    corrected.agree()
}

#[test]
fn what_cannot_be_written_is_told_and_leaves_the_rows_as_they_were() -> Result<()> {
    let mut corrected = Corrected::new("redrive-denied")?;
    corrected.produce(0, 8_000)?;
    corrected.lab.ingest(&[])?;
    corrected.correct()?;
    let before = corrected.rejected()?;
    let lab = &corrected.lab;
    let by = |mut command: std::process::Command| -> Result<_> {
        Ok(done(command.arg("--config").arg(lab.config()).arg("redrive").output()?))
    };
    let days = std::fs::read_dir(lab.path().join("lake/raw/vending_health/data"))?;
    let days = days.collect::<Result<Vec<_>, _>>()?;
    let set = |mode| days.iter().try_for_each(|day| permissions(&day.path(), mode));
    set(0o555)?;
    let denied = by(as_anybody())?;
    set(0o755)?;
    let denied = denied.expect(1)?;
    denied.says(&[
        "Permission denied",
        "lake/raw/vending_health/data",
        "permissions of the user",
    ])?;
    let full = by(on_a_full_disk(128))?.expect(75)?;
    full.says(&["File too large", "lake/raw/vending_health/data", "free some space there"])?;
    ensure!(corrected.rejected()? == before, "something was redriven");
    lab.verify_clean()?;

    lab.weir(&["redrive", "--stream", "vending.heath"])?.expect(2)?.says(&["choose one of"])?;
    lab.write_contract("logicalType: boolean", "logicalType: bool")?;
    lab.weir(&["redrive"])?.expect(2)?.says(&["vending.health.yaml:", "\\\"bool\\\""])?;
    corrected.correct()?;
    lab.result(&["redrive"])?;
    corrected.agree()
}

#[test]
fn rejects_are_counted_sampled_and_filtered() -> Result<()> {
    let mut corrected = Corrected::new("rejects")?;
    corrected.produce(0, 100)?;
    corrected.produce(1, 20)?;
    corrected.lab.ingest(&[])?;
    let lines = |more: &[&str]| -> Result<Vec<Value>> {
        let done = corrected.lab.weir(&[&["rejects"][..], more].concat())?;
        ensure!(done.code == Some(0), "{done:#?}");
        done.stdout.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let all = lines(&[])?;
    ensure!(all[0]["class"] == "out_of_range" && all[0]["stream"] == STREAM, "{all:#?}");
    let rows: u64 = all.iter().filter_map(|line| line["rows"].as_u64()).sum();
    ensure!(rows as i64 == corrected.rejected()?, "{rows}");
    let sample = &all[0]["samples"][0];
    ensure!(sample["_value"].as_str().is_some_and(|v| v.contains("heartbeat")), "{sample:#}");
    ensure!(sample["field"] == "data.power", "{sample:#}");
    let some = lines(&["--class", "out_of_range", "--partition", "1", "--samples", "1"])?;
    ensure!(some.len() == 1 && some[0]["samples"].as_array().is_some_and(|s| s.len() == 1));
    ensure!(some[0]["samples"][0]["_kafka_partition"] == 1, "{some:#?}");
    let human = corrected.lab.weir(&["--output", "human", "rejects"])?;
    ensure!(human.stdout.contains("data.power: \"mains\" is not one of: battery"), "{human:#?}");
    let wrong = corrected.lab.weir(&["rejects", "--class", "nonsense"])?;
    ensure!(wrong.code == Some(2) && wrong.stderr.contains("choose one of null_value"));
    Ok(())
}

#[test]
fn a_record_is_found_from_every_side() -> Result<()> {
    let mut corrected = Corrected::new("where")?;
    corrected.produce(0, 50)?;
    corrected.lab.ingest(&[])?;
    let find = |more: &[&str]| -> Result<Value> {
        let done = corrected.lab.weir(&[&["where"][..], more].concat())?;
        ensure!(done.code == Some(0), "{done:#?}");
        Ok(serde_json::from_str(done.stdout.lines().next().context("no answer")?)?)
    };
    let first = find(&[STREAM, "0", "7"])?;
    ensure!(first["state"] == "row" && first["rows"][0]["rejected"] == true, "{first:#}");
    corrected.correct()?;
    corrected.lab.result(&["redrive"])?;
    let then = find(&[&corrected.lab.topic, "0", "7"])?;
    let row = &then["rows"][0];
    ensure!(row["rejected"] == false && row["rev"] == 1, "{then:#}");
    ensure!(row["first"] == first["rows"][0]["first"], "it was held before: {then:#}");
    ensure!(row["row"]["event_type"] == "vending.health.heartbeat", "{then:#}");
    let redriven = row["redriven"]["snapshot"].as_str().context("a snapshot")?;
    let snapshot = find(&["--snapshot", redriven])?;
    let ranges = snapshot["redriven"][0]["accepted"]["ranges"].to_string();
    ensure!(ranges.contains("[\"0\",\"18\"]"), "{snapshot:#}");
    let file = find(&["--file", row["file"].as_str().context("a file")?])?;
    ensure!(file["current"] == true && file["offsets"][0]["partition"] == 0, "{file:#}");
    let event = row["row"]["event_id"].as_str().context("an id")?;
    ensure!(find(&["--event", event])?["offset"] == "7");
    ensure!(find(&[TABLE, "0", "50"])?["head"] == "50");
    let human = corrected.lab.weir(&["--output", "human", "where", STREAM, "0", "50"])?;
    ensure!(human.stdout.contains("complete up to offset 50"), "{human:#?}");
    let none = corrected.lab.weir(&["where", "--trace", "no such trace"])?;
    ensure!(none.code == Some(1), "{none:#?}");
    ensure!(corrected.lab.weir(&["where", STREAM, "0"])?.code == Some(2));
    Ok(())
}

#[test]
fn the_config_is_shown_with_its_origins() -> Result<()> {
    let lab = Lab::new("config", 1)?;
    let done = lab.weir(&["--set", "ingest.memory_max=1GiB", "config"])?;
    ensure!(done.code == Some(0), "{done:#?}");
    let line = |key: &str| -> Result<Value> {
        let lines = done.stdout.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?));
        let lines = lines.collect::<Result<Vec<_>>>()?;
        lines.into_iter().find(|line| line["key"] == key).context("no such key")
    };
    ensure!(line("ingest.memory_max")?["origin"] == "--set ingest.memory_max");
    ensure!(line("warehouse")?["origin"].as_str().is_some_and(|o| o.ends_with("weir.toml:1")));
    ensure!(line("log.level")?["origin"] == "default");
    Ok(())
}

/// A redrive that is going to be killed.
fn start(lab: &Lab, arguments: &[&str]) -> Result<Child> {
    let mut command = lab.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// Waits until the process says that a commit is under way; false if it ends before.
fn await_commit(child: &mut Child) -> bool {
    let Some(stderr) = child.stderr.as_mut() else { return false };
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    lines.any(|line| line.contains("commit_started"))
}

#[test]
fn kills_at_any_instant_and_ingest_beside_it_lose_and_double_nothing() -> Result<()> {
    let mut corrected = Corrected::new("redrive-kills")?;
    for _ in 0..12 {
        corrected.produce(0, 100)?;
        corrected.produce(1, 100)?;
        corrected.lab.ingest(&[])?;
    }
    corrected.correct()?;
    let mut ingest = start(&corrected.lab, &["--set", "ingest.flush.interval=150ms", "ingest"])?;
    // Nobody reads its log; a full pipe would stop it.
    let mut log = ingest.stderr.take().context("no stderr")?;
    let drain = std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));

    let begun = Instant::now();
    let whole = corrected.lab.weir(&["redrive", "--partition", "0", "--offsets", "0..10"])?;
    ensure!(whole.code == Some(0), "{whole:#?}");
    let long_ms = begun.elapsed().as_millis() as u64;
    let mut rng = Rng::new(11);
    let (mut landed, mut not_landed) = (0, 0);
    let rev = format!("SELECT coalesce(max(_rev), 0) AS n FROM {TABLE}");
    let mut before = corrected.lab.count(&rev)?;
    for round in 0..60u64 {
        let partition = rng.below(2).to_string();
        let from = rng.below(1_200);
        let offsets = format!("{from}..{}", from + 60);
        let arguments = ["redrive", "--partition", &partition, "--offsets", &offsets];
        let mut child = start(&corrected.lab, &arguments)?;
        // A third of the kills strike at any instant, the others while a commit is under way.
        let mut committing = false;
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_millis(rng.below(long_ms * 5 / 4)));
        } else {
            committing = await_commit(&mut child);
            std::thread::sleep(Duration::from_millis(rng.below(100)));
        }
        child.kill()?;
        child.wait()?;
        let after = corrected.lab.count(&rev)?;
        ensure!(after == before || after == before + 1, "revision {before}, then {after}");
        landed += u64::from(after > before);
        not_landed += u64::from(committing && after == before);
        before = after;
        if round % 10 == 0 {
            corrected.produce((round / 10 % 2) as i32, 50)?;
            corrected.lab.verify_clean()?;
        }
    }
    println!("of the commits under way {landed} had landed, {not_landed} had not");
    ensure!(landed > 0 && not_landed > 0, "{landed} landed, {not_landed} did not");
    let said = corrected.lab.result(&["redrive"])?;
    println!("{}", said["streams"][STREAM]);
    let stop = std::process::Command::new("kill").arg(ingest.id().to_string()).status()?;
    ensure!(stop.success() && ingest.wait()?.success(), "ingest did not end well");
    let _ = drain.join();
    corrected.lab.ingest(&[])?;
    corrected.agree()
}
