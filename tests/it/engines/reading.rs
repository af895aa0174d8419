//! They read every table as we do: each value, filters, past states, after evolution and compaction.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::asked::{ENGINES, Engines};
use super::fleet::{At, CHANGING, Fleet};
use super::page::{Known, Table};
use crate::backends::place::{moto, runtime};

const SALES: &str = "raw.vending_sales";
const ALL_TYPES: &str = "raw.all_types";
const COUNTS: &str = "raw.lab_counts";
const READERS: [&str; 3] = ["trino", "spark", "duckdb"];
const KNOWN: [Known; 0] = [];

/// All that a fleet has: three ingests of every stream, reference tables, marts, a tag, an evolved table;
/// the snapshot before that.
pub fn history(fleet: &mut Fleet) -> Result<String> {
    fleet.weir(&["seed"])?.expect(0)?;
    fleet.counts(7, "1.25", 20)?;
    fleet.live(1, 6, &[])?;
    fleet.weir(&["tag", SALES, "audit"])?.expect(0)?;
    let before = fleet.newest(COUNTS)?;
    let by_month = "customProperties:\n  - {property: weir.partitionedBy, value: month}\n";
    fleet.contract(&(crate::evolve::new() + by_month))?;
    fleet.result(&["contracts", "apply", CHANGING])?;
    fleet.counts(1 << 40, "1234567890.12", 20)?;
    fleet.live(2, 3, &[])?;
    fleet.live(3, 2, &[])?;
    // Of sales so many files that they are worth a compaction.
    fleet.live(4, 2, &["vending.sales"])?;
    fleet.live(5, 2, &["vending.sales"])?;
    fleet.weir(&["run"])?.expect(0)?;
    runtime()?.block_on(fleet.all_types(3))?;
    fleet.weir(&["verify"])?.expect(0)?;
    Ok(before)
}

/// Fails at the first table that a reader sees otherwise; how much was read.
fn rows(engines: &mut Engines, fleet: &Fleet, by: &str, tables: &[String]) -> Result<Value> {
    let (mut rows, mut cells, mut empty) = (0, 0, Vec::new());
    for table in tables {
        let seen = engines.ask(&fleet.about("rows", by, table)).with_context(|| table.clone())?;
        let number = |name: &str| seen[name].as_i64().unwrap_or_default();
        if number("rows") == 0 {
            empty.push(table);
        }
        rows += number("rows");
        cells += number("rows") * number("columns");
    }
    // In the hours of a few machines not everything happens.
    let may_be = |table: &&&String| table.starts_with("mart.");
    ensure!(
        empty.iter().all(|table| may_be(&table)) && 4 * empty.len() < tables.len(),
        "empty: {empty:?}"
    );
    Ok(json!({"tables": tables.len(), "rows": rows, "values": cells, "empty": empty}))
}

fn of<'a>(tables: &'a [String], namespace: &'a str) -> Vec<String> {
    tables.iter().filter(|table| table.starts_with(namespace)).cloned().collect()
}

/// Everything that is asked of a reader.
pub fn read(engines: &mut Engines, fleet: &Fleet, page: &mut Table, before: &str) -> Result<()> {
    let tables = fleet.tables()?;
    ensure!(of(&tables, "raw.").len() == 14 && of(&tables, "ref.").len() == 5, "{tables:?}");
    ensure!(of(&tables, "mart.").len() >= 41, "{tables:?}");
    for by in READERS {
        for (what, namespace) in [
            ("every row, column and sum of the raw tables", "raw."),
            ("the same of the reference tables", "ref."),
            ("the same of the marts", "mart."),
        ] {
            let seen = rows(engines, fleet, by, &of(&tables, namespace));
            page.see(by, what, seen, &KNOWN)?;
        }
        let mut evolved = fleet.about("rows", by, COUNTS);
        let now = engines.ask(&evolved);
        evolved["at"] = json!({"id": before});
        let seen = now.and_then(|_| engines.ask(&evolved));
        ensure!(seen.as_ref().is_ok_and(|seen| seen["rows"] == 20), "{by}: {seen:?}");
        let what =
            "a table whose columns were added and widened, its days made months, now and before";
        page.see(by, what, seen, &KNOWN)?;
    }
    for by in ENGINES {
        let seen = engines.ask(&fleet.about("filters", by, ALL_TYPES));
        page.see(by, "filters on a column of every type", seen, &KNOWN)?;
        for to in ["id", "time", "tag"] {
            let mut asked = fleet.about("travel", by, SALES);
            asked["to"] = to.into();
            page.see(by, &format!("every past state by {to}"), engines.ask(&asked), &KNOWN)?;
        }
        let seen = printed(engines, fleet, by);
        page.see(by, "the SQL that `weir snapshots --as-of` prints", seen, &KNOWN)?;
        let seen = engines.ask(&fleet.about("metadata", by, SALES));
        page.see(by, "snapshots, files, history, refs, manifests, partitions", seen, &KNOWN)?;
        let entries = match by {
            "trino" => format!("SELECT count(*) FROM {}", quoted(&fleet.named(SALES), "$entries")),
            _ => format!("SELECT count(*) FROM {}.entries", fleet.named(SALES)),
        };
        let seen = engines.sql(by, &entries).map(Value::from);
        page.see(by, "entries", seen, &KNOWN)?;
    }
    Ok(())
}

