//! A recipe as YAML that both this crate and PyYAML (YAML 1.1, as mergekit uses it) read as the same values.

use std::fmt::Write;

use super::{
    ChatTemplate, Condition, Layout, ModelEntry, ModuleBody, OutputModule, OutputSlice, Parameters,
    Profile, Recipe, RescaleRule, Setting, SliceSource, Value, router_write, tokenizer,
};

pub(super) fn to_yaml(recipe: &Recipe) -> String {
    recipe_lines(recipe).iter().fold(String::new(), |all, line| all + line + "\n")
}

pub(super) fn recipe_lines(recipe: &Recipe) -> Vec<String> {
    let mut lines = vec![format!("merge_method: {}", recipe.merge_method)];
    if let Some(base) = &recipe.base_model {
        lines.push(format!("base_model: {}", text(base.as_str())));
    }
    match &recipe.layout {
        Layout::Models(entries) => list("models", entries.iter().map(model_lines), &mut lines),
        Layout::Slices(slices) => list("slices", slices.iter().map(slice_lines), &mut lines),
        Layout::Modules(modules) => {
            lines.push("modules:".to_owned());
            lines.extend(modules.iter().flat_map(module_lines));
        }
    }
    top_parameters(recipe, &mut lines);
    let dtype = recipe.dtype.map(|dtype| dtype.as_str());
    let out_dtype = recipe.out_dtype.map(|dtype| dtype.as_str());
    let words = [
        ("dtype", dtype),
        ("out_dtype", out_dtype),
        ("chat_template", recipe.chat_template.as_ref().map(ChatTemplate::as_str)),
    ];
    lines.extend(recipe.tokenizer.iter().flat_map(tokenizer::lines));
    for (key, word) in words {
        lines.extend(word.map(|word| format!("{key}: {}", text(word))));
    }
    lines.extend(router_write::lines(recipe));
    lines
}

fn top_parameters(recipe: &Recipe, lines: &mut Vec<String>) {
    let mut own = Vec::new();
    if recipe.merge_method.is_random() || recipe.mask_seed != 0 {
        own.push(format!("mask_seed: {}", recipe.mask_seed));
    }
    if recipe.rescale_by != RescaleRule::default() {
        own.push(format!("rescale_by: {}", recipe.rescale_by.as_str()));
    }
    parameter_lines(&recipe.parameters, own, lines);
}

fn module_lines(module: &OutputModule) -> Vec<String> {
    let mut lines = Vec::new();
    match &module.body {
        ModuleBody::Models(entries) => list("models", entries.iter().map(model_lines), &mut lines),
        ModuleBody::Slices(slices) => list("slices", slices.iter().map(slice_lines), &mut lines),
    }
    parameter_lines(&module.parameters, Vec::new(), &mut lines);
    let indented = lines.into_iter().map(|line| format!("    {line}"));
    [format!("  {}:", text(&module.name))].into_iter().chain(indented).collect()
}

/// `key:` and its items, each indented behind a dash.
pub(super) fn list(key: &str, items: impl Iterator<Item = Vec<String>>, lines: &mut Vec<String>) {
    lines.push(format!("{key}:"));
    for item in items {
        let dashed = item.iter().enumerate();
        lines
            .extend(dashed.map(|(i, line)| format!("  {} {line}", if i == 0 { '-' } else { ' ' })));
    }
}

fn model_lines(entry: &ModelEntry) -> Vec<String> {
    let mut lines = vec![format!("model: {}", text(entry.model.as_str()))];
    parameter_lines(&entry.parameters, Vec::new(), &mut lines);
    lines
}

fn slice_lines(slice: &OutputSlice) -> Vec<String> {
    let mut lines = Vec::new();
    list("sources", slice.sources.iter().map(source_lines), &mut lines);
    if let Some(base) = &slice.base_model {
        lines.push(format!("base_model: {}", text(base.as_str())));
    }
    parameter_lines(&slice.parameters, Vec::new(), &mut lines);
    lines
}

fn source_lines(source: &SliceSource) -> Vec<String> {
    let range = source.layer_range;
    let mut lines = vec![
        format!("model: {}", text(source.model.as_str())),
        format!("layer_range: [{}, {}]", range.start(), range.end()),
    ];
    parameter_lines(&source.parameters, Vec::new(), &mut lines);
    lines
}

fn parameter_lines(parameters: &Parameters, more: Vec<String>, lines: &mut Vec<String>) {
    if parameters.is_empty() && more.is_empty() {
        return;
    }
    lines.push("parameters:".to_owned());
    let indented = |line: String| format!("  {line}");
    for (name, setting) in parameters.iter() {
        lines.extend(setting_lines(&text(name), setting).into_iter().map(indented));
    }
    lines.extend(more.into_iter().map(indented));
}

fn setting_lines(name: &str, setting: &Setting) -> Vec<String> {
    match setting {
        Setting::Everywhere(profile) => vec![format!("{name}: {}", flow(profile))],
        Setting::Conditional(conditions) => {
            let mut lines = vec![format!("{name}:")];
            lines.extend(conditions.iter().map(|condition| format!("  - {}", one(condition))));
            lines
        }
    }
}

fn one(condition: &Condition) -> String {
    let value = flow(&condition.value);
    match &condition.filter {
        Some(filter) => format!("{{filter: {}, value: {value}}}", text(filter)),
        None => format!("{{value: {value}}}"),
    }
}

fn flow(profile: &Profile) -> String {
    match profile {
        Profile::Constant(value) => scalar(*value),
        Profile::Gradient(points) => {
            let points: Vec<String> = points.iter().map(|point| scalar(*point)).collect();
            format!("[{}]", points.join(", "))
        }
    }
}

fn scalar(value: Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => float(number),
    }
}

/// Shortest decimal that reads back as the same number. YAML 1.1 takes an exponent only behind a point and with a sign.
pub(super) fn float(number: f64) -> String {
    let digits = format!("{number:?}");
    let Some((mantissa, exponent)) = digits.split_once('e') else {
        return digits;
    };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// Plain where no reader could take it for anything else, in double quotes otherwise.
pub(super) fn text(word: &str) -> String {
    const NOT_WORDS: [&str; 10] =
        ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan"];
    let letters = |c: char| c.is_ascii_alphanumeric() || "_./@+-".contains(c);
    let opening = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if opening && word.chars().all(letters) && !NOT_WORDS.contains(&word.to_lowercase().as_str()) {
        return word.to_owned();
    }
    quoted(word)
}

fn quoted(word: &str) -> String {
    let mut quoted = String::from('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            // Writing to a String cannot fail.
            c => drop(write!(quoted, "\\U{:08X}", u32::from(c))),
        }
    }
    quoted + "\""
}
