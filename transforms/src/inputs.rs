//! What a model reads, views looked through: sources, and tables of other models. Pure.

use std::collections::{BTreeMap, BTreeSet};

use weir_contract::names::{NAMESPACE_REF, TableName};

use crate::project::{Model, Project, Strategy};
use crate::windows::Ranges;

/// The views that take each event of a source only once, by name; none where it is read as it is.
pub type Through = BTreeSet<String>;

/// What a model reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Sources, and through which views that deduplicate.
    pub sources: BTreeMap<TableName, Through>,
    /// Models that have tables, by name.
    pub tables: BTreeSet<String>,
}

/// What `model` reads, views of other models looked through.
pub fn inputs(project: &Project, model: &Model) -> Inputs {
    read(project, model, &|parent| parent.is_stored())
}

/// The sources of `model`, everything between looked through.
pub fn roots(project: &Project, model: &Model) -> BTreeMap<TableName, Through> {
    read(project, model, &|_| false).sources
}

fn read(project: &Project, model: &Model, stops: &dyn Fn(&Model) -> bool) -> Inputs {
    let (mut found, mut open, mut seen) = (Inputs::default(), vec![model], BTreeSet::new());
    while let Some(at) = open.pop() {
        for source in &at.sources {
            let through = found.sources.entry(source.clone()).or_default();
            if !at.settings.dedup.is_empty() {
                through.insert(at.name.clone());
            }
        }
        for parent in at.refs.iter().filter_map(|name| project.models.get(name)) {
            if stops(parent) {
                found.tables.insert(parent.name.clone());
            } else if seen.insert(&parent.name) {
                open.push(parent);
            }
        }
    }
    found
}

/// Whether a source is a reference table.
pub fn is_reference(source: &TableName) -> bool {
    source.namespace == NAMESPACE_REF
}

/// The windows of `model` for which `changes` of its sources mean that their rows may be others.
pub fn touched(project: &Project, model: &Model, changes: &BTreeMap<TableName, Ranges>) -> Ranges {
    let inputs = inputs(project, model);
    let mut all = Ranges::default();
    for source in inputs.sources.keys() {
        if let Some(own) = changes.get(source) {
            all = all.with(own);
        }
    }
    for parent in inputs.tables.iter().filter_map(|name| project.models.get(name)) {
        all = all.with(&touched(project, parent, changes));
    }
    match (model.settings.strategy, model.settings.batch_size) {
        (Some(Strategy::Microbatch), Some(size)) => all.windows(size, 0, model.settings.lookback),
        _ => all,
    }
}
