//! Where JSON values begin and end (RFC 8259): strings, literals, nested values, white space.
//!
//! Everything here works on bytes that are known to be UTF-8 and answers with positions, so that
//! every value's own text stays at hand. Both ways of reading a record share these functions.

use super::number;

/// Why a record's text cannot be read on; positions are bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text is not JSON: what was wrong or expected at `at`.
    NotJson { at: usize, what: &'static str },
    /// An object or array at `at` lies deeper than the contract allows.
    TooDeep { at: usize },
}

/// [`Stop::NotJson`] as an error.
pub(super) fn not_json<T>(at: usize, what: &'static str) -> Result<T, Stop> {
    Err(Stop::NotJson { at, what })
}

/// A string's place in the text: `start..end` are its contents, `end` is the closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quoted {
    pub start: usize,
    pub end: usize,
    /// The contents hold escapes and must pass through [`unescape`].
    pub escaped: bool,
}

/// First position at or after `at` that holds no white space.
#[inline]
pub(super) fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Reads the string whose opening quote is at `at`.
#[inline(always)]
pub(super) fn string(text: &[u8], at: usize) -> Result<Quoted, Stop> {
    let start = at + 1;
    let end = plain_end(text, start);
    if text.get(end) == Some(&b'"') {
        return Ok(Quoted { start, end, escaped: false });
    }
    string_escaped(text, start, end)
}

/// Goes on with a string that is plain up to `at`, where it holds an escape or breaks.
#[cold]
fn string_escaped(text: &[u8], start: usize, mut at: usize) -> Result<Quoted, Stop> {
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(Quoted { start, end: at, escaped: true }),
            Some(b'\\') => at = escape(text, at)?,
            Some(_) => return not_json(at, "a control character in a string"),
            None => return not_json(at, "the end inside a string"),
        }
        at = plain_end(text, at);
    }
}

/// The position behind the escape sequence at `at`. A surrogate must have its other half.
fn escape(text: &[u8], at: usize) -> Result<usize, Stop> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match hex4(text, at + 2) {
            None => not_json(at, "an incomplete \\u escape"),
            Some(0xDC00..=0xDFFF) => not_json(at, "a lone surrogate escape"),
            Some(0xD800..=0xDBFF) => match (text.get(at + 6..at + 8), hex4(text, at + 8)) {
                (Some(b"\\u"), Some(0xDC00..=0xDFFF)) => Ok(at + 12),
                _ => not_json(at, "a lone surrogate escape"),
            },
            Some(_) => Ok(at + 6),
        },
        _ => not_json(at, "an unknown escape"),
    }
}

fn hex4(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |code, b| Some(code << 4 | char::from(*b).to_digit(16)?))
}

/// First position at or after `at` that holds `"`, `\` or a control character; else the end.
#[inline(always)]
fn plain_end(text: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = special(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = text.get(at) {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

/// Sets the high bit of the first byte (the lowest) that is `"`, `\` or a control character; what
/// stands above it may be wrong, since the subtractions borrow.
#[inline(always)]
fn special(bytes: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    // Flipping one bit puts the quote right behind the control characters, and space beyond it.
    let low = bytes ^ (ONES * 2);
    let low = low.wrapping_sub(ONES * 0x21) & !low;
    let backslash = bytes ^ (ONES * b'\\' as u64);
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (low | backslash) & (ONES << 7)
}

/// Writes a string's contents, checked by [`string`], to `out` without its escapes.
pub(super) fn unescape(contents: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&byte) = contents.get(at) {
        if byte != b'\\' {
            out.push(byte);
            at += 1;
            continue;
        }
        let plain = match contents.get(at + 1) {
            Some(b'u') => {
                let (code, end) = unicode(contents, at);
                let decoded = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
                at = end;
                continue;
            }
            Some(b'b') => 0x08,
            Some(b'f') => 0x0C,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(&other) => other,
            None => b'\\',
        };
        out.push(plain);
        at += 2;
    }
}

/// The code point of the `\u` escape at `at`, and where it ends.
fn unicode(contents: &[u8], at: usize) -> (u32, usize) {
    match (hex4(contents, at + 2), hex4(contents, at + 8)) {
        (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
            (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), at + 12)
        }
        (code, _) => (code.unwrap_or(0xFFFD), at + 6),
    }
}

/// How deep the reader is, and how deep it may go.
pub(super) struct Depth<'a> {
    /// Containers around the value; the record itself is 1.
    pub outside: usize,
    pub max: usize,
    /// Scratch: the containers that are open inside the value.
    pub open: &'a mut Vec<u8>,
}

