//! Vocabularies that differ, against mergekit 0.1.5 (outputs made by `reference/mergekit/vocabulary.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::Checkpoint;
use merge_search::merge::{
    MergePlan, Row, TokenAxis, TokenTensor, Vocabulary, chat_template, write_chat_template,
};
use merge_search::recipe::{ChatFormat, ChatTemplate, ModelRef, Recipe};
use merge_search::submission::write_merged;
use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::tiny;

/// Largest difference from mergekit; the weights are of the order of 1, and sums are in `f32` in both.
const TOLERANCE: f32 = 1e-6;
const TENSORS: [&str; 2] = ["model.embed_tokens.weight", "lm_head.weight"];

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/mergekit")
}

/// What mergekit and transformers made of a recipe.
#[derive(Deserialize)]
struct Expected {
    vocab_size: usize,
    vocabulary: BTreeMap<String, usize>,
    special: Vec<String>,
    encodings: Vec<(String, Vec<u32>)>,
    chat_template: Option<String>,
}

/// A recipe and its open models: those that are merged, and the one whose tokenizer is taken.
struct Case {
    recipe: Recipe,
    models: Vec<(ModelRef, Checkpoint)>,
    merged: usize,
}

impl Case {
    fn new(recipe: Recipe) -> Case {
        let open = |model: &ModelRef| {
            (model.clone(), Checkpoint::open(&reference().join(model.path())).unwrap())
        };
        let models = recipe.models().into_iter().map(open).collect();
        // Behind them the model whose tokenizer is taken, where it is not one of them.
        let merged = Recipe { tokenizer: None, ..recipe.clone() }.models().len();
        Case { merged, models, recipe }
    }

    fn borrowed(&self) -> Vec<(ModelRef, &Checkpoint)> {
        tiny::borrowed(&self.models)
    }

    fn vocabulary(&self) -> Result<Vocabulary, String> {
        let choice = self.recipe.tokenizer.as_ref().unwrap();
        Vocabulary::build(choice, self.recipe.base_model.as_ref(), &self.borrowed())
            .map_err(|error| error.to_string())
    }

    fn base(&self) -> Option<usize> {
        let base = self.recipe.base_model.as_ref()?;
        self.models.iter().position(|(model, _)| model == base)
    }

    fn inputs(&self, tensor: &str) -> Vec<TokenTensor> {
        (self.models[..self.merged].iter().enumerate())
            .map(|(model, (_, checkpoint))| TokenTensor {
                model,
                rows: checkpoint.shape(tensor).unwrap().shape[0],
            })
            .collect()
    }

    fn tensor(&self, vocabulary: &Vocabulary, input: usize, name: &str) -> Vec<f32> {
        let alignment = vocabulary.align(name, &self.inputs(name), self.base()).unwrap();
        let tensors: Vec<_> = (self.models[..self.merged].iter())
            .map(|(_, checkpoint)| checkpoint.tensor(name).unwrap())
            .collect();
        let tensors: Vec<&[f32]> = tensors.iter().map(AsRef::as_ref).collect();
        alignment.aligned(input, &tensors, TokenAxis { outer: 1, inner: 4 })
    }
}

fn cases() -> Vec<(String, Case)> {
    let entries = fs::read_dir(reference().join("vocabulary/recipes")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let named = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, Case::new(Recipe::read(path).unwrap()))
    };
    paths.iter().map(named).collect()
}

