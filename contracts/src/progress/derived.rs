//! How far a derived table has come: of each root table from which its rows are made, the vector up to
//! which it was read. It stands in `weir.progress` and `weir.heads` beside the vector of a table that
//! records are written to, which a derived table has none of.
//!
//! In the property: `"derived":{"rows":"7","roots":{"raw.vending_sales":{"rev":"0","seq":"12",
//! "until":{"<source>":{"0":"123"}}}}}`. In a summary, compactly and without `seq`:
//! `"d":{"rows":7,"roots":{"raw.vending_sales":{"rev":0,"h":{"<source>":"<list>"}}}}`, the list as
//! there, of `until` only.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fence, Progress, Verdict};

/// What a derived table is made of, and how many rows it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derived {
    /// Rows that the table holds.
    pub rows: i64,
    /// Root table → how far it was read.
    pub roots: BTreeMap<String, Root>,
}

/// How far a root table was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Root {
    /// The greatest `_rev` that was read.
    pub rev: i32,
    /// The sequence number of the snapshot that was read: by it files are passed over, never more.
    pub seq: i64,
    /// Full source id → partition → first offset that was not read. Of a reference table an offset
    /// is the number of a load.
    pub until: BTreeMap<String, BTreeMap<i32, i64>>,
}

impl Root {
    /// All of a table that has this vector.
    pub fn whole(progress: &Progress) -> Root {
        let until = progress.sources.iter().map(|(source, partitions)| {
            (source.clone(), partitions.iter().map(|(n, p)| (*n, p.until)).collect())
        });
        Root { rev: progress.rev, seq: progress.seq, until: until.collect() }
    }

    /// Whether both say the same of the table's rows; `seq` says nothing of them.
    pub fn reads_as(&self, other: &Root) -> bool {
        self.rev == other.rev && self.until == other.until
    }

    /// Whether all that `other` has read was read here too.
    pub fn covers(&self, other: &Root) -> bool {
        let one = |source: &String, n: &i32| self.until.get(source)?.get(n).copied();
        let mut each =
            other.until.iter().flat_map(|(s, p)| p.iter().map(move |(n, at)| (s, n, *at)));
        self.rev >= other.rev && each.all(|(s, n, at)| one(s, n).is_some_and(|own| own >= at))
    }

    /// What both have read.
    pub fn common(&self, other: &Root) -> Root {
        let mut until = BTreeMap::new();
        for (source, partitions) in &self.until {
            let Some(others) = other.until.get(source) else { continue };
            let both = partitions.iter().filter_map(|(n, a)| Some((*n, *a.min(others.get(n)?))));
            until.insert(source.clone(), both.collect());
        }
        Root { rev: self.rev.min(other.rev), seq: self.seq.min(other.seq), until }
    }
}

impl Derived {
    /// Whether both are made of the same rows.
    pub fn reads_as(&self, other: &Derived) -> bool {
        self.roots.len() == other.roots.len()
            && self
                .roots
                .iter()
                .all(|(name, root)| other.roots.get(name).is_some_and(|other| root.reads_as(other)))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.rows < 0 {
            return Err(format!("derived rows are {}", self.rows));
        }
        for (name, root) in &self.roots {
            if root.rev < 0 || root.seq < 0 {
                return Err(format!("root {name} has rev {} and seq {}", root.rev, root.seq));
            }
            for (source, partitions) in &root.until {
                if let Some((n, until)) = partitions.iter().find(|(n, at)| **n < 0 || **at < 0) {
                    return Err(format!("root {name}: partition {n} of {source} at {until}"));
                }
            }
        }
        Ok(())
    }
}

impl Progress {
    /// The vector after a build that read the table at `from` and makes it `next`. A table that another
    /// build has moved meanwhile is left to that.
    pub fn derive(&self, commit_id: &str, from: Option<&Derived>, next: Derived) -> Verdict {
        if self.commits.iter().any(|id| id == commit_id) {
            return Verdict::Already;
        }
        if commit_id.is_empty() {
            return Verdict::Invalid("the commit has no id".into());
        }
        if !self.sources.is_empty() {
            return Verdict::Invalid("records are written to the table; it is not derived".into());
        }
        if let Err(why) = next.check() {
            return Verdict::Invalid(why);
        }
        if self.derived.as_ref() != from {
            return Verdict::Fenced(moved(self.derived.as_ref(), from));
        }
        let mut after = self.clone();
        after.derived = Some(next);
        Verdict::Apply(after.remember(commit_id))
    }
}

