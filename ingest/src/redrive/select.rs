//! Which rejected rows a redrive is about. Pure.

use std::collections::BTreeSet;
use std::ops::Range;

use weir_catalog::sought::Sought;
use weir_contract::class::RejectClass;

/// Rejected rows by class, partition and offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Of these classes; empty: of all.
    pub classes: BTreeSet<RejectClass>,
    /// Of this Kafka partition; none: of all.
    pub partition: Option<i32>,
    /// Of these offsets.
    pub offsets: Range<i64>,
}

impl Default for Selection {
    fn default() -> Selection {
        Selection { classes: BTreeSet::new(), partition: None, offsets: 0..i64::MAX }
    }
}

impl Selection {
    /// Whether a rejected row of this class and place is selected. A class that is none of
    /// [`RejectClass`] (of a newer Weir) is selected only where all are.
    pub fn holds(&self, class: &str, partition: i32, offset: i64) -> bool {
        (self.classes.is_empty() || self.classes.iter().any(|c| c.name() == class))
            && self.partition.is_none_or(|wanted| wanted == partition)
            && self.offsets.contains(&offset)
    }

    /// What files must be looked at.
    pub fn sought(&self) -> Sought {
        let Range { start, end } = self.offsets;
        Sought { partition: self.partition, from: start, until: end, rejected: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_selected_by_class_partition_and_offset() {
        let all = Selection::default();
        assert!(all.holds("missing", 7, 0) && all.holds("of_tomorrow", 0, i64::MAX - 1));
        let some = Selection {
            classes: [RejectClass::Missing, RejectClass::BadTime].into(),
            partition: Some(1),
            offsets: 10..20,
        };
        assert!(some.holds("missing", 1, 10) && some.holds("bad_time", 1, 19));
        for (class, partition, offset) in
            [("not_json", 1, 10), ("missing", 0, 10), ("missing", 1, 9), ("missing", 1, 20)]
        {
            assert!(!some.holds(class, partition, offset), "{class} {partition} {offset}");
        }
    }
}
