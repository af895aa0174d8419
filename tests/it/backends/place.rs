//! Where the suite's lakes are.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, ensure};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use weir_catalog::backend::{GluePointer, RestAuth, RestOptions, Secret};
use weir_catalog::env::Env;
use weir_catalog::verify::{VerifyOptions, verify};
use weir_catalog::{CatalogAt, Lake, LakeOptions};
pub use weir_tests::aws::{TIMEOUT, glue_at, identity, known, options, s3_at, s3_warehouse};
use weir_tests::stack::{GlueServer, Moto, Request, RestCatalog, Tap, forward};

/// A place for one lake. Each call of `lake` is another process's view of it.
pub enum Place {
    /// A folder of this machine and SQLite.
    Local(tempfile::TempDir),
    /// A Glue of our own, files in memory.
    Glue(Box<GlueServer>, Arc<dyn ObjectStore>),
    /// moto, through a tap.
    Moto(Box<Tap>, String),
    /// Iceberg's REST catalog, through a tap, and a folder.
    Rest(Box<Tap>, Box<RestCatalog>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Local(_) => "SQLite",
            Place::Glue(..) => "our Glue",
            Place::Moto(..) => "moto",
            Place::Rest(..) => "REST",
        })
    }
}

/// Runs a test in all of them, in each alone.
pub fn in_all<F: Future<Output = Result<()>>>(test: impl Fn(Arc<Place>) -> F) -> Result<()> {
    for place in [Place::local()?, Place::glue()?, Place::moto()?, Place::rest()?] {
        let name = place.to_string();
        runtime()?.block_on(test(Arc::new(place))).with_context(|| name)?;
    }
    Ok(())
}

/// A runtime of several threads.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?)
}

/// The moto that all tests share.
pub fn moto() -> Result<&'static Moto> {
    static MOTO: OnceLock<std::result::Result<Moto, String>> = OnceLock::new();
    let moto = MOTO.get_or_init(|| Moto::start().map_err(|e| format!("{e:#}")));
    moto.as_ref().map_err(|e| anyhow::anyhow!("{e}"))
}

/// A name that no other test has.
pub fn fresh() -> String {
    format!("t{}", uuid::Uuid::new_v4().simple())
}

impl Place {
    fn local() -> Result<Place> {
        Ok(Place::Local(tempfile::tempdir()?))
    }

    /// A Glue of our own.
    pub fn glue() -> Result<Place> {
        Ok(Place::Glue(Box::new(GlueServer::start()?), Arc::new(InMemory::new())))
    }

    /// A prefix of the shared moto, by a tap of its own.
    pub fn moto() -> Result<Place> {
        Ok(Place::Moto(Box::new(Tap::before(&moto()?.endpoint())?), fresh()))
    }

    /// A REST catalog of its own.
    pub fn rest() -> Result<Place> {
        let server = RestCatalog::start()?;
        Ok(Place::Rest(Box::new(Tap::before(&server.endpoint())?), Box::new(server)))
    }

    /// What fails and notes calls on the way to the catalog.
    pub fn tap(&self) -> &Tap {
        match self {
            Place::Local(_) => panic!("there is none before SQLite"),
            Place::Glue(server, _) => &server.tap,
            Place::Moto(tap, _) | Place::Rest(tap, _) => tap,
        }
    }

    /// The lake, as a process that has just started sees it.
    pub fn lake(&self) -> Result<Lake> {
        let options = LakeOptions::default();
        match self {
            Place::Local(folder) => {
                let at = folder.path();
                Ok(Lake::open_local(&at.join("lake"), &at.join("c.db"), "weir", options)?)
            }
            Place::Glue(server, store) => {
                let warehouse = s3_warehouse("weir")?;
                let glue = glue_at(&server.tap.endpoint(), "");
                let pointer = GluePointer::new(&identity()?, glue, warehouse.clone());
                Ok(Lake::of(Env::system(), store.clone(), warehouse, pointer, options))
            }
            Place::Moto(tap, prefix) => {
                let glue = CatalogAt::Glue(glue_at(&tap.endpoint(), &format!("{prefix}_")));
                let (who, s3) = (identity()?, s3_at(&tap.endpoint()));
                Ok(Lake::open_s3(s3_warehouse(prefix)?, &who, &s3, glue, options)?)
            }
            Place::Rest(tap, server) => {
                let rest = rest_at(&tap.endpoint(), client());
                Ok(Lake::open_rest(&server.folder().join("lake"), rest, options)?)
            }
        }
    }

    /// The catalog loses the entry of `raw.<table>`; the files stay.
    pub fn forget(&self, table: &str) -> Result<()> {
        let host = |endpoint: &str| endpoint.trim_start_matches("http://").to_string();
        let mut request = Request { target: "/".into(), ..Request::default() };
        let server = match self {
            Place::Local(folder) => {
                for name in ["c.db", "c.db-wal", "c.db-shm"] {
                    let path = folder.path().join(name);
                    if path.exists() {
                        std::fs::remove_file(path)?;
                    }
                }
                return Ok(());
            }
            Place::Glue(server, _) => {
                server.forget("raw", table);
                return Ok(());
            }
            Place::Moto(_, prefix) => {
                let body =
                    serde_json::json!({"DatabaseName": format!("{prefix}_raw"), "Name": table});
                request.method = "POST".into();
                request.body = body.to_string().into_bytes();
                let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/glue/aws4_request, \
                             SignedHeaders=host, Signature=0";
                request.headers = vec![
                    ("x-amz-target".into(), "AWSGlue.DeleteTable".into()),
                    ("content-type".into(), "application/x-amz-json-1.1".into()),
                    ("authorization".into(), scope.into()),
                ];
                moto()?.endpoint()
            }
            Place::Rest(_, server) => {
                request.method = "DELETE".into();
                request.target = format!("/v1/namespaces/raw/tables/{table}?purgeRequested=false");
                server.endpoint()
            }
        };
        request.headers.push(("host".into(), host(&server)));
        request.headers.push(("content-length".into(), request.body.len().to_string()));
        let reply = forward(&server, &request)?;
        ensure!((200..300).contains(&reply.status), "{self}: {reply:?}");
        Ok(())
    }

    /// Fails unless every record is there exactly once.
    pub async fn verify_clean(&self) -> Result<()> {
        let table = super::table();
        let report = verify(&self.lake()?, &table, &VerifyOptions::default()).await?;
        ensure!(report.findings.is_empty(), "{self}: {:?}", report.findings);
        Ok(())
    }
}

/// The REST catalog at `endpoint`, as this client of it.
pub fn rest_at(endpoint: &str, auth: RestAuth) -> RestOptions {
    RestOptions { uri: endpoint.into(), warehouse: None, auth, timeout: TIMEOUT, retries_max: 3 }
}

/// A client that is given tokens by the catalog.
pub fn client() -> RestAuth {
    RestAuth::Client {
        id: "weir".into(),
        secret: Secret::by(|| Ok("hush".into())),
        scope: "catalog".into(),
        token_uri: None,
    }
}
