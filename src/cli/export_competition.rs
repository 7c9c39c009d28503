//! `merge-search export RUN -o DIR --format competition`: a trial as a submission to the LLM Merging competition.

use std::path::Path;

use clap::{Args as ClapArgs, ValueEnum};
use merge_search::evaluate::network_spec;
use merge_search::hub::Hub;
use merge_search::merge::MergePlan;
use merge_search::recipe::{Features, ModelRef, Recipe};
use merge_search::record::{RunFolder, sha256};
use merge_search::space::SearchSpace;
use merge_search::submission::competition::{
    ChoiceScorer, ClassDtype, ClassParts, ClassRouter, CompetitionError, ExportTexts, Files,
    MANIFEST_FILE, Published, SubmissionManifest, SubmittedModel, class_file, class_name,
    export_files, fault_of_class_name, method_name, sealed, write_folder,
};
use merge_search::submission::{competition_card, report};
use serde_json::json;

use super::dry_run::{self, DryRunArgs};
use super::export_defaults::{max_gen_len, scorer};
use super::export_place::require_writable;
use super::published::{self, PublishedAs};
use super::run_bench::RunBench;
use super::run_facts;
use super::run_models::{self, RunModel};
use super::submission_facts::submission_facts;
use super::workbench::hub;
use super::{Failure, merge, print};

/// Of models whose positions have no end: far more than any prompt has.
const NO_LIMIT: usize = 1 << 20;

/// Of the manifest's format.
const FORMAT: u32 = 1;

/// What `--format competition` takes.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "With --format competition")]
pub struct CompetitionArgs {
    /// Name of the class [default: the search space's name]
    #[arg(long, value_name = "NAME", value_parser = parse_class_name)]
    class_name: Option<String>,
    /// Where a model that is a local folder can be got: its name in the run, and the hub's; may be given several times
    #[arg(long, value_name = "NAME=OWNER/NAME@COMMIT", value_parser = published::parse)]
    published: Vec<PublishedAs>,
    /// How the class scores choices: kit, kit_fixed, acc or acc_norm [default: what the run's tasks are judged by]
    #[arg(long, value_name = "METRIC", value_parser = parse_scorer)]
    scorer: Option<ChoiceScorer>,
    /// Type that the class holds merged weights in [default: float32, as the kit does]
    #[arg(long, value_name = "TYPE")]
    dtype: Option<TorchDtype>,
    /// New tokens of a text at most [default: the run's, or 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    max_gen_len: Option<u32>,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// torch's words for the types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TorchDtype {
    Float32,
    Bfloat16,
}

impl TorchDtype {
    fn as_str(self) -> &'static str {
        match self {
            TorchDtype::Float32 => "float32",
            TorchDtype::Bfloat16 => "bfloat16",
        }
    }
}

fn parse_class_name(name: &str) -> Result<String, String> {
    fault_of_class_name(name).map_or_else(|| Ok(name.to_owned()), |fault| Err(fault.to_owned()))
}

fn parse_scorer(name: &str) -> Result<ChoiceScorer, String> {
    let valid = ChoiceScorer::ALL.map(ChoiceScorer::as_str).join(", ");
    ChoiceScorer::named(name).ok_or_else(|| format!("valid: {valid}"))
}

impl CompetitionArgs {
    /// Those that change what is written, as they would be typed again.
    fn typed(&self) -> Vec<String> {
        let mut typed = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            typed.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        option("--class-name", self.class_name.clone());
        for place in &self.published {
            option("--published", Some(place.to_string()));
        }
        option("--scorer", self.scorer.map(|scorer| scorer.as_str().to_owned()));
        option("--dtype", self.dtype.map(|dtype| dtype.as_str().to_owned()));
        option("--max-gen-len", self.max_gen_len.map(|tokens| tokens.to_string()));
        typed
    }

    /// An option that only a submission has, if one was given.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            (self.class_name.is_some(), "--class-name"),
            (!self.published.is_empty(), "--published"),
            (self.scorer.is_some(), "--scorer"),
            (self.dtype.is_some(), "--dtype"),
            (self.max_gen_len.is_some(), "--max-gen-len"),
        ];
        let given = given.into_iter().find_map(|(given, option)| given.then_some(option));
        given.or_else(|| self.dry_run.given())
    }
}

/// The trial to be exported.
pub struct Exported<'a> {
    /// Its number.
    pub number: u64,
    /// What it merges.
    pub recipe: &'a Recipe,
    /// Where it is from.
    pub run: &'a RunFolder,
}

