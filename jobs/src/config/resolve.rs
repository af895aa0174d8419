//! From checked values to the config that the commands use: paths absolute, rules across keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_catalog::ladder::Ladder;
use weir_catalog::maintain::MaintainOptions;
use weir_catalog::storage::{S3_SCHEME, Warehouse};
use weir_contract::names::TableName;
use weir_ingest::resume::Start;

use super::aws::{self, Aws};
use super::join;
use super::raw::{Found, Raw, show_path};
use super::rest::{self, Rest};
use super::secret::{HASH_KEY, Property, TokenFrom};
use super::security;
use super::value::{Value, show_size};
use crate::cli::LogFormat;

/// The whole config, checked. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the tables' files are.
    pub warehouse: WarehouseAt,
    /// The catalog.
    pub catalog: Catalog,
    /// AWS, where warehouse or catalog are there.
    pub aws: Aws,
    /// The REST catalog, where that is one.
    pub rest: Rest,
    /// Kafka.
    pub kafka: Kafka,
    /// The micro-batch loop.
    pub ingest: Ingest,
    /// Folder of the SQL models.
    pub models: PathBuf,
    /// Memory of one query, bytes.
    pub query_memory_max: usize,
    /// Maintenance.
    pub maintain: MaintainOptions,
    /// Logging.
    pub log: Log,
    /// Key of the hashes of personal data.
    pub hash_key: Option<Property>,
    /// Streams by name.
    pub streams: BTreeMap<String, Stream>,
    /// Reference tables by name.
    pub references: BTreeMap<String, Reference>,
}

/// Where the tables' files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WarehouseAt {
    /// A folder.
    Folder(PathBuf),
    /// A prefix of a bucket.
    S3(Warehouse),
}

/// The catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// Where it lives.
    pub place: CatalogPlace,
    /// Name inside an SQLite database.
    pub name: String,
    /// Snapshots without a tag that a table keeps.
    pub snapshots_max: usize,
    /// Snapshots that tags keep.
    pub ladder: Ladder,
}

/// Where a catalog lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogPlace {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// AWS Glue, of this account or of that of the credentials.
    Glue(Option<String>),
    /// An Iceberg REST catalog, by its address.
    Rest(String),
}

/// How to reach Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port,…`; not every command needs it.
    pub bootstrap_servers: Option<String>,
    /// Groups are `<prefix>.<stream>`.
    pub group_prefix: String,
    /// Static member id.
    pub instance: Option<String>,
    /// Token for OAUTHBEARER.
    pub token: Option<TokenFrom>,
    /// Properties of librdkafka.
    pub properties: BTreeMap<String, Property>,
}

/// The micro-batch loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingest {
    /// Where a first start begins.
    pub start: Start,
    /// Memory for records on their way, bytes.
    pub memory_max: u64,
    /// When a batch is committed.
    pub flush: Flush,
}

/// When a batch is committed: whichever comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flush {
    /// Age of its first record.
    pub interval: Duration,
    /// Rows.
    pub rows_max: usize,
    /// Decoded bytes.
    pub bytes_max: u64,
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Form of the lines.
    pub format: LogFormat,
    /// `error` to `trace`.
    pub level: String,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Kafka topic.
    pub topic: String,
    /// Contract file.
    pub contract: PathBuf,
}

/// One reference table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// CSV file.
    pub file: PathBuf,
    /// Contract file.
    pub contract: PathBuf,
}

