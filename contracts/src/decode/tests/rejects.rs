//! Rejects of whole records, by table: each class that concerns the text.

use super::support::*;
use crate::class::RejectClass::*;
use crate::decode::Outcome;

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
