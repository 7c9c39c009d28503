use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const CHOICES: &str = r#"
task = "gases"
dataset_path = "someone/gases"
validation_split = "validation"
output_type = "multiple_choice"
doc_to_text = "{{question}}\nAnswer:"
doc_to_choice = "choices"
doc_to_target = "answer"
"#;

const TEXTS: &str = r#"
task = "sums"
dataset_path = "json"
dataset_kwargs = { data_files = { train = ["a.jsonl", "b.jsonl"], test = "c.jsonl" } }
training_split = "train"
test_split = "test"
output_type = "generate_until"
doc_to_text = "question"
doc_to_target = "{{answer.split('#### ')[-1]}}"
"#;

fn written(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn toml(text: &str) -> Result<Definition, DefinitionError> {
    let (_folder, path) = written("task.toml", text);
    read(&path).map(|(definition, _)| definition)
}

fn yaml(text: &str) -> Result<Definition, DefinitionError> {
    let (_folder, path) = written("task.yaml", text);
    read(&path).map(|(definition, _)| definition)
}

/// The message says each of the words.
fn refuses(result: Result<Definition, DefinitionError>, words: &[&str]) {
    let message = result.expect_err("should be refused").to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

fn metric_names(definition: &Definition) -> Vec<&'static str> {
    definition.metrics.iter().map(Metric::as_str).collect()
}

#[test]
fn defaults_are_lm_evals() {
    let definition = toml(CHOICES).unwrap();
    assert_eq!(definition.target_delimiter, " ");
    assert_eq!(definition.fewshot.delimiter, "\n\n");
    assert_eq!(definition.fewshot.count, 0);
    assert_eq!(metric_names(&definition), ["acc"]);
    assert_eq!(definition.add_bos_token, None);
    assert_eq!(definition.description.source(), "");
    assert!(!definition.apply_chat_template);
    let texts = toml(TEXTS).unwrap();
    assert_eq!(texts.generation, Generation { until: vec!["\n\n".into()], max_gen_toks: 256 });
    assert_eq!(metric_names(&texts), ["exact_match"]);
    let likelihood = TEXTS.replace("generate_until", "loglikelihood");
    assert_eq!(metric_names(&toml(&likelihood).unwrap()), ["token_likelihood"]);
}

#[test]
fn data_sets() {
    let hub = toml(CHOICES).unwrap().dataset.unwrap();
    assert_eq!(hub.path, DatasetPath::Hub { id: "someone/gases".into(), revision: None });
    let local = toml(TEXTS).unwrap().dataset.unwrap();
    assert_eq!(local.path, DatasetPath::Local(Format::Json));
    assert_eq!(local.files["train"], ["a.jsonl", "b.jsonl"]);
    assert_eq!(local.files["test"], ["c.jsonl"]);
    let pinned = format!(
        "{CHOICES}dataset_name = 'hard'\ndataset_kwargs = {{ revision = 'abc', data_files = 'x-*.parquet' }}"
    );
    let pinned = toml(&pinned).unwrap().dataset.unwrap();
    assert_eq!(
        pinned.path,
        DatasetPath::Hub { id: "someone/gases".into(), revision: Some("abc".into()) }
    );
    assert_eq!(pinned.name.as_deref(), Some("hard"));
    assert_eq!(pinned.files["train"], ["x-*.parquet"]);
}

#[test]
fn splits_are_dealt_from_validation_else_training() {
    let default =
        |from: &str| Splits::Dealt { from: from.into(), shares: [0.5, 0.2, 0.3], stratify: None };
    assert_eq!(toml(CHOICES).unwrap().splits, default("validation"));
    assert_eq!(toml(TEXTS).unwrap().splits, default("train"));
    let own = "[splits]\nfrom = 'dev'\nshares = [0.25, 0.25, 0.5]\nstratify = 'subject'";
    let dealt = toml(&format!("{CHOICES}{own}")).unwrap().splits;
    let expected = Splits::Dealt {
        from: "dev".into(),
        shares: [0.25, 0.25, 0.5],
        stratify: Some("subject".into()),
    };
    assert_eq!(dealt, expected);
    assert_eq!(dealt.file(Split::Search), None);
}

#[test]
fn a_test_split_is_read_only_where_there_is_no_other() {
    let from = |text: &str| match toml(text).unwrap().splits {
        Splits::Dealt { from, .. } => from,
        by_hand => panic!("{by_hand:?}"),
    };
    let only_test = CHOICES.replace("validation_split", "test_split");
    assert_eq!(from(&only_test), from(CHOICES));
    let both = CHOICES.replace("validation_split", "training_split = 'shown'\ntest_split");
    assert_eq!(from(&both), "shown");
    let named = format!("{both}[splits]\nfrom = 'validation'");
    assert_eq!(from(&named), "validation", "what is named is meant");
}

#[test]
fn splits_by_hand() {
    let by_hand = CHOICES
        .replace("dataset_path = \"someone/gases\"\n", "")
        .replace("validation_split = \"validation\"\n", "");
    let files = "[splits]\nsearch = 'a.jsonl'\nselection = 'b.jsonl'\nholdout = 'c.jsonl'\n";
    let definition = toml(&format!("{by_hand}{files}")).unwrap();
    assert_eq!(definition.dataset, None);
    let named = Split::ALL.map(|split| definition.splits.file(split).unwrap().to_owned());
    assert_eq!(named, ["a.jsonl", "b.jsonl", "c.jsonl"]);
    refuses(toml(&by_hand), &["`splits` is missing", "dataset_path"]);
    refuses(toml(&format!("{CHOICES}{files}")), &["`dataset_path` and `splits.search`"]);
    let two = files.replace("holdout = 'c.jsonl'\n", "");
    refuses(toml(&format!("{by_hand}{two}")), &["`splits.holdout` is missing"]);
    refuses(
        toml(&format!("{by_hand}{files}from = 'train'")),
        &["`splits.from` and `splits.search`"],
    );
}

#[test]
fn what_is_ours() {
    let ours = "summary = 's'\nlicense = 'MIT'\ngenerated_by = 'g'\nid = 'id'\nadd_bos_token = false\n\
                system_instruction = 'Be brief.'\napply_chat_template = true\nfewshot_as_multiturn = true\n\
                metric = 'kit'\n[where]\nlang = 'en'\nkind = ['a', 'b']\n";
    let definition = toml(&format!("{CHOICES}{ours}")).unwrap();
    assert_eq!(definition.summary, "s");
    assert_eq!(definition.id.as_deref(), Some("id"));
    assert_eq!(definition.add_bos_token, Some(false));
    assert!(definition.apply_chat_template && definition.fewshot_as_multiturn);
    assert_eq!(metric_names(&definition), ["kit"]);
    let keep = vec![
        ("lang".to_owned(), vec!["en".to_owned()]),
        ("kind".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
    ];
    assert_eq!(definition.keep, keep);
}

#[test]
fn conversations_have_a_prompt_and_a_reply_of_their_own() {
    let tree = "task = 'chat'\ndataset_path = 'someone/trees'\ntraining_split = 'train'\nmetric = 'rougeL'\n\
                [conversation]\nid = 'message_id'\nparent = 'parent_id'\nrole = 'role'\ntext = 'text'\nrank = 'rank'\n";
    let definition = toml(tree).unwrap();
    let conversation = definition.conversation.unwrap();
    assert_eq!(conversation.prompter, "prompter");
    assert_eq!(conversation.rank.as_deref(), Some("rank"));
    assert_eq!(definition.doc_to_text.source(), "messages");
    assert_eq!(definition.doc_to_target, Target::Of(Template::field("reply")));
    refuses(toml(&tree.replace("role = 'role'", "")), &["`conversation.role` is missing"]);
}

// The keys are those of lm-eval's task for GSM8K, the words are this test's.
const LM_EVAL: &str = r#####"
tag:
  - sums
task: sums
dataset_path: someone/sums
dataset_name: main
output_type: generate_until
training_split: train
fewshot_split: train
test_split: test
doc_to_text: "Question: {{question}}\nAnswer:"
doc_to_target: "{{answer}}"
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    regexes_to_ignore:
      - ","
      - "(?s).*#### "
generation_kwargs:
  until:
    - "Question:"
    - "</s>"
  do_sample: false
  temperature: 0.0
repeats: 1
num_fewshot: 5
filter_list:
  - name: "strict-match"
    filter:
      - function: "regex"
        regex_pattern: "#### (\\-?[0-9\\.\\,]+)"
      - function: "take_first"
  - name: "flexible-extract"
    filter:
      - function: "regex"
        group_select: -1
        regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)"
      - function: "take_first"
metadata:
  version: 3.0
"#####;

#[test]
fn lm_evals_own_file() {
    let definition = yaml(LM_EVAL).unwrap();
    assert_eq!(definition.doc_to_text.source(), "Question: {{question}}\nAnswer:");
    assert_eq!(definition.generation.until, ["Question:", "</s>"]);
    assert_eq!(definition.fewshot.count, 5);
    assert_eq!(definition.fewshot.split.as_deref(), Some("train"));
    assert_eq!(definition.filters.unwrap().name, "strict-match");
    let notes = vec![
        DefinitionNote::FirstFewshot { count: 5 },
        DefinitionNote::FiltersLeftOut { names: vec!["flexible-extract".into()] },
    ];
    assert_eq!(definition.notes, notes);
}

#[test]
fn included_files_give_what_the_file_does_not_say() {
    let (folder, path) =
        written("task.yaml", "include: base/_template\ntask: mine\nnum_fewshot: 1\n");
    fs::create_dir(folder.path().join("base")).unwrap();
    let base =
        |name: &str, text: &str| fs::write(folder.path().join("base").join(name), text).unwrap();
    base("_template", &format!("include: [one.yaml]\n{LM_EVAL}"));
    base("one.yaml", "task: one\ndescription: \"Solve.\\n\"\n");
    let (definition, digest) = read(&path).unwrap();
    assert_eq!((definition.task.as_str(), definition.fewshot.count), ("mine", 1));
    assert_eq!(definition.description.source(), "Solve.\n");
    base("one.yaml", "task: two\ndescription: \"Solve.\\n\"\n");
    assert_ne!(read(&path).unwrap().1.hexadecimal(), digest.hexadecimal());
    base("one.yaml", "include: _template\n");
    refuses(read(&path).map(|(definition, _)| definition), &["`include`", "_template"]);
    base("one.yaml", "do_sample: 1\n");
    refuses(
        read(&path).map(|(definition, _)| definition),
        &["one.yaml:1: unknown key `do_sample`"],
    );
}

#[test]
fn what_lm_eval_has_and_this_has_not() {
    let with = |line: &str| yaml(&format!("{LM_EVAL}{line}\n"));
    refuses(
        with("process_docs: !function utils.process"),
        &[":43:", "`process_docs`", "Python code"],
    );
    refuses(with("group: sums"), &["`group`", "one by one"]);
    refuses(with("gen_prefix: 'The answer is'"), &["`gen_prefix`", "doc_to_text"]);
    refuses(yaml("group: g\ntask: [a, b]"), &["`group`"]);
    refuses(yaml("task: [a, b]"), &["`task`", "group of tasks"]);
    refuses(yaml(&LM_EVAL.replace("do_sample: false", "do_sample: true")), &[":25:", "greedy"]);
    refuses(yaml(&LM_EVAL.replace("repeats: 1", "repeats: 8")), &["`repeats` is 8", "greedy"]);
    refuses(
        yaml(&LM_EVAL.replace("do_sample: false", "num_beams: 4")),
        &["`generation_kwargs.num_beams` is 4"],
    );
    refuses(with("summary: mine"), &["unknown key `summary`"]);
    refuses(toml(&format!("include = 'a.yaml'\n{CHOICES}")), &["`include`"]);
    assert!(with("group: null\nunsafe_code: false").is_ok());
}

#[test]
fn unknown_keys_name_the_one_that_was_meant() {
    let typo = CHOICES.replace("doc_to_text", "doc_to_txt");
    refuses(toml(&typo), &["task.toml:6: unknown key `doc_to_txt`", "did you mean `doc_to_text`"]);
    let far = format!("{CHOICES}colour = 'red'");
    let message = toml(&far).unwrap_err().to_string();
    assert!(message.contains("unknown key `colour`; valid are `task`"), "{message}");
    let inner = format!("{CHOICES}[splits]\nform = 'train'");
    refuses(toml(&inner), &["`splits.form`", "did you mean `from`", "`stratify`"]);
}

#[test]
fn values_that_cannot_be_used() {
    let cases: &[(&str, &[&str])] = &[
        ("num_fewshot = -1", &["task.toml:9: `num_fewshot` is -1", "0 or more"]),
        ("num_fewshot = 1.5", &["`num_fewshot` is 1.5"]),
        ("repeats = 'x'", &["`repeats` is \"x\""]),
        ("fewshot_split = ' '", &["`fewshot_split` is \" \"", "not empty"]),
        ("target_delimiter = 3", &["`target_delimiter` is 3", "text"]),
        ("apply_chat_template = 'yes'", &["true or false"]),
        ("fewshot_config = { sampler = 'random' }", &["`fewshot_config.sampler`", "first_n"]),
        ("num_fewshot = 2\nfewshot_config = { samples = [{ question = 'q' }] }", &["not 1"]),
        ("fewshot_config = { samples = [3] }", &["`fewshot_config.samples` is [3]"]),
        ("fewshot_config = { target_delimiter = '' }", &["as the task says"]),
        ("description = '{{ x'", &["task.toml:9: `description` is not a valid template"]),
        ("metric = 'rouge1'", &["`metric` is \"rouge1\"", "`acc_mutual_info`", "multiple_choice"]),
        ("metric = 'accu'", &["unknown metric `accu`"]),
        ("metric = 'acc'\nmetric_list = [{ metric = 'acc' }]", &["`metric` and `metric_list`"]),
        ("metric_list = []", &["one metric or more"]),
        ("metric_list = ['acc']", &["{ metric = \"acc\" }"]),
        (
            "metric_list = [{ metric = 'acc' }, { metric = 'acc' }]",
            &["metric_list[1].metric", "once"],
        ),
        ("metric_list = [{ metric = 'acc', higher_is_better = false }]", &["higher_is_better"]),
        ("metric_list = [{ metric = 'acc', colour = 1 }]", &["colour"]),
        (
            "metric_list = [{ metric = 'mcc' }, { metric = 'acc' }]",
            &["metric_list[0].metric", "mcc"],
        ),
        ("generation_kwargs = { max_gen_toks = 3 }", &["`generation_kwargs` does not go with"]),
        ("filter_list = []", &["`filter_list` does not go with"]),
        ("[splits]\nshares = [0.5, 0.5]", &["task.toml:10: `splits.shares`", "three positive"]),
        ("[splits]\nshares = [0.5, 0.5, 0.0]", &["three positive"]),
        ("[splits]\nshares = [0.5, 0.4, 0.3]", &["sum to 1"]),
        ("[splits]\nshares = [1.5, -0.8, 0.3]", &["three positive"]),
        ("[where]\nlang = ''", &["`where.lang`"]),
        ("[where]\nlang = []", &["`where.lang`"]),
        ("[dataset_kwargs]\ndata_files = { train = 'https://x/y' }", &["none of them a URL"]),
        ("[dataset_kwargs]\nrevision = 1", &["`dataset_kwargs.revision` is 1"]),
    ];
    for (line, words) in cases {
        refuses(toml(&format!("{CHOICES}{line}\n")), words);
    }
}

#[test]
fn changed_values_that_cannot_be_used() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "\"multiple_choice\"",
            "\"choice\"",
            &["task.toml:5: `output_type`", "`loglikelihood_rolling`"],
        ),
        ("\"choices\"", "[\"a\", \"\"]", &["`doc_to_choice`"]),
        ("\"choices\"", "[\"a\", \"a\"]", &["two or more different"]),
        ("\"choices\"", "[\"a\"]", &["two or more different"]),
        ("\"choices\"", "3", &["`doc_to_choice` is 3"]),
        ("\"answer\"", "-1", &["`doc_to_target` is -1"]),
        ("\"answer\"", "true", &["`doc_to_target` is true"]),
        ("\"gases\"", "\"\"", &["`task` is \"\""]),
        ("\"someone/gases\"", "\"a/b/c\"", &["`dataset_path`", "owner/name"]),
        ("\"someone/gases\"", "\"../gases\"", &["`dataset_path`"]),
        ("\"someone/gases\"", "\"json\"", &["`dataset_kwargs.data_files` is missing"]),
        ("doc_to_choice = \"choices\"", "", &["`doc_to_choice` is missing"]),
        ("doc_to_target = \"answer\"", "", &["`doc_to_target` is missing"]),
        ("\"multiple_choice\"", "\"generate_until\"", &["`doc_to_choice` does not go with"]),
        ("= \"gases\"", "= ", &["task.toml"]),
    ];
    for (old, new, words) in cases {
        refuses(toml(&CHOICES.replace(old, new)), words);
    }
    let rolling = "task = 'r'\ndataset_path = 'a/b'\ntraining_split = 't'\noutput_type = 'loglikelihood_rolling'\n\
                   doc_to_target = 'text'\n";
    assert!(toml(rolling).is_ok());
    refuses(toml(&format!("{rolling}num_fewshot = 1")), &["`num_fewshot` does not go with"]);
}

