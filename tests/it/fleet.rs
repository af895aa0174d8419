//! The fleet through the whole of Weir: what the ground truth announces is what the lake holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_fleet::stream::Stream;
use weir_tests::lab::{Done, Lab, as_anybody, binary, done, on_a_full_disk, permissions};
use weir_tests::lab::{STREAM, repository};

fn weir(folder: &Path, arguments: &[&str]) -> Result<Done> {
    weir_by(Command::new(binary()), folder, arguments)
}

fn weir_by(mut command: Command, folder: &Path, arguments: &[&str]) -> Result<Done> {
    Ok(done(command.current_dir(folder).arg("--result-json").args(arguments).output()?))
}

fn all_files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let read = |entry: &std::fs::DirEntry| {
        Ok((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?))
    };
    entries.iter().map(read).collect()
}

#[test]
fn the_same_flags_give_the_same_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let flags = ["--machines", "60", "--for", "2h", "--trouble", "5", "--malformed", "0.01"];
    for name in ["a", "b"] {
        let truth = format!("{name}.truth");
        let mut arguments = vec!["simulate", "--to", name, "--truth", &truth, "--ref-dir", "ref"];
        arguments.extend(flags);
        let done = weir(folder.path(), &arguments)?;
        ensure!(done.code == Some(0), "{done:#?}");
        ensure!(done.result()?["records"].as_u64() > Some(5_000), "{done:#?}");
    }
    let (a, b) = (all_files(&folder.path().join("a"))?, all_files(&folder.path().join("b"))?);
    ensure!(a.len() == Stream::ALL.len() && a == b, "the files differ");
    let read = |name: &str| std::fs::read(folder.path().join(name));
    ensure!(read("a.truth")? == read("b.truth")?, "the ground truths differ");
    let tables = all_files(&folder.path().join("ref"))?;
    ensure!(tables.keys().eq([
        "accounts.csv",
        "machines.csv",
        "planogram.csv",
        "products.csv",
        "sites.csv"
    ]));
    Ok(())
}

#[test]
fn mistakes_of_simulate_are_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (arguments, says) in [
        (&["simulate"][..], "--to"),
        (&["simulate", "--to", "x", "--machines", "0"], "machines must be 1"),
        (&["simulate", "--to", "x", "--rate", "9e9"], "events per second"),
        (&["simulate", "--to", "x", "--stream", "vending.nothing"], "vending.health"),
        (&["simulate", "--to", "x", "--malformed", "rotten=1"], "not_json"),
        (
            &["simulate", "--from-csv", "none.csv", "--mapping", "none.toml", "--to", "x"],
            "none.toml",
        ),
    ] {
        let done = weir(folder.path(), arguments)?;
        ensure!(done.code == Some(2) && done.stderr.contains(says), "{arguments:?}: {done:#?}");
    }
    Ok(())
}

#[test]
fn a_kafka_that_is_not_there_and_a_topic_that_is_missing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = format!(
        "warehouse = \"lake\"\ncatalog.uri = \"sqlite:///catalog.db\"\n\
         kafka.bootstrap_servers = \"127.0.0.1:1\"\n\
         [streams.\"{STREAM}\"]\ntopic = \"t\"\ncontract = \"c.yaml\"\n"
    );
    std::fs::write(folder.path().join("weir.toml"), config)?;
    let away = weir(folder.path(), &["simulate", "--kafka", "--for", "1m"])?.expect(75)?;
    let words = ["no Kafka broker answers at 127.0.0.1:1", "is it running"];
    away.says(&[&words[..], &["kafka.bootstrap_servers"]].concat())?;

    let lab = Lab::new("fleet-missing", 1)?;
    let set = format!("streams.\"{STREAM}\".topic=weir-no-such-topic");
    let missing = lab.weir(&["--set", &set, "simulate", "--kafka", "--for", "1m"])?.expect(2)?;
    missing.says(&["topic weir-no-such-topic does not exist", "`weir topics --create`"])
}

#[test]
fn files_that_cannot_be_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    std::fs::create_dir(path.join("closed"))?;
    permissions(&path.join("closed"), 0o555)?;
    let permitted = "check the permissions of the user that runs weir";
    for arguments in [
        &["simulate", "--to", "closed/events"][..],
        &["simulate", "--to", "closed/events.ndjson"],
        &["simulate", "--ref-dir", "closed/ref"],
        &["simulate", "--to", "events", "--truth", "closed/truth"],
    ] {
        let denied = weir_by(as_anybody(), path, arguments)?.expect(1)?;
        denied.says(&["closed/", "cannot be written: Permission denied", permitted])?;
    }
    for arguments in [
        &["simulate", "--to", "full", "--for", "1h"][..],
        &["simulate", "--to", "some", "--stream", "trades", "--truth", "truth", "--for", "1d"],
    ] {
        let full = weir_by(on_a_full_disk(64), path, arguments)?.expect(75)?;
        full.says(&["cannot be written: File too large", "free some space there"])?;
    }
    let nowhere = weir(path, &["simulate", "--to", "nowhere/events.ndjson"])?.expect(2)?;
    nowhere.says(&["nowhere/events.ndjson", "create its folder"])
}

