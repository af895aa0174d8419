//! Contracts and records made from a stream of choices: fewer and smaller choices make simpler
//! ones, so that a failure shrinks.

use super::oracle;
use super::support::*;
use crate::contract::*;
use crate::privacy::HashKey;

/// A stream of choices; at its end every choice is the first.
pub struct Dice<'a>(pub &'a [u16]);

impl Dice<'_> {
    pub fn below(&mut self, n: usize) -> usize {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                usize::from(*first) % n
            }
            None => 0,
        }
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const NAMES: [&str; 12] = [
    "a",
    "b",
    "ab",
    "temperature_c",
    "temperature_f",
    "é",
    "with \"quote\\",
    "specversion",
    "dataschema",
    "a_very_long_member_name_that_exceeds_sixteen_bytes",
    "data",
    "",
];

/// A contract with any columns.
pub fn any_contract(dice: &mut Dice<'_>) -> Contract {
    use FieldType::*;
    let types: &[&str] = if dice.one_in(2) { &["t.a", "t.b"] } else { &[] };
    let mut fields = vec![field("event_time", "time", Timestamp)];
    if dice.one_in(2) {
        fields[0].path.object = Some("data".into());
    }
    if dice.one_in(2) {
        fields.insert(0, field("event_type", "type", String));
    }
    for i in 0..dice.below(12) {
        let precision = 1 + dice.below(38) as u8;
        let scale = dice.below(usize::from(precision) + 1) as u8;
        let kinds = [
            String,
            Boolean,
            Int,
            Long,
            Double,
            Decimal { precision, scale },
            Timestamp,
            Date,
            Json,
        ];
        let kind = kinds[dice.below(kinds.len())];
        let object = [Some("data"), None, Some("o\n\u{1F600}")][dice.below(3)].map(str::to_owned);
        let path = Path { object, member: dice.pick(&NAMES).into() };
        let is_object = |f: &Field| f.path.object.as_ref() == Some(&path.member);
        let clash =
            path.object.is_none() && (path.member == "data" || fields.iter().any(is_object));
        if clash || fields.iter().any(|f| f.path == path) {
            continue;
        }
        let mut field = Field { path, ..field(&format!("c{i}"), "", kind) };
        match (kind, dice.below(8)) {
            (Int | Long | Decimal { .. }, 5) => field.allowed.minimum = Some(Bound::Exact(-3)),
            (Int | Long | Decimal { .. }, 6) => field.allowed.maximum = Some(Bound::Exact(1000)),
            (Int | Long, 7) => field.allowed.values = vec!["0".into(), "5".into()],
            (Double, 5) => field.allowed.minimum = Some(Bound::Double(-0.5)),
            (Double, 6) => field.allowed.maximum = Some(Bound::Double(1e6)),
            (String, 4) => field.hashed = true,
            (String, 5) => field.allowed.length_min = Some(2),
            (String, 6) => field.allowed.length_max = Some(3),
            (String, 7) => field.allowed.values = vec!["x".into(), "é".into()],
            _ => {}
        }
        if dice.one_in(8) {
            field.required = Requirement::Always;
        } else if dice.one_in(8) && !types.is_empty() {
            field.required = Requirement::For(vec![dice.below(2)]);
        }
        fields.push(field);
    }
    let mut contract = contract(fields, types);
    contract.limits.depth_max = [32, 3, 2, 1][dice.below(16).saturating_sub(12)];
    contract.limits.extra_bytes_max = if dice.one_in(16) { 20 } else { 1000 };
    for (object, member) in
        [(Some("data"), "new"), (None, "new"), (None, "x"), (Some("o\n\u{1F600}"), "x")]
    {
        let path = Path { object: object.map(str::to_owned), member: member.into() };
        if dice.one_in(6) && contract.fields.iter().all(|field| field.path != path) {
            contract.dropped.push(path);
        }
    }
    contract.hash_key = HashKey::new(&[7; 16]).ok();
    contract.keep_value = dice.one_in(4) && !contract.protects();
    contract
}

/// How a producer writes.
#[derive(Clone)]
pub struct Style {
    comma: &'static str,
    colon: &'static str,
    /// Which members it writes, and in what order: choices to be used again for each record.
    order: Vec<u16>,
}

pub fn style(dice: &mut Dice<'_>) -> Style {
    let spaces = [(",", ":"), (", ", ": "), (",\n\t", " :\r\n"), (",                  ", ":")];
    let (comma, colon) = spaces[dice.below(4)];
    Style { comma, colon, order: (0..40).map(|_| dice.below(1 << 16) as u16).collect() }
}

/// A record for the contract: mostly right.
pub fn record_text(contract: &Contract, style: &Style, dice: &mut Dice<'_>) -> String {
    let order = if dice.one_in(4) { Vec::new() } else { style.order.clone() };
    let mut order = Dice(&order);
    let mut top: Vec<String> = Vec::new();
    let mut objects: Vec<(String, Vec<String>)> = Vec::new();
    for field in &contract.fields {
        if field.required == Requirement::Never && field.name != "event_time" && order.one_in(4) {
            continue;
        }
        let member = member(&field.path.member, &value(contract, field, dice), style, dice);
        let list = match &field.path.object {
            None => &mut top,
            Some(object) => {
                if !objects.iter().any(|(name, _)| name == object) {
                    objects.push((object.clone(), Vec::new()));
                }
                &mut objects.iter_mut().find(|(name, _)| name == object).unwrap().1
            }
        };
        list.insert(order.below(list.len() + 1), member);
    }
    if order.one_in(3) {
        let list = objects.first_mut().map_or(&mut top, |(_, list)| list);
        list.push(member(
            order.pick(&["new", "x", "specversion", "a"]),
            &any_value(dice, 0),
            style,
            dice,
        ));
    }
    if order.one_in(3) {
        top.push(member(
            order.pick(&["specversion", "new", "dataschema", "x"]),
            &any_value(dice, 0),
            style,
            dice,
        ));
    }
    for (name, list) in objects {
        let object = format!("{{{}}}", list.join(style.comma));
        let object = if dice.one_in(24) { any_value(dice, 0) } else { object };
        top.insert(order.below(top.len() + 1), member(&name, &object, style, dice));
    }
    if dice.one_in(24) && !top.is_empty() {
        top.push(top[dice.below(top.len())].clone());
    }
    format!("{{{}}}", top.join(style.comma))
}

