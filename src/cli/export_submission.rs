//! What goes into a submission: models found again, the class, the papers.

use std::path::Path;

use merge_search::evaluate::network_spec;
use merge_search::hub::Hub;
use merge_search::merge::MergePlan;
use merge_search::recipe::{Features, ModelRef, Recipe};
use merge_search::record::{RunFolder, sha256};
use merge_search::space::SearchSpace;
use merge_search::submission::competition::{
    ChoiceScorer, ClassParts, ClassRouter, CompetitionError, ExportTexts, Files, MANIFEST_FORMAT,
    Published, SubmissionManifest, SubmittedModel, class_file, class_name, export_files,
    method_name, needed_transformers, sealed, window_of_newer,
};
use merge_search::submission::{competition_card, report};

use super::export_competition::{CompetitionArgs, Exported};
use super::export_defaults::{max_gen_len, scorer, tasks_as_scored};
use super::export_prompts::{only_in_the_run, require_own_prompts};
use super::published;
use super::run_bench::RunBench;
use super::run_facts;
use super::run_models::{self, RunModel};
use super::submission_facts::{Asked, submission_facts};
use super::workbench::hub;
use super::{Failure, merge};

/// Of models whose positions have no end: far more than any prompt has.
const NO_LIMIT: usize = 1 << 20;

/// All that is written.
pub struct Submission {
    /// Name of the class.
    pub class: String,
    /// What it is called on the kit's command line.
    pub method: String,
    /// The class's file.
    pub code: String,
    models: Vec<SubmittedModel>,
    /// Where the kit's libraries will not do.
    notes: Vec<String>,
    /// By their paths in the folder.
    pub files: Files,
}

impl Submission {
    /// Finds everything again that the trial was scored with.
    pub fn make(args: &CompetitionArgs, exported: &Exported) -> Result<Submission, Failure> {
        let Exported { recipe, run, number } = *exported;
        require_own_prompts(args.without_prompts, recipe, number)?;
        let space = run_models::space(run)?;
        published::require_known(&args.published, &space)?;
        let scorer = scorer(args.scorer, run.manifest())?;
        let hub = hub();
        let models = open_models(recipe, &space, run, &hub)?;
        let place = |model: &RunModel| published::place(model, &args.published, &hub);
        let places = models.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let bench = RunBench::of(recipe, run)?;
        let class = args.class_name.clone().unwrap_or_else(|| class_name(&space.name));
        let tasks = tasks_as_scored(run.manifest(), &space);
        let only_in_the_run = only_in_the_run(recipe, run.manifest(), &tasks);
        let remedy = "say it with --max-gen-len instead";
        let tasks = || tasks.map_err(|failure| failure.remedy(remedy));
        let max_gen_len = max_gen_len(args.max_gen_len, recipe, run.manifest(), tasks)?;
        let asked = Asked { max_gen_len, only_in_the_run };
        let made = Made { class, scorer, asked, models: &models, places: &places };
        let (code, notes) = made.code(args, exported, &bench)?;
        made.submission(args, exported, code, notes)
    }

    /// For standard output.
    pub fn summary(&self, trial: u64, output: &Path, again: bool) -> String {
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
        text.extend(self.notes.iter().map(|note| format!("note: {note}\n")));
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
    asked: Asked,
    models: &'a [RunModel],
    places: &'a [Published],
}

impl Made<'_> {
    /// The class's file, and where the kit's libraries will not do.
    fn code(
        &self,
        args: &CompetitionArgs,
        exported: &Exported,
        bench: &RunBench,
    ) -> Result<(String, Vec<String>), Failure> {
        let max_gen_len = self.asked.max_gen_len;
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
            dtype: args.dtype(),
            max_seq_len,
            max_gen_len,
        };
        let code = class_file(&parts).map_err(|error| refused(&error, exported.number))?;
        Ok((code, notes(&parts)))
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
        notes: Vec<String>,
    ) -> Result<Submission, Failure> {
        let method = method_name(&self.class);
        let recipe = published_recipe(exported.recipe, self.models, self.places)?;
        let models: Vec<SubmittedModel> =
            self.models.iter().zip(self.places).map(submitted).collect();
        let manifest = SubmissionManifest {
            format: MANIFEST_FORMAT,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            class: self.class.clone(),
            method: method.clone(),
            run: run_facts::name(exported.run.path()),
            run_sha256: run_digest(exported.run)?,
            trial: exported.number,
            scorer: self.scorer.as_str().to_owned(),
            dtype: args.dtype_name().to_owned(),
            models: models.clone(),
            files: Files::new(),
        };
        let facts = submission_facts(exported.run, manifest, &recipe, self.asked, args.typed())?;
        let texts = ExportTexts {
            class: &self.class,
            method: &method,
            code: &code,
            recipe: &recipe.to_yaml(),
            card: &competition_card(&facts),
            report: &report(&facts),
        };
        let files = sealed(export_files(&texts), facts.manifest);
        Ok(Submission { class: self.class, method, code, models, notes, files })
    }
}

/// What the user should know of the versions of transformers.
fn notes(parts: &ClassParts) -> Vec<String> {
    let newer = needed_transformers(parts).map(|newer| {
        let (version, what) = (newer.version(), newer.what);
        format!(
            "the class needs transformers {version} or newer; the kit's 4.39.3 does not have {what}"
        )
    });
    let config = parts.merges.first().map(|plan| plan.reference().config());
    let window = config.and_then(window_of_newer).map(|window| {
        format!("of prompts longer than {window} tokens, transformers before 4.53 reads more than the model's window")
    });
    newer.into_iter().chain(window).collect()
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
