//! What a recipe says of merges and classes.

use super::RoutingError;
use crate::recipe::{Classes, DocumentRouter, Recipe};

/// The different merges of a routed recipe that any class goes to.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::evaluate) struct Routed {
    /// Without document routers, asked as the recipe says.
    pub merges: Vec<Recipe>,
    /// By class an index into `merges`.
    pub routes: Vec<usize>,
}

impl Routed {
    /// Merges that are equal are one, so that a router whose classes all end up in equal merges has a single one.
    pub fn new(recipe: &Recipe, router: &DocumentRouter) -> Result<Self, RoutingError> {
        require_complete(router)?;
        let (mut merges, mut routes) = (Vec::new(), Vec::new());
        let last = router.merges.len();
        for &route in &router.routes {
            let merge = match route.checked_sub(1) {
                None => recipe,
                Some(other) => {
                    router.merges.get(other).ok_or(RoutingError::Merge { merge: route, last })?
                }
            };
            let plain =
                Recipe { document_router: None, prompts: recipe.prompts.clone(), ..merge.clone() };
            let place = merges.iter().position(|known| *known == plain);
            routes.push(place.unwrap_or(merges.len()));
            if place.is_none() {
                merges.push(plain);
            }
        }
        Ok(Routed { merges, routes })
    }
}

fn require_complete(router: &DocumentRouter) -> Result<(), RoutingError> {
    let (Classes::Tasks(classes) | Classes::Clusters(classes)) = router.gate.classes;
    let routes = router.routes.len();
    let nested = router.merges.iter().position(|merge| merge.document_router.is_some());
    match nested {
        Some(nested) => Err(RoutingError::Nested { merge: nested + 1 }),
        None if classes == 0 => Err(RoutingError::NoClasses),
        None if routes != classes => Err(RoutingError::Routes { routes, classes }),
        None => Ok(()),
    }
}