#[test]
fn metrics_in_other_units_or_left_out_are_noted() {
    let entries = "metric_list = [{ metric = 'perplexity', aggregation = 'perplexity', higher_is_better = false }, \
                   { metric = 'acc', aggregation = 'mean' }]";
    let text = TEXTS.replace("generate_until", "loglikelihood");
    let definition = toml(&format!("{text}{entries}")).unwrap();
    assert_eq!(metric_names(&definition), ["token_likelihood"]);
    let notes = vec![
        DefinitionNote::TokenLikelihood { metric: "perplexity".into() },
        DefinitionNote::MetricLeftOut { metric: "acc".into() },
    ];
    assert_eq!(definition.notes, notes);
    let several = "metric_list = [{ metric = 'rougeL' }, { metric = 'token_likelihood' }]";
    assert_eq!(
        metric_names(&toml(&format!("{TEXTS}{several}")).unwrap()),
        ["rougeL", "token_likelihood"]
    );
}

#[test]
fn files_that_are_no_task_files() {
    let refused = |name: &str, bytes: &[u8], words: &[&str]| {
        let (_folder, path) = written(name, "");
        fs::write(&path, bytes).unwrap();
        refuses(read(&path).map(|(definition, _)| definition), words);
    };
    refused("task.json", b"{}", &["task.json", "`task.toml`"]);
    refused("task.toml", b"task = 'a'\n\xff", &["task.toml", "line 2"]);
    refused("task.yaml", b"- a\n- b\n", &["task.yaml"]);
    refused("task.yaml", b"task: 'a\n", &["task.yaml"]);
    refused("task.yaml", b"task: a\ntask: b\n", &["task.yaml", "duplicate"]);
    let missing = read(&PathBuf::from("/nowhere/task.toml")).map(|(definition, _)| definition);
    refuses(missing, &["/nowhere/task.toml"]);
}

