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
use aws_sdk_glue::Client;
use aws_sdk_glue::config::Builder;
use aws_sdk_glue::config::retry::RetryConfig;
use aws_sdk_glue::types::{DatabaseInput, Table, TableInput};
use weir_contract::names::TableName;

use refusal::told;

use super::Loaded;
use super::pointer::{Pointer, Swap};
use super::refusal::Refusal;
use crate::aws::Identity;
use crate::error::{CatalogError, Result};
use crate::storage::Warehouse;

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
    glue: Client,
    identity: Identity,
    options: GlueOptions,
    warehouse: Warehouse,
}

impl GluePointer {
    /// The catalog, in the name of `identity`. Tables whose files stand outside of `warehouse` are
    /// other lakes', and are not listed. Nothing is asked yet.
    pub fn new(identity: &Identity, options: GlueOptions, warehouse: Warehouse) -> GluePointer {
        let mut config = Builder::from(&identity.sdk);
        if let Some(endpoint) = &options.endpoint {
            config.set_endpoint_url(Some(endpoint.clone()));
        }
        let glue = Client::from_conf(config.build());
        GluePointer { glue, identity: identity.clone(), options, warehouse }
    }

    fn database(&self, name: &TableName) -> String {
        format!("{}{}", self.options.database_prefix, name.namespace)
    }

    fn account(&self) -> Option<String> {
        self.options.catalog_id.clone()
    }

    /// That there are credentials: without them nothing is sent, and the SDK would not say why.
    async fn known(&self) -> Result<(), Refusal> {
        self.identity.credentials().await.map(drop).map_err(Refusal::Failed)
    }

    async fn databases(&self) -> Result<Vec<String>, Refusal> {
        self.known().await?;
        let pages = self.glue.get_databases().set_catalog_id(self.account());
        let found = pages.into_paginator().send().try_collect().await;
        let found = told("glue:GetDatabases", "the catalog", found)?;
        let all = found.into_iter().flat_map(|page| page.database_list);
        Ok(all.map(|database| database.name).collect())
    }

    async fn tables(&self, database: &str) -> Result<Vec<Table>, Refusal> {
        self.known().await?;
        let pages = self.glue.get_tables().set_catalog_id(self.account()).database_name(database);
        let found = pages.into_paginator().send().try_collect().await;
        let found = told("glue:GetTables", database, found)?;
        Ok(found.into_iter().flat_map(|page| page.table_list.unwrap_or_default()).collect())
    }

    /// A table's entry as it stands.
    async fn entry(&self, name: &TableName) -> Result<Option<Table>> {
        self.known().await.map_err(Refusal::into_error)?;
        let asked = self.glue.get_table().set_catalog_id(self.account());
        let asked = asked.database_name(self.database(name)).name(&name.name).send().await;
        match told("glue:GetTable", &name.to_string(), asked) {
            Ok(answer) => Ok(answer.table),
            Err(Refusal::Missing(_)) => Ok(None),
            Err(refusal) => Err(refusal.into_error()),
        }
    }

    /// Sent once, as what moves a pointer is: a refusal is then of the first and only attempt.
    async fn create(&self, name: &TableName, input: &TableInput) -> Result<(), Refusal> {
        self.known().await?;
        let call = self.glue.create_table().set_catalog_id(self.account());
        let call = call.database_name(self.database(name)).table_input(input.clone());
        let sent = call.customize().config_override(once()).send().await;
        told("glue:CreateTable", &name.to_string(), sent).map(drop)
    }

    /// Sent once; `version` is the one that was read.
    async fn update(
        &self,
        name: &TableName,
        input: TableInput,
        version: &str,
    ) -> Result<(), Refusal> {
        self.known().await?;
        let call = self.glue.update_table().set_catalog_id(self.account());
        let call = call.database_name(self.database(name)).table_input(input).version_id(version);
        // Else Glue keeps each version, until a quota is used up.
        let call = call.skip_archive(true);
        let sent = call.customize().config_override(once()).send().await;
        told("glue:UpdateTable", &name.to_string(), sent).map(drop)
    }

    /// Makes the table's database where it is missing.
    async fn create_database(&self, name: &TableName) -> Result<(), Refusal> {
        let database = self.database(name);
        let input = DatabaseInput::builder()
            .name(&database)
            .description("Tables of a lake written by Weir");
        let input = input.build().map_err(|e| Refusal::Failed(CatalogError::bug(e.to_string())))?;
        let call = self.glue.create_database().set_catalog_id(self.account());
        let made = call.database_input(input).send().await;
        match told("glue:CreateDatabase", &database, made) {
            Ok(_) | Err(Refusal::Exists(_)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }
}

/// No retries.
fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

#[async_trait]
impl Pointer for GluePointer {
    async fn list(&self) -> Result<Vec<TableName>> {
        let mut names = Vec::new();
        for database in self.databases().await.map_err(Refusal::into_error)? {
            let Some(namespace) = database.strip_prefix(&*self.options.database_prefix) else {
                continue;
            };
            for entry in self.tables(&database).await.map_err(Refusal::into_error)? {
                let ours = entry::location(&entry).is_some_and(|at| self.warehouse.holds(at));
                if entry::is_iceberg(&entry) && ours {
                    names.push(TableName { namespace: namespace.into(), name: entry.name });
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
        let input = match entry::new(&name.name, &new.location, &new.metadata) {
            Ok(input) => input,
            Err(e) => return Swap::Failed(e),
        };
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
        let Some(version) = entry.version_id() else {
            return Swap::Failed(CatalogError::bad_data(format!(
                "the catalog gives no version of {name}, without which no commit is safe"
            )));
        };
        match entry::moved(&entry, old, &new.location, &new.metadata) {
            Ok(input) => outcome(self.update(name, input, version).await),
            Err(e) => Swap::Failed(e),
        }
    }
}

/// What became of a call that was sent once and moves a pointer.
fn outcome(called: Result<(), Refusal>) -> Swap {
    match called {
        Ok(()) => Swap::Done,
        Err(Refusal::Missing(seen) | Refusal::Exists(seen) | Refusal::Beaten(seen)) => {
            Swap::Conflict(seen)
        }
        Err(Refusal::Unknown(why)) => Swap::Unknown(why),
        Err(Refusal::Failed(e)) => Swap::Failed(e),
    }
}
