//! How to reach an Iceberg REST catalog: the section `[rest]`.

use std::path::Path;
use std::time::Duration;

use super::raw::Raw;
use super::resolve::{count, duration, text};
use super::secret::Property;

/// How to reach a REST catalog; its address is `catalog.uri`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Which of its warehouses.
    pub warehouse: Option<String>,
    /// A token that somebody else renews.
    pub token: Option<Property>,
    /// A client's id and its secret.
    pub client: Option<(Property, Property)>,
    /// What that client's tokens shall be good for.
    pub scope: String,
    /// Who gives them.
    pub token_uri: Option<String>,
    /// Bound of one request.
    pub timeout: Duration,
    /// Bound of its repetitions.
    pub retries_max: usize,
}

type Rule = fn(&str) -> Result<(), String>;

/// The rules of single keys.
pub(super) const RULES: [([&str; 2], Rule); 4] = [
    (["rest", "token"], |text| property("rest.token", text)),
    (["rest", "client_id"], |text| property("rest.client_id", text)),
    (["rest", "client_secret"], |text| property("rest.client_secret", text)),
    (["rest", "token_uri"], address),
];

fn property(name: &str, text: &str) -> Result<(), String> {
    Property::parse(name, text, Path::new("")).map(|_| ())
}

/// Whether the text is the address of a REST catalog, or would be one.
pub(super) fn is_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// The rule of such an address.
pub(super) fn address(text: &str) -> Result<(), String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let odd = |c: char| c.is_whitespace() || c.is_control() || "?#\"<>".contains(c);
    match host.and_then(|rest| rest.split('/').next()) {
        Some(host) if !host.is_empty() && !host.contains('@') && !text.contains(odd) => Ok(()),
        _ => Err(format!("expected \"https://<host>/<path>\", found {text:?}")),
    }
}

/// The keys in their shape. `None` and mistakes in `raw` go together.
pub(super) fn resolve(raw: &Raw, folder: &Path) -> Option<Rest> {
    let given = |name| text(raw, &["rest", name]).map(Into::into);
    let property = |name: &str| {
        Property::parse(&format!("rest.{name}"), text(raw, &["rest", name])?, folder).ok()
    };
    Some(Rest {
        warehouse: given("warehouse"),
        token: property("token"),
        client: property("client_id").zip(property("client_secret")),
        scope: given("scope")?,
        token_uri: given("token_uri"),
        timeout: duration(raw, &["rest", "timeout"])?,
        retries_max: count(raw, &["rest", "retries_max"])?,
    })
}

/// What must be given together, or not.
pub(super) fn fits(raw: &Raw) -> Vec<(String, String)> {
    let pairs = [
        ("client_id", "client_secret"),
        ("client_secret", "client_id"),
        ("token_uri", "client_id"),
    ];
    let mut wrong: Vec<(String, String)> = pairs
        .into_iter()
        .filter(|(_, needed)| raw.get(&["rest", needed]).is_none())
        .filter_map(|(given, needed)| {
            let place = raw.get(&["rest", given])?.place.clone();
            Some((place, format!("`rest.{given}` means nothing without `rest.{needed}`")))
        })
        .collect();
    if let (Some(token), Some(_)) = (raw.get(&["rest", "token"]), raw.get(&["rest", "client_id"])) {
        let message = "`rest.token` and `rest.client_id` are two ways to be known; give one";
        wrong.push((token.place.clone(), message.to_string()));
    }
    wrong
}
