use super::*;

const ROUTED: &str = "
merge_method: linear
models: [{model: a, parameters: {weight: 1}}]
token_router:
  layers: [0, 2]
  gate_mode: hidden_last
  experts_per_token: 1
  experts:
    - {source_model: a, positive_prompts: [\"2 + 2 =\", 'if: so']}
    - {source_model: e, positive_task: logic}
document_router:
  gate:
    features: {hidden: {layer: 2, pool: mean}}
    kind: linear
    classes: {tasks: 3}
  routes: [0, 1, 0]
  merges:
    - merge_method: ties
      base_model: b
      models: [{model: c, parameters: {weight: 1, density: 0.5}}]
prompts:
  logic: {num_fewshot: 2, answer_style: letter, apply_chat_template: false}
";

fn routed() -> Recipe {
    Recipe::from_yaml(ROUTED).unwrap()
}

#[test]
fn a_file_with_routers_is_read() {
    let recipe = routed();
    let texts = ["2 + 2 =", "if: so"].map(str::to_owned).to_vec();
    let model = |name| ModelRef::new(name).unwrap();
    let tokens = TokenRouter {
        layers: vec![0, 2],
        experts: vec![
            TokenExpert { source_model: model("a"), positive_prompts: Prompts::Texts(texts) },
            TokenExpert {
                source_model: model("e"),
                positive_prompts: Prompts::Task("logic".to_owned()),
            },
        ],
        gate_mode: GateMode::HiddenLast,
        experts_per_token: 1,
        temperature: 1.0,
    };
    assert_eq!(recipe.token_router, Some(tokens));
    let documents = recipe.document_router.as_ref().unwrap();
    let gate = Gate {
        features: Features::Hidden { layer: 2, pool: Pooling::Mean },
        kind: GateKind::Linear,
        classes: Classes::Tasks(3),
    };
    assert_eq!((documents.gate, &documents.routes[..]), (gate, &[0, 1, 0][..]));
    let logic = PromptChange {
        num_fewshot: Some(2),
        answer_style: Some(AnswerStyle::Letter),
        apply_chat_template: Some(false),
        ..PromptChange::default()
    };
    assert_eq!(recipe.prompts, BTreeMap::from([("logic".to_owned(), logic)]));
}

#[test]
fn merges_are_counted_from_the_recipe_itself() {
    let recipe = routed();
    let own = recipe.merge(0).unwrap();
    assert_eq!((own.document_router.is_some(), own.prompts.len()), (false, 0));
    assert_eq!(own.token_router, recipe.token_router);
    assert_eq!(recipe.merge(1).unwrap().merge_method, MergeMethod::Ties);
    assert_eq!(recipe.merge(2), None);
    assert_eq!(own.merge(1), None);
}

#[test]
fn models_and_parameters_are_those_of_routers_too() {
    let recipe = routed();
    let models: Vec<&str> = recipe.models().into_iter().map(ModelRef::as_str).collect();
    assert_eq!(models, ["a", "e", "c", "b"]);
    let names = recipe.all_parameters().flat_map(|all| all.iter().map(|(name, _)| name));
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["density", "weight", "weight"]);
}

#[test]
fn errors_name_the_key_and_what_is_valid() {
    for (from, to, parts) in [
        ("layers: [0, 2]", "layers: [2, 0]", ["token_router.layers", "ascending"]),
        ("layers: [0, 2]", "layers: [0, 0]", ["[0, 0]", "each once"]),
        ("layers: [0, 2]", "layers: []", ["token_router.layers", "empty"]),
        ("experts_per_token: 1", "experts_per_token: 0", ["is 0", "1 to 2"]),
        ("experts_per_token: 1", "experts_per_token: 3", ["is 3", "1 to 2"]),
        (
            "experts_per_token: 1",
            "experts_per_token: 1\n  temperature: 0",
            ["temperature", "greater"],
        ),
        ("experts_per_token: 1", "experts_per_token: 1\n  temperature: .inf", ["inf", "finite"]),
        ("gate_mode: hidden_last", "gate_mode: hidden", ["hidden", "cheap_embed"]),
        ("    - {source_model: e, positive_task: logic}\n", "", ["1 long", "2 experts"]),
        ("positive_task: logic", "positive_prompts: []", ["positive_prompts", "empty"]),
        (", positive_task: logic", "", ["neither for `e`", "positive_task"]),
        (
            "positive_task: logic",
            "positive_task: logic, positive_prompts: [a]",
            ["both", "exactly one"],
        ),
        ("routes: [0, 1, 0]", "routes: [0, 1]", ["2 long", "each of the gate's 3"]),
        ("routes: [0, 1, 0]", "routes: [0, 2, 0]", ["is 2", "to 1"]),
        ("classes: {tasks: 3}", "classes: {clusters: 1}", ["clusters", "2 or more"]),
        ("classes: {tasks: 3}", "classes: {kinds: 3}", ["kinds", "clusters"]),
        ("{hidden: {layer: 2, pool: mean}}", "{ngrams: {buckets: 0}}", ["buckets", "is 0"]),
        ("pool: mean", "pool: max", ["max", "last"]),
        ("kind: linear", "kind: cubic", ["cubic", "centroid"]),
        (
            "      base_model: b\n",
            "      base_model: b\n      prompts: {a: {}}\n",
            ["`prompts`", "outer"],
        ),
        ("num_fewshot: 2", "num_fewshots: 2", ["num_fewshots", "num_fewshot"]),
        ("num_fewshot: 2", "max_gen_toks: 0", ["0 for task `logic`", "1 or more"]),
        ("num_fewshot: 2", "answer_style: roman, num_fewshot: 2", ["answer_style", "line"]),
    ] {
        assert!(ROUTED.contains(from), "{from}");
        let said = Recipe::from_yaml(&ROUTED.replace(from, to)).unwrap_err().to_string();
        for part in parts {
            assert!(said.contains(part), "{to}: `{part}` in {said}");
        }
    }
}

#[test]
fn no_router_stands_in_a_router_and_merges_are_at_most_four() {
    let of = |merges: Vec<Recipe>| {
        let mut recipe = routed();
        recipe.document_router.as_mut().unwrap().merges = merges;
        recipe.document_router.as_mut().unwrap().routes = vec![0; 3];
        Recipe::from_yaml(&recipe.to_yaml()).map_err(|error| error.to_string())
    };
    assert!(of(vec![routed().plain(); 3]).is_ok());
    assert!(of(vec![routed().plain(); 4]).unwrap_err().contains("4 long"));
    assert!(of(vec![]).is_err());
    let mut inner = routed();
    inner.prompts.clear();
    assert!(of(vec![inner]).unwrap_err().contains("a recipe with `document_router`"));
}
