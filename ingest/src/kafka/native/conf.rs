//! A client's configuration, and the check of the brokers' certificates.

use std::ffi::{CString, c_char, c_int, c_void};

use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::{Failure, check};
use crate::kafka::token::Token;

pub(super) fn configure(
    properties: &[(String, String)],
) -> Result<*mut rd::rd_kafka_conf_t, Failure> {
    let events = rd::RD_KAFKA_EVENT_REBALANCE
        | rd::RD_KAFKA_EVENT_ERROR
        | rd::RD_KAFKA_EVENT_OFFSET_COMMIT
        | rd::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH
        | rd::RD_KAFKA_EVENT_LOG;
    let mut error = [0 as c_char; 512];
    // SAFETY: the configuration is ours until it is returned; names and values are copied.
    unsafe {
        let conf = rd::rd_kafka_conf_new();
        for (name, value) in properties {
            let set = match (CString::new(name.as_str()), CString::new(value.as_str())) {
                (Ok(name), Ok(value)) => rd::rd_kafka_conf_set(
                    conf,
                    name.as_ptr(),
                    value.as_ptr(),
                    error.as_mut_ptr(),
                    error.len(),
                ),
                _ => rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID,
            };
            if set != rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                rd::rd_kafka_conf_destroy(conf);
                let why = match set {
                    rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => "there is no such property",
                    // Not librdkafka's text, which repeats the value: it may be a secret.
                    _ => "its value is not allowed",
                };
                let message = format!("the Kafka property {name} cannot be set: {why}");
                return Err(Failure::new(Code::InvalidArgument, message));
            }
        }
        rd::rd_kafka_conf_set_events(conf, events);
        rd::rd_kafka_conf_set_ssl_cert_verify_cb(conf, Some(judge));
        Ok(conf)
    }
}

/// Gives a client a token, or the reason why there is none.
///
/// # Safety
/// `client` must live.
pub(super) unsafe fn give_token(
    client: *mut rd::rd_kafka_t,
    token: Result<&Token, &str>,
) -> Result<(), Failure> {
    let text =
        |text: &str| CString::new(text).map_err(|_| Failure::new(Code::Fail, "a NUL in a token"));
    let mut error = [0 as c_char; 256];
    // SAFETY: the client lives by the caller's promise; the texts are copied.
    unsafe {
        match token {
            Ok(token) => check(rd::rd_kafka_oauthbearer_set_token(
                client,
                text(&token.value)?.as_ptr(),
                token.until_ms,
                text(&token.principal)?.as_ptr(),
                std::ptr::null_mut(),
                0,
                error.as_mut_ptr(),
                error.len(),
            )),
            Err(why) => {
                check(rd::rd_kafka_oauthbearer_set_token_failure(client, text(why)?.as_ptr()))
            }
        }
    }
}

/// Says what OpenSSL has found wrong with a broker's certificate, which librdkafka's own message
/// does not, and leaves it at that. librdkafka logs the words beside the certificate's names.
///
/// # Safety
/// librdkafka's threads call it: `found` points to OpenSSL's finding, `words` to `size` bytes.
unsafe extern "C" fn judge(
    _client: *mut rd::rd_kafka_t,
    _broker: *const c_char,
    _id: i32,
    found: *mut c_int,
    _depth: c_int,
    _certificate: *const c_char,
    _len: usize,
    words: *mut c_char,
    size: usize,
    _opaque: *mut c_void,
) -> c_int {
    // SAFETY: by librdkafka's promise; the text and its NUL are cut to fit.
    unsafe {
        let finding = *found;
        if finding == 0 {
            return 1;
        }
        let text = finding_text(finding);
        let len = text.len().min(size.saturating_sub(1));
        if size > 0 {
            text.as_ptr().cast::<c_char>().copy_to_nonoverlapping(words, len);
            *words.add(len) = 0;
        }
        0
    }
}

/// The finding (`X509_V_ERR_*` of OpenSSL's x509_vfy.h) in OpenSSL's own words.
fn finding_text(finding: c_int) -> String {
    let text = match finding {
        9 => "certificate is not yet valid",
        10 => "certificate has expired",
        18 => "self-signed certificate",
        19 => "self-signed certificate in certificate chain",
        20 => "unable to get local issuer certificate",
        21 => "unable to verify the first certificate",
        23 => "certificate revoked",
        26 => "unsuitable certificate purpose",
        62 => "hostname mismatch",
        64 => "IP address mismatch",
        other => return format!("finding {other} of OpenSSL's x509_vfy.h"),
    };
    text.into()
}
