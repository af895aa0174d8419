//! A lake with a table of every contract, made by the real binary from a real Kafka: where engines
//! reach it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use chrono::{Datelike, Utc, Weekday};
use serde_json::{Value, json};
use weir_catalog::Lake;
use weir_tests::lab::{self, Done};
use weir_tests::stack::{BUCKET, Kafka, Message};

use super::asked::Engines;
use crate::backends::place::{fresh, glue_at, identity, s3_at, s3_warehouse};
use crate::readers::table::Filler;

/// The streams of the repository's contracts, and their tables.
const STREAMS: [&str; 12] = [
    "store.inventory",
    "store.operations",
    "store.sales",
    "trades",
    "vending.configuration",
    "vending.connectivity",
    "vending.faults",
    "vending.health",
    "vending.inventory",
    "vending.logs",
    "vending.sales",
    "vending.security",
];
const REFERENCES: [&str; 5] = ["accounts", "machines", "planogram", "products", "sites"];
/// A stream of one partition whose contract changes.
pub const CHANGING: &str = "lab.counts";

/// Where the lake is.
pub enum At {
    /// Glue and S3 at these endpoints.
    Glue {
        /// Of Glue.
        glue: String,
        /// Of S3.
        s3: String,
    },
    /// A folder and SQLite.
    Laptop,
}

/// The lake.
pub struct Fleet {
    /// What the engines call its catalog.
    pub catalog: &'static str,
    folder: tempfile::TempDir,
    at: At,
    prefix: String,
    changed: i64,
}

impl Fleet {
    /// Topics, config and reference tables; nothing is sent yet. The engines know the place.
    pub fn new(catalog: &'static str, at: At, engines: &mut Engines) -> Result<Fleet> {
        let folder = tempfile::Builder::new().prefix("weir-fleet-").tempdir()?;
        let fleet = Fleet { catalog, folder, at, prefix: fresh(), changed: 0 };
        let client = Kafka::shared().client()?;
        for stream in STREAMS {
            client.create_topic(&fleet.topic(stream), 2, &[])?;
        }
        client.create_topic(&fleet.topic(CHANGING), 1, &[])?;
        std::fs::write(fleet.path().join("secret"), "test")?;
        std::fs::write(fleet.path().join("hash.key"), "ab".repeat(32))?;
        fleet.contract(&crate::evolve::old())?;
        std::fs::write(fleet.config(), fleet.config_text())?;
        let seeds = fleet.path().join("seeds").display().to_string();
        fleet
            .weir(&["simulate", "--machines", "12", "--sites", "10", "--ref-dir", &seeds])?
            .expect(0)?;
        let place = match &fleet.at {
            At::Glue { glue, s3 } => json!({"kind": "glue", "glue": glue, "s3": s3}),
            At::Laptop => json!({
                "kind": "jdbc",
                "database": fleet.path().join("catalog.db"),
                "warehouse": fleet.path().join("lake"),
            }),
        };
        let mut asked = json!({"do": "place", "name": catalog});
        for (key, value) in place.as_object().context("an object")? {
            asked[key] = value.clone();
        }
        engines.ask(&asked)?;
        Ok(fleet)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.path().join("weir.toml")
    }

    fn topic(&self, stream: &str) -> String {
        format!("{}.{stream}", self.prefix)
    }

    /// The contract of [`CHANGING`].
    pub fn contract(&self, text: &str) -> Result<()> {
        let text = text.replace(lab::STREAM, CHANGING);
        Ok(std::fs::write(self.path().join("changing.yaml"), text)?)
    }

