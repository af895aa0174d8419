//! Whole contract files: the shipped ones, the guide's, and broken ones with every diagnostic.

mod personal;
mod reference;
mod rules;
mod shipped;

use proptest::prelude::*;

use super::keys;
use super::*;

const HEALTH: &str = include_str!("../../vending.health.yaml");
const SALES: &str = include_str!("../../vending.sales.yaml");
const INVENTORY: &str = include_str!("../../vending.inventory.yaml");
const GUIDE: &str = include_str!("../../../docs/contracts.md");

/// The smallest contract; columns can be appended, each line indented by 6 blanks.
const SMALL: &str = "\
apiVersion: v3.2.0
kind: DataContract
id: trades
version: 1.0.0
schema:
  - name: trade
    logicalType: object
    properties:
      - name: event_time
        logicalType: timestamp
        required: true
";

fn parsed(text: &str) -> Contract {
    parse("c.yaml", text).unwrap_or_else(|list| panic!("{}", lines(&list)))
}

fn lines(list: &[Diagnostic]) -> String {
    list.iter().map(|d| format!("{d}\n")).collect()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let found = match parse("c.yaml", text) {
        Ok(_) => String::new(),
        Err(list) => lines(&list),
    };
    assert_eq!(found, expected, "\n--- found ---\n{found}--- expected ---\n{expected}");
}

/// The contract of [`SMALL`] with more columns behind; they begin in line 12.
fn with_columns(columns: &str) -> String {
    let columns: String = columns.lines().map(|line| format!("      {line}\n")).collect();
    format!("{SMALL}{columns}")
}

fn field<'c>(contract: &'c Contract, name: &str) -> &'c Field {
    &contract.fields[contract.index_of(name).unwrap_or_else(|| panic!("no column {name}"))]
}

#[test]
fn a_contract_says_how_long_rows_are_kept() {
    assert_eq!(parsed(SMALL).keep, Keep::default());
    let promise = |more: &str| {
        format!("{SMALL}slaProperties:\n  - {{property: latency, value: 4, unit: h}}\n{more}")
    };
    assert_eq!(parsed(&promise("")).latency_max_s, Some(4 * 3_600));
    check(
        &promise("  - {property: latency, value: 1, unit: d}\n"),
        "c.yaml:14:16: `slaProperties` has `latency` twice\n",
    );
    let years = promise("  - {property: retention, value: 7, unit: y}\n");
    let keep = Keep { rows_days: Some(2562), rejects_days: Some(2562) };
    assert_eq!(parsed(&years).keep, keep);
    let rejects = "customProperties:\n  - {property: weir.rejectRetention, value: 90d}\n";
    let keep = Keep { rejects_days: Some(90), ..keep };
    assert_eq!(parsed(&format!("{years}{rejects}")).keep, keep);
    let only = Keep { rows_days: None, rejects_days: Some(90) };
    assert_eq!(parsed(&format!("{SMALL}{rejects}")).keep, only);
    check(
        &promise("  - {property: retention, value: 7, unit: m}\n"),
        "c.yaml:14:43: `unit` of the retention is \"m\": it is d for days, or y for years\n",
    );
    check(
        &promise("  - {property: retention, value: 0, unit: d}\n"),
        "c.yaml:14:34: `value` of the retention is \"0\": it must be at least 1, and at most 100 years\n",
    );
    check(
        &promise("  - {property: retention, value: 1}\n"),
        "c.yaml:14:5: an entry of `slaProperties` has no `unit`; it is d for days, or y for years\n",
    );
}

#[test]
fn the_smallest_contract_has_the_defaults() {
    let contract = parsed(SMALL);
    assert_eq!(contract.id, "trades");
    assert_eq!(contract.version, "1.0.0");
    assert_eq!(contract.limits, Limits::default());
    assert!(!contract.keep_value && contract.event_types.is_empty());
    let path = Path { object: Some("data".into()), member: "event_time".into() };
    let expected = Field {
        name: "event_time".into(),
        path,
        kind: FieldType::Timestamp,
        required: Requirement::Always,
        allowed: Allowed::default(),
        hashed: false,
        description: String::new(),
    };
    assert_eq!(contract.fields, [expected]);
}

