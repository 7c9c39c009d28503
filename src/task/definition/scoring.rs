//! `metric_list`, `filter_list` and `generation_kwargs`: how answers are made and scored.

use serde_json::{Map, Value};

use super::error::DefinitionError;
use super::table::Table;
use super::{DefinitionNote, Generation, OutputType};
use crate::task::metric::{Filter, Metric};

/// lm-eval's default length of generated text, in tokens.
const MAX_GEN_TOKS: usize = 256;

const OF_CHOICES: &[&str] =
    &["acc", "acc_norm", "acc_bytes", "acc_mutual_info", "kit", "kit_fixed"];
const OF_TEXT: &[&str] = &[
    "exact_match",
    "quasi_exact_match",
    "f1",
    "last_number",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    TOKEN_LIKELIHOOD,
];
const OF_REFERENCE: &[&str] = &[TOKEN_LIKELIHOOD];
const TOKEN_LIKELIHOOD: &str = "token_likelihood";

/// lm-eval's measures that say the same as the likelihood per token, in other units.
const PERPLEXITIES: &[&str] =
    &["perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"];

/// lm-eval's metrics that there are not here: known, so that they can be left out beside one that there is.
const LEFT_OUT: &[&str] = &[
    "acc",
    "acc_all",
    "bleu",
    "brier_score",
    "bypass",
    "chrf",
    "exact_match",
    "f1",
    "likelihood",
    "mcc",
    "ter",
];

/// Never empty; the first is judged.
pub fn metrics(
    table: &Table,
    output_type: OutputType,
    notes: &mut Vec<DefinitionNote>,
) -> Result<Vec<Metric>, DefinitionError> {
    let asked = asked(table)?;
    let mut metrics: Vec<Metric> = Vec::new();
    for (key, entry) in &asked {
        let entry = Table::open(table.file, key, entry);
        let Some(metric) = metric(&entry, output_type, metrics.is_empty(), notes)? else {
            continue;
        };
        if !metrics.contains(&metric) {
            metrics.push(metric);
        } else if !PERPLEXITIES.contains(&entry.required("metric", "a metric")?.as_str()) {
            return Err(entry.wrong("metric", "each metric once"));
        }
    }
    Ok(metrics)
}

/// The entries of `metric_list`, or the one that `metric` or the output type stands for, each with its key.
fn asked(table: &Table) -> Result<Vec<(String, Map<String, Value>)>, DefinitionError> {
    let one = |key: &str, name: String| {
        vec![(key.to_owned(), Map::from_iter([("metric".to_owned(), Value::from(name))]))]
    };
    let output_type = super::prompt::output_type(table)?;
    match (table.list("metric_list")?, table.name("metric")?) {
        (Some(_), Some(_)) => Err(table.both("metric", "metric_list")),
        (None, Some(name)) => Ok(one("", name)),
        (None, None) => Ok(one("", default(output_type).to_owned())),
        (Some(entries), None) if entries.is_empty() => {
            Err(table.wrong("metric_list", "one metric or more"))
        }
        (Some(entries), None) => {
            entries.iter().enumerate().map(|entry| listed(table, entry)).collect()
        }
    }
}

fn listed(
    table: &Table,
    (index, entry): (usize, &Value),
) -> Result<(String, Map<String, Value>), DefinitionError> {
    let expected = "a list of tables such as { metric = \"acc\" }";
    let entry = entry.as_object().ok_or_else(|| table.wrong("metric_list", expected))?;
    Ok((format!("metric_list[{index}]"), entry.clone()))
}

fn default(output_type: OutputType) -> &'static str {
    match output_type {
        OutputType::MultipleChoice => "acc",
        OutputType::GenerateUntil => "exact_match",
        OutputType::Loglikelihood | OutputType::LoglikelihoodRolling => TOKEN_LIKELIHOOD,
    }
}

fn fitting(output_type: OutputType) -> &'static [&'static str] {
    match output_type {
        OutputType::MultipleChoice => OF_CHOICES,
        OutputType::GenerateUntil => OF_TEXT,
        OutputType::Loglikelihood | OutputType::LoglikelihoodRolling => OF_REFERENCE,
    }
}

/// `None`: left out, with a note.
fn metric(
    entry: &Table,
    output_type: OutputType,
    is_first: bool,
    notes: &mut Vec<DefinitionNote>,
) -> Result<Option<Metric>, DefinitionError> {
    let fitting = fitting(output_type);
    let name = entry.required("metric", "a metric's name")?;
    let is_perplexity =
        PERPLEXITIES.contains(&name.as_str()) && fitting.contains(&TOKEN_LIKELIHOOD);
    if is_perplexity {
        notes.push(DefinitionNote::TokenLikelihood { metric: name });
        return parsed(entry, TOKEN_LIKELIHOOD).map(Some);
    }
    if !fitting.contains(&name.as_str()) || has_other_aggregation(entry, &name) {
        if is_first || !LEFT_OUT.contains(&name.as_str()) {
            return Err(unfit(entry, output_type, &name));
        }
        notes.push(DefinitionNote::MetricLeftOut { metric: name });
        return Ok(None);
    }
    aggregated(entry)?;
    parsed(entry, &name).map(Some)
}

/// lm-eval's `f1` with the aggregation of the same name is scikit-learn's over labels, another measure than ours.
fn has_other_aggregation(entry: &Table, name: &str) -> bool {
    name == "f1" && entry.get("aggregation").is_some_and(|aggregation| aggregation != "mean")
}

