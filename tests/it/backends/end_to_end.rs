//! The real binary from a real Kafka into S3 and Glue, read by readers that are not ours; and whether
//! the policies of deploy/iam allow what it did.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{self, Lab, STREAM, TABLE};
use weir_tests::stack::{BUCKET, Fault, Tap};

use super::place::{fresh, moto};

/// What feeds the controller: nearly all heartbeats say the first.
const WIDE: &str = "          - {value: mains}\n          - {value: battery}\n";
const NARROW: &str = "          - {value: battery}\n";

/// A lab whose lake is in moto, behind a tap.
struct Cloud {
    lab: Lab,
    tap: Tap,
    prefix: String,
}

impl Cloud {
    fn new(name: &str) -> Result<Cloud> {
        let (lab, tap) = (Lab::new(name, 2)?, Tap::before(&moto()?.endpoint())?);
        let cloud = Cloud { lab, tap, prefix: fresh() };
        fs::write(cloud.lab.path().join("secret"), "hush\n")?;
        cloud.write_config()?;
        Ok(cloud)
    }

    /// The lab's own config, but for where the lake is.
    fn write_config(&self) -> Result<()> {
        let text = fs::read_to_string(self.lab.config())?;
        let (_, rest) = text.split_once("[kafka]").context("no [kafka] in the lab's config")?;
        let (endpoint, prefix) = (self.tap.endpoint(), &self.prefix);
        let secret = self.lab.path().join("secret");
        let text = format!(
            r#"warehouse = "s3://{BUCKET}/{prefix}"

[catalog]
uri = "glue://"

[aws]
region = "us-east-1"
access_key_id = "test"
secret_access_key = "file:{}"
timeout = "20s"

[s3]
endpoint = "{endpoint}"
addressing = "path"

[glue]
endpoint = "{endpoint}"
database_prefix = "{prefix}_"

[kafka]{rest}"#,
            secret.display()
        );
        Ok(fs::write(self.lab.config(), text)?)
    }

    fn contract(&self, from: &str, to: &str) -> Result<()> {
        self.lab.write_contract(from, to)?;
        self.write_config()
    }

    /// Fails unless PyIceberg by Glue and DuckDB read what weir reads.
    fn agree(&self) -> Result<Value> {
        let weir = "SELECT count(*) AS n, sum(_offset) AS s, count(DISTINCT _kafka_partition) AS p, \
                    count(_error) AS rejected FROM raw.vending_health";
        let done = self.lab.weir(&["--output", "json", "query", weir])?.expect(0)?;
        let ours: Value = serde_json::from_str(done.stdout.lines().next().context("no row")?)?;
        let database = format!("{}_raw", self.prefix);
        let endpoint = moto()?.endpoint();
        let said = self.lab.python("glue.py", &[&endpoint, &database, "vending_health"])?;
        let theirs: Value = serde_json::from_str(said.lines().last().context("nothing said")?)?;
        for reader in ["pyiceberg", "duckdb"] {
            for column in ["n", "s", "p", "rejected"] {
                let text = |value: &Value| value.to_string().trim_matches('"').to_string();
                let (ours, theirs) = (text(&ours[column]), text(&theirs[reader][column]));
                ensure!(ours == theirs, "{reader} reads {column} = {theirs}, weir {ours}");
            }
        }
        Ok(theirs)
    }

    /// A reference table, and a model of it and of the stream.
    fn write_models(&self) -> Result<()> {
        let contracts = lab::repository().join("contracts");
        let config = self.lab.config();
        let text = fs::read_to_string(&config)?;
        let more = format!(
            "[references.\"ref.machines\"]\nfile = \"machines.csv\"\ncontract = \"{}/ref.machines.yaml\"\n",
            contracts.display()
        );
        fs::write(config, text + &more)?;
        let machines = "machine_id,machine_kind,machine_status,refrigerated,valid_from\n\
                        m-1,snack,active,true,2026-01-01T00:00:00Z\n";
        fs::write(self.lab.path().join("machines.csv"), machines)?;
        let marts = self.lab.path().join("transforms/sql/marts");
        fs::create_dir_all(&marts)?;
        let sql = "{{ config(materialized='table') }}\nselect machine_id, count(*) as events\n\
                   from {{ source('raw', 'vending_health') }} group by machine_id";
        fs::write(marts.join("beats.sql"), sql)?;
        let note = "models: [{name: beats, config: {meta: {readers: [tests]}}, columns: [{name: machine_id, \
                    data_tests: [unique]}]}]";
        Ok(fs::write(marts.join("beats.yml"), note)?)
    }

    /// The actions since the last look, and forgets them. All must be about what is this lake's.
    fn actions(&self) -> BTreeSet<String> {
        for (action, target) in self.tap.targets() {
            let own = match action.starts_with("s3:") {
                // Of a list or a deletion of many the query or the body says which.
                true => {
                    target.starts_with(&format!("/{BUCKET}/{}/", self.prefix))
                        || target.contains('?')
                }
                false => target.starts_with(&format!("{}_", self.prefix)) || target == ".",
            };
            assert!(own, "{action} of {target}, which is not this lake's");
        }
        let actions = self.tap.calls().into_iter().collect();
        self.tap.forget();
        actions
    }
}

/// The actions that a policy of deploy/iam allows.
fn allowed(policy: &str) -> Result<BTreeSet<String>> {
    let path = lab::repository().join("deploy/iam").join(policy);
    let policy: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let statements = policy["Statement"].as_array().context("no statements")?;
    let mut actions = BTreeSet::new();
    for statement in statements {
        ensure!(statement["Effect"] == "Allow", "{statement}");
        let listed = statement["Action"].as_array().context("actions are a list")?;
        actions.extend(listed.iter().filter_map(Value::as_str).map(str::to_string));
    }
    Ok(actions)
}

