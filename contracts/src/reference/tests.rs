//! Files read, loads planned, and the truth that the rows add up to.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, BooleanArray};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use proptest::prelude::*;

use super::*;
use crate::contract::{Allowed, Bound, Field, FieldType, Kind, Path, Requirement};
use crate::rule::Rule;

fn field(name: &str, kind: FieldType, required: bool) -> Field {
    Field {
        name: name.into(),
        path: Path { object: Some("data".into()), member: name.into() },
        kind,
        required: if required { Requirement::Always } else { Requirement::Never },
        allowed: Allowed::default(),
        hashed: false,
        description: String::new(),
    }
}

/// Key `id` and `slot`; attributes of every type.
fn reference() -> Reference {
    let mut fields = vec![
        field("id", FieldType::String, true),
        field("slot", FieldType::Int, true),
        field("kind", FieldType::String, false),
        field("price", FieldType::Decimal { precision: 18, scale: 4 }, false),
        field("limit_c", FieldType::Double, false),
        field("cold", FieldType::Boolean, false),
        field("since", FieldType::Date, false),
        field("codes", FieldType::Json, false),
        field("count", FieldType::Long, false),
        field("valid_from", FieldType::Timestamp, true),
        field("valid_to", FieldType::Timestamp, false),
    ];
    fields[0].allowed = Allowed { length_max: Some(4), length_min: Some(2), ..Allowed::default() };
    fields[2].allowed.values = vec!["snack".into(), "drinks".into()];
    fields[3].allowed.minimum = Some(Bound::Exact(0));
    fields[4].allowed.maximum = Some(Bound::Double(10.0));
    let text = "not cold or limit_c < 9 and valid_from < timestamp '2100-01-01T00:00:00Z'";
    let rule = Rule::parse("cold_is_cold", text, &fields).unwrap();
    let contract = Contract {
        id: "ref.things".into(),
        version: "1.0.0".into(),
        fields,
        kind: Kind::Reference { key: vec![0, 1] },
        rules: vec![rule],
        ..Contract::default()
    };
    Reference::of(Arc::new(contract)).unwrap()
}