#[test]
fn the_guides_example_is_a_contract() {
    let (_, rest) = GUIDE.split_once("```yaml\n").expect("the guide has an example");
    let (example, _) = rest.split_once("```").expect("the example ends");
    let contract = parsed(example);
    assert_eq!(contract.id, "store.sales");
    assert_eq!(contract.description, "What the tills of a store sell.");
    assert_eq!(contract.event_types, ["store.sales.sale", "store.sales.void"]);
    assert_eq!(contract.limits.skew_max_us, 300_000_000);
    assert_eq!(field(&contract, "event_type").path.to_string(), "type");
    let till = field(&contract, "till");
    assert_eq!(till.kind, FieldType::Int);
    assert_eq!(till.allowed.maximum, Some(Bound::Exact(99)));
    let amount = field(&contract, "amount");
    assert_eq!(amount.path.to_string(), "data.amount");
    assert_eq!(amount.kind, FieldType::Decimal { precision: 18, scale: 4 });
    assert_eq!(amount.required, Requirement::For(vec![0]));
    assert_eq!(amount.allowed.minimum, Some(Bound::Exact(0)));
    assert_eq!(field(&contract, "currency").allowed.length_max, Some(3));
    assert_eq!(field(&contract, "items").kind, FieldType::Json);
}

#[test]
fn the_guide_names_every_key_that_is_known() {
    let kinds = [
        &keys::CONTRACT,
        &keys::DESCRIPTION,
        &keys::SCHEMA,
        &keys::COLUMN,
        &keys::ENUM_ENTRY,
        &keys::CUSTOM_PROPERTY,
        &keys::RULE,
        &keys::OPTIONS_STRING,
        &keys::OPTIONS_NUMBER,
        &keys::OPTIONS_TIMESTAMP,
        &keys::OPTIONS_DATE,
        &keys::OPTIONS_JSON,
        &keys::OPTIONS_NONE,
    ];
    let of_kind = |k: &&crate::yaml::Keys| {
        let refused = k.refused.iter().map(|(key, _)| *key);
        k.used.iter().chain(k.ignored).copied().chain(refused).collect::<Vec<_>>()
    };
    let custom = keys::WEIR_CONTRACT.iter().chain(keys::WEIR_COLUMN).copied();
    for key in kinds.iter().flat_map(of_kind).chain(custom) {
        let named = GUIDE.contains(&format!("`{key}`"))
            || GUIDE.contains(&format!("`{key}:"))
            || GUIDE.contains(&format!("{key}: "));
        assert!(named, "docs/contracts.md does not name {key}");
    }
}

/// The members of a JSON event that the contract's columns find, as paths.
fn leaves(event: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in event.as_object().expect("an object") {
        match value.as_object() {
            Some(inner) => found.extend(inner.keys().map(|member| format!("{name}.{member}"))),
            None => found.push(name.clone()),
        }
    }
    found
}

/// Every member that `event_type` requires is in the event, and every member has a column.
fn check_event(contract: &Contract, event: &str) -> usize {
    let event: serde_json::Value = serde_json::from_str(event).expect("JSON");
    let leaves = leaves(&event);
    let kind = event["type"].as_str().expect("a type");
    let kind = contract.event_types.iter().position(|t| t == kind).expect("a known type");
    for field in &contract.fields {
        let required = match &field.required {
            Requirement::Never => false,
            Requirement::Always => true,
            Requirement::For(kinds) => kinds.contains(&kind),
        };
        let path = field.path.to_string();
        assert!(!required || leaves.contains(&path), "{path} is missing");
    }
    for leaf in &leaves {
        let known = contract.fields.iter().any(|f| f.path.to_string() == *leaf);
        assert!(known || leaf == "specversion", "{leaf} has no column");
    }
    leaves.len()
}

