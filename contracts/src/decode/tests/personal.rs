//! What is hashed or dropped: in no column of an accepted or a rejected row does it stand.

use std::sync::Arc;

use arrow_array::Array;

use super::support::*;
use crate::class::RejectClass;
use crate::contract::{Contract, FieldType, Path, Policy};
use crate::decode::{Decoder, Outcome, Record};
use crate::privacy::HashKey;

const SECRET: &str = "secret";

fn key() -> HashKey {
    HashKey::new(b"0123456789abcdef").unwrap()
}

fn hashed(value: &str) -> String {
    let mut out = Vec::new();
    key().hash(value.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

/// The sample with `data.card` hashed, `data.mail` and `mail` dropped, `person.name` hashed.
fn protected() -> Contract {
    let mut contract = sample();
    for path in ["data.card", "person.name"] {
        let name = path.split_once('.').unwrap().1;
        contract.fields.push(field(name, path, FieldType::String));
        contract.fields.last_mut().unwrap().hashed = true;
    }
    let path =
        |object: Option<&str>| Path { object: object.map(str::to_owned), member: "mail".into() };
    contract.dropped = vec![path(Some("data")), path(None)];
    contract.hash_key = Some(key());
    contract
}

/// Nothing in the row holds [`SECRET`]; the row.
#[track_caller]
fn clean(contract: &Contract, text: &str) -> Row {
    let headers: &[(&str, Option<&[u8]>)] = &[("who", Some(b"secret"))];
    let row = decode(contract, &Record { headers, ..record(Some(text.as_bytes())) });
    let shown = format!("{:?}", row.chunk.batch).to_lowercase();
    assert!(!shown.contains(SECRET), "{text}: {shown}");
    for column in ["_value", "_headers", "_extra", "_key"] {
        let bytes = row.cell(column).unwrap_or_default();
        // Bytes are shown as numbers.
        assert!(!bytes.contains("115, 101, 99, 114, 101, 116"), "{text}: {column} {bytes}");
        assert!(!bytes.contains(SECRET), "{text}: {column} {bytes}");
    }
    row
}

#[test]
fn accepted_rows_hold_hashes_and_no_dropped_member() {
    let contract = protected();
    let text = r#"{"mail":"secret","id":"e1","subject":"m1","type":"t.a","time":"2026-11-21T10:15:30.123Z",
        "data":{"card":"secr\u0065t","voltage_v":229.5,"mail":{"a":["secret"]}},"person":{"name":""},"more":1}"#;
    let row = clean(&contract, text);
    assert_eq!(row.outcome, Outcome::Accepted { event_time_us: NOW_US });
    assert_eq!(row.cell("card"), Some(hashed(SECRET)));
    assert_eq!(row.cell("name"), Some(hashed("")));
    assert_eq!(row.cell("_extra").as_deref(), Some(r#"{"more":1}"#));
    assert_eq!(decode_after(&contract, &[text.into(), text.into()], text), row.chunk.batch);
    assert!(row.chunk.batch.schema().column_with_name("mail").is_none());
}

#[test]
fn rejected_rows_keep_all_but_what_is_protected() {
    let contract = protected();
    let reject = |more: &str| data(&format!(r#""count":"x",{more}"#));
    for (more, kept) in [
        (
            r#""card":"secret","mail":"secret""#,
            format!(r#""card":"{}","mail":null"#, hashed(SECRET)),
        ),
        (r#""card" : {"a":"secret"} ,"mail":[1]"#, r#""card" : {} ,"mail":null"#.into()),
        (r#""card":["secret"],"since":"2026-01-01""#, r#""card":[],"since":"2026-01-01""#.into()),
        (r#""card":null,"open":true"#, r#""card":null,"open":true"#.into()),
        (r#""\u0063ard":-1.5e3,"x":{}"#, r#""\u0063ard":0,"x":{}"#.into()),
        (r#""card":true,"card":"secret""#, format!(r#""card":false,"card":"{}""#, hashed(SECRET))),
    ] {
        let row = clean(&contract, &reject(more));
        let expected = format!("{:?}", reject(&kept).as_bytes());
        assert_eq!(row.cell("_value"), Some(expected), "{more}");
        assert_eq!(row.cell("_headers"), None);
        // Read again, it is the same reject; without its fault it is the row that it would be.
        let again = decode(&contract, &record(Some(reject(&kept).as_bytes())));
        assert_eq!(again.outcome, row.outcome, "{more}");
        assert_eq!(again.cell("_value"), row.cell("_value"), "{more}");
    }
    let mended = reject(&format!(r#""card":"{}""#, hashed(SECRET))).replace("\"x\"", "1");
    assert_eq!(
        decode(&contract, &record(Some(mended.as_bytes()))).cell("card"),
        Some(hashed(SECRET))
    );
}

#[test]
fn an_object_that_is_none_may_hold_anything() {
    let contract = protected();
    let text =
        event("").replace("\"data\":{\"voltage_v\":229.5}", "\"data\":[{\"card\":\"secret\"}]");
    let row = clean(&contract, &text);
    assert_eq!(row.outcome, Outcome::Rejected(RejectClass::WrongType));
    assert_eq!(row.error("message").as_deref(), Some("expected an object"));
    let kept = text.replace(r#"[{"card":"secret"}]"#, "[]");
    assert_eq!(row.cell("_value"), Some(format!("{:?}", kept.as_bytes())));
}

#[test]
fn what_cannot_be_read_is_not_kept() {
    let mut contract = protected();
    contract.limits.value_bytes_max = 300;
    let long = data(&format!(r#""card":"secret","detail":"{}""#, "x".repeat(300)));
    let deep = data(&format!(r#""card":"secret","detail":{}"#, "[".repeat(33) + &"]".repeat(33)));
    for (text, class) in [
        (data(r#""card":"secret"#), RejectClass::NotJson),
        ("secret".into(), RejectClass::NotJson),
        (long, RejectClass::TooLarge),
        (deep, RejectClass::TooDeep),
    ] {
        let row = clean(&contract, &text);
        assert_eq!(row.outcome, Outcome::Rejected(class), "{text}");
        assert_eq!(row.cell("_value"), None, "{text}");
        let message = row.error("message").unwrap();
        assert!(
            message.ends_with("its value is not kept, for the contract hashes or drops members")
        );
    }
    let row = decode(&contract, &record(Some(b"\xFFsecret")));
    assert_eq!((row.outcome, row.cell("_value")), (Outcome::Rejected(RejectClass::NotUtf8), None));
}

#[test]
fn keys_follow_their_policy() {
    let mut contract = sample();
    contract.hash_key = Some(key());
    let mut kept = |policy| {
        contract.key_policy = policy;
        let text = event("");
        let row =
            decode(&contract, &Record { key: Some(b"secret"), ..record(Some(text.as_bytes())) });
        row.cell("_key")
    };
    assert_eq!(kept(Policy::Keep), Some(format!("{:?}", b"secret")));
    assert_eq!(kept(Policy::Hash), Some(format!("{:?}", hashed(SECRET).as_bytes())));
    assert_eq!(kept(Policy::Drop), None);
}

#[test]
#[should_panic(expected = "contract test hashes, but has no key")]
fn no_decoder_without_the_key() {
    let mut contract = protected();
    contract.hash_key = None;
    drop(Decoder::new(Arc::new(contract), "s"));
}

#[test]
fn the_hash_is_of_the_column_alone() {
    let contract = protected();
    let row = clean(&contract, &data(r#""card":"secret""#));
    let card = row.chunk.batch.column_by_name("card").unwrap();
    assert_eq!(card.data_type(), &arrow_schema::DataType::Utf8);
    assert_eq!(row.cell("_error"), None);
}
