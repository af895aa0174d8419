//! A change of a table without a snapshot: references, schema, properties. Like a snapshot's commit
//! it is one compare-and-swap on exactly the base that was read, decided anew at every attempt.
//!
//! It has no id to look for. After an outcome that is not known the decision is made again on the
//! table as it is: where nothing is left to do, it landed.

use iceberg::TableUpdate;
use weir_contract::class::ErrorClass;

use super::{CONFLICT_PAUSE, FAILURES_MAX, delete_old_metadata, pause, reload, reload_patiently};
use crate::backend::Outcome;
use crate::error::{CatalogError, Result};
use crate::table::{Base, Lake};

/// What is made of a base.
pub(crate) enum Alter {
    /// Change it so.
    Updates(Vec<TableUpdate>),
    /// It is as it shall be.
    Nothing,
}

/// A table that is as it shall be.
pub(crate) struct Altered {
    /// The table.
    pub base: Base,
    /// Whether this call made it so, as far as is known.
    pub changed: bool,
}

/// Changes the table until `decide` finds nothing left to do, beginning with `base`. `what` names
/// the change in errors.
///
/// Errors: retry (attempts or patience at an end), bad data (table gone), those of `decide`, and
/// what storage and catalog say.
pub(crate) async fn alter(
    lake: &Lake,
    mut base: Base,
    what: &str,
    decide: &mut (dyn FnMut(&Base) -> Result<Alter> + Send),
) -> Result<Altered> {
    let (mut failures, mut unknown, mut last) = (0, false, String::new());
    let mut attempt = 0;
    loop {
        let Alter::Updates(updates) = decide(&base)? else {
            return Ok(Altered { base, changed: unknown });
        };
        attempt += 1;
        if attempt > lake.options.attempts_max.max(1) {
            return Err(CatalogError::retry(format!(
                "{what} of {} did not get through; the last attempt: {last}",
                base.name
            )));
        }
        match lake.backend.commit(&base.name, &base.loaded, updates).await {
            Outcome::Committed(loaded) => {
                let new = Base { name: base.name.clone(), loaded };
                delete_old_metadata(lake, &base, &new).await;
                return Ok(Altered { base: new, changed: true });
            }
            Outcome::Conflict(seen) => {
                (failures, last) = (0, seen);
                pause(lake, CONFLICT_PAUSE, attempt).await;
                base = reload(lake, &base).await?;
            }
            Outcome::Unknown(why) => {
                (failures, unknown) = (0, true);
                base = reload_patiently(lake, &base, what, &why).await?;
                last = why;
            }
            Outcome::Failed(e) => {
                failures += 1;
                if e.class() != ErrorClass::Retry || failures >= FAILURES_MAX {
                    return Err(e);
                }
                last = e.to_string();
                pause(lake, CONFLICT_PAUSE, attempt).await;
            }
        }
    }
}
