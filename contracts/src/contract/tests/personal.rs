//! Policies of columns that hold personal data.

use super::*;

const COLUMNS: &str = "\
- {name: card, logicalType: string, tags: [personal], customProperties: [{property: weir.policy, value: hash}]}
- {name: mail, logicalType: string, customProperties: [{property: weir.policy, value: drop}, {property: weir.path, value: mail}]}
- {name: town, logicalType: string, tags: [personal], customProperties: [{property: weir.policy, value: keep}]}";

#[test]
fn hashed_columns_stay_and_dropped_ones_go() {
    let contract = parsed(&with_columns(COLUMNS));
    let names: Vec<&str> = contract.fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["event_time", "card", "town"]);
    assert!(field(&contract, "card").hashed && !field(&contract, "town").hashed);
    assert_eq!(contract.dropped, [Path { object: None, member: "mail".into() }]);
    assert!(contract.hashes() && contract.protects());
    assert_eq!(contract.hash_key, None);
}

#[test]
fn a_kafka_key_has_a_policy() {
    let policy = |value: &str| {
        parsed(&format!(
            "{SMALL}customProperties: [{{property: weir.keyPolicy, value: {value}}}]\n"
        ))
    };
    assert_eq!(policy("keep").key_policy, Policy::Keep);
    assert_eq!(policy("drop").key_policy, Policy::Drop);
    let hashed = policy("hash");
    assert!(hashed.hashes() && !hashed.protects());
}

#[test]
fn what_is_not_checked_or_cannot_be_kept_out_is_refused() {
    let columns = "\
- {name: card, logicalType: string, tags: [x, personal]}
- {name: code, logicalType: integer, customProperties: [{property: weir.policy, value: hash}]}
- {name: mail, logicalType: string, required: true, customProperties: [{property: weir.policy, value: drop}]}
- {name: call, logicalType: string, enum: [{value: x}], customProperties: [{property: weir.policy, value: hash}]}
- {name: name, logicalType: string, customProperties: [{property: weir.policy, value: mask}]}
- {name: event_id, logicalType: string, customProperties: [{property: weir.policy, value: hash}]}
- {name: data, logicalType: object, customProperties: [{property: weir.path, value: data}]}";
    let kept = "customProperties: [{property: weir.keepValue, value: true}]\n";
    let text = format!("{}{kept}", with_columns(columns).replace(
        "        logicalType: timestamp\n",
        "        logicalType: timestamp\n        customProperties: [{property: weir.path, value: time}]\n",
    ));
    check(
        &text,
        "\
c.yaml:13:53: column `card` is tagged `personal`; say with `weir.policy` whether the lake may hold it: keep, hash or drop
c.yaml:14:35: `weir.policy` of column `code`: only strings are hashed; use `drop`, or `logicalType: string`
c.yaml:15:9: column `mail`: what is dropped need not be there; remove `required` and `weir.requiredFor`
c.yaml:16:49: `enum` of column `call`: a value that is hashed or dropped is not checked; remove it
c.yaml:17:93: `weir.policy` of column `name` is \"mask\": a policy is keep, hash or drop
c.yaml:18:9: `weir.policy` of column `event_id`: Weir itself needs the value; only `keep` is possible
c.yaml:19:91: path `data` takes an object whole, of which `data.call` is a member (line 16)
c.yaml:20:54: `weir.keepValue` keeps the records' bytes, and with them \"code\", which is hashed or dropped
",
    );
}
