//! The samples: the shapes and the mistakes that they promise.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use weir_contract::contract;
use weir_contract::decode::{Decoder, Outcome, Record};

use super::*;

const NOW: i64 = 1_795_256_130_123;

fn leaves(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.values().map(leaves).sum(),
        _ => 1,
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let run = |seed| {
        let mut rng = Rng::new(seed);
        (0..100).map(|i| heartbeat(i, &mut rng, NOW)).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_heartbeat_has_17_members_and_about_420_bytes() {
    let mut rng = Rng::new(1);
    let mut bytes = 0;
    for i in 0..1000 {
        let event = heartbeat(i, &mut rng, NOW);
        let value: Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(leaves(&value), 17);
        bytes += event.len();
    }
    assert!((400..450).contains(&(bytes / 1000)), "{}", bytes / 1000);
}

#[test]
fn ids_differ() {
    let mut rng = Rng::new(1);
    let ids: HashSet<String> = (0..10_000)
        .map(|i| {
            let value: Value = serde_json::from_slice(&heartbeat(i, &mut rng, NOW)).unwrap();
            value["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 10_000);
    assert!(ids.iter().all(|id| uuid::Uuid::parse_str(id).unwrap().get_version_num() == 7));
}

#[test]
fn the_two_events_of_a_transaction_fit_together() {
    let mut rng = Rng::new(1);
    let mut kinds = HashSet::new();
    for i in 0..2000 {
        let first: Value = serde_json::from_slice(&sale(2 * i, &mut rng, NOW)).unwrap();
        let second: Value = serde_json::from_slice(&sale(2 * i + 1, &mut rng, NOW)).unwrap();
        for member in ["transaction_id", "price", "currency", "selection", "payment_method"] {
            assert_eq!(first["data"][member], second["data"][member]);
        }
        assert_eq!(first["subject"], second["subject"]);
        assert_ne!(first["id"], second["id"]);
        let vended = second["type"] == "vending.sales.vend";
        assert_eq!(first["data"]["payment_outcome"] == "succeeded", vended);
        kinds.extend([first["type"].to_string(), second["type"].to_string()]);
    }
    assert_eq!(kinds.len(), 3, "{kinds:?}");
}

#[test]
fn keys_are_the_machines_names() {
    assert_eq!(&key(42), b"vm-00042");
    let mut rng = Rng::new(1);
    let mut out = Vec::new();
    let machine = Stream::Health.write(&mut out, 0, &mut rng, NOW);
    let value: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["subject"].as_str().unwrap().as_bytes(), key(machine));
}

/// What the decoder makes of values whose Kafka time is shortly after the event's.
fn outcomes(stream: Stream, values: &[Option<Vec<u8>>]) -> Vec<Outcome> {
    let (file, text) = match stream {
        Stream::Health => ("health", include_str!("../../../contracts/vending.health.yaml")),
        Stream::Sales => ("sales", include_str!("../../../contracts/vending.sales.yaml")),
        Stream::Trades => ("trades", include_str!("../../../contracts/trades.yaml")),
    };
    let mut decoder = Decoder::new(Arc::new(contract::parse(file, text).unwrap()), "source");
    let record = |(offset, value): (usize, &Option<Vec<u8>>)| {
        decoder.push(&Record {
            partition: 0,
            offset: offset as i64,
            timestamp_ms: Some(NOW + 1000),
            key: None,
            value: value.as_deref(),
            headers: &[],
        })
    };
    values.iter().enumerate().map(record).collect()
}

#[test]
fn good_events_are_accepted_under_the_contracts() {
    for stream in [Stream::Health, Stream::Sales, Stream::Trades] {
        let mut rng = Rng::new(5);
        let mut event = |i| {
            let mut out = Vec::new();
            stream.write(&mut out, i, &mut rng, NOW);
            Some(out)
        };
        let values: Vec<_> = (0..2000).map(&mut event).collect();
        for (outcome, value) in outcomes(stream, &values).iter().zip(&values) {
            let text = String::from_utf8_lossy(value.as_ref().unwrap());
            assert_eq!(*outcome, Outcome::Accepted { event_time_us: NOW * 1000 }, "{text}");
        }
    }
}

#[test]
fn bad_events_are_rejected_with_their_class() {
    for stream in [Stream::Health, Stream::Sales, Stream::Trades] {
        for class in CLASSES {
            let values: Vec<_> =
                (0..50).map(|seed| bad(stream, class, 1, &mut Rng::new(seed), NOW)).collect();
            for (outcome, value) in outcomes(stream, &values).iter().zip(&values) {
                let text = String::from_utf8_lossy(value.as_deref().unwrap_or_default());
                assert_eq!(*outcome, Outcome::Rejected(class), "{text:.600}");
            }
        }
    }
}
