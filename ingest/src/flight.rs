//! A batch on its way into the table: encode the rest, put the files, commit. One a table at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use weir_catalog::Lake;
use weir_catalog::commit::{Change, Committed, Decision, Receipt, commit};
use weir_catalog::error::CatalogError;
use weir_catalog::table::Base;
use weir_contract::coverage::Coverage;
use weir_contract::progress::{Fence, Progress, Steps, Verdict};

use crate::batch::ByClass;
use crate::writer::Writer;

/// The stage's name in `weir.stage`.
pub const STAGE: &str = "ingest";

/// How steps move a progress, given the one that the writer's positions come from:
/// [`Progress::advance_since`]; the simulation also tries careless ones.
pub type Advance = fn(&Progress, &Progress, &str, &Steps) -> Verdict;

/// A batch that is being committed.
pub struct Flight {
    /// The work; yields the outcome.
    pub work: BoxFuture<'static, Outcome>,
    /// The commit's id.
    pub commit_id: String,
    /// What the commit moves.
    pub steps: Steps,
    /// Rejected records in it.
    pub rejected: ByClass,
    /// Bytes that it holds.
    pub memory: usize,
}

/// How a flight ended.
pub type Outcome = Result<Committed<Vec<Fence>>, CatalogError>;

/// Everything that a commit by this stage needs.
#[derive(Clone)]
pub struct Committer {
    /// The lake.
    pub lake: Arc<Lake>,
    /// How steps move a progress.
    pub advance: Advance,
}

impl Committer {
    /// Puts the files of `writer` and commits them with `steps`; `coverage` is what is known then.
    pub async fn batch(
        self,
        base: Base,
        writer: Writer,
        (id, steps): (String, Steps),
        coverage: Coverage,
    ) -> Outcome {
        let mut added = Vec::new();
        for file in writer.finish().await? {
            added.push(self.lake.put_data_file(&base, file).await?);
        }
        let coverage = Some(coverage);
        let change = Change { commit_id: id, stage: STAGE, added, coverage, ..Change::default() };
        self.commit(base, &change, &steps).await
    }

    /// Commits steps without records: where a source starts, or what an operator accepted.
    pub async fn record(
        self,
        base: Base,
        id: String,
        steps: Steps,
        accepted: &[String],
    ) -> Outcome {
        let mut change = Change { commit_id: id, stage: STAGE, ..Change::default() };
        if !accepted.is_empty() {
            let key = weir_contract::names::key::ACCEPTED;
            let known = base.metadata().properties().get(key);
            let mut all: Vec<String> =
                known.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            all.extend_from_slice(accepted);
            let json = serde_json::Value::from(all).to_string();
            change.properties = BTreeMap::from([(key.to_string(), json)]);
            let reason = weir_contract::names::key::REASON;
            change.summary = BTreeMap::from([(reason.to_string(), accepted.join("; "))]);
        }
        self.commit(base, &change, &steps).await
    }

    async fn commit(&self, base: Base, change: &Change, steps: &Steps) -> Outcome {
        let (advance, seen) = (self.advance, base.progress()?);
        let mut broken = None;
        let outcome = commit(&self.lake, base, change, &mut |_, progress| {
            match advance(progress, &seen, &change.commit_id, steps) {
                Verdict::Apply(next) => Decision::Advance(next),
                // The commit layer looks for the id first, so this is another commit's doing.
                Verdict::Already => Decision::Decline(Vec::new()),
                Verdict::Fenced(fences) => Decision::Decline(fences),
                Verdict::Invalid(why) => {
                    broken = Some(why);
                    Decision::Decline(Vec::new())
                }
            }
        })
        .await?;
        match broken {
            Some(why) => Err(CatalogError::bug(format!("commit {}: {why}", change.commit_id))),
            None => Ok(outcome),
        }
    }
}

/// The receipt of a commit that landed, or the fences of one that was declined.
pub fn landed(outcome: Committed<Vec<Fence>>) -> Result<Receipt, Vec<Fence>> {
    match outcome {
        Committed::Done(receipt) => Ok(receipt),
        Committed::Declined(fences) => Err(fences),
    }
}
