//! Splits on which leaderboards score.

/// A benchmark and where it is on the hub, mirrors included.
struct Benchmark {
    name: &'static str,
    datasets: &'static [&'static str],
    splits: &'static [&'static str],
}

const fn benchmark(
    name: &'static str,
    datasets: &'static [&'static str],
    splits: &'static [&'static str],
) -> Benchmark {
    Benchmark { name, datasets, splits }
}

const TEST: &[&str] = &["test"];
/// Of datasets whose test split has no public answers, so that everybody scores on the validation split.
const BOTH: &[&str] = &["validation", "test"];
/// Of datasets that are a benchmark from end to end.
const ALL: &[&str] = &["train", "validation", "test"];

/// The name of the benchmark whose score this split of this hub dataset (`owner/name`, or a name without an owner) is.
///
/// Scores after a search on these documents say nothing about other models' scores on them. Known are the benchmarks of
/// lm-eval's, HELM's and the Open LLM Leaderboard's usual lists, not every test split there is. `split` may have `datasets`' slice
/// (`test[:100]`); capitals do not matter.
pub fn benchmark_test(dataset: &str, split: &str) -> Option<&'static str> {
    let split = split.split('[').next().unwrap_or(split);
    let found = BENCHMARKS.iter().find(|benchmark| {
        benchmark.datasets.iter().any(|known| known.eq_ignore_ascii_case(dataset))
            && benchmark.splits.iter().any(|known| known.eq_ignore_ascii_case(split))
    });
    found.map(|benchmark| benchmark.name)
}

#[rustfmt::skip]
const BENCHMARKS: &[Benchmark] = &[
    // Knowledge.
    benchmark("MMLU", &["cais/mmlu", "hendrycks_test", "cais/hendrycks_test", "lukaemon/mmlu", "hails/mmlu_no_train",
        "tasksource/mmlu", "openai/MMMLU", "edinburgh-dawg/mmlu-redux", "edinburgh-dawg/mmlu-redux-2.0", "CohereForAI/Global-MMLU",
        "CohereLabs/Global-MMLU"], TEST),
    benchmark("MMLU-Pro", &["TIGER-Lab/MMLU-Pro"], TEST),
    benchmark("ARC", &["allenai/ai2_arc", "ai2_arc"], TEST),
    benchmark("OpenBookQA", &["allenai/openbookqa", "openbookqa"], TEST),
    benchmark("SciQ", &["allenai/sciq", "sciq"], TEST),
    benchmark("TruthfulQA", &["truthfulqa/truthful_qa", "truthful_qa", "EleutherAI/truthful_qa_mc", "EleutherAI/truthful_qa_binary",
        "domenicrosati/TruthfulQA"], ALL),
    benchmark("TriviaQA", &["mandarjoshi/trivia_qa", "trivia_qa"], BOTH),
    benchmark("Natural Questions", &["google-research-datasets/nq_open", "nq_open", "google-research-datasets/natural_questions",
        "natural_questions"], BOTH),
    benchmark("GPQA", &["Idavidrein/gpqa"], ALL),
    benchmark("MedQA", &["GBaker/MedQA-USMLE-4-options-hf", "GBaker/MedQA-USMLE-4-options", "bigbio/med_qa"], TEST),
    benchmark("MedMCQA", &["openlifescienceai/medmcqa", "medmcqa"], BOTH),
    benchmark("AGIEval", &["hails/agieval-aqua-rat", "hails/agieval-lsat-ar", "hails/agieval-lsat-lr", "hails/agieval-lsat-rc",
        "hails/agieval-logiqa-en", "hails/agieval-math", "hails/agieval-sat-en", "hails/agieval-sat-math"], TEST),
    // Common sense.
    benchmark("HellaSwag", &["Rowan/hellaswag", "hellaswag"], BOTH),
    benchmark("SWAG", &["allenai/swag", "swag"], BOTH),
    benchmark("WinoGrande", &["allenai/winogrande", "winogrande"], BOTH),
    benchmark("PIQA", &["ybisk/piqa", "piqa", "baber/piqa"], BOTH),
    benchmark("Social IQa", &["allenai/social_i_qa", "social_i_qa", "lighteval/siqa"], BOTH),
    benchmark("CommonsenseQA", &["tau/commonsense_qa", "commonsense_qa"], BOTH),
    benchmark("CosmosQA", &["allenai/cosmos_qa", "cosmos_qa"], TEST),
    benchmark("BoolQ", &["google/boolq", "boolq"], BOTH),
    benchmark("SuperGLUE", &["aps/super_glue", "super_glue"], BOTH),
    benchmark("GLUE", &["nyu-mll/glue", "glue"], &["validation", "validation_matched", "validation_mismatched", "test", "test_matched",
        "test_mismatched"]),
    benchmark("ANLI", &["facebook/anli", "anli"], &["test_r1", "test_r2", "test_r3"]),
    benchmark("MC-TACO", &["CogComp/mc_taco", "mc_taco"], BOTH),
    // Reasoning and mathematics.
    benchmark("GSM8K", &["openai/gsm8k", "gsm8k"], TEST),
    benchmark("MGSM", &["juletxara/mgsm"], TEST),
    benchmark("MATH", &["EleutherAI/hendrycks_math", "hendrycks/competition_math", "lighteval/MATH", "lighteval/MATH-Hard",
        "HuggingFaceH4/MATH-500"], TEST),
    benchmark("MathQA", &["regisss/math_qa", "allenai/math_qa", "math_qa"], TEST),
    benchmark("ASDiv", &["EleutherAI/asdiv"], ALL),
    benchmark("BIG-bench Hard", &["lukaemon/bbh", "SaylorTwift/bbh", "maveriq/bigbenchhard", "Joschka/big_bench_hard"], ALL),
    benchmark("BIG-bench", &["tasksource/bigbench", "google/bigbench", "bigbench", "hails/bigbench"],
        &["default", "validation", "test"]),
    benchmark("LogiQA", &["EleutherAI/logiqa", "lucasmccabe/logiqa", "logiqa", "baber/logiqa2", "datatune/LogiQA2.0"], TEST),
    benchmark("MuTual", &["EleutherAI/mutual"], BOTH),
    benchmark("MuSR", &["TAUR-Lab/MuSR"],
        &["murder_mysteries", "object_placements", "team_allocation", "train", "validation", "test"]),
    // Reading and summaries.
    benchmark("RACE", &["EleutherAI/race", "ehovy/race", "race"], TEST),
    benchmark("DROP", &["EleutherAI/drop", "ucinlp/drop", "drop"], BOTH),
    benchmark("SQuAD", &["rajpurkar/squad", "squad", "rajpurkar/squad_v2", "squad_v2"], BOTH),
    benchmark("CoQA", &["EleutherAI/coqa", "stanfordnlp/coqa", "coqa"], BOTH),
    benchmark("QuAC", &["allenai/quac", "quac"], BOTH),
    benchmark("NarrativeQA", &["deepmind/narrativeqa", "narrativeqa"], TEST),
    benchmark("XSum", &["EdinburghNLP/xsum", "xsum"], TEST),
    benchmark("CNN/DailyMail", &["abisee/cnn_dailymail", "cnn_dailymail", "ccdv/cnn_dailymail"], TEST),
    benchmark("SAMSum", &["Samsung/samsum", "samsum", "knkarthick/samsum"], TEST),
    benchmark("IMDB", &["stanfordnlp/imdb", "imdb"], TEST),
    benchmark("LAMBADA", &["EleutherAI/lambada_openai", "cimec/lambada", "lambada"], TEST),
    benchmark("WikiText", &["EleutherAI/wikitext_document_level", "Salesforce/wikitext", "wikitext"], TEST),
    // Code.
    benchmark("HumanEval", &["openai/openai_humaneval", "openai_humaneval", "evalplus/humanevalplus"], ALL),
    benchmark("MBPP", &["google-research-datasets/mbpp", "mbpp", "evalplus/mbppplus"], TEST),
    // Instructions, bias and safety.
    benchmark("IFEval", &["google/IFEval", "wis-k/instruction-following-eval", "BSC-LT/IFEval_es", "projecte-aina/IFEval_ca"], ALL),
    benchmark("AlpacaEval", &["tatsu-lab/alpaca_eval"], &["eval"]),
    benchmark("MT-Bench", &["HuggingFaceH4/mt_bench_prompts"], ALL),
    benchmark("BBQ", &["heegyu/bbq", "Elfsight/BBQ", "oskarvanderwal/bbq", "lighteval/bbq_helm", "walledai/BBQ"], &[
        "train", "validation", "test", "age", "disability_status", "gender_identity", "nationality", "physical_appearance",
        "race_ethnicity", "race_x_gender", "race_x_ses", "religion", "ses", "sexual_orientation"]),
    benchmark("CrowS-Pairs", &["jannalu/crows_pairs_multilingual", "nyu-mll/crows_pairs", "crows_pairs"], ALL),
    benchmark("ToxiGen", &["skg/toxigen-data", "toxigen/toxigen-data"], TEST),
    benchmark("RealToxicityPrompts", &["allenai/real-toxicity-prompts"], ALL),
];

