//! Routers and prompts as lines of YAML.

use super::write::{float, list, recipe_lines, text};
use super::{
    Classes, DocumentRouter, Features, Gate, PromptChange, Prompts, Recipe, TokenExpert,
    TokenRouter,
};

/// The keys that mergekit does not have, where the recipe has them.
pub(super) fn lines(recipe: &Recipe) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(router) = &recipe.token_router {
        nested("token_router", token_lines(router), &mut lines);
    }
    if let Some(router) = &recipe.document_router {
        nested("document_router", document_lines(router), &mut lines);
    }
    let mut of_tasks = Vec::new();
    for (task, change) in &recipe.prompts {
        nested(&text(task), prompt_lines(change), &mut of_tasks);
    }
    if !of_tasks.is_empty() {
        nested("prompts", of_tasks, &mut lines);
    }
    lines
}

/// `key:` and the lines below it, indented.
fn nested(key: &str, below: Vec<String>, lines: &mut Vec<String>) {
    if below.is_empty() {
        lines.push(format!("{key}: {{}}"));
        return;
    }
    lines.push(format!("{key}:"));
    lines.extend(below.into_iter().map(|line| format!("  {line}")));
}

fn token_lines(router: &TokenRouter) -> Vec<String> {
    let mut lines = vec![
        format!("layers: {:?}", router.layers),
        format!("gate_mode: {}", router.gate_mode.as_str()),
        format!("experts_per_token: {}", router.experts_per_token),
        format!("temperature: {}", float(router.temperature)),
    ];
    list("experts", router.experts.iter().map(expert_lines), &mut lines);
    lines
}

fn expert_lines(expert: &TokenExpert) -> Vec<String> {
    let mut lines = vec![format!("source_model: {}", text(expert.source_model.as_str()))];
    match &expert.positive_prompts {
        Prompts::Task(task) => lines.push(format!("positive_task: {}", text(task))),
        Prompts::Texts(texts) => {
            list("positive_prompts", texts.iter().map(|prompt| vec![text(prompt)]), &mut lines);
        }
    }
    lines
}

fn document_lines(router: &DocumentRouter) -> Vec<String> {
    let mut lines = Vec::new();
    nested("gate", gate_lines(&router.gate), &mut lines);
    lines.push(format!("routes: {:?}", router.routes));
    list("merges", router.merges.iter().map(recipe_lines), &mut lines);
    lines
}

fn gate_lines(gate: &Gate) -> Vec<String> {
    let features = match gate.features {
        Features::Ngrams { buckets } => format!("{{ngrams: {{buckets: {buckets}}}}}"),
        Features::Hidden { layer, pool } => {
            format!("{{hidden: {{layer: {layer}, pool: {}}}}}", pool.as_str())
        }
        Features::Shape => "shape".to_owned(),
    };
    let classes = match gate.classes {
        Classes::Tasks(count) => format!("{{tasks: {count}}}"),
        Classes::Clusters(count) => format!("{{clusters: {count}}}"),
    };
    vec![
        format!("features: {features}"),
        format!("kind: {}", gate.kind.as_str()),
        format!("classes: {classes}"),
    ]
}

fn prompt_lines(change: &PromptChange) -> Vec<String> {
    let entries = [
        ("num_fewshot", change.num_fewshot.map(|count| count.to_string())),
        ("system_instruction", change.system_instruction.as_deref().map(text)),
        ("doc_to_text", change.doc_to_text.as_deref().map(text)),
        ("answer_style", change.answer_style.map(|style| style.as_str().to_owned())),
        ("max_gen_toks", change.max_gen_toks.map(|count| count.to_string())),
        ("apply_chat_template", change.apply_chat_template.map(|truth| truth.to_string())),
    ];
    entries.into_iter().filter_map(|(key, value)| Some(format!("{key}: {}", value?))).collect()
}
