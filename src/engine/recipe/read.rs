//! The file as it is typed, and its way to a checked [`Recipe`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::router_read::{self, RawDocumentRouter, RawTokenRouter};
use super::tokenizer::{self, TokenizerChoice, VocabularySource};
use super::{
    ChatTemplate, Condition, Dtype, LayerRange, Layout, MergeMethod, ModelEntry, ModelRef,
    ModuleBody, OutputModule, OutputSlice, Parameters, Profile, PromptChange, Recipe, RecipeError,
    RescaleRule, Setting, SliceSource, Value,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRecipe {
    merge_method: MergeMethod,
    base_model: Option<ModelRef>,
    models: Option<Vec<RawModel>>,
    slices: Option<Vec<RawSlice>>,
    modules: Option<Modules>,
    #[serde(default)]
    parameters: RawParameters,
    dtype: Option<Dtype>,
    out_dtype: Option<Dtype>,
    tokenizer_source: Option<VocabularySource>,
    tokenizer: Option<TokenizerChoice>,
    chat_template: Option<ChatTemplate>,
    token_router: Option<RawTokenRouter>,
    document_router: Option<RawDocumentRouter>,
    #[serde(default)]
    prompts: BTreeMap<String, PromptChange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModule {
    models: Option<Vec<RawModel>>,
    slices: Option<Vec<RawSlice>>,
    #[serde(default)]
    parameters: RawParameters,
}

/// In the order of the file.
struct Modules(Vec<(String, RawModule)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    model: ModelRef,
    #[serde(default)]
    parameters: RawParameters,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlice {
    sources: Vec<RawSource>,
    base_model: Option<ModelRef>,
    #[serde(default)]
    parameters: RawParameters,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    model: ModelRef,
    layer_range: (usize, usize),
    #[serde(default)]
    parameters: RawParameters,
}

/// Settings, and the two entries that are ours and have a type of their own.
#[derive(Default)]
struct RawParameters {
    settings: Parameters,
    mask_seed: Option<u64>,
    rescale_by: Option<RescaleRule>,
}

pub(super) fn from_yaml(text: &str) -> Result<Recipe, RecipeError> {
    let raw: RawRecipe = serde_saphyr::from_str(text)
        .map_err(|error| RecipeError::Yaml { message: error.to_string() })?;
    raw.check()
}

impl Recipe {
    /// Reads a mergekit configuration from a file.
    ///
    /// # Errors
    /// As [`Recipe::from_yaml`], naming the file; a file that cannot be read.
    pub fn read(path: &Path) -> Result<Recipe, RecipeError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        Recipe::from_yaml(&text)
            .map_err(|error| RecipeError::File { path: path.to_owned(), source: Box::new(error) })
    }
}

impl RawRecipe {
    pub(super) fn check(self) -> Result<Recipe, RecipeError> {
        Ok(Recipe {
            merge_method: self.merge_method,
            base_model: self.base_model,
            layout: layout(self.models, self.slices, self.modules)?,
            parameters: self.parameters.settings,
            mask_seed: self.parameters.mask_seed.unwrap_or_default(),
            rescale_by: self.parameters.rescale_by.unwrap_or_default(),
            dtype: self.dtype,
            out_dtype: self.out_dtype,
            tokenizer: tokenizer::either(self.tokenizer_source, self.tokenizer)?,
            chat_template: self.chat_template,
            token_router: self.token_router.map(RawTokenRouter::check).transpose()?,
            document_router: self.document_router.map(RawDocumentRouter::check).transpose()?,
            prompts: router_read::check_prompts(self.prompts)?,
        })
    }
}

fn layout(
    models: Option<Vec<RawModel>>,
    slices: Option<Vec<RawSlice>>,
    modules: Option<Modules>,
) -> Result<Layout, RecipeError> {
    match (models, slices, modules) {
        (Some(models), None, None) => Ok(Layout::Models(all("models", models, RawModel::check)?)),
        (None, Some(slices), None) => Ok(Layout::Slices(all("slices", slices, RawSlice::check)?)),
        (None, None, Some(modules)) => {
            let module = |(name, module): (String, RawModule)| module.check(name);
            Ok(Layout::Modules(all("modules", modules.0, module)?))
        }
        (None, None, None) => Err(RecipeError::Layout { found: "none of them" }),
        _ => Err(RecipeError::Layout { found: "more than one" }),
    }
}

impl RawModule {
    fn check(self, name: String) -> Result<OutputModule, RecipeError> {
        let body = match (self.models, self.slices) {
            (Some(models), None) => ModuleBody::Models(all("models", models, RawModel::check)?),
            (None, Some(slices)) => ModuleBody::Slices(all("slices", slices, RawSlice::check)?),
            (found, _) => {
                let found = if found.is_some() { "both" } else { "neither" };
                return Err(RecipeError::ModuleBody { module: name, found });
            }
        };
        let parameters = self.parameters.below_top(|| format!("module `{name}`"))?;
        Ok(OutputModule { name, body, parameters })
    }
}

fn all<R, C>(
    key: &'static str,
    raw: Vec<R>,
    check: impl Fn(R) -> Result<C, RecipeError>,
) -> Result<Vec<C>, RecipeError> {
    if raw.is_empty() {
        return Err(RecipeError::Empty { key });
    }
    raw.into_iter().map(check).collect()
}

impl RawModel {
    fn check(self) -> Result<ModelEntry, RecipeError> {
        let parameters = self.parameters.below_top(|| format!("`{}`", self.model))?;
        Ok(ModelEntry { model: self.model, parameters })
    }
}

impl RawSlice {
    fn check(self) -> Result<OutputSlice, RecipeError> {
        Ok(OutputSlice {
            sources: all("sources", self.sources, RawSource::check)?,
            base_model: self.base_model,
            parameters: self.parameters.below_top(|| "a slice".to_owned())?,
        })
    }
}

impl RawSource {
    fn check(self) -> Result<SliceSource, RecipeError> {
        let (start, end) = self.layer_range;
        let empty = || RecipeError::EmptyRange { model: self.model.to_string(), start, end };
        let layer_range = LayerRange::new(start, end).ok_or_else(empty)?;
        let parameters = self.parameters.below_top(|| format!("`{}`", self.model))?;
        Ok(SliceSource { model: self.model, layer_range, parameters })
    }
}

impl RawParameters {
    fn below_top(self, place: impl Fn() -> String) -> Result<Parameters, RecipeError> {
        let misplaced = |key| RecipeError::Misplaced { key, place: place() };
        match (self.mask_seed, self.rescale_by) {
            (None, None) => Ok(self.settings),
            (Some(_), _) => Err(misplaced("mask_seed")),
            (None, Some(_)) => Err(misplaced("rescale_by")),
        }
    }
}

impl<'de> Deserialize<'de> for RawParameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawParameters, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawParameters;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of parameters")
            }
            fn visit_unit<E>(self) -> Result<RawParameters, E> {
                Ok(RawParameters::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawParameters, A::Error> {
                let mut raw = RawParameters::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "mask_seed" => raw.mask_seed = Some(map.next_value()?),
                        "rescale_by" => raw.rescale_by = Some(map.next_value()?),
                        _ => raw.settings.set(name, map.next_value::<Setting>()?),
                    }
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

const SETTING: &str = "a number, true or false, a list of those, or a list of {filter, value}";

fn number<E: serde::de::Error>(number: f64) -> Result<Value, E> {
    if number.is_finite() {
        Ok(Value::Number(number))
    } else {
        Err(E::custom(format!("a parameter must be finite, found {number}")))
    }
}

/// The scalar cases that [`Setting`], [`Profile`] and [`Item`] share.
macro_rules! visit_scalars {
    ($expecting:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str($expecting)
        }
        fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
            Ok(Value::Bool(truth).into())
        }
        fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
            number(value).map(Self::Value::from)
        }
        fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
            self.visit_f64(value as f64)
        }
        fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
            self.visit_f64(value as f64)
        }
    };
}

