//! A table as the rule sees it, together with what the rule must find out: the vector that really
//! describes each snapshot, kept for snapshots that expired as well.

use super::*;

pub const SOURCE: &str = "kf-1/vending.health/dGVzdA";

#[derive(Debug, Clone, Default)]
pub struct Lake {
    pub facts: TableFacts,
    pub made: BTreeMap<i64, Made>,
}

/// A snapshot that was made, whether it still stands or not.
#[derive(Debug, Clone)]
pub struct Made {
    pub vector: Progress,
    pub total: i64,
}

impl Lake {
    /// A table with snapshots of ours that add these numbers of rows to partition 0.
    pub fn with_commits(rows: &[i64]) -> Lake {
        let mut lake = Lake::default();
        for rows in rows {
            lake.commit(*rows);
        }
        lake
    }

    pub fn id(seq: i64) -> i64 {
        1000 + seq
    }

    /// The vector and the total of the current snapshot.
    pub fn now(&self) -> (Progress, i64) {
        let made = self.facts.current.and_then(|id| self.made.get(&id));
        made.map(|made| (made.vector.clone(), made.total)).unwrap_or_default()
    }

    /// Our commit of `rows` offsets of partition 0 on top of what really is there.
    pub fn commit(&mut self, rows: i64) -> i64 {
        let vector = self.now().0;
        let from = vector.head(SOURCE, 0).unwrap_or(0);
        let step = Step { from, until: from + rows, rows, ..Default::default() };
        self.advance(&vector, &[(0, step)])
    }

    /// Our commit of these steps on top of `vector`.
    pub fn advance(&mut self, vector: &Progress, steps: &[(i32, Step)]) -> i64 {
        let steps = Steps::from([(SOURCE.into(), steps.iter().copied().collect())]);
        self.land(vector.advance(&self.next_commit(), &steps))
    }

    /// Our acknowledgement that others deleted `rows` rows of a partition.
    pub fn acknowledge(&mut self, vector: &Progress, partition: i32, rows: i64) -> i64 {
        let removed = BTreeMap::from([(partition, Removed { rows, rejected: 0 })]);
        let removed = BTreeMap::from([(SOURCE.into(), removed)]);
        let total = self.now().1;
        let id = self.land(vector.remove(&self.next_commit(), &removed));
        self.set_total(id, total);
        id
    }

    fn next_commit(&self) -> String {
        format!("commit-{}", self.next_seq())
    }

    fn next_seq(&self) -> i64 {
        self.made.len() as i64 + 1
    }

    fn land(&mut self, verdict: Verdict) -> i64 {
        let Verdict::Apply(vector) = verdict else { panic!("not applied: {verdict:?}") };
        let (before, total) = self.now();
        let seq = self.next_seq();
        let vector = vector.with_snapshot(Lake::id(seq), seq);
        let added = i64::try_from(vector.records() - before.records()).unwrap();
        let facts = SnapshotFacts {
            heads: Some(vector.to_heads()),
            commit_id: vector.commits.last().cloned(),
            ..Default::default()
        };
        self.facts.property = Some(vector.to_json());
        self.push(facts, vector, total + added)
    }

    /// Another engine's commit that changes the number of rows by `delta`.
    pub fn foreign(&mut self, delta: i64) -> i64 {
        let (vector, total) = self.now();
        self.push(SnapshotFacts::default(), vector, total + delta)
    }

    fn push(&mut self, facts: SnapshotFacts, vector: Progress, total: i64) -> i64 {
        let seq = self.next_seq();
        let id = Lake::id(seq);
        let parent = self.facts.current;
        let facts = SnapshotFacts { id, parent, seq, total_records: Some(total), ..facts };
        self.facts.snapshots.push(facts);
        self.facts.current = Some(id);
        self.made.insert(id, Made { vector, total });
        id
    }

    fn set_total(&mut self, id: i64, total: i64) {
        self.snapshot(id).total_records = Some(total);
        if let Some(made) = self.made.get_mut(&id) {
            made.total = total;
        }
    }

    /// A standing snapshot.
    pub fn snapshot(&mut self, id: i64) -> &mut SnapshotFacts {
        self.facts.snapshots.iter_mut().find(|snapshot| snapshot.id == id).unwrap()
    }

    /// Rolls back or forward, as any engine can.
    pub fn roll(&mut self, id: i64) {
        assert!(self.facts.snapshots.iter().any(|snapshot| snapshot.id == id));
        self.facts.current = Some(id);
    }

    pub fn expire(&mut self, ids: &[i64]) {
        self.facts.snapshots.retain(|snapshot| !ids.contains(&snapshot.id));
    }

    pub fn truth(&self) -> Truth {
        resolve(&self.facts)
    }
}
