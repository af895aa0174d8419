//! What a newcomer gets wrong: the message says what happened, where, and what to do; the exit code is
//! the documented one.

use std::process::Command;

use anyhow::{Result, ensure};
use weir_tests::lab::{
    Done, Lab, as_anybody, binary, done, on_a_full_disk, permissions, repository,
};

use super::holds;

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

/// A folder with a config, without Kafka.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Result<Desk> {
        let desk = Desk(tempfile::Builder::new().prefix("weir-desk-").tempdir()?);
        let contract = repository().join("contracts/vending.health.yaml");
        desk.config("lake", "catalog.db", &contract.display().to_string())?;
        Ok(desk)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.path(name), text)?)
    }

    fn config(&self, warehouse: &str, catalog: &str, contract: &str) -> Result<()> {
        self.write(
            "weir.toml",
            &format!(
                r#"warehouse = "{warehouse}"
catalog.uri = "sqlite:///{catalog}"
kafka.bootstrap_servers = "{NOBODY}"

[streams."vending.health"]
topic = "vending.health"
contract = "{contract}"
"#
            ),
        )
    }

    /// What a person at a terminal sees.
    fn weir(&self, arguments: &[&str]) -> Result<Done> {
        self.run(Command::new(binary()), arguments)
    }

    /// The same where permissions count, for root too.
    fn weir_as_anybody(&self, arguments: &[&str]) -> Result<Done> {
        self.run(as_anybody(), arguments)
    }

    fn run(&self, mut command: Command, arguments: &[&str]) -> Result<Done> {
        command.current_dir(self.0.path()).env_remove("WEIR_CONFIG");
        command.args(["--log-format", "human", "--output", "human"]).args(arguments);
        Ok(done(command.output()?))
    }
}

#[test]
fn no_kafka_at_the_address() -> Result<()> {
    let desk = Desk::new()?;
    let ingest = desk.weir(&["ingest", "--until-latest"])?.expect(75)?;
    ingest.says(&[
        NOBODY,
        "no Kafka broker answers",
        "is it running",
        "kafka.bootstrap_servers",
    ])?;
    let lag = desk.weir(&["lag"])?.expect(75)?;
    lag.says(&[NOBODY, "no Kafka broker answers", "stream vending.health"])?;
    ensure!(lag.stdout.is_empty(), "{lag:#?}");
    Ok(())
}

#[test]
fn a_topic_that_is_not_there() -> Result<()> {
    let lab = Lab::new("newcomer-topic", 1)?;
    let set = ["--set", "streams.\"vending.health\".topic=weir-no-such-topic"];
    let ingest = [&set[..], &["ingest", "--until-latest"]].concat();
    let words = ["topic weir-no-such-topic does not exist", lab.kafka.bootstrap(), "create it"];
    lab.weir(&ingest)?.expect(2)?.says(&words)?;
    lab.weir(&[&set[..], &["lag"]].concat())?.expect(2)?.says(&words)
}

#[test]
fn no_config_or_a_wrong_one() -> Result<()> {
    let desk = Desk::new()?;
    let missing = desk.weir(&["--config", "elsewhere.toml", "ingest"])?.expect(2)?;
    missing.says(&["elsewhere.toml", "--config", "docs/reference.md"])?;
    std::fs::rename(desk.path("weir.toml"), desk.path("old.toml"))?;
    desk.weir(&["ingest"])?.expect(2)?.says(&["where: weir.toml", "--config"])?;

    // All mistakes at once, each with its line.
    desk.write(
        "weir.toml",
        "warehose = \"lake\"\n[catalog]\nuri = \"postgres://x\"\n[ingest]\nflush.interval = 5\n\
         [streams.vending.health]\ntopic = \"t\"\n",
    )?;
    let wrong = desk.weir(&["ingest"])?.expect(2)?;
    wrong.says(&[
        "5 mistakes in the config",
        "weir.toml:1: unknown key `warehose`; did you mean `warehouse`?",
        "weir.toml:3: `catalog.uri`",
        "weir.toml:5: `ingest.flush.interval`",
        "weir.toml:6: unknown key `streams.vending.health`; a name with dots is quoted",
        "weir.toml: `warehouse` is absent",
        "docs/reference.md describes every key",
    ])?;
    let unknown = desk.weir(&["--config", "old.toml", "ingest", "--stream", "vending.heath"])?;
    unknown.expect(2)?.says(&["no stream vending.heath", "choose one of vending.health"])
}

#[test]
fn a_contract_that_is_missing_or_broken() -> Result<()> {
    let desk = Desk::new()?;
    desk.config("lake", "catalog.db", "contracts/none.yaml")?;
    let missing = desk.weir(&["ingest"])?.expect(2)?;
    missing.says(&["contracts/none.yaml: the file cannot be read", "docs/contracts.md"])?;

    let text = std::fs::read_to_string(repository().join("contracts/vending.health.yaml"))?;
    let text = text.replacen("logicalType: boolean", "logicalType: bool", 1);
    desk.write("broken.yaml", &text.replace("value: 64KiB", "value: much"))?;
    desk.config("lake", "catalog.db", "broken.yaml")?;
    for command in [&["ingest"][..], &["contracts", "check"]] {
        let broken = desk.weir(command)?.expect(2)?;
        broken.says(&["2 mistakes", "broken.yaml:54:", "\"bool\"", "`weir.valueBytesMax`"])?;
    }
    desk.write("broken.yaml", "schema: [\n")?;
    desk.weir(&["ingest"])?.expect(2)?.says(&["broken.yaml:2:1: not YAML"])?;
    ensure!(!desk.path("lake").exists(), "a lake was made for nothing");
    Ok(())
}

