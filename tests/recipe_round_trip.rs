//! A recipe is written as YAML that reads back as the same recipe, whatever is in it.

use std::num::NonZeroUsize;

use merge_search::recipe::{
    ChatFormat, ChatTemplate, Condition, Dtype, LayerRange, Layout, MergeMethod, ModelEntry,
    ModelRef, ModuleBody, OutputModule, OutputSlice, Parameters, Profile, Recipe, RescaleRule,
    Setting, SliceSource, TokenEntry, TokenName, TokenSource, TokenizerChoice, Value,
    VocabularySource,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Any characters but those that no YAML may have.
fn text() -> impl Strategy<Value = String> {
    let odd = vec![
        "null",
        "~",
        "yes",
        "1e3",
        "-",
        "- a",
        "#",
        "a: b",
        "'",
        "\"\\",
        "\u{85}\u{2028}\t\n",
        "<<",
        "é",
    ];
    prop_oneof![
        "[a-z_.0-9]{1,12}",
        "\\PC{1,8}",
        any::<String>(),
        proptest::sample::select(odd).prop_map(str::to_owned),
    ]
}

fn model() -> impl Strategy<Value = ModelRef> {
    let plain = "[a-zA-Z0-9/._-]{1,10}(@[a-z0-9]{1,4})?(\\+[a-z/]{1,5}(@[a-z0-9]{1,4})?)?";
    prop_oneof![3 => plain, 1 => text()]
        .prop_filter_map("names no model", |text| ModelRef::new(text).ok())
        .prop_filter("a word of tokenizer_source", |model| {
            !["union", "base"].contains(&model.as_str())
        })
}

fn value() -> impl Strategy<Value = Value> {
    let finite = any::<f64>().prop_filter("finite", |x| x.is_finite());
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        finite.prop_map(Value::Number),
        (-3_i32..100).prop_map(|x| Value::Number(f64::from(x))),
    ]
}

fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![
        2 => value().prop_map(Profile::Constant),
        1 => vec(value(), 0..5).prop_map(Profile::Gradient),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let condition =
        (option::of(text()), profile()).prop_map(|(filter, value)| Condition { filter, value });
    prop_oneof![
        2 => profile().prop_map(Setting::Everywhere),
        1 => vec(condition, 1..4).prop_map(Setting::Conditional),
    ]
}

/// All parameters of all methods, and names that none has.
fn parameters() -> impl Strategy<Value = Parameters> {
    let mut names: Vec<&str> = MergeMethod::ALL
        .iter()
        .flat_map(|method| method.parameters())
        .map(|spec| spec.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    let known = proptest::sample::select(names).prop_map(str::to_owned);
    let name = prop_oneof![4 => known, 1 => text()];
    let name = name.prop_filter("has a place of its own", |name| {
        !["mask_seed", "rescale_by"].contains(&name.as_str())
    });
    vec((name, setting()), 0..4).prop_map(Parameters::from_iter)
}

fn models() -> impl Strategy<Value = Vec<ModelEntry>> {
    vec(
        (model(), parameters()).prop_map(|(model, parameters)| ModelEntry { model, parameters }),
        1..3,
    )
}

fn slices() -> impl Strategy<Value = Vec<OutputSlice>> {
    let range = (0..40_usize, 1..40_usize)
        .prop_map(|(start, layers)| LayerRange::new(start, start + layers).unwrap());
    let source = (model(), range, parameters()).prop_map(|(model, layer_range, parameters)| {
        SliceSource { model, layer_range, parameters }
    });
    let slice = (vec(source, 1..3), option::of(model()), parameters()).prop_map(
        |(sources, base_model, parameters)| OutputSlice { sources, base_model, parameters },
    );
    vec(slice, 1..3)
}

fn layout() -> impl Strategy<Value = Layout> {
    let body =
        prop_oneof![models().prop_map(ModuleBody::Models), slices().prop_map(ModuleBody::Slices)];
    let module = (text(), body, parameters()).prop_map(|(name, body, parameters)| OutputModule {
        name,
        body,
        parameters,
    });
    prop_oneof![
        models().prop_map(Layout::Models),
        slices().prop_map(Layout::Slices),
        vec(module, 1..3).prop_map(|mut modules| {
            modules.sort_by(|a, b| a.name.cmp(&b.name));
            modules.dedup_by(|a, b| a.name == b.name);
            Layout::Modules(modules)
        }),
    ]
}

fn tokenizer() -> impl Strategy<Value = TokenizerChoice> {
    let token = prop_oneof![text().prop_map(TokenName::Text), any::<u32>().prop_map(TokenName::Id)];
    let source = prop_oneof![
        model().prop_map(TokenSource::Model),
        Just(TokenSource::Zero),
        (model(), token).prop_map(|(model, token)| TokenSource::ModelToken { model, token }),
    ];
    let entry = (text(), option::of(source), any::<bool>())
        .prop_map(|(token, source, force)| TokenEntry { token, source, force });
    let vocabulary = prop_oneof![
        Just(VocabularySource::Union),
        Just(VocabularySource::Base),
        model().prop_map(VocabularySource::Model),
    ];
    (vocabulary, vec(entry, 0..4), option::of(1..300_usize)).prop_map(
        |(source, mut tokens, rows)| {
            tokens.sort_by(|a, b| a.token.cmp(&b.token));
            tokens.dedup_by(|a, b| a.token == b.token);
            TokenizerChoice { source, tokens, pad_to_multiple_of: rows.and_then(NonZeroUsize::new) }
        },
    )
}

fn chat_template() -> impl Strategy<Value = ChatTemplate> {
    prop_oneof![
        Just(ChatTemplate::Auto),
        proptest::sample::select(ChatFormat::ALL.to_vec()).prop_map(ChatTemplate::Named),
        text().prop_map(|text| ChatTemplate::Jinja(format!("{{{{ messages[0].content }}}}{text}"))),
    ]
}

fn dtype() -> impl Strategy<Value = Option<Dtype>> {
    option::of(proptest::sample::select(Dtype::ALL.to_vec()))
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let method = proptest::sample::select(MergeMethod::ALL.to_vec());
    let rule = proptest::sample::select(vec![RescaleRule::L1, RescaleRule::Density]);
    (
        (method, option::of(model()), layout(), parameters(), any::<u64>(), rule),
        (dtype(), dtype(), option::of(tokenizer()), option::of(chat_template())),
    )
        .prop_map(
            |((merge_method, base_model, layout, parameters, mask_seed, rescale_by), rest)| {
                let (dtype, out_dtype, tokenizer, chat_template) = rest;
                Recipe {
                    merge_method,
                    base_model,
                    layout,
                    parameters,
                    mask_seed,
                    rescale_by,
                    dtype,
                    out_dtype,
                    tokenizer,
                    chat_template,
                    token_router: None,
                    document_router: None,
                    prompts: Default::default(),
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_recipe_is_read_back_as_it_was(recipe in recipe()) {
        let yaml = recipe.to_yaml();
        let again = Recipe::from_yaml(&yaml)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        prop_assert_eq!(&again, &recipe, "{}", yaml);
        prop_assert_eq!(again.to_yaml(), yaml);
    }
}
