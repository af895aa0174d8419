//! Secrets, and the properties of librdkafka, some of which are: they are given by reference only, and
//! never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use super::join;

/// A property's value as the config gives it.
#[derive(Clone, PartialEq, Eq)]
pub enum Property {
    /// Plain text.
    Plain(String),
    /// The value of an environment variable.
    Env(String),
    /// The content of a file, without the line break at its end.
    File(PathBuf),
}

/// The key of the config that names the key of hashes; no property of librdkafka.
pub const HASH_KEY: &str = "privacy.hash_key";

/// The key of the config that names the token for OAUTHBEARER.
pub const TOKEN: &str = "kafka.token";

/// Its value for a token that Weir signs itself.
const MSK_IAM: &str = "aws:msk-iam";

/// Where the token for OAUTHBEARER comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFrom {
    /// Somebody else, who renews it.
    Property(Property),
    /// AWS's credentials, for MSK.
    MskIam,
}

impl TokenFrom {
    /// Reads the config; the error is for the end of a sentence.
    pub fn parse(text: &str, folder: &Path) -> Result<TokenFrom, String> {
        if text == MSK_IAM {
            return Ok(TokenFrom::MskIam);
        }
        let property = Property::parse(TOKEN, text, folder);
        property.map(TokenFrom::Property).map_err(|why| format!("{why}, or {MSK_IAM:?}"))
    }
}

/// Is its value a secret? Decided by words, so that a name with a mistake in it is one too.
fn is_secret(name: &str) -> bool {
    let holds = |word| name.contains(word);
    name == HASH_KEY
        || name.ends_with("token")
        || holds("pass")
        || holds("secret")
        || holds(".key.pem")
        || holds("oauthbearer.config")
}

/// What Weir decides itself; `group.instance.id` and the brokers have keys of their own.
const RESERVED: [(&str, &str); 12] = [
    ("bootstrap.servers", "use `kafka.bootstrap_servers`"),
    ("metadata.broker.list", "use `kafka.bootstrap_servers`"),
    ("group.id", "use `kafka.group_prefix`"),
    ("group.instance.id", "use `kafka.instance`"),
    ("auto.offset.reset", "use `ingest.start`; the table knows the position"),
    ("enable.auto.commit", "the table is the truth about progress"),
    ("auto.commit.interval.ms", "the table is the truth about progress"),
    ("enable.auto.offset.store", "the table is the truth about progress"),
    ("isolation.level", "Weir reads committed records only"),
    ("enable.partition.eof", "Weir needs it to know the end"),
    ("partition.assignment.strategy", "Weir needs cooperative assignment"),
    ("queued.max.messages.kbytes", "use `ingest.memory_max`"),
];

impl Property {
    /// Checks a property of the config; the error is for the end of a sentence. A relative file starts
    /// at `folder`.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Property, String> {
        if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
            return Err(format!("Weir sets {name:?} itself: {why}"));
        }
        if let Some(variable) = text.strip_prefix("env:") {
            Ok(Property::Env(variable.into()))
        } else if let Some(path) = text.strip_prefix("file:") {
            Ok(Property::File(join(folder, path)))
        } else if is_secret(name) {
            Err("a secret is given by reference only: \"env:NAME\" or \"file:/path\"".into())
        } else {
            Ok(Property::Plain(text.into()))
        }
    }

    /// The value itself, read now.
    pub fn read(&self) -> Result<String, String> {
        match self {
            Property::Plain(text) => Ok(text.clone()),
            Property::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set or not text")),
            Property::File(path) => std::fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_string())
                .map_err(|error| format!("the file {} cannot be read: {error}", path.display())),
        }
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Property::Plain(text) => write!(f, "{text:?}"),
            Property::Env(name) => write!(f, "env:{name}"),
            Property::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}
