//! The token with which OAUTHBEARER logs in: a JSON Web Token (RFC 7519) that somebody else renews.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// How long a token counts that does not say it, ms: short enough for one that is renewed.
const UNSAID: i64 = 300_000;

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What is sent.
    pub value: String,
    /// Whom it is for, as it says itself.
    pub principal: String,
    /// Until when it is valid, ms since 1970.
    pub until_ms: i64,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
}

impl Token {
    /// A token with what it says of itself. One that is no JSON Web Token says nothing.
    ///
    /// Errors: it is empty, or no longer valid at `now_ms`.
    pub fn read(text: &str, now_ms: i64) -> Result<Token, String> {
        let value = text.trim().to_string();
        if value.is_empty() {
            return Err("it is empty".into());
        }
        let claims = claims(&value).unwrap_or(Claims { sub: None, exp: None });
        let until_ms = claims.exp.map_or(now_ms + UNSAID, |seconds| (seconds * 1000.0) as i64);
        if until_ms <= now_ms {
            return Err(format!("it has expired {} s ago; renew it", (now_ms - until_ms) / 1000));
        }
        Ok(Token { value, principal: claims.sub.unwrap_or_else(|| "weir".into()), until_ms })
    }
}

/// The claims of a JSON Web Token: its second part.
fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, until {} ms)", self.principal, self.until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7519, section 3.1: `exp` is 1300819380.
    const EXAMPLE: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn a_token_says_how_long_it_is_valid() {
        let token = Token::read(&format!("{EXAMPLE}\n"), 1_300_819_379_000).unwrap();
        assert_eq!((token.until_ms, &*token.principal), (1_300_819_380_000, "weir"));
        assert!(!format!("{token:?}").contains(EXAMPLE));
        let late = Token::read(EXAMPLE, 1_300_819_390_000).unwrap_err();
        assert_eq!(late, "it has expired 10 s ago; renew it");
    }

    #[test]
    fn a_token_that_says_nothing_is_read_again_soon() {
        assert_eq!(Token::read("opaque", 5).unwrap().until_ms, 5 + UNSAID);
        assert_eq!(Token::read(" \n", 5).unwrap_err(), "it is empty");
    }
}
