//! A broker that lets nobody in without ado: TLS, client certificates, SASL with PLAIN and SCRAM, and
//! access lists. Its plaintext listener belongs to the tests, which may do everything there.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use super::authority::{Authority, Certificate};
use super::kafka::{Kafka, KafkaOptions};

/// Users of PLAIN and SCRAM with their passwords: the first may do everything, the second
/// nothing.
pub const USERS: [(&str, &str); 2] = [("weir", "weir-Pa55word"), ("guest", "guest-Pa55word")];

/// TLS; TLS that wants a client certificate; TLS with a certificate that has expired; SASL over TLS;
/// SASL alone; tokens over TLS; tokens as MSK takes them.
const LISTENERS: [(&str, &str); 7] = [
    ("TLS", "SSL"),
    ("MTLS", "SSL"),
    ("EXPIRED", "SSL"),
    ("SASL", "SASL_SSL"),
    ("SASL_PLAIN", "SASL_PLAINTEXT"),
    ("BEARER", "SASL_SSL"),
    ("MSK", "SASL_SSL"),
];

/// The key that signs tokens for the listener `MSK`, and its secret (`tests/stack/kafka/MskIam.java`).
pub const MSK_KEY: (&str, &str) = ("AKIAWEIRTESTS", "hush/hush+hush");

/// The broker and the authority that signed its certificates and its clients'.
pub struct SecureKafka {
    /// The broker.
    pub kafka: Kafka,
    /// Whom the broker trusts.
    pub authority: Authority,
    /// A certificate of the user `CN=weir`.
    pub client: Certificate,
    /// Another authority, which the broker does not know.
    pub stranger: Authority,
    folder: tempfile::TempDir,
}

impl SecureKafka {
    /// The one that the tests of this process share; it ends with the process.
    pub fn shared() -> &'static SecureKafka {
        static SHARED: OnceLock<SecureKafka> = OnceLock::new();
        SHARED.get_or_init(|| match SecureKafka::start() {
            Ok(kafka) => kafka,
            Err(error) => panic!("the tests need a broker with TLS: {error:#}"),
        })
    }

    /// A new one.
    pub fn start() -> Result<SecureKafka> {
        let folder = tempfile::Builder::new().prefix("weir-certificates-").tempdir()?;
        let authority = Authority::new("authority", folder.path())?;
        let stranger = Authority::new("stranger", folder.path())?;
        // Another folder, or the second would replace the first.
        let old = folder.path().join("old");
        std::fs::create_dir(&old)?;
        let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
        let good = authority.sign("localhost")?;
        let expired = authority.in_folder(&old).sign_until("localhost", yesterday)?;
        let client = authority.sign("weir")?;
        let kafka = Kafka::start_own(&KafkaOptions {
            light: true,
            listeners: LISTENERS.to_vec(),
            users: USERS.to_vec(),
            properties: properties(&authority, &good, &expired),
            classes: Some("MskIam.java"),
            ..KafkaOptions::default()
        })?;
        Ok(SecureKafka { kafka, authority, client, stranger, folder })
    }

    /// A file of this name for the tests' own, gone with the broker.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn properties(
    authority: &Authority,
    good: &Certificate,
    expired: &Certificate,
) -> Vec<(String, String)> {
    let plain: String = USERS.iter().map(|(n, p)| format!(" user_{n}=\"{p}\"")).collect();
    let plain = format!("org.apache.kafka.common.security.plain.PlainLoginModule required{plain};");
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let mut all = vec![
        ("ssl.keystore.type".into(), "PEM".into()),
        ("ssl.keystore.location".into(), good.both.display().to_string()),
        ("ssl.truststore.type".into(), "PEM".into()),
        ("ssl.truststore.location".into(), authority.certificate().display().to_string()),
        ("listener.name.mtls.ssl.client.auth".into(), "required".into()),
        ("listener.name.expired.ssl.keystore.location".into(), expired.both.display().to_string()),
        ("listener.name.expired.ssl.keystore.type".into(), "PEM".into()),
        (
            "authorizer.class.name".into(),
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer".into(),
        ),
        (
            "super.users".into(),
            format!("User:ANONYMOUS;User:weir;User:CN=weir;User:machine;User:{}", MSK_KEY.0),
        ),
    ];
    for (listener, mechanisms) in
        [("sasl", "PLAIN,SCRAM-SHA-512"), ("sasl_plain", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512")]
    {
        let name = |key: &str| format!("listener.name.{listener}.{key}");
        all.push((name("sasl.enabled.mechanisms"), mechanisms.into()));
        all.push((name("plain.sasl.jaas.config"), plain.clone()));
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            all.push((name(&format!("{mechanism}.sasl.jaas.config")), scram.into()));
        }
    }
    // The first takes tokens that nobody has signed; both want a new one before the old one expires.
    let internals = "org.apache.kafka.common.security.oauthbearer";
    let unsecured = "internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler";
    for (listener, handler) in
        [("bearer", format!("{internals}.{unsecured}")), ("msk", "MskIam".to_string())]
    {
        let name = |key: &str| format!("listener.name.{listener}.{key}");
        all.push((name("sasl.enabled.mechanisms"), "OAUTHBEARER".into()));
        all.push((name("oauthbearer.connections.max.reauth.ms"), "3600000".into()));
        all.push((
            name("oauthbearer.sasl.jaas.config"),
            format!(
                "{internals}.OAuthBearerLoginModule required \
                 unsecuredLoginStringClaim_sub=\"broker\";"
            ),
        ));
        all.push((name("oauthbearer.sasl.server.callback.handler.class"), handler));
    }
    all
}
