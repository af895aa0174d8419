//! Typed expressions, and their value for a row.

use std::cmp::Ordering;

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Unknown: it depends on a null.
    Null,
    /// It depends on a number that cannot be calculated.
    Overflow,
}

/// A row's values by the position of the column; none is null. A rule asks for each column what its
/// type is.
pub trait Cells {
    /// An int, long, date (days) or timestamp (µs), or a decimal, unscaled.
    fn exact(&self, column: usize) -> Option<i128>;
    /// A double.
    fn double(&self, column: usize) -> Option<f64>;
    /// A string, as UTF-8.
    fn text(&self, column: usize) -> Option<&[u8]>;
    /// A boolean.
    fn boolean(&self, column: usize) -> Option<bool>;
    /// Is there no value, whatever the type?
    fn is_null(&self, column: usize) -> bool;
}

/// Why an expression has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    Null,
    Overflow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A condition of known type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    Literal(bool),
    Column(usize),
    IsNull(usize),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    /// Each side times a power of ten, by which both have one scale.
    Exact(Comparison, (Exact, i128), (Exact, i128)),
    Double(Comparison, Double, Double),
    Text(Comparison, Text, Text),
    /// Equal or not.
    Same(bool, Box<Condition>, Box<Condition>),
}

/// An exact number; its scale is known where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Exact {
    Literal(i128),
    Column(usize),
    Scaled(Box<Exact>, i128),
    Negative(Box<Exact>),
    Add(Box<Exact>, Box<Exact>),
    Subtract(Box<Exact>, Box<Exact>),
    Multiply(Box<Exact>, Box<Exact>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Double {
    Literal(f64),
    Column(usize),
    /// An `int` column, which a double holds exactly.
    Int(usize),
    Negative(Box<Double>),
    Add(Box<Double>, Box<Double>),
    Subtract(Box<Double>, Box<Double>),
    Multiply(Box<Double>, Box<Double>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    Literal(Box<[u8]>),
    Column(usize),
}

/// The greatest unscaled value that a decimal can hold.
pub(super) const EXACT_MAX: i128 = 10i128.pow(38) - 1;

impl Comparison {
    #[inline]
    fn holds(self, order: Ordering) -> Truth {
        Truth::from(match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        })
    }
}

impl From<bool> for Truth {
    #[inline]
    fn from(value: bool) -> Truth {
        if value { Truth::True } else { Truth::False }
    }
}

impl From<Gap> for Truth {
    fn from(gap: Gap) -> Truth {
        match gap {
            Gap::Null => Truth::Null,
            Gap::Overflow => Truth::Overflow,
        }
    }
}

impl Condition {
    pub fn truth(&self, row: &impl Cells) -> Truth {
        match self {
            Condition::Literal(value) => Truth::from(*value),
            Condition::Column(column) => row.boolean(*column).map_or(Truth::Null, Truth::from),
            Condition::IsNull(column) => Truth::from(row.is_null(*column)),
            Condition::Not(inner) => match inner.truth(row) {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                other => other,
            },
            Condition::All(list) => decide(list, row, Truth::False, Truth::True),
            Condition::Any(list) => decide(list, row, Truth::True, Truth::False),
            Condition::Exact(comparison, (left, left_factor), (right, right_factor)) => {
                let sides = both(left.value(row), right.value(row));
                sides.map_or_else(Truth::from, |(left, right)| {
                    comparison.holds(scaled_order(left, *left_factor, right, *right_factor))
                })
            }
            Condition::Double(comparison, left, right) => {
                let sides = both(left.value(row), right.value(row));
                sides.map_or_else(Truth::from, |(left, right)| {
                    // Both are finite.
                    comparison.holds(left.partial_cmp(&right).unwrap_or(Ordering::Equal))
                })
            }
            Condition::Text(comparison, left, right) => match (left.value(row), right.value(row)) {
                (Some(left), Some(right)) => comparison.holds(left.cmp(right)),
                _ => Truth::Null,
            },
            Condition::Same(equal, left, right) => match (left.truth(row), right.truth(row)) {
                (Truth::Null, _) | (_, Truth::Null) => Truth::Null,
                (Truth::Overflow, _) | (_, Truth::Overflow) => Truth::Overflow,
                (left, right) => Truth::from((left == right) == *equal),
            },
        }
    }
}

/// `all` and `any`: one `decisive` answer decides; else an overflow, then a null, makes it unknown.
#[inline]
fn decide(list: &[Condition], row: &impl Cells, decisive: Truth, neutral: Truth) -> Truth {
    let mut answer = neutral;
    for condition in list {
        match condition.truth(row) {
            truth if truth == decisive => return decisive,
            Truth::Overflow => answer = Truth::Overflow,
            Truth::Null if answer == neutral => answer = Truth::Null,
            _ => {}
        }
    }
    answer
}

/// How `left * left_factor` stands to `right * right_factor`; factors are powers of ten, one is 1.
#[inline]
fn scaled_order(left: i128, left_factor: i128, right: i128, right_factor: i128) -> Ordering {
    if left_factor == right_factor {
        return left.cmp(&right);
    }
    match (left.checked_mul(left_factor), right.checked_mul(right_factor)) {
        (Some(left), Some(right)) => left.cmp(&right),
        // Beyond 128 bits it is beyond any other value, and its sign decides.
        (None, _) => left.cmp(&0),
        (_, None) => 0.cmp(&right),
    }
}

#[inline]
fn both<T>(left: Result<T, Gap>, right: Result<T, Gap>) -> Result<(T, T), Gap> {
    match (left, right) {
        (Ok(left), Ok(right)) => Ok((left, right)),
        (Err(Gap::Null), _) | (_, Err(Gap::Null)) => Err(Gap::Null),
        _ => Err(Gap::Overflow),
    }
}

impl Exact {
    #[inline]
    fn value(&self, row: &impl Cells) -> Result<i128, Gap> {
        match self {
            Exact::Literal(value) => Ok(*value),
            Exact::Column(column) => row.exact(*column).ok_or(Gap::Null),
            other => other.calculated(row),
        }
    }

    fn calculated(&self, row: &impl Cells) -> Result<i128, Gap> {
        let two = |left: &Exact, right: &Exact| both(left.value(row), right.value(row));
        let value = match self {
            Exact::Literal(_) | Exact::Column(_) => return self.value(row),
            Exact::Scaled(inner, factor) => inner.value(row)?.checked_mul(*factor),
            Exact::Negative(inner) => inner.value(row)?.checked_neg(),
            Exact::Add(left, right) => two(left, right).map(|(l, r)| l.checked_add(r))?,
            Exact::Subtract(left, right) => two(left, right).map(|(l, r)| l.checked_sub(r))?,
            Exact::Multiply(left, right) => two(left, right).map(|(l, r)| l.checked_mul(r))?,
        };
        value.filter(|value| (-EXACT_MAX..=EXACT_MAX).contains(value)).ok_or(Gap::Overflow)
    }
}

impl Double {
    #[inline]
    fn value(&self, row: &impl Cells) -> Result<f64, Gap> {
        match self {
            Double::Literal(value) => Ok(*value),
            Double::Column(column) => row.double(*column).ok_or(Gap::Null),
            // An int fits, so nothing is rounded.
            Double::Int(column) => row.exact(*column).map(|int| int as f64).ok_or(Gap::Null),
            other => other.calculated(row),
        }
    }

    fn calculated(&self, row: &impl Cells) -> Result<f64, Gap> {
        let two = |left: &Double, right: &Double| both(left.value(row), right.value(row));
        let value = match self {
            Double::Literal(_) | Double::Column(_) | Double::Int(_) => return self.value(row),
            Double::Negative(inner) => -inner.value(row)?,
            Double::Add(left, right) => two(left, right).map(|(l, r)| l + r)?,
            Double::Subtract(left, right) => two(left, right).map(|(l, r)| l - r)?,
            Double::Multiply(left, right) => two(left, right).map(|(l, r)| l * r)?,
        };
        if value.is_finite() { Ok(value) } else { Err(Gap::Overflow) }
    }
}

impl Text {
    #[inline]
    fn value<'a>(&'a self, row: &'a impl Cells) -> Option<&'a [u8]> {
        match self {
            Text::Literal(text) => Some(text),
            Text::Column(column) => row.text(*column),
        }
    }
}
