//! The pointer in AWS Glue, in the entries of Iceberg's Java catalog, so that Athena, Trino, Spark
//! and PyIceberg open the same tables.
//!
//! A swap is `GetTable`, a comparison with the base, and `UpdateTable` for exactly the version that
//! was read; the last is sent once, so that Glue's refusal is known to be of the first and only
//! attempt. Calls that change nothing are repeated with growing pauses.

mod columns;
mod entry;
mod refusal;

use async_trait::async_trait;
use serde_json::{Value, json};
use weir_contract::names::TableName;

use refusal::{reply, silence};

use super::Loaded;
use super::pointer::{Pointer, Swap};
use super::refusal::{Refusal, pause};
use crate::aws::{Identity, Signed};
use crate::env::Env;
use crate::error::{CatalogError, Result};
use crate::storage::Warehouse;

const JSON: &str = "application/x-amz-json-1.1";

/// Which catalog, and what of it.
#[derive(Debug, Clone, Default)]
pub struct GlueOptions {
    /// Another account's catalog; none: that of the credentials.
    pub catalog_id: Option<String>,
    /// Another endpoint than Amazon's.
    pub endpoint: Option<String>,
    /// What the databases' names begin with: `<prefix>raw`, `<prefix>ref`.
    pub database_prefix: String,
}

/// Pointers in one catalog of Glue.
#[derive(Debug, Clone)]
pub struct GluePointer {
    glue: Signed,
    options: GlueOptions,
    warehouse: Warehouse,
    retries_max: usize,
    env: Env,
}

impl GluePointer {
    /// The catalog, in the name of `identity`. Tables whose files stand outside of `warehouse` are
    /// other lakes', and are not listed. Nothing is asked yet.
    ///
    /// Errors: bad config.
    pub fn new(
        identity: &Identity,
        options: GlueOptions,
        warehouse: Warehouse,
        env: Env,
    ) -> Result<GluePointer> {
        let glue = Signed::new(identity, "glue", options.endpoint.as_deref())?;
        Ok(GluePointer { glue, options, warehouse, retries_max: identity.retries_max, env })
    }

    fn database(&self, name: &TableName) -> String {
        format!("{}{}", self.options.database_prefix, name.namespace)
    }

    /// One call, sent once.
    async fn call(&self, operation: &str, on: &str, mut input: Value) -> Result<Value, Refusal> {
        if let Some(id) = &self.options.catalog_id {
            input["CatalogId"] = id.as_str().into();
        }
        let action = format!("glue:{operation}");
        let target = format!("AWSGlue.{operation}");
        let sent =
            self.glue.post(JSON, &[("x-amz-target", target.as_str())], input.to_string()).await;
        match sent {
            Ok(answer) => reply(&action, on, answer),
            Err(why) => Err(silence(&action, on, &why)),
        }
    }

    /// A call that changes nothing, or nothing more when it is repeated.
    async fn ask(&self, operation: &str, on: &str, input: Value) -> Result<Value, Refusal> {
        let mut attempt = 0;
        loop {
            let refusal = match self.call(operation, on, input.clone()).await {
                Err(refusal) if refusal.passes() => refusal,
                answer => return answer,
            };
            if attempt >= self.retries_max {
                return Err(refusal);
            }
            attempt += 1;
            pause(&self.env, attempt).await;
        }
    }

