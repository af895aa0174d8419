//! A stand-in of AWS Glue's catalog that enforces `VersionId` as AWS does: it starts at 0, grows with
//! every update, and a stale one is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde_json::{Value, json};

use super::http::{Reply, Request};
use super::tap::Tap;

/// Entries of a page of a list: small, so that tests turn pages.
const PAGE: usize = 2;

type Databases = BTreeMap<String, BTreeMap<String, (Value, u64)>>;

/// The catalog, reachable by [`GlueServer::tap`].
pub struct GlueServer {
    /// Calls, faults and the endpoint.
    pub tap: Tap,
    databases: Arc<Mutex<Databases>>,
}

impl GlueServer {
    /// An empty catalog on a free port.
    pub fn start() -> Result<GlueServer> {
        let databases: Arc<Mutex<Databases>> = Arc::default();
        let served = databases.clone();
        let tap = Tap::on(move |request| {
            let mut databases = served.lock().unwrap_or_else(PoisonError::into_inner);
            Some(answer(&mut databases, request))
        })?;
        Ok(GlueServer { tap, databases })
    }

    /// The metadata file that a table's entry names.
    pub fn pointer(&self, database: &str, table: &str) -> Option<String> {
        let databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let (entry, _) = databases.get(database)?.get(table)?;
        entry["Parameters"]["metadata_location"].as_str().map(str::to_string)
    }

    /// Loses a table's entry; its files stay.
    pub fn forget(&self, database: &str, table: &str) {
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tables) = databases.get_mut(database) {
            tables.remove(table);
        }
    }

    /// Changes a table's entry behind everybody's back, as another engine's update.
    pub fn meddle(&self, database: &str, table: &str, change: impl FnOnce(&mut Value)) {
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = databases.get_mut(database).and_then(|tables| tables.get_mut(table));
        if let Some((entry, version)) = entry {
            change(entry);
            *version += 1;
        }
    }
}

fn answer(databases: &mut Databases, request: &Request) -> Reply {
    let target = request.header("x-amz-target").unwrap_or_default();
    let signed = request.header("authorization").is_some_and(|a| a.starts_with("AWS4-HMAC-SHA256"));
    let input: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let done = match target.trim_start_matches("AWSGlue.") {
        _ if !signed => Err(("MissingAuthenticationTokenException", "not signed".to_string())),
        "CreateDatabase" => create_database(databases, &input),
        "GetDatabases" => {
            let names = databases.keys().map(|name| json!({"Name": name})).collect();
            Ok(page(names, &input, "DatabaseList"))
        }
        "CreateTable" => create_table(databases, &input),
        "GetTable" => tables(databases, &input).and_then(|tables| {
            let (entry, version) = tables.get(text(&input["Name"])).ok_or_else(missing)?;
            Ok(json!({"Table": shown(entry, text(&input["DatabaseName"]), *version)}))
        }),
        "GetTables" => tables(databases, &input).map(|tables| {
            let database = text(&input["DatabaseName"]);
            let entries = tables.values().map(|(entry, version)| shown(entry, database, *version));
            page(entries.collect(), &input, "TableList")
        }),
        "UpdateTable" => update_table(databases, &input),
        other => Err(("InvalidAction", format!("there is no {other} here"))),
    };
    let (status, body) = match done {
        Ok(body) => (200, body),
        Err((kind, message)) => (400, json!({"__type": kind, "Message": message})),
    };
    let headers = vec![("content-type".into(), "application/x-amz-json-1.1".into())];
    Reply { status, headers, body: body.to_string().into_bytes(), length: None }
}

type Done<T = Value> = Result<T, (&'static str, String)>;

fn create_database(databases: &mut Databases, input: &Value) -> Done {
    let name = text(&input["DatabaseInput"]["Name"]);
    if databases.contains_key(name) {
        return Err(("AlreadyExistsException", format!("Database {name} exists")));
    }
    databases.insert(name.to_string(), BTreeMap::new());
    Ok(json!({}))
}

fn create_table(databases: &mut Databases, input: &Value) -> Done {
    let entry = &input["TableInput"];
    check(entry)?;
    let name = text(&entry["Name"]).to_string();
    let tables = tables(databases, input)?;
    if tables.contains_key(&name) {
        return Err(("AlreadyExistsException", format!("Table {name} exists")));
    }
    tables.insert(name, (entry.clone(), 0));
    Ok(json!({}))
}

fn update_table(databases: &mut Databases, input: &Value) -> Done {
    let entry = &input["TableInput"];
    check(entry)?;
    let tables = tables(databases, input)?;
    let (there, version) = tables.get_mut(text(&entry["Name"])).ok_or_else(missing)?;
    if input["VersionId"] != version.to_string().as_str() {
        let message = "Update table failed due to concurrent modifications.".to_string();
        return Err(("ConcurrentModificationException", message));
    }
    if input["SkipArchive"] != true {
        return Err(("InvalidInputException", "weir must skip the archive".into()));
    }
    (*there, *version) = (entry.clone(), *version + 1);
    Ok(json!({}))
}

/// Glue refuses members of `GetTable`'s answer that are not of `TableInput`, and long comments.
fn check(entry: &Value) -> Done<()> {
    for odd in ["DatabaseName", "CreateTime", "UpdateTime", "VersionId", "CatalogId", "CreatedBy"] {
        if entry.get(odd).is_some() {
            return Err(("InvalidInputException", format!("unknown member {odd}")));
        }
    }
    let columns = entry["StorageDescriptor"]["Columns"].as_array();
    let long = |column: &&Value| text(&column["Comment"]).len() > 255;
    match columns.into_iter().flatten().find(long) {
        Some(column) => Err(("InvalidInputException", format!("{column}: a long comment"))),
        None => Ok(()),
    }
}

fn tables<'a>(
    databases: &'a mut Databases,
    input: &Value,
) -> Done<&'a mut BTreeMap<String, (Value, u64)>> {
    let name = text(&input["DatabaseName"]);
    let missing = || ("EntityNotFoundException", format!("Database {name} not found."));
    databases.get_mut(name).ok_or_else(missing)
}

fn missing() -> (&'static str, String) {
    ("EntityNotFoundException", "Entity Not Found".into())
}

fn shown(entry: &Value, database: &str, version: u64) -> Value {
    let mut shown = entry.clone();
    shown["DatabaseName"] = database.into();
    shown["VersionId"] = version.to_string().into();
    shown["CreateTime"] = 1.795e9.into();
    shown["CatalogId"] = "123456789012".into();
    shown
}

fn page(all: Vec<Value>, input: &Value, list: &str) -> Value {
    let from: usize = text(&input["NextToken"]).parse().unwrap_or(0);
    let until = (from + PAGE).min(all.len());
    let mut page = json!({ list: all[from..until] });
    if until < all.len() {
        page["NextToken"] = until.to_string().into();
    }
    page
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
