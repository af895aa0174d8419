//! Manifests clustered by partition, in a commit of their own.

use weir_contract::progress::{Progress, Verdict};

use super::report::{MaintainEvent, Manifests};
use super::{Maintain, STAGE};
use crate::commit::{Change, Committed, Decision, Rewrite, commit};
use crate::manifests::{facts, manifests_of, target_bytes};
use crate::merge::plan_cluster;
use crate::{Base, Result};

impl Maintain<'_> {
    /// Clusters the manifests, if that pays.
    pub(super) async fn cluster(&mut self) -> Result<Manifests> {
        let base = self.base().await?;
        let before = self.manifests(&base).await?;
        let metadata = base.metadata();
        let Some(snapshot) = metadata.current_snapshot() else { return Ok(Manifests::default()) };
        let carried = manifests_of(self.lake, metadata, snapshot).await?;
        let plan = plan_cluster(&facts(metadata, &carried, 0), target_bytes(metadata));
        let gain: usize = plan.iter().map(|cluster| cluster.from.len() - cluster.into).sum();
        if plan.is_empty() || self.stops() {
            return Ok(Manifests { before, after: before });
        }
        if self.dry_run {
            return Ok(Manifests { before, after: before - gain as u64 });
        }
        let commit_id = self.lake.env.ids.uuid().to_string();
        let change = Change {
            commit_id: commit_id.clone(),
            stage: STAGE,
            rewrite: Rewrite::Manifests,
            ..Change::default()
        };
        (self.listen)(&MaintainEvent::CommitStarted { commit_id: commit_id.clone(), files: 0 });
        // Whatever others committed in between: the manifests of that are clustered then.
        let decide = &mut |_: &Base, progress: &Progress| match progress.rewrite(&commit_id) {
            Verdict::Apply(next) => Decision::Advance(next),
            _ => Decision::Decline(()),
        };
        let Committed::Done(receipt) = commit(self.lake, base, &change, decide).await? else {
            return Ok(Manifests { before, after: before });
        };
        (self.listen)(&MaintainEvent::Committed { commit_id, snapshot_id: receipt.snapshot_id });
        Ok(Manifests { before, after: self.manifests(&receipt.base).await? })
    }

    /// How many manifests the current snapshot has.
    async fn manifests(&self, base: &Base) -> Result<u64> {
        let metadata = base.metadata();
        match metadata.current_snapshot() {
            Some(snapshot) => Ok(manifests_of(self.lake, metadata, snapshot).await?.len() as u64),
            None => Ok(0),
        }
    }
}
