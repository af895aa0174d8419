//! Rejects for one member's value, by table: each class that concerns the contract.

use super::support::*;
use crate::class::RejectClass::{self, *};
use crate::contract::Limits;
use crate::decode::{Outcome, Record};

/// Values of one member of `data`, all of them wrong.
fn check_member(class: RejectClass, member: &str, values: &[(&str, &str)]) {
    for (value, part) in values {
        let text = data(&format!("\"{member}\":{value}"));
        check(&sample(), &[(&text, class, Some(&format!("data.{member}")), part)]);
    }
}

#[test]
fn missing_members() {
    let good = event("");
    let b = good.replace("t.a", "t.b");
    check(
        &sample(),
        &[
            ("{}", Missing, Some("type"), "absent or null"),
            (&good.replace("\"id\":\"e1\",", ""), Missing, Some("id"), "events of type t.a"),
            (&good.replace("\"e1\"", "null"), Missing, Some("id"), ""),
            (&good.replace("\"t.a\"", "null"), Missing, Some("type"), "required, but"),
            (&good.replace("\"time\":", "\"tine\":"), Missing, Some("time"), ""),
            (&good.replace("\"voltage_v\":229.5", ""), Missing, Some("data.voltage_v"), "t.a"),
            (&good.replace("229.5", "null"), Missing, Some("data.voltage_v"), ""),
            (&good.replace("{\"voltage_v\":229.5}", "null"), Missing, Some("data.voltage_v"), ""),
            (&good.replace("\"data\"", "\"date\""), Missing, Some("data.voltage_v"), ""),
            (&b, Missing, Some("data.price"), "events of type t.b"),
            // The first in the contract's order, whatever the order of members.
            (&good.replace("\"e1\"", "null").replace("\"m1\"", "null"), Missing, Some("id"), ""),
        ],
    );
    let b = event(",\"price\":1").replace("t.a", "t.b").replace("\"voltage_v\":229.5,", "");
    assert!(matches!(decode_text(&b).outcome, Outcome::Accepted { .. }), "{b}");
}

