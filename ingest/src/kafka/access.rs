//! Whether a cluster lets us in, and if not, why: which setting is wrong, and what to do.
//!
//! librdkafka goes on trying whatever a broker says, so the causes are read from its errors and log
//! lines ([`Heard`]). Where a listener says nothing at all it is asked itself ([`listener`]).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode as Code;
use tracing::{debug, warn};
use weir_contract::class::ErrorClass;

use super::ANSWER;
use super::listener::{self, Speaks};
use super::native::{Consumer, Control, Failure};
use super::settings::{self, Properties};
use crate::source::SourceError;

/// How often an answer is looked for that nobody announces.
const LOOK: Duration = Duration::from_millis(10);
/// After so long without an answer the listener is asked itself what it speaks.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a listener may take to show what it speaks.
const SHOW: Duration = Duration::from_secs(2);

/// Why a cluster does not let us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It does not know the user or the password.
    Credentials,
    /// It does not take the token.
    Token,
    /// It has another SASL mechanism.
    Mechanism,
    /// Its listener asks for no SASL; or, of a client that was let in, for no new token so early.
    NoSasl,
    /// Its listener asks for SASL, and we offer none.
    OnlySasl,
    /// Its listener speaks TLS, and we do not.
    OnlyTls,
    /// Its listener speaks no TLS, and we do.
    NoTls,
    /// Its certificate is signed by nobody whom we trust.
    Authority,
    /// Its certificate names other hosts.
    Host,
    /// Its certificate is not valid now.
    Time,
    /// It does not take our certificate, or wants one.
    OurCertificate,
    /// TLS does not come about for another reason.
    Tls,
}

impl Cause {
    /// What an error says, if it says for certain that trying again is in vain. `finding` is what was
    /// last found wrong with a certificate.
    fn of(code: Code, text: &str, finding: Option<&str>) -> Option<Cause> {
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["alert bad certificate", "alert certificate", "alert unknown ca"]) {
            return Some(Cause::OurCertificate);
        }
        // What RFC 7628 has a server say of a token.
        if says(&["\"invalid_token\""]) {
            return Some(Cause::Token);
        }
        match code {
            Code::UnsupportedSASLMechanism => Some(Cause::Mechanism),
            Code::SaslAuthenticationFailed => Some(Cause::Credentials),
            Code::Authentication if says(&["Unsupported SASL mechanism"]) => Some(Cause::Mechanism),
            Code::Authentication if says(&["not valid in current SASL state"]) => {
                Some(Cause::NoSasl)
            }
            // The connection was lost meanwhile: librdkafka calls that an authentication that failed.
            Code::Authentication if says(&["handshake failed: Local:"]) => None,
            // There is none now; the client asks again.
            Code::Authentication if says(&["Failed to acquire SASL OAUTHBEARER token"]) => None,
            Code::Authentication if says(&["OAUTHBEARER"]) => Some(Cause::Token),
            Code::Authentication => Some(Cause::Credentials),
            // So is a handshake that was cut off.
            Code::SSL if says(&["unexpected eof", "Connection reset", "Broken pipe"]) => None,
            Code::SSL if says(&["wrong version number"]) => Some(Cause::NoTls),
            Code::SSL if says(&["certificate verify failed"]) => Some(match finding {
                Some(finding) if finding.contains("mismatch") => Cause::Host,
                Some(finding) if finding.contains("expired") => Cause::Time,
                Some(finding) if finding.contains("not yet valid") => Cause::Time,
                _ => Cause::Authority,
            }),
            Code::SSL => Some(Cause::Tls),
            _ => None,
        }
    }

    fn class(self) -> ErrorClass {
        match self {
            Cause::Credentials | Cause::Token | Cause::Time | Cause::OurCertificate => {
                ErrorClass::Denied
            }
            _ => ErrorClass::BadConfig,
        }
    }

    /// What to do; the names are properties under `kafka.properties`.
    fn advice(self) -> &'static str {
        match self {
            Cause::Credentials => {
                "correct \"sasl.username\" and \"sasl.password\" under kafka.properties, or have the \
                 user made in the cluster for this \"sasl.mechanism\""
            }
            Cause::Token => {
                "kafka.token must name a token that the brokers take: see who has made it, for whom, and \
                 until when it is valid"
            }
            Cause::Mechanism => {
                "set \"sasl.mechanism\" under kafka.properties to one that the brokers have"
            }
            Cause::NoSasl => {
                "this listener asks for no SASL: set \"security.protocol\" under kafka.properties to \
                 SSL or PLAINTEXT, or name the port that does in kafka.bootstrap_servers"
            }
            Cause::OnlySasl => {
                "this listener asks for SASL: set \"security.protocol\" under kafka.properties to \
                 SASL_SSL or SASL_PLAINTEXT, with \"sasl.mechanism\", \"sasl.username\" and \
                 \"sasl.password\""
            }
            Cause::OnlyTls => {
                "this listener speaks TLS: set \"security.protocol\" under kafka.properties to SSL or \
                 SASL_SSL, or name the port that speaks plaintext in kafka.bootstrap_servers"
            }
            Cause::NoTls => {
                "this listener speaks no TLS: set \"security.protocol\" under kafka.properties to \
                 PLAINTEXT or SASL_PLAINTEXT, or name the port that speaks TLS in \
                 kafka.bootstrap_servers"
            }
            Cause::Authority => {
                "\"ssl.ca.pem\" under kafka.properties must hold the certificate of the authority that \
                 signed the broker's (\"file:/path/to/ca.pem\"); without it the system's are trusted"
            }
            Cause::Host => {
                "the broker's certificate names other hosts: reach it by a name that stands there \
                 (kafka.bootstrap_servers, and advertised.listeners of the broker), or have the \
                 certificate made for this name"
            }
            Cause::Time => {
                "have the broker's certificate renewed; if it was, correct this machine's clock"
            }
            Cause::OurCertificate => {
                "\"ssl.certificate.pem\" and \"ssl.key.pem\" under kafka.properties must hold a \
                 certificate that is valid now and that the broker trusts"
            }
            Cause::Tls => {
                "see what the broker logs about it, and correct ssl.* under kafka.properties"
            }
        }
    }
}

