//! Rows that fail a rule of their contract.

use std::sync::Arc;

use super::support::*;
use crate::class::RejectClass;
use crate::contract::Contract;
use crate::decode::{Decoder, Outcome};
use crate::rule::Rule;

fn ruled(rules: &[&str]) -> Contract {
    let mut contract = sample();
    let names = ["first", "second", "third"];
    contract.rules = rules
        .iter()
        .zip(names)
        .map(|(text, name)| Rule::parse(name, text, &contract.fields).expect(text))
        .collect();
    contract
}

#[test]
fn the_first_rule_that_fails_is_told_with_its_values() {
    let contract = ruled(&["level < count", "price <= amount + 1 or total > 5"]);
    check(
        &contract,
        &[
            (
                &data(r#""level":30,"count":7"#),
                RejectClass::RuleFailed,
                Some("first"),
                "level < count does not hold: level = 30, count = 7",
            ),
            (
                &data(r#""level":1,"count":7,"price":2.5,"total":5"#)
                    .replace("\"data\"", "\"amount\":1.25,\"data\""),
                RejectClass::RuleFailed,
                Some("second"),
                "does not hold: price = 2.5000, amount = 1.2500000000, total = 5",
            ),
        ],
    );
}

#[test]
fn other_faults_come_first_and_null_passes() {
    let contract = ruled(&["level < count"]);
    check(
        &contract,
        &[(
            &data(r#""level":30,"count":7,"since":5"#),
            RejectClass::WrongType,
            Some("data.since"),
            "",
        )],
    );
    for more in [r#""level":30"#, r#""level":30,"count":null"#, r#""level":2,"count":3"#] {
        let row = decode(&contract, &record(Some(data(more).as_bytes())));
        assert_eq!(row.outcome, Outcome::Accepted { event_time_us: NOW_US }, "{more}");
    }
}

#[test]
fn an_overflow_rejects_its_row_alone() {
    let contract = ruled(&["amount * amount > 0"]);
    let with =
        |amount: &str| event("").replace("\"data\"", &format!("\"amount\":{amount},\"data\""));
    let values = [with("1"), with("9999999999999999999999999999"), with("2")];
    let mut decoder = Decoder::new(Arc::new(contract), "s");
    let outcomes: Vec<Outcome> =
        values.iter().map(|value| decoder.push(&record(Some(value.as_bytes())))).collect();
    let accepted = Outcome::Accepted { event_time_us: NOW_US };
    assert_eq!(outcomes, [accepted, Outcome::Rejected(RejectClass::RuleFailed), accepted]);
    let batch = decoder.finish(1).batch;
    let amounts: Vec<_> =
        (0..3).map(|row| cell(batch.column_by_name("amount").unwrap(), row)).collect();
    assert_eq!(amounts, [Some("10000000000".into()), None, Some("20000000000".into())]);
}

#[test]
fn every_type_can_stand_in_a_rule() {
    let contract =
        ruled(&["power = 'mains' and voltage_v > 200 and open and since > date '2026-01-01' and \
         seen_at <= event_time and detail is not null and site_id is null"]);
    let good = r#""power":"mains","open":true,"since":"2026-01-02",
        "seen_at":"2026-11-21T10:15:30Z","detail":{}"#;
    let row = decode(&contract, &record(Some(data(good).as_bytes())));
    assert_eq!(row.outcome, Outcome::Accepted { event_time_us: NOW_US });
    let bad = data(&good.replace("2026-01-02", "2026-01-01"));
    check(
        &contract,
        &[(
            &bad,
            RejectClass::RuleFailed,
            Some("first"),
            "power = \"mains\", voltage_v = 229.5, open = true, since = 2026-01-01, \
             seen_at = 2026-11-21T10:15:30.000000Z, event_time = 2026-11-21T10:15:30.123000Z, \
             detail = …, site_id = null",
        )],
    );
}

#[test]
fn the_identity_of_a_row_that_fails_is_kept() {
    let contract = ruled(&["level < count"]);
    let text = data(r#""level":30,"count":7"#);
    let row = decode(&contract, &record(Some(text.as_bytes())));
    assert_eq!(row.error("event_id").as_deref(), Some("e1"));
    assert_eq!(row.error("machine_id").as_deref(), Some("m1"));
    assert_eq!(row.error("event_time").as_deref(), Some("2026-11-21T10:15:30.123Z"));
}
