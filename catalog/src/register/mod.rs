//! Registering tables by their metadata files: one that a person names, or all that stand in the
//! warehouse, when the catalog was lost.

mod newest;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use serde::Serialize;
use weir_contract::names::TableName;

use crate::backend::{Loaded, Outcome, version_of};
use crate::look::as_of::show_time;
use crate::look::{as_text, number};
use crate::table::Lake;
use crate::{CatalogError, Result};
use newest::{Content, FileFacts, Newest, newest};

/// How the names of metadata files end, whoever wrote them.
const SUFFIXES: [&str; 2] = [".metadata.json", ".metadata.json.gz"];

/// What came of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Registered {
    /// The catalog has it now.
    Done {
        /// By this metadata file.
        location: String,
        /// The metadata file that it had before, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        replaced: Option<String>,
    },
    /// It would have it.
    Would {
        /// By this metadata file.
        location: String,
    },
    /// The catalog has the table already, and was left as it is.
    Kept {
        /// The metadata file that it has.
        location: String,
    },
    /// It cannot be told which metadata file is the table.
    Ambiguous {
        /// Why.
        why: String,
        /// The files among which somebody must choose, with what they say.
        candidates: Vec<Candidate>,
    },
}

/// A metadata file that may be the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Where it stands.
    pub location: String,
    /// What it says, for people.
    pub says: String,
}

/// A table that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// What came of it.
    #[serde(flatten)]
    pub registered: Registered,
}

/// Puts the table into the catalog by one metadata file. With `replace` a pointer that it has is
/// moved.
///
/// Errors: bad config (the catalog has the table, the file is of another folder), bad data (no such
/// file, damaged), and what the catalog says.
pub async fn register(
    lake: &Lake,
    table: &TableName,
    location: &str,
    replace: bool,
) -> Result<Registered> {
    let location = lake.warehouse.location_of(&lake.warehouse.object_path(location)?);
    let loaded = lake.backend.read(&location).await?;
    let folder = loaded.metadata.location().trim_end_matches('/');
    if !same_place(lake, &location, &format!("{folder}/metadata/"))? {
        return Err(CatalogError::bad_config(format!(
            "{location} was copied from {folder}, and the files that it names stand there; tables \
             cannot be moved: name the file there, or put the folder back"
        )));
    }
    // A pointer whose file is gone cannot be loaded, and is the one to be replaced.
    let old = lake.backend.location(table).await?;
    match old {
        Some(old) if old == location => Ok(Registered::Kept { location }),
        Some(old) if !replace => Err(CatalogError::bad_config(format!(
            "the catalog has table {table} already, by {old}; --replace moves it to {location}"
        ))),
        old => match lake.backend.register(table, &location, old.as_deref()).await {
            Outcome::Committed(_) => Ok(Registered::Done { location, replaced: old }),
            Outcome::Conflict(why) | Outcome::Unknown(why) => {
                match lake.backend.location(table).await? {
                    Some(now) if now == location => {
                        Ok(Registered::Done { location, replaced: old })
                    }
                    _ => Err(CatalogError::retry(format!("registering {table}: {why}"))),
                }
            }
            Outcome::Failed(e) => Err(e),
        },
    }
}

/// Puts every table of the warehouse that the catalog does not have into it, by its newest metadata
/// file; sorted by name. With `dry` only says so.
pub async fn register_all(lake: &Lake, dry: bool) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for table in tables(lake).await? {
        let root = lake.warehouse.location();
        let folder = format!("{root}/{}/{}", table.namespace, table.name);
        let registered = match lake.backend.location(&table).await? {
            Some(location) => Registered::Kept { location },
            None => {
                let files = facts(lake, &folder).await?;
                match newest(&folder, &files) {
                    Newest::None => continue,
                    Newest::One(file) if dry => {
                        Registered::Would { location: file.location.clone() }
                    }
                    Newest::One(file) => register(lake, &table, &file.location, false).await?,
                    Newest::Ambiguous(files, why) => {
                        let candidates = files.into_iter().map(Candidate::of).collect();
                        Registered::Ambiguous { why, candidates }
                    }
                }
            }
        };
        lines.push(Line { table, registered });
    }
    Ok(lines)
}

impl Candidate {
    fn of(file: &FileFacts) -> Candidate {
        let says = match &file.content {
            Err(why) => format!("cannot be read: {why}"),
            Ok(content) => {
                let at = show_time(content.updated_at_ms);
                match (content.snapshot, content.records) {
                    (None, _) => format!("of {at}, empty"),
                    (Some(id), None) => format!("of {at}, snapshot {id}"),
                    (Some(id), Some(rows)) => format!("of {at}, snapshot {id}, {rows} rows"),
                }
            }
        };
        Candidate { location: file.location.clone(), says }
    }
}

/// The folders of the warehouse that can be tables.
async fn tables(lake: &Lake) -> Result<Vec<TableName>> {
    let mut tables = Vec::new();
    for namespace in folders(lake, &lake.warehouse.root()?).await? {
        for name in folders(lake, &namespace).await? {
            let last = |path: &Path| path.filename().unwrap_or_default().to_string();
            tables.extend(format!("{}.{}", last(&namespace), last(&name)).parse::<TableName>());
        }
    }
    tables.sort();
    Ok(tables)
}

async fn folders(lake: &Lake, of: &Path) -> Result<Vec<Path>> {
    let listed = lake.store.list_with_delimiter(Some(of)).await;
    Ok(listed
        .map_err(|e| {
            CatalogError::storage(format!("listing {}", lake.warehouse.location_of(of)), e)
        })?
        .common_prefixes)
}

/// The metadata files of a table's folder.
async fn facts(lake: &Lake, folder: &str) -> Result<Vec<FileFacts>> {
    let path = lake.warehouse.object_path(&format!("{folder}/metadata"))?;
    let listed = lake.store.list(Some(&path)).try_collect::<Vec<_>>().await;
    let listed = listed.map_err(|e| {
        CatalogError::storage(format!("listing {}", lake.warehouse.location_of(&path)), e)
    })?;
    let mut files = Vec::new();
    for object in listed {
        let location = lake.warehouse.location_of(&object.location);
        if !SUFFIXES.iter().any(|suffix| location.ends_with(suffix)) {
            continue;
        }
        let content = lake.backend.read(&location).await.map(|l| content(&l));
        let content = content.map_err(|e| e.to_string());
        files.push(FileFacts { version: version_of(&location), location, content });
    }
    Ok(files)
}

fn content(loaded: &Loaded) -> Content {
    let metadata = &loaded.metadata;
    let current = metadata.current_snapshot();
    Content {
        uuid: metadata.uuid().to_string(),
        table: metadata.location().trim_end_matches('/').to_string(),
        updated_at_ms: metadata.last_updated_ms(),
        snapshot: current.map(|s| s.snapshot_id()),
        records: current.and_then(|s| number(s, "total-records")),
    }
}

/// Whether the file stands in the folder, however both are spelled.
fn same_place(lake: &Lake, file: &str, folder: &str) -> Result<bool> {
    let at = |location| lake.warehouse.object_path(location);
    let (file, folder) = (at(file)?, at(folder)?);
    Ok(file.prefix_matches(&folder))
}

#[cfg(test)]
mod tests;
