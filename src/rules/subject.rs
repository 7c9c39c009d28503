//! What is checked, and what it says of itself: a search space, a run, or an exported folder.

use std::path::Path;

use super::data::DataUse;
use super::graph::Graph;
use super::hours::SearchTime;
use super::package::Handed;
use super::tasks::SpaceTasks;
use crate::recipe::{InvalidModelRef, ModelRef, Recipe, RecipeError};
use crate::record::{RecordError, RunFolder};
use crate::space::SearchSpace;
use crate::submission::RECIPE_FILE;
use crate::submission::competition::{MANIFEST_FILE, SubmittedModel};
use crate::target::Weights;
use crate::units::Seconds;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file, before a search.
    Space,
    /// A folder with `manifest.json`.
    Run,
    /// A folder with `submission.json`.
    Submission,
}

impl Kind {
    /// By the files that are there; `None`: none of the three.
    pub fn of(path: &Path) -> Option<Kind> {
        match () {
            () if path.is_file() => Some(Kind::Space),
            () if path.join(MANIFEST_FILE).is_file() => Some(Kind::Submission),
            () if path.join("manifest.json").is_file() => Some(Kind::Run),
            () => None,
        }
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Space => "search space",
            Kind::Run => "run",
            Kind::Submission => "submission",
        }
    }
}

/// Everything that rules look at, besides the models themselves.
#[derive(Debug)]
pub struct Subject {
    /// Which kind.
    pub kind: Kind,
    /// The base model first; names as in the space.
    pub models: Vec<(String, ModelRef)>,
    /// `None`: what was searched on is not told here.
    pub data: Option<Vec<DataUse>>,
    /// Tasks whose documents are at hand, and files of tasks that are not.
    pub tasks: SpaceTasks,
    /// Sizes against the base model.
    pub graph: Graph,
    /// Precision that is decided.
    pub weights: Option<Weights>,
    /// Of a run.
    pub search: Option<SearchTime>,
    /// Of a submission.
    pub handed: Option<Handed>,
}

/// Why a submission's files tell nothing.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// A model's name is none.
    #[error("{MANIFEST_FILE}: models")]
    Model(#[from] InvalidModelRef),
    /// There are none.
    #[error("{MANIFEST_FILE}: `models` is empty")]
    NoModels,
    /// The recipe is no recipe.
    #[error("{RECIPE_FILE}")]
    Recipe(#[from] RecipeError),
    /// The weights' type is none.
    #[error("{MANIFEST_FILE}: dtype is {found:?}; valid: float32, bfloat16")]
    Dtype {
        /// What it is.
        found: String,
    },
}

impl Subject {
    /// Before a search.
    pub fn of_space(space: &SearchSpace, tasks: SpaceTasks) -> Subject {
        Subject {
            kind: Kind::Space,
            models: models(space),
            data: Some(tasks.uses.clone()),
            tasks,
            graph: Graph::of_space(space),
            weights: None,
            search: None,
            handed: None,
        }
    }

    /// While or after a search over `space`.
    ///
    /// # Errors
    /// The run's tables cannot be read.
    pub fn of_run(
        run: &RunFolder,
        space: &SearchSpace,
        tasks: SpaceTasks,
    ) -> Result<Subject, RecordError> {
        let manifest = run.manifest();
        let elapsed = run.rows()?.iter().map(|row| row.elapsed.0).fold(0.0, f64::max);
        let name = run.path().file_name().map(|name| name.to_string_lossy().into_owned());
        let search = SearchTime {
            run: name.unwrap_or_default(),
            budget: manifest.budget.seconds.map(Seconds),
            elapsed: Seconds(elapsed),
        };
        let graph = Graph::of_front(&run.front()?).unwrap_or_else(|| Graph::of_space(space));
        Ok(Subject {
            kind: Kind::Run,
            data: Some(manifest.tasks.iter().map(DataUse::from).collect()),
            graph,
            search: Some(search),
            ..Subject::of_space(space, tasks)
        })
    }

    /// As it is to be handed in.
    ///
    /// # Errors
    /// See [`SubjectError`].
    pub fn of_submission(handed: Handed) -> Result<Subject, SubjectError> {
        let manifest = &handed.manifest;
        let models = manifest.models.iter().map(submitted).collect::<Result<Vec<_>, _>>()?;
        if models.is_empty() {
            return Err(SubjectError::NoModels);
        }
        let weights = match manifest.dtype.as_str() {
            "float32" => Weights::F32,
            "bfloat16" => Weights::Bf16,
            _ => return Err(SubjectError::Dtype { found: manifest.dtype.clone() }),
        };
        let recipe = Recipe::from_yaml(&handed.text(RECIPE_FILE))?;
        Ok(Subject {
            kind: Kind::Submission,
            models,
            data: None,
            tasks: SpaceTasks::default(),
            graph: Graph::Recipe(Box::new(recipe)),
            weights: Some(weights),
            search: None,
            handed: Some(handed),
        })
    }
}

fn models(space: &SearchSpace) -> Vec<(String, ModelRef)> {
    let experts = space.experts.iter().map(|expert| (expert.name.clone(), expert.model.clone()));
    std::iter::once(("base".to_owned(), space.base.clone())).chain(experts).collect()
}

fn submitted(model: &SubmittedModel) -> Result<(String, ModelRef), InvalidModelRef> {
    let mut text = format!("{}@{}", model.repository, model.revision);
    if let Some(adapter) = &model.adapter {
        text.push_str(&format!("+{adapter}"));
        text.extend(model.adapter_revision.iter().map(|revision| format!("@{revision}")));
    }
    Ok((model.name.clone(), ModelRef::new(text)?))
}
