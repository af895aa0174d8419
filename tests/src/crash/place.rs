//! Where a lane's lake is: a folder with an SQLite catalog, or S3 by moto and a Glue of our own, before
//! which it storms: calls fail in the ways that AWS's do, before and after they were done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use rusqlite::OptionalExtension;
use weir_catalog::{Base, CatalogAt, Lake, LakeOptions};
use weir_contract::names::TableName;

use super::process::lock;
use crate::aws::{glue_at, identity, s3_at, s3_warehouse};
use crate::sample::Rng;
use crate::stack::{BUCKET, Fault, GlueServer, Moto, Tap};

/// Where lakes can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// On the local disk, in an SQLite catalog.
    Disk,
    /// In S3 and Glue.
    Aws,
}

/// What `weir` gives a request in the lanes on AWS.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Where the lake stands in the bucket.
const PREFIX: &str = "crash";

/// A fault's name, and the fault.
type Kind = (&'static str, fn() -> Fault);

/// What calls of an action meet: once in so many of them the next kind, one after another.
const WEATHER: [(&str, u64, &[Kind]); 4] = [
    (
        "s3:PutObject",
        9,
        &[
            ("s3 500", || s3(500, "InternalError")),
            ("s3 reset", || Fault::CutBefore),
            ("s3 412 after its own put", || Fault::LieAfter(412, error("PreconditionFailed"))),
            ("s3 503", || s3(503, "SlowDown")),
            ("s3 answer lost", || Fault::CutAfter),
            ("s3 slow", || Fault::Slow(Duration::from_millis(400))),
            ("s3 409", || s3(409, "ConditionalRequestConflict")),
            ("s3 past the time-out", || Fault::Slow(TIMEOUT * 5 / 4)),
        ],
    ),
    (
        "s3:GetObject",
        20,
        &[
            ("s3 500", || s3(500, "InternalError")),
            ("s3 reset in an answer", || Fault::CutWithin),
            ("s3 503", || s3(503, "SlowDown")),
            ("s3 slow", || Fault::Slow(Duration::from_millis(400))),
        ],
    ),
    (
        "glue:UpdateTable",
        6,
        &[
            ("glue answer lost", || Fault::CutAfter),
            ("glue conflict", || glue("ConcurrentModificationException")),
            ("glue late", || Fault::Late(Duration::from_millis(700))),
            ("glue throttled", || glue("ThrottlingException")),
        ],
    ),
    ("glue:GetTable", 40, &[("glue throttled", || glue("ThrottlingException"))]),
];

fn error(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>it storms</Message></Error>")
}

fn s3(status: u16, code: &str) -> Fault {
    Fault::Refuse(status, error(code))
}

fn glue(kind: &str) -> Fault {
    Fault::Refuse(400, format!(r#"{{"__type":"{kind}","Message":"it storms"}}"#))
}

/// How often each fault came.
pub type Storm = BTreeMap<&'static str, u64>;

/// The place of one lake.
pub struct Place {
    folder: PathBuf,
    aws: Option<Aws>,
}

struct Aws {
    moto: Moto,
    s3: Tap,
    glue: GlueServer,
    storm: Arc<Mutex<Storm>>,
}

impl Place {
    /// An empty one; what it needs of servers is started.
    pub fn new(at: Where, folder: &Path, seed: u64) -> Result<Place> {
        let aws = match at {
            Where::Disk => None,
            Where::Aws => {
                std::fs::write(folder.join("secret"), "test\n")?;
                Some(Aws::start(seed)?)
            }
        };
        Ok(Place { folder: folder.to_path_buf(), aws })
    }

    /// What `weir.toml` says of it.
    pub fn config(&self) -> String {
        let Some(aws) = &self.aws else {
            let folder = self.folder.display();
            return format!(
                "warehouse = \"lake\"\n\n[catalog]\nuri = \"sqlite:///{folder}/catalog.db\"\n"
            );
        };
        format!(
            r#"warehouse = "s3://{BUCKET}/{PREFIX}"

[catalog]
uri = "glue://"

[aws]
region = "us-east-1"
access_key_id = "test"
secret_access_key = "file:secret"
timeout = "{timeout}ms"

[s3]
endpoint = "{s3}"
addressing = "path"

[glue]
endpoint = "{glue}"
"#,
            timeout = TIMEOUT.as_millis(),
            s3 = aws.s3.endpoint(),
            glue = aws.glue.tap.endpoint(),
        )
    }

    /// No more faults from here on; how often each came.
    pub fn calm(&self) -> Storm {
        let Some(aws) = &self.aws else { return Storm::new() };
        aws.s3.calm();
        aws.glue.tap.calm();
        lock(&aws.storm).clone()
    }

    /// The metadata file of a stream's table, as the catalog has it.
    pub fn pointer(&self, stream: &str) -> Result<Option<String>> {
        let name = TableName::raw(stream);
        if let Some(aws) = &self.aws {
            return Ok(aws.glue.pointer(&name.namespace, &name.name));
        }
        let catalog = rusqlite::Connection::open(self.folder.join("catalog.db"))?;
        let row = catalog.query_row(
            "SELECT metadata_location FROM iceberg_tables \
             WHERE table_namespace = ?1 AND table_name = ?2",
            [&name.namespace, &name.name],
            |row| row.get(0),
        );
        Ok(row.optional()?)
    }

    /// A stream's table, read past all faults.
    pub fn table(&self, stream: &str) -> Result<Option<Base>> {
        let name = TableName::raw(stream);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let options = LakeOptions::default();
        let Some(aws) = &self.aws else {
            let (warehouse, catalog) = (self.folder.join("lake"), self.folder.join("catalog.db"));
            let lake = Lake::open_local(&warehouse, &catalog, "weir", options)?;
            return Ok(runtime.block_on(lake.table(&name))?);
        };
        let Some(location) = self.pointer(stream)? else { return Ok(None) };
        let (s3, glue) = (s3_at(&aws.moto.endpoint()), glue_at(&aws.glue.tap.endpoint(), ""));
        let warehouse = s3_warehouse(PREFIX)?;
        let lake = Lake::open_s3(warehouse, &identity()?, &s3, CatalogAt::Glue(glue), options)?;
        let loaded = runtime.block_on(lake.backend.read(&location))?;
        Ok(Some(Base { name, loaded }))
    }

    /// The catalog, as `tests/readers/compare.py` wants to be told.
    pub fn for_readers(&self) -> String {
        match &self.aws {
            None => self.folder.join("catalog.db").display().to_string(),
            Some(aws) => format!("{},{}", aws.glue.tap.endpoint(), aws.moto.endpoint()),
        }
    }
}

impl Aws {
    fn start(seed: u64) -> Result<Aws> {
        let (moto, glue) = (Moto::start()?, GlueServer::start()?);
        let s3 = Tap::before(&moto.endpoint())?;
        let storm: Arc<Mutex<Storm>> = Arc::default();
        s3.weather(weather(seed, &storm));
        glue.tap.weather(weather(seed + 1, &storm));
        Ok(Aws { moto, s3, glue, storm })
    }
}

fn weather(seed: u64, storm: &Arc<Mutex<Storm>>) -> impl FnMut(&str) -> Option<Fault> + use<> {
    let (mut rng, storm) = (Rng::new(seed), storm.clone());
    let mut done = [0; WEATHER.len()];
    move |action| {
        let at = WEATHER.iter().position(|(of, ..)| *of == action)?;
        let (_, one_in, kinds) = WEATHER[at];
        if rng.below(one_in) > 0 {
            return None;
        }
        let (what, fault) = kinds[done[at] % kinds.len()];
        done[at] += 1;
        *lock(&storm).entry(what).or_default() += 1;
        Some(fault())
    }
}

/// What never came and should have.
pub fn never(storm: &Storm) -> Vec<&'static str> {
    let all = WEATHER.iter().flat_map(|(.., kinds)| *kinds).map(|(what, _)| *what);
    all.filter(|what| !storm.contains_key(what)).collect()
}