/// Checks across keys and gives the config its shape. `None` and mistakes in `raw` go together.
pub fn resolve(raw: &mut Raw, folder: &Path) -> Option<Config> {
    let (streams, references) = (streams(raw, folder), references(raw, folder));
    let config = (|| {
        Some(Config {
            warehouse: warehouse(text(raw, &["warehouse"])?, folder)?,
            catalog: catalog(raw, folder)?,
            aws: aws::resolve(raw, folder)?,
            rest: rest::resolve(raw, folder)?,
            kafka: kafka(raw, folder)?,
            ingest: ingest(raw)?,
            models: join(folder, text(raw, &["transforms", "folder"])?),
            query_memory_max: count(raw, &["sql", "memory_max"])?,
            maintain: maintain(raw)?,
            log: log(raw)?,
            hash_key: text(raw, &["privacy", "hash_key"])
                .and_then(|text| Property::parse(HASH_KEY, text, folder).ok()),
            streams: streams?,
            references: references?,
        })
    })();
    rules(raw);
    config
}

fn warehouse(text: &str, folder: &Path) -> Option<WarehouseAt> {
    Some(match text.starts_with(S3_SCHEME) {
        true => WarehouseAt::S3(Warehouse::parse_s3(text).ok()?),
        false => WarehouseAt::Folder(join(folder, text)),
    })
}

fn catalog(raw: &Raw, folder: &Path) -> Option<Catalog> {
    let uri = text(raw, &["catalog", "uri"])?;
    Some(Catalog {
        place: match uri.strip_prefix(GLUE) {
            Some(account) => CatalogPlace::Glue((!account.is_empty()).then(|| account.to_string())),
            None if rest::is_address(uri) => CatalogPlace::Rest(uri.into()),
            None => CatalogPlace::Sqlite(join(folder, uri.strip_prefix(SQLITE)?)),
        },
        name: text(raw, &["catalog", "name"])?.into(),
        snapshots_max: count(raw, &["catalog", "snapshots_max"])?,
        ladder: Ladder {
            hours: rung(raw, "hours")?,
            days: rung(raw, "days")?,
            months: rung(raw, "months")?,
        },
    })
}

fn rung(raw: &Raw, name: &str) -> Option<u32> {
    u32::try_from(number(raw, &["catalog", "ladder", name])?).ok()
}

fn kafka(raw: &Raw, folder: &Path) -> Option<Kafka> {
    let properties = raw.under(&["kafka", "properties"]).filter_map(|(name, found)| {
        let Value::Text(text) = &found.value else { return None };
        Some((name.to_string(), Property::parse(name, text, folder).ok()?))
    });
    Some(Kafka {
        bootstrap_servers: text(raw, &["kafka", "bootstrap_servers"]).map(Into::into),
        group_prefix: text(raw, &["kafka", "group_prefix"])?.into(),
        instance: text(raw, &["kafka", "instance"]).map(Into::into),
        token: text(raw, &["kafka", "token"]).and_then(|t| TokenFrom::parse(t, folder).ok()),
        properties: properties.collect(),
    })
}

fn ingest(raw: &Raw) -> Option<Ingest> {
    let flush = |name| ["ingest", "flush", name];
    Some(Ingest {
        start: match text(raw, &["ingest", "start"])? {
            "latest" => Start::Latest,
            _ => Start::Earliest,
        },
        memory_max: number(raw, &["ingest", "memory_max"])?,
        flush: Flush {
            interval: duration(raw, &flush("interval"))?,
            rows_max: count(raw, &flush("rows_max"))?,
            bytes_max: number(raw, &flush("bytes_max"))?,
        },
    })
}

fn maintain(raw: &Raw) -> Option<MaintainOptions> {
    Some(MaintainOptions {
        memory_bytes: count(raw, &["maintain", "memory_max"])?,
        age_min: match raw.get(&["maintain", "age_min"])?.value {
            Value::Duration(age) => age,
            _ => return None,
        },
    })
}

fn log(raw: &Raw) -> Option<Log> {
    Some(Log {
        format: match text(raw, &["log", "format"])? {
            "human" => LogFormat::Human,
            "json" => LogFormat::Json,
            _ => LogFormat::Auto,
        },
        level: text(raw, &["log", "level"])?.into(),
    })
}