/// Writes the submission, and runs it in the kit if asked to.
pub fn run(
    args: &CompetitionArgs,
    exported: &Exported,
    output: &Path,
    as_json: bool,
) -> Result<(), Failure> {
    let prepared = dry_run::prepare(&args.dry_run)?;
    let again = prepared.is_some() && output.join(MANIFEST_FILE).is_file();
    if !again {
        require_writable(output)?;
    }
    let submission = Submission::make(args, exported)?;
    match again {
        true => require_same(output, &submission.files)?,
        false => {
            write_folder(output, &submission.files).map_err(|error| Failure::from_error(&error))?
        }
    }
    if !as_json {
        print(&submission.summary(exported.number, output, again))?;
    }
    let tried = prepared.map(|prepared| {
        let Submission { class, method, code, .. } = &submission;
        dry_run::run(&prepared, &dry_run::Subject { class, method, code, folder: output })
    });
    let report = tried.transpose()?;
    if as_json {
        let files: Vec<&String> = submission.files.keys().collect();
        let (class, method) = (&submission.class, &submission.method);
        let trial = exported.number;
        print(&format!(
            "{:#}\n",
            json!({"trial": trial, "output": output, "class": class, "method": method, "files": files, "dry_run": report})
        ))?;
    } else if let Some(report) = &report {
        print(&dry_run::summary(report))?;
    }
    report.map_or(Ok(()), |report| dry_run::require_valid(&report))
}

/// A folder that is there may be tried again, if it is this export.
fn require_same(output: &Path, files: &Files) -> Result<(), Failure> {
    let differs = files.iter().find(|(path, text)| {
        std::fs::read_to_string(output.join(path)).ok().as_ref() != Some(text)
    });
    match differs {
        None => Ok(()),
        Some((path, _)) => Err(Failure::input(format!(
            "{} holds another export: its {path} differs from this one's",
            output.display()
        ))
        .remedy("give another --output, or remove the folder")),
    }
}

/// All that is written.
struct Submission {
    class: String,
    method: String,
    code: String,
    models: Vec<SubmittedModel>,
    files: Files,
}

impl Submission {
    fn make(args: &CompetitionArgs, exported: &Exported) -> Result<Submission, Failure> {
        let Exported { recipe, run, .. } = *exported;
        let space = run_models::space(run)?;
        published::require_known(&args.published, &space)?;
        let scorer = scorer(args.scorer, run.manifest())?;
        let hub = hub();
        let models = open_models(recipe, &space, run, &hub)?;
        let place = |model: &RunModel| published::place(model, &args.published, &hub);
        let places = models.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let bench = RunBench::of(recipe, run)?;
        let class = args.class_name.clone().unwrap_or_else(|| class_name(&space.name));
        let made = Made { class, scorer, models: &models, places: &places };
        let max_gen_len = max_gen_len(args.max_gen_len, recipe, run.manifest(), &space)?;
        let code = made.code(args, exported, &bench, max_gen_len)?;
        made.submission(args, exported, code)
    }

    fn summary(&self, trial: u64, output: &Path, again: bool) -> String {
        let did = if again { "found" } else { "wrote" };
        let (class, method) = (&self.class, &self.method);
        let mut text = format!(
            "{did} trial {trial} as a submission in {}: class {class}, method {method}\n",
            output.display()
        );
        for model in &self.models {
            let adapter = match (&model.adapter, &model.adapter_revision) {
                (Some(adapter), Some(revision)) => format!(" with {adapter}@{revision}"),
                _ => String::new(),
            };
            let (name, repository, revision) = (&model.name, &model.repository, &model.revision);
            text += &format!("  {name}: {repository}@{revision}{adapter}\n");
        }
        text + "how to hand it in: README.md there\n"
    }
}

/// Those of the recipe, and the base model where a gate reads prompts with it.
fn open_models(
    recipe: &Recipe,
    space: &SearchSpace,
    run: &RunFolder,
    hub: &Hub,
) -> Result<Vec<RunModel>, Failure> {
    let mut models: Vec<&ModelRef> = recipe.models();
    if reads_hidden_states(recipe) && !models.contains(&&space.base) {
        models.push(&space.base);
    }
    run_models::open(&models, space, run, hub)
}

fn reads_hidden_states(recipe: &Recipe) -> bool {
    let router = recipe.document_router.as_ref();
    router.is_some_and(|router| matches!(router.gate.features, Features::Hidden { .. }))
}

/// What was found out on the way to a submission.
struct Made<'a> {
    class: String,
    scorer: ChoiceScorer,
    models: &'a [RunModel],
    places: &'a [Published],
}

