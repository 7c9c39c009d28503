//! Names and options of metrics in task files.

use serde_json::{Map, Value};

use super::Metric;
use super::error::MetricError;
use super::exact_match::ExactMatch;
use super::options::Options;

const NAMES: &[&str] = &[
    "acc",
    "acc_norm",
    "acc_bytes",
    "acc_mutual_info",
    "kit",
    "kit_fixed",
    "exact_match",
    "quasi_exact_match",
    "f1",
    "last_number",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "token_likelihood",
];

impl Metric {
    /// As in task files and results.
    pub fn as_str(&self) -> &'static str {
        match self {
            Metric::Acc => "acc",
            Metric::AccNorm => "acc_norm",
            Metric::AccBytes => "acc_bytes",
            Metric::AccMutualInfo => "acc_mutual_info",
            Metric::Kit => "kit",
            Metric::KitFixed => "kit_fixed",
            Metric::ExactMatch(_) => "exact_match",
            Metric::QuasiExactMatch => "quasi_exact_match",
            Metric::F1 => "f1",
            Metric::LastNumber => "last_number",
            Metric::Rouge1 => "rouge1",
            Metric::Rouge2 => "rouge2",
            Metric::RougeL => "rougeL",
            Metric::RougeLsum => "rougeLsum",
            Metric::TokenLikelihood => "token_likelihood",
        }
    }

    /// Reads an entry of `metric_list`: its `metric`, and all its other keys as `options`.
    ///
    /// Other names are taken too: `pmi` for `acc_mutual_info`, `rouge_1`, `rouge_2`, `rouge_l`, `rouge_lsum`, `rougel` and
    /// `rougelsum`, and lm-eval's `perplexity` for `token_likelihood`, of which it is the inverse; hence it alone has
    /// `higher_is_better = false` and `aggregation = "perplexity"`.
    ///
    /// # Errors
    /// An unknown name or option, a mistyped option, a `higher_is_better` or an `aggregation` that the metric does not have,
    /// a pattern that cannot be compiled.
    pub fn parse(name: &str, options: &Map<String, Value>) -> Result<Metric, MetricError> {
        let metric = named(name)?;
        let options = Options { owner: format!("metric `{name}`"), given: options };
        aggregation(name, &options)?;
        match metric {
            Metric::ExactMatch(_) => exact_match(&options).map(Metric::ExactMatch),
            metric => options.only(&["aggregation", "higher_is_better"]).map(|()| metric),
        }
    }
}

fn named(name: &str) -> Result<Metric, MetricError> {
    Ok(match name {
        "acc" => Metric::Acc,
        "acc_norm" => Metric::AccNorm,
        "acc_bytes" => Metric::AccBytes,
        "acc_mutual_info" | "pmi" => Metric::AccMutualInfo,
        "kit" => Metric::Kit,
        "kit_fixed" => Metric::KitFixed,
        "exact_match" => Metric::ExactMatch(ExactMatch::default()),
        "quasi_exact_match" => Metric::QuasiExactMatch,
        "f1" => Metric::F1,
        "last_number" => Metric::LastNumber,
        "rouge1" | "rouge_1" => Metric::Rouge1,
        "rouge2" | "rouge_2" => Metric::Rouge2,
        "rougeL" | "rougel" | "rouge_l" => Metric::RougeL,
        "rougeLsum" | "rougelsum" | "rouge_lsum" => Metric::RougeLsum,
        "token_likelihood" | "perplexity" => Metric::TokenLikelihood,
        _ => {
            return Err(MetricError::UnknownMetric {
                name: name.to_owned(),
                valid: NAMES.join(", "),
            });
        }
    })
}

/// Checks what lm-eval says of every metric.
fn aggregation(name: &str, options: &Options<'_>) -> Result<(), MetricError> {
    let perplexity = name == "perplexity";
    if options.boolean("higher_is_better", !perplexity)? == perplexity {
        return Err(options.unusable("higher_is_better", if perplexity { "false" } else { "true" }));
    }
    // "nanmean" is the mean of what is a number, which every score here is
    let valid: &[&str] = if perplexity { &["perplexity"] } else { &["mean", "nanmean"] };
    match options.given.get("aggregation").map(Value::as_str) {
        Some(given) if !given.is_some_and(|given| valid.contains(&given)) => {
            Err(options.unusable("aggregation", &valid.join(" or ")))
        }
        _ => Ok(()),
    }
}

fn exact_match(options: &Options<'_>) -> Result<ExactMatch, MetricError> {
    options.only(&[
        "aggregation",
        "higher_is_better",
        "hf_evaluate",
        "regexes_to_ignore",
        "ignore_case",
        "ignore_punctuation",
        "ignore_numbers",
    ])?;
    // lm-eval takes its own function or that of the package `evaluate`, which are the same
    options.boolean("hf_evaluate", false)?;
    Ok(ExactMatch {
        regexes_to_ignore: options.patterns("regexes_to_ignore")?,
        ignore_case: options.boolean("ignore_case", false)?,
        ignore_punctuation: options.boolean("ignore_punctuation", false)?,
        ignore_numbers: options.boolean("ignore_numbers", false)?,
    })
}