#[test]
fn vending_health_takes_a_heartbeat_of_17_members() {
    let contract = parsed(HEALTH);
    assert_eq!(contract.id, "vending.health");
    assert_eq!(
        contract.event_types,
        ["vending.health.boot", "vending.health.heartbeat", "vending.health.status"]
    );
    let heartbeat = concat!(
        r#"{"specversion":"1.0","id":"01JD7QK3M8Z5X2V9T4R6W0YB1C","source":"/machines/vm-00042","#,
        r#""type":"vending.health.heartbeat","subject":"vm-00042","#,
        r#""time":"2026-11-21T10:15:30.123Z","receivedat":"2026-11-21T10:15:30.456Z","#,
        r#""siteid":"site-007","traceid":"4bf92f3577b34da6a3ce929d0e0e4736","#,
        r#""data":{"in_maintenance":false,"power":"mains","voltage_v":229.8,"temperature_c":24.6,"#,
        r#""door_open":false,"cpu_pct":12.5,"memory_pct":41.2,"disk_pct":63.7}}"#,
    );
    assert_eq!(check_event(&contract, heartbeat), 17);
    assert!((410..=440).contains(&heartbeat.len()), "{} bytes", heartbeat.len());
}

#[test]
fn vending_sales_counts_money_exactly() {
    let contract = parsed(SALES);
    assert_eq!(
        contract.event_types,
        ["vending.sales.payment", "vending.sales.refund", "vending.sales.vend"]
    );
    for field in contract.fields.iter().filter(|f| f.name.ends_with("amount") || f.name == "price")
    {
        assert_eq!(field.kind, FieldType::Decimal { precision: 18, scale: 4 }, "{}", field.name);
        assert_eq!(field.allowed.minimum, Some(Bound::Exact(0)), "{}", field.name);
    }
    let outcome = &field(&contract, "payment_outcome").allowed.values;
    assert_eq!(outcome, &["succeeded", "failed", "cancelled_by_user"]);
    assert_eq!(field(&contract, "price").required, Requirement::For(vec![0, 2]));
    check_event(
        &contract,
        r#"{"specversion":"1.0","id":"1","source":"/m/1","type":"vending.sales.payment",
            "subject":"vm-1","time":"2026-11-21T10:15:30Z","data":{"in_maintenance":false,
            "transaction_id":"t1","selection":"B4","price":1.50,"currency":"EUR",
            "payment_method":"qr","payment_outcome":"cancelled_by_user"}}"#,
    );
}

#[test]
fn limits_and_types_arrive() {
    let text = with_columns(
        "- {name: a, logicalType: integer, logicalTypeOptions: {minimum: -5, maximum: +7}}\n\
         - {name: b, logicalType: integer, physicalType: int, enum: [{value: 010}, {value: 2}]}\n\
         - {name: c, logicalType: number, physicalType: 'decimal(5, 2)', \
            logicalTypeOptions: {minimum: -1.5, maximum: 999.990}}\n\
         - {name: d, logicalType: number, physicalType: double, logicalTypeOptions: {maximum: 1e3}}\n\
         - {name: e, logicalType: date, deprecated: true}\n\
         - {name: f, logicalType: object, properties: [{name: x}]}\n\
         - {name: g, logicalType: boolean, customProperties: [{property: weir.path, value: g}]}",
    ) + "\
customProperties:
  - {property: weir.valueBytesMax, value: 2MiB}
  - {property: weir.extraBytesMax, value: 0B}
  - {property: weir.depthMax, value: 4}
  - {property: weir.eventTimeMin, value: 2021-01-01T01:00:00+01:00}
  - {property: weir.skewMax, value: 90s}
  - {property: weir.keepValue, value: true}
  - {property: other.tool, value: {any: thing}, vendor: other}
";
    let contract = parsed(&text);
    let limits = Limits {
        value_bytes_max: 2 << 20,
        extra_bytes_max: 0,
        depth_max: 4,
        event_time_min_us: 1_609_459_200_000_000,
        skew_max_us: 90_000_000,
    };
    assert_eq!(contract.limits, limits);
    assert!(contract.keep_value);
    let bounds = |name: &str| {
        let field = field(&contract, name);
        (field.kind, field.allowed.minimum, field.allowed.maximum)
    };
    let exact = |n| Some(Bound::Exact(n));
    assert_eq!(bounds("a"), (FieldType::Long, exact(-5), exact(7)));
    assert_eq!(field(&contract, "b").allowed.values, ["10", "2"]);
    let decimal = FieldType::Decimal { precision: 5, scale: 2 };
    assert_eq!(bounds("c"), (decimal, exact(-150), exact(99_999)));
    assert_eq!(bounds("d"), (FieldType::Double, None, Some(Bound::Double(1000.0))));
    assert_eq!(field(&contract, "e").kind, FieldType::Date);
    assert_eq!(field(&contract, "f").kind, FieldType::Json);
    assert_eq!(field(&contract, "g").path, Path { object: None, member: "g".into() });
}