/// What an engine answers to the statement that we print for a past state.
fn printed(engines: &mut Engines, fleet: &Fleet, by: &str) -> Result<Value> {
    let listed = fleet.weir(&["--output", "json", "snapshots", SALES])?.expect(0)?;
    let past = listed.stdout.lines().rev().nth(1).context("no past snapshot")?;
    let past: Value = serde_json::from_str(past)?;
    let at = past["committed_at"].as_str().with_context(|| past.to_string())?;
    let done = fleet.weir(&["--output", "json", "snapshots", SALES, "--as-of", at])?.expect(0)?;
    let told: Value = serde_json::from_str(done.stdout.lines().next().context("nothing told")?)?;
    ensure!(told["snapshot"] == past["snapshot"], "{told}, not {past}");
    let sql = told["sql"][by].as_str().with_context(|| told.to_string())?;
    // In a session whose catalog is the lake's; here all lakes share one.
    let theirs = fleet.named(SALES);
    let parts: Vec<&str> = theirs.split('.').collect();
    let [catalog, database, _] = parts[..] else { bail!("{theirs} has no three parts") };
    let at = sql.find(database).with_context(|| format!("{sql} does not name {database}"))?;
    // Before the quote, if it stands in one.
    let at = at - usize::from(!sql[..at].ends_with(' '));
    let rows = engines.sql(by, &format!("{}{catalog}.{}", &sql[..at], &sql[at..]))?;
    let snapshot = past["snapshot"].as_str().context("an id")?;
    let count = format!("SELECT count(*) AS n FROM {SALES}");
    let ours =
        fleet.weir(&["--output", "json", "query", "--snapshot", snapshot, &count])?.expect(0)?;
    let ours: Value = serde_json::from_str(ours.stdout.lines().next().context("no row")?)?;
    ensure!(
        ours["n"] == rows.len() && !rows.is_empty(),
        "{} rows, by us {ours}: {sql}",
        rows.len()
    );
    Ok(json!({"rows": rows.len()}))
}

/// A metadata table of Trino's.
fn quoted(table: &str, what: &str) -> String {
    let (database, name) = table.rsplit_once('.').unwrap_or_default();
    format!("{database}.\"{name}{what}\"")
}

#[test]
fn these_are_the_versions() -> Result<()> {
    let mut engines = Engines::shared()?;
    let found = engines.ask(&json!({"do": "versions"}))?;
    let readers = ["trino", "spark", "duckdb", "pyiceberg"];
    let mut page = Table::new("versions", &readers);
    for reader in readers {
        page.note(reader, "version", found[reader].as_str().context("a version")?.to_string())?;
    }
    page.settle()
}

#[test]
fn every_table_is_read_as_we_read_it() -> Result<()> {
    let mut engines = Engines::shared()?;
    let endpoint = moto()?.endpoint();
    let at = At::Glue { glue: endpoint.clone(), s3: endpoint };
    let mut fleet = Fleet::new("lake", at, &mut engines)?;
    let before = history(&mut fleet)?;
    let mut page = Table::new("reads", &READERS);
    read(&mut engines, &fleet, &mut page, &before)?;

    let done = fleet.result(&["--set", "maintain.age_min=0s", "maintain"])?;
    let inputs = done["tables"][SALES]["compaction"]["inputs"].as_i64();
    ensure!(inputs > Some(1), "nothing was compacted: {done:#}");
    let tables = fleet.tables()?;
    for by in READERS {
        let seen = rows(&mut engines, &fleet, by, &of(&tables, "raw."));
        page.see(by, "all raw tables after `weir maintain`", seen, &KNOWN)?;
    }
    for by in ENGINES {
        let seen = engines.ask(&fleet.about("filters", by, ALL_TYPES));
        page.see(by, "filters after `weir maintain`", seen, &KNOWN)?;
    }
    entries_are_those_of_the_java_catalog(&mut engines, &fleet)?;
    page.settle()
}

/// A table's entry in Glue beside the one that Spark, which has Iceberg's own catalog, makes of the same columns.
fn entries_are_those_of_the_java_catalog(engines: &mut Engines, fleet: &Fleet) -> Result<()> {
    for (table, copy) in [(ALL_TYPES, "raw.all_types_copy"), (SALES, "raw.sales_copy")] {
        let (ours, theirs) = (fleet.named(table), fleet.named(copy));
        engines.sql(
            "spark",
            &format!("CREATE TABLE {theirs} USING iceberg AS SELECT * FROM {ours} LIMIT 0"),
        )?;
        let mut asked = fleet.about("entry", "spark", table);
        asked["other"] = fleet.about("entry", "spark", copy)["table"].clone();
        let seen = engines.ask(&asked).with_context(|| table.to_string())?;
        println!("{table}: as Spark's entry: {seen}");
        engines.sql("spark", &format!("DROP TABLE {theirs}"))?;
    }
    Ok(())
}