#[test]
fn a_mapping_that_is_broken_or_of_another_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("map.toml", "stream = \n")?;
    write("sales.csv", "a,b\n1,2\n")?;
    let example = repository().join("fleet/examples/vending_sales.toml").display().to_string();
    let from = |csv: &str, mapping: &str| {
        let arguments = ["simulate", "--to", "x.ndjson", "--from-csv", csv, "--mapping", mapping];
        weir(folder.path(), &arguments)?.expect(2)
    };
    from("sales.csv", "map.toml")?.says(&["map.toml", "line 1"])?;
    from("none.csv", &example)?.says(&["none.csv cannot be read"])?;
    let other = from("sales.csv", &example)?;
    ensure!(other.stderr.matches("no column \\\"Transaction\\\"").count() == 1, "{other:#?}");
    other.says(&["vending_sales.toml", "the CSV file has no column"])?;
    let alone = weir(folder.path(), &["simulate", "--to", "x.ndjson", "--from-csv", "sales.csv"])?;
    alone.expect(2)?.says(&["--mapping"])
}

/// Accepted rows of the lake, or records less rejects of the truth: by table, speaker and type.
type Counts = BTreeMap<(String, String, String), i64>;

#[test]
fn the_lake_agrees_with_the_ground_truth() -> Result<()> {
    let lab = Lab::new("fleet", 2)?;
    let mut streams = String::new();
    let contracts = repository().join("contracts");
    for stream in Stream::ALL.iter().filter(|stream| **stream != Stream::Health) {
        let topic = format!("{}-{stream}", lab.topic);
        lab.client()?.create_topic(&topic, 2, &[])?;
        streams.push_str(&format!(
            "\n[streams.\"{stream}\"]\ntopic = \"{topic}\"\ncontract = \"{}/{stream}.yaml\"\n",
            contracts.display()
        ));
    }
    // Some contracts hash personal data.
    let key = lab.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef")?;
    streams.push_str(&format!("\n[privacy]\nhash_key = \"file:{}\"\n", key.display()));
    lab.write_config(&streams)?;
    let truth = lab.path().join("truth.ndjson");
    let mut arguments = vec!["--result-json", "simulate", "--kafka", "--machines", "40"];
    arguments.extend(["--for", "1d", "--speed-up", "max", "--trouble", "6", "--malformed", "0.01"]);
    arguments.extend(["--truth", truth.to_str().context("path")?]);
    let done = lab.weir(&arguments)?;
    ensure!(done.code == Some(0), "{done:#?}");
    let sent = done.result()?["records"].as_i64().context("no count")?;
    lab.ingest(&["--set", "ingest.memory_max=256MiB"])?;

    let (mut told, mut faults) = (Counts::new(), Counts::new());
    let mut rejects: BTreeMap<String, i64> = BTreeMap::new();
    for line in std::fs::read_to_string(&truth)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_string();
        let number = |name: &str| line[name].as_i64().unwrap_or_default();
        let accepted = number("records") - number("rejected");
        match line["record"].as_str() {
            Some("count") if accepted > 0 => {
                told.insert((text("stream"), text("subject"), text("event_type")), accepted);
            }
            Some("fault_count") if accepted > 0 => {
                let key = (text("subject"), text("event_type"), text("eva_dts_code"));
                faults.insert(key, accepted);
            }
            Some("malformed") => *rejects.entry(text("class")).or_default() += 1,
            _ => {}
        }
    }
    let (mut rows, mut found) = (0, Counts::new());
    let mut rejected: BTreeMap<String, i64> = BTreeMap::new();
    for stream in Stream::ALL {
        let table = format!("raw.{}", stream.name().replace('.', "_"));
        let subject = match stream {
            Stream::StoreSales | Stream::StoreOperations => "till_id",
            Stream::StoreInventory => "store_id",
            Stream::Trades => "account_id",
            _ => "machine_id",
        };
        rows += lab.count(&format!("SELECT count(*) FROM {table}"))?;
        for (key, count) in query(&lab, &[subject, "event_type"], &table, "_error IS NULL")? {
            found.insert((stream.name().into(), key[0].clone(), key[1].clone()), count);
        }
        for (key, count) in query(&lab, &["_error['class']"], &table, "_error IS NOT NULL")? {
            *rejected.entry(key[0].clone()).or_default() += count;
        }
    }
    ensure!(rows == sent, "{rows} rows of {sent} records");
    ensure!(found == told, "the counts differ");
    ensure!(rejected == rejects, "rejects: {rejected:?}, announced: {rejects:?}");
    let columns = ["machine_id", "event_type", "eva_dts_code"];
    let codes: Counts = query(&lab, &columns, "raw.vending_faults", "_error IS NULL")?
        .into_iter()
        .map(|(key, count)| ((key[0].clone(), key[1].clone(), key[2].clone()), count))
        .collect();
    ensure!(codes == faults && !codes.is_empty(), "the faults differ");
    Ok(())
}

/// Counts by columns.
fn query(
    lab: &Lab,
    columns: &[&str],
    table: &str,
    filter: &str,
) -> Result<Vec<(Vec<String>, i64)>> {
    let named = columns.iter().enumerate().map(|(i, column)| format!("{column} AS c{i}"));
    let by = (1..=columns.len()).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {}, count(*) AS n FROM {table} WHERE {filter} GROUP BY {by}",
        named.collect::<Vec<_>>().join(", ")
    );
    let done = lab.weir(&["--output", "json", "query", &sql])?;
    ensure!(done.code == Some(0), "{sql}: {done:#?}");
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line)?;
        let text = |i| row[format!("c{i}")].as_str().unwrap_or_default().to_string();
        let n = row["n"].as_i64().or_else(|| row["n"].as_str()?.parse().ok());
        Ok(((0..columns.len()).map(text).collect(), n.context("no count")?))
    };
    done.stdout.lines().map(row).collect()
}
