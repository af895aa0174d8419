//! Topics as the cluster has them, and new ones.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use weir_contract::class::ErrorClass;
use weir_contract::contract::{Cleanup, Retention, Topic};

use super::{ANSWER, Properties, access, errors, native, settings};
use crate::source::SourceError;
use crate::topics::Found;

/// The broker decides.
const BROKERS_DEFAULT: i32 = -1;
/// How long before brokers are asked again whether they show a new topic.
const AGAIN: Duration = Duration::from_millis(100);

/// An administrator of one cluster.
pub struct KafkaAdmin {
    client: AdminClient<DefaultClientContext>,
    bootstrap: String,
}

impl KafkaAdmin {
    /// A client of a cluster that answers and lets us in.
    ///
    /// Errors: those of [`access::reach`].
    pub fn open(bootstrap: &str, properties: &Properties) -> Result<KafkaAdmin, SourceError> {
        access::reach(bootstrap, properties)?;
        let mut config = ClientConfig::new();
        for (name, value) in settings::client_properties(bootstrap, properties)? {
            config.set(name, value);
        }
        // Without its text, which repeats values: they may be secrets.
        let client = config.create().map_err(|_| {
            SourceError::new(
                ErrorClass::BadConfig,
                "a Kafka client cannot be made; correct kafka.properties",
            )
        })?;
        if let Some(token) = properties.token()? {
            // Its life is shorter than the token's: none is asked for a second time.
            native::give_token_to(&client, &token).map_err(access::unusable)?;
        }
        Ok(KafkaAdmin { client, bootstrap: bootstrap.into() })
    }

    /// The topics of these names that exist.
    ///
    /// Errors: retry (no broker answers), denied.
    pub async fn find(&self, names: &[&str]) -> Result<BTreeMap<String, Found>, SourceError> {
        // Of all topics: asking for one by its name may create it.
        let metadata = self
            .client
            .inner()
            .fetch_metadata(None, ANSWER)
            .map_err(|e| self.failed("ask for the topics", &e))?;
        let mut found = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|topic| names.contains(&topic.name())) {
            let (configs, partitions) = (self.configs(topic.name()).await?, topic.partitions());
            let replicas = partitions.iter().map(|p| p.replicas().len()).min().unwrap_or(0);
            let setting = |name: &str| configs.get(name).and_then(|entry| entry.value.as_deref());
            let one = Found {
                partitions: u32::try_from(partitions.len()).unwrap_or(u32::MAX),
                replication: u16::try_from(replicas).unwrap_or(u16::MAX),
                retention: self.read(
                    topic.name(),
                    "retention.ms",
                    setting,
                    Retention::of_config,
                )?,
                cleanup: self.read(topic.name(), "cleanup.policy", setting, Cleanup::of_config)?,
            };
            found.insert(topic.name().to_string(), one);
        }
        Ok(found)
    }

    async fn configs(&self, topic: &str) -> Result<ConfigResource, SourceError> {
        let what = format!("ask for the settings of topic {topic}");
        let options = AdminOptions::new().request_timeout(Some(ANSWER));
        let asked = [ResourceSpecifier::Topic(topic)];
        let mut answers = self
            .client
            .describe_configs(&asked, &options)
            .await
            .map_err(|e| self.failed(&what, &e))?;
        match answers.pop() {
            Some(Ok(configs)) => Ok(configs),
            Some(Err(code)) => Err(self.refused(&what, code)),
            None => Err(self.refused(&what, Code::Fail)),
        }
    }

    fn read<'a, T>(
        &self,
        topic: &str,
        name: &str,
        setting: impl Fn(&str) -> Option<&'a str>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, SourceError> {
        setting(name).and_then(parse).ok_or_else(|| {
            let bootstrap = &self.bootstrap;
            let value = setting(name).unwrap_or("nothing");
            let message = format!("Kafka at {bootstrap} says {name} = {value} of topic {topic}");
            SourceError::new(ErrorClass::BadData, message)
        })
    }

    /// Creates a topic; true if it did, false if somebody else was first.
    ///
    /// Errors: bad config (more replicas than brokers, a name that Kafka refuses), denied, retry.
    pub async fn create(&self, name: &str, wanted: &Topic) -> Result<bool, SourceError> {
        let number = |n: Option<u32>| n.and_then(|n| i32::try_from(n).ok());
        let replication = number(wanted.replication.map(u32::from)).unwrap_or(BROKERS_DEFAULT);
        let partitions = number(wanted.partitions).unwrap_or(BROKERS_DEFAULT);
        let retention = wanted.retention.map(|retention| retention.ms().to_string());
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
        if let Some(retention) = &retention {
            topic = topic.set("retention.ms", retention);
        }
        if let Some(cleanup) = wanted.cleanup {
            topic = topic.set("cleanup.policy", cleanup.policy());
        }
        let what = format!("create topic {name}");
        let options =
            AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
        let answers = self.client.create_topics([&topic], &options).await;
        match answers.map_err(|e| self.failed(&what, &e))?.pop() {
            Some(Ok(_)) => {
                self.until_shown(name).await?;
                Ok(true)
            }
            Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(self.refused(&what, code)),
            None => Err(self.refused(&what, Code::Fail)),
        }
    }

    /// Waits until brokers show a topic that their controller has made: whoever asks for it next finds it.
    async fn until_shown(&self, name: &str) -> Result<(), SourceError> {
        let began = Instant::now();
        loop {
            let metadata = self.client.inner().fetch_metadata(None, ANSWER);
            let metadata = metadata.map_err(|e| self.failed("ask for the topics", &e))?;
            let shown = metadata.topics().iter().any(|topic| topic.name() == name);
            if shown || began.elapsed() >= ANSWER {
                return Ok(());
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn failed(&self, what: &str, error: &KafkaError) -> SourceError {
        match error.rdkafka_error_code() {
            Some(code) => self.refused(what, code),
            None => SourceError::new(ErrorClass::Retry, format!("cannot {what}: {error}")),
        }
    }

    fn refused(&self, what: &str, code: Code) -> SourceError {
        let (class, advice) = match code {
            Code::InvalidReplicationFactor => (
                ErrorClass::BadConfig,
                "; the cluster has fewer brokers: lower weir.topicReplication in the contract, or \
                 leave it out, which takes the brokers' default",
            ),
            Code::PolicyViolation => {
                (ErrorClass::BadConfig, "; the cluster's own policy for topics forbids it")
            }
            Code::InvalidPartitions => {
                (ErrorClass::BadConfig, "; correct weir.topicPartitions in the contract")
            }
            Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => (
                ErrorClass::Denied,
                "; allow DESCRIBE_CONFIGS on the topic, and CREATE on it or on the cluster",
            ),
            Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut => {
                let advice = "; no Kafka broker answers: is it running, and is the address, \
                              kafka.bootstrap_servers, right?";
                (ErrorClass::Retry, advice)
            }
            other => (errors::class(other), errors::advice(other)),
        };
        let bootstrap = &self.bootstrap;
        SourceError::new(class, format!("cannot {what} (Kafka at {bootstrap}): {code}{advice}"))
    }
}