fn expected(name: &str) -> Expected {
    let path = reference().join(format!("vocabulary/expected/{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |largest, x| if x > largest || x.is_nan() { x } else { largest })
}

#[test]
fn every_recipe_has_the_tokens_that_mergekit_gives() {
    let cases = cases();
    assert!(cases.len() >= 10, "{}", cases.len());
    for (name, case) in cases {
        let (vocabulary, expected) = (case.vocabulary().unwrap(), expected(&name));
        let ours: BTreeMap<String, usize> = vocabulary.tokens().iter().cloned().zip(0..).collect();
        assert_eq!(ours, expected.vocabulary, "{name}");
        assert_eq!(vocabulary.size(), expected.vocab_size, "{name}");
    }
}

/// Through plan and checkpoint on disk, in one file and in shards of one tensor each.
#[test]
fn aligned_models_merge_to_what_mergekit_gives() {
    for (name, case) in cases() {
        let (borrowed, expected) = (case.borrowed(), expected(&name));
        let plan = MergePlan::new(&case.recipe, &borrowed).unwrap();
        let theirs = reference().join(format!("vocabulary/expected/{name}.safetensors"));
        let theirs = tiny::stored(&theirs);
        assert!(TENSORS.iter().all(|name| theirs.iter().any(|tensor| tensor.name == *name)));
        for shard_size in [u64::MAX, 1] {
            let parent = tempfile::tempdir().unwrap();
            let dir = parent.path().join("merged");
            write_merged(&case.recipe, &plan, &tiny::output(&dir, shard_size)).unwrap();
            let merged = Checkpoint::open(&dir).unwrap();
            for tensor in &theirs {
                let shape = &merged.shape(&tensor.name).unwrap().shape;
                assert_eq!(*shape, tensor.shape, "{name} {}", tensor.name);
                let ours = merged.tensor(&tensor.name).unwrap();
                let difference = largest_difference(&ours, &tensor.values);
                assert!(difference <= TOLERANCE, "{name} {}: {difference:e}", tensor.name);
            }
            assert_eq!(merged.config()["vocab_size"], expected.vocab_size, "{name}");
            require_tokenizer(&name, &dir, &expected);
            require_template(&name, &case.recipe, &dir, &expected);
        }
    }
}

/// `auto` counts the models that are merged: neither one that only gives its tokenizer nor others that happen to be open.
#[test]
fn the_commonest_chat_template_is_that_of_the_merged_models() {
    let parent = tempfile::tempdir().unwrap();
    let model = |name: &str, template: &str| {
        let dir = parent.path().join(name);
        fs::create_dir(&dir).unwrap();
        for entry in fs::read_dir(reference().join("vocabulary/models/a")).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, dir.join(from.file_name().unwrap())).unwrap();
        }
        fs::write(dir.join("chat_template.jinja"), template).unwrap();
        (ModelRef::new(name).unwrap(), Checkpoint::open(&dir).unwrap())
    };
    let models = [("other", "C"), ("tokens", "B"), ("second", "B"), ("first", "A"), ("more", "C")];
    let models = models.map(|(name, template)| model(name, template));
    let yaml = "merge_method: linear\nmodels: [{model: first}, {model: second}]\nparameters: {weight: 1}\n\
                tokenizer_source: tokens\nchat_template: auto";
    let recipe = Recipe::from_yaml(yaml).unwrap();
    let borrowed = tiny::borrowed(&models);
    let plan = MergePlan::new(&recipe, &borrowed).unwrap();
    let dir = parent.path().join("merged");
    write_merged(&recipe, &plan, &tiny::output(&dir, u64::MAX)).unwrap();
    assert_eq!(fs::read_to_string(dir.join("chat_template.jinja")).unwrap(), "A");
}

fn require_tokenizer(name: &str, dir: &Path, expected: &Expected) {
    let tokenizer = Tokenizer::from_file(dir.join("tokenizer.json")).unwrap();
    for (text, ids) in &expected.encodings {
        let encoding = tokenizer.encode(text.as_str(), false).unwrap();
        assert_eq!(encoding.get_ids(), ids, "{name}: {text}");
    }
    let settings = fs::read_to_string(dir.join("tokenizer_config.json")).unwrap();
    assert!(!settings.contains("added_tokens_decoder"), "{name}");
    let added = tokenizer.get_added_tokens_decoder();
    let mut special: Vec<String> =
        added.into_values().filter(|token| token.special).map(|token| token.content).collect();
    special.sort();
    assert_eq!(special, expected.special, "{name}");
}

fn require_template(name: &str, recipe: &Recipe, dir: &Path, expected: &Expected) {
    let ours = chat_template(&ChatTemplate::Auto, &[dir]).unwrap();
    let theirs = expected.chat_template.as_ref().map(|template| template.trim().to_owned());
    match &recipe.chat_template {
        Some(ChatTemplate::Named(_)) => assert!(ours.is_some(), "{name}"),
        _ => assert_eq!(ours, theirs, "{name}"),
    }
}

#[test]
fn the_written_tokenizer_encodes_as_mergekits_does() {
    for (name, case) in cases() {
        let dir = tempfile::tempdir().unwrap();
        case.vocabulary().unwrap().write(dir.path()).unwrap();
        require_tokenizer(&name, dir.path(), &expected(&name));
    }
}