fn unfit(entry: &Table, output_type: OutputType, name: &str) -> DefinitionError {
    let fitting = fitting(output_type);
    let names = fitting.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let meant = super::table::closest(name, fitting)
        .map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"));
    let expected =
        format!("one of {names} for `output_type = \"{}\"`{meant}", output_type.as_str());
    entry.wrong("metric", expected)
}

/// Every metric is a mean over documents, and better the higher it is.
fn aggregated(entry: &Table) -> Result<(), DefinitionError> {
    match entry.name("aggregation")?.as_deref() {
        None | Some("mean" | "nanmean") => {}
        Some(_) => return Err(entry.wrong("aggregation", "`mean`")),
    }
    match entry.flag("higher_is_better")? {
        Some(false) => Err(entry.wrong("higher_is_better", "true")),
        _ => Ok(()),
    }
}

fn parsed(entry: &Table, name: &str) -> Result<Metric, DefinitionError> {
    let is_option = |key: &str| !matches!(key, "metric" | "aggregation" | "higher_is_better");
    let own = entry.entries().iter().filter(|(key, _)| is_option(key));
    let options = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    Metric::parse(name, &options).map_err(|source| DefinitionError::Metric {
        place: entry.file.place("metric"),
        key: entry.full("metric"),
        source,
    })
}

/// The first chain of `filter_list`, step by step.
pub fn filters(
    table: &Table,
    output_type: OutputType,
    notes: &mut Vec<DefinitionNote>,
) -> Result<Vec<Filter>, DefinitionError> {
    let Some(entries) = table.list("filter_list")? else { return Ok(Vec::new()) };
    only_generated(table, "filter_list", output_type)?;
    let mut first = Vec::new();
    let mut names = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let entry = chain(table, index, entry)?;
        match index {
            0 => first = steps(&entry)?,
            _ => names.push(entry.name("name")?.unwrap_or_else(|| format!("filter_list[{index}]"))),
        }
    }
    if !names.is_empty() {
        notes.push(DefinitionNote::FiltersLeftOut { names });
    }
    Ok(first)
}

fn chain<'a>(
    table: &Table<'a>,
    index: usize,
    entry: &'a Value,
) -> Result<Table<'a>, DefinitionError> {
    let expected = "a list of tables { name = \"...\", filter = [{ function = \"...\" }] }";
    let entry = entry.as_object().ok_or_else(|| table.wrong("filter_list", expected))?;
    Table::new(table.file, &format!("filter_list[{index}]"), entry, &["name", "filter"])
}

fn steps(chain: &Table) -> Result<Vec<Filter>, DefinitionError> {
    let steps = chain.list("filter")?.ok_or_else(|| chain.missing("filter", "a list of filters"))?;
    steps.iter().map(Filter::parse).collect::<Result<Vec<_>, _>>().map_err(|source| {
        DefinitionError::Metric {
            place: chain.file.place("filter_list"),
            key: chain.full("filter"),
            source,
        }
    })
}

fn only_generated(
    table: &Table,
    key: &str,
    output_type: OutputType,
) -> Result<(), DefinitionError> {
    match output_type {
        OutputType::GenerateUntil => Ok(()),
        _ => Err(DefinitionError::OutputType {
            place: table.file.place(key),
            key: key.into(),
            output_type: output_type.as_str(),
        }),
    }
}

/// `generation_kwargs`; greedy.
pub fn generation(
    table: &Table,
    output_type: OutputType,
    fewshot_delimiter: &str,
) -> Result<Generation, DefinitionError> {
    let keys = ["until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k", "num_beams"];
    let kwargs = table.table("generation_kwargs", &keys)?;
    let Some(kwargs) = kwargs else {
        return Ok(Generation {
            until: default_until(fewshot_delimiter),
            max_gen_toks: MAX_GEN_TOKS,
        });
    };
    only_generated(table, "generation_kwargs", output_type)?;
    greedy(&kwargs)?;
    let max_gen_toks = kwargs.count("max_gen_toks")?.unwrap_or(MAX_GEN_TOKS);
    if max_gen_toks == 0 {
        return Err(kwargs.wrong("max_gen_toks", "1 or more"));
    }
    let until = kwargs.texts("until")?.unwrap_or_else(|| default_until(fewshot_delimiter));
    Ok(Generation { until, max_gen_toks })
}

fn default_until(fewshot_delimiter: &str) -> Vec<String> {
    [fewshot_delimiter].into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// `temperature` and its like count only where tokens are drawn.
fn greedy(kwargs: &Table) -> Result<(), DefinitionError> {
    let reason = "generation is greedy";
    let draws = kwargs.flag("do_sample")?;
    if draws == Some(true) {
        return Err(kwargs.unsupported("do_sample", reason));
    }
    for key in ["temperature", "top_p", "top_k"] {
        let Some(value) = kwargs.get(key) else { continue };
        // Texts such as "0.0" are numbers to lm-eval.
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let number = number.ok_or_else(|| kwargs.wrong(key, "a number"))?;
        if key == "temperature" && number != 0.0 && draws.is_none() {
            return Err(kwargs.unsupported(key, reason));
        }
    }
    match kwargs.count("num_beams")? {
        None | Some(1) => Ok(()),
        Some(_) => Err(kwargs.unsupported("num_beams", reason)),
    }
}
