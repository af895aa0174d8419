//! Maintenance by the real binary: no reader sees another row, whatever happens in between.

mod beside;
mod retain;
mod sweep;

use anyhow::{Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, TABLE};

/// Compacts rows however young they are.
pub const AT_ONCE: [&str; 2] = ["--set", "maintain.age_min=0s"];

/// A lab whose table holds `commits` commits of two partitions, rejected rows among them.
pub fn small_files(name: &str, commits: u64, records: u64) -> Result<Lab> {
    let mut lab = Lab::new(name, 2)?;
    for _ in 0..commits {
        lab.produce(0, records)?;
        lab.produce(1, records / 2)?;
        lab.ingest(&[])?;
    }
    Ok(lab)
}

/// `weir maintain` of the lab's table, which must succeed; what it says of it.
pub fn maintain(lab: &Lab, more: &[&str]) -> Result<Value> {
    let result = lab.result(&[&AT_ONCE[..], &["maintain", TABLE], more].concat())?;
    Ok(result["tables"][TABLE].clone())
}

/// All rows and columns, as PyIceberg and DuckDB read them.
pub fn fingerprint(lab: &Lab) -> Result<String> {
    let database = lab.path().join("catalog.db").display().to_string();
    lab.python("fingerprint.py", &[&database, TABLE])
}

#[test]
fn no_reader_sees_another_row_and_once_is_enough() -> Result<()> {
    let mut lab = small_files("maintain", 9, 200)?;
    let (before, first) = (fingerprint(&lab)?, lab.weir(&["where", TABLE, "0", "7"])?.stdout);
    let snapshot = lab.table(weir_tests::lab::STREAM)?.metadata().current_snapshot_id();

    let dry = maintain(&lab, &["--dry-run"])?;
    ensure!(dry["compaction"]["inputs"] == 18 && dry["compaction"]["commits"] == 0, "{dry:#}");
    ensure!(dry["manifests"]["after"] == 1, "{dry:#}");
    let young = lab.result(&["maintain"])?["tables"][TABLE].clone();
    ensure!(young["compaction"]["young"] == 18 && young["compaction"]["inputs"] == 0, "{young:#}");
    lab.verify_clean()?;

    let done = maintain(&lab, &[])?;
    let compaction = &done["compaction"];
    ensure!(compaction["inputs"] == 18 && compaction["outputs"] == 2, "{done:#}");
    ensure!(compaction["rows"] == 2_700 && compaction["commits"] == 1, "{done:#}");
    let bytes = |name: &str| compaction[name].as_u64().unwrap_or_default();
    ensure!(bytes("output_bytes") * 4 < bytes("input_bytes") * 3, "{done:#}");
    ensure!(fingerprint(&lab)? == before, "a reader sees other rows");
    lab.verify_clean()?;

    let again = [&AT_ONCE[..], &["maintain", "--exit-99-when-idle"]].concat();
    lab.weir(&again)?.expect(99)?;
    // Since when a record is held, and what the past held, does not change.
    let then = lab.weir(&["where", TABLE, "0", "7"])?.stdout;
    let of = |text: &str| -> Result<Value> {
        let place: Value = serde_json::from_str(text.lines().next().unwrap_or_default())?;
        Ok(place["rows"][0]["first"].clone())
    };
    ensure!(of(&then)? == of(&first)?, "{first} and then {then}");
    let id = snapshot.unwrap_or_default().to_string();
    let sql = format!("SELECT count(*) AS n FROM {TABLE}");
    let past = lab.weir(&["--output", "json", "query", "--snapshot", &id, &sql])?;
    ensure!(past.stdout.contains("2700"), "{past:#?}");

    // Writers go on, ours and others.
    lab.produce(0, 50)?;
    lab.ingest(&[])?;
    lab.foreign(&["overwrite", "0", "3"])?;
    lab.verify_clean()?;
    maintain(&lab, &[])?;
    lab.verify_clean()?;
    let human = lab.weir(&["--output", "human", "maintain", "--dry-run"])?;
    ensure!(human.stdout.contains("nothing to compact among"), "{human:#?}");
    lab.weir(&["maintain", "raw.nothing"])?.expect(2)?.says(&["no table raw.nothing"])
}

#[test]
fn a_redrive_goes_on_over_compacted_rejects() -> Result<()> {
    let mut lab = Lab::new("maintain-redrive", 1)?;
    let wide = "          - {value: mains}\n          - {value: battery}\n";
    lab.write_contract(wide, "          - {value: battery}\n")?;
    for _ in 0..5 {
        lab.produce(0, 100)?;
        lab.ingest(&[])?;
    }
    maintain(&lab, &[])?;
    let rejected = "SELECT count(*) AS n FROM ops.rejects";
    let before = lab.count(rejected)?;
    lab.write_contract(wide, wide)?;
    let said = lab.result(&["redrive"])?;
    ensure!(lab.count(rejected)? * 4 < before, "{said:#}");
    lab.verify_clean()?;
    let rows = fingerprint(&lab)?;
    for _ in 0..4 {
        lab.produce(0, 100)?;
        lab.ingest(&[])?;
    }
    let revised = "SELECT count(*) AS n FROM raw.vending_health WHERE _rev = 1";
    let revisions = lab.count(revised)?;
    maintain(&lab, &[])?;
    ensure!(lab.count(revised)? == revisions && fingerprint(&lab)? != rows);
    // What compaction wrote anew was not redriven by it.
    let newest = lab.table(weir_tests::lab::STREAM)?.metadata().current_snapshot_id();
    let newest = newest.unwrap_or_default().to_string();
    let snapshot = lab.weir(&["where", "--snapshot", &newest])?;
    ensure!(snapshot.stdout.contains("\"redriven\":[]"), "{snapshot:#?}");
    lab.verify_clean()
}

#[test]
fn a_bound_of_time_ends_it_early_and_the_next_run_goes_on() -> Result<()> {
    let lab = small_files("maintain-time", 4, 100)?;
    let stopped = maintain(&lab, &["--time-max", "0s"])?;
    ensure!(stopped["stopped"] == true && stopped["compaction"]["commits"] == 0, "{stopped:#}");
    ensure!(maintain(&lab, &[])?["compaction"]["inputs"] == 8);
    lab.verify_clean()
}