fn read_ok(text: &str) -> Stated {
    read(&reference(), text.as_bytes()).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn mistakes(text: &[u8]) -> Vec<String> {
    let mistakes = read(&reference(), text).expect_err("mistakes");
    assert_eq!(mistakes.count, mistakes.told.len());
    mistakes.told.iter().map(ToString::to_string).collect()
}

/// The rows that count, of all rows that were ever appended.
fn counting(reference: &Reference, rows: &RecordBatch) -> RecordBatch {
    let loads = rows.column(reference.contract.fields.len()).as_primitive::<Int64Type>();
    let columns: Vec<usize> = reference.key.iter().copied().chain([reference.valid_from]).collect();
    let keys = plan::rows_of(&columns, &[rows]).unwrap().remove(0);
    let mut newest = BTreeMap::new();
    for row in 0..rows.num_rows() {
        let of = newest.entry(keys.row(row)).or_insert(row);
        assert!(*of == row || loads.value(*of) != loads.value(row), "twice in one load");
        if loads.value(row) > loads.value(*of) {
            *of = row;
        }
    }
    let times = |c: usize| rows.column(c).as_primitive::<TimestampMicrosecondType>();
    let (from, to) = (times(reference.valid_from), times(reference.valid_to));
    let holds = |row: usize| to.is_null(row) || to.value(row) > from.value(row);
    let kept: BooleanArray =
        (0..rows.num_rows()).map(|row| Some(newest[&keys.row(row)] == row && holds(row))).collect();
    let all: Vec<usize> = (0..reference.contract.fields.len()).collect();
    filter_record_batch(rows, &kept).unwrap().project(&all).unwrap()
}

/// A table, load by load.
struct Table {
    reference: Reference,
    rows: RecordBatch,
    loads: i64,
}

impl Table {
    fn new() -> Table {
        let reference = reference();
        let none = Stated { rows: RecordBatch::new_empty(reference.schema()) };
        let rows = plan(&reference, &none.rows, &none, None).unwrap().batch(0).unwrap();
        Table { reference, rows, loads: 0 }
    }

    fn now(&self) -> RecordBatch {
        counting(&self.reference, &self.rows)
    }

    fn load(&mut self, text: &str, full: Option<i64>) -> Counts {
        let stated = read(&self.reference, text.as_bytes()).unwrap();
        let plan = plan(&self.reference, &self.now(), &stated, full).unwrap();
        if !plan.is_empty() {
            self.loads += 1;
            let batch = plan.batch(self.loads).unwrap();
            self.rows = concat_batches(&batch.schema(), [&self.rows, &batch]).unwrap();
        }
        let Counts { added, changed, ended, withdrawn, .. } = plan.counts;
        assert_eq!(added + changed + ended + withdrawn, plan.len());
        plan.counts
    }

    /// `id kind from..to` in days, sorted.
    fn says(&self) -> Vec<String> {
        let now = self.now();
        let (ids, kinds) = (now.column(0).as_string::<i32>(), now.column(2).as_string::<i32>());
        let times = |c: usize| now.column(c).as_primitive::<TimestampMicrosecondType>();
        let (from, to) = (times(9), times(10));
        let day = |us: i64| us / time::DAY_US - day("2026-01-01") / time::DAY_US;
        let mut lines: Vec<String> = (0..now.num_rows())
            .map(|row| {
                let to = to.is_valid(row).then(|| day(to.value(row)).to_string());
                let (id, kind) = (ids.value(row), kinds.value(row));
                format!("{id} {kind} {}..{}", day(from.value(row)), to.unwrap_or_default())
            })
            .collect();
        lines.sort();
        lines
    }
}

use crate::time;

fn day(text: &str) -> i64 {
    i64::from(time::day(text.as_bytes()).unwrap()) * time::DAY_US
}

/// A file of rows `id kind from..to`, in days of January 2026 counted from 0.
fn file(rows: &[&str]) -> String {
    let mut text = "id,slot,kind,valid_from,valid_to\n".to_owned();
    for row in rows {
        let parts: Vec<&str> = row.split(' ').collect();
        let (from, to) = parts[2].split_once("..").unwrap();
        let at = |day: &str| match day.parse::<u32>() {
            Ok(day) => format!("2026-01-{:02}T00:00:00Z", day + 1),
            Err(_) => String::new(),
        };
        text += &format!("{},1,{},{},{}\n", parts[0], parts[1], at(from), at(to));
    }
    text
}

#[test]
fn values_are_read_exactly() {
    let text = "\u{feff}valid_from,slot,id,kind,price,limit_c,cold,since,codes,count\r\n\
        2026-01-01T02:00:00.5+02:00,7,m-1,snack,1.10,-0.0,TRUE,2025-02-28,\"[\"\"a\"\",1]\",-9\r\n\
        2026-01-01T00:00:00Z,8,\"é,\n\",,,,,,,\r\n";
    let rows = read_ok(&text.replace("\"é,\n\"", "\"é,\"")).rows;
    assert_eq!(rows.schema(), reference().schema());
    assert_eq!(rows.column(0).as_string::<i32>().value(1), "é,");
    assert_eq!(rows.column(1).as_primitive::<Int32Type>().values(), &[7, 8]);
    assert_eq!(rows.column(3).as_primitive::<Decimal128Type>().value(0), 11_000);
    let double = rows.column(4).as_primitive::<Float64Type>().value(0);
    assert!(double == 0.0 && double.is_sign_positive());
    assert!(rows.column(5).as_boolean().value(0));
    assert_eq!(rows.column(7).as_string::<i32>().value(0), "[\"a\",1]");
    assert_eq!(rows.column(8).as_primitive::<Int64Type>().value(0), -9);
    let from = rows.column(9).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(from.value(0), day("2026-01-01") + 500_000);
    assert!((2..=8).all(|column| rows.column(column).is_null(1)));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let text = b"id,slot,kind,price,limit_c,cold,since,codes,count,valid_from,valid_to\n\
        m,1,snacks,-1,11,yes,2026-02-30,[1,1.5,2026-01-01,\n\
        m-1,3000000000,x,0.00001,inf,,,,,2026-01-01T00:00:00Z,\n\
        m-1,1\n\
        ,1,,,,,,,,2026-01-01T00:00:00Z,\n\
        m-2 ,1,,,,,,{},,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n\
        m-\xff,1,,,,,,,,,\n\
        m-3,1,,,9.5,true,,,,2026-01-01T00:00:00Z,\n";
    let expected = [
        "2: id \"m\" is shorter than 2 characters",
        "2: kind \"snacks\" is not allowed; did you mean snack?",
        "2: price \"-1\" is less than the contract's minimum",
        "2: limit_c \"11\" is greater than the contract's maximum",
        "2: cold \"yes\" is neither true nor false",
        "2: since \"2026-02-30\" names a day that does not exist",
        "2: codes \"[1\" is not a JSON object or array",
        "2: count \"1.5\" is not a whole number in decimal digits",
        "2: valid_from \"2026-01-01\" is not a time of the form 2026-01-31T23:59:59.123Z",
        "3: slot \"3000000000\" lies outside of -2147483648 to 2147483647",
        "3: kind \"x\" is not one of snack, drinks",
        "3: price \"0.00001\" does not fit: the column has only 4 digits behind the point",
        "3: limit_c \"inf\" is no finite number",
        "4: the row has 2 fields, the header names 11",
        "5: id is empty; the contract requires it",
        "6: id \"m-2 \" has a blank at its beginning or end; remove it",
        "7: id is not UTF-8",
        "8: the rule cold_is_cold does not hold: not cold or limit_c < 9 and \
         valid_from < timestamp '2100-01-01T00:00:00Z'",
    ];
    assert_eq!(mistakes(text), expected);
    let header = mistakes(b"id,slot,kinds,id,colour\nm-1,1,,,\n");
    assert_eq!(
        header,
        [
            "1: unknown column \"kinds\" in the header; did you mean kind?",
            "1: the header names \"id\" twice",
            "1: unknown column \"colour\" in the header; the contract ref.things has no such column",
            "1: the header lacks the required column valid_from",
        ]
    );
    assert_eq!(mistakes(b""), ["1: the file is empty; its first line names the columns"]);
    let ends = file(&["m-1 snack 3..3"]);
    assert_eq!(mistakes(ends.as_bytes()), ["2: valid_to is not after valid_from"]);
}

#[test]
fn many_mistakes_are_counted() {
    let text = file(&["x snack 1.."; MISTAKES_MAX + 5]);
    let mistakes = read(&reference(), text.as_bytes()).unwrap_err();
    assert_eq!((mistakes.told.len(), mistakes.count), (MISTAKES_MAX, MISTAKES_MAX + 5));
}

#[test]
fn overlaps_in_one_file_are_refused() {
    let text = file(&["m-1 snack 1..5", "m-1 drinks 4..", "m-2 snack 1..", "m-2 snack 1.."]);
    let expected = [
        "3: overlaps line 2, which holds until 2026-01-06T00:00:00.000000Z",
        "5: a second row of its key from 2026-01-02T00:00:00.000000Z on; the first is line 4",
    ];
    assert_eq!(mistakes(text.as_bytes()), expected);
}

#[test]
fn a_load_appends_what_differs() {
    let mut table = Table::new();
    let first = file(&["m-1 snack 1..", "m-2 drinks 1.."]);
    assert_eq!(table.load(&first, None), Counts { added: 2, ..Counts::default() });
    // The same again, and the same from a later day on: nothing differs.
    assert_eq!(table.load(&first, None), Counts { unchanged: 2, ..Counts::default() });
    let later = file(&["m-1 snack 3.."]);
    assert_eq!(table.load(&later, None), Counts { unchanged: 1, ..Counts::default() });
    assert_eq!(table.loads, 1);
    // A change closes what held.
    let changed = table.load(&file(&["m-1 drinks 5.."]), None);
    assert_eq!(changed, Counts { added: 1, ended: 1, ..Counts::default() });
    assert_eq!(table.says(), ["m-1 drinks 5..", "m-1 snack 1..5", "m-2 drinks 1.."]);
    // An end.
    let ended = table.load(&file(&["m-2 drinks 1..9"]), None);
    assert_eq!(ended, Counts { ended: 1, ..Counts::default() });
    // A correction of the past, and what it makes void.
    let corrected = table.load(&file(&["m-1 drinks 2..4", "m-1 snack 4.."]), None);
    assert_eq!(corrected, Counts { added: 2, ended: 1, withdrawn: 1, ..Counts::default() });
    assert_eq!(
        table.says(),
        ["m-1 drinks 2..4", "m-1 snack 1..2", "m-1 snack 4..", "m-2 drinks 1..9"]
    );
    // What was withdrawn can be stated again.
    table.load(&file(&["m-1 drinks 5.."]), None);
    assert!(table.says().contains(&"m-1 drinks 5..".to_owned()), "{:?}", table.says());
    // No row was ever touched: the table as of an earlier load is still there.
    assert_eq!(table.loads, 5);
}

#[test]
fn a_row_without_end_holds_until_the_next_of_its_key() {
    let mut table = Table::new();
    table.load(&file(&["m-1 drinks 5..", "m-1 snack 1..", "m-1 drinks 9..12"]), None);
    assert_eq!(table.says(), ["m-1 drinks 5..12", "m-1 snack 1..5"]);
}

#[test]
fn only_a_full_file_ends_what_it_does_not_name() {
    let mut table = Table::new();
    table.load(
        &file(&["m-1 snack 1..", "m-2 drinks 1..", "m-3 snack 1..4", "m-4 snack 20.."]),
        None,
    );
    let rest = file(&["m-1 snack 1.."]);
    assert_eq!(table.load(&rest, None).withdrawn, 0);
    let now = day("2026-01-11");
    let full = table.load(&rest, Some(now));
    assert_eq!(full, Counts { ended: 1, withdrawn: 1, unchanged: 1, ..Counts::default() });
    assert_eq!(table.says(), ["m-1 snack 1..", "m-2 drinks 1..10", "m-3 snack 1..4"]);
    let again = table.load(&rest, Some(now + time::DAY_US));
    assert_eq!(again, Counts { unchanged: 1, ..Counts::default() });
}

#[test]
fn a_table_whose_rows_overlap_is_not_planned_on() {
    let reference = reference();
    let rows = [read_ok(&file(&["m-1 snack 1..5"])).rows, read_ok(&file(&["m-1 snack 4.."])).rows];
    let now = concat_batches(&reference.schema(), &rows).unwrap();
    let error = plan(&reference, &now, &read_ok(&file(&[])), None).unwrap_err();
    assert!(error.contains("2026-01-02T00:00:00"), "{error}");
}

/// What a file and a table say of one key, day by day.
type Days = [Option<&'static str>; DAYS];
const DAYS: usize = 12;

fn rows_of_days(days: &[Option<usize>]) -> Vec<String> {
    let kinds = ["snack", "drinks"];
    let mut rows = Vec::new();
    let mut at = 0;
    while at < days.len() {
        let end = (at..days.len()).find(|d| days[*d] != days[at]).unwrap_or(days.len());
        if let Some(kind) = days[at] {
            rows.push(format!("m-1 {} {at}..{end}", kinds[kind]));
        }
        at = end;
    }
    rows
}

fn days_of(table: &Table) -> Days {
    let mut days = Days::default();
    for line in table.says() {
        let parts: Vec<&str> = line.split(' ').collect();
        let (from, to) = parts[2].split_once("..").unwrap();
        let to = to.parse().unwrap_or(DAYS);
        for day in &mut days[from.parse().unwrap()..to] {
            assert_eq!(*day, None, "two rows hold at once");
            *day = Some(if parts[1] == "snack" { "snack" } else { "drinks" });
        }
    }
    days
}

proptest! {
    /// After each load the table says what the file says from its first row on, and what it said
    /// before that; loading it again changes nothing.
    #[test]
    fn the_truth_is_the_file_over_what_was(
        files in prop::collection::vec(
            prop::collection::vec(prop::option::of(0..2usize), DAYS), 1..6),
    ) {
        let mut table = Table::new();
        for days in files {
            let rows = rows_of_days(&days);
            let text = file(&rows.iter().map(String::as_str).collect::<Vec<_>>());
            let before = days_of(&table);
            table.load(&text, None);
            let first = days.iter().position(Option::is_some).unwrap_or(DAYS);
            let kinds = ["snack", "drinks"];
            let expected: Vec<_> = (0..DAYS)
                .map(|d| if d < first { before[d] } else { days[d].map(|kind| kinds[kind]) })
                .collect();
            prop_assert_eq!(&days_of(&table)[..], &expected[..]);
            let loads = table.loads;
            table.load(&text, None);
            prop_assert_eq!(table.loads, loads);
        }
    }
}