fn streams(raw: &Raw, folder: &Path) -> Option<BTreeMap<String, Stream>> {
    raw.streams()
        .map(|(name, _)| {
            let topic = text(raw, &["streams", name, "topic"])?.to_string();
            let contract = join(folder, text(raw, &["streams", name, "contract"])?);
            Some((name.to_string(), Stream { topic, contract }))
        })
        .collect()
}

fn references(raw: &Raw, folder: &Path) -> Option<BTreeMap<String, Reference>> {
    raw.named("references")
        .map(|(name, _)| {
            let file = join(folder, text(raw, &["references", name, "file"])?);
            let contract = join(folder, text(raw, &["references", name, "contract"])?);
            Some((name.to_string(), Reference { file, contract }))
        })
        .collect()
}

/// What the URI of a catalog in SQLite begins with.
pub const SQLITE: &str = "sqlite:///";
/// What the URI of a catalog in Glue begins with.
pub(super) const GLUE: &str = "glue://";

/// The rules that a single key's kind cannot say.
fn rules(raw: &mut Raw) {
    let mut wrong: Vec<(String, String)> = Vec::new();
    let mut check = |raw: &Raw, path: &[&str], rule: &dyn Fn(&str) -> Result<(), String>| {
        if let Some(found) = raw.get(path)
            && let Value::Text(text) = &found.value
            && let Err(message) = rule(text)
        {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            wrong.push((found.place.clone(), format!("`{}`: {message}", show_path(&path))));
        }
    };
    check(raw, &["catalog", "uri"], &catalog_uri);
    check(raw, &["warehouse"], &warehouse_place);
    for (path, rule) in aws::RULES.into_iter().chain(rest::RULES) {
        check(raw, &path, &rule);
    }
    check(raw, &["kafka", "bootstrap_servers"], &servers);
    check(raw, &["kafka", "group_prefix"], &|text| name("a group prefix", text));
    check(raw, &["kafka", "instance"], &|text| name("an instance", text));
    check(raw, &["kafka", "token"], &|text| TokenFrom::parse(text, Path::new("")).map(|_| ()));
    check(raw, &["privacy", "hash_key"], &|text| {
        Property::parse(HASH_KEY, text, Path::new("")).map(|_| ())
    });
    for (stream, _) in raw.streams() {
        check(raw, &["streams", stream, "topic"], &|text| name("a topic", text));
    }
    for (property, _) in raw.under(&["kafka", "properties"]) {
        check(raw, &["kafka", "properties", property], &|text| {
            Property::parse(property, text, Path::new("")).map(|_| ())
        });
    }
    wrong.extend(table_names(raw, "streams", "stream"));
    wrong.extend(table_names(raw, "references", "reference"));
    wrong.extend(batch_fits(raw));
    wrong.extend(security_fits(raw));
    wrong.extend(aws::fits(raw));
    wrong.extend(rest::fits(raw));
    for (place, message) in wrong {
        raw.mistake(place, message);
    }
}

fn catalog_uri(text: &str) -> Result<(), String> {
    let account =
        |id: &str| id.is_empty() || id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    match (text.strip_prefix(SQLITE), text.strip_prefix(GLUE)) {
        (Some(path), _) if !path.is_empty() && !path.ends_with('/') => Ok(()),
        (_, Some(id)) if account(id) => Ok(()),
        _ if rest::is_address(text) => rest::address(text),
        _ => Err(format!(
            "expected \"sqlite:///<file>\", \"glue://\", \"glue://<account of 12 digits>\" or the \
             address of an Iceberg REST catalog, \"https://<host>/<path>\", found {text:?}"
        )),
    }
}

fn warehouse_place(text: &str) -> Result<(), String> {
    match (text.starts_with(S3_SCHEME), text.contains("://")) {
        (true, _) => Warehouse::parse_s3(text).map(|_| ()),
        (_, true) => Err(format!(
            "expected a folder of this machine or \"s3://<bucket>/<prefix>\", found {text:?}"
        )),
        _ => Ok(()),
    }
}