#[test]
fn broken_files_name_every_mistake() {
    check(include_str!("golden/broken.yaml"), include_str!("golden/broken.txt"));
}

#[test]
fn what_is_no_contract_at_all() {
    check("", "c.yaml:1:1: the file is empty; a contract begins with `apiVersion: v3.2.0`\n");
    check("- a\n", "c.yaml:1:1: the contract must be a mapping, not a list\n");
    check(
        "kind: [1\n",
        "c.yaml:2:1: not YAML: while parsing a flow sequence, expected ',' or ']'\n",
    );
    check(
        &format!("{SMALL}---\na: 1\n"),
        "c.yaml:12:1: a second YAML document begins here; a file holds one contract\n",
    );
    check(&format!("a: {}", "[".repeat(40)), "c.yaml:1:35: nested deeper than 32 levels\n");
    check(&"- ".repeat(40), "c.yaml:1:65: nested deeper than 32 levels\n");
    check(
        &"x".repeat((1 << 20) + 1),
        "c.yaml:1:1: the file has 1048577 bytes; a contract has at most 1 MiB\n",
    );
}

#[test]
fn a_contract_without_anything() {
    check(
        "{}",
        "\
c.yaml:1:1: the contract has no `apiVersion`; write `apiVersion: v3.2.0`
c.yaml:1:1: the contract has no `kind`; write `kind: DataContract`
c.yaml:1:1: the contract has no `id`; it is the stream's name, for example vending.health
c.yaml:1:1: the contract has no `version`; it is MAJOR.MINOR.PATCH, for example 1.0.0
c.yaml:1:1: the contract has no `schema`; it lists the one object whose `properties` are the columns
",
    );
}

#[test]
fn yaml_that_contracts_do_without() {
    let text = SMALL.replace("kind: DataContract", "kind: &k DataContract")
        + "name: *k\nstatus: !!str 1\n? [x]\n: 1\n";
    check(
        &text,
        "\
c.yaml:12:7: aliases are not supported; write the value out
c.yaml:13:9: YAML tags are not supported; remove it
c.yaml:14:3: a key must be a word
",
    );
}

#[test]
fn the_schema_is_one_object_with_columns() {
    let (head, _) = SMALL.split_once("schema:").unwrap_or_default();
    check(
        &format!("{head}schema:\n"),
        "c.yaml:5:7: `schema` of the contract must be a list, not empty\n",
    );
    check(
        &format!("{head}schema: []\n"),
        "c.yaml:5:9: `schema` of the contract is empty; \
         it lists the one object whose `properties` are the columns\n",
    );
    check(
        &format!("{head}schema:\n  - physicalName: raw.trades\n"),
        "\
c.yaml:6:5: the schema has no `name`; it names the kind of event
c.yaml:6:5: the schema has no `logicalType`; write `logicalType: object`
c.yaml:6:5: the schema has no `properties`; it lists the columns
",
    );
    check(
        &format!("{head}schema: [{{name: a, logicalType: object, properties: []}}]\n"),
        "c.yaml:5:53: `properties` of the schema is empty; it lists the columns\n",
    );
}

#[test]
fn event_time_must_be_a_required_timestamp() {
    check(
        &SMALL.replace("event_time", "at"),
        "c.yaml:9:9: there is no column `event_time`; every stream has it: \
         a required timestamp, by which the table is partitioned\n",
    );
    check(
        &SMALL.replace("timestamp", "date").replace("true", "false"),
        "\
c.yaml:9:9: column `event_time` must say `required: true`
c.yaml:10:22: column `event_time` must be of `logicalType: timestamp`
",
    );
}