/// The end of the value that begins at `at`, which is checked throughout.
pub(super) fn skip(text: &[u8], mut at: usize, depth: Depth<'_>) -> Result<usize, Stop> {
    let Depth { outside, max, open } = depth;
    open.clear();
    loop {
        match text.get(at) {
            Some(b'"') => at = string(text, at)?.end + 1,
            Some(b'-' | b'0'..=b'9') => at = number::number(text, at)?.end,
            Some(&container @ (b'{' | b'[')) => {
                if outside + open.len() >= max {
                    return Err(Stop::TooDeep { at });
                }
                at = space(text, at + 1);
                // The closing byte lies two behind the opening one in ASCII.
                if text.get(at) == Some(&(container + 2)) {
                    at += 1;
                } else {
                    open.push(container);
                    if container == b'{' {
                        at = name(text, at)?.1;
                    }
                    continue;
                }
            }
            _ => at = literal(text, at)?,
        }
        loop {
            let Some(&container) = open.last() else { return Ok(at) };
            at = space(text, at);
            match text.get(at) {
                Some(b',') => {
                    at = space(text, at + 1);
                    if container == b'{' {
                        at = name(text, at)?.1;
                    }
                    break;
                }
                Some(&byte) if byte == container + 2 => {
                    open.pop();
                    at += 1;
                }
                _ if container == b'{' => return not_json(at, "',' or '}' was expected"),
                _ => return not_json(at, "',' or ']' was expected"),
            }
        }
    }
}

/// The end of `true`, `false` or `null`.
pub(super) fn literal(text: &[u8], at: usize) -> Result<usize, Stop> {
    let rest = text.get(at..).unwrap_or_default();
    for word in ["true", "false", "null"] {
        if rest.starts_with(word.as_bytes()) {
            return Ok(at + word.len());
        }
    }
    not_json(at, "a value was expected")
}

/// A member's name at `at`, and where its value begins.
pub(super) fn name(text: &[u8], at: usize) -> Result<(Quoted, usize), Stop> {
    if text.get(at) != Some(&b'"') {
        return not_json(at, "a member's name was expected");
    }
    let name = string(text, at)?;
    let colon = space(text, name.end + 1);
    if text.get(colon) != Some(&b':') {
        return not_json(colon, "':' was expected");
    }
    Ok((name, space(text, colon + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip_all(text: &str, max: usize) -> Result<usize, Stop> {
        skip(text.as_bytes(), 0, Depth { outside: 0, max, open: &mut Vec::new() })
    }

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                for around in [b'a', 0x20, 0x7F, 0x80, 0xFF, b'#', b'!', b']', b'['] {
                    let mut chunk = [around; 8];
                    chunk[place] = byte;
                    let special_byte = byte < 0x20 || byte == b'"' || byte == b'\\';
                    let expected = if special_byte { place as u32 } else { 8 };
                    let found = special(u64::from_le_bytes(chunk)).trailing_zeros() / 8;
                    assert_eq!(found, expected, "{chunk:?}");
                }
            }
        }
    }

    #[test]
    fn values_end_where_they_end() {
        for text in ["1", "\"a\"", "[1, 2,[ ]]", "{\"a\" : {\"b\":[{}]}}", "true", "-0.5e+3", "{ }"]
        {
            assert_eq!(skip_all(&format!("{text}, rest"), 9), Ok(text.len()), "{text}");
        }
    }

    #[test]
    fn broken_values_stop_at_the_fault() {
        let cases = [
            ("[1,]", 3),
            ("{\"a\":1,}", 7),
            ("{a:1}", 1),
            ("[1 2]", 3),
            ("{\"a\" 1}", 5),
            ("[1}", 2),
            ("tru", 0),
            ("\"a\nb\"", 2),
            ("\"abc", 4),
            ("\"\\x\"", 1),
            ("\"\\u12g4\"", 1),
            ("\"\\ud800\"", 1),
            ("\"\\ud800\\u0041\"", 1),
            ("\"\\udc00\"", 1),
            ("[", 1),
        ];
        for (text, fault) in cases {
            match skip_all(text, 9) {
                Err(Stop::NotJson { at, .. }) => assert_eq!(at, fault, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn depth_counts_every_container() {
        assert_eq!(skip_all("[[{}]]", 3), Ok(6));
        assert_eq!(skip_all("[[{}]]", 2), Err(Stop::TooDeep { at: 2 }));
        assert_eq!(skip_all("[[],[],[]]", 2), Ok(10));
    }

    #[test]
    fn escapes_are_resolved() {
        let text = r#""\"\\\/\b\f\n\r\té\ud83d\ude00\u0000x""#;
        let quoted = string(text.as_bytes(), 0).unwrap();
        assert!(quoted.escaped && quoted.end == text.len() - 1);
        let mut out = Vec::new();
        unescape(&text.as_bytes()[quoted.start..quoted.end], &mut out);
        assert_eq!(out, "\"\\/\u{8}\u{c}\n\r\té😀\0x".as_bytes());
    }
}
