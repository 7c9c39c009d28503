//! `metric_list`, `filter_list` and `generation_kwargs`: how answers are made and scored.

use serde_json::{Map, Value};

use super::error::DefinitionError;
use super::table::Table;
use super::{DefinitionNote, Generation, OutputType};
use crate::task::metric::{Metric, MetricKind, Pipeline};

/// lm-eval's default length of generated text, in tokens.
const MAX_GEN_TOKS: usize = 256;

/// lm-eval's measures that say the same as the likelihood per token, in other units.
const PERPLEXITIES: &[&str] =
    &["perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"];

const TOKEN_LIKELIHOOD: &str = "token_likelihood";
const EXPECTED: &str = "a metric's name";

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
        let name = entry.required("metric", EXPECTED)?;
        if !metrics.contains(&metric) {
            metrics.push(metric);
        } else if !PERPLEXITIES.contains(&name.as_str()) {
            return Err(entry.wrong("metric", "each metric once"));
        }
    }
    Ok(metrics)
}

/// A key of the task file and the metric's entry under it.
type Asked = (String, Map<String, Value>);

/// The entries of `metric_list`, or the one that `metric` or the output type stands for, each with its key.
fn asked(table: &Table) -> Result<Vec<Asked>, DefinitionError> {
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

fn listed(table: &Table, (index, entry): (usize, &Value)) -> Result<Asked, DefinitionError> {
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

/// What a task's metric may look at.
fn fits(output_type: OutputType, metric: &Metric) -> bool {
    match output_type {
        OutputType::MultipleChoice => metric.kind() == MetricKind::Choice,
        OutputType::GenerateUntil => metric.kind() != MetricKind::Choice,
        OutputType::Loglikelihood | OutputType::LoglikelihoodRolling => {
            metric.kind() == MetricKind::Reference
        }
    }
}

fn fitting(output_type: OutputType) -> &'static str {
    match output_type {
        OutputType::MultipleChoice => {
            "`acc`, `acc_norm`, `acc_bytes`, `acc_mutual_info`, `kit` or `kit_fixed`"
        }
        OutputType::GenerateUntil => {
            "`exact_match`, `quasi_exact_match`, `f1`, `last_number`, `rouge1`, `rouge2`, `rougeL`, `rougeLsum` or \
             `token_likelihood`"
        }
        OutputType::Loglikelihood | OutputType::LoglikelihoodRolling => {
            "`token_likelihood`, or lm-eval's `perplexity`"
        }
    }
}

/// `None`: left out, with a note.
fn metric(
    entry: &Table,
    output_type: OutputType,
    is_first: bool,
    notes: &mut Vec<DefinitionNote>,
) -> Result<Option<Metric>, DefinitionError> {
    let name = entry.required("metric", EXPECTED)?;
    if PERPLEXITIES.contains(&name.as_str()) && fits(output_type, &Metric::TokenLikelihood) {
        notes.push(DefinitionNote::TokenLikelihood { metric: name });
        return Ok(Some(Metric::TokenLikelihood));
    }
    if !is_first && is_left_out(entry, output_type, &name) {
        notes.push(DefinitionNote::MetricLeftOut { metric: name });
        return Ok(None);
    }
    let options = entry.entries().iter().filter(|(key, _)| *key != "metric");
    let options = options.map(|(key, value)| (key.clone(), value.clone())).collect();
    let metric = Metric::parse(&name, &options).map_err(|source| DefinitionError::Metric {
        place: entry.file.place("metric_list"),
        key: entry.full("metric"),
        source: Box::new(source),
    })?;
    if fits(output_type, &metric) {
        return Ok(Some(metric));
    }
    let output_type_name = output_type.as_str();
    let expected = format!("{} for `output_type = \"{output_type_name}\"`", fitting(output_type));
    Err(entry.wrong("metric", expected))
}

/// Known to lm-eval for such a task, and not here. lm-eval's `f1` with the aggregation of the same name is
/// scikit-learn's over labels, another measure than ours.
fn is_left_out(entry: &Table, output_type: OutputType, name: &str) -> bool {
    let is_ours = Metric::parse(name, &Map::new()).is_ok_and(|metric| fits(output_type, &metric));
    let is_over_labels = name == "f1" && entry.get("aggregation").is_some_and(|how| how != "mean");
    LEFT_OUT.contains(&name) && (!is_ours || is_over_labels)
}

/// The first pipeline of `filter_list`.
pub fn filters(
    table: &Table,
    output_type: OutputType,
    notes: &mut Vec<DefinitionNote>,
) -> Result<Option<Pipeline>, DefinitionError> {
    let Some(entries) = table.list("filter_list")? else { return Ok(None) };
    only_generated(table, "filter_list", output_type)?;
    let entries: Option<Vec<_>> = entries.iter().map(Value::as_object).collect();
    let entries = entries.filter(|entries| !entries.is_empty()).ok_or_else(|| {
        table.wrong(
            "filter_list",
            "a list of tables { name = \"...\", filter = [{ function = \"...\" }] }",
        )
    })?;
    let name = |entry: &&Map<String, Value>| Some(entry.get("name")?.as_str()?.to_owned());
    let names: Vec<String> = entries.iter().skip(1).filter_map(name).collect();
    if !names.is_empty() {
        notes.push(DefinitionNote::FiltersLeftOut { names });
    }
    let first = entries.into_iter().next().map(Pipeline::parse).transpose();
    first.map_err(|source| DefinitionError::Metric {
        place: table.file.place("filter_list"),
        key: "filter_list".into(),
        source: Box::new(source),
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
