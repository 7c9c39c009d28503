//! What a search space says of its objective: read, or refused with the reason.

use std::path::Path;

use merge_search::objective::{AggregateChoice, AggregateKind, RivalTable, TaskWeights};
use merge_search::space::{Note, Objective, SearchSpace, SpaceError};

use crate::space::{FILE, error, space};

const PLAIN: &str = "methods = [\"task_arithmetic\"]";

/// A folder for a space and its rivals.
fn with_rivals(name: &str, rivals: &str, extra: &str) -> Result<SearchSpace, SpaceError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), rivals).unwrap();
    let objective =
        format!("[objective]\naggregate = \"mean_win_rate\"\nrivals = \"{name}\"\n{extra}");
    let text = space(PLAIN, "weight = 1.0") + &objective;
    SearchSpace::parse(&text, &folder.path().join("space.toml"))
}

#[test]
fn the_objective_is_read() {
    let text = space(PLAIN, "weight = 1.0");
    let plain = SearchSpace::parse(&text, Path::new(FILE)).unwrap();
    assert_eq!((&plain.aggregate, plain.tie_break), (&AggregateChoice::default(), None));
    assert_eq!(plain.objectives, [Objective::Aggregate, Objective::RelativeTime]);
    let more = "
[tasks.weights]
a = 2
b = 0.5
[objective]
aggregate = \"geometric_mean\"
zero_floor = 5e-324
hidden = [\"b\"]
hidden_weight = 0.25
tie_break = false
";
    let text = text.replace("folders = [\"t\"]", "folders = [\"t\", \"u\", \"v\"]") + more;
    let space = SearchSpace::parse(&text, Path::new(FILE)).unwrap();
    let weights = [("a".to_owned(), 2.0), ("b".to_owned(), 0.5)].into_iter().collect();
    let expected = AggregateChoice {
        kind: AggregateKind::GeometricMean,
        weights: TaskWeights::ByName(weights),
        zero_floor: f64::from_bits(1),
        hidden: vec!["b".to_owned()],
        hidden_weight: 0.25,
        ..AggregateChoice::default()
    };
    assert_eq!((space.aggregate, space.tie_break), (expected, Some(false)));
    // Two of three tasks are listed.
    assert_eq!(space.notes, [Note::WeightsSum { sum: 3.5, unlisted: 1 }]);
    assert!(space.notes[0].to_string().contains("sum to 3.5 (1 not listed, at 1 each)"));
}

#[test]
fn weights_that_are_shares_need_no_note() {
    for weights in ["a = 0.75\nb = 0.25", "a = 3\nb = 3"] {
        let text = space(PLAIN, "weight = 1.0").replace("[\"t\"]", "[\"t\", \"u\"]");
        let text = text + &format!("[tasks.weights]\n{weights}\n");
        assert_eq!(SearchSpace::parse(&text, Path::new(FILE)).unwrap().notes, []);
    }
}

#[test]
fn an_objective_that_makes_no_sense_is_an_error_that_says_why() {
    for (more, words) in [
        ("[objective]\naggregate = \"mean\"", &["objective.aggregate", "`mean`", "worst_task"][..]),
        ("[objective]\nagregate = \"worst_task\"", &["agregate", "aggregate"]),
        ("[objective]\nzero_floor = -0.5", &["objective.zero_floor", "-0.5", "less than 1"]),
        ("[objective]\nzero_floor = nan", &["objective.zero_floor", "NaN"]),
        (
            "[objective]\naggregate = \"worst_task\"\nzero_floor = 0.1",
            &["objective.zero_floor", "only geometric_mean"],
        ),
        ("[objective]\nhidden = []", &["objective.hidden", "empty"]),
        ("[objective]\nhidden = [\"a\", \"a\"]", &["objective.hidden", "`a` twice"]),
        ("[objective]\nhidden_weight = 0.5", &["objective.hidden_weight", "`objective.hidden`"]),
        (
            "[objective]\nhidden = [\"a\"]\nhidden_weight = 1.0",
            &["objective.hidden_weight", "is 1;", "below 1"],
        ),
        ("[objective]\nrivals = \"r.csv\"", &["objective.rivals", "r.csv", "only mean_win_rate"]),
        ("[objective]\naggregate = \"mean_win_rate\"", &["objective.rivals", "missing"]),
        (
            "[objective]\naggregate = \"mean_win_rate\"\nrivals = \"/no/such.csv\"",
            &["objective.rivals", "/no/such.csv", "can be read"],
        ),
        (
            "[objective]\naggregate = \"mean_win_rate\"\nrivals = \"/made\"",
            &["objective.rivals", "/made"],
        ),
        ("[tasks.weights]\na = -1", &["tasks.weights.a", "-1", "0 or more"]),
        ("[tasks.weights]\na = inf", &["tasks.weights.a", "inf"]),
        (
            "[tasks.weights]\na = 2.0\n[objective]\naggregate = \"worst_task\"",
            &["tasks.weights.a", "2", "worst_task"],
        ),
    ] {
        let said = error(&(space(PLAIN, "weight = 1.0") + more));
        for word in words {
            assert!(said.contains(word), "no `{word}` in: {said}");
        }
    }
    let axes = "objectives = [\"geometric_mean\"]\n".to_owned() + &space(PLAIN, "weight = 1.0");
    let said = error(&(axes + "[objective]\naggregate = \"worst_task\""));
    assert!(said.contains("`objectives`") && said.contains("[\"worst_task\"]"), "{said}");
}

#[test]
fn rivals_are_read_from_toml_and_csv() {
    let toml = "[ann]\nt = 0.5\nu = 1\n[zoe]\nu = 0.25\n";
    let csv = "rival,t,u\nann, 0.5 ,1\n\"zoe\",,0.25\n";
    let scores = |cells: &[(&str, f64)]| {
        cells.iter().map(|(task, score)| ((*task).to_owned(), *score)).collect()
    };
    let expected: RivalTable = [
        ("ann".to_owned(), scores(&[("t", 0.5), ("u", 1.0)])),
        ("zoe".to_owned(), scores(&[("u", 0.25)])),
    ]
    .into_iter()
    .collect();
    for (name, text) in [("rivals.toml", toml), ("rivals.csv", csv)] {
        assert_eq!(with_rivals(name, text, "").unwrap().aggregate.rivals, expected, "{name}");
    }
    for (name, text, words) in [
        ("r.toml", "[ann]\nt = 61.2", &["r.toml", "`ann.t`", "61.2", "from 0 to 1"][..]),
        ("r.toml", "[ann]\nt = \"x\"", &["r.toml", "`ann.t`", "x"]),
        ("r.toml", "ann = 0.5", &["r.toml", "`ann`", "table"]),
        ("r.toml", "[ann", &["r.toml"]),
        ("r.toml", "", &["objective.rivals", "empty"]),
        ("r.csv", "rival,t\nann,0.5\nzoe,1.5\n", &["r.csv", "`zoe.t (line 3)`", "1.5"]),
        ("r.csv", "rival,t\nann,0.5\nann,0.4\n", &["r.csv", "\"ann\" (line 3)", "of its own"]),
        ("r.csv", "rival,t,t\nann,0.5,0.4\n", &["r.csv", "`t`", "two columns"]),
        ("r.csv", "rival,t\nann,0.5,0.4\n", &["r.csv", "line"]),
        ("r.csv", "rival,t\nann,nan\n", &["r.csv", "`ann.t (line 2)`", "nan"]),
        ("r.json", "{}", &["r.json", ".toml or .csv"]),
    ] {
        let said = with_rivals(name, text, "").unwrap_err().to_string();
        for word in words {
            assert!(said.contains(word), "no `{word}` in: {said}");
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = SearchSpace::load(Path::new("/no/such/space.toml")).unwrap_err();
    assert!(matches!(&error, SpaceError::Read { .. }));
    assert!(error.to_string().contains("/no/such/space.toml"));
}

#[test]
fn axes_and_limits_are_read_or_refused() {
    let with = |axes: &str, more: &str| {
        format!("objectives = {axes}\n") + &space(PLAIN, "weight = 1.0") + more
    };
    let all = "[\"geometric_mean\", \"relative_time\", \"relative_memory\"]";
    let limits = "[objective]\nmax_relative_time = 1.2\nmax_relative_memory = 2\n";
    let read = SearchSpace::parse(&with(all, limits), Path::new(FILE)).unwrap();
    assert_eq!(read.objectives, Objective::ALL);
    assert_eq!(read.constraints.max_relative_time, Some(1.2));
    assert_eq!(read.constraints.max_relative_memory, Some(2.0));
    let memory = with("[\"geometric_mean\", \"relative_memory\"]", "");
    let memory = SearchSpace::parse(&memory, Path::new(FILE)).unwrap();
    assert_eq!(memory.objectives, [Objective::Aggregate, Objective::RelativeMemory]);
    assert!(memory.constraints.is_empty());
    let twice = "[\"geometric_mean\", \"relative_time\", \"relative_time\"]";
    for axes in ["[\"relative_time\"]", "[]", twice, "[\"geometric_mean\", \"speed\"]"] {
        let said = error(&with(axes, ""));
        assert!(said.contains("`objectives`") && said.contains("each once"), "{said}");
    }
    for (key, limit) in [("max_relative_time", "0"), ("max_relative_memory", "nan")] {
        let said = error(&with(all, &format!("[objective]\n{key} = {limit}\n")));
        assert!(said.contains(&format!("`objective.{key}`")) && said.contains("above 0"), "{said}");
    }
}