fn member(name: &str, value: &str, style: &Style, dice: &mut Dice<'_>) -> String {
    let escape = dice.one_in(16);
    format!("{}{}{value}", quote(name, escape), style.colon)
}

fn quote(text: &str, escape: bool) -> String {
    if !escape {
        return serde_json::to_string(text).unwrap();
    }
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

/// A value that is mostly right for the field.
fn value(contract: &Contract, field: &Field, dice: &mut Dice<'_>) -> String {
    if dice.one_in(64) {
        return any_value(dice, 0);
    }
    let wrong = dice.one_in(48);
    for _ in 0..20 {
        let value = typed_value(contract, field, dice);
        if wrong || oracle::accepts(contract, &record(None), field, &value) {
            return value;
        }
    }
    "null".into()
}

/// A value of the field's type, right or wrong.
#[allow(clippy::too_many_lines)] // a table
fn typed_value(contract: &Contract, field: &Field, dice: &mut Dice<'_>) -> String {
    let whole = [
        "0",
        "5",
        "-3",
        "7",
        "-0",
        "1000",
        "2147483647",
        "-2147483648",
        "9223372036854775807",
        "-4",
    ];
    let fractions = [
        "0.5",
        "1.25",
        "-0.25",
        "1e2",
        "5E-1",
        "12.500",
        "99999.9",
        "0.00001",
        "1e-7",
        "123456789012345678901234567890",
    ];
    match field.kind {
        FieldType::String if field.name == "event_type" => {
            quote(contract.event_types.get(dice.below(2)).map_or("t.x", |t| t), false)
        }
        FieldType::String => {
            let known = field.allowed.values.get(dice.below(4)).map(String::as_str);
            let text = dice.pick(&[
                known.unwrap_or("site"),
                "x",
                "é",
                "xyz",
                "power on",
                "a \"quoted\" \\ text\n",
                "",
                "\u{1F600}",
                "0123456789abcdefghij",
            ]);
            quote(text, dice.one_in(6))
        }
        FieldType::Boolean => dice.pick(&["true", "false"]).into(),
        FieldType::Int | FieldType::Long if !field.allowed.values.is_empty() => {
            field.allowed.values[dice.below(field.allowed.values.len())].clone()
        }
        FieldType::Int | FieldType::Long => dice.pick(&whole).into(),
        FieldType::Double | FieldType::Decimal { .. } if dice.one_in(2) => {
            dice.pick(&fractions).into()
        }
        FieldType::Double | FieldType::Decimal { .. } => dice.pick(&whole).into(),
        FieldType::Timestamp => {
            let times = [
                "2026-11-21T10:15:30.123Z",
                "2026-11-21T10:15:30Z",
                "2026-11-21T12:15:30.123456789+02:00",
                "2026-11-20t10:15:30.1z",
                "2026-11-21T11:15:30.123001Z",
                "2019-01-01T00:00:00Z",
                "2026-11-21T10:15:30",
                "2026-11-31T10:15:30Z",
                "2026-11-21T10:15:60Z",
            ];
            quote(dice.pick(&times), dice.one_in(12))
        }
        FieldType::Date => quote(dice.pick(&["2026-01-31", "1969-12-31", "2026-02-30"]), false),
        FieldType::Json => {
            dice.pick(&["[]", "{\"a\":1,\"a\":[2]}", "{ }", "[[1],{\"b\":\"\\u00e9\"}]"]).into()
        }
    }
}

fn any_value(dice: &mut Dice<'_>, depth: usize) -> String {
    let scalars = [
        "null",
        "1",
        "\"x\"",
        "true",
        "-1.5e3",
        "\"\\ud83d\\ude00\"",
        "NaN",
        "1e999",
        "\"\\ud800\"",
    ];
    match dice.below(12) {
        10 if depth < 4 => {
            format!("[{},{}]", any_value(dice, depth + 1), any_value(dice, depth + 1))
        }
        11 if depth < 4 => format!("{{\"k\": {}}}", any_value(dice, depth + 1)),
        choice => scalars[choice % scalars.len()].into(),
    }
}

/// Damages bytes here and there.
pub fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice<'_>) {
    const PIECES: [&[u8]; 24] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"0",
        b"9",
        b"-",
        b".",
        b"e",
        b"\n",
        b"\0",
        b"\xFF",
        b"\xC3\xA9",
        b"null",
        b"\\u0000",
        b"\\ud800",
        b"Z",
        b"NaN",
        b"1",
    ];
    for _ in 0..1 + dice.below(3) {
        let at = dice.below(bytes.len().max(1)).min(bytes.len());
        let until = (at + dice.below(3)).min(bytes.len());
        match dice.below(4) {
            0 => drop(bytes.splice(at..until, PIECES[dice.below(24)].iter().copied())),
            1 => drop(bytes.splice(at..at, PIECES[dice.below(24)].iter().copied())),
            2 => drop(bytes.drain(at..until)),
            _ => bytes.truncate(at),
        }
    }
}