/// Where two vectors differ; nothing where only the count of rows does.
fn moved(now: Option<&Derived>, from: Option<&Derived>) -> Vec<Fence> {
    let heads = |of: Option<&Derived>| -> BTreeMap<(String, i32), i64> {
        let roots = of.into_iter().flat_map(|derived| derived.roots.values());
        let sources = roots.flat_map(|root| &root.until);
        let each = sources.flat_map(|(s, p)| p.iter().map(|(n, at)| ((s.clone(), *n), *at)));
        each.collect()
    };
    let (now, from) = (heads(now), heads(from));
    let all: BTreeSet<&(String, i32)> = now.keys().chain(from.keys()).collect();
    all.into_iter()
        .filter(|key| now.get(*key) != from.get(*key))
        .map(|key| Fence {
            source: key.0.clone(),
            partition: key.1,
            head: now.get(key).copied(),
            from: from.get(key).copied().unwrap_or_default(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{SnapshotFacts, TableFacts, Truth, resolve};

    fn root(rev: i32, until: &[(i32, i64)]) -> Root {
        Root { rev, seq: 3, until: [("c/t/i".to_string(), until.iter().copied().collect())].into() }
    }

    fn derived(rows: i64, until: &[(i32, i64)]) -> Derived {
        Derived { rows, roots: [("raw.x".to_string(), root(0, until))].into() }
    }

    #[test]
    fn a_build_moves_the_table_only_from_where_it_read_it() {
        let empty = Progress::default();
        let Verdict::Apply(one) = empty.derive("b1", None, derived(5, &[(0, 10)])) else {
            panic!()
        };
        assert_eq!((one.records(), one.commits.clone()), (5, vec!["b1".to_string()]));
        assert_eq!(one.derive("b1", None, derived(5, &[(0, 10)])), Verdict::Already);
        let fence = Fence { source: "c/t/i".into(), partition: 0, head: Some(10), from: 7 };
        let stale = derived(4, &[(0, 7)]);
        let next = derived(9, &[(0, 20)]);
        assert_eq!(one.derive("b2", Some(&stale), next.clone()), Verdict::Fenced(vec![fence]));
        assert_eq!(
            one.derive("b2", None, next.clone()),
            Verdict::Fenced(vec![Fence {
                source: "c/t/i".into(),
                partition: 0,
                head: Some(10),
                from: 0,
            }])
        );
        let from = one.derived.clone();
        assert!(matches!(one.derive("b2", from.as_ref(), next), Verdict::Apply(_)));
        assert!(matches!(one.derive("b3", from.as_ref(), derived(-1, &[])), Verdict::Invalid(_)));
    }

    #[test]
    fn the_formats_are_these() {
        let now = Progress {
            snapshot: 7,
            seq: 4,
            commits: vec!["b1".into()],
            derived: Some(derived(5, &[(0, 10), (2, 36)])),
            ..Progress::default()
        };
        let json = r#"{"v":1,"snapshot":"7","seq":"4","commits":["b1"],"sources":{},"rev":"0","derived":{"rows":"5","roots":{"raw.x":{"rev":"0","seq":"3","until":{"c/t/i":{"0":"10","2":"36"}}}}}}"#;
        assert_eq!(now.to_json(), json);
        assert_eq!(Progress::from_json(json), Ok(now.clone()));
        let heads = r#"{"v":1,"rev":0,"h":{},"d":{"rows":5,"roots":{"raw.x":{"rev":0,"h":{"c/t/i":"a;2=10"}}}}}"#;
        assert_eq!(now.to_heads(), heads);
        for wrong in [
            json.replace(r#""rows":"5""#, r#""rows":"-5""#),
            json.replace(r#""0":"10""#, r#""0":"-1""#),
            json.replace(r#""sources":{}"#, r#""sources":{"s":{}}"#),
            json.replace(r#""2":"36""#, r#""x":"36""#),
        ] {
            assert!(Progress::from_json(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_both_have_read_is_the_least_of_each_partition() {
        let (a, b) = (root(2, &[(0, 10), (1, 5)]), root(1, &[(0, 8), (1, 9), (2, 1)]));
        assert_eq!(a.common(&b), root(1, &[(0, 8), (1, 5)]));
        assert!(a.reads_as(&Root { seq: 99, ..a.clone() }) && !a.reads_as(&b));
        assert!(a.covers(&a) && a.covers(&a.common(&b)) && b.covers(&a.common(&b)));
        assert!(!a.covers(&b) && !b.covers(&a) && a.covers(&Root::default()));
        assert!(!root(1, &[(0, 10), (1, 5)]).covers(&a), "a redrive was not read");
    }

    #[test]
    fn the_truth_rule_holds_for_derived_tables() {
        let empty = Progress::default();
        let Verdict::Apply(now) = empty.derive("b1", None, derived(5, &[(0, 10)])) else {
            panic!()
        };
        let now = now.with_snapshot(7, 1);
        let ours = SnapshotFacts {
            id: 7,
            seq: 1,
            total_records: Some(5),
            heads: Some(now.to_heads()),
            commit_id: Some("b1".into()),
            ..SnapshotFacts::default()
        };
        let with = |property: Option<String>| TableFacts {
            property,
            current: Some(7),
            snapshots: vec![ours.clone()],
        };
        assert_eq!(resolve(&with(Some(now.to_json()))), Truth::Property(now.clone()));
        let Truth::Summary { progress, .. } = resolve(&with(None)) else { panic!() };
        let (found, wanted) = (progress.derived.unwrap(), now.derived.clone().unwrap());
        assert!(found.reads_as(&wanted) && found.rows == 5);
        // Another engine wrote the files anew, and took our snapshot and its mention by expiry.
        let foreign =
            SnapshotFacts { id: 8, seq: 2, total_records: Some(5), ..SnapshotFacts::default() };
        let facts = |total| TableFacts {
            property: Some(now.to_json()),
            current: Some(8),
            snapshots: vec![SnapshotFacts { total_records: Some(total), ..foreign.clone() }],
        };
        assert_eq!(resolve(&facts(5)), Truth::Property(now.clone()));
        assert!(matches!(resolve(&facts(6)), Truth::Unknowable(_)));
    }
}
