//! Tensors of the same form together, their names as patterns over layers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::merge::{Input, MergePlan, PlannedTensor};

use super::form::{Form, form};

/// One tensor, or the same tensor in several layers.
struct Row {
    /// All that the group says but for names and layers.
    head: Map<String, Value>,
    /// `{}` for the layer's number.
    pattern: String,
    /// None outside the layers.
    layers: Vec<Value>,
}

/// What all merges of a recipe share.
#[derive(Default)]
pub(super) struct Shared {
    /// Lists of patterns that groups refer to by their place.
    pub(super) names: Vec<Vec<String>>,
    /// The fragments that are needed.
    pub(super) fragments: BTreeSet<&'static str>,
}

/// The groups in the order of their first tensors.
pub(super) fn groups(
    plan: &MergePlan,
    tensors: &[&PlannedTensor],
    shared: &mut Shared,
) -> Vec<Value> {
    let mut rows = Ordered::default();
    for tensor in tensors {
        let form = form(tensor);
        shared.fragments.insert(form.operation);
        shared.fragments.extend(&form.besides);
        let row = row(plan, tensor, &form);
        let key = format!("{} {}", json!(row.head), row.pattern);
        rows.add(key, row, |all: &mut Row, row| all.layers.extend(row.layers));
    }
    let mut groups = Ordered::default();
    for row in rows.items {
        let own_names = row.head.contains_key("read").then_some(&row.pattern);
        let key = format!("{} {} {own_names:?}", json!(row.head), json!(row.layers));
        let (layers, pattern) = (row.layers, vec![row.pattern]);
        groups.add(key, (row.head, layers, pattern), |(_, _, all), (_, _, one)| all.extend(one));
    }
    groups
        .items
        .into_iter()
        .map(|(head, layers, names)| group(head, layers, shared.place(names)))
        .collect()
}

impl Shared {
    /// Of a list of patterns, put at the end unless it is there.
    fn place(&mut self, names: Vec<String>) -> usize {
        let known = self.names.iter().position(|list| *list == names);
        known.unwrap_or_else(|| {
            self.names.push(names);
            self.names.len() - 1
        })
    }
}

/// Items of equal key brought together, in the order of the first of each.
struct Ordered<T> {
    places: BTreeMap<String, usize>,
    items: Vec<T>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Ordered { places: BTreeMap::new(), items: Vec::new() }
    }
}

impl<T> Ordered<T> {
    fn add(&mut self, key: String, item: T, join: impl Fn(&mut T, T)) {
        let place = *self.places.entry(key).or_insert(self.items.len());
        match self.items.get_mut(place) {
            Some(known) => join(known, item),
            None => self.items.push(item),
        }
    }
}

fn row(plan: &MergePlan, tensor: &PlannedTensor, form: &Form) -> Row {
    let (pattern, layer) = match plan.architecture().layer_pattern(&tensor.name) {
        Some((pattern, layer)) => (pattern, Some(layer)),
        None => (tensor.name.clone(), None),
    };
    let sources = form.base.iter().chain(&form.inputs);
    let sources: Vec<(String, Option<usize>)> = sources.map(|input| place(plan, input)).collect();
    let mut head = Map::from_iter([("operation".to_owned(), json!(form.operation))]);
    if let Some(base) = form.base {
        head.insert("base".to_owned(), base.model.into());
    }
    let models: Vec<usize> = form.inputs.iter().map(|input| input.model).collect();
    head.insert("inputs".to_owned(), json!(models));
    head.extend(form.parameters.clone());
    if sources.iter().any(|(name, from)| *name != pattern || from.is_some() != layer.is_some()) {
        head.insert("read".to_owned(), sources.iter().map(|(name, _)| name.as_str()).collect());
    }
    let layers = layer.map(|layer| layers(layer, &sources)).into_iter().collect();
    Row { head, pattern, layers }
}

/// A tensor's name with `{}` for the layer's number, and that number.
fn place(plan: &MergePlan, input: &Input) -> (String, Option<usize>) {
    let architecture = plan.models().get(input.model).map(|(_, model)| model.architecture());
    match architecture.and_then(|it| it.layer_pattern(&input.tensor)) {
        Some((pattern, layer)) => (pattern, Some(layer)),
        None => (input.tensor.clone(), None),
    }
}

/// The output's layer, followed by those that are read where one of them has another number.
fn layers(layer: usize, sources: &[(String, Option<usize>)]) -> Value {
    let from: Vec<usize> = sources.iter().map(|(_, from)| from.unwrap_or(layer)).collect();
    match from.iter().all(|from| *from == layer) {
        true => json!(layer),
        false => std::iter::once(layer).chain(from).collect(),
    }
}

fn group(head: Map<String, Value>, layers: Vec<Value>, names: usize) -> Value {
    let mut group = head;
    if !layers.is_empty() {
        group.insert("layers".to_owned(), Value::Array(layers));
    }
    group.insert("names".to_owned(), names.into());
    Value::Object(group)
}
