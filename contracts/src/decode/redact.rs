//! The text of a rejected record without what must not be stored.
//!
//! Everything else stays byte for byte, and the record stays what it was for the decoder, so that
//! it can be read again under a better contract: a hashed string is replaced by its hash, which is
//! not hashed twice; a dropped value by null; a value of the wrong type by the emptiest of its type.

use super::general::outside;
use super::plan::{Member, Plan, TOP, scope_of};
use super::scan::{self, Depth, Quoted, Stop, not_json};
use super::sink;
use crate::privacy::HashKey;

struct Redactor<'a> {
    plan: &'a Plan,
    key: Option<&'a HashKey>,
    text: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Until where the text was copied.
    copied: usize,
    depth_max: usize,
    /// Scratch: open containers, and a string without its escapes.
    open: Vec<u8>,
    plain: Vec<u8>,
}

/// Writes the redacted text to `out`; false if the text is not JSON.
pub(super) fn write(
    plan: &Plan,
    key: Option<&HashKey>,
    depth_max: usize,
    text: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    let (open, plain) = (Vec::new(), Vec::new());
    let mut redactor = Redactor { plan, key, text, out, copied: 0, depth_max, open, plain };
    let at = scan::space(text, 0);
    if text.get(at) != Some(&b'{') || redactor.members(TOP, at + 1).is_err() {
        return false;
    }
    let copied = redactor.copied;
    out.extend_from_slice(&text[copied..]);
    true
}

impl Redactor<'_> {
    /// Passes the members up to the closing brace, and says what lies behind it.
    fn members(&mut self, scope: usize, at: usize) -> Result<usize, Stop> {
        let text = self.text;
        let mut at = scan::space(text, at);
        if text.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        loop {
            let (name, value) = scan::name(text, at)?;
            at = scan::space(text, self.member(scope, name, value)?);
            match text.get(at) {
                Some(b',') => at = scan::space(text, at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return not_json(at, "',' or '}' was expected"),
            }
        }
    }

    fn member(&mut self, scope: usize, name: Quoted, at: usize) -> Result<usize, Stop> {
        self.plain.clear();
        scan::unescape(&self.text[name.start..name.end], &mut self.plain);
        let member = self.plan.scopes[scope].find(&self.plain);
        let first = self.text.get(at).copied();
        if let (Some(Member::Object(object)), Some(b'{')) = (member, first) {
            return self.members(scope_of(object), at + 1);
        }
        let member = member.filter(|member| self.plan.protects(*member));
        let depth = Depth { outside: outside(scope), max: self.depth_max, open: &mut self.open };
        // What is no number where one belongs did not end the first reading either.
        let end = match sink::infinite(self.text, at) {
            Some(end) => end,
            None => scan::skip(self.text, at, depth)?,
        };
        let Some(member) = member else { return Ok(end) };
        self.out.extend_from_slice(&self.text[self.copied..at]);
        self.copied = end;
        match (member, first, self.key) {
            (Member::Unstored(_), ..) => self.out.extend_from_slice(b"null"),
            (Member::Column(_), Some(b'"'), Some(key)) => {
                self.plain.clear();
                scan::unescape(&self.text[at + 1..end - 1], &mut self.plain);
                let mut hash = Vec::new();
                key.hash(&self.plain, &mut hash);
                self.out.push(b'"');
                self.out.extend_from_slice(&hash);
                self.out.push(b'"');
            }
            (_, first, _) => self.out.extend_from_slice(emptiest(first)),
        }
        Ok(end)
    }
}

/// A value of the type that begins with this byte.
fn emptiest(first: Option<u8>) -> &'static [u8] {
    match first {
        Some(b'{') => b"{}",
        Some(b'[') => b"[]",
        Some(b'"') => b"\"\"",
        Some(b't' | b'f') => b"false",
        Some(b'-' | b'0'..=b'9') => b"0",
        _ => b"null",
    }
}
