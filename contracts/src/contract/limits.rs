//! The contract's own custom properties → its limits.

use super::diagnostic::Sink;
use super::keys;
use super::model::Limits;
use super::reader::{self, Object};
use super::value;

/// The contract's limits, and whether accepted rows keep their bytes.
pub(super) fn read(object: &Object<'_>, sink: &mut Sink<'_>) -> (Limits, bool) {
    const VALUE_BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=16 << 20;
    const DAY_US: i64 = 86_400_000_000;
    let mut limits = Limits::default();
    let mut keep_value = false;
    let mut extra_at = None;
    for (property, node) in object.custom_properties(keys::WEIR_CONTRACT, sink) {
        let what = format!("`{property}`");
        match property {
            "weir.valueBytesMax" => {
                let read = |text: &str| within(value::size(text)?, &VALUE_BYTES, "1KiB to 16MiB");
                set(&mut limits.value_bytes_max, reader::text(node, &what, sink, read));
            }
            "weir.extraBytesMax" => {
                extra_at = Some(node.at);
                let read = |text: &str| within(value::size(text)?, &(0..=1 << 20), "0B to 1MiB");
                set(&mut limits.extra_bytes_max, reader::text(node, &what, sink, read));
            }
            "weir.depthMax" => {
                let read = |text: &str| {
                    let depth = usize::try_from(value::integer(text)?).unwrap_or(usize::MAX);
                    within(depth, &(1..=128), "1 to 128")
                };
                set(&mut limits.depth_max, reader::number(node, &what, sink, read));
            }
            "weir.eventTimeMin" => {
                let read = |text: &str| {
                    within(value::time_us(text)?, &(0..=i64::MAX), "1970-01-01T00:00:00Z and later")
                };
                set(&mut limits.event_time_min_us, reader::text(node, &what, sink, read));
            }
            "weir.skewMax" => {
                let read =
                    |text: &str| within(value::duration_us(text)?, &(0..=7 * DAY_US), "0s to 7d");
                set(&mut limits.skew_max_us, reader::text(node, &what, sink, read));
            }
            _ => set(&mut keep_value, reader::boolean(node, &what, sink)),
        }
    }
    if let Some(at) = extra_at
        && limits.extra_bytes_max > limits.value_bytes_max
    {
        sink.push(at, "`weir.extraBytesMax` is greater than `weir.valueBytesMax`");
    }
    (limits, keep_value)
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
