//! The contract's own custom properties → its limits, and what kind of contract it is.

use super::custom::custom_properties;
use super::division::Division;
use super::keep;
use super::keys;
use super::model::{Limits, Policy};
use super::topic::{self, Topic};
use super::value;
use crate::yaml::{self, Node, Object, Position, Sink};

/// What the contract's own custom properties say.
#[derive(Default)]
pub(super) struct Settings {
    pub limits: Limits,
    pub keep_value: bool,
    /// Where `weir.keepValue` stands.
    pub keep_value_at: Option<Position>,
    pub key_policy: Policy,
    pub topic: Topic,
    /// Days that rejected rows are kept.
    pub rejects_days: Option<u32>,
    /// Columns by which compaction sorts, and where they stand.
    pub sorted_by: Vec<(String, Position)>,
    /// By which spans of event time the table is partitioned.
    pub partitioned_by: Option<Division>,
    /// The contract is one of a reference table.
    pub reference: bool,
}

/// The contract's own custom properties.
pub(super) fn read(object: &Object<'_>, sink: &mut Sink<'_>) -> Settings {
    const VALUE_BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=16 << 20;
    const DAY_US: i64 = 86_400_000_000;
    let mut settings = Settings::default();
    let limits = &mut settings.limits;
    let mut extra_at = None;
    let properties = custom_properties(object, keys::WEIR_CONTRACT, sink);
    for (property, node) in &properties {
        let (property, node) = (*property, *node);
        let what = format!("`{property}`");
        match property {
            "weir.valueBytesMax" => {
                let read = |text: &str| within(value::size(text)?, &VALUE_BYTES, "1KiB to 16MiB");
                set(&mut limits.value_bytes_max, yaml::text(node, &what, sink, read));
            }
            "weir.extraBytesMax" => {
                extra_at = Some(node.at);
                let read = |text: &str| within(value::size(text)?, &(0..=1 << 20), "0B to 1MiB");
                set(&mut limits.extra_bytes_max, yaml::text(node, &what, sink, read));
            }
            "weir.depthMax" => {
                let read = |text: &str| {
                    let depth = usize::try_from(value::integer(text)?).unwrap_or(usize::MAX);
                    within(depth, &(1..=128), "1 to 128")
                };
                set(&mut limits.depth_max, yaml::number(node, &what, sink, read));
            }
            "weir.eventTimeMin" => {
                let read = |text: &str| {
                    within(value::time_us(text)?, &(0..=i64::MAX), "1970-01-01T00:00:00Z and later")
                };
                set(&mut limits.event_time_min_us, yaml::text(node, &what, sink, read));
            }
            "weir.skewMax" => {
                let read =
                    |text: &str| within(value::duration_us(text)?, &(0..=7 * DAY_US), "0s to 7d");
                set(&mut limits.skew_max_us, yaml::text(node, &what, sink, read));
            }
            "weir.keyPolicy" => {
                set(&mut settings.key_policy, yaml::text(node, &what, sink, value::policy));
            }
            "weir.keepValue" => {
                settings.keep_value_at = Some(node.at);
                set(&mut settings.keep_value, yaml::boolean(node, &what, sink));
            }
            "weir.rejectRetention" => {
                settings.rejects_days = yaml::text(node, &what, sink, keep::reject_retention);
            }
            "weir.sortedBy" => settings.sorted_by = names(node, &what, sink),
            "weir.partitionedBy" => {
                settings.partitioned_by = yaml::text(node, &what, sink, Division::parse);
            }
            _ if topic::PROPERTIES.contains(&property) => {
                settings.topic.read(property, node, sink);
            }
            _ => set(&mut settings.reference, yaml::boolean(node, &what, sink)),
        }
    }
    for (property, node) in &properties {
        if settings.reference && *property != "weir.reference" {
            let advice = "it is for streams, and a reference table comes from no topic; remove it";
            sink.push(node.at, format!("`{property}`: {advice}"));
        }
    }
    if let Some(at) = extra_at
        && settings.limits.extra_bytes_max > settings.limits.value_bytes_max
    {
        sink.push(at, "`weir.extraBytesMax` is greater than `weir.valueBytesMax`");
    }
    settings
}

/// A list of names, each with its place.
fn names(node: &Node, what: &str, sink: &mut Sink<'_>) -> Vec<(String, Position)> {
    let listed = yaml::list(node, what, sink).unwrap_or_default();
    let what = format!("an entry of {what}");
    let read = listed.iter().filter_map(|name| yaml::string(name, &what, sink));
    read.map(|(name, at)| (name.to_string(), at)).collect()
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn within<T: PartialOrd>(
    value: T,
    range: &std::ops::RangeInclusive<T>,
    words: &str,
) -> Result<T, String> {
    if range.contains(&value) { Ok(value) } else { Err(format!("it must lie within {words}")) }
}
