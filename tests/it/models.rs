//! SQL models through the real binary: what a data engineer sees, and what mistakes look like.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;
use weir_tests::lab::{self, Done, permissions};

const MACHINES: &str = "\
machine_id,machine_kind,machine_status,refrigerated,site_id,valid_from
m-1,snack,active,true,s-1,2026-01-01T00:00:00Z
m-2,drinks,stored,false,s-2,2026-01-01T00:00:00Z
m-3,drinks,active,false,,2026-01-01T00:00:00Z
";
const FLEET: &str = "\
select machine_id, machine_kind, machine_status = 'active' as is_active, site_id
from {{ source('ref', 'machines_history') }}
where valid_to is null
";
const NOTE: &str = "\
models:
  - name: fleet
    description: Machines as they are now.
    config: {tags: [now], meta: {owner: operations, readers: [the map]}}
    columns:
      - {name: machine_id, description: The machine., data_tests: [not_null, unique]}
      - name: machine_kind
        data_tests:
          - accepted_values: {arguments: {values: [snack, drinks]}}
unit_tests:
  - name: what_has_ended_is_not_shown
    model: fleet
    given:
      - input: source('ref', 'machines_history')
        rows:
          - {machine_id: a, machine_status: stored}
          - {machine_id: b, valid_to: \"2026-01-01T00:00:00Z\"}
    expect: {rows: [{machine_id: a, is_active: false}]}
";

/// A folder with a config, a reference table and a mart of it.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Result<Shop> {
        let shop = Shop { folder: tempfile::Builder::new().prefix("weir-models-").tempdir()? };
        let contracts = lab::repository().join("contracts");
        let config = format!(
            "warehouse = \"lake\"\ncatalog.uri = \"sqlite:///catalog.db\"\n\
             [references.\"ref.machines\"]\nfile = \"machines.csv\"\ncontract = \"{0}/ref.machines.yaml\"\n\
             [streams.\"vending.sales\"]\ntopic = \"t\"\ncontract = \"{0}/vending.sales.yaml\"\n",
            contracts.display()
        );
        shop.write("weir.toml", &config)?;
        shop.write("machines.csv", MACHINES)?;
        shop.write("transforms/sql/marts/fleet.sql", FLEET)?;
        shop.write("transforms/sql/marts/_marts.yml", NOTE)?;
        Ok(shop)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(self.path()))?;
        Ok(std::fs::write(path, text)?)
    }

    fn by(&self, mut command: Command, output: &str, arguments: &[&str]) -> Result<Done> {
        command.arg("--config").arg(self.path().join("weir.toml"));
        command.args(["--log-format", "human", "--output", output]).args(arguments);
        Ok(lab::done(command.output()?))
    }

    fn weir(&self, arguments: &[&str]) -> Result<Done> {
        self.by(Command::new(lab::binary()), "human", arguments)
    }

    fn lines(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let done = self.by(Command::new(lab::binary()), "json", arguments)?.expect(0)?;
        done.stdout.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

/// Fails unless all of this was said, wherever.
fn told(done: &Done, words: &[&str]) -> Result<()> {
    for word in words {
        let said = done.stdout.contains(word) || done.stderr.contains(word);
        ensure!(said, "{word:?} was not said: {done:#?}");
    }
    Ok(())
}

#[test]
fn without_a_lake_models_compile_and_unit_tests_run() -> Result<()> {
    let shop = Shop::new()?;
    let listed = shop.lines(&["ls"])?;
    ensure!(listed[0]["relation"] == "mart.fleet" && listed[0]["tags"][0] == "now", "{listed:?}");
    let compiled = shop.lines(&["compile"])?;
    ensure!(compiled[0]["columns"][2]["name"] == "is_active", "{compiled:?}");
    ensure!(compiled[0]["columns"][2]["type"] == "boolean", "{compiled:?}");
    let sql = shop.path().join("transforms/sql/target/compiled/marts/fleet.sql");
    let sql = std::fs::read_to_string(sql)?;
    ensure!(sql.contains("from ref.machines_history"), "{sql}");
    let unit = shop.weir(&["test", "--unit"])?.expect(0)?;
    told(&unit, &["PASS=1 WARN=0 ERROR=0"])?;
    let lineage = shop.lines(&["lineage", "fleet"])?;
    ensure!(lineage[2]["column"] == "is_active", "{lineage:?}");
    ensure!(lineage[2]["from"][0]["column"] == "machine_status", "{lineage:?}");
    // What needs the rows of a lake says so.
    for command in [&["show", "fleet"][..], &["test"]] {
        told(&shop.weir(command)?.expect(2)?, &["there is no", "`weir ingest` makes it"])?;
    }
    Ok(())
}

#[test]
fn rows_are_shown_and_tested() -> Result<()> {
    let shop = Shop::new()?;
    shop.weir(&["seed"])?.expect(0)?;
    let rows = shop.lines(&["show", "fleet"])?;
    ensure!(rows.len() == 3, "{rows:?}");
    told(&shop.weir(&["show", "fleet", "--limit", "1"])?.expect(0)?, &["| machine_id |"])?;
    told(&shop.weir(&["test"])?.expect(0)?, &["Found 1 models, 3 data tests", "PASS=4"])?;
    // A value that nobody expects, and a warning.
    let narrow = NOTE.replace("[snack, drinks]", "[snack]");
    shop.write("transforms/sql/marts/_marts.yml", &narrow)?;
    shop.write(
        "transforms/sql/tests/placed.sql",
        "select * from {{ ref('fleet') }} where site_id is null",
    )?;
    let failed = shop.weir(&["test"])?.expect(1)?;
    told(
        &failed,
        &[
            "FAIL 1 test placed",
            "PASS=3 WARN=0 ERROR=2",
            "_marts.yml:9:13",
            "| drinks",
            "2 tests failed",
        ],
    )?;
    let stopped = shop.weir(&["test", "--data", "--fail-fast"])?.expect(1)?;
    told(&stopped, &["ERROR=1", "1 test failed"])?;
    let warned = narrow.replace("values: [snack]}", "values: [snack]}, config: {severity: warn}");
    shop.write("transforms/sql/marts/_marts.yml", &warned)?;
    let warned = shop.weir(&["test", "--data", "--select", "tag:now"])?;
    told(&warned, &["WARN 1 test accepted_values_fleet_machine_kind"])?;
    let results =
        std::fs::read_to_string(shop.path().join("transforms/sql/target/run_results.json"))?;
    let results: Value = serde_json::from_str(&results)?;
    let statuses: Vec<&str> = results["results"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|r| r["status"].as_str())
        .collect();
    ensure!(statuses == ["pass", "pass", "warn", "fail"], "{results:#}");
    Ok(())
}

#[test]
fn mistakes_say_where_they_are_and_what_to_do() -> Result<()> {
    let shop = Shop::new()?;
    let fleet = "transforms/sql/marts/fleet.sql";
    for (text, says) in [
        (
            "select machine_idd as m\nfrom {{ source('ref', 'machines_history') }}",
            "fleet.sql:1:8: ",
        ),
        ("select 1 as m\nfrom {{ source('ref', 'machine_history') }}", "fleet.sql:2:"),
        ("select now() as t", "reads the clock"),
        ("select 1 as m from", "not SQL"),
        ("{{ config(materialized='table') }} select 1 as m", "`materialized` is \"view\""),
    ] {
        shop.write(fleet, text)?;
        let done = shop.weir(&["compile"])?.expect(2)?;
        told(&done, &[says, "in the models", "docs/models.md"])?;
    }
    shop.write(fleet, FLEET)?;
    for (arguments, says) in [
        (&["show", "flet"][..], "did you mean \"fleet\"?"),
        (&["ls", "--select", "tags:now"], "cannot be read"),
        (&["compile", "--vars", "[1]"], "--vars: write a mapping"),
        (&["compile", "--set", "transforms.folder=nowhere"], "there is no folder of models"),
    ] {
        told(&shop.weir(arguments)?.expect(2)?, &[says])?;
    }
    // Nothing chosen is nothing to do, as in dbt.
    let none = shop.weir(&["test", "--unit", "--select", "tag:none"])?.expect(0)?;
    told(&none, &["Nothing to do"])?;
    // A folder that may not be written to.
    permissions(&shop.path().join("transforms/sql"), 0o555)?;
    let mut anybody = lab::as_anybody();
    anybody.current_dir(shop.path());
    permissions(shop.path(), 0o755)?;
    told(&shop.by(anybody, "human", &["compile"])?.expect(1)?, &["cannot be written", "target"])
}
