//! The one list of everything that can be configured. Parsing, the refusal of unknown keys, the
//! names of environment variables and `docs/reference.md` all come from it.

use std::time::Duration;

use super::value::{GIB, Kind, MIB};

/// One key of `weir.toml`.
#[derive(Debug)]
pub struct Key {
    /// Its path, dots between the levels; `*` stands for any one name.
    pub path: &'static str,
    /// What a value must look like.
    pub kind: Kind,
    /// The value where nothing is given, as text.
    pub default: Default,
    /// May it be set by an environment variable? Not where the path holds a free name.
    pub env: bool,
    /// One or two sentences for the reference.
    pub doc: &'static str,
}

/// What holds where nothing is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// This value.
    Text(&'static str),
    /// Nothing: the key must be given.
    Required,
    /// Nothing: the key may stay unset.
    Unset,
}

/// The prefix of every environment variable that sets a key.
pub const ENV_PREFIX: &str = "WEIR__";

impl Key {
    /// The environment variable that sets this key: `WEIR__INGEST__FLUSH__ROWS_MAX`.
    pub fn env_name(&self) -> Option<String> {
        self.env.then(|| format!("{ENV_PREFIX}{}", self.path.replace('.', "__").to_uppercase()))
    }

    /// Is this the key of `path`?
    pub fn matches(&self, path: &[String]) -> bool {
        self.path.split('.').count() == path.len() && self.leads(path)
    }

    /// Does `path` lead to this key, or is it the key itself?
    pub fn leads(&self, path: &[String]) -> bool {
        let mut pattern = self.path.split('.');
        path.iter().all(|name| pattern.next().is_some_and(|p| p == "*" || p == name))
    }
}

/// The key of `path`, if there is one.
pub fn find(path: &[String]) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.matches(path))
}

