//! From the config to what Kafka's clients are told: properties, secrets among them, and tokens.

use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::runtime::Builder;
use weir_catalog::aws::Identity;
use weir_contract::class::ErrorClass;
use weir_ingest::kafka::{Properties, Token};
use weir_ingest::source::SourceError;

use crate::config::{Aws, Config, Property, TOKEN, TokenFrom};
use crate::lake;

/// The properties for Kafka's clients, references included: each client reads them anew.
pub fn properties(config: &Config) -> Properties {
    let properties = config.kafka.properties.clone();
    let properties = Properties::read_by(move || {
        let read = |(name, property): (&String, &Property)| match property.read() {
            Ok(value) => Ok((name.clone(), value)),
            Err(why) => Err(SourceError::new(
                ErrorClass::BadConfig,
                format!(
                    "kafka.properties.{name:?} cannot be read: {why}; set the variable or the file \
                     that the config names"
                ),
            )),
        };
        properties.iter().map(read).collect()
    });
    match config.kafka.token.clone() {
        None => properties,
        Some(TokenFrom::MskIam) => {
            let signer = Signer::new(&config.aws);
            properties.with_token(move || signer.token())
        }
        Some(TokenFrom::Property(token)) => properties.with_token(move || {
            let now_ms = chrono::Utc::now().timestamp_millis();
            token.read().and_then(|text| Token::read(&text, now_ms)).map_err(|why| {
                SourceError::new(
                    ErrorClass::BadConfig,
                    format!("{TOKEN} ({token:?}) gives no token: {why}"),
                )
            })
        }),
    }
}

/// Signs tokens for MSK in the name of AWS's credentials.
struct Signer {
    aws: Aws,
    /// Made with the first token; a role's credentials are kept in it.
    identity: Mutex<Option<Identity>>,
}

impl Signer {
    fn new(aws: &Aws) -> Signer {
        Signer { aws: aws.clone(), identity: Mutex::default() }
    }

    /// A thread of its own: librdkafka asks from threads that have no runtime, commands from some that
    /// must not wait in theirs.
    fn token(&self) -> Result<Token, SourceError> {
        thread::scope(|scope| scope.spawn(|| self.sign()).join()).unwrap_or_else(|_| {
            Err(SourceError::new(ErrorClass::Bug, "the thread that signs tokens for MSK ended"))
        })
    }

    fn sign(&self) -> Result<Token, SourceError> {
        let failed = |class, why: String| SourceError::new(class, format!("{TOKEN}: {why}"));
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| failed(ErrorClass::Denied, e.to_string()))?;
        let mut known = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = match &mut *known {
            Some(identity) => identity,
            none => {
                let options = lake::identity(&self.aws).map_err(|f| failed(f.class, f.what))?;
                let identity = runtime.block_on(Identity::new(&options));
                none.insert(identity.map_err(|e| failed(e.class(), e.message().into()))?)
            }
        };
        let token = runtime.block_on(identity.msk_token());
        let token = token.map_err(|e| failed(e.class(), e.message().into()))?;
        Ok(Token { value: token.value, principal: "weir".into(), until_ms: token.until_ms })
    }
}