#[cfg(test)]
mod tests {
    use super::{BENCHMARKS, benchmark_test};

    /// What lm-eval 0.4.13 scores on (`scored_splits.py`).
    const SCORED: &str = include_str!("../../../../tests/reference/splits/scored_splits.tsv");

    #[test]
    fn knows_what_lm_eval_scores_on() {
        let rows: Vec<(&str, &str)> = SCORED.lines().filter_map(|l| l.split_once('\t')).collect();
        assert!(rows.len() > 40);
        for (dataset, split) in rows {
            assert!(benchmark_test(dataset, split).is_some(), "{dataset} {split}");
        }
    }

    #[test]
    fn training_splits_are_free() {
        for dataset in ["cais/mmlu", "openai/gsm8k", "Rowan/hellaswag", "allenai/cosmos_qa", "xsum"]
        {
            assert_eq!(benchmark_test(dataset, "train"), None, "{dataset}");
        }
        assert_eq!(benchmark_test("allenai/cosmos_qa", "validation"), None);
        assert_eq!(benchmark_test("somebody/mmlu", "test"), None);
    }

    #[test]
    fn slices_and_capitals_do_not_hide_a_test_split() {
        assert_eq!(benchmark_test("CAIS/MMLU", "test[:10%]"), Some("MMLU"));
        assert_eq!(benchmark_test("truthfulqa/truthful_qa", "validation"), Some("TruthfulQA"));
    }

    #[test]
    fn no_dataset_is_in_two_rows() {
        let mut all: Vec<&str> = BENCHMARKS.iter().flat_map(|b| b.datasets).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
