//! Every reject class, by table.

use super::support::*;
use crate::class::RejectClass::{self, *};
use crate::contract::{Contract, Limits};
use crate::decode::Outcome;

/// Value, class, field, and a part of the message.
type Case<'a> = (&'a str, RejectClass, Option<&'a str>, &'a str);

fn check(contract: &Contract, cases: &[Case<'_>]) {
    for (text, class, path, part) in cases {
        let row = decode(contract, &record(Some(text.as_bytes())));
        assert_eq!(row.outcome, Outcome::Rejected(*class), "{text}");
        assert_eq!((row.chunk.rejected, row.chunk.days[0]), (1, None), "{text}");
        assert_eq!(row.error("class").as_deref(), Some(class.name()), "{text}");
        assert_eq!(row.error("field").as_deref(), *path, "{text}");
        let message = row.error("message").unwrap();
        assert!(message.contains(part), "{text}: {message}");
        for field in &contract.fields {
            assert_eq!(row.cell(&field.name), None, "{text}: {}", field.name);
        }
        assert_eq!(row.cell("_value"), Some(format!("{:?}", text.as_bytes())));
        assert_eq!(row.cell("_headers"), Some(format!("{:?}", b"[]")));
        assert_eq!(row.error("contract_version").as_deref(), Some("1.2.3"));
    }
}

fn data(more: &str) -> String {
    event(&format!(",{more}"))
}

/// Values of one member of `data`, all of them wrong.
fn check_member(class: RejectClass, member: &str, values: &[(&str, &str)]) {
    for (value, part) in values {
        let text = data(&format!("\"{member}\":{value}"));
        check(&sample(), &[(&text, class, Some(&format!("data.{member}")), part)]);
    }
}

#[test]
fn the_sample_is_accepted() {
    assert_eq!(decode_text(&event("")).outcome, Outcome::Accepted { event_time_us: NOW_US });
}

#[test]
fn null_values() {
    let row = decode(&sample(), &record(None));
    assert_eq!(row.outcome, Outcome::Rejected(NullValue));
    assert_eq!(row.cell("_value"), None);
    assert_eq!(row.error("event_id"), None);
}

#[test]
fn not_utf8() {
    for bad in [&b"\xFF"[..], b"\xC0\x80", b"\xED\xA0\x80", b"abc\xE2\x82"] {
        let mut value = event("").into_bytes();
        value.splice(8..8, bad.iter().copied());
        let row = decode(&sample(), &record(Some(&value)));
        assert_eq!(row.outcome, Outcome::Rejected(NotUtf8), "{bad:?}");
        assert!(row.error("message").unwrap().contains("at byte "));
        assert_eq!(row.error("machine_id").as_deref(), Some("m1"));
        assert_eq!(row.cell("_value"), Some(format!("{value:?}")));
    }
}

#[test]
fn not_json() {
    let good = event("");
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "an object was expected"),
        ("  ".into(), "an object was expected"),
        ("[]".into(), "an object was expected"),
        ("null".into(), "an object was expected"),
        ("\"text\"".into(), "an object was expected"),
        (format!("\u{feff}{good}"), "a byte order mark"),
        (format!("{good} x"), "more text behind"),
        (format!("{good}{good}"), "more text behind"),
        (format!("{good}\0"), "more text behind"),
        (good[..good.len() - 1].into(), "',' or '}' was expected"),
        (good.replace("\"m1\"", "'m1'"), "a value was expected"),
        (good.replace("\"m1\"", "\"m\n1\""), "a control character"),
        (good.replace("\"m1\"", r#""m\ud800""#), "a lone surrogate"),
        (good.replace("\"m1\"", r#""m\udc00\ud800""#), "a lone surrogate"),
        (good.replace("\"m1\"", r#""m\x""#), "an unknown escape"),
        (good.replace("\"m1\"", r#""m\u00""#), "an incomplete"),
        (good.replace("229.5", "0229.5"), "a leading zero"),
        (good.replace("229.5", "229."), "a digit was expected"),
        (good.replace("229.5", ".5"), "a value was expected"),
        (good.replace("229.5", "+1"), "a value was expected"),
        (good.replace("229.5", "nan"), "a value was expected"),
        (good.replace("229.5", "NaNo"), "a value was expected"),
        (good.replace("229.5", "-Infinite"), "a digit was expected"),
        (good.replace("229.5", "0x10"), "',' or '}' was expected"),
        (good.replace("\"m1\"", "NaN"), "a value was expected"),
        (good.replace("\"m1\"", "nul"), "a value was expected"),
        (good.replace("{\"id\"", "{,\"id\""), "a member's name"),
        (good.replace("\"e1\",", "\"e1\",,"), "a member's name"),
        (good.replace("229.5", "229.5,"), "a member's name"),
        (good.replace("\"id\":", "\"id\" "), "':' was expected"),
        (good.replace("\"id\":", "id:"), "a member's name"),
        (data("\"new\":[1,]"), "a value was expected"),
        (data("\"new\":[NaN]"), "a value was expected"),
        (data("\"detail\":{\"a\":NaN}"), "a value was expected"),
        (data("\"new\":{\"a\":1"), "',' or '}' was expected"),
        (data(r#""n\ud800":1"#), "a lone surrogate"),
        (data(r#""new":["\ud800"]"#), "a lone surrogate"),
        (data(r#""voltage_v":1,"x":01"#), "',' or '}' was expected"),
    ];
    for (text, part) in &cases {
        let part = if text.contains("01}") { "a leading zero" } else { part };
        check(&sample(), &[(text, NotJson, None, part)]);
    }
}

#[test]
fn duplicate_members() {
    let good = event("");
    check(
        &sample(),
        &[
            (
                &good.replace("{\"id\"", "{\"id\":\"e0\",\"id\""),
                DuplicateMember,
                Some("id"),
                "byte 11",
            ),
            (
                &good.replace("{\"id\"", "{\"\\u0069d\":null,\"id\""),
                DuplicateMember,
                Some("id"),
                "second",
            ),
            (
                &good.replace("{\"id\"", "{\"id\":7,\"\\u0069d\":[],\"id\""),
                DuplicateMember,
                Some("id"),
                "",
            ),
            (&data("\"voltage_v\":1"), DuplicateMember, Some("data.voltage_v"), ""),
            (&data("\"new\":1,\"other\":2,\"new\":3"), DuplicateMember, Some("data.new"), ""),
            (&data("\"new\":1,\"n\\u0065w\":3"), DuplicateMember, Some("data.new"), ""),
            (
                &good.replace("{\"id\"", "{\"x\":1,\"y\":2,\"y\":1,\"x\":1,\"id\""),
                DuplicateMember,
                Some("y"),
                "",
            ),
            (&good.replace("{\"id\"", "{\"data\":null,\"id\""), DuplicateMember, Some("data"), ""),
            (
                &good.replace("{\"id\"", "{\"specversion\":1,\"specversion\":1,\"id\""),
                DuplicateMember,
                Some("specversion"),
                "",
            ),
            // Found first, although a wrong value stands before it.
            (
                &good.replace("\"e1\"", "1").replace("}}", "},\"x\":1,\"x\":2}"),
                DuplicateMember,
                Some("x"),
                "",
            ),
        ],
    );
    // The same name in two objects, or inside an unknown one, is no duplicate.
    for text in
        [data("\"id\":1"), data("\"new\":{\"a\":1,\"a\":2}"), data("\"detail\":{\"a\":1,\"a\":2}")]
    {
        assert!(matches!(decode_text(&text).outcome, Outcome::Accepted { .. }), "{text}");
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
    let row = decode(
        &sample(),
        &crate::decode::Record { timestamp_ms: None, ..record(Some(far.as_bytes())) },
    );
    assert!(matches!(row.outcome, Outcome::Accepted { .. }));
    assert_eq!(row.cell("_kafka_time"), None);
}

#[test]
fn too_large() {
    let good = event("");
    let mut contract = sample();
    contract.limits.value_bytes_max = good.len();
    assert!(matches!(
        decode(&contract, &record(Some(good.as_bytes()))).outcome,
        Outcome::Accepted { .. }
    ));
    let longer = format!("{good} ");
    check(
        &contract,
        &[
            (&longer, TooLarge, None, "more than the"),
            (&"[".repeat(999), TooLarge, None, "999 bytes"),
        ],
    );
    let row = decode(&contract, &record(Some(longer.as_bytes())));
    assert_eq!(row.error("event_id").as_deref(), Some("e1"));

    let mut contract = sample();
    contract.limits.extra_bytes_max = r#"{"x":"ab"}"#.len();
    let top = |value: &str| good.replace("{\"id\"", &format!("{{\"x\":{value},\"id\""));
    let row = decode(&contract, &record(Some(top("\"ab\"").as_bytes())));
    assert_eq!(row.cell("_extra").as_deref(), Some(r#"{"x":"ab"}"#));
    check(
        &contract,
        &[
            (&top("\"abc\""), TooLarge, Some("_extra"), "11 bytes"),
            (&data("\"x\":\"ab\""), TooLarge, Some("_extra"), ""),
            // Last in the order of faults.
            (&top("\"abc\"").replace("229.5", "-1"), OutOfRange, Some("data.voltage_v"), ""),
        ],
    );
}

#[test]
fn too_deep() {
    let mut contract = sample();
    contract.limits.depth_max = 3;
    let fits = data("\"detail\":[1,2],\"new\":[[]]").replace("[[]]", "{}");
    assert!(matches!(
        decode(&contract, &record(Some(fits.as_bytes()))).outcome,
        Outcome::Accepted { .. }
    ));
    let part = "nested deeper than 3";
    check(
        &contract,
        &[
            (&data("\"detail\":[[]]"), TooDeep, None, part),
            (&data("\"new\":{\"a\":{}}"), TooDeep, None, part),
            (&event("").replace("{\"id\"", "{\"x\":[[[]]],\"id\""), TooDeep, None, part),
            (&event("").replace("\"e1\"", "[[[1]]]"), TooDeep, None, part),
            // Whichever comes first in the text.
            (&data("\"new\":[[]],\"bad\":nix"), TooDeep, None, part),
            (&data("\"bad\":nix,\"new\":[[]]"), NotJson, None, ""),
            (&event("").replace("{\"id\"", "{\"id\":1,\"x\":[[[]]],\"id\""), TooDeep, None, part),
        ],
    );
    for (max, at) in [(0, "byte 0"), (1, "byte 80")] {
        contract.limits.depth_max = max;
        check(&contract, &[(&event(""), TooDeep, None, at)]);
    }
    // No depth of nesting costs the stack.
    contract.limits.depth_max = usize::MAX;
    check(&contract, &[(&format!("{{\"x\":{}", "[".repeat(500_000)), NotJson, None, "a value")]);
}

#[test]
fn identity_is_kept_where_it_can_be_read() {
    let text = r#"{"id":17,"subject":"m\u00e9","type":null,"time":"when","data":5}"#;
    let row = decode_text(text);
    assert_eq!(row.outcome, Outcome::Rejected(Missing));
    let identity = ["event_id", "event_type", "machine_id", "event_time"].map(|m| row.error(m));
    assert_eq!(identity, [Some("17".into()), None, Some("mé".into()), Some("when".into())]);

    let broken = &event("")[..60];
    let row = decode_text(broken);
    assert_eq!(row.outcome, Outcome::Rejected(NotJson));
    assert_eq!(row.error("event_id").as_deref(), Some("e1"));
    assert_eq!(row.error("event_time"), None);
}

#[test]
fn messages_cut_the_text() {
    let long = event("").replace("229.5", &format!("\"{}\"", "x".repeat(5000)));
    let message = decode_text(&long).error("message").unwrap();
    assert!(message.chars().count() < 200, "{message}");
}