impl Made<'_> {
    /// The class's file.
    fn code(
        &self,
        args: &CompetitionArgs,
        exported: &Exported,
        bench: &RunBench,
        max_gen_len: usize,
    ) -> Result<String, Failure> {
        let named: Vec<_> =
            self.models.iter().map(|model| (model.model.clone(), &model.checkpoint)).collect();
        let recipes = merges(exported.recipe);
        let plan = |recipe: &Recipe| merge::plan(recipe, &named, bench.tasks());
        let plans = recipes.iter().map(plan).collect::<Result<Vec<MergePlan>, _>>()?;
        let max_seq_len = longest(&plans)?;
        if max_gen_len >= max_seq_len {
            return Err(Failure::input(format!(
                "texts of {max_gen_len} new tokens do not fit the model, which reads {max_seq_len} at most"
            ))
            .remedy("give a smaller --max-gen-len"));
        }
        let parts = ClassParts {
            class: self.class.clone(),
            method: method_name(&self.class),
            models: self.places.to_vec(),
            merges: plans.iter().collect(),
            router: self.router(exported.recipe, bench)?,
            scorer: self.scorer,
            dtype: match args.dtype {
                None | Some(TorchDtype::Float32) => ClassDtype::Float32,
                Some(TorchDtype::Bfloat16) => ClassDtype::Bfloat16,
            },
            max_seq_len,
            max_gen_len,
        };
        class_file(&parts).map_err(|error| refused(&error, exported.number))
    }

    fn router(&self, recipe: &Recipe, bench: &RunBench) -> Result<Option<ClassRouter>, Failure> {
        let Some(router) = &recipe.document_router else { return Ok(None) };
        let base = bench.base();
        let place = self.models.iter().position(|model| Some(&model.model) == base);
        Ok(Some(ClassRouter {
            gate: bench.gate(&router.gate)?,
            routes: router.routes.clone(),
            base: place.unwrap_or_default(),
        }))
    }

    fn submission(
        self,
        args: &CompetitionArgs,
        exported: &Exported,
        code: String,
    ) -> Result<Submission, Failure> {
        let method = method_name(&self.class);
        let recipe = published_recipe(exported.recipe, self.models, self.places)?;
        let models: Vec<SubmittedModel> =
            self.models.iter().zip(self.places).map(submitted).collect();
        let manifest = SubmissionManifest {
            format: FORMAT,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            class: self.class.clone(),
            method: method.clone(),
            run: run_facts::name(exported.run.path()),
            run_sha256: run_digest(exported.run)?,
            trial: exported.number,
            scorer: self.scorer.as_str().to_owned(),
            dtype: args.dtype.unwrap_or(TorchDtype::Float32).as_str().to_owned(),
            models: models.clone(),
            files: Files::new(),
        };
        let facts = submission_facts(exported.run, manifest, &recipe, args.typed())?;
        let texts = ExportTexts {
            class: &self.class,
            method: &method,
            code: &code,
            recipe: &recipe.to_yaml(),
            card: &competition_card(&facts),
            report: &report(&facts),
        };
        let files = sealed(export_files(&texts), facts.manifest);
        Ok(Submission { class: self.class, method, code, models, files })
    }
}

/// The recipe's merges; of one without a document router itself.
fn merges(recipe: &Recipe) -> Vec<Recipe> {
    match &recipe.document_router {
        None => vec![recipe.clone()],
        Some(router) => (0..=router.merges.len()).filter_map(|merge| recipe.merge(merge)).collect(),
    }
}

/// What the shortest of the networks can read.
fn longest(plans: &[MergePlan]) -> Result<usize, Failure> {
    let longest = |plan: &MergePlan| {
        network_spec(plan.reference())
            .map(|spec| spec.longest.unwrap_or(NO_LIMIT))
            .map_err(|error| Failure::from_error(&error))
    };
    let all = plans.iter().map(longest).collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().min().unwrap_or(NO_LIMIT))
}

fn refused(error: &CompetitionError, trial: u64) -> Failure {
    let failure = Failure::from_error(error).at(&format!("trial {trial}"));
    match error {
        CompetitionError::Unsupported { .. } => failure.remedy(
            "export another trial with --trial N, or search without what the class does not do",
        ),
        CompetitionError::Checkpoint(_)
        | CompetitionError::Merge(_)
        | CompetitionError::Models { .. }
        | CompetitionError::ClassName { .. } => failure,
    }
}

/// The recipe with the names that its models have on the hub.
fn published_recipe(
    recipe: &Recipe,
    models: &[RunModel],
    places: &[Published],
) -> Result<Recipe, Failure> {
    let references = places
        .iter()
        .map(published::model_ref)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::from_error(&error))?;
    let name = |model: &ModelRef| {
        let place = models.iter().position(|own| own.model == *model);
        place.and_then(|place| references.get(place)).unwrap_or(model).clone()
    };
    Ok(recipe.renamed(&name))
}

fn submitted((model, place): (&RunModel, &Published)) -> SubmittedModel {
    let (adapter, adapter_revision) = place.adapter.clone().unzip();
    SubmittedModel {
        name: model.name.clone(),
        repository: place.repository.clone(),
        revision: place.revision.clone(),
        adapter,
        adapter_revision,
        sha256: model.sha256.clone(),
    }
}

fn run_digest(run: &RunFolder) -> Result<String, Failure> {
    let path = run.path().join("manifest.json");
    let content = std::fs::read(&path)
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?;
    Ok(sha256(&content))
}
