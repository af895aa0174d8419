//! Towns with their clocks and currencies, the kinds of sites, and when people buy there.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A town.
#[derive(Debug)]
pub struct Town {
    /// Its name.
    pub city: &'static str,
    /// The region of reports.
    pub region: &'static str,
    /// ISO 3166-1, two letters.
    pub country: &'static str,
    /// ISO 4217.
    pub currency: &'static str,
    /// Name in the tz database.
    pub zone: Tz,
    /// Degrees north, in millionths.
    pub latitude: i32,
    /// Degrees east, in millionths.
    pub longitude: i32,
}

macro_rules! towns {
    ($($city:literal $region:literal $country:literal $currency:literal $zone:ident::$place:ident
       $latitude:literal $longitude:literal)+) => {
        /// Where the fleet stands.
        pub const TOWNS: &[Town] = &[$(Town {
            city: $city, region: $region, country: $country, currency: $currency,
            zone: chrono_tz::$zone::$place, latitude: $latitude, longitude: $longitude,
        }),+];
    };
}

towns! {
    "Wien" "east" "AT" "EUR" Europe::Vienna 48_208200 16_373800
    "Graz" "south" "AT" "EUR" Europe::Vienna 47_070700 15_439500
    "Linz" "north" "AT" "EUR" Europe::Vienna 48_306900 14_285800
    "Berlin" "east" "DE" "EUR" Europe::Berlin 52_520000 13_405000
    "Hamburg" "north" "DE" "EUR" Europe::Berlin 53_551100 9_993700
    "Köln" "west" "DE" "EUR" Europe::Berlin 50_937500 6_960300
    "Paris" "centre" "FR" "EUR" Europe::Paris 48_856600 2_352200
    "Lyon" "east" "FR" "EUR" Europe::Paris 45_764000 4_835700
    "Lisboa" "west" "PT" "EUR" Europe::Lisbon 38_722300 -9_139300
    "London" "south" "GB" "GBP" Europe::London 51_507400 -127800
    "Leeds" "north" "GB" "GBP" Europe::London 53_800800 -1_549100
    "Zürich" "north" "CH" "CHF" Europe::Zurich 47_376900 8_541700
    "Newark" "east" "US" "USD" America::New_York 40_735700 -74_172400
    "Chicago" "centre" "US" "USD" America::Chicago 41_878100 -87_629800
}

/// What a site is; decides when people buy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteKind {
    /// A shop with tills.
    Store,
    /// A railway or bus station.
    Station,
    /// Offices.
    Office,
    /// A school.
    School,
    /// A hospital.
    Hospital,
    /// The open street.
    Street,
}

impl SiteKind {
    /// Every kind.
    pub const ALL: [SiteKind; 6] = [
        SiteKind::Store,
        SiteKind::Station,
        SiteKind::Office,
        SiteKind::School,
        SiteKind::Hospital,
        SiteKind::Street,
    ];

    /// The word of the contract.
    pub fn name(self) -> &'static str {
        match self {
            SiteKind::Store => "store",
            SiteKind::Station => "station",
            SiteKind::Office => "office",
            SiteKind::School => "school",
            SiteKind::Hospital => "hospital",
            SiteKind::Street => "street",
        }
    }

    /// When one can get in, after OpenStreetMap.
    pub fn opening_hours(self) -> &'static str {
        match self {
            SiteKind::Store => "Mo-Sa 08:00-20:00",
            SiteKind::Office => "Mo-Fr 07:00-19:00",
            SiteKind::School => "Mo-Fr 07:30-17:00",
            SiteKind::Station | SiteKind::Hospital | SiteKind::Street => "24/7",
        }
    }

    /// How much people buy in each hour of a working day and of a day off, 0 to 100.
    fn curve(self) -> [[u8; 24]; 2] {
        match self {
            SiteKind::Store => [
                [
                    0, 0, 0, 0, 0, 0, 5, 15, 30, 40, 50, 60, 80, 70, 60, 65, 80, 100, 90, 60, 20,
                    5, 0, 0,
                ],
                [
                    0, 0, 0, 0, 0, 0, 0, 10, 40, 70, 90, 100, 90, 80, 80, 80, 80, 70, 50, 30, 10,
                    0, 0, 0,
                ],
            ],
            SiteKind::Station => [
                [
                    8, 4, 3, 3, 6, 20, 60, 100, 90, 50, 40, 45, 55, 50, 45, 55, 75, 95, 80, 55, 40,
                    30, 20, 12,
                ],
                [
                    15, 10, 6, 4, 5, 10, 20, 30, 40, 50, 55, 60, 60, 60, 60, 60, 60, 60, 55, 50,
                    45, 40, 30, 20,
                ],
            ],
            SiteKind::Office => [
                [
                    1, 1, 1, 1, 1, 3, 15, 45, 70, 90, 85, 75, 100, 90, 80, 85, 60, 35, 15, 8, 4, 3,
                    2, 1,
                ],
                [1, 1, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 7, 7, 6, 6, 5, 4, 3, 2, 2, 1, 1, 1],
            ],
            SiteKind::School => [
                [
                    0, 0, 0, 0, 0, 0, 5, 50, 40, 100, 50, 90, 95, 70, 40, 45, 20, 10, 5, 2, 0, 0,
                    0, 0,
                ],
                [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            ],
            SiteKind::Hospital => [
                [
                    25, 20, 20, 18, 18, 25, 45, 60, 65, 75, 75, 80, 90, 95, 100, 90, 75, 70, 65,
                    55, 50, 45, 35, 30,
                ],
                [
                    25, 20, 18, 18, 18, 20, 30, 40, 50, 65, 70, 75, 80, 100, 100, 95, 80, 65, 55,
                    50, 45, 40, 35, 28,
                ],
            ],
            SiteKind::Street => [
                [
                    10, 6, 4, 3, 3, 8, 20, 40, 40, 40, 45, 55, 65, 60, 60, 65, 75, 85, 80, 70, 60,
                    50, 35, 20,
                ],
                [
                    35, 30, 22, 12, 6, 5, 8, 12, 20, 35, 50, 60, 70, 75, 80, 80, 80, 80, 85, 90,
                    95, 100, 80, 55,
                ],
            ],
        }
    }

    /// How much people buy at this local time, 0 to 1.
    pub fn demand(self, local_ms: i64) -> f64 {
        let day_off = usize::from(weekday(local_ms) >= 5);
        let hour = local_ms.rem_euclid(DAY_MS) / HOUR_MS;
        f64::from(self.curve()[day_off][hour as usize]) / 100.0
    }

    /// The mean of [`SiteKind::demand`] over a week.
    pub fn mean_demand(self) -> f64 {
        let sum = |curve: [u8; 24]| curve.iter().map(|x| u32::from(*x)).sum::<u32>();
        let [work, off] = self.curve();
        f64::from(5 * sum(work) + 2 * sum(off)) / (7.0 * 24.0 * 100.0)
    }
}

