//! Any bytes as a topic's records, as a contract, as a rule, as records to draft from.
//!
//! The first byte says what the rest is. Records stand line by line and are decoded twice: by one
//! decoder that learns from them, and each by a decoder that knows nothing. Both must agree, every
//! record must be one row, and what is kept of a rejected record must be the same reject again.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_contract::contract::{Contract, parse};
use weir_contract::decode::{Chunk, Decoder, Outcome, Record};
use weir_contract::infer::Observer;
use weir_contract::privacy::HashKey;
use weir_contract::rule::Rule;

/// A heartbeat's contract, one with many rules, one that hashes and drops, and one of every type.
static CONTRACTS: LazyLock<Vec<Arc<Contract>>> = LazyLock::new(|| {
    let texts = [
        include_str!("../vending.health.yaml"),
        include_str!("../vending.inventory.yaml"),
        include_str!("../store.sales.yaml"),
        include_str!("every_type.yaml"),
    ];
    let read = |text: &&str| {
        let mut contract = parse("contract", text).expect("a contract");
        contract.hash_key = HashKey::new(&[7; 16]).ok();
        Arc::new(contract)
    };
    texts.iter().map(read).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    match first % 8 {
        which @ 0..=4 => decode(&CONTRACTS[usize::from(which) % 4], rest),
        5 => {
            if let Ok(text) = std::str::from_utf8(rest) {
                let _ = parse("contract", text);
            }
        }
        6 => {
            if let Ok(text) = std::str::from_utf8(rest) {
                let _ = Rule::parse("rule", text, &CONTRACTS[3].fields);
            }
        }
        _ => {
            let mut observer = Observer::new();
            rest.split(|byte| *byte == b'\n').for_each(|value| observer.observe(Some(value)));
            let draft = observer.draft("topic");
            assert!(parse("draft", &draft).is_ok(), "{draft}");
        }
    }
});

fn record(offset: i64, value: &[u8]) -> Record<'_> {
    Record {
        partition: 0,
        offset,
        timestamp_ms: Some(1_795_256_130_123),
        key: None,
        value: Some(value),
        headers: &[],
    }
}

fn alone(contract: &Arc<Contract>, offset: i64, value: &[u8]) -> (Outcome, Chunk) {
    let mut decoder = Decoder::new(contract.clone(), "s");
    (decoder.push(&record(offset, value)), decoder.finish(1))
}

fn decode(contract: &Arc<Contract>, data: &[u8]) {
    let mut decoder = Decoder::new(contract.clone(), "s");
    let values: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let outcomes: Vec<Outcome> =
        (0..).zip(&values).map(|(offset, value)| decoder.push(&record(offset, value))).collect();
    let chunk = decoder.finish(1);
    assert_eq!(chunk.batch.num_rows(), values.len());
    for (row, (value, outcome)) in values.iter().zip(outcomes).enumerate() {
        let (expected, single) = alone(contract, row as i64, value);
        assert_eq!(outcome, expected);
        assert_eq!(chunk.batch.slice(row, 1), single.batch);
        assert_eq!(chunk.days[row], single.days[0]);
        if let Outcome::Rejected(_) = outcome {
            again(contract, row as i64, &single, outcome);
        }
    }
}

/// What was kept of a rejected record is rejected as the record was.
fn again(contract: &Arc<Contract>, offset: i64, chunk: &Chunk, outcome: Outcome) {
    let value = chunk.batch.column_by_name("_value").expect("_value");
    let value = value.as_any().downcast_ref::<arrow_array::BinaryArray>().expect("bytes");
    // Hashes are longer than what they replace, and may take the text beyond its cap.
    let bytes_max = contract.limits.value_bytes_max;
    if value.iter().flatten().any(|kept| kept.len() <= bytes_max) {
        assert_eq!(alone(contract, offset, value.value(0)).0, outcome);
    }
}
