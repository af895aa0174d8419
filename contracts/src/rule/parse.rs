//! Tokens → a typed condition. Types are checked as the text is read, so that a mistake is told
//! where it stands.

use std::cmp::Ordering;

use super::RuleError;
use super::eval::{Comparison, Condition, Double, EXACT_MAX, Exact, Text};
use super::lexer::{Kind, Token, tokens};
use crate::contract::{Field, FieldType};
use crate::time::{day, timestamp};

/// How deep parentheses, `not` and `-` may nest.
const DEPTH_MAX: usize = 64;
/// Words that are no columns.
const KEYWORDS: [&str; 9] = ["and", "or", "not", "in", "between", "is", "null", "true", "false"];

type Result<T> = std::result::Result<T, RuleError>;

/// An expression whose type is known.
#[derive(Debug, Clone)]
enum Value {
    Condition(Condition),
    Number(Number),
    Text(Text),
    Timestamp(Exact),
    Date(Exact),
    /// An object or array: there or not, nothing else.
    Json(usize),
}

#[derive(Debug, Clone)]
enum Number {
    /// Beside a double it is one.
    Literal {
        exact: i128,
        scale: u8,
        double: f64,
    },
    Exact {
        value: Exact,
        scale: u8,
    },
    /// An `int` column: exact, and a double beside one.
    Int(usize),
    Double(Double),
}

#[derive(Debug, Clone, Copy)]
enum Sign {
    Add,
    Subtract,
    Multiply,
}