/// 0 for Monday to 6 for Sunday.
pub fn weekday(local_ms: i64) -> i64 {
    // 1970-01-01 was a Thursday.
    (local_ms.div_euclid(DAY_MS) + 3).rem_euclid(7)
}

/// The offsets of a town's clock, worked out once for the years of a run.
#[derive(Debug)]
pub struct Clock {
    changes: Vec<(i64, i64)>,
}

/// For how long a clock is worked out; from then on its last offset stays.
const CLOCK_DAYS: i64 = 3 * 366;

impl Clock {
    /// The clock of a zone from `start_ms` on.
    pub fn new(zone: Tz, start_ms: i64) -> Clock {
        let offset = |ms: i64| {
            let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
            i64::from(zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc())
                * 1000
        };
        // Clocks change at full hours.
        let first = start_ms - start_ms.rem_euclid(HOUR_MS) - 8 * DAY_MS;
        let mut changes = vec![(i64::MIN, offset(first))];
        for day in 0..CLOCK_DAYS {
            let from = first + day * DAY_MS;
            if offset(from) != offset(from + DAY_MS) {
                let hour = (1..=24).find(|hour| offset(from) != offset(from + hour * HOUR_MS));
                let at = from + hour.unwrap_or(24) * HOUR_MS;
                changes.push((at, offset(at)));
            }
        }
        Clock { changes }
    }

    /// What the clock on the wall shows, as ms since 1970.
    pub fn local(&self, time_ms: i64) -> i64 {
        let change = self.changes.iter().rev().find(|(from, _)| *from <= time_ms);
        time_ms + change.map_or(0, |(_, offset)| *offset)
    }

    /// The next time after `time_ms` when the clock shows this time of day.
    pub fn next(&self, time_ms: i64, time_of_day_ms: i64) -> i64 {
        let local = self.local(time_ms);
        let wait = (time_of_day_ms - local).rem_euclid(DAY_MS);
        time_ms + if wait == 0 { DAY_MS } else { wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_follow_daylight_saving() {
        // 2026-03-01T00:00:00Z; clocks in Vienna change on 2026-03-29T01:00:00Z.
        let start = 1_772_323_200_000;
        let clock = Clock::new(chrono_tz::Europe::Vienna, start);
        let change = 1_774_746_000_000;
        assert_eq!(clock.local(change - 1) - (change - 1), HOUR_MS);
        assert_eq!(clock.local(change) - change, 2 * HOUR_MS);
        assert_eq!(clock.next(start, 0) - start, 23 * HOUR_MS);
        assert_eq!(clock.changes.len(), 7);
    }

    #[test]
    fn weeks_begin_on_monday() {
        assert_eq!(weekday(0), 3);
        assert_eq!(weekday(4 * DAY_MS), 0);
    }

    #[test]
    fn offices_sleep_at_weekends_and_streets_do_not() {
        let noon = |day: i64| (day * 24 + 12) * HOUR_MS;
        // The fourth day of 1970 was a Sunday.
        assert!(SiteKind::Office.demand(noon(3)) < 0.1 && SiteKind::Office.demand(noon(4)) > 0.9);
        assert!(SiteKind::Street.demand(noon(3)) > SiteKind::Street.demand(noon(4)));
        for kind in SiteKind::ALL {
            let week = (0..7 * 24).map(|hour| kind.demand(hour * HOUR_MS)).sum::<f64>() / 168.0;
            assert!((week - kind.mean_demand()).abs() < 1e-9, "{}", kind.name());
        }
    }
}