#[test]
fn from_kafka_to_the_readers_with_no_more_rights_than_the_policies_give() -> Result<()> {
    let mut cloud = Cloud::new("cloud")?;
    cloud.contract(WIDE, NARROW)?;
    for partition in [0, 1, 0] {
        cloud.lab.produce(partition, 200)?;
        cloud.lab.ingest(&[])?;
    }
    // So many commits that metadata falls off the log.
    for _ in 0..20 {
        cloud.lab.produce(0, 1)?;
        cloud.lab.ingest(&[])?;
    }
    // Reference tables and models, too.
    cloud.write_models()?;
    cloud.lab.weir(&["seed"])?.expect(0)?;
    cloud.lab.weir(&["run"])?.expect(0)?;
    cloud.lab.weir(&["build", "--full-refresh"])?.expect(0)?;
    let written = cloud.actions();
    cloud.lab.verify_clean()?;
    let rows = cloud.agree()?;
    ensure!(rows["pyiceberg"]["n"] == 620, "{rows}");
    ensure!(rows["columns"]["event_time"] == "timestamp", "{rows}");

    cloud.actions();
    for command in [
        vec!["tables"],
        vec!["snapshots", TABLE],
        vec!["query", "SELECT count(*) FROM raw.vending_health WHERE machine_id = 'x'"],
        vec!["verify", TABLE],
        vec!["rejects"],
        vec!["lag"],
        vec!["where", STREAM, "0", "7"],
        vec!["compile"],
        vec!["show", "beats"],
        vec!["test"],
        vec!["freshness"],
        vec!["wait", "beats", "--until", "2026-01-01T00:00:00Z"],
        vec!["contracts", "plan"],
    ] {
        cloud.lab.weir(&command)?.expect(0)?;
    }
    let now = chrono::Utc::now().to_rfc3339();
    let state = cloud.lab.weir(&["snapshots", TABLE, "--as-of", &now])?.expect(0)?;
    ensure!(state.stdout.contains(&format!("{}_raw", cloud.prefix)), "{state:#?}");
    let read = cloud.actions();

    cloud.contract(WIDE, WIDE)?;
    let redriven = cloud.lab.result(&["redrive"])?;
    ensure!(redriven["streams"][STREAM]["commits"] != 0, "{redriven:#}");
    cloud.lab.weir(&["--set", "maintain.age_min=0s", "maintain"])?.expect(0)?;
    cloud.lab.weir(&["retain"])?.expect(0)?;
    cloud.lab.weir(&["tag", TABLE, "before-upgrade"])?.expect(0)?;
    cloud.contract(
        "description: What kind of event it is",
        "description: Which kind of event it is",
    )?;
    cloud.lab.weir(&["contracts", "apply", STREAM])?.expect(0)?;
    cloud.lab.weir(&["rollback", TABLE, "--to", "before-upgrade", "--yes"])?.expect(0)?;
    let maintained = cloud.actions();
    cloud.lab.verify_clean()?;
    ensure!(cloud.agree()?["pyiceberg"]["n"] == 620);

    for (policy, called) in
        [("reader.json", read), ("writer.json", written), ("maintainer.json", maintained)]
    {
        let allowed = allowed(policy)?;
        let lacks: Vec<_> = called.difference(&allowed).collect();
        ensure!(lacks.is_empty(), "{policy} lacks {lacks:?}");
        // Not called: it only makes S3 tell what is missing from what is denied.
        let mut idle: Vec<_> = allowed.difference(&called).collect();
        idle.retain(|action| *action != "s3:ListBucket");
        ensure!(idle.is_empty(), "{policy} allows what is not needed: {idle:?}");
    }
    Ok(())
}

#[test]
fn ingest_survives_what_aws_does() -> Result<()> {
    let mut cloud = Cloud::new("cloud-faults")?;
    let refuse = |status, kind: &str| {
        Fault::Refuse(status, format!(r#"{{"__type":"{kind}","Message":"a test"}}"#))
    };
    let internal = refuse(500, "InternalServiceException");
    cloud.lab.produce(0, 50)?;
    cloud.tap.fault("glue:CreateTable", Fault::CutAfter);
    cloud.lab.ingest(&[])?;
    for (action, fault) in [
        ("glue:UpdateTable", Fault::CutAfter),
        ("glue:UpdateTable", Fault::CutBefore),
        ("glue:UpdateTable", internal),
        ("glue:UpdateTable", refuse(400, "ThrottlingException")),
        ("glue:UpdateTable", refuse(400, "ConcurrentModificationException")),
        ("glue:GetTable", refuse(400, "ThrottlingException")),
        ("s3:PutObject", Fault::CutAfter),
        ("s3:PutObject", Fault::Refuse(500, String::new())),
        ("s3:GetObject", Fault::CutBefore),
    ] {
        cloud.lab.produce(1, 50)?;
        cloud.tap.fault(action, fault.clone());
        cloud.lab.ingest(&[]).with_context(|| format!("{action}: {fault:?}"))?;
    }
    cloud.lab.verify_clean()?;
    ensure!(cloud.agree()?["duckdb"]["n"] == 500);

    let denied = refuse(400, "AccessDeniedException");
    cloud.lab.produce(1, 50)?;
    cloud.tap.fault("glue:UpdateTable", denied);
    let done = cloud.lab.weir(&["ingest", "--until-latest"])?.expect(1)?;
    done.says(&["denied", "glue:UpdateTable", "raw.vending_health", "deploy/iam"])?;
    ensure!(!done.stderr.contains("hush") && !done.stdout.contains("hush"), "a secret was told");
    cloud.lab.ingest(&[])?;
    cloud.lab.verify_clean()
}
