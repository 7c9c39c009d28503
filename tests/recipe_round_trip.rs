//! A recipe is written as YAML that reads back as the same recipe, whatever is in it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use merge_search::recipe::{
    AnswerStyle, ChatFormat, ChatTemplate, Classes, Condition, DocumentRouter, Dtype, Features,
    Gate, GateKind, GateMode, LayerRange, Layout, MergeMethod, ModelEntry, ModelRef, ModuleBody,
    OutputModule, OutputSlice, Parameters, Pooling, Profile, PromptChange, Prompts, Recipe,
    RescaleRule, Setting, SliceSource, TokenEntry, TokenExpert, TokenName, TokenRouter,
    TokenSource, TokenizerChoice, Value, VocabularySource,
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

fn token_router() -> impl Strategy<Value = TokenRouter> {
    let mode = proptest::sample::select(vec![
        GateMode::HiddenAvg,
        GateMode::HiddenLast,
        GateMode::CheapEmbed,
    ]);
    let prompts =
        prop_oneof![vec(text(), 1..3).prop_map(Prompts::Texts), text().prop_map(Prompts::Task),];
    let expert = (model(), prompts).prop_map(|(source_model, positive_prompts)| TokenExpert {
        source_model,
        positive_prompts,
    });
    let layers = proptest::collection::btree_set(0..50_usize, 1..5);
    let temperature = prop_oneof![Just(1.0), 1e-3..10.0_f64, Just(f64::MIN_POSITIVE)];
    (layers, vec(expert, 2..4), mode, 1..3_usize, temperature).prop_map(
        |(layers, experts, gate_mode, experts_per_token, temperature)| TokenRouter {
            layers: layers.into_iter().collect(),
            experts,
            gate_mode,
            experts_per_token,
            temperature,
        },
    )
}

fn gate() -> impl Strategy<Value = Gate> {
    let pool = proptest::sample::select(vec![Pooling::Mean, Pooling::Last]);
    let features = prop_oneof![
        (1..2000_usize).prop_map(|buckets| Features::Ngrams { buckets }),
        (0..40_usize, pool).prop_map(|(layer, pool)| Features::Hidden { layer, pool }),
        Just(Features::Shape),
    ];
    let kind = proptest::sample::select(vec![GateKind::Centroid, GateKind::Linear]);
    let classes = prop_oneof![
        (1..7_usize).prop_map(Classes::Tasks),
        (2..7_usize).prop_map(Classes::Clusters),
    ];
    (features, kind, classes).prop_map(|(features, kind, classes)| Gate { features, kind, classes })
}

fn document_router() -> impl Strategy<Value = DocumentRouter> {
    (gate(), vec(plain_recipe(), 1..4)).prop_flat_map(|(gate, merges)| {
        let routes = vec(0..=merges.len(), gate.classes.count());
        routes.prop_map(move |routes| DocumentRouter { gate, routes, merges: merges.clone() })
    })
}

fn prompts() -> impl Strategy<Value = BTreeMap<String, PromptChange>> {
    let style = proptest::sample::select(vec![AnswerStyle::Text, AnswerStyle::Letter]);
    let change = (
        (option::of(any::<usize>()), option::of(text()), option::of(text())),
        (option::of(style), option::of(1..300_usize), option::of(any::<bool>())),
    );
    let change = change.prop_map(|(first, second)| PromptChange {
        num_fewshot: first.0,
        system_instruction: first.1,
        doc_to_text: first.2,
        answer_style: second.0,
        max_gen_toks: second.1,
        apply_chat_template: second.2,
    });
    proptest::collection::btree_map(text(), change, 0..3)
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let router = proptest::option::weighted(0.3, document_router());
    (plain_recipe(), router, prompts()).prop_map(|(plain, document_router, prompts)| Recipe {
        document_router,
        prompts,
        ..plain
    })
}

fn plain_recipe() -> impl Strategy<Value = Recipe> {
    let method = proptest::sample::select(MergeMethod::ALL.to_vec());
    let rule = proptest::sample::select(vec![RescaleRule::L1, RescaleRule::Density]);
    (
        (method, option::of(model()), layout(), parameters(), any::<u64>(), rule),
        (dtype(), dtype(), option::of(tokenizer()), option::of(chat_template())),
        option::of(token_router()),
    )
        .prop_map(
            |(
                (merge_method, base_model, layout, parameters, mask_seed, rescale_by),
                rest,
                token_router,
            )| {
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
                    token_router,
                    document_router: None,
                    prompts: BTreeMap::new(),
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