proptest! {
    // Any value under any key is read or refused with a message that names the file.
    #[test]
    fn any_value_is_read_or_refused(key in 0usize..24, value in value(), in_yaml: bool) {
        let keys = ["task", "tag", "dataset_path", "dataset_name", "dataset_kwargs", "training_split",
            "test_split", "output_type", "doc_to_text", "doc_to_choice", "doc_to_target", "description",
            "target_delimiter", "fewshot_delimiter", "num_fewshot", "fewshot_config", "metric_list",
            "generation_kwargs", "filter_list", "repeats", "splits", "where", "conversation", "metric"];
        let name = keys[key];
        let mut entries: Map<String, Value> = serde_json::from_value(serde_json::to_value(
            toml::from_str::<toml::Table>(CHOICES).unwrap()).unwrap()).unwrap();
        entries.insert(name.into(), value);
        let text = Value::Object(entries.clone()).to_string();
        let result = match (in_yaml, toml::to_string(&entries)) {
            (false, Ok(text)) => toml(&text),
            _ => yaml(&text),
        };
        if let Err(error) = result {
            prop_assert!(error.to_string().contains("task."), "{error}");
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-2.0f64..2.0).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "(\\{\\{|\\}\\}|\\{%|%\\}|[a-z. ]|'){0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(
                ("(metric|name|filter|function|from|samples|until|[a-z]{1,3})", inner),
                0..4
            )
            .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
