//! Which manifests a commit merges, so that a table has few of them whatever its age: like an LSM
//! tree, a tier's manifests are merged when there are sixteen, each entry is rewritten once per
//! tier, and the cost per commit stays flat on average. And which ones maintenance clusters, so that who
//! asks for a few days reads few of them.

use std::collections::BTreeMap;

/// Manifests of one tier that are merged into one of the next.
const FACTOR: u64 = 16;

/// What the plan needs to know of a manifest of data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestFacts {
    /// Its partition spec; only manifests of one spec can be merged.
    pub spec_id: i32,
    /// Live entries; none if the writer did not say.
    pub live: Option<u64>,
    /// Size in bytes.
    pub bytes: u64,
}

/// Groups of positions in `manifests` to be merged into one manifest each; at most one group per
/// partition spec, of the lowest tier that is full. A merged manifest stays below `bytes_max`.
/// `manifests` are in the order of their age, oldest first.
pub fn plan_merge(manifests: &[ManifestFacts], bytes_max: u64) -> Vec<Vec<usize>> {
    let mut tiers: BTreeMap<(i32, u32), Vec<usize>> = BTreeMap::new();
    for (position, manifest) in manifests.iter().enumerate() {
        let Some(live) = manifest.live.filter(|_| manifest.bytes <= bytes_max / 2) else {
            continue;
        };
        tiers.entry((manifest.spec_id, tier(live))).or_default().push(position);
    }
    let mut groups: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for ((spec_id, _), positions) in tiers {
        if (positions.len() as u64) < FACTOR || groups.contains_key(&spec_id) {
            continue;
        }
        let mut bytes = 0;
        let group: Vec<usize> = positions
            .into_iter()
            .take_while(|position| {
                bytes += manifests[*position].bytes;
                bytes <= bytes_max
            })
            .collect();
        if group.len() > 1 {
            groups.insert(spec_id, group);
        }
    }
    groups.into_values().collect()
}

/// Manifests that are written anew together at most, in bytes: their entries are held in memory.
const CLUSTER_BYTES_MAX: u64 = 64 << 20;
/// Clustering pays where there are so many times as many manifests as are needed.
const CLUSTER_GAIN_MIN: u64 = 4;
/// Fewer manifests than this are read at once anyway.
const CLUSTER_MIN: usize = 8;

/// Manifests of one partition spec to be written anew, entries of one partition side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Positions of the manifests; several.
    pub from: Vec<usize>,
    /// How many manifests they make.
    pub into: usize,
}

/// Which of `manifests` to cluster, at most one group per partition spec; those of unknown content stay.
/// Doing it again does nothing.
pub fn plan_cluster(manifests: &[ManifestFacts], bytes_max: u64) -> Vec<Cluster> {
    let mut of_spec: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (position, manifest) in manifests.iter().enumerate() {
        // Without a live entry it ends with the next commit by itself.
        if manifest.live.is_some_and(|live| live > 0) {
            of_spec.entry(manifest.spec_id).or_default().push(position);
        }
    }
    let mut plan = Vec::new();
    for mut from in of_spec.into_values() {
        from.sort_by_key(|position| manifests[*position].bytes);
        let mut bytes = 0u64;
        from.retain(|position| {
            let with = bytes.saturating_add(manifests[*position].bytes);
            let fits = with <= CLUSTER_BYTES_MAX;
            bytes = if fits { with } else { bytes };
            fits
        });
        let into = bytes.div_ceil(bytes_max.max(1)).max(1);
        if from.len() >= CLUSTER_MIN && from.len() as u64 >= into.saturating_mul(CLUSTER_GAIN_MIN) {
            from.sort_unstable();
            plan.push(Cluster { from, into: usize::try_from(into).unwrap_or(usize::MAX) });
        }
    }
    plan
}

