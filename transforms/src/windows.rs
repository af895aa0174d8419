//! Windows of event time: which of them new records touch, and of which records they are made. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};

/// Ranges beyond so many are joined where they lie nearest: more is made anew than must be.
const RANGES_MAX: usize = 64;

/// Units of time over which the rows of one file are spread.
const UNITS_MAX: usize = 400;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// How long a window is. All windows begin at the same instants, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month of the calendar.
    Month,
}

impl BatchSize {
    /// The first instant of the window `batches` after that in which `at` lies, µs.
    fn start(self, at: i64, batches: i64) -> i64 {
        let plain = |size: i64| at.div_euclid(size).saturating_add(batches).saturating_mul(size);
        match self {
            BatchSize::Hour => plain(HOUR_US),
            BatchSize::Day => plain(DAY_US),
            BatchSize::Month => {
                let beyond = if at < 0 { i64::MIN } else { i64::MAX };
                start_of_month(at, batches).unwrap_or(beyond)
            }
        }
    }
}

/// The first instant of the month `months` after that in which `at` lies; none beyond the calendar's end.
fn start_of_month(at: i64, months: i64) -> Option<i64> {
    let date = DateTime::from_timestamp_micros(at)?.date_naive();
    let month = i64::from(date.year()) * 12 + i64::from(date.month0()) + months;
    let year = i32::try_from(month.div_euclid(12)).ok()?;
    let first = NaiveDate::from_ymd_opt(year, u32::try_from(month.rem_euclid(12)).ok()? + 1, 1)?;
    Some(first.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
}

/// Ranges of time in µs since the epoch, each from its first instant until before its second; sorted, none
/// touches the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    /// All time.
    pub fn all() -> Ranges {
        Ranges(vec![(i64::MIN, i64::MAX)])
    }

    /// What lies in any of `ranges`.
    pub fn of(ranges: impl IntoIterator<Item = (i64, i64)>) -> Ranges {
        let mut all: Vec<(i64, i64)> = ranges.into_iter().filter(|(from, to)| from < to).collect();
        all.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Ranges(joined).few()
    }

    /// As few ranges as a query may name.
    fn few(mut self) -> Ranges {
        while self.0.len() > RANGES_MAX {
            let gap = |i: &usize| self.0[i + 1].0.saturating_sub(self.0[*i].1);
            let Some(at) = (0..self.0.len() - 1).min_by_key(gap) else { break };
            let (_, to) = self.0.remove(at + 1);
            self.0[at].1 = to;
        }
        self
    }

    /// The ranges.
    pub fn as_slice(&self) -> &[(i64, i64)] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any of them reaches into `least..=greatest`; a bound that is not known is far away.
    pub fn meet(&self, least: Option<i64>, greatest: Option<i64>) -> bool {
        let (least, greatest) = (least.unwrap_or(i64::MIN), greatest.unwrap_or(i64::MAX));
        self.0.iter().any(|(from, to)| *from <= greatest && least < *to)
    }

    /// What of them lies from `from` until before `to`.
    fn between(&self, from: i64, to: i64) -> Ranges {
        Ranges::of(self.0.iter().map(|range| (range.0.max(from), range.1.min(to))))
    }

    /// Whether all of it lies in one window.
    pub fn lie_in_one(&self, size: BatchSize) -> bool {
        match self.windows(size, 0, 0).0.as_slice() {
            [] => true,
            [(from, to)] => *from > i64::MIN && size.start(*from, 1) == *to,
            _ => false,
        }
    }

    /// What lies in both or either.
    pub fn with(&self, other: &Ranges) -> Ranges {
        Ranges::of(self.0.iter().chain(&other.0).copied())
    }

    /// The windows into which they reach, `before` windows before each and `after` windows after it.
    pub fn windows(&self, size: BatchSize, before: u32, after: u32) -> Ranges {
        let window = |(from, to): &(i64, i64)| {
            let from = match *from {
                i64::MIN => i64::MIN,
                from => size.start(from, -i64::from(before)),
            };
            let to = match *to {
                i64::MAX => i64::MAX,
                to => size.start(to - 1, i64::from(after) + 1),
            };
            (from, to)
        };
        Ranges::of(self.0.iter().map(window))
    }
}

/// Rows with times from the first to the last, µs.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// The first.
    pub from: i64,
    /// The last.
    pub to: i64,
    /// How many rows.
    pub rows: u64,
}

/// A part of windows that are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it makes.
    pub windows: Ranges,
    /// The time that it is about: no part is about a time of another, and all are about all time.
    pub span: Ranges,
}

