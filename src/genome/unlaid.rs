//! From a recipe whose layers are chosen, left out, repeated or moved to its genotype: [`super::layers`] backwards.

use super::encode::SAME;
use super::layered::{Layered, without};
use super::layers::arrangement;
use super::{Decoder, EncodeError, Gene, Genotype};
use crate::recipe::{
    Condition, LayerRange, Layout, ModelEntry, ModelRef, OutputSlice, Parameters, Profile, Recipe,
    Setting, SliceSource, Value,
};
use crate::space::{Depth, DepthChoice, GeneKey, LayerRouting};

/// What is known of a recipe's layers.
struct Found {
    depth: Vec<DepthChoice>,
    /// For each block the model that it is taken from.
    sources: Vec<Option<usize>>,
}

impl Decoder {
    /// `start` with the genes of merge `number` that `recipe` is. Parameters of layers that are left out or taken over follow from those of the merged ones as far as they lie on one
    /// line; what follows from nothing is as in the nearest merged layer.
    ///
    /// # Errors
    /// Layers in an order that no genes give; parameters that none give.
    pub(super) fn unlaid(
        &self,
        recipe: &Recipe,
        routing: &LayerRouting,
        start: &Genotype,
        number: usize,
    ) -> Result<Genotype, EncodeError> {
        let layered = Layered::of(recipe, self.layers).ok_or(EncodeError::Modules)?;
        let output: Vec<usize> = layered.all().iter().filter_map(place).collect();
        let arranged = || EncodeError::Arrangement { found: output.clone() };
        let blocks = self.blocks_of(&output, routing).ok_or_else(arranged)?;
        let depth = self.depth_of(&blocks, routing).ok_or_else(arranged)?;
        let sources = self.sources_of(&layered, &output, routing);
        let merged = vec![None; sources.len()];
        for sources in [sources, merged] {
            let found = Found { depth: depth.clone(), sources };
            let genotype = self.with_found(&layered, routing, &found, (start, number));
            if let Some(genotype) = genotype
                && self.is_same(&layered, &self.merge(&genotype, number))
            {
                return Ok(genotype);
            }
        }
        Err(EncodeError::LayerParameters)
    }

    /// The blocks that the output's layers belong to; `None` where one is not whole.
    fn blocks_of(&self, output: &[usize], routing: &LayerRouting) -> Option<Vec<usize>> {
        let (mut blocks, mut rest) = (Vec::new(), output);
        while let Some(first) = rest.first() {
            let block = first / routing.layers_per_block;
            let layers = routing.layers_of(block, self.layers);
            let whole: Vec<usize> = layers.collect();
            rest = rest.strip_prefix(whole.as_slice()).filter(|_| !whole.is_empty())?;
            blocks.push(block);
        }
        Some(blocks)
    }

    /// From the left to the right: a block that stands where it should has not changed places.
    fn depth_of(&self, output: &[usize], routing: &LayerRouting) -> Option<Vec<DepthChoice>> {
        let blocks = routing.blocks(self.layers);
        let times = |block: usize| output.iter().filter(|other| **other == block).count();
        let (mut choices, mut carried, mut next) = (Vec::new(), 0, 0);
        for block in 0..blocks {
            let own = match times(block) {
                0 => DepthChoice::Skip,
                1 if times(carried) > 0 && output.get(next) != Some(&carried) => DepthChoice::Swap,
                1 => DepthChoice::Keep,
                2 => DepthChoice::Repeat,
                _ => return None,
            };
            let placed = if own == DepthChoice::Swap { block + 1 } else { carried };
            if own != DepthChoice::Swap {
                carried = block + 1;
            }
            next += times(placed);
            choices.push(own);
        }
        let mut words = choices.iter().enumerate();
        let allowed = words.all(|(block, own)| routing.choices(block, blocks).contains(own));
        (allowed && arrangement(&choices) == output).then_some(choices)
    }

    /// Blocks all of whose layers are one model's.
    fn sources_of(
        &self,
        layered: &Layered<'_>,
        output: &[usize],
        routing: &LayerRouting,
    ) -> Vec<Option<usize>> {
        let models = [&self.space.base].into_iter();
        let models: Vec<&ModelRef> =
            models.chain(self.space.experts.iter().map(|expert| &expert.model)).collect();
        let names: Vec<String> = self.probes().into_iter().map(|probe| probe.tensor).collect();
        let source = |block: usize| {
            let layers = routing.layers_of(block, self.layers);
            let own = layered.all().iter().zip(output).filter(|(_, layer)| layers.contains(layer));
            let own: Vec<&OutputSlice> = own.map(|(slice, _)| slice).collect();
            let is = |model: &&&ModelRef| own.iter().all(|s| layered.is_own(s, model, &names));
            let found = models.iter().position(|model| is(&model));
            found.filter(|_| routing.choose_source && !own.is_empty())
        };
        (0..routing.blocks(self.layers)).map(source).collect()
    }

