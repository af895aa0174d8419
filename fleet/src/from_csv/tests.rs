//! A small file with what real files hold: two vends of one payment, a repeated vend, a blank product,
//! a date in another format, an unknown way to pay, a price that is none, a row that is filtered out.

use serde_json::{Value, json};

use super::*;
use crate::tests::{Memory, contract, outcomes};
use weir_contract::class::RejectClass;

const CSV: &str = include_str!("sample.csv");
const MAPPING: &str = include_str!("../../examples/vending_sales.toml");
/// 2026-03-02T00:00:00Z.
const NOW: i64 = 1_772_409_600_000;

fn source(csv: &str, mapping: &str) -> Result<Source, FleetError> {
    let folder = tempfile::tempdir().unwrap();
    let (file, toml) = (folder.path().join("sales.csv"), folder.path().join("map.toml"));
    std::fs::write(&file, csv).unwrap();
    std::fs::write(&toml, mapping).unwrap();
    Source::open(&file, &toml)
}

fn sent() -> (Memory, Report) {
    let mut sink = Memory::default();
    let contract = Arc::into_inner(contract("vending.sales"));
    let stop = AtomicBool::new(false);
    let report = source(CSV, MAPPING).unwrap().send(&mut sink, NOW, contract, &stop).unwrap();
    (sink, report)
}

#[test]
fn rows_become_payments_and_vends() {
    let (sink, report) = sent();
    assert_eq!((report.rows, report.unused), (6, 1));
    let events = [("vending.sales.payment", 4), ("vending.sales.vend", 6)];
    assert_eq!(report.events, events.map(|(kind, n)| (kind.to_owned(), n)).into());
    let events: Vec<Value> = sink
        .0
        .iter()
        .map(|kept| serde_json::from_slice(kept.value.as_ref().unwrap()).unwrap())
        .collect();
    assert_eq!(
        events[0],
        json!({
            "specversion": "1.0", "id": "145-payment", "source": "/machines/VJ1",
            "type": "vending.sales.payment", "subject": "VJ1", "time": "2022-01-01T17:00:00.000Z",
            "siteid": "Mall",
            "data": {
                "in_maintenance": false, "transaction_id": "145", "selection": "148", "price": 3.5,
                "currency": "USD", "payment_method": "card", "payment_outcome": "succeeded",
                "paid_amount": 5,
            },
        })
    );
    assert_eq!(events[2]["data"]["product_id"], "Takis - \"Hot\" & Lime");
    // By daylight saving time.
    assert_eq!(events[3]["time"], "2022-07-05T16:00:00.000Z");
    let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids[3..6], ["146-payment", "146-3-1", "146-3-2"]);
    assert!(events[7]["data"].get("product_id").is_none(), "blank is absent");
}

#[test]
fn what_the_contract_refuses_is_sent_and_explained() {
    let (sink, report) = sent();
    let rejected: Vec<(usize, RejectClass)> = outcomes(&sink.0)
        .into_iter()
        .enumerate()
        .filter_map(|(i, outcome)| match outcome {
            Outcome::Rejected(class) => Some((i, class)),
            Outcome::Accepted { .. } => None,
        })
        .collect();
    assert_eq!(
        rejected,
        [
            // The vend without a product, and both events of the row with a date in another format.
            (7, RejectClass::Missing),
            (8, RejectClass::BadTime),
            (9, RejectClass::BadTime),
        ]
    );
    let refused: Vec<(&str, &str, u64, u64)> = report
        .refused
        .iter()
        .map(|((class, field), r)| (class.as_str(), field.as_str(), r.events, r.row))
        .collect();
    assert_eq!(refused, [("bad_time", "time", 2, 5), ("missing", "data.product_id", 1, 4)]);
    assert!(report.refused.values().all(|refused| !refused.message.is_empty()));
}

#[test]
fn mistakes_of_a_mapping_are_told_at_once() {
    let mapping = MAPPING
        .replace("\"Transaction\"", "\"Transactions\"")
        .replace("America/New_York", "America/Nowhere")
        .replace("{repeat}", "{repeat");
    let error = source(CSV, &mapping).err().unwrap().message;
    for what in ["no column \"Transactions\"", "America/Nowhere", "brace"] {
        assert!(error.contains(what), "{error}");
    }
    let error = source(CSV, "stream = \"vending.sales\"\nevnt = 1\n").err().unwrap().message;
    assert!(error.contains("map.toml") && error.contains("evnt"), "{error}");
}
