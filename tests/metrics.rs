//! Metrics and filters against rouge_score, lm-eval, nltk and Python's `re` (tests/reference/rouge, tests/reference/text_metrics).

use merge_search::task::metric::{Filter, Metric, MetricError, MetricKind, Pattern, Pipeline};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ROUGE: &str = include_str!("reference/rouge/rouge.json");
const TEXT_METRICS: &str = include_str!("reference/text_metrics/text_metrics.json");
const OF_TEXT: [&str; 8] = [
    "exact_match",
    "quasi_exact_match",
    "f1",
    "last_number",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
];

fn metric(name: &str, options: Value) -> Result<Metric, MetricError> {
    Metric::parse(name, options.as_object().unwrap())
}

fn score(name: &str, options: &Value, case: &Value) -> f64 {
    let reference = case["reference"].as_str().unwrap().to_owned();
    let metric = metric(name, options.clone()).unwrap();
    metric.of_text(case["prediction"].as_str().unwrap(), &[reference]).unwrap()
}

fn section(name: &str) -> Vec<Value> {
    let mut sections: Map<String, Value> = serde_json::from_str(TEXT_METRICS).unwrap();
    let Some(Value::Array(cases)) = sections.remove(name) else { panic!("no section {name}") };
    assert!(cases.len() > 20);
    cases
}

/// Of each ROUGE, the largest difference from rouge_score's value.
fn largest_differences(pairs: &str) -> Vec<(&'static str, f64)> {
    let pairs: Vec<Value> = serde_json::from_str(pairs).unwrap();
    assert!(pairs.len() >= 50);
    let of = |name: &str| {
        let difference =
            |pair| (score(name, &json!({}), pair) - pair[name].as_f64().unwrap()).abs();
        pairs.iter().map(difference).fold(0.0, f64::max)
    };
    ["rouge1", "rouge2", "rougeL", "rougeLsum"].map(|name| (name, of(name))).to_vec()
}

#[test]
fn rouge_is_rouge_scores() {
    for (name, difference) in largest_differences(ROUGE) {
        assert!(difference <= 1e-9, "{name}: {difference:e}");
    }
}

/// `ROUGE_PAIRS=pairs.json cargo test rouge_of_any_pairs -- --ignored --nocapture`, with a file of rouge.py --pairs.
#[test]
#[ignore = "needs a file of rouge.py --pairs; cargo test --release rouge_of_any_pairs -- --ignored --nocapture"]
fn rouge_of_any_pairs() {
    let pairs = std::fs::read_to_string(std::env::var("ROUGE_PAIRS").unwrap()).unwrap();
    for (name, difference) in largest_differences(&pairs) {
        println!("{name}: largest difference {difference:e}");
        assert!(difference <= 1e-9);
    }
}

#[test]
fn exact_match_is_lm_evals() {
    for case in section("exact_match") {
        assert_eq!(score("exact_match", &case["options"], &case), case["score"], "{case}");
    }
}

#[test]
fn short_answers_are_helms() {
    for case in section("short_answers") {
        for name in ["quasi_exact_match", "f1"] {
            let (ours, theirs) = (score(name, &json!({}), &case), case[name].as_f64().unwrap());
            assert!((ours - theirs).abs() < 1e-12, "{name}: {ours}, {case}");
        }
    }
}

#[test]
fn filters_are_lm_evals() {
    for case in section("filters") {
        let entry = json!({ "name": "x", "filter": case["filter"] });
        let pipeline = Pipeline::parse(entry.as_object().unwrap()).unwrap();
        assert_eq!(pipeline.apply(case["text"].as_str().unwrap()), case["result"], "{case}");
    }
}

#[test]
fn patterns_remove_what_pythons_do() {
    for case in section("regex") {
        let options = json!({ "regexes_to_ignore": [case["pattern"]] });
        let pair = json!({ "prediction": case["text"], "reference": case["removed"] });
        let exact_match = metric("exact_match", options).unwrap_or_else(|error| {
            panic!("{case}: {error}: {:?}", std::error::Error::source(&error))
        });
        let Metric::ExactMatch(exact_match) = exact_match else { panic!("{case}") };
        let removed = exact_match.regexes_to_ignore[0].remove(pair["prediction"].as_str().unwrap());
        assert_eq!(removed.unwrap(), pair["reference"], "{case}");
    }
}

