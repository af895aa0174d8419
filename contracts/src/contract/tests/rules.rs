//! The schema's `quality`.

use super::*;

const COLUMNS: &str = "\
- {name: low, logicalType: integer}
- {name: high, logicalType: integer}";

fn with_quality(rules: &str) -> String {
    let rules: String = rules.lines().map(|line| format!("      {line}\n")).collect();
    format!("{}    quality:\n{rules}", with_columns(COLUMNS))
}

#[test]
fn rules_arrive_in_order() {
    let contract = parsed(&with_quality(
        "- {name: in_order, type: custom, engine: weir, implementation: low <= high, dimension: x}\n\
         - name: low_is_small\n  type: custom\n  engine: weir\n  implementation: >-\n    low between 0\n    and 10",
    ));
    let rules: Vec<(&str, &str)> =
        contract.rules.iter().map(|rule| (rule.name.as_str(), rule.text.as_str())).collect();
    assert_eq!(rules, [("in_order", "low <= high"), ("low_is_small", "low between 0 and 10")]);
}

#[test]
fn what_nobody_checks_is_refused() {
    check(
        &with_quality(
            "- {name: a, type: custom, engine: weir, implementation: low <= hihg}\n\
             - {name: b, type: sql, engine: weir, query: x, implementation: low = 1}\n\
             - {name: c, type: custom, engine: soda, implementation: low = 1, mustBe: 0}\n\
             - {name: C, type: custom, engine: weir, implementation: low = 1, severity: error}\n\
             - {type: custom, engine: weir, implementation: low = 1, schedule: x}\n\
             - {name: d, type: custom, engine: weir, implementation: {a: 1}}\n\
             - {name: e, type: custom, engine: weir}\n\
             - {name: f, type: custom, engine: weir, implementation: low = 1}\n\
             - {name: f, type: custom, engine: weir, implementation: low = 2}\n\
             - low = 1",
        ),
        "\
c.yaml:15:63: `implementation` of rule `a`: at character 8: there is no column `hihg`; did you mean `high`?
c.yaml:16:25: `type` of rule `b` is \"sql\", which Weir does not check; write `type: custom`
c.yaml:16:44: `query` in rule `b`: a rule says in `implementation` what must hold, and a row that fails is rejected
c.yaml:17:41: `engine` of rule `c` is \"soda\", which Weir does not check; write `engine: weir`
c.yaml:17:72: `mustBe` in rule `c`: a rule says in `implementation` what must hold, and a row that fails is rejected
c.yaml:18:16: rule name \"C\": a name has only lower case letters, digits and underscores
c.yaml:18:72: `severity` in rule `C`: a rule says in `implementation` what must hold, and a row that fails is rejected
c.yaml:19:9: rule 5 has no `name`; rejects are told by it, in lower snake case
c.yaml:19:63: `schedule` in rule 5: a rule is checked at every record; remove it
c.yaml:20:63: `implementation` of rule `d` must be a string, not a mapping
c.yaml:21:9: rule `e` has no `implementation`; it says what must hold, for example `paid_amount >= price`
c.yaml:23:9: a second rule \"f\"
c.yaml:24:9: rule 10 must be a mapping, not a string
",
    );
}

#[test]
fn rules_stand_in_the_schema() {
    check(
        &with_columns("- {name: a, logicalType: string, quality: []}"),
        "c.yaml:12:40: `quality` in column `a`: rules stand in the schema, beside `properties`; state what one column may hold with `required`, `enum` and `logicalTypeOptions`\n",
    );
}