#[test]
fn wrong_types() {
    let good = event("");
    check(
        &sample(),
        &[
            (&good.replace("\"e1\"", "17"), WrongType, Some("id"), "expected a string, found 17"),
            (&good.replace("\"e1\"", "[\"e1\"]"), WrongType, Some("id"), "found [\"e1\"]"),
            (&good.replace("\"t.a\"", "true"), WrongType, Some("type"), "found true"),
            (
                &good.replace("\"2026-11-21T10:15:30.123Z\"", "1795256130"),
                WrongType,
                Some("time"),
                "a time",
            ),
            (
                &good.replace("{\"voltage_v\":229.5}", "5"),
                WrongType,
                Some("data"),
                "expected an object, found 5",
            ),
            (&good.replace("{\"voltage_v\":229.5}", "[{}]"), WrongType, Some("data"), "found [{}]"),
            (&good.replace("229.5", "\"229.5\""), WrongType, Some("data.voltage_v"), "a number"),
        ],
    );
    check_member(
        WrongType,
        "count",
        &[
            ("5.0", "an integer"),
            ("5e0", "an integer"),
            ("1.5", "an integer"),
            ("\"5\"", "an integer"),
            ("{}", ""),
        ],
    );
    check_member(
        WrongType,
        "total",
        &[("5.0", "an integer"), ("true", "an integer"), ("\"9007199254740993\"", "")],
    );
    check_member(WrongType, "price", &[("\"1.50\"", "a number"), ("[]", "a number")]);
    check_member(WrongType, "open", &[("1", "true or false"), ("\"true\"", "true or false")]);
    check_member(WrongType, "since", &[("20260131", "a date")]);
    check_member(
        WrongType,
        "detail",
        &[("\"{}\"", "an object or an array"), ("1", ""), ("false", "")],
    );
    check_member(WrongType, "power", &[("false", "a string")]);
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn out_of_range() {
    check_member(
        OutOfRange,
        "count",
        &[
            ("2147483648", "does not fit a 32-bit integer"),
            ("-6", "below the minimum -5"),
            ("-2147483649", "does not fit"),
            ("99999999999999999999", "does not fit"),
            ("NaN", "not a finite number"),
            ("-Infinity", "not a finite number"),
        ],
    );
    check_member(OutOfRange, "level", &[("3", "3 is not one of: 1, 2, 30"), ("-1", "not one of")]);
    check_member(
        OutOfRange,
        "total",
        &[
            ("9223372036854775808", "9223372036854775808 does not fit a 64-bit integer"),
            ("-9223372036854775809", "does not fit"),
            ("Infinity", "not a finite number"),
        ],
    );
    check_member(
        OutOfRange,
        "price",
        &[
            ("0.00001", "more than 4 digits behind the point"),
            ("1e-5", "not rounded"),
            ("100000000000000", "does not fit decimal(18,4)"),
            ("1e400", "does not fit decimal(18,4)"),
            ("-1.0001", "below the minimum -1.0000"),
            ("12345678901234.5679", "above the maximum 12345678901234.5678"),
            ("NaN ", "not a finite number"),
        ],
    );
    check_member(
        OutOfRange,
        "power",
        &[("\"solar\"", "\"solar\" is not one of: mains, battery"), ("\"\"", "")],
    );
    let good = event("");
    check(
        &sample(),
        &[
            (
                &good.replace("229.5", "1e400"),
                OutOfRange,
                Some("data.voltage_v"),
                "does not fit a double",
            ),
            (
                &good.replace("229.5", "-1e-9"),
                OutOfRange,
                Some("data.voltage_v"),
                "below the minimum 0",
            ),
            (
                &good.replace("229.5", "300.50001"),
                OutOfRange,
                Some("data.voltage_v"),
                "above the maximum 300.5",
            ),
            (
                &good.replace("229.5", "NaN"),
                OutOfRange,
                Some("data.voltage_v"),
                "NaN is not a finite number",
            ),
            (
                &good.replace("229.5", "Infinity"),
                OutOfRange,
                Some("data.voltage_v"),
                "not a finite",
            ),
            (&good.replace("t.a", "t.c"), OutOfRange, Some("type"), "\"t.c\" is no event type"),
            (
                &good.replace("{\"id\"", "{\"siteid\":\"x\",\"id\""),
                OutOfRange,
                Some("siteid"),
                "fewer than 2 characters",
            ),
            (
                &good.replace("{\"id\"", "{\"siteid\":\"ééésss\",\"id\""),
                OutOfRange,
                Some("siteid"),
                "more than 5 characters",
            ),
            (
                &good.replace("{\"id\"", "{\"siteid\":\"é\",\"id\""),
                OutOfRange,
                Some("siteid"),
                "fewer than 2",
            ),
            (
                &good.replace("{\"id\"", "{\"amount\":1e28,\"id\""),
                OutOfRange,
                Some("amount"),
                "decimal(38,10)",
            ),
            // An unknown type comes before what stands before it in the contract.
            (&good.replace("t.a", "t.c").replace("\"e1\"", "1"), OutOfRange, Some("type"), ""),
        ],
    );
}

#[test]
fn bad_times() {
    let time = |text: &str| event("").replace("2026-11-21T10:15:30.123Z", text);
    let min = Limits::default().event_time_min_us;
    check(
        &sample(),
        &[
            (&time(""), BadTime, Some("time"), "is not a time of the form"),
            (&time("yesterday"), BadTime, Some("time"), "\"yesterday\" is not a time"),
            (&time("2026-11-21T10:15:30"), BadTime, Some("time"), "has no zone"),
            (&time("2026-11-21T10:15:60Z"), BadTime, Some("time"), "does not exist"),
            (&time("2026-11-31T10:15:00Z"), BadTime, Some("time"), "a day that does not exist"),
            (
                &time("2019-12-31T23:59:59.999999Z"),
                BadTime,
                Some("time"),
                "before the lower bound 2020-01-01T00:00:00.000000Z",
            ),
            (&time("1970-01-01T00:00:00Z"), BadTime, Some("time"), "before the lower bound"),
            (
                &time("2026-11-21T11:15:30.123001Z"),
                BadTime,
                Some("time"),
                "after 2026-11-21T11:15:30.123000Z",
            ),
            (&time("9999-12-31T23:59:59Z"), BadTime, Some("time"), "Kafka time"),
        ],
    );
    check_member(
        BadTime,
        "since",
        &[("\"2026-02-29\"", "does not exist"), ("\"2026-2-2\"", "is not a date")],
    );
    check_member(BadTime, "seen_at", &[("\"2026-11-21T10:15:30\"", "has no zone"), ("\"\"", "")]);
    for (text, us) in [
        ("2020-01-01T00:00:00Z", min),
        ("2026-11-21T11:15:30.123Z", NOW_US + 3_600_000_000),
        ("2026-11-21T11:15:30.1230009Z", NOW_US + 3_600_000_000),
        ("2026-11-21T12:15:30.123+01:00", NOW_US + 3_600_000_000),
    ] {
        assert_eq!(
            decode_text(&time(text)).outcome,
            Outcome::Accepted { event_time_us: us },
            "{text}"
        );
    }
    // Other times have no bounds; without a Kafka time the event's has none above.
    let old = data("\"seen_at\":\"1969-12-31T23:59:59Z\"");
    assert_eq!(decode_text(&old).cell("seen_at").as_deref(), Some("-1000000"));
    let far = time("9999-12-31T23:59:59Z");
    let row = decode(&sample(), &Record { timestamp_ms: None, ..record(Some(far.as_bytes())) });
    assert!(matches!(row.outcome, Outcome::Accepted { .. }));
    assert_eq!(row.cell("_kafka_time"), None);
}