#[test]
fn patterns_find_what_pythons_do() {
    for case in section("regex") {
        for (index, groups) in case["findall"].as_array().unwrap().iter().enumerate() {
            let groups: Vec<&str> =
                groups.as_array().unwrap().iter().map(|g| g.as_str().unwrap()).collect();
            let first = if let [only] = groups[..] {
                Some(only)
            } else {
                groups.into_iter().find(|g| !g.is_empty())
            };
            let expected = first.map_or("none", |text| {
                text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
            });
            assert_eq!(select(&case, index as i64), expected, "match {index} of {case}");
        }
        let count = case["findall"].as_array().unwrap().len() as i64;
        assert_eq!(select(&case, count), "none", "{case}");
        assert_eq!(select(&case, -count - 1), "none", "{case}");
    }
}

fn select(case: &Value, group_select: i64) -> String {
    let filter = json!({
        "function": "regex", "regex_pattern": case["pattern"], "group_select": group_select, "fallback": "none"
    });
    Filter::parse(filter.as_object().unwrap()).unwrap().apply(case["text"].as_str().unwrap())
}

#[test]
fn patterns_that_python_refuses_are_refused() {
    for pattern in section("refused") {
        assert!(Pattern::compile(pattern.as_str().unwrap()).is_err(), "{pattern}");
    }
    for (pattern, message) in [
        (r"é\h", "bad escape \\h at character 2"),
        (r"[a\x4]", "bad escape \\x at character 3"),
        ("a[b", "unterminated character set at character 3"),
    ] {
        assert_eq!(Pattern::compile(pattern).unwrap_err().to_string(), message);
    }
}

/// Python would try all 2^40 ways to read the letters.
#[test]
fn a_runaway_search_gives_the_fallback() {
    let text = format!("{}!c", "a".repeat(40));
    let case = json!({ "pattern": "(?:a(?!x)|a(?!y))+c", "text": text });
    assert_eq!(select(&case, 0), "none");
    let options = json!({ "regexes_to_ignore": [case["pattern"], "!c"] });
    let ignoring = metric("exact_match", options).unwrap();
    assert_eq!(ignoring.of_text(&text, &["a".repeat(40)]), Some(1.0));
}

#[test]
fn the_best_reference_counts() {
    let f1 = metric("f1", json!({})).unwrap();
    let references = ["red".to_owned(), "red fox".to_owned(), "blue".to_owned()];
    assert_eq!(f1.of_text("red fox", &references), Some(1.0));
    assert_eq!(f1.of_text("red fox", &[]), None);
    assert_eq!(metric("acc", json!({})).unwrap().of_text("red", &references), None);
}

#[test]
fn names_are_read_back() {
    let kinds = [(6, MetricKind::Choice), (8, MetricKind::Text), (1, MetricKind::Reference)];
    let Err(MetricError::UnknownMetric { valid, .. }) = metric("accuracy", json!({})) else {
        panic!()
    };
    let read: Vec<Metric> =
        valid.split(", ").map(|name| metric(name, json!({})).unwrap()).collect();
    assert!(read.iter().map(Metric::as_str).eq(valid.split(", ")));
    let expected = kinds.iter().flat_map(|(count, kind)| std::iter::repeat_n(*kind, *count));
    assert!(read.iter().map(Metric::kind).eq(expected));
    for (alias, name) in
        [("pmi", "acc_mutual_info"), ("rouge_l", "rougeL"), ("perplexity", "token_likelihood")]
    {
        assert_eq!(metric(alias, json!({})).unwrap().as_str(), name);
    }
}

