//! By which spans of event time a stream's table is partitioned.

use chrono::{DateTime, Datelike, NaiveDate};

/// A kind of spans of event time (UTC); the rows of a span share a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Division {
    /// Days, numbered from 1970-01-01 as Iceberg's transform `day`.
    Day,
    /// Months, numbered from 1970-01 as Iceberg's transform `month`.
    Month,
}

impl Division {
    /// Its name in contracts.
    pub fn name(self) -> &'static str {
        match self {
            Division::Day => "day",
            Division::Month => "month",
        }
    }

    /// The division of a name; the error is for the end of a sentence.
    pub fn parse(text: &str) -> Result<Division, String> {
        match text {
            "day" => Ok(Division::Day),
            "month" => Ok(Division::Month),
            _ => Err("it must be `day` or `month`".into()),
        }
    }

    /// The number of the span that holds `day`, days since 1970-01-01.
    pub fn span_of(self, day: i32) -> i32 {
        match self {
            Division::Day => day,
            Division::Month => {
                let date = date(day);
                (date.year() - 1970) * 12 + date.month0() as i32
            }
        }
    }

    /// The first and the last day of a span, days since 1970-01-01.
    pub fn days_of(self, span: i32) -> (i32, i32) {
        match self {
            Division::Day => (span, span),
            Division::Month => (first_of_month(span), first_of_month(span.saturating_add(1)) - 1),
        }
    }

    /// A span as folders and Iceberg's engines name it: `2026-11-21`, `2026-11`.
    pub fn text(self, span: i32) -> String {
        let format = match self {
            Division::Day => "%Y-%m-%d",
            Division::Month => "%Y-%m",
        };
        date(self.days_of(span).0).format(format).to_string()
    }
}

/// The date of a day. Those beyond chrono's range (the year 262,000) cannot come from RFC 3339.
fn date(day: i32) -> NaiveDate {
    let beyond = if day < 0 { NaiveDate::MIN } else { NaiveDate::MAX };
    let time = DateTime::from_timestamp(i64::from(day) * 86_400, 0);
    time.map_or(beyond, |time| time.date_naive())
}

fn first_of_month(month: i32) -> i32 {
    let first =
        NaiveDate::from_ymd_opt(1970 + month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1);
    let beyond = if month < 0 { NaiveDate::MIN } else { NaiveDate::MAX };
    let days = first.unwrap_or(beyond).signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).unwrap_or(if month < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_numbered_and_named_as_iceberg_does() {
        // 2026-11-21, and the last day before 1970.
        assert_eq!(Division::Day.span_of(20_778), 20_778);
        assert_eq!(Division::Month.span_of(20_778), 56 * 12 + 10);
        assert_eq!((Division::Month.span_of(0), Division::Month.span_of(-1)), (0, -1));
        assert_eq!(Division::Month.days_of(0), (0, 30));
        assert_eq!(Division::Day.text(20_778), "2026-11-21");
        assert_eq!(Division::Month.text(682), "2026-11");
    }

    proptest! {
        #[test]
        fn each_day_is_in_one_span(day in -800_000i32..3_000_000) {
            for division in [Division::Day, Division::Month] {
                let (first, last) = division.days_of(division.span_of(day));
                prop_assert!((first..=last).contains(&day));
                prop_assert_eq!(division.span_of(first), division.span_of(last));
                prop_assert_ne!(division.span_of(last), division.span_of(last + 1));
            }
        }
    }
}
