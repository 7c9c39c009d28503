//! The papers of a made-up run, whose numbers are chosen so that what they say can be worked out by hand.

use serde_json::json;

use super::*;
use crate::recipe::Recipe;
use crate::record::{Estimate, FrontRow};
use crate::submission::competition::{SubmissionManifest, SubmittedModel};
use crate::units::{Bytes, Seconds};

fn estimate(value: f64) -> Estimate {
    Estimate { value, low: value - 0.05, high: value + 0.05 }
}

fn manifest(tasks: usize) -> crate::record::RunManifest {
    let task = |index: usize| {
        json!({
            "name": format!("t{index}"), "metric": "acc", "others": [], "sha256": format!("d{index}"),
            "source": { "dataset": "owner/set", "commit": "c0ffee", "split": "train",
                        "license": "apache-2.0", "generated_by": null },
            "docs": { "search": 10, "selection": 20, "holdout": 30 },
        })
    };
    let weights = vec![1.0; tasks];
    let value = json!({
        "schema_version": 4, "written_by": "0.1.0", "created_at": "2026-01-02T03:04:05Z",
        "command_line": ["/opt/ms", "/home/me/space.toml", "--budget", "2h"], "seed": 7,
        "space": { "path": "/home/me/space.toml", "text": "", "sha256": "5face" }, "genes": [],
        "optimizer": { "kind": "cat-cma", "population": 24, "sigma": 0.3, "workers": 2,
                       "covariance": "full", "restarts": "none", "surrogate": true, "racing": null },
        "budget": { "seconds": 7200.0, "trials": null },
        "tasks": (0..tasks).map(task).collect::<Vec<_>>(),
        "objective": { "kind": "geometric_mean", "weights": weights, "zero_floor": 0.0,
                       "hidden": vec![false; tasks], "hidden_weight": 0.0, "rivals": { "scores": [] } },
        "objectives": ["accuracy"],
        "constraints": { "max_relative_time": null, "max_relative_memory": null },
        "tie_break": true, "checkpoints": [], "device": "cpu",
    });
    serde_json::from_value(value).unwrap()
}

fn model(name: &str, trial: u64, scores: [Option<f64>; 3], tasks: usize) -> ModelScores {
    let on = |(score, documents): (Option<f64>, u64)| {
        score.map(|score| SplitScores {
            objective: estimate(score),
            geometric_mean: estimate(score),
            tasks: (0..tasks).map(|task| estimate(score - 0.001 * task as f64)).collect(),
            documents: documents * tasks as u64,
        })
    };
    let [search, selection, holdout] = scores;
    let splits = [(search, 10), (selection, 20), (holdout, 30)].map(on);
    ModelScores { name: name.to_owned(), trial, is_exported: name == "this merge", splits }
}

fn run(tasks: usize) -> RunFacts {
    let scores = vec![
        model("base", 0, [Some(0.3), Some(0.3), Some(0.3)], tasks),
        model("maths", 1, [Some(0.5), Some(0.45), Some(0.4)], tasks),
        model("uniform", 2, [Some(0.4), Some(0.4), Some(0.35)], tasks),
        model("this merge", 9, [Some(0.8), Some(0.7), Some(0.65)], tasks),
    ];
    let paired = |baseline: &str, difference: f64, significant| PairedScore {
        baseline: baseline.to_owned(),
        difference: estimate(difference),
        adjusted_p_value: if significant { 0.003 } else { 0.25 },
        significant,
    };
    RunFacts {
        name: "r".to_owned(),
        manifest: manifest(tasks),
        space: "mine".to_owned(),
        experts: vec!["maths".to_owned()],
        methods: vec!["ties".to_owned()],
        genes: vec![GeneGroup {
            parameter: "weight".to_owned(),
            count: 6,
            values: "0 to 1.5".to_owned(),
        }],
        scores,
        comparisons: vec![paired("base", 0.35, true), paired("maths", 0.25, false)],
        choice: Some(ChoiceFacts {
            winner: 9,
            finalists: 10,
            dropped: 3,
            indistinguishable: Some(1),
            best_observed: Some((4, estimate(0.82))),
        }),
        front: Vec::new(),
        effort: Effort {
            candidates: 120,
            infeasible: 1,
            documents: 1200,
            elapsed: Seconds(5400.0),
            peak: Bytes(2_000_000_000),
        },
    }
}

