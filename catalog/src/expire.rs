//! Which snapshots a commit takes along: expiry is part of the writer's life, in the same commit,
//! so that metadata and the cost of a commit stay flat.

use std::collections::BTreeSet;

/// What the plan needs to know of a standing snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// Its sequence number: the order of commits.
    pub seq: i64,
    /// Its id.
    pub id: i64,
}

/// The snapshots to remove: the oldest of those that no branch or tag points to, beyond `cap`.
/// `held` are the snapshots that branches and tags point to; `current` is never removed.
pub fn plan_expiry(
    standing: impl IntoIterator<Item = Standing>,
    held: &BTreeSet<i64>,
    current: i64,
    cap: usize,
) -> Vec<i64> {
    let mut free: Vec<Standing> =
        standing.into_iter().filter(|s| s.id != current && !held.contains(&s.id)).collect();
    free.sort_unstable();
    // The current snapshot is one of the untagged ones that the cap counts.
    let surplus = (free.len() + 1).saturating_sub(cap.max(1));
    free.into_iter().take(surplus).map(|s| s.id).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing(ids: std::ops::RangeInclusive<i64>) -> Vec<Standing> {
        ids.map(|n| Standing { seq: n, id: n * 7 }).rev().collect()
    }

    #[test]
    fn the_oldest_go_first_and_the_cap_counts_the_current_one() {
        assert_eq!(plan_expiry(standing(1..=5), &BTreeSet::new(), 35, 3), vec![7, 14]);
        assert!(plan_expiry(standing(1..=5), &BTreeSet::new(), 35, 5).is_empty());
    }

    #[test]
    fn tags_are_kept_and_not_counted() {
        let held = BTreeSet::from([7, 35]);
        assert_eq!(plan_expiry(standing(1..=5), &held, 35, 3), vec![14]);
    }

    #[test]
    fn a_cap_of_nothing_keeps_the_current_one() {
        assert_eq!(plan_expiry(standing(1..=3), &BTreeSet::new(), 21, 0), vec![7, 14]);
    }

    proptest! {
        #[test]
        fn never_a_held_or_current_one_and_never_more_than_the_cap_left(
            ids in prop::collection::btree_set(1i64..1000, 1..60),
            held in prop::collection::btree_set(1i64..1000, 0..20),
            cap in 1usize..20,
        ) {
            let current = *ids.last().unwrap();
            let all = ids.iter().map(|id| Standing { seq: *id, id: *id });
            let gone: BTreeSet<i64> = plan_expiry(all, &held, current, cap).into_iter().collect();
            prop_assert!(gone.is_disjoint(&held) && !gone.contains(&current));
            let left: Vec<_> = ids.difference(&gone).filter(|id| !held.contains(id)).collect();
            prop_assert!(left.len() <= cap);
            prop_assert!(gone.is_empty() || left.len() + usize::from(held.contains(&current)) == cap);
            // Whoever stays and is free is newer than whoever goes.
            if let (Some(newest), Some(oldest)) = (gone.last(), left.first()) {
                prop_assert!(newest < oldest);
            }
        }
    }
}
