//! The model that predictions are made with: a run's winner, or whatever `eval` scores.

use std::path::Path;

use merge_search::evaluate::{Pool, ReadyModel, Source, ready_tasks};
use merge_search::merge::token_router;
use merge_search::recipe::{Prompts, Recipe};
use merge_search::record::RunFolder;
use merge_search::submission::competition::ChoiceScorer;
use merge_search::task::Task;

use super::workbench::hub;
use super::{Failure, export_defaults, quickstart, run_models, scored, tell, trials};

/// What every run's folder has.
const MANIFEST: &str = "manifest.json";

/// A model that is not loaded yet.
pub struct PredictionModel {
    source: Source,
    run: Option<RunFolder>,
}

impl PredictionModel {
    /// Finds it; a folder with a manifest is a run.
    pub fn open(name: &str, trial: Option<u64>) -> Result<Self, Failure> {
        let path = Path::new(name);
        if !path.join(MANIFEST).is_file() {
            return match trial {
                None => Ok(PredictionModel { source: scored::source(name)?, run: None }),
                Some(number) => Err(Failure::input(format!(
                    "--trial {number}: {name} is not a run folder: it has no {MANIFEST}"
                ))),
            };
        }
        let run = RunFolder::open(path)?;
        if run.manifest().space.path == quickstart::NAME {
            quickstart::unpack()?;
        }
        let (_, text) = trials::chosen(&run.trials()?, trial, path)?;
        let recipe = Recipe::from_yaml(&text).map_err(|error| Failure::from_error(&error))?;
        // Only to see that they are there, and are what the run scored.
        run_models::open(&recipe.models(), &run_models::space(&run)?, &run, &hub())?;
        Ok(PredictionModel { source: Source::Recipe(Box::new(recipe)), run: Some(run) })
    }

    /// `None` where nothing is merged.
    pub fn recipe(&self) -> Option<&Recipe> {
        match &self.source {
            Source::Recipe(recipe) => Some(recipe),
            Source::Checkpoint(_) | Source::Gguf(_) => None,
        }
    }

    /// As an export has it; without a run `acc`. Where nothing has `choices`, none need be agreed on.
    pub fn scorer(
        &self,
        asked: Option<ChoiceScorer>,
        choices: bool,
    ) -> Result<ChoiceScorer, Failure> {
        match (asked, &self.run) {
            (None, Some(run)) if choices => export_defaults::scorer(None, run.manifest()),
            _ => Ok(asked.unwrap_or(ChoiceScorer::Acc)),
        }
    }

    /// New tokens of a text as an export has it; `None`: as the rows say.
    pub fn max_gen_toks(&self, asked: Option<u32>, texts: bool) -> Result<Option<usize>, Failure> {
        match (asked, &self.run, self.recipe()) {
            (None, Some(run), Some(recipe)) if texts => {
                let space = run_models::space(run)?;
                let tasks = || export_defaults::tasks_as_scored(run.manifest(), &space);
                let tokens = export_defaults::max_gen_len(None, recipe, run.manifest(), tasks);
                tokens.map(Some).map_err(|failure| failure.remedy("say it with --max-gen-toks"))
            }
            _ => Ok(asked.map(|tokens| tokens as usize)),
        }
    }

    /// Prompts of a recipe are those of its run's tasks, which no file of the kit's is.
    pub fn tell_prompts(&self) {
        let Some(recipe) = self.recipe().filter(|recipe| !recipe.prompts.is_empty()) else {
            return;
        };
        let tasks: Vec<&str> = recipe.prompts.keys().map(String::as_str).collect();
        tell(&format!(
            "note: the recipe's prompts for {} are not applied: `input` is read as it is, as by the class that is exported",
            tasks.join(", ")
        ));
    }

    /// Where it comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// With the gate that a document router had in the run; `tasks` are [those](Self::router_tasks) that it was fitted to.
    pub fn fitted(
        &self,
        model: ReadyModel,
        tasks: &[Task],
        pool: &Pool,
    ) -> Result<ReadyModel, Failure> {
        if self.recipe().is_none_or(|recipe| recipe.document_router.is_none()) {
            return Ok(model);
        }
        let tasks = ready_tasks(tasks, &model.folder)?;
        model.fitted_to(&tasks, pool).map_err(|error| Failure::from_error(&error))
    }

    /// The run's tasks, where routers are fitted to them.
    pub fn router_tasks(&self) -> Result<Vec<Task>, Failure> {
        match (&self.run, self.recipe()) {
            (Some(run), Some(recipe)) if needs_tasks(recipe) => {
                export_defaults::tasks_as_scored(run.manifest(), &run_models::space(run)?)
            }
            (None, Some(recipe)) if needs_tasks(recipe) => Err(Failure::input(
                "the recipe's router is fitted to the tasks of its run, which a recipe alone does not have",
            )
            .remedy("name the run's folder, with --trial N for another trial than its winner")),
            _ => Ok(Vec::new()),
        }
    }
}

fn needs_tasks(recipe: &Recipe) -> bool {
    let experts = token_router(recipe).map_or(&[][..], |router| &router.experts);
    recipe.document_router.is_some()
        || experts.iter().any(|expert| matches!(expert.positive_prompts, Prompts::Task(_)))
}
