//! The snapshot ladder: which snapshots tags keep when the others expire. The last snapshot of every
//! hour, day and month that has ended is tagged by the next commit, which also takes away the tags
//! that the ladder no longer reaches; so history stays readable for years and metadata small. Pure.
//!
//! A rung that reaches `n` periods back keeps the tags of the last `n` ended periods, and the newest
//! before them: that one was the table's state when the oldest of them began. So every instant in
//! the rung's reach, but for the first period of the table's life, has a state that was the table's
//! less than one period earlier.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta};
use weir_contract::names::{TAG_DAY_PREFIX, TAG_HOUR_PREFIX, TAG_MONTH_PREFIX};

/// How far back tags reach; 0 keeps none of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// Hours whose last snapshot is kept.
    pub hours: u32,
    /// Days whose last snapshot is kept.
    pub days: u32,
    /// Months whose last snapshot is kept.
    pub months: u32,
}

impl Default for Ladder {
    /// Two days of hours, ninety days, seven years of months.
    fn default() -> Ladder {
        Ladder { hours: 48, days: 90, months: 84 }
    }
}

/// A state that the table had: a snapshot and its commit time, ms since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// The snapshot.
    pub id: i64,
    /// When it was committed.
    pub at_ms: i64,
}

/// What a commit does to the ladder's tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LadderPlan {
    /// Tags to set, with their snapshots.
    pub set: Vec<(String, i64)>,
    /// Tags to take away.
    pub remove: Vec<String>,
}

/// Whether the ladder sets and takes away tags of that name.
pub fn is_of_ladder(tag: &str) -> bool {
    RUNGS.iter().any(|rung| rung.period_of(tag).is_some())
}

/// The plan of a commit at `now_ms` on a table with this history (oldest first, as far as it stands
/// unbroken below the current snapshot) and these tags. `taken` are names that no tag can have.
pub fn plan_ladder<'a>(
    ladder: &Ladder,
    history: &[Past],
    tags: impl IntoIterator<Item = &'a str>,
    taken: &BTreeSet<&str>,
    now_ms: i64,
) -> LadderPlan {
    let tags: Vec<&str> = tags.into_iter().collect();
    let mut plan = LadderPlan::default();
    for (rung, reach) in RUNGS.iter().zip([ladder.hours, ladder.days, ladder.months]) {
        let Some(now) = rung.period(now_ms) else { continue };
        let existing: BTreeSet<i64> = tags.iter().filter_map(|tag| rung.period_of(tag)).collect();
        let mut last: BTreeMap<i64, i64> = BTreeMap::new();
        for past in history {
            // A name that exists is never moved to another snapshot.
            let period = rung.period(past.at_ms).filter(|p| *p < now && !existing.contains(p));
            last.extend(period.map(|period| (period, past.id)));
        }
        let kept = kept(existing.iter().chain(last.keys()), now, reach);
        let new = last.iter().filter(|(period, _)| kept.contains(period));
        let named = new.filter_map(|(period, id)| Some((rung.name(*period)?, *id)));
        plan.set.extend(named.filter(|(name, _)| !taken.contains(name.as_str())));
        let old = existing.iter().filter(|period| !kept.contains(period));
        plan.remove.extend(old.filter_map(|period| rung.name(*period)));
    }
    plan
}

fn kept<'a>(periods: impl Iterator<Item = &'a i64>, now: i64, reach: u32) -> BTreeSet<i64> {
    if reach == 0 {
        return BTreeSet::new();
    }
    let first = now - i64::from(reach);
    let (old, mut kept): (BTreeSet<i64>, BTreeSet<i64>) =
        periods.partition(|period| **period < first);
    kept.extend(old.last());
    kept
}

/// Hours, days or months, numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Hour,
    Day,
    Month,
}

const RUNGS: [Rung; 3] = [Rung::Hour, Rung::Day, Rung::Month];
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Rung {
    /// The period that an instant lies in; none beyond the years that can be written.
    fn period(self, at_ms: i64) -> Option<i64> {
        let time = DateTime::from_timestamp_millis(at_ms)?;
        Some(match self {
            Rung::Hour => at_ms.div_euclid(HOUR_MS),
            Rung::Day => at_ms.div_euclid(DAY_MS),
            Rung::Month => i64::from(time.year()) * 12 + i64::from(time.month0()),
        })
    }

    /// The tag of a period, in UTC.
    fn name(self, period: i64) -> Option<String> {
        let begin = match self {
            Rung::Hour => DateTime::from_timestamp(0, 0)? + TimeDelta::try_hours(period)?,
            Rung::Day => DateTime::from_timestamp(0, 0)? + TimeDelta::try_days(period)?,
            Rung::Month => {
                let year = i32::try_from(period.div_euclid(12)).ok()?;
                let january = NaiveDate::from_ymd_opt(year, 1, 1)?;
                let month = u32::try_from(period.rem_euclid(12)).ok()?;
                let first = january.checked_add_months(Months::new(month))?;
                first.and_hms_opt(0, 0, 0)?.and_utc()
            }
        };
        Some(match self {
            Rung::Hour => format!("{TAG_HOUR_PREFIX}{}", begin.format("%Y-%m-%dT%H")),
            Rung::Day => format!("{TAG_DAY_PREFIX}{}", begin.format("%Y-%m-%d")),
            Rung::Month => format!("{TAG_MONTH_PREFIX}{}", begin.format("%Y-%m")),
        })
    }

    /// The period whose tag has this name, spelled exactly so.
    fn period_of(self, tag: &str) -> Option<i64> {
        let (prefix, rest) = match self {
            Rung::Hour => (TAG_HOUR_PREFIX, ":00:00Z"),
            Rung::Day => (TAG_DAY_PREFIX, "T00:00:00Z"),
            Rung::Month => (TAG_MONTH_PREFIX, "-01T00:00:00Z"),
        };
        let begin = format!("{}{rest}", tag.strip_prefix(prefix)?);
        let at_ms = DateTime::parse_from_rfc3339(&begin).ok()?.timestamp_millis();
        self.period(at_ms).filter(|period| self.name(*period).as_deref() == Some(tag))
    }
}

#[cfg(test)]
mod tests;