    fn with_found(
        &self,
        layered: &Layered<'_>,
        routing: &LayerRouting,
        found: &Found,
        (start, number): (&Genotype, usize),
    ) -> Option<Genotype> {
        let is_merged = |layer: &usize| {
            let block = layer / routing.layers_per_block;
            found.sources.get(block).is_some_and(Option::is_none)
        };
        let mut known: Vec<(usize, OutputSlice)> = Vec::new();
        for slice in layered.all() {
            let layer = place(slice)?;
            if is_merged(&layer) && known.iter().all(|(other, _)| *other != layer) {
                known.push((layer, self.unpinned(slice)));
            }
        }
        known.sort_by_key(|(layer, _)| *layer);
        let plain = self.plain(layered, &known)?;
        let (mut genotype, _) = self.with_plain(start, number, &plain).ok()?;
        for block in 0..found.depth.len() {
            let choices = routing.choices(block, found.depth.len());
            let depth = choices.iter().position(|choice| Some(choice) == found.depth.get(block));
            let source = found.sources.get(block)?.map_or(0, |model| model + 1);
            let choices = [(GeneKey::Depth { block }, depth?), (GeneKey::Source { block }, source)];
            for (key, choice) in choices {
                self.set(&mut genotype, number, key, Gene::Category(choice));
            }
        }
        Some(genotype)
    }

    /// Without what it says of tensors outside the layers.
    fn unpinned(&self, slice: &OutputSlice) -> OutputSlice {
        let landmarks = self.filters.landmarks();
        let is_outside = |filter: &str| {
            landmarks.before.iter().chain(&landmarks.after).any(|name| name == filter)
        };
        let mut slice = slice.clone();
        slice.parameters = without(&slice.parameters, &is_outside);
        for source in &mut slice.sources {
            source.parameters = without(&source.parameters, &is_outside);
        }
        slice
    }

    /// All layers in their places, as far as those known say.
    fn plain(&self, layered: &Layered<'_>, known: &[(usize, OutputSlice)]) -> Option<Recipe> {
        match self.space.depth {
            Depth::Blocks { .. } => {
                let slice = |layer: usize| {
                    let (_, nearest) = known.iter().min_by_key(|(other, _)| {
                        (self.block_at(layer) != self.block_at(*other), layer.abs_diff(*other))
                    })?;
                    moved(nearest, layer)
                };
                let slices: Option<Vec<_>> = (0..self.layers).map(slice).collect();
                Some(layered.with_layout(Layout::Slices(slices?), Parameters::default()))
            }
            Depth::ControlPoints(_) | Depth::PointPerBlock { .. } => self.gradients(layered, known),
        }
    }

    fn block_at(&self, layer: usize) -> Option<usize> {
        self.block_ranges().find(|(_, range)| range.contains(&layer)).map(|(block, _)| block)
    }

    fn gradients(&self, layered: &Layered<'_>, known: &[(usize, OutputSlice)]) -> Option<Recipe> {
        let (_, first) = known.first()?;
        let last = self.layers.saturating_sub(1).max(1) as f64;
        let lift = |read: &dyn Fn(&OutputSlice) -> Option<&Parameters>| -> Option<Parameters> {
            let all: Option<Vec<_>> = (known.iter())
                .map(|(layer, slice)| Some((*layer as f64 / last, read(slice)?)))
                .collect();
            Some(lifted(&all?, self.depth_count()))
        };
        let entry = |(index, source): (usize, &SliceSource)| {
            let parameters = lift(&|slice| slice.sources.get(index).map(|s| &s.parameters))?;
            Some(ModelEntry::new(source.model.clone(), parameters))
        };
        let entries: Option<Vec<_>> = first.sources.iter().enumerate().map(entry).collect();
        let shared = lift(&|slice| Some(&slice.parameters))?;
        Some(layered.with_layout(Layout::Models(entries?), shared))
    }

    /// Whether two recipes merge the same layers in the same way, to rounding.
    fn is_same(&self, asked: &Layered<'_>, decoded: &Recipe) -> bool {
        let Some(decoded) = Layered::of(decoded, self.layers) else {
            return false;
        };
        let slices = || asked.all().iter().zip(decoded.all());
        asked.is_of_the_same_method(&decoded)
            && asked.all().len() == decoded.all().len()
            && alike(asked.top(), decoded.top())
            && slices().all(|(a, b)| same_slice(a, b))
    }
}

/// The layer's own place.
fn place(slice: &OutputSlice) -> Option<usize> {
    let first = slice.sources.first()?.layer_range;
    let same = slice.sources.iter().all(|source| source.layer_range == first);
    same.then_some(first.start())
}

