//! What accepted rows hold, and the reserved columns of all rows.

use std::sync::Arc;

use super::support::*;
use crate::class::RejectClass;
use crate::contract::{Contract, FieldType};
use crate::decode::{Decoder, Outcome, Record, raw_schema};

#[test]
fn every_type_takes_its_values() {
    let accepted: &[(&str, &str, &str)] = &[
        ("power", "\"mains\"", "mains"),
        ("power", "\"m\\u0061ins\"", "mains"),
        ("voltage_v", "0", "0.0"),
        ("voltage_v", "-0.0", "0.0"),
        ("voltage_v", "-1e-400", "0.0"),
        ("voltage_v", "3.005e2", "300.5"),
        ("voltage_v", "1e-400", "0.0"),
        ("voltage_v", "0.1", "0.1"),
        ("count", "-5", "-5"),
        ("count", "2147483647", "2147483647"),
        ("count", "-0", "0"),
        ("level", "30", "30"),
        ("total", "9223372036854775807", "9223372036854775807"),
        ("total", "-9223372036854775808", "-9223372036854775808"),
        ("price", "12345678901234.5678", "123456789012345678"),
        ("price", "1.50000000", "15000"),
        ("price", "1e-2", "100"),
        ("price", "-1", "-10000"),
        ("price", "0.0e9999999999", "0"),
        ("open", "true", "true"),
        ("open", "false", "false"),
        ("since", "\"2026-01-31\"", "20484"),
        ("since", "\"1969-12-31\"", "-1"),
        ("seen_at", "\"1970-01-01T00:00:00.0000019Z\"", "1"),
        ("detail", "{ \"a\" : [1, 2.50,\"\\u0041\"] }", "{ \"a\" : [1, 2.50,\"\\u0041\"] }"),
        ("detail", "[]", "[]"),
    ];
    for (member, value, expected) in accepted {
        let text = event("").replace("\"voltage_v\":229.5", &format!("\"{member}\":{value}"));
        let text = if *member == "voltage_v" {
            text
        } else {
            text.replace("\"data\":{", "\"data\":{\"voltage_v\":1,")
        };
        let row = decode_text(&text);
        assert!(
            matches!(row.outcome, Outcome::Accepted { .. }),
            "{text}: {:?}",
            row.error("message")
        );
        assert_eq!(row.cell(member).as_deref(), Some(*expected), "{text}");
        assert_eq!(row.chunk.days, [Some(20_778)]);
        for absent in ["_error", "_value", "_headers", "_extra", "_trace_id", "_key", "site_id"] {
            let column = row.chunk.batch.column_by_name(absent).unwrap();
            assert!(column.is_null(0), "{absent}");
        }
    }
    let nulls =
        "\"power\":null,\"count\":null,\"price\":null,\"open\":null,\"since\":null,\"detail\":null";
    let row = decode_text(&event(&format!(",{nulls}")));
    for name in ["power", "count", "price", "open", "since", "detail"] {
        assert_eq!(row.cell(name), None, "{name}");
    }
}

#[test]
fn white_space_and_escapes_are_allowed_everywhere() {
    let text = "\r\n\t{ \"\\u0069d\" : \"e\\n1\" ,\"subject\":\"\",\"type\":\"t\\u002ea\",\n\
                \"time\" :\t\"2026-11-21T10:15:30.123\\u005a\" , \"data\" : { \"voltage_v\" : 1 } } \n";
    let row = decode_text(text);
    assert_eq!(row.outcome, Outcome::Accepted { event_time_us: NOW_US });
    assert_eq!(row.cell("event_id").as_deref(), Some("e\n1"));
    assert_eq!(row.cell("machine_id").as_deref(), Some(""));
}

