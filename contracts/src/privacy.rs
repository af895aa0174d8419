//! Keyed hashes: what stands in the lake in place of a person's data.
//!
//! A hash is deterministic, so that hashed columns join, and cannot be undone or tried out without
//! the key. A value that is such a hash already stays as it is: what was rejected can be read again.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::names::HASH_PREFIX;

/// The least size of a key, bytes.
pub const KEY_BYTES_MIN: usize = 16;

/// Length of a hash as text.
const LENGTH: usize = HASH_PREFIX.len() + 64;

/// A key for HMAC-SHA-256 (RFC 2104), ready to be used; it is never printed.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// A key of these bytes.
    ///
    /// # Errors
    /// If they are too few; for the end of a sentence.
    pub fn new(bytes: &[u8]) -> Result<HashKey, String> {
        if bytes.len() < KEY_BYTES_MIN {
            return Err(format!(
                "the key has {} bytes, at least {KEY_BYTES_MIN} are needed; make one with \
                 `openssl rand -hex 32`",
                bytes.len()
            ));
        }
        Hmac::new_from_slice(bytes).map(HashKey).map_err(|error| error.to_string())
    }

    /// Writes the hash of a value to `out`: `hmac-sha256:` and 64 hex digits; a hash stays itself.
    pub fn hash(&self, value: &[u8], out: &mut Vec<u8>) {
        out.clear();
        if is_hash(value) {
            out.extend_from_slice(value);
            return;
        }
        let digest = self.0.clone().chain_update(value).finalize().into_bytes();
        out.extend_from_slice(HASH_PREFIX.as_bytes());
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        out.extend(digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    }
}

/// Has the value the form of a hash?
fn is_hash(value: &[u8]) -> bool {
    value.len() == LENGTH
        && value
            .strip_prefix(HASH_PREFIX.as_bytes())
            .is_some_and(|hex| hex.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// Two keys are the same if they hash alike.
impl PartialEq for HashKey {
    fn eq(&self, other: &HashKey) -> bool {
        let of = |key: &HashKey| key.0.clone().finalize().into_bytes();
        of(self) == of(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &[u8], value: &[u8]) -> String {
        let mut out = Vec::new();
        HashKey::new(key).unwrap().hash(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// RFC 4231, test cases 1 and 6.
    #[test]
    fn hashes_are_hmac_sha_256() {
        assert_eq!(
            hash(&[0x0b; 20], b"Hi There"),
            "hmac-sha256:b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hash(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "hmac-sha256:60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_hash_is_not_hashed_again() {
        let once = hash(&[1; 16], b"somebody");
        assert_eq!(hash(&[1; 16], once.as_bytes()), once);
        assert_eq!(hash(&[2; 16], once.as_bytes()), once);
        let upper = once.replace("hmac-sha256:", "hmac-sha256:A");
        assert_ne!(hash(&[1; 16], upper.as_bytes()), upper);
    }

    #[test]
    fn keys_are_long_enough_compared_and_hidden() {
        assert!(HashKey::new(&[1; 15]).unwrap_err().contains("15 bytes"));
        let key = |byte| HashKey::new(&[byte; 16]).unwrap();
        assert_eq!(key(7), key(7));
        assert_ne!(key(7), key(8));
        assert_eq!(format!("{:?}", key(7)), "HashKey(…)");
    }
}
