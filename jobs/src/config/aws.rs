//! How to reach AWS: the sections `[aws]`, `[s3]` and `[glue]`.

use std::path::Path;
use std::time::Duration;

use weir_catalog::storage::S3_SCHEME;

use super::raw::Raw;
use super::resolve::{GLUE, count, duration, text};
use super::secret::Property;
use super::value::Value;

/// How to reach AWS. Unset values come from the environment of the AWS tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aws {
    /// Region of bucket and catalog.
    pub region: Option<String>,
    /// Access key id and its secret.
    pub keys: Option<(Property, Property)>,
    /// Session token of temporary keys.
    pub session_token: Option<Property>,
    /// Role to assume.
    pub role_arn: Option<String>,
    /// External id of that role.
    pub external_id: Option<String>,
    /// Another STS.
    pub sts_endpoint: Option<String>,
    /// Bound of one request.
    pub timeout: Duration,
    /// Bound of its repetitions.
    pub retries_max: usize,
    /// Another S3.
    pub s3_endpoint: Option<String>,
    /// The bucket in the path.
    pub path_style: bool,
    /// KMS key of new objects.
    pub kms_key: Option<String>,
    /// Another Glue.
    pub glue_endpoint: Option<String>,
    /// What Glue's databases begin with.
    pub database_prefix: Option<String>,
}

type Rule = fn(&str) -> Result<(), String>;

/// The rules of single keys.
pub(super) const RULES: [([&str; 2], Rule); 7] = [
    (["aws", "access_key_id"], |text| property("aws.access_key_id", text)),
    (["aws", "secret_access_key"], |text| property("aws.secret_access_key", text)),
    (["aws", "session_token"], |text| property("aws.session_token", text)),
    (["aws", "sts_endpoint"], endpoint),
    (["s3", "endpoint"], endpoint),
    (["glue", "endpoint"], endpoint),
    (["glue", "database_prefix"], database_prefix),
];

fn property(name: &str, text: &str) -> Result<(), String> {
    Property::parse(name, text, Path::new("")).map(|_| ())
}

/// The keys of AWS in their shape. `None` and mistakes in `raw` go together.
pub(super) fn resolve(raw: &Raw, folder: &Path) -> Option<Aws> {
    let given = |section, name| text(raw, &[section, name]).map(Into::into);
    let property = |name: &str| {
        Property::parse(&format!("aws.{name}"), text(raw, &["aws", name])?, folder).ok()
    };
    Some(Aws {
        region: given("aws", "region"),
        keys: property("access_key_id").zip(property("secret_access_key")),
        session_token: property("session_token"),
        role_arn: given("aws", "role_arn"),
        external_id: given("aws", "external_id"),
        sts_endpoint: given("aws", "sts_endpoint"),
        timeout: duration(raw, &["aws", "timeout"])?,
        retries_max: count(raw, &["aws", "retries_max"])?,
        s3_endpoint: given("s3", "endpoint"),
        path_style: text(raw, &["s3", "addressing"])? == "path",
        kms_key: given("s3", "kms_key"),
        glue_endpoint: given("glue", "endpoint"),
        database_prefix: given("glue", "database_prefix"),
    })
}

fn endpoint(text: &str) -> Result<(), String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host.map(|host| host.trim_end_matches('/')) {
        Some(host) if !host.is_empty() && !host.contains('/') => Ok(()),
        _ => {
            Err(format!("expected \"https://<host>\" or \"http://<host>:<port>\", found {text:?}"))
        }
    }
}

/// Glue's own rule for names.
fn database_prefix(text: &str) -> Result<(), String> {
    let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    match text.len() <= 200 && text.bytes().all(valid) {
        true => Ok(()),
        false => Err(format!(
            "a database has lower case letters, digits and underscores, found {text:?}"
        )),
    }
}

/// What must be given together, or not.
pub(super) fn fits(raw: &Raw) -> Vec<(String, String)> {
    let pairs = [
        (["aws", "access_key_id"], ["aws", "secret_access_key"]),
        (["aws", "secret_access_key"], ["aws", "access_key_id"]),
        (["aws", "session_token"], ["aws", "access_key_id"]),
        (["aws", "external_id"], ["aws", "role_arn"]),
    ];
    let mut wrong: Vec<(String, String)> = pairs
        .iter()
        .filter_map(|(given, needed)| {
            let place = &raw.get(given)?.place;
            let (given, needed) = match raw.get(needed) {
                Some(_) => return None,
                None => (given.join("."), needed.join(".")),
            };
            Some((place.clone(), format!("`{given}` means nothing without `{needed}`")))
        })
        .collect();
    if let Some(uri) = raw.get(&["catalog", "uri"])
        && matches!(&uri.value, Value::Text(text) if text.starts_with(GLUE))
        && text(raw, &["warehouse"]).is_some_and(|at| !at.starts_with(S3_SCHEME))
    {
        let message = "`catalog.uri`: tables in Glue have their files in S3, where its readers find \
                       them; set `warehouse` to \"s3://<bucket>/<prefix>\"";
        wrong.push((uri.place.clone(), message.to_string()));
    }
    wrong
}
