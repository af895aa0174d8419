//! Up to which event time the rows of a model are complete: all that reached Kafka within the lateness that
//! is allowed is in them.
//!
//! A stream is covered up to a Kafka time. An event that is at most so late as is allowed has a Kafka time of
//! at most its own time plus that, so whatever happened before the coverage less the lateness is there.

use std::collections::BTreeMap;

use weir_catalog::derived::made;
use weir_catalog::session::inputs::Source;
use weir_catalog::{Base, CatalogError, Result};
use weir_contract::names::{NAMESPACE_REF, TableName};
use weir_contract::progress::Root;

use crate::cut::Cut;
use crate::project::Model;
use crate::run::Runner;

/// Up to when rows are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Complete {
    /// It is not known.
    Unknown,
    /// This event time, µs since the epoch, which is not included.
    Until(i64),
    /// They are not made of streams.
    Always,
}

/// How complete a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Up to when.
    pub complete: Complete,
    /// Tables that have more than it is made of.
    pub behind: Vec<String>,
    /// Streams that it is made of, each with the Kafka time up to which it is covered, µs.
    pub streams: Vec<(String, Option<i64>)>,
}

/// A stream or reference table as it is now.
struct Whole {
    root: Root,
    covered_us: Option<i64>,
}

/// What is made of `roots`, if `wholes` are whole streams, and `others` are tables that are made of their own
/// roots and complete so far. Pure.
fn complete(
    roots: &Cut,
    wholes: &BTreeMap<String, Whole>,
    others: &[(Cut, Complete)],
    lateness_us: i64,
) -> Complete {
    let one = |(name, root): (&String, &Root)| {
        let whole = wholes.get(name).filter(|whole| whole.root.reads_as(root));
        let own = match whole.and_then(|whole| whole.covered_us) {
            Some(covered_us) => Complete::Until(covered_us - lateness_us),
            None => Complete::Unknown,
        };
        let reads = |cut: &Cut| cut.get(name).is_some_and(|other| other.reads_as(root));
        let of_others = others.iter().filter(|(cut, _)| reads(cut)).map(|(_, until)| *until);
        of_others.fold(own, Complete::max)
    };
    let reference = format!("{NAMESPACE_REF}.");
    let streams = roots.iter().filter(|(name, _)| !name.starts_with(&reference));
    streams.map(one).fold(Complete::Always, Complete::min)
}

impl Runner<'_> {
    /// Up to when a build of `roots` is complete that reads `tables`; `before` is its own as it was.
    pub(crate) fn complete(
        &self,
        roots: &Cut,
        tables: &BTreeMap<TableName, (String, Base)>,
        before: Option<(Cut, Complete)>,
    ) -> Result<Complete> {
        let mut others: Vec<(Cut, Complete)> = before.into_iter().collect();
        for (_, base) in tables.values() {
            let made = made(base)?;
            others.push((
                made.derived.map(|d| d.roots).unwrap_or_default(),
                known(made.complete_until_us),
            ));
        }
        Ok(complete(roots, &self.wholes(roots)?, &others, self.project.lateness_us))
    }

    /// How complete `model` is now; none if it has no table yet.
    ///
    /// Errors: what the catalog says; bad config if an input of a view has not been built.
    pub async fn standing(&self, model: &Model) -> Result<Option<Standing>> {
        let (roots, complete) = if model.is_stored() {
            let Some(base) = self.lake.derived(&model.relation).await? else { return Ok(None) };
            let made = made(&base)?;
            let Some(derived) = made.derived else { return Ok(None) };
            let before = Some((derived.roots.clone(), known(made.complete_until_us)));
            let complete = self.complete(&derived.roots, &BTreeMap::new(), before)?;
            (derived.roots, complete)
        } else {
            let inputs = self.inputs(model).await?;
            let roots = self.cut(model, &inputs)?;
            let complete = self.complete(&roots, &inputs.tables, None)?;
            (roots, complete)
        };
        let wholes = self.wholes(&roots)?;
        let is_behind = |(name, root): &(&String, &Root)| {
            wholes.get(*name).is_some_and(|whole| !whole.root.reads_as(root))
        };
        let behind = roots.iter().filter(is_behind).map(|(name, _)| name.clone()).collect();
        let streams = self.sources.iter().filter(|source| {
            source.key().is_none() && roots.contains_key(&source.table.to_string())
        });
        let covered = |source: &Source| Ok((source.table.to_string(), source.covered_us()?));
        let streams = streams.map(covered).collect::<Result<_, CatalogError>>()?;
        Ok(Some(Standing { complete, behind, streams }))
    }

    fn wholes(&self, roots: &Cut) -> Result<BTreeMap<String, Whole>> {
        let mut wholes = BTreeMap::new();
        for source in self.sources {
            let name = source.table.to_string();
            if roots.contains_key(&name) {
                let whole = Whole { root: source.root()?, covered_us: source.covered_us()? };
                wholes.insert(name, whole);
            }
        }
        Ok(wholes)
    }
}

fn known(until_us: Option<i64>) -> Complete {
    until_us.map_or(Complete::Unknown, Complete::Until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(until: i64) -> Root {
        Root { until: [("s".to_string(), [(0, until)].into())].into(), ..Root::default() }
    }

    fn cut(roots: &[(&str, i64)]) -> Cut {
        roots.iter().map(|(name, until)| (name.to_string(), root(*until))).collect()
    }

    fn of(
        roots: &[(&str, i64)],
        wholes: &[(&str, i64, Option<i64>)],
        others: &[(Cut, Complete)],
    ) -> Complete {
        let whole = |(name, until, covered_us): &(&str, i64, Option<i64>)| {
            (name.to_string(), Whole { root: root(*until), covered_us: *covered_us })
        };
        complete(&cut(roots), &wholes.iter().map(whole).collect(), others, 5)
    }

    #[test]
    fn the_least_stream_decides_and_references_do_not_count() {
        use Complete::{Always, Unknown, Until};
        let both = [("raw.x", 7, Some(100)), ("raw.y", 9, Some(80)), ("ref.z", 1, None)];
        assert_eq!(of(&[("raw.x", 7)], &both, &[]), Until(95));
        assert_eq!(of(&[("raw.x", 7), ("raw.y", 9), ("ref.z", 1)], &both, &[]), Until(75));
        assert_eq!(of(&[("ref.z", 0)], &both, &[]), Always);
        assert_eq!(of(&[("raw.x", 7)], &[("raw.x", 7, None)], &[]), Unknown);
    }

    #[test]
    fn what_lags_behind_a_stream_is_as_complete_as_what_it_was_made_of() {
        use Complete::{Unknown, Until};
        let now = [("raw.x", 9, Some(100))];
        assert_eq!(of(&[("raw.x", 7)], &now, &[]), Unknown);
        let parent = (cut(&[("raw.x", 7)]), Until(60));
        assert_eq!(of(&[("raw.x", 7)], &now, std::slice::from_ref(&parent)), Until(60));
        // Made of the same as the stream is now: what was known then counts no more.
        assert_eq!(of(&[("raw.x", 7)], &[("raw.x", 7, Some(100))], &[parent]), Until(95));
    }
}
