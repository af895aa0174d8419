//! Drafts: what they say, that they pass their own check, and that they accept what was seen.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::contract::{Contract, parse};
use crate::decode::{Decoder, Outcome, Record};

fn draft(topic: &str, records: &[&str]) -> (String, Contract) {
    let mut observer = Observer::new();
    for record in records {
        observer.observe(Some(record.as_bytes()));
    }
    let text = observer.draft(topic);
    match parse("draft.yaml", &text) {
        Ok(contract) => (text, contract),
        Err(list) => panic!("{text}\n{list:#?}"),
    }
}

/// Which of the records the contract accepts.
fn accepted(contract: Contract, records: &[&str]) -> Vec<bool> {
    let mut decoder = Decoder::new(Arc::new(contract), "s");
    let mut accept = |text: &&str| {
        let value = Some(text.as_bytes());
        let headers = &[];
        let record =
            Record { partition: 0, offset: 0, timestamp_ms: None, key: None, value, headers };
        matches!(decoder.push(&record), Outcome::Accepted { .. })
    };
    records.iter().map(&mut accept).collect()
}

#[test]
fn a_draft_tells_what_was_seen() {
    let sale = r#"{"specversion":"1.0","id":"1","type":"s.sale","time":"2026-01-01T00:00:00Z",
        "data":{"unitPrice":1.50,"customerName":"Ann","till":3,"tags":[1],"a b":1}}"#;
    let void =
        r#"{"id":"2","type":"s.void","time":"2026-01-01T00:00:01Z","data":{"till":12,"ok":null}}"#;
    let mut observer = Observer::new();
    for text in [sale, void, sale] {
        observer.observe(Some(text.as_bytes()));
    }
    observer.observe(None);
    observer.observe(Some(b"[]"));
    // Rejected as they are: what they hold is no example.
    observer.observe(Some(br#"{"id":"3","type":"s.sale","type":"s.gift"}"#));
    observer.observe(Some(br#"{"id":"3","type":"s.gift","data":{"till":3,"till":"x"}}"#));
    let text = observer.draft("store.Sales");
    assert_eq!(text, include_str!("tests/draft.yaml"), "{text}");
    let contract = parse("draft.yaml", &text).unwrap();
    assert_eq!(accepted(contract, &[sale, void]), [true, true]);
}

#[test]
fn mixed_types_are_counted_and_closed_lists_guessed() {
    let mut records: Vec<String> = (0..20)
        .map(|i| {
            let power = ["mains", "battery"][i % 2];
            format!(r#"{{"time":"2026-01-01T00:00:00Z","power":"{power}","n":{i}}}"#)
        })
        .collect();
    records.push(r#"{"time":"2019-01-01T00:00:00Z","power":"mains","n":"x"}"#.into());
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let (text, contract) = draft("t", &records);
    for part in [
        "# n: in all 21 records; from 0 to 19\n",
        "# 1 values are of another type: their records would be rejected.",
        "# enum? battery (10), mains (11)",
        "# 1 lie before 2020: their records would be rejected (weir.eventTimeMin).",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let accepted = accepted(contract, &records);
    assert_eq!(accepted.iter().filter(|accepted| !**accepted).count(), 1);
}

#[test]
fn whatever_was_seen_the_draft_passes_its_check() {
    let many: Vec<String> = (0..1200).map(|i| format!(r#""m{i}":{i}"#)).collect();
    let many = format!("{{{}}}", many.join(","));
    for (topic, record) in [
        ("", "{}"),
        ("ref.x", r#"{"time":5,"event_time":true,"eventtime":[],"type":7}"#),
        ("Ünder.9..", r#"{"type":"2026-01-01","time":null,"data":[]}"#),
        (".", r#"{"type":"\u0000\"\\\u0085\ufeff","Type":1,"_TYPE_":2,"9":1,"":1,"a.b":1,"é":1}"#),
        (
            "x",
            r#"{"data":{"a":1},"Data":{"a":2},"data_a":3,"event_time":{"x":"2026-01-01T00:00:00Z"}}"#,
        ),
        ("x", r#"{"data":{},"o":{"é":1}}"#),
        (&"long.".repeat(60), &many),
    ] {
        draft(topic, &[record, record]);
        draft(topic, &[record, "{}", r#"{"type":"t","data":1}"#]);
    }
    draft("nothing", &[]);
}

/// A value of a kind, by choices.
fn value(kind: u8, choice: u8) -> String {
    let pick = |list: &[&str]| list[usize::from(choice) % list.len()].to_owned();
    match kind % 8 {
        0 => pick(&["\"x\"", "\"\"", "\"é\\n\"", "\"2026-01-01\""]),
        1 => pick(&["0", "-7", "9223372036854775807"]),
        2 => pick(&["0.5", "1e3", "-12345678901234567890", "3"]),
        3 => pick(&["true", "false"]),
        4 => pick(&["\"2026-01-01T00:00:00Z\"", "\"2026-01-01T00:00:00.5+01:00\""]),
        5 => pick(&["{\"a\":1}", "{}", "{\"a\":\"x\"}"]),
        6 => pick(&["[]", "[{}]"]),
        _ => pick(&["1.5", "2", "0.0001", "99999999999999.9999"]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Members that have one type each, now and then null or absent: everything is accepted.
    #[test]
    fn a_draft_accepts_what_it_was_drafted_from(
        kinds in prop::collection::vec((any::<u8>(), "[a-zA-Z_.é]{1,6}"), 0..8),
        rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 17), 1..12),
        typed in any::<bool>(),
    ) {
        let mut kinds = kinds;
        kinds.sort_by(|a, b| a.1.cmp(&b.1));
        kinds.dedup_by(|a, b| a.1 == b.1);
        let records: Vec<String> = rows
            .iter()
            .map(|row| {
                let member = |(i, (kind, name)): (usize, &(u8, String))| match row[i] % 8 {
                    0 => None,
                    1 => Some(format!("\"{name}\":null")),
                    _ => Some(format!("\"{name}\":{}", value(*kind, row[i + 8]))),
                };
                let data: Vec<String> = kinds.iter().enumerate().filter_map(member).collect();
                let kind = if typed { format!(r#""type":"t{}","#, row[16] % 3) } else { String::new() };
                format!(r#"{{{kind}"time":"2026-01-01T00:00:00Z","data":{{{}}}}}"#, data.join(","))
            })
            .collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let (text, contract) = draft("t", &records);
        prop_assert!(accepted(contract, &records).iter().all(|a| *a), "{}\n{:?}", text, records);
    }

    #[test]
    fn any_bytes_are_observed(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let mut observer = Observer::new();
        values.iter().for_each(|value| observer.observe(Some(value)));
        prop_assert!(parse("draft.yaml", &observer.draft("t")).is_ok());
    }
}