/// The condition, and the columns that it names.
pub(super) fn parse(text: &str, fields: &[Field]) -> Result<(Condition, Vec<usize>)> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, fields, columns: Vec::new() };
    let at = parser.at();
    let value = parser.any()?;
    match parser.peek() {
        Kind::End => Ok((condition(value, at)?, parser.columns)),
        found => fail(parser.at(), format!("the end was expected, not {}", words(found))),
    }
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    depth: usize,
    fields: &'a [Field],
    columns: Vec<usize>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Kind<'a> {
        // The last token is the end, and nothing goes beyond it.
        &self.tokens[self.next.min(self.tokens.len() - 1)].kind
    }

    fn at(&self) -> usize {
        self.tokens[self.next.min(self.tokens.len() - 1)].at
    }

    /// Passes the keyword, if it is next.
    fn word(&mut self, keyword: &str) -> bool {
        let here = matches!(self.peek(), Kind::Word(word) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(here);
        here
    }

    fn sign(&mut self, sign: &str) -> bool {
        let here = matches!(self.peek(), Kind::Sign(found) if *found == sign);
        self.next += usize::from(here);
        here
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.sign(sign) {
            return Ok(());
        }
        fail(self.at(), format!("`{sign}` was expected, not {}", words(self.peek())))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH_MAX {
            return fail(self.at(), format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn any(&mut self) -> Result<Value> {
        self.list("or", Parser::all, Condition::Any)
    }

    fn all(&mut self) -> Result<Value> {
        self.list("and", Parser::negation, Condition::All)
    }

    fn list(
        &mut self,
        keyword: &str,
        read: fn(&mut Self) -> Result<Value>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Value> {
        let at = self.at();
        let first = read(self)?;
        if !self.word(keyword) {
            return Ok(first);
        }
        let mut list = vec![condition(first, at)?];
        loop {
            let at = self.at();
            let next = read(self)?;
            list.push(condition(next, at)?);
            if !self.word(keyword) {
                return Ok(Value::Condition(join(list)));
            }
        }
    }

    fn negation(&mut self) -> Result<Value> {
        if !self.word("not") {
            return self.predicate();
        }
        let at = self.at();
        let inner = self.deeper(Parser::negation)?;
        Ok(Value::Condition(not(condition(inner, at)?)))
    }

    fn predicate(&mut self) -> Result<Value> {
        let left = self.sum()?;
        let at = self.at();
        if let Some(comparison) = self.comparison() {
            let right = self.sum()?;
            let compared = compare(comparison, left, right, at)?;
            if self.comparison().is_some() {
                return fail(at, "comparisons do not chain; write `a < b and b < c`");
            }
            return Ok(Value::Condition(compared));
        }
        if self.word("is") {
            let negated = self.word("not");
            if !self.word("null") {
                return fail(self.at(), "`null` was expected behind `is`");
            }
            let Some(column) = column_of(&left) else {
                return fail(at, "`is null` is asked of a column");
            };
            let is_null = Condition::IsNull(column);
            return Ok(Value::Condition(if negated { not(is_null) } else { is_null }));
        }
        let negated = self.word("not");
        let inside = if self.word("between") {
            let low = self.sum()?;
            if !self.word("and") {
                return fail(self.at(), "`and` was expected behind the lower bound of `between`");
            }
            let high = self.sum()?;
            Condition::All(vec![
                compare(Comparison::GreaterOrEqual, left.clone(), low, at)?,
                compare(Comparison::LessOrEqual, left, high, at)?,
            ])
        } else if self.word("in") {
            self.expect("(")?;
            let mut list = Vec::new();
            loop {
                let item = self.sum()?;
                list.push(compare(Comparison::Equal, left.clone(), item, at)?);
                if !self.sign(",") {
                    break;
                }
            }
            self.expect(")")?;
            Condition::Any(list)
        } else if negated {
            return fail(self.at(), "`between` or `in` was expected behind `not`");
        } else {
            return Ok(left);
        };
        Ok(Value::Condition(if negated { not(inside) } else { inside }))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let Kind::Sign(sign) = self.peek() else { return None };
        let comparison = match *sign {
            "=" => Comparison::Equal,
            "<>" | "!=" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        self.next += 1;
        Some(comparison)
    }

    fn sum(&mut self) -> Result<Value> {
        let mut value = self.product()?;
        loop {
            let at = self.at();
            let sign = if self.sign("+") {
                Sign::Add
            } else if self.sign("-") {
                Sign::Subtract
            } else {
                return Ok(value);
            };
            value = calculate(sign, value, self.product()?, at)?;
        }
    }

    fn product(&mut self) -> Result<Value> {
        let mut value = self.factor()?;
        loop {
            let at = self.at();
            if !self.sign("*") {
                return Ok(value);
            }
            value = calculate(Sign::Multiply, value, self.factor()?, at)?;
        }
    }

    fn factor(&mut self) -> Result<Value> {
        let at = self.at();
        if self.sign("-") {
            return negative(self.deeper(Parser::factor)?, at);
        }
        if self.sign("(") {
            let inner = self.deeper(Parser::any)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let kind = self.peek();
        self.next += 1;
        match kind {
            Kind::Number(text) => literal(text, at).map(Value::Number),
            Kind::Text(text) => Ok(Value::Text(Text::Literal(text.as_bytes().into()))),
            Kind::Word(word) => self.named(word, at),
            Kind::Sign(_) | Kind::End => {
                fail(at, format!("a column or a value was expected, not {}", words(kind)))
            }
        }
    }

    fn named(&mut self, word: &str, at: usize) -> Result<Value> {
        let lower = word.to_ascii_lowercase();
        if let Kind::Text(text) = self.peek() {
            let read = match lower.as_str() {
                "timestamp" => timestamp(text.as_bytes()).map(|us| Value::Timestamp(whole(us))),
                "date" => day(text.as_bytes()).map(|d| Value::Date(whole(i64::from(d)))),
                _ => return fail(self.at(), "a text does not belong here"),
            };
            let here = self.at();
            self.next += 1;
            return read.or_else(|fault| fail(here, format!("{text:?} {fault}")));
        }
        match lower.as_str() {
            "true" | "false" => return Ok(Value::Condition(Condition::Literal(lower == "true"))),
            "null" => return fail(at, "nothing equals null; write `is null` or `is not null`"),
            keyword if KEYWORDS.contains(&keyword) => {
                return fail(at, format!("a column or a value was expected, not `{keyword}`"));
            }
            _ => {}
        }
        if matches!(self.peek(), Kind::Sign("(")) {
            return fail(at, format!("rules have no functions, not even `{word}`"));
        }
        let Some(column) = self.fields.iter().position(|field| field.name == word) else {
            let names = self.fields.iter().map(|field| field.name.as_str());
            let advice = match crate::yaml::nearest(word, names) {
                Some(nearest) => format!("; did you mean `{nearest}`?"),
                None => String::new(),
            };
            return fail(at, format!("there is no column `{word}`{advice}"));
        };
        if self.fields[column].hashed {
            return fail(at, format!("`{word}` is hashed, so nothing can be said about it"));
        }
        if !self.columns.contains(&column) {
            self.columns.push(column);
        }
        Ok(column_value(column, self.fields[column].kind))
    }
}

fn whole(number: i64) -> Exact {
    Exact::Literal(i128::from(number))
}

fn column_value(column: usize, kind: FieldType) -> Value {
    let exact = Exact::Column(column);
    match kind {
        FieldType::String => Value::Text(Text::Column(column)),
        FieldType::Boolean => Value::Condition(Condition::Column(column)),
        FieldType::Int => Value::Number(Number::Int(column)),
        FieldType::Long => Value::Number(Number::Exact { value: exact, scale: 0 }),
        FieldType::Decimal { scale, .. } => Value::Number(Number::Exact { value: exact, scale }),
        FieldType::Double => Value::Number(Number::Double(Double::Column(column))),
        FieldType::Timestamp => Value::Timestamp(exact),
        FieldType::Date => Value::Date(exact),
        FieldType::Json => Value::Json(column),
    }
}

/// The column that the value is, and nothing but.
fn column_of(value: &Value) -> Option<usize> {
    match value {
        Value::Condition(Condition::Column(column))
        | Value::Text(Text::Column(column))
        | Value::Timestamp(Exact::Column(column))
        | Value::Date(Exact::Column(column))
        | Value::Json(column)
        | Value::Number(
            Number::Int(column)
            | Number::Exact { value: Exact::Column(column), .. }
            | Number::Double(Double::Column(column)),
        ) => Some(*column),
        _ => None,
    }
}

fn literal(text: &str, at: usize) -> Result<Number> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let exact = digits.parse::<i128>().ok().filter(|exact| *exact <= EXACT_MAX);
    match (exact, u8::try_from(fraction.len()), text.parse()) {
        (Some(exact), Ok(scale @ 0..=38), Ok(double)) => {
            Ok(Number::Literal { exact, scale, double })
        }
        _ => fail(at, "a number has at most 38 digits"),
    }
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn condition(value: Value, at: usize) -> Result<Condition> {
    match value {
        Value::Condition(condition) => Ok(condition),
        other => fail(at, format!("a condition was expected, not {}", other.kind())),
    }
}

fn negative(value: Value, at: usize) -> Result<Value> {
    let Value::Number(number) = value else {
        return fail(at, format!("`-` belongs before a number, not before {}", value.kind()));
    };
    Ok(Value::Number(match number {
        Number::Literal { exact, scale, double } => {
            Number::Literal { exact: -exact, scale, double: -double }
        }
        Number::Double(double) => Number::Double(Double::Negative(Box::new(double))),
        exact => {
            let (value, scale) = exact.exact(at)?;
            Number::Exact { value: Exact::Negative(Box::new(value)), scale }
        }
    }))
}

fn calculate(sign: Sign, left: Value, right: Value, at: usize) -> Result<Value> {
    let (Value::Number(left), Value::Number(right)) = (&left, &right) else {
        let kinds = format!("{} and {}", left.kind(), right.kind());
        return fail(at, format!("only numbers can be calculated with, not {kinds}"));
    };
    if matches!(left, Number::Double(_)) || matches!(right, Number::Double(_)) {
        let (left, right) = (left.double(at)?.into(), right.double(at)?.into());
        return Ok(Value::Number(Number::Double(match sign {
            Sign::Add => Double::Add(left, right),
            Sign::Subtract => Double::Subtract(left, right),
            Sign::Multiply => Double::Multiply(left, right),
        })));
    }
    let ((left, left_scale), (right, right_scale)) = (left.exact(at)?, right.exact(at)?);
    let (value, scale) = match sign {
        Sign::Multiply => {
            let scale = left_scale + right_scale;
            if scale > 38 {
                return fail(at, "the product has more than 38 digits behind the point");
            }
            (Exact::Multiply(left.into(), right.into()), scale)
        }
        Sign::Add | Sign::Subtract => {
            let scale = left_scale.max(right_scale);
            let left = scaled(left, scale - left_scale).into();
            let right = scaled(right, scale - right_scale).into();
            let add = matches!(sign, Sign::Add);
            (if add { Exact::Add(left, right) } else { Exact::Subtract(left, right) }, scale)
        }
    };
    Ok(Value::Number(Number::Exact { value, scale }))
}

fn scaled(value: Exact, digits: u8) -> Exact {
    if digits == 0 { value } else { Exact::Scaled(value.into(), power(digits)) }
}

/// A power of ten, at most the 38th.
fn power(digits: u8) -> i128 {
    10i128.pow(u32::from(digits))
}

impl Number {
    fn exact(&self, at: usize) -> Result<(Exact, u8)> {
        match self {
            Number::Literal { exact, scale, .. } => Ok((Exact::Literal(*exact), *scale)),
            Number::Exact { value, scale } => Ok((value.clone(), *scale)),
            Number::Int(column) => Ok((Exact::Column(*column), 0)),
            Number::Double(_) => fail(at, MIXED),
        }
    }

    fn double(&self, at: usize) -> Result<Double> {
        match self {
            Number::Literal { double, .. } => Ok(Double::Literal(*double)),
            Number::Int(column) => Ok(Double::Int(*column)),
            Number::Double(double) => Ok(double.clone()),
            Number::Exact { .. } => fail(at, MIXED),
        }
    }
}

const MIXED: &str = "an exact number and a double do not mix, since one of them would be rounded; \
                     beside a double stand doubles, literals and int columns";

fn compare(comparison: Comparison, left: Value, right: Value, at: usize) -> Result<Condition> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => numbers(comparison, &left, &right, at),
        (Value::Text(left), Value::Text(right)) => Ok(Condition::Text(comparison, left, right)),
        (Value::Timestamp(left), Value::Timestamp(right))
        | (Value::Date(left), Value::Date(right)) => {
            Ok(Condition::Exact(comparison, (left, 1), (right, 1)))
        }
        (Value::Condition(left), Value::Condition(right)) => {
            let equal = match comparison {
                Comparison::Equal => true,
                Comparison::NotEqual => false,
                _ => return fail(at, "true and false have no order; use `=` or `<>`"),
            };
            Ok(Condition::Same(equal, left.into(), right.into()))
        }
        (left, right) => {
            fail(at, format!("{} cannot be compared with {}", left.kind(), right.kind()))
        }
    }
}

fn numbers(comparison: Comparison, left: &Number, right: &Number, at: usize) -> Result<Condition> {
    if matches!(left, Number::Double(_)) || matches!(right, Number::Double(_)) {
        return Ok(Condition::Double(comparison, left.double(at)?, right.double(at)?));
    }
    let ((left, left_scale), (right, right_scale)) = (left.exact(at)?, right.exact(at)?);
    let (left_factor, right_factor) = match left_scale.cmp(&right_scale) {
        Ordering::Less => (power(right_scale - left_scale), 1),
        Ordering::Equal => (1, 1),
        Ordering::Greater => (1, power(left_scale - right_scale)),
    };
    Ok(Condition::Exact(comparison, (left, left_factor), (right, right_factor)))
}

impl Value {
    /// In words, with its article.
    fn kind(&self) -> &'static str {
        match self {
            Value::Condition(_) => "a condition",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::Timestamp(_) => "a time",
            Value::Date(_) => "a date",
            Value::Json(_) => "an object or array",
        }
    }
}

fn words(kind: &Kind<'_>) -> String {
    match kind {
        Kind::Word(text) | Kind::Number(text) => format!("`{text}`"),
        Kind::Text(text) => format!("the text {text:?}"),
        Kind::Sign(sign) => format!("`{sign}`"),
        Kind::End => "the end".into(),
    }
}

fn fail<T>(at: usize, message: impl Into<String>) -> Result<T> {
    Err(RuleError { at, message: message.into() })
}