fn facts(run: RunFacts) -> SubmissionFacts {
    let recipe = "merge_method: linear\nmodels:\n  - {model: owner/base@aaaa, parameters: {weight: 1}}\n  - {model: owner/maths@bbbb, parameters: {weight: 1}}\n";
    let model = |name: &str, commit: &str| SubmittedModel {
        name: name.to_owned(),
        repository: format!("owner/{name}"),
        revision: commit.to_owned(),
        adapter: None,
        adapter_revision: None,
        sha256: format!("{name}-digest"),
    };
    let adapter = SubmittedModel {
        adapter: Some("owner/lora".to_owned()),
        adapter_revision: Some("cccc".to_owned()),
        ..model("base", "aaaa")
    };
    SubmissionFacts {
        manifest: SubmissionManifest {
            format: 1,
            written_by: "0.1.0".to_owned(),
            class: "MyMerge".to_owned(),
            method: "my_merge".to_owned(),
            run: "r".to_owned(),
            run_sha256: "ab12".to_owned(),
            trial: 9,
            scorer: "acc".to_owned(),
            dtype: "float32".to_owned(),
            models: vec![
                model("base", "aaaa"),
                SubmittedModel { name: "maths".to_owned(), ..adapter },
            ],
            files: Default::default(),
        },
        recipe: Recipe::from_yaml(recipe).unwrap(),
        max_gen_len: 48,
        only_in_the_run: Vec::new(),
        options: vec!["--class-name".to_owned(), "MyMerge".to_owned()],
        licences: Licences {
            parents: vec![vec![Some(licence("llama3"))], vec![Some(licence("llama3")), None]],
            result: Some(HubLicence {
                id: "other".to_owned(),
                name: Some("llama3: mixed".to_owned()),
                link: Some("https://example.org/licence".to_owned()),
            }),
            because: "both apply".to_owned(),
            obligations: vec!["Say \"Built with Meta Llama 3\".".to_owned()],
        },
        run,
    }
}

fn licence(id: &str) -> HubLicence {
    HubLicence { id: id.to_owned(), name: None, link: None }
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no `{word}` in:\n{text}");
    }
}

#[test]
fn the_front_matter_is_what_the_hub_reads() {
    let card = competition_card(&facts(run(2)));
    let expected = "---\nlicense: other\nlicense_name: \"llama3: mixed\"\nlicense_link: \"https://example.org/licence\"\n\
                    library_name: transformers\ntags:\n- merge\n- mergekit\n- merge-search\n\
                    base_model:\n- owner/base # aaaa\n- owner/lora # cccc\nbase_model_relation: merge\n---\n\n# MyMerge:";
    assert!(card.starts_with(expected), "{card}");
}

#[test]
fn the_card_has_models_terms_scores_and_commands() {
    let card = competition_card(&facts(run(2)));
    assert_says(
        &card,
        &[
            "| **this merge** (trial 9) | 80.0 [75.0, 85.0] | 70.0 [65.0, 75.0] | 65.0 [60.0, 70.0] |",
            "| t1 (acc) | 29.9 | 39.9 | 34.9 | 64.9 [59.9, 69.9] |",
            "| this merge − base | +35.0 [+30.0, +40.0] | 0.0030 | better |",
            "| this merge − maths | +25.0 [+20.0, +30.0] | 0.2500 | could be chance |",
            "| maths | `owner/base@aaaa` with adapter `owner/lora@cccc` | llama3; adapter – | `base-digest` |",
            "under [llama3: mixed](https://example.org/licence) (both apply). Of maths not every licence is known",
            "- Say \"Built with Meta Llama 3\".",
            "| t0 | owner/set@c0ffee, split train | apache-2.0 | – | 10 + 20 + 30 | `d0` |",
            "merge-search space.toml --budget 2h ",
            "merge-search export r --trial 9 --format competition --class-name MyMerge -o submission\n",
            "`5face`",
            "python llm_merging/main.py -m my_merge --dataset_filepaths data/test.csv",
            "export HF_AUTH_TOKEN=\"${HF_AUTH_TOKEN:-}\"\n",
            "\nHF_AUTH_TOKEN=\"${HF_AUTH_TOKEN:-}\" PYTHONPATH=$PWD python",
            "\nmerge-search predict r --trial 9 --scorer acc --max-gen-toks 48 --data test.csv -o submission.csv\n",
        ],
    );
}

#[test]
fn only_holdout_is_claimed_and_the_optimism_is_said() {
    let text = choice::honesty(&run(2));
    let expected = "No document is in two splits: 20 for the search, 40 for choosing among the finalists, 60 for the claim. \
                    This merge is the run's winner: it was chosen on selection from 10 finalists and 3 baselines, of which 3 dropped out early. \
                    One other finalist cannot be told from it there. Its score on search minus that on holdout is +15.0 points. \
                    The best score seen on search, 82.0 (trial 4's), is what a search without selection would have claimed. \
                    What is claimed is the holdout score, 65.0 (95 % interval 60.0 to 70.0).\n";
    assert_eq!(text, expected);
}

#[test]
fn other_prompts_are_said_before_the_scores() {
    let plain = facts(run(2));
    let had = ["`prompts` for t0", "`until` for t1"].map(str::to_owned).to_vec();
    let facts = SubmissionFacts { only_in_the_run: had, ..plain.clone() };
    let word = "measured under other prompts";
    for (with, without) in
        [(competition_card(&facts), competition_card(&plain)), (report(&facts), report(&plain))]
    {
        assert!(!without.contains(word), "{without}");
        assert_says(&with, &["the run had `prompts` for t0; `until` for t1. The class may"]);
        assert!(with.find(word) < with.find("**this merge**"), "{with}");
    }
}

