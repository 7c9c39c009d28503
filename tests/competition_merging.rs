//! Exported merging code against our own merges: what the code says, and what Python made of it.
//!
//! `writes_the_cases_for_python` (ignored) puts every case into a folder: a hub cache with the tiny models, the code as a
//! Python module, and the tensors that we merge. `tests/kit_interface/merging.py` runs the modules, compares element by
//! element and writes `tests/kit_interface/merging.json`: the digest of each module that it ran, and for each tensor four
//! numbers of what Python merged. The other tests here compare these with the code and the tensors of today, without Python.
//!
//! ```text
//! cargo test --release --test all -- --ignored writes_the_cases_for_python
//! python tests/kit_interface/merging.py target/tmp/merging
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::{Adapter, Checkpoint};
use merge_search::merge::{LayerGates, MergePlan, MergedTensor, merge_all};
use merge_search::recipe::{GateMode, ModelRef, Prompts, Recipe, TokenExpert, TokenRouter};
use merge_search::submission::competition::{
    ChoiceScorer, ClassDtype, ClassParts, CompetitionError, Published, literal_text, merge_literal,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::tiny::{borrowed, message, noise, singles, tensor, write};

/// Largest difference of an element.
const TOLERANCE: f64 = 1e-6;

/// One or more recipes over the same models.
struct Case {
    name: String,
    recipes: Vec<Recipe>,
    /// What model paths start from.
    root: PathBuf,
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn matrix() -> PathBuf {
    tests().join("reference/mergekit/matrix")
}

fn vocabulary() -> PathBuf {
    tests().join("reference/mergekit/vocabulary")
}

fn case(name: &str, text: &str, root: &Path) -> Option<Case> {
    let recipe = Recipe::from_yaml(text).ok()?;
    Some(Case { name: name.to_owned(), recipes: vec![recipe], root: root.to_owned() })
}

/// Recipes of a folder, over the models of mergekit's matrix.
fn recipes(folder: &Path) -> Vec<Case> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let case = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        case(name, &fs::read_to_string(&path).unwrap(), &matrix())
    };
    paths.into_iter().filter_map(case).collect()
}

/// Every adapter of `reference/peft` on its model.
fn adapters() -> Vec<Case> {
    let root = tests().join("reference/peft");
    let names = fs::read_dir(root.join("adapters")).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let on_its_model = |name: &String| {
        let base = Adapter::open(&root.join("adapters").join(name)).unwrap();
        let model = format!("models/{}+adapters/{name}", base.base_model().unwrap());
        let text = format!("merge_method: passthrough\nmodels: [{{model: {model}}}]\n");
        case(&format!("adapter-{name}"), &text, &root).unwrap()
    };
    names.iter().map(on_its_model).collect()
}

/// Two merges of a router.
fn routes() -> Case {
    let text = |a: f64, b: &str| {
        format!(
            "merge_method: linear\nmodels:\n  - {{model: models/llama/a, parameters: {{weight: {a}}}}}\n  \
             - {{model: models/llama/b, parameters: {{weight: {b}}}}}\n"
        )
    };
    let second = "[{filter: mlp, value: 0.9}, {value: 0.3}]";
    let recipes = [text(0.7, "0.3"), text(0.7, second)];
    let recipes = recipes.map(|text| Recipe::from_yaml(&text).unwrap()).into();
    Case { name: "routes".to_owned(), recipes, root: matrix() }
}

/// All layers of a Llama with two experts each.
fn mixture() -> Case {
    let text = "merge_method: linear\nmodels:\n  - {model: models/llama/a, parameters: {weight: 0.5}}\n  \
                - {model: models/llama/b, parameters: {weight: 0.5}}\n";
    let expert = |name: &str| TokenExpert {
        source_model: ModelRef::new(format!("models/llama/{name}")).unwrap(),
        positive_prompts: Prompts::Texts(vec![name.to_owned()]),
    };
    let router = TokenRouter {
        layers: (0..4).collect(),
        experts: vec![expert("a"), expert("b")],
        gate_mode: GateMode::HiddenAvg,
        experts_per_token: 1,
        temperature: 0.5,
    };
    let recipe = Recipe { token_router: Some(router), ..Recipe::from_yaml(text).unwrap() };
    Case { name: "mixture".to_owned(), recipes: vec![recipe], root: matrix() }
}

