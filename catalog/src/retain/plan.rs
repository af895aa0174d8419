//! What is past its retention. Pure.

use weir_contract::contract::Keep;

const DAY_MS: i64 = 86_400_000;

/// What may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoff {
    /// Accepted rows of days before this one, since 1970-01-01; none: all are kept.
    pub day: Option<i32>,
    /// Rejected rows of a Kafka time before this, µs since the epoch; none: all are kept.
    pub rejects_us: Option<i64>,
}

/// A day goes as a whole, once all of it is older than what is kept.
pub fn cutoff(keep: &Keep, now_ms: i64) -> Cutoff {
    let before = |days: u32| now_ms.saturating_sub(i64::from(days) * DAY_MS);
    let day = keep.rows_days.map(|days| before(days).div_euclid(DAY_MS));
    Cutoff {
        day: day.map(|day| i32::try_from(day).unwrap_or(i32::MIN)),
        rejects_us: keep.rejects_days.map(|days| before(days).saturating_mul(1_000)),
    }
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Stay,
    /// All of its rows go.
    Go,
    /// Its rows must be looked at one by one: those of rejects are of many times.
    Look,
}

impl Cutoff {
    /// Decides over a file of the partition `day` (none: rejected rows), whose least Kafka time is
    /// `kafka_us` as far as the manifest tells.
    pub fn fate(&self, day: Option<i32>, kafka_us: Option<i64>) -> Fate {
        match (day, self.day, self.rejects_us) {
            (Some(day), Some(cutoff), _) if day < cutoff => Fate::Go,
            (None, _, Some(cutoff)) if kafka_us.is_none_or(|least| least < cutoff) => Fate::Look,
            _ => Fate::Stay,
        }
    }

    /// Whether a rejected row goes: by its Kafka time, or where the record had none, by when it was
    /// ingested. One without either stays.
    pub fn takes(&self, kafka_us: Option<i64>, ingested_us: Option<i64>) -> bool {
        let time = kafka_us.or(ingested_us);
        self.rejects_us.zip(time).is_some_and(|(cutoff, time)| time < cutoff)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_goes_when_all_of_it_is_too_old() {
        let keep = Keep { rows_days: Some(7), rejects_days: Some(1) };
        let noon = 100 * DAY_MS + DAY_MS / 2;
        let cutoff = cutoff(&keep, noon);
        assert_eq!(cutoff.day, Some(93));
        assert_eq!(cutoff.fate(Some(92), None), Fate::Go);
        assert_eq!(cutoff.fate(Some(93), None), Fate::Stay, "its afternoon is younger than 7 days");
        let rejects = (noon - DAY_MS) * 1_000;
        assert_eq!(cutoff.fate(None, Some(rejects)), Fate::Stay);
        assert_eq!(cutoff.fate(None, Some(rejects - 1)), Fate::Look);
        assert_eq!(cutoff.fate(None, None), Fate::Look);
        assert!(cutoff.takes(Some(rejects - 1), None) && cutoff.takes(None, Some(rejects - 1)));
        assert!(!cutoff.takes(Some(rejects), Some(0)) && !cutoff.takes(None, None));
    }

    #[test]
    fn without_a_retention_everything_stays() {
        let cutoff = cutoff(&Keep::default(), i64::MAX);
        assert_eq!(cutoff, Cutoff { day: None, rejects_us: None });
        assert_eq!(cutoff.fate(Some(i32::MIN), None), Fate::Stay);
        assert_eq!(cutoff.fate(None, Some(i64::MIN)), Fate::Stay);
        assert!(!cutoff.takes(Some(i64::MIN), None));
    }

    proptest! {
        #[test]
        fn no_row_goes_before_its_time(days in 1u32..36_600, now_ms in 0i64..4_000_000_000_000, of_ms in 0i64..4_000_000_000_000) {
            let cutoff = cutoff(&Keep { rows_days: Some(days), rejects_days: Some(days) }, now_ms);
            let day = i32::try_from(of_ms.div_euclid(DAY_MS)).unwrap();
            let age = now_ms - of_ms;
            if cutoff.fate(Some(day), None) == Fate::Go {
                prop_assert!(age > i64::from(days) * DAY_MS - DAY_MS / 1_000_000 - 1);
                prop_assert!((i64::from(day) + 1) * DAY_MS <= now_ms - i64::from(days) * DAY_MS);
            }
            prop_assert_eq!(cutoff.takes(Some(of_ms * 1_000), None), age > i64::from(days) * DAY_MS);
        }
    }
}