#[test]
fn of_a_trial_without_holdout_nothing_is_claimed() {
    let mut run = run(2);
    run.comparisons.clear();
    run.scores.pop();
    run.scores.push(model("winner", 9, [Some(0.8), Some(0.7), Some(0.65)], 2));
    run.scores.push(model("this merge", 5, [Some(0.75), None, None], 2));
    let facts = facts(run);
    for text in [competition_card(&facts), report(&facts)] {
        assert_says(
            &text,
            &[
                "The run's winner is trial 9; this merge was named by the user.",
                "This merge was not scored on holdout, so nothing is claimed of it.",
                "its winner, trial 9, with the baselines document by document, not this trial",
                "| **this merge** (trial 5) | 75.0 [70.0, 80.0] | – | – |",
            ],
        );
    }
}

#[test]
fn a_score_on_part_of_a_split_is_marked() {
    let mut run = run(2);
    for scores in run.scores.iter_mut().filter_map(|model| model.splits[0].as_mut()).take(1) {
        scores.documents = 5;
    }
    assert_says(
        &results::standings(&run),
        &["| base (trial 0) | 30.0 [25.0, 35.0]* | 30.0", "\\* on a part of the documents."],
    );
}

#[test]
fn another_objective_than_the_geometric_mean_is_shown_beside_it() {
    let mut run = run(1);
    assert!(!results::standings(&run).contains("plain geometric mean"));
    for scores in run.scores.iter_mut().flat_map(|model| model.splits.iter_mut().flatten()) {
        scores.objective = estimate(0.2);
    }
    let text = results::standings(&run);
    assert_says(&text, &["plain geometric mean", "20.0 [15.0, 25.0]", "| **this merge** | 80.0"]);
}

#[test]
fn the_report_says_what_simpler_ways_give() {
    let text = report(&facts(run(2)));
    assert_says(
        &text,
        &[
            "TODO: team name",
            "merges a base model and 1 expert (maths) by ties. A candidate is 6 genes",
            "| weight | 6 | 0 to 1.5 |",
            "- The best single model on selection (`maths`): 40.0 [35.0, 45.0] on holdout; this merge scores +25.0 points against that.",
            "- Their average with equal weights: 35.0 [30.0, 40.0] on holdout; this merge scores +30.0 points against that.",
            "The front of accuracy against time is one model",
            "Budget: 2.0 h. 120 candidates (1 infeasible) and 1200 documents scored on them, in 1.5 h with 2 workers",
        ],
    );
}

/// Four pages hold about 2,000 words.
#[test]
fn the_report_of_a_large_run_fits_four_pages() {
    let mut run = run(57);
    run.experts = (0..8).map(|expert| format!("expert-{expert}")).collect();
    let names: Vec<String> = run.experts.clone();
    for (index, name) in names.iter().enumerate() {
        run.scores.insert(1, model(name, 20 + index as u64, [Some(0.5); 3], 57));
    }
    run.front = (0..30).map(member).collect();
    let text = report(&facts(run));
    assert_says(&text, &["the 12 lowest; README.md has the other 45", "(20 slower ones left out)"]);
    assert_says(
        &text,
        &["| t0, t1, t2 and 54 more | owner/set@c0ffee, split train | apache-2.0 | – | 3420 |"],
    );
    let words = text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
    assert!(words < 2000, "{words} words");
}

fn member(trial: u64) -> FrontRow {
    FrontRow {
        trial,
        name: None,
        member: true,
        objectives: [Some(estimate(0.5)); 3],
        relative_time: 1.0 + trial as f64,
        timing: None,
        cost: Default::default(),
        recipe: String::new(),
    }
}

#[test]
fn no_paper_has_a_folder_or_a_time_of_this_machine() {
    let facts = facts(run(2));
    for text in [competition_card(&facts), report(&facts)] {
        for word in ["/home", "/opt", "03:04", "2026-01"] {
            assert!(!text.contains(word), "{word} in:\n{text}");
        }
    }
}

#[test]
fn the_plain_card_names_folders_by_their_last_part() {
    let recipe = "merge_method: linear\nmodels:\n  - {model: /home/me/base, parameters: {weight: 1}}\n  - {model: owner/maths@bbbb, parameters: {weight: 1}}\n";
    let card = model_card(&Recipe::from_yaml(recipe).unwrap(), Some(&run(2)));
    assert!(!card.contains("/home"), "{card}");
    assert_says(
        &card,
        &["base_model:\n- base\n- owner/maths@bbbb\n", "model: base", "65.0 [60.0, 70.0]"],
    );
}
