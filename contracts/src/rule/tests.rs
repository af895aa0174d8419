//! Rules by example; [`model`] is an evaluator of their own to compare with.

mod model;

use super::*;
use crate::contract::{Allowed, FieldType, Path, Requirement};

/// A row as text: each column's value, or null.
pub struct Row<'a>(pub &'a [Field], pub &'a [(&'a str, &'a str)]);

impl Row<'_> {
    fn get(&self, column: usize) -> Option<&str> {
        let name = &self.0[column].name;
        self.1.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
    }
}

impl Cells for Row<'_> {
    fn exact(&self, column: usize) -> Option<i128> {
        self.get(column).map(|value| value.parse().expect("an unscaled number"))
    }
    fn double(&self, column: usize) -> Option<f64> {
        self.get(column).map(|value| value.parse().expect("a double"))
    }
    fn text(&self, column: usize) -> Option<&[u8]> {
        self.get(column).map(str::as_bytes)
    }
    fn boolean(&self, column: usize) -> Option<bool> {
        self.get(column).map(|value| value == "true")
    }
    fn is_null(&self, column: usize) -> bool {
        self.get(column).is_none()
    }
}

pub fn fields() -> Vec<Field> {
    use FieldType::*;
    let money = Decimal { precision: 18, scale: 4 };
    let columns = [
        ("count", Int),
        ("capacity", Int),
        ("total", Long),
        ("price", money),
        ("paid", money),
        ("wide", Decimal { precision: 38, scale: 0 }),
        ("fine", Decimal { precision: 38, scale: 38 }),
        ("volts", Double),
        ("limit", Double),
        ("kind", String),
        ("name", String),
        ("open", Boolean),
        ("raised", Timestamp),
        ("cleared", Timestamp),
        ("day", Date),
        ("detail", Json),
        ("secret", String),
    ];
    let field = |(name, kind): (&str, FieldType)| Field {
        name: name.into(),
        path: Path { object: None, member: name.into() },
        kind,
        required: Requirement::Never,
        allowed: Allowed::default(),
        hashed: name == "secret",
        description: "".into(),
    };
    columns.into_iter().map(field).collect()
}

const ROW: [(&str, &str); 12] = [
    ("count", "7"),
    ("capacity", "10"),
    ("total", "9223372036854775807"),
    ("price", "15000"),
    ("paid", "20000"),
    ("wide", "99999999999999999999999999999999999999"),
    ("fine", "1"),
    ("volts", "229.5"),
    ("kind", "it's é"),
    ("open", "true"),
    ("raised", "1600000000000000"),
    ("day", "20000"),
];

#[track_caller]
fn check(text: &str, expected: Truth) {
    let fields = fields();
    let rule = Rule::parse("r", text, &fields).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(rule.truth(&Row(&fields, &ROW)), expected, "{text}");
}

#[test]
fn what_holds_and_what_does_not() {
    use Truth::*;
    for (text, expected) in [
        ("count <= capacity", True),
        ("capacity<count", False),
        ("count <= 3 OR NOT count <> 7", True),
        ("count BETWEEN 7 AND 7", True),
        ("count not between 8 and 9 and count in (1, 7)", True),
        ("count not in (1, 7)", False),
        ("price = 1.5 and price <> 1.50001", True),
        ("price + 0.5 = paid and paid - price > 0.4999", True),
        ("price * paid = 3", True),
        ("-count = -7 and - -count = 7", True),
        ("count + 2 * 3 = 13 and (count + 2) * 3 = 27", True),
        ("total = 9223372036854775807 and total + 1 > total", True),
        ("volts between 0 and 230.5 and volts > count", True),
        ("volts * 2 = 459 and volts - 0.5 = 229", True),
        ("kind = 'it''s é' and kind <> '' and kind > 'a'", True),
        ("kind in ('a', 'b')", False),
        ("open and not (count = 1)", True),
        ("open = (count = 7) and open <> false", True),
        ("raised = timestamp '2020-09-13T14:26:40+02:00'", True),
        ("day = date '2024-10-04' and day < date '2024-10-05'", True),
        ("cleared is null and raised is not null and detail is null", True),
        ("not not true", True),
        ("not count = 7 or false", False),
        ("true or false and false", True),
    ] {
        check(text, expected);
    }
}