fn servers(text: &str) -> Result<(), String> {
    let valid = |server: &str| {
        server.rsplit_once(':').is_some_and(|(host, port)| {
            !host.trim().is_empty() && port.trim().parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    match text.split(',').find(|server| !valid(server)) {
        Some(server) => Err(format!("expected host:port with commas between, found {server:?}")),
        None => Ok(()),
    }
}

/// Kafka's own rule for names.
fn name(what: &str, text: &str) -> Result<(), String> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    match text.len() <= 249 && text.bytes().all(valid) {
        true => Ok(()),
        false => Err(format!(
            "{what} has at most 249 letters, digits, dots, underscores and hyphens, found {text:?}"
        )),
    }
}

/// A name becomes a table's name, which must be valid and nobody else's.
fn table_names(raw: &Raw, front: &str, what: &str) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let mut tables: BTreeMap<String, &str> = BTreeMap::new();
    for (name, place) in raw.named(front) {
        let table = match front {
            "references" if !name.starts_with("ref.") => {
                let message =
                    format!("the {what} {name:?} is no table of `ref`; write \"ref.{name}\"");
                wrong.push((place.to_string(), message));
                continue;
            }
            "references" => TableName::reference(name).to_string(),
            _ => TableName::raw(name).to_string(),
        };
        if let Err(error) = table.parse::<TableName>() {
            let message = format!("the {what} {name:?} cannot name a table: {error}");
            wrong.push((place.to_string(), message));
        } else if let Some(other) = tables.get(&table) {
            let message =
                format!("the {what}s {other:?} and {name:?} would share the table {table}");
            wrong.push((place.to_string(), message));
        }
        tables.insert(table, name);
    }
    wrong
}

fn security_fits(raw: &Raw) -> Vec<(String, String)> {
    let given = |(name, found): (&'_ str, &'_ Found)| match &found.value {
        Value::Text(text) => Some((name.to_string(), (text.clone(), found.place.clone()))),
        _ => None,
    };
    let given: BTreeMap<String, (String, String)> =
        raw.under(&["kafka", "properties"]).filter_map(given).collect();
    let texts = given.iter().map(|(name, (text, _))| (name.as_str(), text.as_str())).collect();
    let told = |(name, what): (String, String)| {
        let place = given.get(&name).map_or_else(String::new, |(_, place)| place.clone());
        (place, format!("`kafka.properties.{name:?}`: {what}"))
    };
    let token = text(raw, &["kafka", "token"]).is_some();
    security::mistakes(&texts, token).into_iter().map(told).collect()
}

fn batch_fits(raw: &Raw) -> Option<(String, String)> {
    let memory = number(raw, &["ingest", "memory_max"])?;
    let path = ["ingest", "flush", "bytes_max"];
    let Found { value: Value::Number(batch), place } = raw.get(&path)? else { return None };
    // Whoever lowers the memory gets to hear of it there, not at a default.
    let place = match place.as_str() {
        "default" => &raw.get(&["ingest", "memory_max"])?.place,
        _ => place,
    };
    (*batch > memory / 2).then(|| {
        let message = format!(
            "`ingest.flush.bytes_max` ({}) must be at most half of `ingest.memory_max` ({}): the \
             next batch fills while the last one is committed",
            show_size(*batch),
            show_size(memory)
        );
        (place.clone(), message)
    })
}

pub(super) fn text<'a>(raw: &'a Raw, path: &[&str]) -> Option<&'a str> {
    match &raw.get(path)?.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn number(raw: &Raw, path: &[&str]) -> Option<u64> {
    match raw.get(path)?.value {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

pub(super) fn duration(raw: &Raw, path: &[&str]) -> Option<Duration> {
    match raw.get(path)?.value {
        Value::Duration(duration) => Some(duration),
        _ => None,
    }
}

pub(super) fn count(raw: &Raw, path: &[&str]) -> Option<usize> {
    usize::try_from(number(raw, path)?).ok()
}
