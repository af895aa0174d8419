//! What depends on what: the order in which models are built, and who stands before or behind one.

use std::collections::{BTreeMap, BTreeSet};

/// Models by name, each with the models that it reads.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    parents: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The graph of `parents`, in which every parent must be a model itself.
    pub fn new(parents: BTreeMap<String, BTreeSet<String>>) -> Graph {
        Graph { parents }
    }

    /// All models, parents first; among equals by name.
    ///
    /// # Errors
    /// A circle of models, each of which reads the next and the last the first.
    pub fn order(&self) -> Result<Vec<String>, Vec<String>> {
        let (mut done, mut order) = (BTreeSet::new(), Vec::new());
        while order.len() < self.parents.len() {
            let ready = self.parents.iter().find(|(name, parents)| {
                !done.contains(*name) && parents.iter().all(|p| done.contains(p))
            });
            let Some((name, _)) = ready else { return Err(self.circle(&done)) };
            done.insert(name.clone());
            order.push(name.clone());
        }
        Ok(order)
    }

    /// A circle among the models that are not `done`: each of them has a parent that is not.
    fn circle(&self, done: &BTreeSet<String>) -> Vec<String> {
        let mut path: Vec<String> = Vec::new();
        let mut at = self.parents.keys().find(|name| !done.contains(*name)).cloned();
        while let Some(name) = at {
            if let Some(start) = path.iter().position(|seen| *seen == name) {
                return path.split_off(start);
            }
            let mut parents = self.parents.get(&name).into_iter().flatten();
            at = parents.find(|parent| !done.contains(*parent)).cloned();
            path.push(name);
        }
        path
    }

    /// The models that `name` reads, directly or not, up to `steps` away; without itself.
    pub fn ancestors(&self, name: &str, steps: Option<usize>) -> BTreeSet<String> {
        self.reach(name, steps, |at| self.parents.get(at).into_iter().flatten().cloned().collect())
    }

    /// The models that read `name`, directly or not, up to `steps` away; without itself.
    pub fn descendants(&self, name: &str, steps: Option<usize>) -> BTreeSet<String> {
        self.reach(name, steps, |at| {
            let children = self.parents.iter().filter(|(_, parents)| parents.contains(at));
            children.map(|(child, _)| child.clone()).collect()
        })
    }

    fn reach(
        &self,
        name: &str,
        steps: Option<usize>,
        next: impl Fn(&str) -> Vec<String>,
    ) -> BTreeSet<String> {
        let (mut found, mut edge) = (BTreeSet::new(), vec![name.to_string()]);
        for _ in 0..steps.unwrap_or(usize::MAX) {
            edge =
                edge.iter().flat_map(|at| next(at)).filter(|n| found.insert(n.clone())).collect();
            if edge.is_empty() {
                break;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Graph {
        let set = |names: &[&str]| names.iter().map(|n| n.to_string()).collect();
        Graph::new(edges.iter().map(|(n, p)| (n.to_string(), set(p))).collect())
    }

    fn names(set: BTreeSet<String>) -> String {
        set.into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn parents_come_first() {
        let graph = graph(&[("a", &["c", "b"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]);
        assert_eq!(graph.order().unwrap(), ["d", "b", "c", "a"]);
        assert_eq!(names(graph.ancestors("a", None)), "b c d");
        assert_eq!(names(graph.ancestors("a", Some(1))), "b c");
        assert_eq!(names(graph.descendants("d", None)), "a b c");
        assert_eq!(names(graph.descendants("d", Some(1))), "b c");
    }

    #[test]
    fn a_circle_is_named() {
        let graph = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]);
        assert_eq!(graph.order().unwrap_err(), ["b", "c"]);
    }
}