#[test]
fn the_written_chat_template_is_mergekits() {
    for (name, case) in cases() {
        let dir = tempfile::tempdir().unwrap();
        case.vocabulary().unwrap().write(dir.path()).unwrap();
        let folders: Vec<&Path> =
            case.models[..case.merged].iter().map(|(_, checkpoint)| checkpoint.dir()).collect();
        if let Some(choice) = &case.recipe.chat_template {
            let template = chat_template(choice, &folders).unwrap().unwrap();
            write_chat_template(dir.path(), &template).unwrap();
        }
        require_template(&name, &case.recipe, dir.path(), &expected(&name));
    }
}

/// `vocabulary.py` checks that mergekit reads `written/x.yaml` as it reads `recipes/x.yaml`; this test, that they are
/// what is written today. `WRITE_RECIPES=1` writes them, after which `vocabulary.py` must be run again.
#[test]
fn tokenizers_are_written_as_mergekit_has_read_them() {
    for (name, Case { recipe, .. }) in cases() {
        let path = reference().join(format!("vocabulary/written/{name}.yaml"));
        if std::env::var_os("WRITE_RECIPES").is_some() {
            fs::write(&path, recipe.to_yaml()).unwrap();
        }
        assert_eq!(recipe.to_yaml(), fs::read_to_string(&path).unwrap(), "{name}");
        assert_eq!(Recipe::from_yaml(&recipe.to_yaml()).unwrap(), recipe, "{name}");
    }
}

#[derive(Deserialize)]
struct Conversation {
    format: String,
    messages: serde_json::Value,
    add_generation_prompt: bool,
    mergekit: String,
    ours: String,
}

fn render(format: ChatFormat, messages: &serde_json::Value, prompt: bool) -> String {
    let template = chat_template(&ChatTemplate::Named(format), &[]).unwrap().unwrap();
    let mut environment = minijinja::Environment::new();
    environment.add_template("chat", &template).unwrap();
    let context = serde_json::json!({
        "messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>",
    });
    let context = minijinja::value::Serde(&context);
    environment.get_template("chat").unwrap().render(context).unwrap()
}

/// Blanks apart the texts are mergekit's, whose templates for three of the formats put in some that do not belong.
#[test]
fn named_formats_write_conversations_down() {
    let text = fs::read(reference().join("vocabulary/chat_templates.json")).unwrap();
    let conversations: Vec<Conversation> = serde_json::from_slice(&text).unwrap();
    assert!(conversations.len() >= 40);
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    for Conversation { format, messages, add_generation_prompt, mergekit, ours } in conversations {
        let Ok(ChatTemplate::Named(named)) = format.parse() else { panic!("{format}") };
        let text = render(named, &messages, add_generation_prompt);
        assert_eq!(squeezed(&text), squeezed(&mergekit), "{format}");
        assert_eq!(text, ours, "{format}");
        if ["chatml", "mistral"].contains(&format.as_str()) {
            assert_eq!(text, mergekit, "{format}");
        }
    }
}