    /// Every page of a list.
    async fn pages(
        &self,
        operation: &str,
        on: &str,
        input: Value,
        list: &str,
    ) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut token = Value::Null;
        loop {
            let mut input = input.clone();
            if !token.is_null() {
                input["NextToken"] = token;
            }
            let page = self.ask(operation, on, input).await;
            let mut page = page.map_err(Refusal::into_error)?;
            if let Value::Array(entries) = page[list].take() {
                found.extend(entries);
            }
            token = page["NextToken"].take();
            if token.as_str().is_none_or(str::is_empty) {
                return Ok(found);
            }
        }
    }

    /// A table's entry as it stands.
    async fn entry(&self, name: &TableName) -> Result<Option<Value>> {
        let input = json!({"DatabaseName": self.database(name), "Name": name.name});
        match self.ask("GetTable", &name.to_string(), input).await {
            Ok(mut answer) => Ok(Some(answer["Table"].take())),
            Err(Refusal::Missing(_)) => Ok(None),
            Err(refusal) => Err(refusal.into_error()),
        }
    }

    async fn create(&self, name: &TableName, input: &Value) -> Result<Value, Refusal> {
        let input = json!({"DatabaseName": self.database(name), "TableInput": input});
        self.call("CreateTable", &name.to_string(), input).await
    }

    /// Makes the table's database where it is missing.
    async fn create_database(&self, name: &TableName) -> Result<(), Refusal> {
        let database = self.database(name);
        let description = "Tables of a lake written by Weir";
        let input = json!({"DatabaseInput": {"Name": &database, "Description": description}});
        match self.ask("CreateDatabase", &database, input).await {
            Ok(_) | Err(Refusal::Exists(_)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }
}

#[async_trait]
impl Pointer for GluePointer {
    async fn list(&self) -> Result<Vec<TableName>> {
        let databases =
            self.pages("GetDatabases", "the catalog", json!({}), "DatabaseList").await?;
        let mut names = Vec::new();
        for database in databases {
            let Some(database) = database["Name"].as_str() else { continue };
            let Some(namespace) = database.strip_prefix(&*self.options.database_prefix) else {
                continue;
            };
            let input = json!({"DatabaseName": database});
            for entry in self.pages("GetTables", database, input, "TableList").await? {
                let ours = entry::location(&entry).is_some_and(|at| self.warehouse.holds(at));
                if let Some(name) = entry["Name"].as_str()
                    && entry::is_iceberg(&entry)
                    && ours
                {
                    names.push(TableName { namespace: namespace.into(), name: name.into() });
                }
            }
        }
        Ok(names)
    }

    async fn get(&self, name: &TableName) -> Result<Option<String>> {
        let Some(entry) = self.entry(name).await? else { return Ok(None) };
        let stands = entry::location(&entry).unwrap_or("nowhere");
        let what = match entry::pointer(&entry).filter(|_| entry::is_iceberg(&entry)) {
            Some(location) if self.warehouse.holds(stands) => return Ok(Some(location.into())),
            Some(_) => format!("another lake's, at {stands}, not in {}", self.warehouse),
            None => "no Iceberg table".to_string(),
        };
        Err(CatalogError::bad_config(format!(
            "the table {name} of the database {} in Glue is {what}; set glue.database_prefix, so \
             that this lake has databases of its own",
            self.database(name)
        )))
    }

    async fn insert(&self, name: &TableName, new: &Loaded) -> Swap {
        let input = entry::new(&name.name, &new.location, &new.metadata);
        let mut created = self.create(name, &input).await;
        if matches!(created, Err(Refusal::Missing(_))) {
            if let Err(refusal) = self.create_database(name).await {
                return Swap::Failed(refusal.into_error());
            }
            created = self.create(name, &input).await;
        }
        outcome(created)
    }

    async fn swap(&self, name: &TableName, old: &str, new: &Loaded) -> Swap {
        let entry = match self.entry(name).await {
            Ok(Some(entry)) => entry,
            Ok(None) => return Swap::Conflict(format!("{name} is no longer in the catalog")),
            Err(e) => return Swap::Failed(e),
        };
        match entry::pointer(&entry) {
            Some(now) if now == old => {}
            now => {
                return Swap::Conflict(format!(
                    "the pointer of {name} is no longer at {old}, but at {}",
                    now.unwrap_or("nothing")
                ));
            }
        }
        let Some(version) = entry["VersionId"].as_str() else {
            return Swap::Failed(CatalogError::bad_data(format!(
                "the catalog gives no version of {name}, without which no commit is safe"
            )));
        };
        let input = json!({
            "DatabaseName": self.database(name),
            "TableInput": entry::moved(&entry, old, &new.location, &new.metadata),
            "VersionId": version,
            // Else Glue keeps each version, until a quota is used up.
            "SkipArchive": true,
        });
        outcome(self.call("UpdateTable", &name.to_string(), input).await)
    }
}

/// What became of a call that was sent once and moves a pointer.
fn outcome(called: Result<Value, Refusal>) -> Swap {
    match called {
        Ok(_) => Swap::Done,
        Err(Refusal::Missing(seen) | Refusal::Exists(seen) | Refusal::Beaten(seen)) => {
            Swap::Conflict(seen)
        }
        Err(Refusal::Unknown(why)) => Swap::Unknown(why),
        Err(Refusal::Failed(e)) => Swap::Failed(e),
    }
}
