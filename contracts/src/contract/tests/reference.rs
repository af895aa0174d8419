//! Contracts of reference tables.

use super::*;

/// The smallest one; columns can be appended, each line indented by 6 blanks.
pub const SMALL: &str = "\
apiVersion: v3.2.0
kind: DataContract
id: ref.sites
version: 1.0.0
customProperties: [{property: weir.reference, value: true}]
schema:
  - name: site
    logicalType: object
    physicalName: ref.sites
    properties:
      - {name: zone, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 2}
      - {name: site_id, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: valid_from, logicalType: timestamp, required: true}
      - {name: valid_to, logicalType: timestamp}
";

#[test]
fn the_smallest_one_has_a_key_in_its_order() {
    let contract = parsed(SMALL);
    assert_eq!(contract.kind, Kind::Reference { key: vec![1, 0] });
    assert_eq!(contract.table().to_string(), "ref.sites");
    assert!(!contract.hashes() && !contract.protects());
}

#[test]
fn validity_and_key_are_demanded() {
    let head = SMALL.split("      - {name: zone").next().unwrap();
    check(
        &format!("{head}      - {{name: site_id, logicalType: string}}\n"),
        "\
c.yaml:11:9: there is no column `valid_from`; every reference table has it: a required timestamp
c.yaml:11:9: there is no column `valid_to`; every reference table has it: a timestamp, not required
c.yaml:11:9: the reference table has no key; mark the columns of the business key with `primaryKey: true`
",
    );
    check(
        &format!(
            "{head}      \
             - {{name: a, logicalType: array, primaryKey: true, primaryKeyPosition: 0}}
      - {{name: valid_from, logicalType: timestamp}}
      - {{name: valid_to, logicalType: date}}
"
        ),
        "\
c.yaml:11:9: column `a` of the key must say `required: true`
c.yaml:11:32: column `a` cannot be part of the key: whether two of its values are the same is no clear question
c.yaml:11:77: `primaryKeyPosition` of column `a` is \"0\": a position is a whole number from 1
c.yaml:12:9: column `valid_from` of a reference table must be a required timestamp
c.yaml:13:9: column `valid_to` of a reference table must be a timestamp, not required
",
    );
}

#[test]
fn what_belongs_to_streams_is_refused() {
    check(
        &SMALL
            .replace("value: true}]", "value: true}, {property: weir.skewMax, value: 1h}]")
            .replace(
                "- {name: valid_to,",
                "- {name: valid_to, customProperties: [{property: weir.path, value: to}],",
            ),
        "\
c.yaml:5:93: `weir.skewMax`: it is for streams, and a reference table comes from no topic; remove it
c.yaml:14:56: unknown custom property \"weir.path\" in column `valid_to`; none belongs here
",
    );
    check(
        &SMALL.replace("id: ref.sites", "id: sites"),
        "\
c.yaml:3:5: id \"sites\": the id of a reference table begins with `ref.`, as its table does
",
    );
    check(
        &super::SMALL.replace("id: trades", "id: ref.trades"),
        "c.yaml:3:5: id \"ref.trades\": `ref.` is for reference tables, which say `weir.reference: true`\n",
    );
}
