//! Which models are meant: dbt's selectors `name`, `+name+`, `tag:`, `path:`,
//! `config.materialized:`.

use std::collections::BTreeSet;

use weir_contract::yaml::nearest;

use crate::graph::Graph;
use crate::project::{MATERIALIZED, Model};

/// The models that `select` names and `exclude` does not; all where `select` is empty. Several
/// selectors are a union, a comma between two an intersection.
///
/// # Errors
/// A selector that cannot be read, or that names no model at all.
pub fn select<'m>(
    models: impl Iterator<Item = &'m Model> + Clone,
    graph: &Graph,
    select: &[String],
    exclude: &[String],
) -> Result<BTreeSet<String>, String> {
    let all = || models.clone().map(|model| model.name.clone()).collect();
    let union = |selectors: &[String]| -> Result<BTreeSet<String>, String> {
        let mut found = BTreeSet::new();
        for one in selectors.iter().flat_map(|s| s.split_whitespace()) {
            found.extend(intersection(models.clone(), graph, one)?);
        }
        Ok(found)
    };
    let chosen = if select.is_empty() { all() } else { union(select)? };
    let left_out = union(exclude)?;
    Ok(chosen.difference(&left_out).cloned().collect())
}

fn intersection<'m>(
    models: impl Iterator<Item = &'m Model> + Clone,
    graph: &Graph,
    selectors: &str,
) -> Result<BTreeSet<String>, String> {
    let mut found: Option<BTreeSet<String>> = None;
    for one in selectors.split(',') {
        let these = single(models.clone(), graph, one)?;
        found = Some(match found {
            None => these,
            Some(so_far) => so_far.intersection(&these).cloned().collect(),
        });
    }
    Ok(found.unwrap_or_default())
}

fn single<'m>(
    models: impl Iterator<Item = &'m Model> + Clone,
    graph: &Graph,
    selector: &str,
) -> Result<BTreeSet<String>, String> {
    let unreadable = || {
        format!(
            "the selector {selector:?} cannot be read; write a model's name, +name, name+, 2+name, \
             tag:NAME, path:FOLDER or config.materialized:KIND"
        )
    };
    let (before, rest) = match selector.split_once('+') {
        Some((steps, rest)) if steps.bytes().all(|b| b.is_ascii_digit()) => (Some(steps), rest),
        _ => (None, selector),
    };
    let (core, behind) = match rest.rsplit_once('+') {
        Some((core, steps)) if steps.bytes().all(|b| b.is_ascii_digit()) => (core, Some(steps)),
        _ => (rest, None),
    };
    let steps = |text: &str| match text {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| unreadable()),
    };
    let matched = named(models, core).ok_or_else(unreadable)??;
    let mut found = matched.clone();
    for name in &matched {
        if let Some(before) = before {
            found.extend(graph.ancestors(name, steps(before)?));
        }
        if let Some(behind) = behind {
            found.extend(graph.descendants(name, steps(behind)?));
        }
    }
    Ok(found)
}

/// What a selector without its pluses names; none if it cannot be read.
fn named<'m>(
    models: impl Iterator<Item = &'m Model> + Clone,
    core: &str,
) -> Option<Result<BTreeSet<String>, String>> {
    let those = |keep: &dyn Fn(&Model) -> bool| -> BTreeSet<String> {
        models.clone().filter(|model| keep(model)).map(|model| model.name.clone()).collect()
    };
    Some(match core.split_once(':') {
        Some(("tag", tag)) if !tag.is_empty() => Ok(those(&|m| m.settings.tags.contains(tag))),
        Some(("path", path)) if !path.is_empty() => {
            let path = path.trim_start_matches("./").trim_end_matches('/');
            Ok(those(&|m| {
                m.path
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }))
        }
        Some(("config.materialized", kind)) => {
            let known = MATERIALIZED.iter().find(|(name, _)| *name == kind)?;
            Ok(those(&|m| m.settings.materialized == known.1))
        }
        Some(_) => return None,
        None if core.is_empty() => return None,
        None => {
            let found = those(&|m| m.name == core);
            match found.is_empty() {
                false => Ok(found),
                true => {
                    let names: Vec<String> = models.map(|m| m.name.clone()).collect();
                    let near = nearest(core, names.iter().map(String::as_str));
                    let advice = near.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
                    Err(format!("there is no model {core:?}{advice}"))
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::testing::project;

    fn chosen(take: &[&str], leave: &[&str]) -> Result<String, String> {
        let project = project(&[
            ("staging/a.sql", "{{ config(tags=['x']) }} select 1 as n"),
            ("staging/b.sql", "select n from {{ ref('a') }}"),
            ("marts/sales/c.sql", "{{ config(tags=['x']) }} select n from {{ ref('b') }}"),
        ]);
        let texts = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        select(project.models.values(), &project.graph(), &texts(take), &texts(leave))
            .map(|set| set.into_iter().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn selectors_are_those_of_dbt() {
        for (take, leave, found) in [
            (&[][..], &[][..], "a b c"),
            (&["b"], &[], "b"),
            (&["+b"], &[], "a b"),
            (&["a+"], &[], "a b c"),
            (&["1+c"], &[], "b c"),
            (&["+b+"], &[], "a b c"),
            (&["tag:x"], &[], "a c"),
            (&["tag:x,path:staging"], &[], "a"),
            (&["path:marts/sales/"], &[], "c"),
            (&["path:mart"], &[], ""),
            (&["config.materialized:view"], &["a"], "b c"),
            (&["config.materialized:table"], &[], ""),
            (&["a", "c"], &["tag:x,c"], "a"),
            (&["a b"], &[], "a b"),
            (&[], &["path:staging"], "c"),
        ] {
            assert_eq!(chosen(take, leave).unwrap(), found, "{take:?} {leave:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        assert!(chosen(&["stag:x"], &[]).unwrap_err().contains("cannot be read"));
        assert!(chosen(&["+"], &[]).unwrap_err().contains("cannot be read"));
        assert!(chosen(&["cc"], &[]).unwrap_err().contains("did you mean"));
    }
}