#[test]
fn folders_that_cannot_be_written() -> Result<()> {
    let desk = Desk::new()?;
    std::fs::create_dir(desk.path("closed"))?;
    permissions(&desk.path("closed"), 0o555)?;
    let contract = repository().join("contracts/vending.health.yaml").display().to_string();
    let permitted = "check the permissions of the user that runs weir";

    desk.config("closed/lake", "catalog.db", &contract)?;
    let denied = desk.weir_as_anybody(&["ingest"])?.expect(1)?;
    denied.says(&["the warehouse", "closed/lake", "Permission denied", permitted])?;
    desk.config("lake", "closed/catalog.db", &contract)?;
    let denied = desk.weir_as_anybody(&["ingest"])?.expect(1)?;
    denied.says(&[
        "closed/catalog.db",
        "weir needs to write the file and its folder",
        permitted,
    ])?;

    desk.config("weir.toml/lake", "catalog.db", &contract)?;
    desk.weir(&["ingest"])?.expect(2)?.says(&["weir.toml/lake", "Not a directory"])?;
    desk.config("lake", "nowhere/catalog.db", &contract)?;
    desk.weir(&["ingest"])?.expect(2)?.says(&["there is no folder", "nowhere", "create it"])
}

#[test]
fn a_warehouse_that_becomes_closed_while_ingest_runs() -> Result<()> {
    let mut lab = Lab::new("newcomer-closed", 1)?;
    lab.produce(0, 10)?;
    lab.ingest(&[])?;
    lab.produce(0, 10)?;
    let data = lab.path().join("lake/raw/vending_health/data");
    let days = std::fs::read_dir(&data)?.collect::<Result<Vec<_>, _>>()?;
    for day in &days {
        permissions(&day.path(), 0o555)?;
    }
    let mut command = as_anybody();
    command.arg("--config").arg(lab.config()).args(["ingest", "--until-latest"]);
    let denied = done(command.output()?).expect(1)?;
    denied.says(&[
        "Permission denied",
        "lake/raw/vending_health/data",
        "permissions of the user",
    ])?;
    for day in &days {
        permissions(&day.path(), 0o755)?;
    }
    holds(&lab, 10)?;
    lab.ingest(&[])?;
    holds(&lab, 20)
}

#[test]
fn a_disk_that_is_full() -> Result<()> {
    let mut lab = Lab::new("newcomer-full", 1)?;
    lab.produce(0, 10)?;
    lab.ingest(&[])?;
    lab.produce(0, 4_000)?;
    let mut limited = on_a_full_disk(128);
    limited.arg("--config").arg(lab.config()).args(["ingest", "--until-latest"]);
    let full = done(limited.output()?).expect(75)?;
    full.says(&["File too large", "lake/raw/vending_health/data", "free some space there"])?;
    let warnings = full.stderr.matches("in a row").count();
    ensure!(warnings == 4, "{warnings} warnings, then the error: {}", full.stderr);
    holds(&lab, 10)?;
    lab.ingest(&[])?;
    holds(&lab, 4_010)
}

#[test]
fn a_catalog_that_is_none() -> Result<()> {
    let desk = Desk::new()?;
    let contract = repository().join("contracts/vending.health.yaml").display().to_string();
    desk.write("notes.txt", &"not a database ".repeat(100))?;
    desk.config("lake", "notes.txt", &contract)?;
    for command in [&["ingest"][..], &["tables"], &["lag"], &["verify"]] {
        let none = desk.weir(command)?.expect(2)?;
        none.says(&["notes.txt is not an SQLite file", "correct the path"])?;
    }
    desk.config("lake", ".", &contract)?;
    desk.weir(&["ingest"])?.expect(2)?.says(&["is a folder", "name a file"])
}

#[test]
fn looking_before_there_is_anything() -> Result<()> {
    let desk = Desk::new()?;
    let place = ["where", "vending.health", "0", "1"];
    let looking = [&["tables"][..], &["verify"], &["query", "SELECT 1"], &["rejects"], &place];
    for command in looking.into_iter().chain([&["redrive"][..]]) {
        desk.weir(command)?
            .expect(2)?
            .says(&["there is no warehouse", "`weir ingest` makes it"])?;
    }
    // Made, and nothing in it.
    desk.weir(&["ingest", "--until-latest"])?.expect(75)?;
    let verify = desk.weir(&["verify"])?.expect(0)?;
    ensure!(verify.stdout.contains("nothing to verify"), "{verify:#?}");
    Ok(())
}

#[test]
fn names_and_sql_that_are_wrong() -> Result<()> {
    let mut lab = Lab::new("newcomer-names", 1)?;
    lab.produce(0, 10)?;
    lab.ingest(&[])?;
    let listed = ["there is no table raw.vending_heath", "`weir tables` lists them"];
    lab.weir(&["verify", "raw.vending_heath"])?.expect(2)?.says(&listed)?;
    lab.weir(&["snapshots", "raw.vending_heath"])?.expect(2)?.says(&listed)?;
    lab.weir(&["query", "SELECT * FROM raw.vending_heath"])?.expect(2)?.says(&listed)?;
    lab.weir(&["query", "SELECT * FROM vending_heath"])?.expect(2)?.says(&listed)?;
    let shape = lab.weir(&["verify", "vending_health"])?.expect(2)?;
    shape.says(&["vending_health", "<namespace>.<name>", "for example raw.vending_health"])?;
    let column = lab.weir(&["query", "SELECT machine FROM raw.vending_health"])?.expect(2)?;
    column.says(&["machine", "machine_id"])?;
    let broken = lab.weir(&["query", "SELEC 1"])?.expect(2)?;
    broken.says(&["SELEC", "Line: 1"])?;
    let writing = lab.weir(&["query", "DELETE FROM raw.vending_health"])?.expect(2)?;
    writing.says(&["only reads"])?;
    holds(&lab, 10)
}