fn cases() -> Vec<Case> {
    let mut cases = recipes(&matrix().join("recipes"));
    let ours = tests().join("kit_interface/merging");
    assert_eq!(recipes(&ours).len(), fs::read_dir(&ours).unwrap().count());
    cases.extend(recipes(&ours));
    cases.extend(adapters());
    cases.extend([routes(), mixture()]);
    cases
}

fn open(root: &Path, model: &ModelRef) -> Result<Checkpoint, String> {
    let checkpoint = Checkpoint::open(&root.join(model.path())).map_err(|e| message(&e))?;
    let Some(lora) = model.lora() else { return Ok(checkpoint) };
    let adapter = Adapter::open(&root.join(lora)).map_err(|e| message(&e))?;
    checkpoint.with_adapter(&adapter).map_err(|e| message(&e))
}

/// As a made-up hub has it; a name must not have two dashes or dots in a row.
fn published(path: &str) -> (String, String) {
    let revision: String = Sha256::digest(path).iter().map(|byte| format!("{byte:02x}")).collect();
    (format!("tiny/{}", path.replace('/', ".")), revision[..40].to_owned())
}

fn on_the_hub(model: &ModelRef) -> Published {
    let (repository, revision) = published(model.path());
    Published { repository, revision, adapter: model.lora().map(published) }
}

fn parts<'a>(models: &[(ModelRef, Checkpoint)], plans: &'a [MergePlan<'a>]) -> ClassParts<'a> {
    ClassParts {
        class: "Merge".to_owned(),
        method: "merge".to_owned(),
        models: models.iter().map(|(model, _)| on_the_hub(model)).collect(),
        merges: plans.iter().collect(),
        router: None,
        scorer: ChoiceScorer::Acc,
        dtype: ClassDtype::Float32,
        max_seq_len: 64,
        max_gen_len: 8,
    }
}

/// The code as a module, and what we merge, merge by merge.
struct Exported {
    module: String,
    merged: Vec<Vec<MergedTensor>>,
}

impl Case {
    fn models(&self) -> Result<Vec<(ModelRef, Checkpoint)>, String> {
        let mut names: Vec<&ModelRef> = self.recipes.iter().flat_map(Recipe::models).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|model| Ok((model.clone(), open(&self.root, model)?))).collect()
    }

    /// `None`: no model can be made of it, or none that the class does.
    fn exported(&self) -> Option<Exported> {
        let models = self.models().ok()?;
        let borrowed = borrowed(&models);
        // No matter which gates.
        let width = 8;
        let prototypes = [
            vec![noise(1, width).iter().map(|x| f64::from(*x)).collect(); 4],
            vec![vec![0.25; width]; 4],
        ];
        let gates = LayerGates::new(&prototypes.each_ref()).unwrap();
        let plan = |recipe: &Recipe| match recipe.token_router {
            None => MergePlan::new(recipe, &borrowed),
            Some(_) => MergePlan::with_gates(recipe, &borrowed, &gates),
        };
        let plans: Vec<MergePlan> = self.recipes.iter().map(plan).collect::<Result<_, _>>().ok()?;
        let module = match merge_literal(&parts(&models, &plans)) {
            Err(CompetitionError::Unsupported { .. }) => return None,
            literal => literal.unwrap(),
        };
        let imports: Vec<String> = module.imports.into_iter().collect();
        let (imports, recipe) = (imports.join("\n"), literal_text(&module.recipe));
        let module = format!(
            "{imports}\n\nRECIPE = json.loads(r\"\"\"\n{recipe}\n\"\"\")\n\n\n{}",
            module.code
        );
        let merged = plans.iter().map(merge_all).collect::<Result<_, _>>().ok()?;
        Some(Exported { module, merged })
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A folder of the made-up hub's cache.
fn cache(hub: &Path, root: &Path, path: &str) {
    let (repository, revision) = published(path);
    let folder = hub.join(format!("models--{}", repository.replace('/', "--")));
    let snapshot = folder.join("snapshots").join(&revision);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), &revision).unwrap();
    for entry in fs::read_dir(root.join(path)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), snapshot.join(entry.file_name())).unwrap();
    }
}

