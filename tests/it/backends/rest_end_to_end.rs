//! The real binary from a real Kafka into a lake of a REST catalog, by every command that moves tables,
//! beside readers that are not ours.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_tests::lab::{Lab, STREAM, TABLE};
use weir_tests::stack::{Fault, RestCatalog, Tap};

const UPDATE: &str = "rest:updateTable";
/// Grown by one column.
const COLUMN: &str = "      - name: voltage_v\n";

/// A lab whose lake is a REST catalog's, behind a tap.
struct Rest {
    lab: Lab,
    tap: Tap,
    server: RestCatalog,
}

impl Rest {
    fn new(name: &str) -> Result<Rest> {
        let server = RestCatalog::start()?;
        let (lab, tap) = (Lab::new(name, 2)?, Tap::before(&server.endpoint())?);
        let rest = Rest { lab, tap, server };
        fs::write(rest.lab.path().join("secret"), "hush\n")?;
        rest.write_config()?;
        Ok(rest)
    }

    /// The lab's own config, but for where the lake is.
    fn write_config(&self) -> Result<()> {
        let text = fs::read_to_string(self.lab.config())?;
        let (_, rest) = text.split_once("[kafka]").context("no [kafka] in the lab's config")?;
        let text = format!(
            r#"warehouse = "{}/lake"

[catalog]
uri = "{}"

[rest]
client_id = "weir"
client_secret = "file:secret"
timeout = "5s"

[kafka]{rest}"#,
            self.server.folder().display(),
            self.tap.endpoint(),
        );
        Ok(fs::write(self.lab.config(), text)?)
    }

    /// Fails unless PyIceberg by REST and DuckDB read what weir reads.
    fn agree(&self, rows: i64) -> Result<Value> {
        let weir = "SELECT count(*) AS n, sum(_offset) AS s, count(DISTINCT _kafka_partition) AS p, \
                    count(_error) AS rejected FROM raw.vending_health";
        let done = self.lab.weir(&["--output", "json", "query", weir])?.expect(0)?;
        let ours: Value = serde_json::from_str(done.stdout.lines().next().context("no row")?)?;
        let said = self.lab.python("rest.py", &[&self.server.endpoint(), TABLE])?;
        let theirs: Value = serde_json::from_str(said.lines().last().context("nothing said")?)?;
        ensure!(theirs["pyiceberg"]["n"] == rows, "{theirs}");
        for reader in ["pyiceberg", "duckdb"] {
            for column in ["n", "s", "p", "rejected"] {
                let text = |value: &Value| value.to_string().trim_matches('"').to_string();
                let (ours, theirs) = (text(&ours[column]), text(&theirs[reader][column]));
                ensure!(ours == theirs, "{reader} reads {column} = {theirs}, weir {ours}");
            }
        }
        ensure!(theirs["tables"] == json!([TABLE]), "{theirs}");
        Ok(theirs)
    }
}

#[test]
fn from_kafka_to_the_readers_and_through_every_command() -> Result<()> {
    let mut rest = Rest::new("rest")?;
    for partition in [0, 1, 0] {
        rest.lab.produce(partition, 200)?;
        rest.lab.ingest(&[])?;
    }
    rest.lab.verify_clean()?;
    rest.agree(600)?;
    rest.lab.weir(&["tables"])?.expect(0)?;
    rest.lab.weir(&["tag", TABLE, "before-upgrade"])?.expect(0)?;
    let refs = rest.agree(600)?["refs"].clone();
    let has = |name: &str| refs.as_array().is_some_and(|refs| refs.contains(&json!(name)));
    ensure!(has("before-upgrade") && has("weir-turn-2") && !has("weir-turn-1"), "{refs}");

    let added = format!("      - name: added\n        logicalType: string\n{COLUMN}");
    rest.lab.write_contract(COLUMN, &added)?;
    rest.write_config()?;
    rest.lab.weir(&["contracts", "apply"])?.expect(0)?;
    rest.lab.produce(1, 200)?;
    rest.lab.ingest(&[])?;
    ensure!(rest.lab.count("SELECT count(*) FROM raw.vending_health WHERE added IS NULL")? == 800);

    rest.lab.weir(&["--set", "maintain.age_min=0s", "maintain"])?.expect(0)?;
    rest.lab.weir(&["retain"])?.expect(0)?;
    rest.lab.weir(&["snapshots", TABLE])?.expect(0)?;
    rest.lab.verify_clean()?;
    rest.agree(800)?;

    rest.lab.weir(&["rollback", TABLE, "--to", "before-upgrade", "--yes"])?.expect(0)?;
    rest.agree(600)?;
    // The head went back with the rows: what was undone comes again.
    rest.lab.ingest(&[])?;
    rest.lab.verify_clean()?;
    rest.agree(800)?;
    Ok(())
}

#[test]
fn ingest_survives_what_a_rest_catalog_does() -> Result<()> {
    let mut rest = Rest::new("rest-faults")?;
    let refuse = |status, kind: &str| {
        let error = json!({"error": {"message": "a test", "type": kind, "code": status}});
        Fault::Refuse(status, error.to_string())
    };
    rest.lab.produce(0, 50)?;
    rest.tap.fault("rest:createTable", Fault::CutAfter);
    rest.lab.ingest(&[])?;
    for (action, fault) in [
        (UPDATE, Fault::CutAfter),
        (UPDATE, Fault::CutBefore),
        (UPDATE, refuse(500, "CommitStateUnknownException")),
        (UPDATE, refuse(429, "TooManyRequestsException")),
        (UPDATE, refuse(409, "CommitFailedException")),
        (UPDATE, refuse(401, "NotAuthorizedException")),
        ("rest:loadTable", refuse(503, "SlowDownException")),
        ("rest:getToken", refuse(503, "")),
    ] {
        rest.lab.produce(1, 50)?;
        rest.tap.fault(action, fault.clone());
        rest.lab.ingest(&[]).with_context(|| format!("{action}: {fault:?}"))?;
    }
    rest.lab.verify_clean()?;
    rest.agree(450)?;

    rest.lab.produce(1, 50)?;
    rest.tap.fault(UPDATE, refuse(403, "ForbiddenException"));
    let done = rest.lab.weir(&["ingest", "--until-latest"])?.expect(1)?;
    done.says(&["denied", "updateTable", TABLE])?;
    ensure!(!done.stderr.contains("hush") && !done.stdout.contains("hush"), "a secret was told");
    rest.lab.ingest(&[])?;
    rest.lab.verify_clean()
}

#[test]
fn a_killed_ingest_goes_on_where_the_table_is() -> Result<()> {
    let mut rest = Rest::new("rest-kill")?;
    for round in 0..5 {
        rest.lab.produce(0, 400)?;
        let often = ["--set", "ingest.flush.rows_max=50", "ingest"];
        let mut running = rest.lab.start(&often)?;
        let some = 60 * (round + 1);
        running.until("a commit", |running| running.committed(STREAM) >= some)?;
        running.signal("KILL")?;
        running.end(Duration::from_secs(20))?;
    }
    rest.lab.ingest(&[])?;
    rest.lab.verify_clean()?;
    rest.agree(2000)?;
    Ok(())
}