/// The model cards of Llama 3 and EXAONE 3, and the prompt of Stanford Alpaca.
#[test]
fn named_formats_have_the_blanks_of_their_makers() {
    let messages = serde_json::json!([
        {"role": "system", "content": "S"}, {"role": "user", "content": "U"},
    ]);
    for (format, text) in [
        (ChatFormat::Alpaca, "S\n\n### Instruction:\nU\n\n### Response:\n"),
        (ChatFormat::Exaone, "[|system|]S[|endofturn|]\n[|user|]U\n[|assistant|]"),
        (
            ChatFormat::Llama3,
            "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
    ] {
        assert_eq!(render(format, &messages, true), text, "{}", format.as_str());
    }
}

fn case(tokenizer: &str) -> Case {
    let models = ["base", "a", "b"].map(|name| format!("{{model: vocabulary/models/{name}}}"));
    let yaml = format!("merge_method: linear\nmodels: [{}]\n{tokenizer}", models.join(", "));
    Case::new(Recipe::from_yaml(&yaml).unwrap())
}

/// What can be wrong, and words its message must have. mergekit stops at all of these too.
#[test]
fn what_cannot_be_aligned_is_refused_by_name() {
    let tokens = |tokens: &str| format!("tokenizer: {{source: union, tokens: {{{tokens}}}}}");
    let cases = [
        (tokens("<tool>: {}"), ["no source", "<tool>"]),
        (tokens("<x>: {source: vocabulary/models/a}"), ["<x>", "models/a"]),
        (tokens("<x>: {source: vocabulary/models/short}"), ["models/short", "not merged"]),
        (
            tokens("<x>: {source: {kind: model_token, model: vocabulary/models/a, token: zz}}"),
            ["`zz`", "models/a"],
        ),
        (
            tokens("<x>: {source: {kind: model_token, model: vocabulary/models/a, token_id: 42}}"),
            ["row 42", "has 42 rows"],
        ),
        ("tokenizer: {source: vocabulary/models/bare}".to_owned(), ["bare", "tokenizer.json"]),
    ];
    for (tokenizer, words) in cases {
        let case = case(&tokenizer);
        let message = case.vocabulary().and_then(|vocabulary| {
            let aligned = vocabulary.align(TENSORS[0], &case.inputs(TENSORS[0]), None);
            aligned.map_err(|error| error.to_string())
        });
        let message = message.unwrap_err();
        assert!(words.iter().all(|word| message.contains(word)), "{tokenizer}\n=> {message}");
    }
}

/// A law: where all models have the same vocabulary, nothing moves, and what lies behind it is left out.
#[test]
fn equal_vocabularies_stay_as_they_are() {
    let yaml =
        "merge_method: linear\nmodels: [{model: vocabulary/models/base}]\ntokenizer_source: union";
    let case = Case::new(Recipe::from_yaml(yaml).unwrap());
    let vocabulary = case.vocabulary().unwrap();
    let aligned = case.tensor(&vocabulary, 0, TENSORS[0]);
    let own = case.models[0].1.tensor(TENSORS[0]).unwrap();
    assert_eq!(aligned, own[..vocabulary.size() * 4]);
    assert!(aligned.len() < own.len());
}

/// Hand calculation over a tensor whose axis of tokens is the second: `<|im_end|>` is in `a` and `b` alone, so `base`
/// has the mean of theirs; `<only-b>` is in `b` alone; padding is the mean of all.
#[test]
fn rows_may_lie_along_any_axis() {
    let case = case("tokenizer: {source: union, pad_to_multiple_of: 64}");
    let vocabulary = case.vocabulary().unwrap();
    let inputs = case.inputs(TENSORS[0]);
    let alignment = vocabulary.align(TENSORS[0], &inputs, None).unwrap();
    let id = |token: &str| vocabulary.tokens().iter().position(|known| known == token).unwrap();
    let Some(Row::Mean(rows)) = alignment.row(0, id("<|im_end|>")) else { panic!("no mean") };
    assert_eq!(rows.iter().map(|(input, _)| *input).collect::<Vec<_>>(), [1, 2]);
    // Element [o, row] of input k is 100 k + 1000 o + row.
    let tensors: Vec<Vec<f32>> = (inputs.iter().zip(0..))
        .map(|(input, k)| {
            let element = |o: usize, row: usize| (100 * k + 1000 * o + row) as f32;
            (0..2).flat_map(|o| (0..input.rows).map(move |row| element(o, row))).collect()
        })
        .collect();
    let tensors: Vec<&[f32]> = tensors.iter().map(Vec::as_slice).collect();
    let aligned = alignment.aligned(0, &tensors, TokenAxis { outer: 2, inner: 1 });
    assert_eq!((vocabulary.size(), aligned.len()), (64, 128));
    let (a, b) = (rows[0].1 as f32 + 100.0, rows[1].1 as f32 + 200.0);
    let only = case.models[2].1.shape(TENSORS[0]).unwrap().shape[0] as f32 - 1.0 + 200.0;
    for (o, block) in aligned.chunks(64).enumerate() {
        let shift = 1000.0 * o as f32;
        assert_eq!(block[id("<|im_end|>")], f32::midpoint(a, b) + shift);
        assert_eq!(block[id("<only-b>")], only + shift);
        let tokens = &block[..vocabulary.tokens().len()];
        let mean = tokens.iter().sum::<f32>() / tokens.len() as f32;
        assert!((block[63] - mean).abs() < 1e-3, "{} {mean}", block[63]);
    }
}