/// What a client has heard of its connections.
#[derive(Default)]
pub(super) struct Heard {
    /// What was last found wrong with a broker's certificate, with the certificate's names.
    finding: Option<String>,
    /// The last failure.
    last: Option<String>,
    /// It was that a broker which had answered closed the connection, as one does that wants SASL.
    hung_up: bool,
}

impl Heard {
    /// Takes a line of librdkafka's log.
    pub(super) fn line(&mut self, line: &str) {
        if let Some((_, found)) = line.split_once("Certificate (") {
            let found = found.replacen(") verification callback failed", "", 1);
            self.finding = Some(format!("certificate {}", found.trim()));
        } else if let Some((_, failure)) = line.split_once("FAIL: ") {
            let failure = failure.split_once("]: ").map_or(failure, |(_, failure)| failure);
            self.last = Some(short(failure));
            self.hung_up = failure.contains("Disconnected") && failure.contains("in state UP");
        }
    }

    /// Takes an error that came by itself; the cause, if it is certain.
    pub(super) fn error(&mut self, failure: &Failure) -> Option<Cause> {
        // That all are down says nothing that was not said of each.
        if failure.code != Code::AllBrokersDown {
            self.last = Some(short(&failure.message));
        }
        Cause::of(failure.code, &failure.message, self.finding.as_deref())
    }

    /// The error that a cause is.
    pub(super) fn refusal(&self, bootstrap: &str, cause: Cause) -> SourceError {
        let last = match cause {
            Cause::OnlyTls | Cause::NoTls | Cause::OnlySasl => "it closes the connection",
            _ => self.last.as_deref().unwrap_or_default(),
        };
        let finding = match (cause, &self.finding) {
            (Cause::Authority | Cause::Host | Cause::Time, Some(finding)) => {
                format!(" ({finding})")
            }
            _ => String::new(),
        };
        let message = format!(
            "Kafka at {bootstrap} does not let weir in: {last}{finding}; {}",
            cause.advice()
        );
        SourceError::new(cause.class(), message)
    }
}

