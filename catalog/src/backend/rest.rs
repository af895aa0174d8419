//! Tables of an Iceberg REST catalog (<https://iceberg.apache.org/rest-catalog-spec/>): the server has
//! the pointer and writes the metadata files, this crate everything below them.
//!
//! A commit is one request that lists what must still hold of the table ([`pins`]) and what changes; it
//! is sent once, so that its refusal is known to be of the first and only attempt. Calls that change
//! nothing are repeated with growing pauses.

mod client;
mod pins;
mod refusal;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use iceberg::io::FileIO;
use iceberg::spec::{PartitionSpecRef, SchemaRef, SortOrderRef, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_contract::names::TableName;

use client::{Call, Client};

use super::refusal::Refusal;
use super::{Backend, Loaded, Outcome, metadata_file};
use crate::env::Env;
use crate::error::{CatalogError, Result};
use crate::http::escaped;
use crate::storage::Warehouse;

/// Tables that are looked at at once, to list those of this lake.
const LOOKS: usize = 8;
/// The property by which a new table's format is asked for.
const FORMAT_VERSION: (&str, &str) = ("format-version", "2");

/// Which catalog, and who we are there.
#[derive(Debug, Clone)]
pub struct RestOptions {
    /// Its address, up to where `/v1` begins.
    pub uri: String,
    /// Which of its warehouses; none: its only one.
    pub warehouse: Option<String>,
    /// Who we are.
    pub auth: RestAuth,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request that failed, and may be repeated, is.
    pub retries_max: usize,
}

/// Who we are in a catalog.
#[derive(Debug, Clone)]
pub enum RestAuth {
    /// Nobody: it does not ask.
    None,
    /// The bearer of this token, which somebody else renews.
    Token(Secret),
    /// A client that is given tokens (OAuth2 client credentials).
    Client {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Secret,
        /// What the tokens shall be good for.
        scope: String,
        /// Who gives them; none: the catalog itself.
        token_uri: Option<String>,
    },
}

/// A secret that is read when it is needed, and never shown.
#[derive(Clone)]
pub struct Secret(Arc<dyn Fn() -> Result<String, String> + Send + Sync>);

impl Secret {
    /// One that `read` reads; its error is for the end of a sentence.
    pub fn by(read: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Secret {
        Secret(Arc::new(read))
    }

    fn read(&self) -> Result<String, String> {
        (self.0)()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A commit as it is sent: what must still hold of the table for it to be made on exactly `base`, and the
/// updates, with that among them by which later commits see this one.
pub fn pinned(
    base: &Loaded,
    updates: Vec<TableUpdate>,
) -> (Vec<TableRequirement>, Vec<TableUpdate>) {
    let updates = pins::with_turn(base, updates);
    (pins::requirements(base, &updates), updates)
}

/// The tables of a warehouse in one catalog.
#[derive(Debug)]
pub struct RestBackend {
    client: Client,
    warehouse: Warehouse,
    io: FileIO,
}

impl RestBackend {
    /// The catalog. Tables whose files stand outside of `warehouse` are other lakes', and are not
    /// listed. Nothing is asked yet.
    ///
    /// Errors: bad config.
    pub fn new(
        options: RestOptions,
        warehouse: Warehouse,
        io: FileIO,
        env: Env,
    ) -> Result<RestBackend> {
        Ok(RestBackend { client: Client::new(options, env)?, warehouse, io })
    }

    /// Every page of a list.
    async fn pages(&self, action: &'static str, on: &str, path: &str) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let query = next.map(|token| format!("?pageToken={}", escaped(&token)));
            let path = format!("{path}{}", query.unwrap_or_default());
            let call =
                Call { action, on: on.into(), method: Method::GET, path, body: Bytes::new() };
            let body = match self.client.ask(&call).await {
                Ok(body) => body,
                // Dropped between the two looks.
                Err(Refusal::Missing(_)) => return Ok(found),
                Err(refusal) => return Err(refusal.into_error()),
            };
            let page: Page = serde_json::from_slice(&body).map_err(|e| unread(&call, &e))?;
            found.extend(
                page.namespaces
                    .into_iter()
                    .map(|namespace| Listed { namespace, name: String::new() }),
            );
            found.extend(page.identifiers);
            match page.next_page_token.filter(|token| !token.is_empty()) {
                Some(token) => next = Some(token),
                None => return Ok(found),
            }
        }
    }

    /// A table as the catalog tells it, wherever its files stand.
    async fn look(&self, name: &TableName, only_refs: bool) -> Result<Option<Loaded>> {
        let snapshots = if only_refs { "refs" } else { "all" };
        let path = format!("{}?snapshots={snapshots}", table_path(name));
        let call = Call {
            action: "loadTable",
            on: name.to_string(),
            method: Method::GET,
            path,
            body: Bytes::new(),
        };
        match self.client.ask(&call).await {
            Ok(body) => loaded(&call, &body).map(Some),
            Err(Refusal::Missing(_)) => Ok(None),
            Err(refusal) => Err(refusal.into_error()),
        }
    }

    /// Refuses a table whose files stand outside of the lake's warehouse.
    fn ours(&self, name: &TableName, loaded: Loaded) -> Result<Loaded> {
        let stands = loaded.metadata.location();
        if self.warehouse.holds(stands) {
            return Ok(loaded);
        }
        Err(CatalogError::bad_config(format!(
            "the catalog has the table {name} at {stands}, not in {}: it is another lake's, or the \
             catalog chose the place; set `warehouse` to where the catalog puts tables, or \
             rest.warehouse to another one of its warehouses",
            self.warehouse
        )))
    }

    /// A call that makes a table, and its namespace where that is missing.
    async fn make(&self, name: &TableName, call: Call) -> Outcome {
        let mut made = self.client.once(&call).await;
        if matches!(made, Err(Refusal::Missing(_))) {
            if let Err(refusal) = self.make_namespace(&name.namespace).await {
                return Outcome::Failed(refusal.into_error());
            }
            made = self.client.once(&call).await;
        }
        self.outcome(name, &call, made)
    }

    async fn make_namespace(&self, namespace: &str) -> Result<(), Refusal> {
        let body = NewNamespace { namespace: [namespace], properties: HashMap::new() };
        let call = Call {
            action: "createNamespace",
            on: namespace.into(),
            method: Method::POST,
            path: "/namespaces".into(),
            body: encoded(&body).map_err(Refusal::Failed)?,
        };
        match self.client.ask(&call).await {
            // Another process may have made it.
            Ok(_) | Err(Refusal::Exists(_) | Refusal::Beaten(_)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// What became of a call that was sent once and changes a table.
    fn outcome(&self, name: &TableName, call: &Call, done: Result<Bytes, Refusal>) -> Outcome {
        match done {
            Ok(body) => match loaded(call, &body) {
                Ok(loaded) => match self.ours(name, loaded) {
                    Ok(loaded) => Outcome::Committed(loaded),
                    Err(e) => Outcome::Failed(e),
                },
                Err(e) => Outcome::Unknown(e.to_string()),
            },
            Err(Refusal::Missing(seen) | Refusal::Exists(seen) | Refusal::Beaten(seen)) => {
                Outcome::Conflict(seen)
            }
            Err(Refusal::Unknown(why)) => Outcome::Unknown(why),
            Err(Refusal::Failed(e)) => Outcome::Failed(e),
        }
    }
}

#[async_trait]
impl Backend for RestBackend {
    async fn list(&self) -> Result<Vec<TableName>> {
        let mut names = Vec::new();
        for Listed { namespace, .. } in
            self.pages("listNamespaces", "the catalog", "/namespaces").await?
        {
            // Deeper ones have no tables of ours.
            let [namespace] = &namespace[..] else { continue };
            let path = format!("/namespaces/{}/tables", escaped(namespace));
            let tables = self.pages("listTables", namespace, &path).await?;
            names.extend(
                tables
                    .into_iter()
                    .map(|t| TableName { namespace: namespace.clone(), name: t.name }),
            );
        }
        // The list does not say where a table's files stand.
        let looks = stream::iter(names).map(|name| async move {
            let found = self.look(&name, true).await?;
            let ours = found.is_some_and(|t| self.warehouse.holds(t.metadata.location()));
            Ok::<_, CatalogError>(ours.then_some(name))
        });
        let ours = looks.buffer_unordered(LOOKS).try_collect::<Vec<_>>().await?;
        let mut names: Vec<_> = ours.into_iter().flatten().collect();
        names.sort();
        Ok(names)
    }

    async fn load(&self, name: &TableName) -> Result<Option<Loaded>> {
        let found = self.look(name, false).await?;
        found.map(|loaded| self.ours(name, loaded)).transpose()
    }

    async fn create(&self, name: &TableName, metadata: TableMetadata) -> Outcome {
        let (key, value) = FORMAT_VERSION;
        let mut properties = metadata.properties().clone();
        properties.insert(key.into(), value.into());
        let body = encoded(&NewTable {
            name: &name.name,
            location: metadata.location(),
            schema: metadata.current_schema(),
            partition_spec: metadata.default_partition_spec(),
            write_order: metadata.default_sort_order(),
            stage_create: false,
            properties,
        });
        let body = match body {
            Ok(body) => body,
            Err(e) => return Outcome::Failed(e),
        };
        let path = format!("/namespaces/{}/tables", escaped(&name.namespace));
        let (action, on) = ("createTable", name.to_string());
        self.make(name, Call { action, on, method: Method::POST, path, body }).await
    }

    async fn read(&self, location: &str) -> Result<Loaded> {
        metadata_file::read(&self.io, location).await
    }

    async fn location(&self, name: &TableName) -> Result<Option<String>> {
        Ok(self.look(name, true).await?.map(|loaded| loaded.location))
    }

    async fn register(&self, name: &TableName, location: &str, old: Option<&str>) -> Outcome {
        if let Some(old) = old {
            return Outcome::Failed(CatalogError::bad_config(format!(
                "table {name} is in the catalog by {old}, and a REST catalog moves no table to \
                 another metadata file; drop the table there without purging its files, then \
                 register it"
            )));
        }
        let body = match encoded(&Register { name: &name.name, metadata_location: location }) {
            Ok(body) => body,
            Err(e) => return Outcome::Failed(e),
        };
        let path = format!("/namespaces/{}/register", escaped(&name.namespace));
        let (action, on) = ("registerTable", name.to_string());
        self.make(name, Call { action, on, method: Method::POST, path, body }).await
    }

    async fn commit(&self, name: &TableName, base: &Loaded, updates: Vec<TableUpdate>) -> Outcome {
        let (requirements, updates) = pinned(base, updates);
        let body = match encoded(&Commit { requirements, updates }) {
            Ok(body) => body,
            Err(e) => return Outcome::Failed(e),
        };
        let (action, on, path) = ("updateTable", name.to_string(), table_path(name));
        let call = Call { action, on, method: Method::POST, path, body };
        let done = self.client.once(&call).await;
        self.outcome(name, &call, done)
    }

    fn keeps_metadata(&self) -> bool {
        true
    }
}

/// A page of namespaces or of tables.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Page {
    #[serde(default)]
    namespaces: Vec<Vec<String>>,
    #[serde(default)]
    identifiers: Vec<Listed>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    namespace: Vec<String>,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LoadedTable<'a> {
    metadata_location: Option<String>,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

#[derive(Serialize)]
struct NewNamespace<'a> {
    namespace: [&'a str; 1],
    properties: HashMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct NewTable<'a> {
    name: &'a str,
    location: &'a str,
    schema: &'a SchemaRef,
    partition_spec: &'a PartitionSpecRef,
    write_order: &'a SortOrderRef,
    stage_create: bool,
    properties: HashMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Register<'a> {
    name: &'a str,
    metadata_location: &'a str,
}

#[derive(Serialize)]
struct Commit {
    requirements: Vec<TableRequirement>,
    updates: Vec<TableUpdate>,
}

fn table_path(name: &TableName) -> String {
    format!("/namespaces/{}/tables/{}", escaped(&name.namespace), escaped(&name.name))
}

fn encoded(body: &impl Serialize) -> Result<Bytes> {
    let bytes = serde_json::to_vec(body);
    Ok(bytes.map_err(|e| CatalogError::bug("writing a request").with_source(e))?.into())
}

/// The table of an answer.
fn loaded(call: &Call, body: &[u8]) -> Result<Loaded> {
    let table: LoadedTable<'_> = serde_json::from_slice(body).map_err(|e| unread(call, &e))?;
    // Whoever sweeps must know which file is the current one.
    let location = table.metadata_location.ok_or_else(|| {
        CatalogError::bad_data(format!(
            "{} of {}: the catalog does not say where the metadata file is (metadata-location)",
            call.action, call.on
        ))
    })?;
    let json = table.metadata.get().as_bytes();
    metadata_file::parse(location, json).map_err(|e| unread(call, &e))
}

fn unread(call: &Call, e: &serde_json::Error) -> CatalogError {
    CatalogError::bad_data(format!(
        "{} on {}: the answer cannot be read: {e}",
        call.action, call.on
    ))
}
