//! A second evaluator: rules made from choices, evaluated on their own tree with numbers as digits.

use proptest::prelude::*;

use super::*;

/// A stream of choices; at its end every choice is the first.
struct Dice<'a>(&'a [u16]);

impl Dice<'_> {
    fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % n
    }
}

#[derive(Debug)]
enum Number {
    Column(&'static str, usize),
    Literal(String),
    Negative(Box<Number>),
    Calculated(char, Box<Number>, Box<Number>),
}

#[derive(Debug)]
enum Rule {
    Compare(&'static str, Number, Number),
    Double(&'static str, f64),
    Kind(&'static str, &'static str),
    Open,
    IsNull(&'static str),
    Between(Number, Number, Number),
    In(Number, Vec<Number>),
    Not(Box<Rule>),
    List(bool, Vec<Rule>),
}

const SIGNS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];
/// Columns of exact numbers, with their scale.
const EXACT: [(&str, usize); 6] =
    [("count", 0), ("total", 0), ("price", 4), ("paid", 4), ("wide", 0), ("fine", 38)];

fn number(dice: &mut Dice<'_>, depth: usize) -> Number {
    match dice.below(if depth == 0 { 2 } else { 5 }) {
        0 => {
            let (name, scale) = EXACT[dice.below(6)];
            Number::Column(name, scale)
        }
        1 => Number::Literal(
            ["0", "1", "1.5", "0.0001", "99999999999999999999999999999999999999", "7"]
                [dice.below(6)]
            .into(),
        ),
        2 => Number::Negative(number(dice, depth - 1).into()),
        _ => {
            let (left, right) = (number(dice, depth - 1), number(dice, depth - 1));
            let sign = ['+', '-', '*'][dice.below(3)];
            // A product with too many digits behind the point is no rule.
            let sign = if sign == '*' && scale(&left) + scale(&right) > 38 { '+' } else { sign };
            Number::Calculated(sign, left.into(), right.into())
        }
    }
}

fn rule(dice: &mut Dice<'_>, depth: usize) -> Rule {
    match dice.below(if depth == 0 { 7 } else { 10 }) {
        0 | 1 => Rule::Compare(SIGNS[dice.below(6)], number(dice, 3), number(dice, 3)),
        2 => Rule::Double(SIGNS[dice.below(6)], [0.0, 229.5, -1.0][dice.below(3)]),
        3 => Rule::Kind(SIGNS[dice.below(6)], ["a", "b", "é"][dice.below(3)]),
        4 => Rule::Open,
        5 => Rule::IsNull(["price", "kind", "open", "detail"][dice.below(4)]),
        6 => match dice.below(2) {
            0 => Rule::Between(number(dice, 2), number(dice, 1), number(dice, 1)),
            _ => {
                let list = (0..1 + dice.below(3)).map(|_| number(dice, 1)).collect();
                Rule::In(number(dice, 2), list)
            }
        },
        7 => Rule::Not(rule(dice, depth - 1).into()),
        all => {
            Rule::List(all == 8, (0..2 + dice.below(2)).map(|_| rule(dice, depth - 1)).collect())
        }
    }
}

// As text, with all parentheses.

fn number_text(number: &Number) -> String {
    match number {
        Number::Column(name, _) => (*name).into(),
        Number::Literal(text) => text.clone(),
        Number::Negative(inner) => format!("-({})", number_text(inner)),
        Number::Calculated(sign, left, right) => {
            format!("({} {sign} {})", number_text(left), number_text(right))
        }
    }
}

fn text(rule: &Rule) -> String {
    match rule {
        Rule::Compare(sign, left, right) => {
            format!("{} {sign} {}", number_text(left), number_text(right))
        }
        Rule::Double(sign, value) if *value < 0.0 => format!("volts {sign} -{}", -value),
        Rule::Double(sign, value) => format!("volts {sign} {value}"),
        Rule::Kind(sign, value) => format!("kind {sign} '{value}'"),
        Rule::Open => "open".into(),
        Rule::IsNull(name) => format!("{name} IS NULL"),
        Rule::Between(value, low, high) => {
            let [value, low, high] = [value, low, high].map(number_text);
            format!("{value} between {low} and {high}")
        }
        Rule::In(value, list) => {
            let list: Vec<String> = list.iter().map(number_text).collect();
            format!("{} in ({})", number_text(value), list.join(", "))
        }
        Rule::Not(inner) => format!("not ({})", text(inner)),
        Rule::List(all, list) => {
            let list: Vec<String> = list.iter().map(|rule| format!("({})", text(rule))).collect();
            list.join(if *all { " and " } else { " or " })
        }
    }
}

// Exact numbers as a sign and decimal digits, the least first, any number of them.

type Digits = (bool, Vec<u8>);

fn digits(text: &str) -> Digits {
    let negative = text.starts_with('-');
    trimmed(negative, text.bytes().rev().filter(u8::is_ascii_digit).map(|b| b - b'0').collect())
}

fn trimmed(negative: bool, mut digits: Vec<u8>) -> Digits {
    while digits.last() == Some(&0) {
        digits.pop();
    }
    (negative && !digits.is_empty(), digits)
}

fn at(digits: &[u8], place: usize) -> i32 {
    digits.get(place).copied().unwrap_or(0).into()
}

fn signed(digits: &Digits, place: usize) -> i32 {
    if digits.0 { -at(&digits.1, place) } else { at(&digits.1, place) }
}

fn carried(places: impl Iterator<Item = i32> + Clone) -> Digits {
    let run = |flip: i32| {
        let (mut carry, mut out) = (0, Vec::new());
        for place in places.clone() {
            let sum = place * flip + carry;
            out.push(sum.rem_euclid(10) as u8);
            carry = sum.div_euclid(10);
        }
        while carry > 0 {
            out.push((carry % 10) as u8);
            carry /= 10;
        }
        (carry, out)
    };
    match run(1) {
        (0, out) => trimmed(false, out),
        _ => trimmed(true, run(-1).1),
    }
}

fn add(left: &Digits, right: &Digits) -> Digits {
    let places = left.1.len().max(right.1.len());
    carried((0..places).map(|place| signed(left, place) + signed(right, place)))
}

fn negate(value: &Digits) -> Digits {
    trimmed(!value.0, value.1.clone())
}

fn multiply(left: &Digits, right: &Digits) -> Digits {
    let places = left.1.len() + right.1.len();
    let place = |p: usize| (0..=p).map(|i| at(&left.1, i) * at(&right.1, p - i)).sum::<i32>();
    let (_, out) = carried((0..places).map(place));
    trimmed(left.0 != right.0, out)
}

fn shifted(value: &Digits, digits: usize) -> Digits {
    trimmed(value.0, [vec![0; digits], value.1.clone()].concat())
}

fn scale(number: &Number) -> usize {
    match number {
        Number::Column(_, scale) => *scale,
        Number::Literal(text) => text.split_once('.').map_or(0, |(_, fraction)| fraction.len()),
        Number::Negative(inner) => scale(inner),
        Number::Calculated('*', left, right) => scale(left) + scale(right),
        Number::Calculated(_, left, right) => scale(left).max(scale(right)),
    }
}

/// None is null; an error is an overflow.
type Value<T> = Option<Result<T, ()>>;

fn fits(value: Digits) -> Result<Digits, ()> {
    if value.1.len() <= 38 { Ok(value) } else { Err(()) }
}

fn value(number: &Number, row: &[(&str, String)]) -> Value<Digits> {
    match number {
        Number::Column(name, _) => {
            row.iter().find(|(column, _)| column == name).map(|(_, text)| Ok(digits(text)))
        }
        Number::Literal(text) => Some(Ok(digits(text))),
        Number::Negative(inner) => Some(value(inner, row)?.map(|value| negate(&value))),
        Number::Calculated(sign, left, right) => {
            let (a, b) = (value(left, row)?, value(right, row)?);
            let calculate = || {
                let (a, b) = (a?, b?);
                if *sign == '*' {
                    return fits(multiply(&a, &b));
                }
                let scale_of = scale(number);
                let a = fits(shifted(&a, scale_of - scale(left)))?;
                let b = fits(shifted(&b, scale_of - scale(right)))?;
                fits(if *sign == '+' { add(&a, &b) } else { add(&a, &negate(&b)) })
            };
            Some(calculate())
        }
    }
}

fn compare(sign: &str, left: &Number, right: &Number, row: &[(&str, String)]) -> Value<bool> {
    let (a, b) = (value(left, row)?, value(right, row)?);
    let common = scale(left).max(scale(right));
    let compared = || {
        let a = shifted(&a?, common - scale(left));
        let b = shifted(&b?, common - scale(right));
        let difference = add(&a, &negate(&b));
        Ok(holds(sign, if difference.1.is_empty() { 0 } else { 1 - 2 * i32::from(difference.0) }))
    };
    Some(compared())
}

fn holds(sign: &str, order: i32) -> bool {
    match sign {
        "=" => order == 0,
        "<>" => order != 0,
        "<" => order < 0,
        "<=" => order <= 0,
        ">" => order > 0,
        _ => order >= 0,
    }
}

fn truth(rule: &Rule, row: &[(&str, String)]) -> Value<bool> {
    let cell = |name: &str| row.iter().find(|(column, _)| *column == name).map(|(_, text)| text);
    match rule {
        Rule::Compare(sign, left, right) => compare(sign, left, right, row),
        Rule::Double(sign, value) => {
            let volts: f64 = cell("volts")?.parse().unwrap();
            Some(Ok(holds(sign, (volts > *value) as i32 - (volts < *value) as i32)))
        }
        Rule::Kind(sign, value) => Some(Ok(holds(sign, cell("kind")?.as_str().cmp(value) as i32))),
        Rule::Open => Some(Ok(cell("open")? == "true")),
        Rule::IsNull(name) => Some(Ok(cell(name).is_none())),
        Rule::Between(value, low, high) => {
            joined(true, &[compare(">=", value, low, row), compare("<=", value, high, row)])
        }
        Rule::In(value, list) => {
            let list: Vec<_> = list.iter().map(|item| compare("=", value, item, row)).collect();
            joined(false, &list)
        }
        Rule::Not(inner) => Some(truth(inner, row)?.map(|value| !value)),
        Rule::List(all, list) => {
            joined(*all, &list.iter().map(|rule| truth(rule, row)).collect::<Vec<_>>())
        }
    }
}

fn joined(all: bool, list: &[Value<bool>]) -> Value<bool> {
    if list.contains(&Some(Ok(!all))) {
        Some(Ok(!all))
    } else if list.contains(&Some(Err(()))) {
        Some(Err(()))
    } else if list.contains(&None) {
        None
    } else {
        Some(Ok(all))
    }
}

fn any_row(dice: &mut Dice<'_>) -> Vec<(&'static str, String)> {
    let values: [(&str, &[&str]); 9] = [
        ("count", &["0", "7", "-2147483648"]),
        ("total", &["1", "9223372036854775807", "-9223372036854775808"]),
        ("price", &["0", "15000", "-1", "999999999999999999"]),
        ("paid", &["15000", "1"]),
        ("wide", &["1", "99999999999999999999999999999999999999", "-5"]),
        ("fine", &["0", "1", "-99999999999999999999999999999999999999"]),
        ("volts", &["0", "229.5", "-1e300"]),
        ("kind", &["a", "b", "é"]),
        ("open", &["true", "false"]),
    ];
    let cells = values.into_iter().filter_map(|(name, values)| {
        // One choice more: null.
        values.get(dice.below(values.len() + 1)).map(|value| (name, (*value).to_owned()))
    });
    cells.collect()
}

fn agree(choices: &[u16]) -> Truth {
    let mut dice = Dice(choices);
    let row = any_row(&mut dice);
    let rule = rule(&mut dice, 3);
    let expected = match truth(&rule, &row) {
        None => Truth::Null,
        Some(Err(())) => Truth::Overflow,
        Some(Ok(true)) => Truth::True,
        Some(Ok(false)) => Truth::False,
    };
    let (fields, text) = (fields(), text(&rule));
    let parsed = super::super::Rule::parse("r", &text, &fields).expect(&text);
    let cells: Vec<(&str, &str)> = row.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!(parsed.truth(&Row(&fields, &cells)), expected, "{text} for {row:?}");
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn rules_mean_what_the_model_says(choices in prop::collection::vec(any::<u16>(), 0..200)) {
        agree(&choices);
    }

    #[test]
    fn any_text_is_a_rule_or_refused(text in "[ -~é]{0,60}") {
        if let Err(error) = super::super::Rule::parse("r", &text, &fields()) {
            prop_assert!(error.at >= 1 && error.at <= text.chars().count() + 1, "{}", error);
        }
    }
}

/// The property means something only if every answer is met often.
#[test]
fn every_answer_occurs() {
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut met = [0; 4];
    for _ in 0..2000 {
        let choices: Vec<u16> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u16
        })
        .take(120)
        .collect();
        met[agree(&choices) as usize] += 1;
    }
    assert!(met.iter().all(|count| *count > 50), "{met:?}");
}