    fn config_text(&self) -> String {
        let (folder, prefix) = (self.path().display(), &self.prefix);
        let mut text = match &self.at {
            At::Laptop => format!(
                "warehouse = \"lake\"\n\n[catalog]\nuri = \"sqlite:///{folder}/catalog.db\"\n"
            ),
            At::Glue { glue, s3 } => format!(
                "warehouse = \"s3://{BUCKET}/{prefix}\"\n\n[catalog]\nuri = \"glue://\"\n\n\
                 [aws]\nregion = \"us-east-1\"\naccess_key_id = \"test\"\n\
                 secret_access_key = \"file:{folder}/secret\"\n\n\
                 [s3]\nendpoint = \"{s3}\"\naddressing = \"path\"\n\n\
                 [glue]\nendpoint = \"{glue}\"\ndatabase_prefix = \"{prefix}_\"\n"
            ),
        };
        let bootstrap = Kafka::shared().bootstrap();
        let repository = lab::repository();
        let repository = repository.display();
        text += &format!(
            "\n[kafka]\nbootstrap_servers = \"{bootstrap}\"\ngroup_prefix = \"{prefix}\"\n\n\
             [ingest]\nmemory_max = \"256MiB\"\n\n\
             [privacy]\nhash_key = \"file:{folder}/hash.key\"\n\n\
             [transforms]\nfolder = \"{repository}/transforms/sql\"\n"
        );
        for name in REFERENCES {
            text += &format!(
                "\n[references.\"ref.{name}\"]\nfile = \"seeds/{name}.csv\"\n\
                 contract = \"{repository}/contracts/ref.{name}.yaml\"\n"
            );
        }
        for stream in STREAMS.iter().chain(&[CHANGING]) {
            let contract = match *stream {
                CHANGING => "changing.yaml".to_string(),
                other => format!("{repository}/contracts/{other}.yaml"),
            };
            let topic = self.topic(stream);
            text += &format!(
                "\n[streams.\"{stream}\"]\ntopic = \"{topic}\"\ncontract = \"{contract}\"\n"
            );
        }
        text
    }

    /// Runs weir to its end.
    pub fn weir(&self, arguments: &[&str]) -> Result<Done> {
        let mut command = std::process::Command::new(lab::binary());
        command.arg("--config").arg(self.config()).args(["--log-format", "json"]);
        Ok(lab::done(command.args(arguments).current_dir(self.path()).output()?))
    }

    /// The same, which must succeed; its result.
    pub fn result(&self, arguments: &[&str]) -> Result<Value> {
        self.weir(&[&["--result-json"], arguments].concat())?.expect(0)?.result()
    }

    /// Some hours of a working day's events of these streams (none: of all), and their ingest.
    pub fn live(&mut self, seed: u64, hours: u32, streams: &[&str]) -> Result<()> {
        let (seed, long, start) = (seed.to_string(), format!("{hours}h"), working_day(hours)?);
        let mut simulate = vec!["simulate", "--kafka", "--machines", "12", "--sites", "10"];
        simulate.extend(["--seed", &seed, "--for", &long, "--start", &start, "--speed-up", "max"]);
        simulate.extend(["--malformed", "0.02"]);
        let mut ingest = vec!["ingest", "--until-latest"];
        for stream in streams {
            simulate.extend(["--stream", stream]);
            ingest.extend(["--stream", stream]);
        }
        self.weir(&simulate)?.expect(0)?;
        self.weir(&ingest)?.expect(0)?;
        Ok(())
    }

    /// Events of [`CHANGING`], and their ingest.
    pub fn counts(&mut self, count: i64, price: &str, times: i64) -> Result<()> {
        let producer = Kafka::shared().client()?.producer()?;
        for _ in 0..times {
            let now = Utc::now();
            let value = format!(
                r#"{{"id":"e{}","time":"{}","data":{{"count":{count},"price":{price},"colour":"red"}}}}"#,
                self.changed,
                now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
            );
            let message = Message {
                partition: Some(0),
                value: Some(value.as_bytes()),
                timestamp_ms: Some(now.timestamp_millis()),
                ..Message::default()
            };
            producer.send(&self.topic(CHANGING), &message)?;
            self.changed += 1;
        }
        producer.flush()?;
        self.weir(&["ingest", "--until-latest", "--stream", CHANGING])?.expect(0)?;
        Ok(())
    }

