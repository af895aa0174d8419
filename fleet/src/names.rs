//! What things are called: ids of machines, sites, stores, tills, accounts.

use crate::text;

/// A short name, held in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; 24],
    length: u8,
}

impl Name {
    /// The name's bytes, ASCII.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    fn new() -> Name {
        Name { bytes: [0; 24], length: 0 }
    }

    fn put(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.length)) {
            *place = byte;
            self.length += 1;
        }
    }

    fn push(mut self, prefix: &str, value: u32, digits: usize) -> Name {
        prefix.bytes().for_each(|byte| self.put(byte));
        let count = text::digits(value.into()).max(digits);
        for place in (0..count as u32).rev() {
            self.put(b'0' + (u64::from(value) / 10u64.pow(place) % 10) as u8);
        }
        self
    }
}

/// `vm-00042`.
pub fn machine(index: u32) -> Name {
    Name::new().push("vm-", index, 5)
}

/// `site-0007`, or `st-0007` where the site is a store.
pub fn site(index: u32, store: bool) -> Name {
    Name::new().push(if store { "st-" } else { "site-" }, index, 4)
}

/// `st-0007-till-3`.
pub fn till(site: u32, till: u32) -> Name {
    Name::new().push("st-", site, 4).push("-till-", till, 1)
}

/// `ac-00012`.
pub fn account(index: u32) -> Name {
    Name::new().push("ac-", index, 5)
}

/// `sku-1012`.
pub fn product(index: u32) -> Name {
    Name::new().push("sku-", 1000 + index, 4)
}

/// `B4`: six rows of ten.
pub fn selection(index: u32) -> Name {
    const ROWS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
    Name::new().push(ROWS[(index / 10 % 6) as usize], index % 10 + 1, 1)
}

/// Firmware `4.2.0`.
pub fn firmware(number: u32) -> Name {
    Name::new().push("4.", number, 1).push(".", 0, 1)
}

/// Configuration `cfg-20`.
pub fn configuration(number: u32) -> Name {
    Name::new().push("cfg-", 20 + number, 1)
}

/// A serial number, `SN0123456789`.
pub fn serial(number: u32) -> Name {
    Name::new().push("SN", number, 10)
}

/// Somebody who services machines or works in a store: `op-017`.
pub fn operator(number: u32) -> Name {
    Name::new().push("op-", number, 3)
}
