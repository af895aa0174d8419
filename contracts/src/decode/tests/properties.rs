//! Properties: every record one row, values as an oracle reads them, both ways the same.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use proptest::prelude::*;

use super::generate::{Dice, any_contract, mutate, record_text, style};
use super::oracle::{self, Opinion};
use super::support::*;
use crate::class::RejectClass;
use crate::contract::Contract;
use crate::decode::{Chunk, Decoder, Outcome, Record};

/// Decodes the values in the quick and in the general way, checks that they agree and that every
/// record is one row, and gives the rows.
fn both_ways(contract: &Contract, records: &[Record<'_>]) -> (Vec<Outcome>, Chunk, usize) {
    let run = |general_only: bool| {
        let mut decoder = Decoder::new(Arc::new(contract.clone()), "s");
        decoder.general_only = general_only;
        let outcomes: Vec<Outcome> = records.iter().map(|record| decoder.push(record)).collect();
        assert_eq!(decoder.rows(), records.len());
        let bytes = decoder.bytes();
        let chunk = decoder.finish(1);
        (outcomes, chunk, bytes, decoder.quick)
    };
    let (outcomes, chunk, bytes, quick) = run(false);
    let (general_outcomes, general_chunk, general_bytes, _) = run(true);
    assert_eq!(outcomes, general_outcomes);
    assert_eq!(chunk.batch, general_chunk.batch);
    assert_eq!(chunk.days, general_chunk.days);
    assert_eq!(bytes, general_bytes);
    assert_eq!((chunk.batch.num_rows(), chunk.days.len()), (records.len(), records.len()));
    let rejected = outcomes.iter().filter(|o| matches!(o, Outcome::Rejected(_))).count();
    assert_eq!(chunk.rejected, rejected);
    (outcomes, chunk, quick)
}

/// Compares each row with the oracle's opinion.
fn check_against_oracle(
    contract: &Contract,
    records: &[Record<'_>],
    outcomes: &[Outcome],
    chunk: &Chunk,
) {
    let column = |name: &str| chunk.batch.column_by_name(name).unwrap();
    for (row, (record, outcome)) in records.iter().zip(outcomes).enumerate() {
        let text = String::from_utf8_lossy(record.value.unwrap_or_default());
        let cells = cells(&chunk.batch, contract.fields.len(), row);
        let opinion = oracle::judge(contract, record);
        match outcome {
            Outcome::Accepted { event_time_us } => {
                let extra = cell(column("_extra"), row);
                let time = contract.index_of("event_time").and_then(|c| cells[c].clone());
                assert_eq!(time, Some(event_time_us.to_string()), "{text}");
                let day = event_time_us.div_euclid(86_400_000_000) as i32;
                assert_eq!(chunk.days[row], Some(day), "{text}");
                assert_eq!(Opinion::Row(cells, extra), opinion, "{text}");
                assert!(column("_error").is_null(row), "{text}");
            }
            Outcome::Rejected(class) => {
                let errors = column("_error").as_struct();
                assert!(!column("_error").is_null(row), "{text}");
                assert_eq!(cell(errors.column(0), row).as_deref(), Some(class.name()));
                assert!(cells.iter().all(Option::is_none), "{text}");
                assert_eq!(chunk.days[row], None);
                let field = cell(errors.column(1), row);
                if contract.protects() {
                    check_protected(contract, record, (*class, &field), column("_value"), row);
                } else {
                    assert_eq!(cell(column("_value"), row), record.value.map(|v| format!("{v:?}")));
                }
                if opinion != Opinion::RejectSomehow {
                    assert_eq!(Opinion::Reject(*class, field), opinion, "{text}");
                }
            }
        }
    }
}

/// What is kept of a rejected record holds nothing that must not be stored, and read again it is
/// the same reject.
fn check_protected(
    contract: &Contract,
    record: &Record<'_>,
    (class, field): (RejectClass, &Option<String>),
    values: &dyn Array,
    row: usize,
) {
    use RejectClass::{NotJson, NotUtf8, NullValue, TooDeep};
    if values.is_null(row) {
        assert!(matches!(class, NotJson | NotUtf8 | NullValue | TooDeep), "{class}");
        return;
    }
    let kept = values.as_binary::<i32>().value(row);
    oracle::check_redacted(contract, std::str::from_utf8(kept).unwrap());
    let again = decode(contract, &Record { value: Some(kept), ..*record });
    assert_eq!(again.outcome, Outcome::Rejected(class));
    assert_eq!(&again.error("field"), field);
    assert_eq!(again.cell("_value"), Some(format!("{kept:?}")));
}

fn records(values: &[Option<Vec<u8>>], dice: &mut Dice<'_>) -> Vec<(Option<Vec<u8>>, Option<i64>)> {
    let time = |dice: &mut Dice<'_>| if dice.one_in(8) { None } else { Some(NOW_MS) };
    values.iter().map(|value| (value.clone(), time(dice))).collect()
}

/// A sequence of records in a few styles, some of them damaged.
fn run(contract: &Contract, dice: &mut Dice<'_>, damage: usize) -> (usize, usize) {
    let styles: Vec<_> = (0..1 + dice.below(3)).map(|_| style(dice)).collect();
    let mut values = Vec::new();
    for _ in 0..1 + dice.below(24) {
        let style = &styles[dice.below(styles.len())];
        let mut value = record_text(contract, style, dice).into_bytes();
        if dice.one_in(damage) {
            mutate(&mut value, dice);
        }
        values.push(if dice.one_in(64) { None } else { Some(value) });
    }
    let owned = records(&values, dice);
    let records: Vec<Record<'_>> = owned
        .iter()
        .enumerate()
        .map(|(i, (value, timestamp_ms))| Record {
            offset: i as i64,
            timestamp_ms: *timestamp_ms,
            ..record(value.as_deref())
        })
        .collect();
    let (outcomes, chunk, quick) = both_ways(contract, &records);
    check_against_oracle(contract, &records, &outcomes, &chunk);
    (outcomes.len() - chunk.rejected, quick)
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..3000)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_are_one_row(values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..64)), 1..8)) {
        let records: Vec<Record<'_>> = values.iter().map(|v| record(v.as_deref())).collect();
        let (outcomes, chunk, _) = both_ways(&sample(), &records);
        check_against_oracle(&sample(), &records, &outcomes, &chunk);
    }

    #[test]
    fn records_of_the_sample(choices in choices()) {
        run(&sample(), &mut Dice(&choices), 6);
    }

    #[test]
    fn damaged_records_of_the_sample(choices in choices()) {
        run(&sample(), &mut Dice(&choices), 2);
    }

    #[test]
    fn records_of_any_contract(choices in choices()) {
        let mut dice = Dice(&choices);
        let contract = any_contract(&mut dice);
        run(&contract, &mut dice, 6);
    }
}

/// The properties above mean something only if both ways are really taken.
#[test]
fn generated_records_take_both_ways_often() {
    let mut random = 0x2545_F491_4F6C_DD1Du64;
    let (mut accepted, mut quick) = (0, 0);
    for _ in 0..100 {
        let choices: Vec<u16> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u16
        })
        .take(1500)
        .collect();
        let (a, q) = run(&sample(), &mut Dice(&choices), 6);
        accepted += a;
        quick += q;
    }
    assert!(quick > 100 && accepted - quick > 100, "{quick} of {accepted}");
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}