#[test]
fn null_is_unknown_and_overflow_is_told_apart() {
    use Truth::*;
    for (text, expected) in [
        ("cleared >= raised", Null),
        ("not cleared >= raised", Null),
        ("cleared >= raised or open", True),
        ("cleared >= raised and not open", False),
        ("cleared >= raised and open", Null),
        ("limit + volts > 0", Null),
        ("name in ('a', 'b')", Null),
        ("name between 'a' and 'b'", Null),
        ("open = (name = 'a')", Null),
        ("wide + 1 > 0", Overflow),
        ("wide + 0 = wide", True),
        ("wide * wide > 0 and open", Overflow),
        ("open and wide * wide > 0", Overflow),
        ("wide * wide > 0 or open", True),
        ("not open and wide * wide > 0", False),
        ("wide * wide > 0 and name = 'a'", Overflow),
        ("name = 'a' and wide * wide > 0", Overflow),
        ("not wide * wide > 0", Overflow),
    ] {
        check(text, expected);
    }
    // The sum needs one scale; a comparison does not.
    check("wide + fine > 0", Overflow);
    check("wide > fine and fine < wide and -wide < fine and fine > -wide", True);
    check("volts * 99999999999999999999999999999999999999 > 0", True);
    let large = "9".repeat(38);
    let product = [large.as_str(); 9].join(" * ");
    check(&format!("volts * {product} > 0"), Overflow);
}

#[test]
fn what_is_no_rule_is_refused_where_it_stands() {
    let fields = fields();
    for (text, at, part) in [
        ("", 1, "a column or a value was expected, not the end"),
        ("count", 1, "a condition was expected, not a number"),
        ("count <", 8, "not the end"),
        ("count < capacity capacity", 18, "the end was expected, not `capacity`"),
        ("cuont < 3", 1, "did you mean `count`?"),
        ("Count < 3", 1, "did you mean `count`?"),
        ("count < 'x'", 7, "a number cannot be compared with a text"),
        ("price < volts", 7, "do not mix"),
        ("total + volts > 0", 7, "do not mix"),
        ("raised < day", 8, "a time cannot be compared with a date"),
        ("raised + 1 > raised", 8, "a time and a number"),
        ("kind + 'x' = name", 6, "a text and a text"),
        ("open < true", 6, "have no order"),
        ("detail = 'x'", 8, "an object or array cannot be compared"),
        ("count = null", 9, "is null"),
        ("count + 1 is null", 11, "asked of a column"),
        ("count is 3", 10, "`null` was expected"),
        ("count < capacity < 3", 7, "do not chain"),
        ("count not 3", 11, "`between` or `in`"),
        ("count between 1 or 3", 17, "`and` was expected"),
        ("count in (1, )", 14, "not `)`"),
        ("count in 1", 10, "`(` was expected"),
        ("(count = 1", 11, "`)` was expected"),
        ("count / 2 = 1", 7, "add, subtract and multiply"),
        ("\"count\" = 1", 1, "without quotes"),
        ("_offset = 1", 1, "own columns"),
        ("lower(kind) = 'x'", 1, "no functions"),
        ("kind = 'x", 8, "closing quote"),
        ("kind like 'x%'", 6, "the end was expected, not `like`"),
        ("count = 1.", 9, "a digit is missing"),
        ("count = 1e3", 9, "digits, with one point"),
        ("raised > timestamp '2020'", 20, "is not a time"),
        ("day > date '2020-02-30'", 12, "does not exist"),
        ("fine * price = 0", 6, "more than 38 digits"),
        ("secret = 'x'", 1, "hashed"),
        ("-open", 1, "before a condition"),
        ("not count", 5, "a condition was expected"),
        ("count = and", 9, "not `and`"),
    ] {
        match Rule::parse("r", text, &fields) {
            Ok(rule) => panic!("{text}: {rule:?}"),
            Err(error) => {
                assert!(error.message.contains(part), "{text}: {error}");
                assert_eq!(error.at, at, "{text}: {error}");
            }
        }
    }
    for text in ["(".repeat(65), "not ".repeat(65), format!("{} = 1", "-".repeat(65))] {
        let error = Rule::parse("r", &text, &fields).unwrap_err();
        assert!(error.message.contains("64 levels"), "{error}");
    }
    let long = ["open"; 501].join(" and ");
    assert!(Rule::parse("r", &long, &fields).unwrap_err().message.contains("1000"));
}

#[test]
fn a_rule_knows_its_text_and_columns() {
    let rule = Rule::parse("r", "  count\n <= capacity or count = 1 ", &fields()).unwrap();
    assert_eq!(rule.text, "count <= capacity or count = 1");
    assert_eq!(rule.columns(), [0, 1]);
}
