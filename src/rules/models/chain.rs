//! From a model to what it was made from, and on to where that ends.

use super::gather::Gathering;
use super::{Ancestor, RepositoryFacts, Told};

/// Names on one path; real ones are far shorter.
const LONGEST: usize = 16;

/// The ancestors of a model and of the adapter on it, and the cycles met.
pub(super) fn follow(
    model: &RepositoryFacts,
    adapter: Option<&RepositoryFacts>,
    gathering: &Gathering<'_>,
) -> (Vec<Ancestor>, Vec<String>) {
    let known = [Some(model), adapter].into_iter().flatten().map(|facts| facts.id.clone());
    let mut walk =
        Walk { gathering, known: known.collect(), ancestors: Vec::new(), cycles: Vec::new() };
    for start in [Some(model), adapter].into_iter().flatten() {
        walk.parents_of(start, &mut vec![start.id.clone()]);
    }
    (walk.ancestors, walk.cycles)
}

struct Walk<'a> {
    gathering: &'a Gathering<'a>,
    /// Looked up already.
    known: Vec<String>,
    ancestors: Vec<Ancestor>,
    cycles: Vec<String>,
}

impl Walk<'_> {
    fn parents_of(&mut self, child: &RepositoryFacts, path: &mut Vec<String>) {
        for parent in &child.parents {
            if path.contains(&parent.value) || path.len() == LONGEST {
                self.cycles.push(format!("{} -> {}", path.join(" -> "), parent.value));
            } else if !self.known.contains(&parent.value) {
                self.add(parent, &child.id, path);
            }
        }
    }

    fn add(&mut self, parent: &Told<String>, child: &str, path: &mut Vec<String>) {
        self.known.push(parent.value.clone());
        let facts = self.gathering.ancestor(&parent.value);
        let named_by = Told::new(child.to_owned(), parent.place.clone());
        self.ancestors.push(Ancestor { named_by, facts: facts.clone() });
        path.push(parent.value.clone());
        self.parents_of(&facts, path);
        path.pop();
    }
}