#[test]
fn required_for_needs_event_types() {
    let asks = "- name: a\n  logicalType: string\n  customProperties:\n  \
                - {property: weir.requiredFor, value: [x]}\n";
    check(
        &with_columns(asks),
        "c.yaml:15:48: `weir.requiredFor` needs a column `event_type` with an `enum`\n",
    );
    check(
        &with_columns(&format!("{asks}- {{name: event_type, logicalType: string}}")),
        "\
c.yaml:15:48: `weir.requiredFor` needs an `enum` at the column `event_type`
c.yaml:16:9: column `event_type` must say `required: true`: \
         other columns are required for some types (`weir.requiredFor`)
",
    );
    let typed = "- {name: event_type, logicalType: integer, enum: [{value: 1}]}";
    check(
        &with_columns(&format!("{asks}{typed}")),
        "c.yaml:16:41: column `event_type` must be of `logicalType: string`\n",
    );
    let typed = asks.replace("a\n", "event_type\n  required: true\n  enum: [{value: x}]\n");
    check(
        &with_columns(&typed),
        "c.yaml:17:48: `weir.requiredFor` of column `event_type`: \
         the column is required in every event already\n",
    );
}

#[test]
fn limits_agree_with_each_other() {
    let limits = |list: &str| format!("{SMALL}customProperties: [{list}]\n");
    check(
        &limits("{property: weir.depthMax, value: 1}"),
        "c.yaml:9:15: path `data.event_time` is 2 levels deep; `weir.depthMax` allows 1\n",
    );
    check(
        &limits(
            "{property: weir.valueBytesMax, value: 1KiB}, \
             {property: weir.extraBytesMax, value: 2KiB}",
        ),
        "c.yaml:12:103: `weir.extraBytesMax` is greater than `weir.valueBytesMax`\n",
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Damaged files give a contract or diagnostics with places in the file, and never a panic.
    #[test]
    fn damaged_files_never_panic(
        which in 0usize..6,
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0u8..6, 0usize..TOKENS.len()),
            1..8,
        ),
    ) {
        let broken = include_str!("golden/broken.yaml");
        let mut text = [HEALTH, SALES, SMALL, broken, reference::SMALL, INVENTORY][which].to_owned();
        for (at, edit, token) in edits {
            damage(&mut text, at, edit, TOKENS[token]);
        }
        check_answer(&text)?;
    }

    /// So does any text.
    #[test]
    fn any_text_never_panics(text in "[\\PC\n\t]{0,200}") {
        check_answer(&text)?;
    }
}

const TOKENS: [&str; 24] = [
    ": ",
    "- ",
    "\n",
    "\n  ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    "? ",
    "---\n",
    "...\n",
    "\t",
    "\u{0}",
    "\u{feff}",
    "\r\n",
    "é𝄞",
    "%YAML 9.9\n",
];

fn damage(text: &mut String, at: prop::sample::Index, edit: u8, token: &str) {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    if places.is_empty() {
        text.push_str(token);
        return;
    }
    let place = places[at.index(places.len())];
    let line_start = text[..place].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[place..].find('\n').map_or(text.len(), |at| place + at + 1);
    match edit {
        0 => drop(text.remove(place)),
        1 => text.insert_str(place, token),
        2 => text.truncate(place),
        3 => drop(text.drain(line_start..line_end)),
        4 => {
            let line = text[line_start..line_end].to_owned();
            text.insert_str(line_start, &line);
        }
        _ => text.insert_str(line_start, "  "),
    }
}

fn check_answer(text: &str) -> Result<(), TestCaseError> {
    match parse("c.yaml", text) {
        Ok(contract) => {
            let reference = contract.kind != Kind::Stream;
            prop_assert!(reference || contract.index_of("event_time").is_some());
            let types = contract.event_types.len();
            for (i, field) in contract.fields.iter().enumerate() {
                prop_assert_eq!(contract.index_of(&field.name), Some(i));
                prop_assert!(!field.name.starts_with('_'));
                if let Requirement::For(kinds) = &field.required {
                    prop_assert!(kinds.iter().all(|kind| *kind < types));
                    prop_assert!(kinds.is_sorted() && !kinds.is_empty());
                }
                let same = contract.fields.iter().filter(|f| f.path == field.path).count();
                prop_assert_eq!(same, 1);
            }
        }
        Err(list) => {
            prop_assert!(!list.is_empty());
            let last = text.lines().count() + 2;
            for diagnostic in list {
                prop_assert!((1..=last).contains(&diagnostic.line), "{}", diagnostic);
                prop_assert!(diagnostic.column >= 1 && !diagnostic.message.is_empty());
            }
        }
    }
    Ok(())
}