/// A failure without what librdkafka appends: how long the connection was in which state.
fn short(text: &str) -> String {
    let cut = |text: &str, at: &str| text.split_once(at).map_or(text, |(text, _)| text).to_string();
    // Its advice names a setting that is not ours.
    let text = cut(&cut(text, ": broker certificate could not be verified"), " (after ");
    text.trim_end_matches(['.', ' ']).to_string()
}

/// Waits until a broker answers a client; the cluster's id.
///
/// Errors: denied or bad config (the cluster does not let us in), retry (nobody answers).
pub(super) fn cluster_id(
    consumer: &Consumer,
    bootstrap: &str,
    given: &Properties,
) -> Result<String, SourceError> {
    // Without a token nobody answers: that there is none is told at once.
    given.token()?;
    let (began, mut asked) = (Instant::now(), false);
    let mut heard = Heard::default();
    loop {
        if let Some(id) = consumer.cluster_id() {
            return Ok(id);
        }
        // Nobody has joined a group yet: there is nothing but logs and errors.
        while let Some(control) = consumer.control(Duration::ZERO) {
            match control {
                Control::Log { level, message } => {
                    heard.line(&message);
                    log(level, &message);
                }
                Control::Error { failure, .. } => {
                    if let Some(cause) = heard.error(&failure) {
                        return Err(heard.refusal(bootstrap, cause));
                    }
                }
                Control::TokenWanted => give(consumer, given),
                _ => {}
            }
        }
        if began.elapsed() >= SILENCE && !asked {
            asked = true;
            if let Some(cause) = misunderstanding(&heard, bootstrap, &given.read()?) {
                return Err(heard.refusal(bootstrap, cause));
            }
        }
        if began.elapsed() >= ANSWER {
            return Err(silence(&heard, bootstrap, &given.read()?));
        }
        consumer.wake();
        std::thread::sleep(LOOK);
    }
}

/// What a client asks for while nobody waits for what else it says.
pub(super) fn serve(consumer: &Consumer, given: &Properties) {
    while let Some(control) = consumer.control(Duration::ZERO) {
        if matches!(control, Control::TokenWanted) {
            give(consumer, given);
        }
    }
}

/// Gives a client the token that it asks for; without one it asks again in a while.
pub(super) fn give(consumer: &Consumer, given: &Properties) {
    let given = match given.token() {
        Ok(Some(token)) => consumer.give(Ok(&token)),
        Ok(None) => Ok(()),
        Err(error) => {
            warn!("{error}");
            consumer.give(Err(&error.message))
        }
    };
    if let Err(failure) = given {
        warn!("librdkafka does not take the token: {}", failure.message);
    }
}

/// The other language that a listener speaks, if it does.
fn misunderstanding(
    heard: &Heard,
    bootstrap: &str,
    given: &BTreeMap<String, String>,
) -> Option<Cause> {
    let protocol = given.get("security.protocol").map_or("PLAINTEXT", String::as_str);
    let protocol = protocol.to_ascii_uppercase();
    let (sasl, tls) = (protocol.starts_with("SASL"), protocol.ends_with("SSL"));
    match bootstrap.split(',').find_map(|server| listener::speaks(server, SHOW)) {
        Some(Speaks::Tls) if !tls => Some(Cause::OnlyTls),
        Some(Speaks::Plaintext) if tls => Some(Cause::NoTls),
        // Whoever is there and speaks our language, and hangs up on us all the same.
        Some(_) if heard.hung_up && !sasl => Some(Cause::OnlySasl),
        _ => None,
    }
}

/// Nobody answers: because nobody is there, or because they speak another language.
fn silence(heard: &Heard, bootstrap: &str, given: &BTreeMap<String, String>) -> SourceError {
    if let Some(cause) = misunderstanding(heard, bootstrap, given) {
        return heard.refusal(bootstrap, cause);
    }
    let last = heard.last.as_ref().map_or_else(String::new, |last| format!(" ({last})"));
    let message = format!(
        "no Kafka broker answers at {bootstrap} within {} s{last}; is it running, and is the \
         address, kafka.bootstrap_servers, right?",
        ANSWER.as_secs()
    );
    SourceError::new(ErrorClass::Retry, message)
}

