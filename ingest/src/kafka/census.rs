//! How many members of the group hold partitions: asked some time after each rebalance, without
//! waiting for the answer.

use std::time::{Duration, Instant};

use tracing::debug;

use super::native::{Consumer, Question};

/// How long after a rebalance the group is asked: one member's arrival often brings another's.
const REST: Duration = Duration::from_secs(1);
/// How often a group that is sharing out its partitions is asked again.
const TRIES: u32 = 30;

/// The question and its answer.
#[derive(Default)]
pub(super) struct Census {
    due: Option<Instant>,
    tries: u32,
    asked: Option<Question>,
}

impl Census {
    /// The group has shared out its partitions anew.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Census { due: Some(now + REST), tries: TRIES, asked: None };
    }

    /// The number of members with partitions, once it is known.
    pub(super) fn answer(
        &mut self,
        consumer: &Consumer,
        group: &str,
        now: Instant,
    ) -> Option<usize> {
        if self.due.is_some_and(|due| now >= due) {
            self.due = None;
            self.asked = consumer.ask_members(group).ok();
        }
        let answer = self.asked.as_ref()?.members()?;
        self.asked = None;
        match answer {
            Ok(Some(members)) => return Some(members),
            Ok(None) if self.tries > 0 => {
                self.tries -= 1;
                self.due = Some(now + REST);
            }
            Ok(None) => {}
            // It may not be allowed; nothing depends on it.
            Err(failure) => debug!(error = failure.message, "the group's members are not known"),
        }
        None
    }
}
