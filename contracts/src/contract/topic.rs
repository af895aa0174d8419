//! How a stream's topic is to be set up: the contract's custom properties `weir.topic…`.

use std::fmt;

use super::value;
use crate::yaml::{self, Node, Sink};

/// What a contract asks of its topic; what it leaves open is the broker's to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Topic {
    /// Partitions.
    pub partitions: Option<u32>,
    /// Replicas of each partition.
    pub replication: Option<u16>,
    /// How long records stay.
    pub retention: Option<Retention>,
    /// What removes them.
    pub cleanup: Option<Cleanup>,
}

/// How long a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// So many ms.
    Ms(i64),
    /// No time removes them.
    Forever,
}

impl Retention {
    /// The value of `retention.ms`.
    pub fn ms(self) -> i64 {
        match self {
            Retention::Ms(ms) => ms,
            Retention::Forever => -1,
        }
    }

    /// From the value of `retention.ms`; none if it is none.
    pub fn of_config(text: &str) -> Option<Retention> {
        match text.parse::<i64>().ok()? {
            -1 => Some(Retention::Forever),
            ms => (ms >= 0).then_some(Retention::Ms(ms)),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Retention::Ms(ms) = self else { return f.write_str(FOREVER) };
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        let whole = units.into_iter().find(|(_, unit)| *ms > 0 && ms % unit == 0);
        let (name, unit) = whole.unwrap_or(("ms", 1));
        write!(f, "{}{name}", ms / unit)
    }
}

/// What removes records from a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Age and size.
    Delete,
    /// A later record of the same key.
    Compact,
    /// Both.
    Both,
}

impl Cleanup {
    /// The value of `cleanup.policy`.
    pub fn policy(self) -> &'static str {
        match self {
            Cleanup::Delete => "delete",
            Cleanup::Compact => "compact",
            Cleanup::Both => "compact,delete",
        }
    }

    /// From the value of `cleanup.policy`; none if it is none.
    pub fn of_config(text: &str) -> Option<Cleanup> {
        let mut parts: Vec<&str> = text.split(',').map(str::trim).collect();
        parts.sort_unstable();
        match parts[..] {
            ["delete"] => Some(Cleanup::Delete),
            ["compact"] => Some(Cleanup::Compact),
            ["compact", "delete"] => Some(Cleanup::Both),
            _ => None,
        }
    }
}

/// The custom properties of [`Topic`].
pub(super) const PROPERTIES: [&str; 4] =
    ["weir.topicPartitions", "weir.topicReplication", "weir.topicRetention", "weir.topicCleanup"];

const FOREVER: &str = "forever";
const PARTITIONS_MAX: u32 = 10_000;
const REPLICATION_MAX: u16 = 9;

impl Topic {
    /// Reads one of [`PROPERTIES`].
    pub(super) fn read(&mut self, property: &str, node: &Node, sink: &mut Sink<'_>) {
        let what = format!("`{property}`");
        match property {
            "weir.topicPartitions" => {
                let read = |text: &str| count(text, PARTITIONS_MAX);
                self.partitions = yaml::number(node, &what, sink, read);
            }
            "weir.topicReplication" => {
                let read = |text: &str| count(text, REPLICATION_MAX);
                self.replication = yaml::number(node, &what, sink, read);
            }
            "weir.topicRetention" => self.retention = yaml::text(node, &what, sink, retention),
            _ => {
                let wrong = "it is delete, compact, or \"compact,delete\"";
                let read = |text: &str| Cleanup::of_config(text).ok_or_else(|| wrong.to_owned());
                self.cleanup = yaml::text(node, &what, sink, read);
            }
        }
    }
}

fn count<T>(text: &str, most: T) -> Result<T, String>
where
    T: Copy + fmt::Display + From<u8> + PartialOrd + std::str::FromStr,
{
    let number = text.parse::<T>().ok().filter(|n| (T::from(1u8)..=most).contains(n));
    number.ok_or_else(|| format!("it must lie within 1 to {most}"))
}

fn retention(text: &str) -> Result<Retention, String> {
    const WRONG: &str = "it is a duration of at least 1m, for example \"7d\", or forever";
    match text {
        FOREVER => Ok(Retention::Forever),
        _ => {
            let us = value::duration_us(text).map_err(|_| WRONG)?;
            if us < 60_000_000 { Err(WRONG.into()) } else { Ok(Retention::Ms(us / 1000)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_kafka_and_as_people_write_them() {
        for (text, ms, shown) in
            [("604800000", 604_800_000, "7d"), ("-1", -1, "forever"), ("5400000", 5_400_000, "90m")]
        {
            let retention = Retention::of_config(text).unwrap();
            assert_eq!((retention.ms(), retention.to_string().as_str()), (ms, shown));
        }
        assert_eq!(Retention::of_config("-2"), None);
        assert_eq!(Retention::Ms(0).to_string(), "0ms");
        assert_eq!(Cleanup::of_config("delete,compact"), Some(Cleanup::Both));
        for cleanup in [Cleanup::Delete, Cleanup::Compact, Cleanup::Both] {
            assert_eq!(Cleanup::of_config(cleanup.policy()), Some(cleanup));
        }
        assert_eq!(Cleanup::of_config("shrink"), None);
    }

    #[test]
    fn contracts_ask_and_mistakes_have_their_place() {
        const SALES: &str = include_str!("../../vending.sales.yaml");
        let asked = Topic {
            partitions: Some(6),
            replication: None,
            retention: Some(Retention::Ms(604_800_000)),
            cleanup: Some(Cleanup::Delete),
        };
        assert_eq!(super::super::parse("f", SALES).unwrap().topic, asked);
        let wrong = SALES
            .replace("weir.topicRetention, value: 7d", "weir.topicRetention, value: a week")
            .replace("weir.topicCleanup, value: delete", "weir.topicCleanup, value: never")
            .replace("weir.topicPartitions, value: 6", "weir.topicPartitions, value: 0");
        let mistakes = super::super::parse("f", &wrong).unwrap_err();
        let named = |property: &str| mistakes.iter().any(|m| m.message.contains(property));
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        assert!(PROPERTIES[2..].iter().chain(&PROPERTIES[..1]).all(|property| named(property)));
    }

    #[test]
    fn durations_and_counts_have_bounds() {
        assert_eq!(retention("7d"), Ok(Retention::Ms(604_800_000)));
        assert_eq!(retention("forever"), Ok(Retention::Forever));
        for bad in ["5s", "7", "", "-1", "for ever"] {
            assert!(retention(bad).is_err(), "{bad}");
        }
        assert_eq!(count("6", PARTITIONS_MAX), Ok(6));
        assert_eq!(count("0", REPLICATION_MAX), Err("it must lie within 1 to 9".into()));
        assert!(count("10001", PARTITIONS_MAX).is_err());
    }
}