/// A line of librdkafka's log into ours.
pub(super) fn log(level: i32, message: &str) {
    match level {
        ..3 => warn!(target: "librdkafka", "{message}"),
        _ => debug!(target: "librdkafka", "{message}"),
    }
}

/// Makes sure that the cluster answers and lets us in.
///
/// Errors: denied or bad config, with the setting to correct; retry where nobody answers.
pub fn reach(bootstrap: &str, given: &Properties) -> Result<(), SourceError> {
    let mut properties = settings::client_properties(bootstrap, given)?;
    // It joins no group, but a consumer without one has no queue.
    properties.push(("group.id".into(), "weir".into()));
    properties.push(("log.queue".into(), "true".into()));
    let consumer = Consumer::new(&properties, "").map_err(unusable)?;
    cluster_id(&consumer, bootstrap, given).map(drop)
}

/// A client that cannot be made: nothing was asked of the cluster yet, so the settings are at fault.
pub(super) fn unusable(failure: Failure) -> SourceError {
    let message = format!(
        "a Kafka client cannot be made: {}; correct kafka.properties",
        failure.message.trim_end_matches([':', ' ', '.'])
    );
    SourceError::new(ErrorClass::BadConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: Code, text: &str) -> Failure {
        Failure {
            code,
            message: format!("ssl://b:9093/bootstrap: {text} (after 3ms in state CONNECT)"),
        }
    }

    #[test]
    fn a_connection_that_broke_is_no_refusal() {
        let lost = [
            (
                Code::BrokerTransportFailure,
                "Connect to ipv4#127.0.0.1:1 failed: Connection refused",
            ),
            (Code::SSL, "SSL handshake failed: error:0A000126:SSL routines::unexpected eof"),
            (
                Code::Authentication,
                "SASL PLAIN mechanism handshake failed: Local: Broker transport failure: broker's \
                 supported mechanisms: ",
            ),
        ];
        for (code, text) in lost {
            assert_eq!(Heard::default().error(&failure(code, text)), None, "{text}");
        }
    }

    #[test]
    fn a_certificates_finding_says_which_setting_is_wrong() {
        let text = "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: \
                    broker certificate could not be verified, verify that ssl.ca.location is \
                    correctly configured";
        let cause = |finding: &str| {
            let mut heard = Heard::default();
            heard.line(&format!(
                "SSLCERTVRFY: [thrd:b]: ssl://b:9093/bootstrap: Certificate (subject=/CN=b, \
                 issuer=/CN=a) verification callback failed: {finding}"
            ));
            let cause = heard.error(&failure(Code::SSL, text)).unwrap();
            (cause, heard.refusal("b:9093", cause))
        };
        assert_eq!(cause("hostname mismatch").0, Cause::Host);
        assert_eq!(cause("unable to get local issuer certificate").0, Cause::Authority);
        let (time, error) = cause("certificate has expired");
        assert_eq!((time, error.class), (Cause::Time, ErrorClass::Denied));
        assert_eq!(
            error.message,
            "Kafka at b:9093 does not let weir in: ssl://b:9093/bootstrap: SSL handshake failed: \
             error:0A000086:SSL routines::certificate verify failed (certificate subject=/CN=b, \
             issuer=/CN=a: certificate has expired); have the broker's certificate renewed; if it \
             was, correct this machine's clock"
        );
    }

    #[test]
    fn what_the_broker_refuses_is_a_refusal() {
        let refused = [
            (Code::Authentication, "SASL authentication error: invalid", Cause::Credentials),
            (
                Code::Authentication,
                "SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Unsupported SASL mechanism",
                Cause::Mechanism,
            ),
            (
                Code::BrokerTransportFailure,
                "Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate",
                Cause::OurCertificate,
            ),
        ];
        for (code, text, cause) in refused {
            assert_eq!(Heard::default().error(&failure(code, text)), Some(cause), "{text}");
        }
    }
}