fn write_case(folder: &Path, case: &Case) {
    let Some(exported) = case.exported() else { return };
    for model in case.recipes.iter().flat_map(Recipe::models) {
        let paths = [Some(model.path()), model.lora()];
        paths.into_iter().flatten().for_each(|path| cache(&folder.join("hub"), &case.root, path));
    }
    fs::write(folder.join(format!("{}.py", case.name)), exported.module).unwrap();
    for (number, tensors) in exported.merged.iter().enumerate() {
        let path = folder.join(format!("{}.{number}.safetensors", case.name));
        fs::write(path, singles(tensors)).unwrap();
    }
}

/// Tensors of more elements than the mask is drawn for at a time, rows of more than have ranks of their own, and, in these,
/// many updates of the same size; too large to be kept.
fn large(root: &Path) -> Vec<Case> {
    let config = json!({"model_type": "tiny", "num_hidden_layers": 1});
    for (seed, name) in ["base", "a", "b"].into_iter().enumerate() {
        let seed = seed as u64;
        let mut coarse = noise(10 * seed + 1, 210_003);
        coarse.iter_mut().for_each(|x| *x = (*x * 8.0).round() / 8.0);
        let tensors = [
            tensor("layers.0.attn.weight", &[700, 1000], noise(10 * seed, 700_000)),
            tensor("layers.0.wide.weight", &[3, 70_001], coarse),
            tensor("norm.weight", &[33], noise(10 * seed + 2, 33)),
        ];
        write(&root.join(name), &config, &tensors);
    }
    let case = |(method, rest): &(&str, &str)| {
        let text = format!(
            "merge_method: {method}\nbase_model: base\nmodels:\n  \
             - {{model: a, parameters: {{weight: 0.6, density: 0.55}}}}\n  \
             - {{model: b, parameters: {{weight: 0.5, density: 0.3}}}}\n{rest}\n"
        );
        case(&format!("large-{method}"), &text, root).unwrap()
    };
    let methods = [
        ("dare_ties", "parameters: {rescale: true}"),
        ("dare_linear", "parameters: {rescale: true, rescale_by: density}"),
        ("della", "parameters: {rescale: true, rescale_by: density}"),
        ("ties", ""),
        ("breadcrumbs", ""),
    ];
    methods.iter().map(case).collect()
}

#[test]
#[ignore = "writes the cases that tests/kit_interface/merging.py runs; cargo test --release writes_the_cases_for_python -- --ignored --nocapture"]
fn writes_the_cases_for_python() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("merging");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    let models = TempDir::new().unwrap();
    for case in cases().iter().chain(&large(models.path())) {
        write_case(&folder, case);
    }
}