impl<'de> Deserialize<'de> for Modules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Modules, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Modules;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of module names to {models | slices, parameters}")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Modules, A::Error> {
                let mut modules = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    modules.push(entry);
                }
                Ok(Modules(modules))
            }
        }
        deserializer.deserialize_map(Form)
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Setting, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Setting;
            visit_scalars!(SETTING);
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Setting, A::Error> {
                Ok(Setting::Conditional(vec![condition(map)?]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Setting, A::Error> {
                let (mut values, mut conditions) = (Vec::new(), Vec::new());
                while let Some(item) = seq.next_element()? {
                    match item {
                        Item::Value(value) => values.push(value),
                        Item::Condition(condition) => conditions.push(condition),
                    }
                }
                match (values.is_empty(), conditions.is_empty()) {
                    (_, true) => Ok(Setting::Everywhere(Profile::Gradient(values))),
                    (true, false) => Ok(Setting::Conditional(conditions)),
                    (false, false) => Err(A::Error::custom(format!("expected {SETTING}"))),
                }
            }
        }
        deserializer.deserialize_any(Form)
    }
}

enum Item {
    Value(Value),
    Condition(Condition),
}

impl From<Value> for Item {
    fn from(value: Value) -> Item {
        Item::Value(value)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Item;
            visit_scalars!("a number, true or false, or {filter, value}");
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
                condition(map).map(Item::Condition)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

fn condition<'de, A: MapAccess<'de>>(map: A) -> Result<Condition, A::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawCondition {
        filter: Option<String>,
        value: Profile,
    }
    let raw = RawCondition::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
    Ok(Condition { filter: raw.filter, value: raw.value })
}

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Profile;
            visit_scalars!("a number, true or false, or a list of those");
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Profile, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Profile::Gradient(values))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Value;
            visit_scalars!("a number, true or false");
        }
        deserializer.deserialize_any(Form)
    }
}