fn tier(live: u64) -> u32 {
    live.max(1).ilog(FACTOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest(live: u64) -> ManifestFacts {
        ManifestFacts { spec_id: 0, live: Some(live), bytes: 5_000 + 500 * live }
    }

    #[test]
    fn fifteen_are_left_alone_and_sixteen_are_merged() {
        assert!(plan_merge(&[manifest(1); 15], 8 << 20).is_empty());
        assert_eq!(plan_merge(&[manifest(1); 17], 8 << 20), vec![(0..17).collect::<Vec<_>>()]);
    }

    #[test]
    fn specs_and_tiers_are_not_mixed_and_what_is_unknown_is_left() {
        let mut manifests = vec![manifest(3); 15];
        manifests.push(ManifestFacts { spec_id: 1, ..manifest(3) });
        manifests.push(manifest(16));
        manifests.push(ManifestFacts { live: None, ..manifest(1) });
        manifests.push(ManifestFacts { bytes: 5 << 20, ..manifest(1) });
        assert!(plan_merge(&manifests, 8 << 20).is_empty());
    }

    /// Commits `n` manifests of `files` entries one after another, as `commit` does; the greatest
    /// number of manifests that stood, and how many entries were rewritten.
    fn age(n: u64, files: u64) -> (usize, u64) {
        let (mut standing, mut most, mut rewritten) = (Vec::<ManifestFacts>::new(), 0, 0);
        for _ in 0..n {
            let groups = plan_merge(&standing, 8 << 20);
            let mut merged = Vec::new();
            for group in &groups {
                let live = group.iter().map(|i| standing[*i].live.unwrap()).sum();
                rewritten += live;
                merged.push(manifest(live));
            }
            let gone: Vec<usize> = groups.concat();
            let mut position = 0;
            standing.retain(|_| {
                position += 1;
                !gone.contains(&(position - 1))
            });
            standing.extend(merged);
            standing.push(manifest(files));
            standing.sort_by_key(|m| std::cmp::Reverse(m.live));
            most = most.max(standing.len());
        }
        (most, rewritten)
    }

    #[test]
    fn manifests_stay_few_and_entries_are_rewritten_rarely() {
        let (most, rewritten) = age(10_000, 2);
        assert!(most <= 16 * 4 + 4, "{most} manifests");
        assert!(rewritten <= 10_000 * 2 * 4, "{rewritten} entries rewritten");
    }

    #[test]
    fn clustering_waits_for_many_manifests_and_leaves_the_unknown() {
        assert!(plan_cluster(&[manifest(3); 7], 8 << 20).is_empty());
        let mut manifests = vec![manifest(3); 8];
        manifests.push(ManifestFacts { live: None, ..manifest(1) });
        manifests.push(ManifestFacts { spec_id: 1, ..manifest(3) });
        let all = Cluster { from: (0..8).collect(), into: 1 };
        assert_eq!(plan_cluster(&manifests, 8 << 20), vec![all]);
        // Full ones are as few as they can be.
        assert!(
            plan_cluster(&[ManifestFacts { bytes: 7 << 20, ..manifest(9) }; 9], 8 << 20).is_empty()
        );
    }

    proptest! {
        #[test]
        fn what_was_clustered_is_left_alone(
            facts in prop::collection::vec((0i32..3, prop::option::of(0u64..5_000), 0u64..9_000_000), 0..80),
        ) {
            let facts: Vec<ManifestFacts> = facts
                .into_iter()
                .map(|(spec_id, live, bytes)| ManifestFacts { spec_id, live, bytes })
                .collect();
            for cluster in plan_cluster(&facts, 8 << 20) {
                let bytes: u64 = cluster.from.iter().map(|i| facts[*i].bytes).sum();
                prop_assert!(bytes <= CLUSTER_BYTES_MAX);
                prop_assert!(cluster.from.len() >= 4 * cluster.into);
                let each = ManifestFacts { spec_id: 0, live: Some(9), bytes: bytes / cluster.into as u64 };
                prop_assert!(plan_cluster(&vec![each; cluster.into], 8 << 20).is_empty());
            }
        }

        #[test]
        fn groups_are_disjoint_of_one_spec_and_within_the_size(
            facts in prop::collection::vec((0i32..3, prop::option::of(0u64..5_000), 0u64..9_000_000), 0..80),
        ) {
            let facts: Vec<ManifestFacts> = facts
                .into_iter()
                .map(|(spec_id, live, bytes)| ManifestFacts { spec_id, live, bytes })
                .collect();
            let mut seen = std::collections::BTreeSet::new();
            for group in plan_merge(&facts, 8 << 20) {
                prop_assert!(group.len() > 1);
                prop_assert!(group.iter().map(|i| facts[*i].bytes).sum::<u64>() <= 8 << 20);
                for i in &group {
                    prop_assert_eq!(facts[*i].spec_id, facts[group[0]].spec_id);
                    prop_assert!(facts[*i].live.is_some() && seen.insert(*i));
                }
            }
        }
    }
}
