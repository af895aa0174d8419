//! Profiles of the AWS tools: what `~/.aws/config` and `~/.aws/credentials` say of one, and the credentials
//! that come of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::aws::{AwsCredential, AwsCredentialProvider};

use super::assume_role::AssumeRole;
use super::lent::Lent;
use super::process::Process;
use super::sso::{Session, Sso};
use super::{AwsRole, Identity, variable};
use crate::error::{CatalogError, Result};

/// The profile of whoever names none.
const DEFAULT: &str = "default";
/// Profiles whose credentials are asked of one another.
const CHAIN_MAX: usize = 8;

type Entries = BTreeMap<String, String>;

/// The files, read.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    profiles: BTreeMap<String, Entries>,
    sessions: BTreeMap<String, Entries>,
    folder: PathBuf,
    /// The profile that is meant, and whether the environment names it.
    named: (String, bool),
}

impl Profiles {
    /// The files that the environment names, or those of the home folder; what is not there says nothing.
    ///
    /// Errors: denied (a file cannot be read).
    pub(super) fn of_environment() -> Result<Profiles> {
        use std::io::ErrorKind::{NotFound, PermissionDenied};
        let folder = variable("HOME").map(|home| Path::new(&home).join(".aws")).unwrap_or_default();
        // Of whoever runs as somebody else the home folder may be anything.
        let read = |name: &str, own: &str| {
            let named = variable(name).map(PathBuf::from);
            let path = named.clone().unwrap_or_else(|| folder.join(own));
            match std::fs::read_to_string(&path) {
                Ok(text) => Ok(text),
                Err(e) if e.kind() == NotFound => Ok(String::new()),
                Err(e) if e.kind() == PermissionDenied && named.is_none() => Ok(String::new()),
                Err(e) => {
                    let text =
                        format!("{}, which {name} names, cannot be read: {e}", path.display());
                    Err(CatalogError::denied(text))
                }
            }
        };
        let config = read("AWS_CONFIG_FILE", "config")?;
        let keys = read("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let named = variable("AWS_PROFILE").map_or((DEFAULT.into(), false), |name| (name, true));
        let mut read = Profiles { folder, named, ..Profiles::default() };
        read.add(&config, true);
        read.add(&keys, false);
        Ok(read)
    }

    /// Takes in a file. In `config` the sections of profiles have a word before the name, but the default's.
    fn add(&mut self, text: &str, config: bool) {
        for (section, entries) in sections(text) {
            let (kind, name) = section.split_once(char::is_whitespace).unwrap_or(("", &section));
            let known = match (config, kind) {
                (true, "profile") => self.profiles.entry(name.trim().into()),
                (true, "sso-session") => self.sessions.entry(name.trim().into()),
                (true, "") if section == DEFAULT => self.profiles.entry(section),
                (false, _) => self.profiles.entry(section),
                _ => continue,
            };
            known.or_default().extend(entries);
        }
    }

    /// The region of the profile that is meant.
    pub(super) fn region(&self) -> Option<String> {
        self.profiles.get(&self.named.0)?.get("region").cloned()
    }

    /// The credentials of the profile that is meant, by requests like those of `asking`; none if it has none and
    /// nobody named it.
    ///
    /// Errors: bad config.
    pub(super) fn credentials(&self, asking: &Identity) -> Result<Option<AwsCredentialProvider>> {
        let (name, is_named) = &self.named;
        let found = self.of(name, asking, 0)?;
        match found {
            None if *is_named => Err(wrong(name, "has no credentials, or is not there")),
            found => Ok(found),
        }
    }

    fn of(
        &self,
        name: &str,
        asking: &Identity,
        depth: usize,
    ) -> Result<Option<AwsCredentialProvider>> {
        let Some(entries) = self.profiles.get(name) else { return Ok(None) };
        let get = |key: &str| entries.get(key).map(String::as_str);
        if depth >= CHAIN_MAX {
            return Err(wrong(name, "has a source_profile that leads back to it"));
        }
        if let Some(arn) = get("role_arn") {
            let own = match (get("source_profile"), get("credential_source")) {
                // Its own keys, if it names itself.
                (Some(source), _) if source == name => self.keys(name, entries)?,
                (Some(source), _) => self.of(source, asking, depth + 1)?,
                (None, Some(_)) => Some(asking.credentials.clone()),
                (None, None) => None,
            };
            let own = own.ok_or_else(|| {
                wrong(
                    name,
                    "has a role_arn, and no source_profile or credential_source with credentials",
                )
            })?;
            let external_id = get("external_id").map(str::to_string);
            let role = AwsRole { arn: arn.into(), external_id, sts_endpoint: None };
            let own = Identity { credentials: own, ..asking.clone() };
            return Ok(Some(Arc::new(Lent::by(AssumeRole::new(&role, &own)?))));
        }
        if let Some(keys) = self.keys(name, entries)? {
            return Ok(Some(keys));
        }
        if let (Some(account), Some(role)) = (get("sso_account_id"), get("sso_role_name")) {
            let session = self.session(name, entries)?;
            let sso = Sso::new(asking, session, account, role)?;
            return Ok(Some(Arc::new(Lent::by(sso))));
        }
        Ok(get("credential_process").map(|command| -> AwsCredentialProvider {
            Arc::new(Lent::by(Process::new(name, command, asking.timeout)))
        }))
    }

    fn keys(&self, name: &str, entries: &Entries) -> Result<Option<AwsCredentialProvider>> {
        let get = |key: &str| entries.get(key).cloned();
        match (get("aws_access_key_id"), get("aws_secret_access_key")) {
            (None, None) => Ok(None),
            (Some(key_id), Some(secret_key)) => {
                let token = get("aws_session_token");
                let credential = AwsCredential { key_id, secret_key, token };
                Ok(Some(Arc::new(StaticCredentialProvider::new(credential))))
            }
            _ => {
                Err(wrong(name, "has one of aws_access_key_id and aws_secret_access_key, not both"))
            }
        }
    }

    /// Where the profile's people have logged in.
    fn session(&self, name: &str, entries: &Entries) -> Result<Session> {
        let of = match entries.get("sso_session") {
            Some(session) => self.sessions.get(session).ok_or_else(|| {
                wrong(name, format!("names the sso-session {session:?}, which is not there"))
            })?,
            None => entries,
        };
        match (of.get("sso_start_url"), of.get("sso_region")) {
            (Some(url), Some(region)) => Ok(Session {
                profile: name.into(),
                start_url: url.trim_end_matches(['/', '#']).into(),
                region: region.clone(),
                cache: self.folder.join("sso").join("cache"),
            }),
            _ => Err(wrong(name, "has no sso_start_url, or no sso_region")),
        }
    }
}

fn wrong(name: &str, what: impl std::fmt::Display) -> CatalogError {
    CatalogError::bad_config(format!(
        "the profile {name:?} of the AWS tools {what}; AWS_PROFILE names the profile, ~/.aws/config has them"
    ))
}

/// Sections by name, with their entries. What is indented belongs to the entry above and says nothing to us.
fn sections(text: &str) -> Vec<(String, Entries)> {
    let mut found: Vec<(String, Entries)> = Vec::new();
    for line in text.lines() {
        let is_nested = line.starts_with(char::is_whitespace);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) || is_nested {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            found.push((name.trim().to_string(), Entries::new()));
        } else if let (Some((key, value)), Some((_, entries))) =
            (line.split_once('='), found.last_mut())
        {
            // A comment behind a value begins with a space.
            let value = value.split(" #").next().unwrap_or(value);
            entries.insert(key.trim().to_ascii_lowercase(), value.trim().to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn profiles(config: &str, keys: &str, named: &str) -> Profiles {
        let mut read = Profiles { named: (named.into(), true), ..Profiles::default() };
        read.add(config, true);
        read.add(keys, false);
        read
    }

    fn asking() -> Identity {
        let nobody =
            AwsCredential { key_id: String::new(), secret_key: String::new(), token: None };
        Identity {
            credentials: Arc::new(StaticCredentialProvider::new(nobody)),
            region: "eu-central-1".into(),
            timeout: Duration::from_secs(1),
            retries_max: 0,
        }
    }

    const CONFIG: &str = "\
# a comment
[default]
region = eu-west-1
s3 =
  max_concurrent_requests = 20
[profile keys]
region=eu-central-1 # near
[profile half]
aws_access_key_id = A
[profile loop]
role_arn = arn:aws:iam::1:role/a
source_profile = loop2
[profile loop2]
role_arn = arn:aws:iam::1:role/b
source_profile = loop
[profile lost]
sso_session = nowhere
sso_account_id = 1
sso_role_name = r
[profile sso]
sso_session = people
sso_account_id = 1
sso_role_name = r
[profile orphan]
role_arn = arn:aws:iam::1:role/a
[sso-session people]
sso_start_url = https://x.awsapps.com/start/
sso_region = eu-west-1
";
    const KEYS: &str = "[keys]\naws_access_key_id = AKIA1\naws_secret_access_key = a=b\n";

    #[tokio::test]
    async fn a_profile_is_put_together_of_both_files() {
        let read = profiles(CONFIG, KEYS, "keys");
        assert_eq!(read.region().as_deref(), Some("eu-central-1"));
        let credential = read.credentials(&asking()).unwrap().unwrap().get_credential().await;
        let credential = credential.unwrap();
        assert_eq!((&*credential.key_id, &*credential.secret_key), ("AKIA1", "a=b"));
        let session = profiles(CONFIG, KEYS, "sso");
        let session = session.session("sso", &session.profiles["sso"]).unwrap();
        assert_eq!(session.start_url, "https://x.awsapps.com/start");
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_said() {
        for (name, says) in [
            ("nobody", "has no credentials, or is not there"),
            ("default", "has no credentials"),
            ("half", "not both"),
            ("loop", "leads back to it"),
            ("lost", "names the sso-session \"nowhere\""),
            ("orphan", "no source_profile or credential_source"),
        ] {
            let error = profiles(CONFIG, KEYS, name).credentials(&asking()).err().unwrap();
            assert!(error.message().contains(says), "{name}: {error}");
        }
        let mut read = profiles(CONFIG, KEYS, "default");
        read.named.1 = false;
        assert!(read.credentials(&asking()).unwrap().is_none());
    }
}