/// Every key, in the order of the reference.
pub const KEYS: &[Key] = &[
    Key {
        path: "warehouse",
        kind: Kind::Path,
        default: Default::Required,
        env: true,
        doc: "Folder of the tables' files, or `s3://<bucket>/<prefix>`. A relative path starts at \
              the folder of weir.toml; tables store it absolute, so it cannot be moved afterwards.",
    },
    Key {
        path: "catalog.uri",
        kind: Kind::Text,
        default: Default::Required,
        env: true,
        doc: "Where the catalog lives: `sqlite:///catalog.db` (relative to weir.toml) or \
              `sqlite:////var/lib/weir/catalog.db` (absolute), as PyIceberg writes it; `glue://` \
              for AWS Glue in the account of the credentials, `glue://<account>` for another's; \
              `https://<host>/<path>` for an Iceberg REST catalog, up to where `/v1` begins.",
    },
    Key {
        path: "catalog.name",
        kind: Kind::Text,
        default: Default::Text("weir"),
        env: true,
        doc: "Name of the catalog inside its SQLite database; other engines must use the same one.",
    },
    Key {
        path: "catalog.snapshots_max",
        kind: Kind::Count { min: 2, max: 100_000 },
        default: Default::Text("500"),
        env: true,
        doc: "Snapshots without a tag that a table keeps; older ones are expired by the commits \
              themselves. The cost of a commit grows with it.",
    },
    Key {
        path: "catalog.ladder.hours",
        kind: Kind::Count { min: 0, max: 10_000 },
        default: Default::Text("48"),
        env: true,
        doc: "The last snapshot of each of so many past hours is kept by a tag, `weir-hour-<hour>`, \
              which the commits set and take away; 0: none.",
    },
    Key {
        path: "catalog.ladder.days",
        kind: Kind::Count { min: 0, max: 10_000 },
        default: Default::Text("90"),
        env: true,
        doc: "The same of days, `weir-day-<day>`, all in UTC.",
    },
    Key {
        path: "catalog.ladder.months",
        kind: Kind::Count { min: 0, max: 10_000 },
        default: Default::Text("84"),
        env: true,
        doc: "The same of months, `weir-month-<month>`: seven years by default.",
    },
    Key {
        path: "aws.region",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Region of the bucket and of Glue; else `AWS_REGION` or `AWS_DEFAULT_REGION`.",
    },
    Key {
        path: "aws.access_key_id",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Access key, with `aws.secret_access_key`. Without: the environment variables of an AWS \
              session, web identity, the container's or the machine's role.",
    },
    Key {
        path: "aws.secret_access_key",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Secret of `aws.access_key_id`, by reference only: `\"env:NAME\"` or `\"file:/path\"`.",
    },
    Key {
        path: "aws.session_token",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Session token of a temporary `aws.access_key_id`, by reference only.",
    },
    Key {
        path: "aws.role_arn",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Role to assume with those credentials, for S3 and Glue.",
    },
    Key {
        path: "aws.external_id",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "External id that the trust policy of `aws.role_arn` asks for.",
    },
    Key {
        path: "aws.sts_endpoint",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Another STS than Amazon's, which gives the role's credentials; else \
              `AWS_ENDPOINT_URL_STS` or `AWS_ENDPOINT_URL`.",
    },
    Key {
        path: "aws.timeout",
        kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(60 * 60) },
        default: Default::Text("60s"),
        env: true,
        doc: "How long one request to S3 or Glue may take, a file's upload included.",
    },
    Key {
        path: "aws.retries_max",
        kind: Kind::Count { min: 0, max: 100 },
        default: Default::Text("5"),
        env: true,
        doc: "How often a request that failed is repeated, with growing pauses and for at most three \
              times `aws.timeout`. What moves a table's pointer is never repeated.",
    },
    Key {
        path: "s3.endpoint",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Another S3 than Amazon's: `http://host:port` or `https://host`; else \
              `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.",
    },
    Key {
        path: "s3.addressing",
        kind: Kind::Choice(&["virtual", "path"]),
        default: Default::Text("virtual"),
        env: true,
        doc: "Whether the bucket stands in the host's name or in the path, as most servers other \
              than Amazon's want it.",
    },
    Key {
        path: "s3.kms_key",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "KMS key (id, ARN or alias) with which objects are encrypted; unset: as the bucket says.",
    },
    Key {
        path: "glue.endpoint",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Another Glue than Amazon's; else `AWS_ENDPOINT_URL_GLUE` or `AWS_ENDPOINT_URL`.",
    },
    Key {
        path: "glue.database_prefix",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "What the names of Glue's databases begin with: with `prod_` the table \
              `raw.vending_health` stands in the database `prod_raw`. Lakes that share an account \
              need it.",
    },
    Key {
        path: "rest.warehouse",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Which of the REST catalog's warehouses, by the name that the catalog gives it.",
    },
    Key {
        path: "rest.token",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "The bearer token of every request to the REST catalog, by reference only: \
              `\"file:path\"` or `\"env:NAME\"`. It is read anew for each: somebody else renews the file.",
    },
    Key {
        path: "rest.client_id",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "The client for which tokens are asked (OAuth2 client credentials), instead of \
              `rest.token`.",
    },
    Key {
        path: "rest.client_secret",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Secret of `rest.client_id`, by reference only.",
    },
    Key {
        path: "rest.scope",
        kind: Kind::Text,
        default: Default::Text("catalog"),
        env: true,
        doc: "What the tokens of `rest.client_id` shall be good for, in the catalog's words.",
    },
    Key {
        path: "rest.token_uri",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Who gives the tokens of `rest.client_id`; else the catalog itself, at \
              `/v1/oauth/tokens`.",
    },
    Key {
        path: "rest.timeout",
        kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(60 * 60) },
        default: Default::Text("60s"),
        env: true,
        doc: "How long one request to the REST catalog may take.",
    },
    Key {
        path: "rest.retries_max",
        kind: Kind::Count { min: 0, max: 100 },
        default: Default::Text("5"),
        env: true,
        doc: "How often a request to the REST catalog that failed is repeated, with growing pauses or \
              as the catalog asks. What commits is never repeated.",
    },
    Key {
        path: "kafka.bootstrap_servers",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Brokers to start from, `host:port` with commas between. Needed by `ingest`, \
              `lag` and `topics`.",
    },
    Key {
        path: "kafka.group_prefix",
        kind: Kind::Text,
        default: Default::Text("weir"),
        env: true,
        doc: "The consumer group of a stream is `<group_prefix>.<stream>`.",
    },
    Key {
        path: "kafka.instance",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Static member id of this process, different in every process of a group: a restart \
              within the session timeout then moves no partitions.",
    },
    Key {
        path: "kafka.token",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "The token with which `\"sasl.mechanism\" = \"OAUTHBEARER\"` logs in, by reference only: \
              `\"file:path\"` or `\"env:NAME\"`. It is read anew before it expires: somebody else renews \
              the file. Or `\"aws:msk-iam\"`: signed by the credentials of `[aws]`, for Amazon MSK.",
    },
    Key {
        path: "kafka.properties.*",
        kind: Kind::Text,
        default: Default::Unset,
        env: false,
        doc: "A property of librdkafka, as a string: `\"security.protocol\" = \"SASL_SSL\"`; docs/kafka.md \
              has those that a cluster with TLS and SASL needs. Any value may be a reference, \
              `\"env:NAME\"` or `\"file:path\"` (relative to weir.toml), which is read anew for every \
              client; a secret must be one. What Weir itself must decide (group, offsets, isolation) \
              is refused.",
    },
    Key {
        path: "ingest.start",
        kind: Kind::Choice(&["earliest", "latest"]),
        default: Default::Text("earliest"),
        env: true,
        doc: "Where the first start of a stream begins; afterwards the table knows. A partition \
              that appears later starts at its beginning.",
    },
    Key {
        path: "ingest.memory_max",
        kind: Kind::Size { min: 16 * MIB, max: 64 * GIB },
        default: Default::Text("160MiB"),
        env: true,
        doc: "Memory for records on their way, over all streams, the queues of the Kafka client \
              included.",
    },
    Key {
        path: "ingest.flush.interval",
        kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(60 * 60) },
        default: Default::Text("5s"),
        env: true,
        doc: "A batch is committed at the latest so long after its first record.",
    },
    Key {
        path: "ingest.flush.rows_max",
        kind: Kind::Count { min: 1, max: 10_000_000 },
        default: Default::Text("250000"),
        env: true,
        doc: "A batch is committed at so many rows.",
    },
    Key {
        path: "ingest.flush.bytes_max",
        kind: Kind::Size { min: MIB, max: 16 * GIB },
        default: Default::Text("64MiB"),
        env: true,
        doc: "A batch is committed at so many decoded bytes. At most half of `ingest.memory_max`: \
              the next batch fills while the last one is committed.",
    },
    Key {
        path: "transforms.folder",
        kind: Kind::Path,
        default: Default::Text("transforms/sql"),
        env: true,
        doc: "Folder of the SQL models. A relative path starts at the folder of weir.toml.",
    },
    Key {
        path: "sql.memory_max",
        kind: Kind::Size { min: 64 * MIB, max: 64 * GIB },
        default: Default::Text("512MiB"),
        env: true,
        doc: "What the sorts, joins and aggregations of one query may hold, of a model or of `weir \
              query`. Sorts and aggregations spill the rest to the folder for temporary files \
              (`TMPDIR`); a join of two large sides fails and says so.",
    },
    Key {
        path: "maintain.memory_max",
        kind: Kind::Size { min: 128 * MIB, max: 64 * GIB },
        default: Default::Text("512MiB"),
        env: true,
        doc: "Memory for the rows that `weir maintain` sorts and encodes, about; what does not fit is \
              spilled to the folder for temporary files (`TMPDIR`).",
    },
    Key {
        path: "maintain.age_min",
        kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(30 * 24 * 60 * 60) },
        default: Default::Text("1h"),
        env: true,
        doc: "`weir maintain` does not compact rows that were committed within so long: who reads \
              what is new still wants them by themselves.",
    },
    Key {
        path: "privacy.hash_key",
        kind: Kind::Text,
        default: Default::Unset,
        env: true,
        doc: "Key of the hashes that stand in place of personal data where a contract says \
              `weir.policy: hash`, by reference only: `\"env:NAME\"` or `\"file:path\"`; at least 16 \
              bytes. With another key the same value has another hash.",
    },
    Key {
        path: "log.format",
        kind: Kind::Choice(&["auto", "human", "json"]),
        default: Default::Text("auto"),
        env: true,
        doc: "Form of the log on stderr; `auto` is human on a terminal and json elsewhere.",
    },
    Key {
        path: "log.level",
        kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: Default::Text("info"),
        env: true,
        doc: "Least level of Weir's own log lines; libraries log from `warn`.",
    },
    Key {
        path: "streams.*.topic",
        kind: Kind::Text,
        default: Default::Required,
        env: false,
        doc: "Kafka topic of the stream. A stream's name with dots is quoted: \
              `[streams.\"vending.health\"]`; its table is `raw.vending_health`.",
    },
    Key {
        path: "streams.*.contract",
        kind: Kind::Path,
        default: Default::Required,
        env: false,
        doc: "The stream's data contract, a YAML file. A relative path starts at the folder of \
              weir.toml.",
    },
    Key {
        path: "references.*.file",
        kind: Kind::Path,
        default: Default::Required,
        env: false,
        doc: "CSV file of the reference table that `weir seed` loads. The name is the table's and \
              the contract's: `[references.\"ref.machines\"]`. A relative path starts at the folder \
              of weir.toml.",
    },
    Key {
        path: "references.*.contract",
        kind: Kind::Path,
        default: Default::Required,
        env: false,
        doc: "The reference table's data contract, a YAML file. A relative path starts at the folder \
              of weir.toml.",
    },
];