/// What the script wrote: digest of the module, and for each merge four numbers per tensor, in order of their names.
fn of_python() -> BTreeMap<String, Value> {
    let text = fs::read_to_string(tests().join("kit_interface/merging.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Sum, sum of squares, middle and last element.
fn numbers(values: &[f32]) -> [f64; 4] {
    let single = |place: usize| values.get(place).map_or(0.0, |x| f64::from(*x));
    let all = || values.iter().map(|x| f64::from(*x));
    let squares = all().map(|x| x * x).sum();
    [all().sum(), squares, single(values.len() / 2), single(values.len().saturating_sub(1))]
}

fn require_close(case: &str, tensor: &MergedTensor, python: &Value) {
    let python = python.as_array().unwrap().iter().map(|x| x.as_f64().unwrap());
    let scale = (tensor.values.len() as f64).sqrt();
    let largest = tensor.values.iter().fold(1.0_f64, |most, x| most.max(f64::from(x.abs())));
    let allowed = [scale, 2.0 * largest * scale, 1.0, 1.0].map(|times| times * TOLERANCE);
    for ((ours, python), allowed) in numbers(&tensor.values).into_iter().zip(python).zip(allowed) {
        let name = &tensor.name;
        assert!((ours - python).abs() <= allowed, "{case}: {name}: {ours}, Python {python}");
    }
}

#[test]
fn python_merged_with_the_code_of_today_what_we_merge() {
    let python = of_python();
    let mut compared = 0;
    let known = |case: &Case| python.contains_key(&case.name);
    let cases: Vec<Case> = cases().into_iter().filter(known).collect();
    assert_eq!(cases.len(), python.len());
    for case in cases {
        let Some(Exported { module, merged }) = case.exported() else {
            panic!("{} is no longer exported", case.name);
        };
        let known = &python[&case.name];
        assert_eq!(known["sha256"], digest(&module), "{}: run merging.py again", case.name);
        for (mut ours, python) in merged.into_iter().zip(known["merges"].as_array().unwrap()) {
            let python = python.as_array().unwrap();
            assert_eq!(ours.len(), python.len());
            ours.sort_by(|a, b| a.name.cmp(&b.name));
            compared += ours.len();
            let pairs = ours.iter().zip(python);
            pairs.for_each(|(tensor, numbers)| require_close(&case.name, tensor, numbers));
        }
    }
    assert!(compared > 1000, "{compared} tensors");
}

fn refusal(case: &Case) -> CompetitionError {
    let models = case.models().unwrap();
    let borrowed = borrowed(&models);
    let plans = case.recipes.iter().map(|recipe| MergePlan::new(recipe, &borrowed).unwrap());
    let plans: Vec<MergePlan> = plans.collect();
    merge_literal(&parts(&models, &plans)).unwrap_err()
}

#[test]
fn what_the_class_does_not_do_is_refused() {
    let text = |rest: &str, model: &str| {
        format!(
            "merge_method: linear\nmodels:\n  - {{model: {model}, parameters: {{weight: 1}}}}\n{rest}"
        )
    };
    let refused = |text: String| message(&refusal(&case("refused", &text, &matrix()).unwrap()));
    let encoder = refused(text("", "models/bert/a"));
    assert!(encoder.contains("encoders without a decoder"), "{encoder}");
    let union = fs::read_to_string(vocabulary().join("recipes/bare-model.yaml")).unwrap();
    let union = case("union", &union, vocabulary().parent().unwrap()).unwrap();
    let tokens = message(&refusal(&union));
    assert!(tokens.contains("choose their tokens"), "{tokens}");
    let none = parts(&[], &[]);
    assert!(matches!(merge_literal(&none), Err(CompetitionError::Unsupported { .. })));
}

#[test]
fn models_that_are_not_the_plans_are_refused() {
    let case = routes();
    let models = case.models().unwrap();
    let borrowed = borrowed(&models);
    let plan = [MergePlan::new(&case.recipes[0], &borrowed).unwrap()];
    let few = parts(&models[..1], &plan);
    let error = merge_literal(&few).unwrap_err();
    assert!(matches!(error, CompetitionError::Models { published: 1, planned: 2 }), "{error}");
}

#[test]
fn a_route_holds_only_what_differs_from_the_first_merge() {
    let case = routes();
    let models = case.models().unwrap();
    let borrowed = borrowed(&models);
    let plans: Vec<MergePlan> =
        case.recipes.iter().map(|recipe| MergePlan::new(recipe, &borrowed).unwrap()).collect();
    let recipe = merge_literal(&parts(&models, &plans)).unwrap().recipe;
    let groups = recipe["merges"][1].as_array().unwrap();
    let names = |group: &Value| recipe["names"][group["names"].as_u64().unwrap() as usize].clone();
    let mlp =
        ["down", "gate", "up"].map(|part| format!("model.layers.{{}}.mlp.{part}_proj.weight"));
    assert_eq!(groups.iter().map(names).collect::<Vec<_>>(), [json!(mlp)]);
    assert_eq!(groups[0]["layers"], json!([0, 1, 2, 3]));
    assert_eq!(groups[0]["weights"], json!([0.7, 0.9]));
}

/// Layers 0 to 2 of one model and 1 to 3 of another are 6; the second's layer 1 is the output's layer 3.
#[test]
fn a_stack_has_its_number_of_layers_and_where_each_comes_from() {
    let text = "merge_method: passthrough\nslices:\n  - sources: [{model: models/llama/a, layer_range: [0, 3]}]\n  \
                - sources: [{model: models/llama/b, layer_range: [1, 4]}]\n";
    let case = case("stack", text, &matrix()).unwrap();
    let models = case.models().unwrap();
    let borrowed = borrowed(&models);
    let plan = [MergePlan::new(&case.recipes[0], &borrowed).unwrap()];
    let recipe = merge_literal(&parts(&models, &plan)).unwrap().recipe;
    assert_eq!(recipe["config"], json!({"num_hidden_layers": 6}));
    let groups = recipe["merges"][0].as_array().unwrap();
    let of_b =
        groups.iter().find(|group| group["inputs"] == json!([1]) && group["layers"].is_array());
    assert_eq!(of_b.unwrap()["layers"], json!([[3, 1], [4, 2], [5, 3]]));
}