    /// `raw.all_types`, a column of every type, by the library.
    pub async fn all_types(&self, commits: i64) -> Result<()> {
        let lake = self.lake()?;
        let mut filler = Filler::new()?;
        let mut base = filler.table(&lake).await?;
        for number in 0..commits {
            base = filler.commit(&lake, base, 0, number).await?.base;
        }
        Ok(())
    }

    fn lake(&self) -> Result<Lake> {
        let options = weir_catalog::LakeOptions::default();
        match &self.at {
            At::Laptop => {
                let (lake, catalog) = (self.path().join("lake"), self.path().join("catalog.db"));
                Ok(Lake::open_local(&lake, &catalog, "weir", options)?)
            }
            At::Glue { glue, s3 } => {
                let catalog = glue_at(glue, &format!("{}_", self.prefix));
                let catalog = weir_catalog::CatalogAt::Glue(catalog);
                let warehouse = s3_warehouse(&self.prefix)?;
                Ok(Lake::open_s3(warehouse, &identity()?, &s3_at(s3), catalog, options)?)
            }
        }
    }

    /// The tables of the lake, as weir names them.
    pub fn tables(&self) -> Result<Vec<String>> {
        let done = self.weir(&["--output", "json", "tables"])?.expect(0)?;
        let mut names = Vec::new();
        for line in done.stdout.lines() {
            let table: Value = serde_json::from_str(line)?;
            names.push(table["table"].as_str().with_context(|| line.to_string())?.to_string());
        }
        Ok(names)
    }

    /// A question about a table for [`Engines::ask`].
    pub fn about(&self, what: &str, by: &str, table: &str) -> Value {
        let config = self.config();
        let (place, theirs) = (self.catalog, self.theirs(table));
        json!({"do": what, "by": by, "place": place, "table": theirs, "weir": table, "config": config})
    }

    /// What other engines call a table within the catalog.
    fn theirs(&self, table: &str) -> String {
        match self.at {
            At::Glue { .. } => format!("{}_{table}", self.prefix),
            At::Laptop => table.to_string(),
        }
    }

    /// What other engines call it, catalog included. No name of ours needs quotes.
    pub fn named(&self, table: &str) -> String {
        format!("{}.{}", self.catalog, self.theirs(table))
    }

    /// `weir verify` of one table: its exit code and findings.
    pub fn verify(&self, table: &str) -> Result<(i32, Vec<Value>)> {
        let done = self.weir(&["verify", "--json", table])?;
        let line = done.stdout.lines().find(|line| line.starts_with('{'));
        let report: Value = serde_json::from_str(line.with_context(|| format!("{done:#?}"))?)?;
        let findings = report["findings"].as_array().context("no findings")?.clone();
        Ok((done.code.context("killed")?, findings))
    }

    /// Fails unless verify finds nothing.
    pub fn verify_clean(&self, table: &str) -> Result<()> {
        let (code, findings) = self.verify(table)?;
        ensure!(code == 0 && findings.is_empty(), "verify of {table} found: {findings:#?}");
        Ok(())
    }

    /// The id of a table's newest snapshot.
    pub fn newest(&self, table: &str) -> Result<String> {
        let done = self.weir(&["--output", "json", "snapshots", table])?.expect(0)?;
        let last: Value = serde_json::from_str(done.stdout.lines().last().context("none")?)?;
        Ok(last["snapshot"].as_str().context("no id")?.to_string())
    }

    /// One number out of one query.
    pub fn count(&self, sql: &str) -> Result<i64> {
        let done = self.weir(&["--output", "json", "query", sql])?.expect(0)?;
        let row: Value = serde_json::from_str(done.stdout.lines().next().context("no row")?)?;
        let value = row.as_object().and_then(|row| row.values().next()).context("no column")?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        text.parse().with_context(|| format!("{text} is no number"))
    }
}

/// When so many hours of the last working day before today begin: accounts trade on those only.
fn working_day(hours: u32) -> Result<String> {
    let mut day = Utc::now().date_naive().pred_opt().context("a day")?;
    while matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
        day = day.pred_opt().context("a day")?;
    }
    Ok(format!("{day}T{:02}:00:00Z", 16 - hours))
}
