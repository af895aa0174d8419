//! Writing the members of a JSON object one after another, straight into the record's bytes.

use crate::text;

/// Appends members to an object that has been opened. Names and plain texts are ours and need no
/// escapes; [`Data::string`] escapes.
pub struct Data<'a>(pub &'a mut Vec<u8>);

impl Data<'_> {
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        self.0
    }

    /// A text of ours, which needs no escapes.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.named(name, |out| out.extend_from_slice(value.as_bytes()))
    }

    /// A text that is put together, which needs no escapes.
    pub fn named(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let out = self.name(name);
        out.push(b'"');
        write(out);
        out.push(b'"');
        self
    }

    /// Any text.
    pub fn string(&mut self, name: &str, value: &str) -> &mut Self {
        text::string(self.name(name), value);
        self
    }

    /// A boolean.
    pub fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.json(name, if value { b"true" } else { b"false" })
    }

    /// An integer.
    pub fn integer(&mut self, name: &str, value: i64) -> &mut Self {
        text::integer(self.name(name), value);
        self
    }

    /// `unscaled` / 10^`scale`, exactly.
    pub fn decimal(&mut self, name: &str, unscaled: i64, scale: u32) -> &mut Self {
        text::decimal(self.name(name), unscaled, scale);
        self
    }

    /// An amount of money in hundredths of its unit.
    pub fn money(&mut self, name: &str, cents: i64) -> &mut Self {
        self.decimal(name, cents, 2)
    }

    /// An instant, ms since 1970.
    pub fn time(&mut self, name: &str, time_ms: i64) -> &mut Self {
        self.named(name, |out| text::time(out, time_ms))
    }

    /// The day of an instant (UTC), ms since 1970.
    pub fn date(&mut self, name: &str, time_ms: i64) -> &mut Self {
        self.named(name, |out| {
            text::time(out, time_ms);
            out.truncate(out.len() - "T00:00:00.000Z".len());
        })
    }

    /// The lowest `digits` hexadecimal digits, behind a prefix.
    pub fn hex(&mut self, name: &str, prefix: &str, value: u64, digits: u32) -> &mut Self {
        self.named(name, |out| {
            out.extend_from_slice(prefix.as_bytes());
            text::hex(out, value, digits);
        })
    }

    /// A SHA-256 digest of nothing but `value`'s own.
    pub fn digest(&mut self, name: &str, value: u64) -> &mut Self {
        self.named(name, |out| {
            (0..4).for_each(|part| text::hex(out, crate::rng::mix(value ^ part), 16));
        })
    }

    /// A list of texts of ours.
    pub fn list<'t>(&mut self, name: &str, texts: impl Iterator<Item = &'t str>) -> &mut Self {
        let out = self.name(name);
        out.push(b'[');
        for (i, text) in texts.enumerate() {
            out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        }
        out.push(b']');
        self
    }

    /// JSON as it is.
    pub fn json(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.name(name).extend_from_slice(value);
        self
    }
}
