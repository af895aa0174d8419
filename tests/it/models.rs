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
    told(
        &shop.weir(&["lineage", "fleet", "--mermaid"])?.expect(0)?,
        &[
            "flowchart LR",
            "subgraph mart__fleet[\"mart.fleet\"]",
            "mart__fleet__is_active[\"is_active\"]",
            "ref__machines_history__machine_status --> mart__fleet__is_active",
        ],
    )?;
    let picture = shop.weir(&["lineage", "--mermaid"])?.expect(0)?;
    told(&picture, &["ref__machines_history[(\"ref.machines_history\")] --> fleet"])?;
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
            "FAIL 1 placed",
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
    told(&warned, &["WARN 1 accepted_values_fleet_machine_kind"])?;
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
        (
            "{{ config(materialized='ephemeral') }} select 1 as m",
            "is \"view\", \"table\" or \"incr",
        ),
    ] {
        shop.write(fleet, text)?;
        let done = shop.weir(&["compile"])?.expect(2)?;
        told(&done, &[says, "in the models", "docs/models.md"])?;
    }
    shop.write(fleet, FLEET)?;
    for (arguments, says) in [
        (&["lineage", "flet"][..], "did you mean \"fleet\"?"),
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

const COUNT: &str = "\
{{ config(materialized='table') }}
select (select count(*) from {{ ref('fleet') }}) as shown, count(*) as known
from {{ source('ref', 'machines_history') }}
";
const COUNT_NOTE: &str = "\
models:
  - name: fleet_count
    config: {meta: {readers: [the map]}}
    columns: [{name: known, description: Machines., data_type: long}]
";

/// A shop whose mart is a table, with a second one that reads it.
fn tables() -> Result<Shop> {
    let shop = Shop::new()?;
    let fleet = format!("{{{{ config(materialized='table') }}}}\n{FLEET}");
    shop.write("transforms/sql/marts/fleet.sql", &fleet)?;
    shop.write("transforms/sql/marts/fleet_count.sql", COUNT)?;
    shop.write("transforms/sql/marts/_count.yml", COUNT_NOTE)?;
    shop.weir(&["seed"])?.expect(0)?;
    Ok(shop)
}

fn more_machines(shop: &Shop) -> Result<()> {
    let more = format!("{MACHINES}m-4,snack,active,true,s-9,2026-02-01T00:00:00Z\n");
    shop.write("machines.csv", &more)?;
    shop.weir(&["seed"])?.expect(0)?;
    Ok(())
}

fn counts(shop: &Shop) -> Result<(String, String)> {
    let rows = shop.lines(&["query", "SELECT shown, known FROM mart.fleet_count"])?;
    ensure!(rows.len() == 1, "{rows:?}");
    Ok((rows[0]["shown"].to_string(), rows[0]["known"].to_string()))
}

#[test]
fn tables_are_built_tested_and_left_alone_while_nothing_changes() -> Result<()> {
    let shop = tables()?;
    let built = shop.weir(&["build"])?.expect(0)?;
    told(&built, &["OK created sql table model mart.fleet ", "PASS=6 WARN=0 ERROR=0"])?;
    let idle = shop.weir(&["run", "--exit-99-when-idle"])?.expect(99)?;
    told(&idle, &["NO-OP sql table model mart.fleet", "NO-OP=2 TOTAL=2"])?;
    shop.weir(&["run", "--full-refresh", "--select", "fleet"])?.expect(0)?;
    more_machines(&shop)?;
    told(&shop.weir(&["run"])?.expect(0)?, &["[4 rows in "])?;
    ensure!(counts(&shop)? == ("4".into(), "4".into()), "{:?}", counts(&shop)?);
    // Another SQL, other rows, other columns.
    let active = FLEET.replace("where", "where machine_status = 'active' and");
    let active = format!("{{{{ config(materialized='table') }}}}\n{active}");
    shop.write("transforms/sql/marts/fleet.sql", &active.replace(", site_id", ""))?;
    shop.weir(&["run"])?.expect(0)?;
    ensure!(counts(&shop)? == ("3".into(), "4".into()), "{:?}", counts(&shop)?);
    let then = shop.lines(&["snapshots", "mart.fleet"])?;
    ensure!(then.len() == 4, "{then:?}");
    let first = then[0]["snapshot"].as_str().unwrap_or_default().to_string();
    let sql = "SELECT count(site_id) AS n FROM mart.fleet";
    let past = shop.lines(&["query", "--snapshot", &first, sql])?;
    ensure!(past[0]["n"] == 2, "{past:?}");
    told(&shop.weir(&["verify"])?.expect(0)?, &["mart.fleet_count"])?;
    shop.weir(&["maintain"])?.expect(0)?;
    shop.weir(&["verify"])?.expect(0)?;
    // Readers that we did not write agree.
    let database = shop.path().join("catalog.db").display().to_string();
    let theirs = lab::python("fingerprint.py", &[&database, "mart.fleet"])?;
    ensure!(theirs.contains("\"rows\": 3"), "{theirs}");
    // What tells Athena's VACUUM not to cut the audit trail stands in tables of every kind.
    for table in ["mart.fleet", "ref.machines"] {
        let key = "vacuum_max_snapshot_age_seconds";
        let said = lab::python("property.py", &[&database, table, key])?;
        ensure!(said.trim().parse::<i64>()? > 7 * 366 * 86_400, "{table}: {said}");
    }
    Ok(())
}

#[test]
fn inputs_are_of_one_moment() -> Result<()> {
    let shop = tables()?;
    let alone = shop.weir(&["run", "--select", "fleet_count"])?.expect(1)?;
    told(&alone, &["mart.fleet, which has not been built", "weir run --select +fleet_count"])?;
    shop.weir(&["run"])?.expect(0)?;
    more_machines(&shop)?;
    // The parent stays as it is: the source beside it is read as far as the parent was made of it.
    let behind = shop.weir(&["run", "--select", "fleet_count", "--full-refresh"])?.expect(0)?;
    told(&behind, &["OK created sql table model mart.fleet_count"])?;
    ensure!(counts(&shop)? == ("3".into(), "3".into()), "{:?}", counts(&shop)?);
    shop.weir(&["run"])?.expect(0)?;
    ensure!(counts(&shop)? == ("4".into(), "4".into()), "{:?}", counts(&shop)?);
    Ok(())
}

#[test]
fn what_reads_a_broken_model_is_skipped() -> Result<()> {
    let shop = tables()?;
    shop.weir(&["build"])?.expect(0)?;
    let before = counts(&shop)?;
    let narrow = NOTE.replace("[snack, drinks]", "[snack]");
    shop.write("transforms/sql/marts/_marts.yml", &narrow)?;
    more_machines(&shop)?;
    let broken = shop.weir(&["build"])?.expect(1)?;
    told(&broken, &["FAIL 1 accepted_values", "SKIP relation mart.fleet_count", "SKIP=1"])?;
    ensure!(counts(&shop)? == before, "a model was built on rows that failed their test");
    // A unit test that fails keeps the model as it was.
    let wrong = NOTE.replace("is_active: false", "is_active: true");
    shop.write("transforms/sql/marts/_marts.yml", &wrong)?;
    let unit = shop.weir(&["build", "--full-refresh"])?.expect(1)?;
    told(&unit, &["FAIL 2 fleet::", "SKIP relation mart.fleet ", "ERROR=1 SKIP=5"])?;
    // An error of one row.
    let divided = "{{ config(materialized='table') }}\nselect 1 / (count(*) - 4) as known from {{ ref('fleet') }}";
    shop.write("transforms/sql/marts/fleet_count.sql", divided)?;
    let failed = shop.weir(&["run"])?;
    let failed = failed.expect(1)?;
    told(
        &failed,
        &["ERROR creating sql table model mart.fleet_count", "ivide by zero", "fleet_count.sql"],
    )
}

#[test]
fn the_rest_is_built_after_a_failure_unless_told_otherwise() -> Result<()> {
    let shop = tables()?;
    // Alone, and before the others by its name.
    shop.write(
        "transforms/sql/marts/broken.sql",
        "{{ config(materialized='table') }}\nselect 1 / (count(*) - 3) as n from {{ source('ref', 'machines_history') }}",
    )?;
    shop.write(
        "transforms/sql/marts/_broken.yml",
        "models: [{name: broken, config: {meta: {readers: [nobody]}}}]",
    )?;
    let fast = shop.weir(&["run", "--fail-fast"])?.expect(1)?;
    told(&fast, &["ERROR=1 SKIP=2", "SKIP relation mart.fleet "])?;
    let slow = shop.weir(&["run"])?.expect(1)?;
    told(&slow, &["PASS=2 WARN=0 ERROR=1 SKIP=0", "1 step of the run failed"])
}

#[test]
fn variables_reach_the_models() -> Result<()> {
    let shop = Shop::new()?;
    let of = FLEET.replace("where", "where machine_status = '{{ var('status', 'active') }}' and");
    shop.write("transforms/sql/marts/fleet.sql", &of)?;
    shop.weir(&["seed"])?.expect(0)?;
    let shown = |vars: &[&str]| shop.lines(&[&["show", "fleet"], vars].concat());
    ensure!(shown(&[])?.len() == 2, "{:?}", shown(&[])?);
    let stored = shown(&["--vars", "{status: stored}"])?;
    ensure!(stored.len() == 1 && stored[0]["machine_id"] == "m-2", "{stored:?}");
    shop.write("transforms/sql/project.yml", "name: shop\nvars: {status: nowhere}\n")?;
    ensure!(shown(&[])?.is_empty(), "{:?}", shown(&[])?);
    ensure!(shown(&["--vars", "{status: stored}"])? == stored, "the command's word is the last");
    Ok(())
}

/// Tests of rows that fail, and how many rows each finds.
const FAILING: &str = "\
models:
  - name: fleet
    config: {meta: {readers: [the map]}}
    columns:
      - {name: site_id, data_tests: [not_null, unique]}
      - {name: machine_kind, data_tests: [unique, {accepted_values: {arguments: {values: [snack]}}}]}
      - name: machine_id
        data_tests:
          - unique
          - relationships: {arguments: {to: ref('snacks'), field: id}}
    data_tests:
      - unique: {arguments: {columns: [machine_kind, is_active]}}
      - unique: {arguments: {columns: [machine_kind, site_id]}}
      - expression: {arguments: {expression: is_active}}
      - expression: {arguments: {expression: site_id < 's-2'}}
  - {name: snacks, config: {meta: {readers: [the map]}}}
";

#[test]
fn every_kind_of_test_finds_the_rows_that_fail() -> Result<()> {
    let shop = Shop::new()?;
    // Eight machines, so that more rows fail than are shown.
    let mut machines = MACHINES.to_string();
    for n in 4..9 {
        machines += &format!("m-{n},drinks,active,false,s-{n},2026-01-01T00:00:00Z\n");
    }
    shop.write("machines.csv", &machines)?;
    shop.write("transforms/sql/marts/_marts.yml", FAILING)?;
    shop.write(
        "transforms/sql/marts/snacks.sql",
        "select machine_id as id from {{ source('ref', 'machines_history') }} where machine_kind = 'snack'",
    )?;
    shop.weir(&["seed"])?.expect(0)?;
    let failed = shop.weir(&["test"])?.expect(1)?;
    told(
        &failed,
        &[
            "FAIL 1 not_null_fleet_site_id ",
            // Null is like nothing, itself included.
            "PASS unique_fleet_site_id ",
            "FAIL 1 unique_fleet_machine_kind ",
            "FAIL 1 accepted_values_fleet_machine_kind ",
            "PASS unique_fleet_machine_id ",
            "FAIL 7 relationships_fleet_machine_id ",
            "FAIL 1 unique_fleet_machine_kind_is_active ",
            "PASS unique_fleet_machine_kind_site_id ",
            "FAIL 1 expression_fleet_9 ",
            "FAIL 6 expression_fleet_10 ",
            "7 rows fail, for example:",
            "PASS=3 WARN=0 ERROR=7",
        ],
    )?;
    // Of seven only five are shown.
    let (_, list) = failed.stdout.split_once("fail in test.weir.relationships").unwrap_or_default();
    let list = list.split("fail in").next().unwrap_or_default();
    ensure!(list.matches("| m-").count() == 5, "{list}");
    Ok(())
}

/// What the repository's models promise of themselves, and that their unit tests need nothing that runs.
#[test]
fn the_models_of_the_repository_are_described_owned_and_tested() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("weir-models-").tempdir()?;
    let mut text = String::from(
        "warehouse = \"lake\"\ncatalog.uri = \"sqlite:///catalog.db\"\ntransforms.folder = \"sql\"\n\
         privacy.hash_key = \"file:key\"\n",
    );
    std::fs::write(folder.path().join("key"), "a key of the tests, for nothing else")?;
    for entry in std::fs::read_dir(lab::repository().join("contracts"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        text += &match name.starts_with("ref.") {
            true => format!("[references.\"{name}\"]\nfile = \"none.csv\"\n"),
            false => format!("[streams.\"{name}\"]\ntopic = \"t-{name}\"\n"),
        };
        text += &format!("contract = \"{}\"\n", path.display());
    }
    std::fs::write(folder.path().join("weir.toml"), text)?;
    super::increments::copy(&lab::repository().join("transforms/sql"), &folder.path().join("sql"))?;
    let config = weir::config::load(&folder.path().join("weir.toml"), Vec::new())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let models = runtime.block_on(weir::models::Models::load(&config, None, None))?;
    for (name, model) in &models.project.models {
        ensure!(!model.description.is_empty(), "{name} is not described");
        ensure!(model.settings.owner.is_some(), "{name} has no owner");
        for field in models.compiled[name].schema.fields() {
            let described = model.columns.iter().find(|column| column.name == *field.name());
            let is_described = described.is_some_and(|column| !column.description.is_empty());
            let is_ours = field.name().starts_with('_');
            ensure!(is_described || is_ours, "{name}: {} is not described", field.name());
        }
        let tested = models.project.data_tests.iter().filter(|t| t.models.contains(name)).count();
        ensure!(tested > 1, "{name}: {tested} tests of its rows");
        let units = models.project.unit_tests.iter().filter(|t| t.model == *name).count();
        ensure!(units > 0, "{name} has no unit test");
    }
    let mut unit = Command::new(lab::binary());
    unit.current_dir(folder.path()).args(["--output", "human", "test", "--unit"]);
    let done = lab::done(unit.output()?).expect(0)?;
    let all = models.project.unit_tests.len();
    ensure!(done.stdout.contains(&format!("PASS={all} WARN=0 ERROR=0")), "{done:#?}");
    for name in ["lake", "catalog.db"] {
        ensure!(!folder.path().join(name).exists(), "unit tests made {name}");
    }
    Ok(())
}
