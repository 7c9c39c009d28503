//! The class as text: the recipe, the code that merges, and of the parts in `python/` those that this recipe needs.

mod imports;

use serde_json::{Value, json};

use super::depths::{deepest_first, depths};
use super::{
    ChoiceScorer, ClassParts, ClassRouter, CompetitionError, NewerTransformers, Published,
    literal_text, merge_literal, newer_transformers,
};
use imports::import_lines;

/// Families whose first layers the class can run by themselves.
const LAYERED: [&str; 6] = ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"];
/// Of `python/merged_model.py`: lines that only a class with a router has.
const ROUTED: &str = "  # routed";
/// Of the same: the line that ends versions of transformers that are too old.
const NEWER: &str = "  # newer";
/// Of `python/variants.py`: lines that only a class has whose merges have unlike numbers of layers.
const UNLIKE: &str = "  # unlike";

const REQUIRE_VERSION: &str = "from transformers.utils.versions import require_version";

/// What kind of network the merge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Decoder,
    EncoderDecoder,
}

/// A part of the file and the imports that it needs.
type Part = (&'static str, &'static [&'static str]);

macro_rules! part {
    ($file:literal, $($import:literal),*) => {
        (include_str!(concat!("python/", $file, ".py")), &[$($import),*])
    };
}

const ROWS: Part = part!("rows", "import ast");
const READER: Part = part!(
    "reader",
    "import itertools",
    "import json",
    "from pathlib import Path",
    "from tokenizers import Tokenizer"
);
const CONFIG: Part = part!(
    "config",
    "import json",
    "from pathlib import Path",
    "from transformers import AutoConfig"
);
const MODEL: Part = part!("model",);
const KIT_DECODER: Part = part!("kit_decoder",);
const KIT_ENCODER_DECODER: Part = part!("kit_encoder_decoder",);
const JOINT_DECODER: Part = part!("joint_decoder",);
const JOINT_ENCODER_DECODER: Part = part!("joint_encoder_decoder",);
const DECODER: Part = part!("decoder", "import itertools", "import math");
const ENCODER_DECODER: Part = part!(
    "encoder_decoder",
    "import math",
    "from transformers.modeling_outputs import BaseModelOutput"
);
const MIXTURE: Part = part!("mixture", "from transformers.activations import ACT2FN");
const NGRAMS: Part = part!("gate_ngrams", "import re", "import numpy");
const SHAPE: Part = part!("gate_shape", "import numpy");
const HIDDEN: Part =
    part!("gate_hidden", "import functools", "import numpy", "from transformers import AutoModel");
const GATE: Part = part!("gate", "import numpy");
const VARIANTS: Part = part!("variants",);
const CLASS: Part = part!(
    "merged_model",
    "import math",
    "import torch",
    "from llm_merging.merging.Merges import Merges"
);

/// The whole Python file.
///
/// # Errors
/// See [`CompetitionError`]; [`CompetitionError::Unsupported`] for merges of mixtures, merges behind one router of which one is not
/// the beginning of the deepest, and a gate on hidden states of a family whose first layers do not run by themselves.
pub fn class_file(parts: &ClassParts) -> Result<String, CompetitionError> {
    let network = network(parts)?;
    let literal = merge_literal(parts)?;
    let order = deepest_first(&parts.merges);
    let depths = depths(parts, &order)?;
    let used = used_parts(parts, network)?;
    let mut recipe = literal.recipe;
    if let (Some(router), Some(entries)) = (&parts.router, recipe.as_object_mut()) {
        let ClassRouter { gate, routes, base } = router;
        let place = |merge: &usize| order.iter().position(|own| own == merge);
        let routes: Option<Vec<usize>> = routes.iter().map(place).collect();
        let routes = routes.ok_or_else(|| unsupported("a route to a merge that there is not"))?;
        entries
            .insert("router".to_owned(), json!({ "gate": gate, "routes": routes, "base": base }));
        entries.extend(depths.as_ref().map(|depths| ("layers".to_owned(), json!(depths))));
    }
    let own = used.iter().flat_map(|(_, imports)| imports.iter().map(|line| (*line).to_owned()));
    let imports = own.chain(literal.imports).chain([auto_import(network)]);
    let newer = needed_transformers(parts);
    let require = newer.as_ref().map(|_| REQUIRE_VERSION.to_owned());
    let head = [
        docstring(parts),
        import_lines(imports.chain(require).collect()),
        format!("RECIPE = json.loads(r\"\"\"\n{}\n\"\"\")", literal_text(&recipe)),
    ];
    let code = used.iter().map(|(text, _)| (*text).to_owned());
    let sections: Vec<String> = std::iter::once(literal.code).chain(code).collect();
    let body: Vec<&str> = sections.iter().map(|section| section.trim()).collect();
    let body = filled(&body.join("\n\n\n"), parts, network, depths.is_some(), newer.as_ref());
    let text = format!("{}\n\n\n{body}", head.join("\n\n"));
    match names_twice(&text, &parts.class) {
        true => Err(CompetitionError::ClassName { name: parts.class.clone() }),
        false => Ok(text),
    }
}

/// What the class needs of transformers, where the kit's version will not do: of the merged network, and of the one that a gate
/// reads prompts with.
pub fn needed_transformers(parts: &ClassParts) -> Option<NewerTransformers> {
    let plan = parts.merges.first()?;
    let of_gate = parts.router.as_ref().filter(|router| reads_states(router));
    let of_gate = of_gate.and_then(|router| plan.models().get(router.base));
    let configs = of_gate.map(|(_, model)| model.config()).into_iter();
    let all = configs.chain([plan.reference().config()]).filter_map(newer_transformers);
    all.max_by_key(|newer| newer.version)
}

fn reads_states(router: &ClassRouter) -> bool {
    router.gate.get("features").is_some_and(|features| features.get("hidden").is_some())
}

/// Whether a name of the file's, imported or defined, is the class's too.
fn names_twice(text: &str, class: &str) -> bool {
    // Neither what is indented, nor the docstring, nor RECIPE's lines.
    let top =
        text.lines().filter(|line| !line.starts_with([' ', '"', '-', '#', '{', '}', '[', ']']));
    let named = |line: &str| {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.any(|word| word == class)
    };
    top.filter(|line| named(line)).count() > 1
}

fn auto_class(network: Network) -> &'static str {
    match network {
        Network::Decoder => "AutoModelForCausalLM",
        Network::EncoderDecoder => "AutoModelForSeq2SeqLM",
    }
}

fn auto_import(network: Network) -> String {
    format!("from transformers import {}", auto_class(network))
}

fn unsupported(what: impl Into<String>) -> CompetitionError {
    CompetitionError::Unsupported { what: what.into() }
}

fn network(parts: &ClassParts) -> Result<Network, CompetitionError> {
    let plan = parts.merges.first().ok_or_else(|| unsupported("a submission without merge"))?;
    let config = plan.reference().config();
    let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    if family.ends_with("mixtral") {
        return Err(unsupported("merges of models that are mixtures already"));
    }
    match config.get("is_encoder_decoder").and_then(Value::as_bool) {
        Some(true) => Ok(Network::EncoderDecoder),
        _ if ["t5", "mt5", "bart"].contains(&family) => Ok(Network::EncoderDecoder),
        _ => Ok(Network::Decoder),
    }
}

/// In the order of the file.
fn used_parts(parts: &ClassParts, network: Network) -> Result<Vec<Part>, CompetitionError> {
    let is_kit = matches!(parts.scorer, ChoiceScorer::Kit | ChoiceScorer::KitFixed);
    let (pair, run) = match (network, is_kit) {
        (Network::Decoder, true) => (KIT_DECODER, DECODER),
        (Network::Decoder, false) => (JOINT_DECODER, DECODER),
        (Network::EncoderDecoder, true) => (KIT_ENCODER_DECODER, ENCODER_DECODER),
        (Network::EncoderDecoder, false) => (JOINT_ENCODER_DECODER, ENCODER_DECODER),
    };
    let mut used = vec![ROWS, READER, CONFIG, MODEL];
    if is_mixture(parts) {
        used.push(MIXTURE);
    }
    used.extend([pair, run]);
    if let Some(router) = &parts.router {
        used.extend([features(parts, router)?, GATE, VARIANTS]);
    }
    used.push(CLASS);
    Ok(used)
}

fn is_mixture(parts: &ClassParts) -> bool {
    parts.merges.iter().any(|plan| plan.settings().contains_key("num_local_experts"))
}

/// What the gate sees of a prompt.
fn features(parts: &ClassParts, router: &ClassRouter) -> Result<Part, CompetitionError> {
    let features = router.gate.get("features").unwrap_or(&Value::Null);
    let has = |kind: &str| features.get(kind).is_some();
    let family = parts.merges.first().map(|plan| plan.architecture().family()).unwrap_or_default();
    match features {
        Value::String(kind) if kind == "shape" => Ok(SHAPE),
        _ if has("ngrams") => Ok(NGRAMS),
        _ if has("hidden") && LAYERED.contains(&family) => Ok(HIDDEN),
        _ if has("hidden") => {
            Err(unsupported(format!("gates on hidden states of the family {family}")))
        }
        other => Err(unsupported(format!("gates on {other}"))),
    }
}

/// The text with this class's names and numbers.
fn filled(
    text: &str,
    parts: &ClassParts,
    network: Network,
    is_unlike: bool,
    newer: Option<&NewerTransformers>,
) -> String {
    let skipped = match (parts.scorer, network) {
        (ChoiceScorer::Kit, Network::Decoder) => "1",
        _ => "0",
    };
    let (said, scores) = scoring(parts.scorer, network);
    let architecture = match network {
        Network::Decoder => "decoder",
        Network::EncoderDecoder => "encoder_decoder",
    };
    let places = [
        (" + SKIPPED", if skipped == "0" { "" } else { " + 1" }),
        ("\"\"\"SCORER\"\"\"", &format!("\"\"\"{said}\"\"\"")),
        ("return SCORES", &format!("return {scores}")),
        ("NEEDED_VERSION", &newer.map(|newer| newer.version()).unwrap_or_default()),
        ("NEEDED_FOR", newer.map_or("", |newer| &newer.what)),
        ("ARCHITECTURE", architecture),
        ("AUTO_CLASS", auto_class(network)),
        ("MAX_SEQ_LEN", &parts.max_seq_len.to_string()),
        ("MAX_GEN_LEN", &parts.max_gen_len.to_string()),
        ("class MergedModel(", &format!("class {}(", parts.class)),
    ];
    let marked = [(ROUTED, parts.router.is_some()), (UNLIKE, is_unlike), (NEWER, newer.is_some())];
    let text =
        marked.iter().fold(text.to_owned(), |text, (mark, keep)| with_marked(&text, mark, *keep));
    places.iter().fold(text, |text, (place, with)| text.replace(place, with))
}

/// The text with or without the lines that end in a mark, which goes.
fn with_marked(text: &str, mark: &str, keep: bool) -> String {
    let lines = text.lines().filter(|line| keep || !line.ends_with(mark));
    let lines: Vec<&str> = lines.map(|line| line.strip_suffix(mark).unwrap_or(line)).collect();
    lines.join("\n") + "\n"
}

/// What `scores` says of itself, and what it gives.
fn scoring(scorer: ChoiceScorer, network: Network) -> (&'static str, &'static str) {
    match (scorer, network) {
        (ChoiceScorer::Kit, Network::Decoder) => {
            ("As the starter kit scores: of every choice all tokens but the first.", "nats")
        }
        (ChoiceScorer::Kit | ChoiceScorer::KitFixed, _) => {
            ("As the starter kit scores, every token of every choice.", "nats")
        }
        (ChoiceScorer::Acc, _) => {
            ("As lm-eval's acc does: log p of all of a choice's tokens.", "nats")
        }
        (ChoiceScorer::AccNorm, _) => (
            "As lm-eval's acc_norm does: log p of a choice's tokens by its length in characters.",
            "[own / max(len(choice), 1) for own, choice in zip(nats, choices)]",
        ),
    }
}

fn docstring(parts: &ClassParts) -> String {
    let several = match &parts.router {
        Some(_) => "Which of them reads a prompt, `merge_for` says.",
        None => "Tensor by tensor, so that no two models are in memory at a time.",
    };
    let merges = match parts.merges.len() {
        1 => "One merge".to_owned(),
        count => format!("{count} merges"),
    };
    let models: Vec<String> = parts.models.iter().map(model_line).collect();
    format!(
        "\"\"\"{merges} found by merge-search; `-m {}` on the starter kit's command line.\n\nOf these models, as RECIPE says. \
         {several}\n\n{}\n\"\"\"",
        parts.method,
        models.join("\n")
    )
}

fn model_line(model: &Published) -> String {
    let adapter = match &model.adapter {
        Some((repository, revision)) => format!("\n    with the adapter {repository}@{revision}"),
        None => String::new(),
    };
    format!("- {}@{}{adapter}", model.repository, model.revision)
}

#[cfg(test)]
mod tests {
    use super::names_twice;

    #[test]
    fn a_name_is_taken_by_imports_and_definitions_and_not_by_what_is_said_of_models() {
        let file = "\"\"\"Merges MyMerge.\n\n- tiny/MyMerge@1\n\"\"\"\nfrom pathlib import Path\n\n\
                    RECIPE = r\"\"\"\n{\"repository\": \"tiny/MyMerge\"}\n\"\"\"\n\n# MyMerge\nclass MyMerge(Merges):\n    x = MyMerge\n";
        assert!(!names_twice(file, "MyMerge"));
        assert!(names_twice(&file.replace("class MyMerge", "class Path"), "Path"));
        assert!(names_twice(&format!("{file}def MyMerge():\n    pass\n"), "MyMerge"));
    }
}
