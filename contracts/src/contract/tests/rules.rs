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
        "",
    );
}

#[test]
fn rules_stand_in_the_schema() {
    check(&with_columns("- {name: a, logicalType: string, quality: []}"), "");
}