fn moved(slice: &OutputSlice, layer: usize) -> Option<OutputSlice> {
    let layer_range = LayerRange::new(layer, layer + 1)?;
    let mut slice = slice.clone();
    for source in &mut slice.sources {
        source.layer_range = layer_range;
    }
    Some(slice)
}

/// Parameters of layers, with where each stands from 0 to 1, as gradients through so many points.
fn lifted(layers: &[(f64, &Parameters)], points: usize) -> Parameters {
    let Some((_, first)) = layers.first() else {
        return Parameters::default();
    };
    let settings = first.iter().map(|(name, setting)| {
        let lift = |read: &dyn Fn(&Setting) -> Option<&Profile>| -> Option<Profile> {
            let value = |(t, parameters): &(f64, &Parameters)| {
                let profile = read(parameters.get(name)?)?;
                Some((*t, *profile.values().first()?))
            };
            let values: Option<Vec<_>> = layers.iter().map(value).collect();
            Some(through(&values?, points))
        };
        let setting = match setting {
            Setting::Everywhere(profile) => {
                let found = lift(&|setting| match setting {
                    Setting::Everywhere(profile) => Some(profile),
                    Setting::Conditional(_) => None,
                });
                Setting::Everywhere(found.unwrap_or_else(|| profile.clone()))
            }
            Setting::Conditional(conditions) => {
                let of = |(index, condition): (usize, &Condition)| {
                    let found = lift(&|setting| match setting {
                        Setting::Conditional(others) => others
                            .get(index)
                            .filter(|other| other.filter == condition.filter)
                            .map(|other| &other.value),
                        Setting::Everywhere(_) => None,
                    });
                    let value = found.unwrap_or_else(|| condition.value.clone());
                    Condition { filter: condition.filter.clone(), value }
                };
                Setting::Conditional(conditions.iter().enumerate().map(of).collect())
            }
        };
        (name, setting)
    });
    settings.collect()
}

/// The gradient of so many points that has these values at these places, if they lie on one.
fn through(values: &[(f64, Value)], points: usize) -> Profile {
    let truths = values.iter().any(|(_, value)| matches!(value, Value::Bool(_)));
    match values.first() {
        Some((_, first)) if points < 2 || truths || values.iter().all(|(_, v)| v == first) => {
            Profile::Constant(*first)
        }
        _ => Profile::gradient((0..points).map(|point| at_point(values, point, points))),
    }
}

/// On the line through the outermost values of a segment beside the point; or else the nearest value.
fn at_point(values: &[(f64, Value)], point: usize, points: usize) -> f64 {
    let place = |point: usize| point as f64 / (points - 1).max(1) as f64;
    let t = place(point);
    for segment in [Some(point), point.checked_sub(1)].into_iter().flatten() {
        let (low, high) = (place(segment) - SAME, place(segment + 1) + SAME);
        let mut inside = values.iter().filter(|(at, _)| (low..=high).contains(at));
        if let (Some((a, first)), Some((b, last))) = (inside.next(), inside.next_back()) {
            let (first, last) = (first.as_number(), last.as_number());
            return first + (last - first) * (t - a) / (b - a);
        }
    }
    let by_gap = |a: &&(f64, Value), b: &&(f64, Value)| (a.0 - t).abs().total_cmp(&(b.0 - t).abs());
    values.iter().min_by(by_gap).map_or(0.0, |(_, value)| value.as_number())
}

fn same_slice(a: &OutputSlice, b: &OutputSlice) -> bool {
    let same = |(a, b): (&SliceSource, &SliceSource)| {
        a.model == b.model && a.layer_range == b.layer_range && alike(&a.parameters, &b.parameters)
    };
    a.base_model == b.base_model
        && a.sources.len() == b.sources.len()
        && a.sources.iter().zip(&b.sources).all(same)
        && alike(&a.parameters, &b.parameters)
}

fn alike(a: &Parameters, b: &Parameters) -> bool {
    let same = |((name, a), (other, b)): ((&str, &Setting), (&str, &Setting))| {
        name == other && same_setting(a, b)
    };
    a.iter().count() == b.iter().count() && a.iter().zip(b.iter()).all(same)
}

fn same_setting(a: &Setting, b: &Setting) -> bool {
    match (a, b) {
        (Setting::Everywhere(a), Setting::Everywhere(b)) => same_profile(a, b),
        (Setting::Conditional(a), Setting::Conditional(b)) => {
            let same = |(a, b): (&Condition, &Condition)| {
                a.filter == b.filter && same_profile(&a.value, &b.value)
            };
            a.len() == b.len() && a.iter().zip(b).all(same)
        }
        _ => false,
    }
}

fn same_profile(a: &Profile, b: &Profile) -> bool {
    let same = |(a, b): (&Value, &Value)| {
        let (a, b) = (a.as_number(), b.as_number());
        (a - b).abs() <= SAME * a.abs().max(1.0)
    };
    a.values().len() == b.values().len() && a.values().iter().zip(b.values()).all(same)
}