/// `windows` in parts that begin where a `unit` does and are made of at most `rows_max` of `rows`, or of one
/// unit, in the order of time. Rows are taken to be spread evenly over their time.
pub fn parts(windows: &Ranges, unit: BatchSize, rows: &[Rows], rows_max: u64) -> Vec<Part> {
    let mut units: BTreeMap<i64, f64> = BTreeMap::new();
    for rows in rows.iter().filter(|rows| windows.meet(Some(rows.from), Some(rows.to))) {
        let last = unit.start(rows.to, 0);
        let mut starts = vec![unit.start(rows.from, 0)];
        while let Some(next) = starts.last().map(|at| unit.start(*at, 1)).filter(|at| *at <= last) {
            if starts.len() == UNITS_MAX {
                // Of a file of so long a time nothing is known of a unit.
                starts = vec![last];
                break;
            }
            starts.push(next);
        }
        let each = rows.rows as f64 / starts.len() as f64;
        starts.iter().for_each(|start| *units.entry(*start).or_default() += each);
    }
    let (mut cuts, mut sum) = (vec![i64::MIN], 0.0);
    for (start, rows) in units {
        if windows.between(start, unit.start(start, 1)).is_empty() {
            continue;
        }
        if sum > 0.0 && sum + rows > rows_max as f64 {
            cuts.push(start);
            sum = 0.0;
        }
        sum += rows;
    }
    let ends = cuts[1..].iter().copied().chain([i64::MAX]);
    let part = |(from, to): (&i64, i64)| Part {
        windows: windows.between(*from, to),
        span: Ranges(vec![(*from, to)]),
    };
    cuts.iter().zip(ends).map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_joined_and_grow_to_windows() {
        let ranges = Ranges::of([(5, 9), (1, 3), (3, 4), (7, 20), (30, 30)]);
        assert_eq!(ranges.as_slice(), [(1, 4), (5, 20)]);
        let day = |n: i64| n * DAY_US;
        let of = Ranges::of([(day(3) + 1, day(3) + 2), (day(7), day(8))]);
        assert_eq!(
            of.windows(BatchSize::Day, 0, 0).as_slice(),
            [(day(3), day(4)), (day(7), day(8))]
        );
        assert_eq!(of.windows(BatchSize::Day, 1, 2).as_slice(), [(day(2), day(10))]);
        let hour = Ranges::of([(-1, 1)]).windows(BatchSize::Hour, 0, 0);
        assert_eq!(hour.as_slice(), [(-HOUR_US, HOUR_US)]);
        assert_eq!(Ranges::all().windows(BatchSize::Month, 3, 3), Ranges::all());
        assert!(of.meet(None, Some(day(3) + 1)) && !of.meet(None, Some(day(3))));
        assert!(of.meet(Some(day(8) - 1), None) && !of.meet(Some(day(8)), None));
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let month = |at| Ranges::of([(at, at + 1)]).windows(BatchSize::Month, 0, 0).as_slice()[0];
        // date -ud 2024-02-29 +%s; 2024-02-01 and 2024-03-01.
        let (day, first, next) = (1_709_164_800, 1_706_745_600, 1_709_251_200);
        assert_eq!(month(day * 1_000_000), (first * 1_000_000, next * 1_000_000));
        assert_eq!(month(-1), (-31 * DAY_US, 0));
        assert_eq!(month(0), (0, 31 * DAY_US));
    }

    proptest! {
        #[test]
        fn windows_hold_what_they_are_made_of(
            points in prop::collection::vec(-4_000_000_000_000_000i64..4_000_000_000_000_000, 0..200),
            size in prop::sample::select(vec![BatchSize::Hour, BatchSize::Day, BatchSize::Month]),
            before in 0u32..3,
        ) {
            let ranges = Ranges::of(points.iter().map(|at| (*at, at + 1)));
            prop_assert!(ranges.as_slice().len() <= RANGES_MAX);
            let windows = ranges.windows(size, before, 0);
            for at in &points {
                let inside = |at: i64| windows.as_slice().iter().any(|(from, to)| *from <= at && at < *to);
                prop_assert!(inside(*at) && inside(size.start(*at, -i64::from(before))));
                prop_assert!(size.start(*at, 0) <= *at && *at < size.start(*at, 1));
            }
            prop_assert_eq!(windows.windows(size, 0, 0), windows);
        }

        #[test]
        fn parts_are_all_of_it_and_none_is_too_much(
            touched in prop::collection::vec((0i64..400, 1i64..60), 1..12),
            files in prop::collection::vec((0i64..450, 0i64..70, 1u64..50), 0..40),
            rows_max in 1u64..200,
            all in any::<bool>(),
            unit in prop::sample::select(vec![BatchSize::Day, BatchSize::Month]),
        ) {
            let hours = |from: i64, hours: i64| (from * HOUR_US, (from + hours) * HOUR_US);
            let windows = match all {
                true => Ranges::all(),
                false => Ranges::of(touched.iter().map(|(from, n)| hours(*from, *n))),
            };
            let rows: Vec<Rows> = files
                .iter()
                .map(|(at, n, rows)| Rows { from: hours(*at, *n).0, to: hours(*at, *n).1, rows: *rows })
                .collect();
            let parts = parts(&windows, unit, &rows, rows_max);
            // Together they are the windows and all time, and each begins where the last one ends.
            let made = Ranges::of(parts.iter().flat_map(|part| part.windows.0.clone()));
            prop_assert_eq!(&made, &windows);
            prop_assert_eq!(Ranges::of(parts.iter().flat_map(|part| part.span.0.clone())), Ranges::all());
            for part in &parts {
                let [(from, to)] = part.span.as_slice() else { panic!("a span of several pieces") };
                prop_assert!(!part.windows.is_empty());
                prop_assert_eq!(part.windows.between(*from, *to), part.windows.clone());
                prop_assert!(*from == i64::MIN || unit.start(*from, 0) == *from);
                // At most so many rows for certain, or one unit of time.
                let certain: Vec<&Rows> =
                    rows.iter().filter(|rows| *from <= rows.from && rows.to < *to).collect();
                let units = certain.iter().flat_map(|r| [r.from, r.to].map(|at| unit.start(at, 0)));
                let units: std::collections::BTreeSet<i64> = units.collect();
                let sum: u64 = certain.iter().map(|rows| rows.rows).sum();
                prop_assert!(!all || units.len() <= 1 || sum <= rows_max, "{sum} rows in {part:?}");
            }
        }
    }
}
