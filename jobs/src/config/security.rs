//! The rules between the properties of librdkafka that say how a cluster lets us in. A setting without
//! effect is a mistake here: whoever writes `ssl.ca.pem` believes that the connection is encrypted.

use std::collections::BTreeMap;

const PROTOCOL: &str = "security.protocol";
const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
/// librdkafka has two names for it.
const MECHANISM: [&str; 2] = ["sasl.mechanism", "sasl.mechanisms"];
const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", BEARER];
/// It needs a token and no user.
const BEARER: &str = "OAUTHBEARER";
const USER: [&str; 2] = ["sasl.username", "sasl.password"];
/// A client certificate and its key, each in two forms.
const CERTIFICATE: [&str; 2] = ["ssl.certificate.pem", "ssl.certificate.location"];
const KEY: [&str; 2] = ["ssl.key.pem", "ssl.key.location"];

/// TLS, and most of SASL, are OpenSSL's.
const WITHOUT: &str = "this binary has neither TLS nor SASL, which `jobs/quickstart` leaves out to be built \
                       sooner; build one that has them: cargo build --release";

/// What is wrong, by the property that it is to be told at; `token` says whether there is `kafka.token`.
pub fn mistakes(given: &BTreeMap<&str, &str>, token: bool) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let protocol = given.get(PROTOCOL).copied().unwrap_or("PLAINTEXT").to_ascii_uppercase();
    if !PROTOCOLS.contains(&&*protocol) {
        return vec![(PROTOCOL.into(), format!("expected one of {}", PROTOCOLS.join(", ")))];
    }
    if protocol != PROTOCOLS[0] && !cfg!(feature = "tls") {
        return vec![(PROTOCOL.into(), WITHOUT.into())];
    }
    let (sasl, tls) = (protocol.starts_with("SASL"), protocol.ends_with("SSL"));
    for (front, wanted, on) in [("sasl.", "SASL_SSL", sasl), ("ssl.", "SSL or SASL_SSL", tls)] {
        if let Some(name) = given.keys().find(|name| !on && name.starts_with(front)) {
            let what = format!("it has no effect while {PROTOCOL:?} is {protocol}; set {wanted}");
            wrong.push((name.to_string(), what));
        }
    }
    let first = |names: &'static [&'static str]| {
        names.iter().find(|name| given.contains_key(**name)).copied()
    };
    if let (Some(one), None) | (None, Some(one)) = (first(&CERTIFICATE), first(&KEY)) {
        let other = if one.starts_with("ssl.key") { CERTIFICATE[0] } else { KEY[0] };
        wrong.push((one.into(), format!("it needs {other:?} beside it")));
    }
    if sasl {
        wrong.extend(sasl_mistake(given, first(&MECHANISM), token));
    }
    wrong
}

fn sasl_mistake(
    given: &BTreeMap<&str, &str>,
    name: Option<&str>,
    token: bool,
) -> Option<(String, String)> {
    let all = MECHANISMS.join(", ");
    let Some(name) = name else {
        let what = format!("SASL needs {:?} beside it, one of {all}", MECHANISM[0]);
        return Some((PROTOCOL.into(), what));
    };
    if !MECHANISMS.contains(&given[name]) {
        return Some((name.into(), format!("expected one of {all}")));
    }
    if given[name] == BEARER {
        let missing = (!token).then(|| format!("{BEARER} needs `kafka.token` beside it"));
        return missing.map(|what| (name.into(), what));
    }
    let missing = USER.iter().find(|user| !given.contains_key(**user))?;
    Some((name.into(), format!("{} needs {missing:?} beside it", given[name])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn wrong(given: &[(&str, &str)], expect: &[(&str, &str)]) {
        let found = mistakes(&given.iter().copied().collect(), false);
        let expect = expect.iter().map(|(name, what)| (name.to_string(), what.to_string()));
        assert_eq!(found, expect.collect::<Vec<_>>());
    }

    #[test]
    fn what_works_is_no_mistake() {
        wrong(&[("session.timeout.ms", "6000")], &[]);
        wrong(&[(PROTOCOL, "SSL")], &[]);
        wrong(&[(PROTOCOL, "ssl"), ("ssl.key.pem", "k"), ("ssl.certificate.location", "c")], &[]);
        let user = [("sasl.username", "u"), ("sasl.password", "env:P")];
        for mechanism in &MECHANISMS[..3] {
            let mut given = vec![(PROTOCOL, "SASL_SSL"), ("sasl.mechanism", mechanism)];
            given.extend(user);
            wrong(&given, &[]);
        }
    }

    #[test]
    fn what_has_no_effect_is_a_mistake() {
        wrong(
            &[("ssl.ca.pem", "file:ca.pem"), ("sasl.username", "u")],
            &[
                (
                    "sasl.username",
                    "it has no effect while \"security.protocol\" is PLAINTEXT; set SASL_SSL",
                ),
                (
                    "ssl.ca.pem",
                    "it has no effect while \"security.protocol\" is PLAINTEXT; set SSL or SASL_SSL",
                ),
            ],
        );
    }

    #[test]
    fn what_belongs_together_is_asked_for() {
        wrong(
            &[(PROTOCOL, "TLS")],
            &[(PROTOCOL, "expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL")],
        );
        wrong(
            &[(PROTOCOL, "SSL"), ("ssl.key.pem", "file:k")],
            &[("ssl.key.pem", "it needs \"ssl.certificate.pem\" beside it")],
        );
        wrong(
            &[(PROTOCOL, "SASL_SSL")],
            &[(
                PROTOCOL,
                "SASL needs \"sasl.mechanism\" beside it, one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, \
                 OAUTHBEARER",
            )],
        );
        wrong(
            &[(PROTOCOL, "SASL_SSL"), ("sasl.mechanisms", "GSSAPI")],
            &[(
                "sasl.mechanisms",
                "expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER",
            )],
        );
        let bearer = [(PROTOCOL, "SASL_SSL"), ("sasl.mechanism", BEARER)];
        wrong(&bearer, &[("sasl.mechanism", "OAUTHBEARER needs `kafka.token` beside it")]);
        assert_eq!(mistakes(&bearer.into(), true), []);
        wrong(
            &[(PROTOCOL, "SASL_SSL"), ("sasl.mechanism", "PLAIN"), ("sasl.username", "u")],
            &[("sasl.mechanism", "PLAIN needs \"sasl.password\" beside it")],
        );
    }
}