#[test]
fn what_lm_eval_says_of_a_metric_must_fit() {
    let usual = json!({ "aggregation": "mean", "higher_is_better": true });
    let perplexity = json!({ "aggregation": "perplexity", "higher_is_better": false });
    assert!(metric("acc", usual.clone()).is_ok() && metric("rouge_l", usual.clone()).is_ok());
    assert!(metric("perplexity", perplexity.clone()).is_ok());
    for (name, options, message) in [
        ("acc", perplexity, "metric `acc`: `higher_is_better` is false; expected true"),
        ("perplexity", usual, "metric `perplexity`: `higher_is_better` is true; expected false"),
        (
            "f1",
            json!({ "aggregation": "f1" }),
            "metric `f1`: `aggregation` is \"f1\"; expected mean or nanmean",
        ),
        (
            "f1",
            json!({ "average": "macro" }),
            "metric `f1` has no option `average`; expected aggregation, higher_is_better",
        ),
        (
            "exact_match",
            json!({ "ignore_case": 1 }),
            "metric `exact_match`: `ignore_case` is 1; expected true or false",
        ),
        (
            "exact_match",
            json!({ "regexes_to_ignore": "," }),
            "metric `exact_match`: `regexes_to_ignore` is \",\"; expected a list of regular expressions",
        ),
        (
            "exact_match",
            json!({ "regexes_to_ignore": ["(", ""] }),
            "metric `exact_match`: `regexes_to_ignore`: the pattern \"(\" cannot be compiled",
        ),
    ] {
        assert_eq!(metric(name, options).unwrap_err().to_string(), message);
    }
}

#[test]
fn filters_that_cannot_be_used_are_named() {
    for (filter, message) in [
        (json!({ "function": "strip" }), "unknown filter `strip`; expected one of regex, "),
        (
            json!({ "function": "multi_choice_regex" }),
            "filter `multi_choice_regex` cannot be used: it needs the choices of the document; expected one of regex, ",
        ),
        (
            json!({ "function": "take_first_k", "k": 8 }),
            "filter `take_first_k`: `k` is 8; expected 1, since",
        ),
        (
            json!({ "function": "regex", "ignore_case": true }),
            "filter `regex` has no option `ignore_case`; expected function, regex_pattern, group_select, fallback",
        ),
        (
            json!({ "function": "regex", "regex_pattern": "\\d\\h" }),
            "filter `regex`: `regex_pattern`: the pattern \"\\\\d\\\\h\" cannot be compiled",
        ),
        (
            json!({ "function": "map", "mapping_dict": { "A": 1 } }),
            "filter `map`: `default_value` is absent; expected a string or an integer",
        ),
        (json!({}), "a filter: `function` is absent; expected regex, "),
    ] {
        let error = Filter::parse(filter.as_object().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    for entry in [
        json!({}),
        json!({ "name": "x" }),
        json!({ "name": "x", "filter": ["regex"] }),
        json!({ "name": "x", "filter": [], "k": 1 }),
    ] {
        assert!(Pipeline::parse(entry.as_object().unwrap()).is_err());
    }
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[aA the.,0-9\n]{0,60}", "(\\PC{1,8}[ \n]?){0,8}"]
}

proptest! {
    #[test]
    fn scores_are_fractions(prediction in anything(), reference in anything()) {
        for name in OF_TEXT {
            let score = metric(name, json!({})).unwrap().of_text(&prediction, std::slice::from_ref(&reference));
            prop_assert!((0.0..=1.0).contains(&score.unwrap()), "{}: {:?}", name, score);
        }
    }

    #[test]
    fn a_text_is_its_own_answer(text in "[b-z]{1,5}([ \n][b-z]{1,5}){1,9} [0-9]{1,9}") {
        for name in OF_TEXT {
            let score = metric(name, json!({})).unwrap().of_text(&text, std::slice::from_ref(&text));
            prop_assert_eq!(score, Some(1.0), "{}", name);
        }
    }

    #[test]
    fn no_pattern_panics(pattern in "\\PC{0,12}|[-a\\[\\](){}^$|?*+.,:<=!P#&~\\\\bswdxuUAZ01]{0,12}", text in anything()) {
        if Pattern::compile(&pattern).is_ok() {
            select(&json!({ "pattern": pattern, "text": text }), -1);
        }
    }
}
