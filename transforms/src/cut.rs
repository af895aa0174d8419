//! The cut: up to which vector a model reads each root, so that all its inputs are of one moment. Pure.

use std::collections::BTreeMap;

use weir_contract::names::TableName;
use weir_contract::progress::Root;

/// Root table → how far it is read.
pub type Cut = BTreeMap<String, Root>;

/// The cut of a model that reads `sources` itself, as far as they are, and the tables `parents`, which
/// were made of their own roots.
///
/// # Errors
/// The parents that were made of other moments than the rest: which one is ahead, and of what.
pub fn cut(
    sources: &BTreeMap<TableName, Root>,
    parents: &BTreeMap<TableName, Cut>,
) -> Result<Cut, String> {
    let own = sources.iter().map(|(name, root)| (name.to_string(), root));
    let of_parents = parents.values().flat_map(|cut| cut.iter().map(|(n, r)| (n.clone(), r)));
    let mut common = Cut::new();
    for (name, root) in own.chain(of_parents) {
        let next = match common.get(&name) {
            Some(so_far) => so_far.common(root),
            None => root.clone(),
        };
        common.insert(name, next);
    }
    for (parent, roots) in parents {
        for (name, root) in roots {
            if common.get(name).is_some_and(|common| !common.reads_as(root)) {
                return Err(format!(
                    "{parent} was built from a later state of {name} than another input; build them \
                     together"
                ));
            }
        }
    }
    Ok(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(until: i64) -> Root {
        Root { until: [("s".to_string(), [(0, until)].into())].into(), ..Root::default() }
    }

    fn name(text: &str) -> TableName {
        text.parse().unwrap()
    }

    #[test]
    fn a_model_reads_its_sources_as_far_as_its_parents_have() {
        let sources = [(name("raw.x"), root(20)), (name("raw.y"), root(7))].into();
        let parents = [(name("mart.p"), [("raw.x".to_string(), root(15))].into())].into();
        let found = cut(&sources, &parents).unwrap();
        assert_eq!((&found["raw.x"], &found["raw.y"]), (&root(15), &root(7)));
        assert_eq!(cut(&sources, &BTreeMap::new()).unwrap()["raw.x"], root(20));
    }

    #[test]
    fn parents_of_different_moments_are_refused() {
        let of = |until| Cut::from([("raw.x".to_string(), root(until))]);
        let parents = [(name("mart.p"), of(15)), (name("mart.q"), of(16))].into();
        let why = cut(&BTreeMap::new(), &parents).unwrap_err();
        assert!(why.starts_with("mart.q was built from a later state of raw.x"), "{why}");
        // A source that was rolled back to before what a parent has read.
        let sources = [(name("raw.x"), root(9))].into();
        let parents = [(name("mart.p"), of(15))].into();
        assert!(cut(&sources, &parents).unwrap_err().starts_with("mart.p"));
    }
}