#[test]
fn unknown_members_are_kept_verbatim() {
    let text = event(",\"bar\":[1, 2]")
        .replace("{\"id\"", "{\"foo\": 1.50,\"specversion\":\"1.0\",\"id\"");
    let text = text.replace("}}", "},\"\\u0066\":{\"a\" :null},\"datacontenttype\":{}}");
    let row = decode_text(&text);
    let expected = r#"{"foo":1.50,"\u0066":{"a" :null},"data":{"bar":[1, 2]}}"#;
    assert_eq!(row.cell("_extra").as_deref(), Some(expected));
    let row = decode_text(&event(",\"bar\":1"));
    assert_eq!(row.cell("_extra").as_deref(), Some(r#"{"data":{"bar":1}}"#));
}

#[test]
fn envelope_members_can_be_columns() {
    let mut contract = sample();
    contract.fields.push(field("spec", "specversion", FieldType::String));
    contract.fields.last_mut().unwrap().allowed.values = vec!["1.0".into()];
    let text = |version: &str| {
        event("").replace("{\"id\"", &format!("{{\"specversion\":\"{version}\",\"id\""))
    };
    let row = decode(&contract, &record(Some(text("1.0").as_bytes())));
    assert_eq!(row.cell("spec").as_deref(), Some("1.0"));
    let row = decode(&contract, &record(Some(text("0.3").as_bytes())));
    assert_eq!(row.error("field").as_deref(), Some("specversion"));
}

#[test]
fn an_object_can_be_a_column_and_hold_columns() {
    let mut contract = sample();
    contract.fields.push(field("whole", "data", FieldType::Json));
    for _ in 0..2 {
        let row = decode(&contract, &record(Some(event(", \"new\":1").as_bytes())));
        assert_eq!(row.cell("whole").as_deref(), Some("{\"voltage_v\":229.5, \"new\":1}"));
        assert_eq!(row.cell("voltage_v").as_deref(), Some("229.5"));
        assert_eq!(row.cell("_extra").as_deref(), Some("{\"data\":{\"new\":1}}"));
    }
    let bad = event("").replace("{\"voltage_v\":229.5}", "5");
    let row = decode(&contract, &record(Some(bad.as_bytes())));
    assert_eq!(row.error("field").as_deref(), Some("data.voltage_v"));
}

#[test]
fn reserved_columns_of_accepted_and_rejected_rows() {
    let parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers: &[(&str, Option<&[u8]>)] = &[("a", None), ("traceparent", Some(parent))];
    let rendered = "[[\"a\",null],[\"traceparent\",\"MDAtNGJmOTJmMzU3N2IzNGRhNmEzY2U5MjlkMGUwZTQ3MzYtMDBmMDY3YWEwYmE5MDJiNy0wMQ==\"]]";
    for (value, keep) in [(event(""), false), (event(""), true), ("{".into(), false)] {
        let mut contract = sample();
        contract.keep_value = keep;
        let kept = keep || value == "{";
        let record = Record { key: Some(b"k\xFF"), headers, ..record(Some(value.as_bytes())) };
        let row = decode(&contract, &record);
        assert_eq!(row.cell("_source").as_deref(), Some("0123456789ab"));
        assert_eq!(row.cell("_kafka_partition").as_deref(), Some("3"));
        assert_eq!(row.cell("_offset").as_deref(), Some("17"));
        assert_eq!(row.cell("_kafka_time"), Some(NOW_US.to_string()));
        assert_eq!(row.cell("_ingested_at"), Some((NOW_US + 5).to_string()));
        assert_eq!(row.cell("_rev").as_deref(), Some("0"));
        assert_eq!(row.cell("_key"), Some(format!("{:?}", b"k\xFF")));
        assert_eq!(row.cell("_trace_id").as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(row.cell("_value"), kept.then(|| format!("{:?}", value.as_bytes())));
        assert_eq!(row.cell("_headers"), kept.then(|| format!("{:?}", rendered.as_bytes())));
    }
}

#[test]
fn a_contract_without_a_time_rejects_everything() {
    for fields in [
        vec![],
        vec![field("a", "a", FieldType::Long)],
        vec![field("event_time", "a", FieldType::Long)],
    ] {
        let contract = contract(fields, &[]);
        for text in ["{}", "{\"a\":1}"] {
            let row = decode(&contract, &record(Some(text.as_bytes())));
            assert!(matches!(row.outcome, Outcome::Rejected(_)), "{text}");
        }
    }
}

#[test]
fn the_schema_is_the_contract_then_the_reserved_columns() {
    let contract = sample();
    let schema = raw_schema(&contract);
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names[..3], ["event_id", "machine_id", "event_type"]);
    let reserved = "_source _kafka_partition _offset _kafka_time _ingested_at _key _trace_id _extra _error _value _headers _rev";
    assert_eq!(names[contract.fields.len()..].join(" "), reserved);
    assert!(schema.fields().iter().all(|f| f.is_nullable()));
    let empty = Decoder::new(Arc::new(contract), "s").finish(0);
    assert_eq!((empty.batch.num_rows(), empty.batch.schema()), (0, schema));
}

/// Pushes all and says how many took the quick way.
fn quick(contract: &Contract, texts: &[String]) -> usize {
    let mut decoder = Decoder::new(Arc::new(contract.clone()), "s");
    for text in texts {
        let outcome = decoder.push(&record(Some(text.as_bytes())));
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{text}");
    }
    assert_eq!(decoder.finish(0).batch.num_rows(), texts.len());
    decoder.quick
}

#[test]
fn records_like_earlier_ones_take_the_quick_way() {
    let plain = event(",\"count\":7,\"open\":true");
    let spaced = plain.replace(",\"", ", \"").replace("\":", "\": ");
    let unknown = event(",\"new\":{\"a\":[1]},\"count\":3");
    let escaped = plain.replace("\"e1\"", "\"e\\n\"");
    let null = plain.replace("true", "null");
    let other = plain.replace("\"count\":7,", "");
    let short = event("");
    let all = [plain.clone(), spaced, unknown, short, other];
    // Each shape is read once in the general way; afterwards, in any order, quickly.
    let mut texts = all.to_vec();
    for i in 0..20 {
        texts.push(all[i * 7 % all.len()].clone());
    }
    texts.extend([escaped, null]);
    assert_eq!(quick(&sample(), &texts), texts.len() - all.len());
}

#[test]
fn members_that_were_seen_in_both_orders_may_still_not_occur_twice() {
    let orders = [
        r#"{"id":"1","subject":"2","type":"t.b","new":1,"amount":1,"data":{"price":1},"time":"2026-11-21T10:15:30Z"}"#,
        r#"{"subject":"2","type":"t.b","amount":1,"new":1,"time":"2026-11-21T10:15:30Z","data":{"price":1},"id":"1"}"#,
        r#"{"subject":"2","time":"2026-11-21T10:15:30Z","id":"1","data":null,"type":"t.a","data2":1}"#,
    ];
    let twice = [
        r#"{"id":"1","subject":"2","type":"t.b","new":1,"amount":1,"new":1,"time":"2026-11-21T10:15:30Z","data":{"price":1}}"#,
        r#"{"id":"1","subject":"2","type":"t.b","amount":1,"new":1,"amount":1,"data":{"price":1},"time":"2026-11-21T10:15:30Z"}"#,
        r#"{"subject":"2","type":"t.b","amount":1,"data":{"price":1},"time":"2026-11-21T10:15:30Z","data":{"price":1},"id":"1"}"#,
    ];
    let mut decoder = Decoder::new(Arc::new(sample()), "s");
    for text in orders.iter().cycle().take(9).chain(&twice) {
        let outcome = decoder.push(&record(Some(text.as_bytes())));
        let rejected = Outcome::Rejected(RejectClass::DuplicateMember);
        assert_eq!(outcome == rejected, twice.contains(text), "{text}: {outcome:?}");
    }
    assert!(decoder.quick >= 4, "{}", decoder.quick);
}

#[test]
fn a_record_that_finds_no_room_is_a_row_without_its_bytes() {
    let mut decoder = Decoder::new(Arc::new(sample()), "s");
    let text = event("");
    decoder.room = 1000;
    let outcomes: Vec<Outcome> =
        (0..20).map(|_| decoder.push(&record(Some(text.as_bytes())))).collect();
    assert!(matches!(outcomes[0], Outcome::Accepted { .. }));
    assert_eq!(outcomes[19], Outcome::Rejected(RejectClass::TooLarge));
    let chunk = decoder.finish(0);
    assert_eq!(chunk.batch.num_rows(), 20);
    assert!(chunk.batch.column_by_name("_value").unwrap().is_null(19));
    assert!(matches!(decoder.push(&record(Some(text.as_bytes()))), Outcome::Accepted { .. }));
}

#[test]
fn endless_news_cost_no_memory() {
    let mut decoder = Decoder::new(Arc::new(sample()), "s");
    for i in 0..2000 {
        let text = event(&format!(",\"new{i}\":1,\"count\":{i}"));
        assert!(matches!(decoder.push(&record(Some(text.as_bytes()))), Outcome::Accepted { .. }));
        let text = event(&format!(",{}\"count\":{i}", " ".repeat(i)));
        assert!(matches!(decoder.push(&record(Some(text.as_bytes()))), Outcome::Accepted { .. }));
    }
    assert!(decoder.shapes.size() < 500_000, "{}", decoder.shapes.size());
}
