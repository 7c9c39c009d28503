//! One model to score, wherever it comes from: a checkpoint, an adapter on one, a recipe, a GGUF file.

use std::path::PathBuf;

use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::load::{LoadError, load_network, network_spec, require_tensors};
use super::open::{OpenError, open_checkpoint, open_tokenizer};
use super::resident::{ResidentError, Residents};
use super::{Pool, Resources};
use crate::checkpoint::{ArchitectureError, Checkpoint, Hub};
use crate::merge::{MergeError, MergePlan};
use crate::model::gguf::{Gguf, GgufError};
use crate::model::spec::NetworkSpec;
use crate::model::{ConfigError, Network};
use crate::recipe::{ModelRef, Recipe};
use crate::units::Bytes;

/// Where a model comes from.
#[derive(Debug)]
pub enum Source {
    /// A folder or hub id, with an adapter if it names one.
    Checkpoint(ModelRef),
    /// Merged in memory.
    Recipe(Box<Recipe>),
    /// A file of llama.cpp's.
    Gguf(PathBuf),
}

/// A model in memory, and the tokenizer that belongs to it.
pub struct ReadyModel {
    /// The network.
    pub network: Network,
    /// Of the checkpoint; of a recipe the merged model's.
    pub tokenizer: Tokenizer,
}

/// Why a model cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A checkpoint cannot be found or used.
    #[error(transparent)]
    Open(Box<OpenError>),
    /// Its tensors make no network.
    #[error("cannot build {}", folder.display())]
    Load {
        /// The checkpoint.
        folder: PathBuf,
        /// Why.
        #[source]
        source: Box<LoadError>,
    },
    /// The recipe cannot be carried out.
    #[error(transparent)]
    Merge(Box<MergeError>),
    /// The merged model has no config.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// The merged model's config has something this program does not compute.
    #[error("the merged model")]
    Config(Box<ConfigError>),
    /// The merged tensors make no network.
    #[error("cannot build the merged model")]
    Merged(#[source] Box<LoadError>),
    /// The GGUF file cannot be used.
    #[error(transparent)]
    Gguf(Box<GgufError>),
    /// The GGUF file's tensors make no network.
    #[error("cannot build {}", file.display())]
    LoadGguf {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<LoadError>,
    },
    /// The GGUF file has none.
    #[error("{}: the file has no tokenizer; put the model's tokenizer.json into the same folder", file.display())]
    NoTokenizer {
        /// The file.
        file: PathBuf,
    },
}

impl From<OpenError> for SourceError {
    fn from(error: OpenError) -> Self {
        SourceError::Open(Box::new(error))
    }
}

impl From<MergeError> for SourceError {
    fn from(error: MergeError) -> Self {
        SourceError::Merge(Box::new(error))
    }
}

impl From<ConfigError> for SourceError {
    fn from(error: ConfigError) -> Self {
        SourceError::Config(Box::new(error))
    }
}

impl From<GgufError> for SourceError {
    fn from(error: GgufError) -> Self {
        SourceError::Gguf(Box::new(error))
    }
}

fn merged(error: LoadError) -> SourceError {
    SourceError::Merged(Box::new(error))
}

impl From<ResidentError> for SourceError {
    fn from(error: ResidentError) -> Self {
        match error {
            ResidentError::Merge(error) => error.into(),
            ResidentError::Load(error) => merged(error),
            ResidentError::Write(error) => merged(error.into()),
        }
    }
}

impl Source {
    /// Opens, checks and loads the model on the pool's threads.
    ///
    /// # Errors
    /// See [`SourceError`]; weights that are not finite; less memory than the weights take.
    pub fn load(
        &self,
        hub: &Hub,
        resources: &Resources,
        pool: &Pool,
    ) -> Result<ReadyModel, SourceError> {
        match self {
            Source::Checkpoint(model) => load_checkpoint(model, hub, resources, pool),
            Source::Recipe(recipe) => merge(recipe, hub, resources, pool),
            Source::Gguf(file) => load_gguf(&Gguf::open(file)?, resources, pool),
        }
    }
}

fn load_checkpoint(
    model: &ModelRef,
    hub: &Hub,
    resources: &Resources,
    pool: &Pool,
) -> Result<ReadyModel, SourceError> {
    let checkpoint = open_checkpoint(model, hub)?;
    let tokenizer = open_tokenizer(checkpoint.dir())?;
    let unusable = |source| SourceError::Load {
        folder: checkpoint.dir().to_owned(),
        source: Box::new(source),
    };
    let spec = network_spec(&checkpoint).map_err(unusable)?;
    drop(network_of_zeros(&spec, resources, pool, unusable)?);
    let network = pool.install(|| {
        checkpoint.require_finite().map_err(OpenError::from)?;
        load_network(&checkpoint, resources.precision).map_err(unusable)
    })?;
    Ok(ReadyModel { network, tokenizer })
}

fn merge(
    recipe: &Recipe,
    hub: &Hub,
    resources: &Resources,
    pool: &Pool,
) -> Result<ReadyModel, SourceError> {
    let open = |model: &&ModelRef| -> Result<(ModelRef, Checkpoint), OpenError> {
        let checkpoint = open_checkpoint(model, hub)?;
        pool.install(|| checkpoint.require_finite())?;
        Ok(((*model).clone(), checkpoint))
    };
    let models = recipe.models().iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let models: Vec<(ModelRef, &Checkpoint)> =
        models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
    let plan = pool.install(|| MergePlan::new(recipe, &models))?;
    let has = |name: &str| plan.tensors().iter().any(|tensor| tensor.name == name);
    let spec = NetworkSpec::from_json(&plan.config()?, &has)?;
    drop(network_of_zeros(&spec, resources, pool, merged)?);
    let (resident, _seconds) = Residents::new(resources.precision).merge(&plan, &spec, pool)?;
    let tokenizer = match plan.vocabulary() {
        Some(vocabulary) => vocabulary.tokenizer().clone(),
        None => open_tokenizer(plan.reference().dir())?,
    };
    Ok(ReadyModel { network: resident.network, tokenizer })
}

/// A network that there is memory for. As long as nothing is written to it, the system gives it none.
fn network_of_zeros(
    spec: &NetworkSpec,
    resources: &Resources,
    pool: &Pool,
    unusable: impl Fn(LoadError) -> SourceError,
) -> Result<Network, SourceError> {
    let network =
        Network::new(spec, resources.precision).map_err(|error| unusable(error.into()))?;
    let (workers, needed) = (pool.threads(), Bytes(network.bytes() as u64));
    match resources.memory() {
        available if available < needed => {
            Err(OpenError::Memory { workers, needed, available }.into())
        }
        _ => Ok(network),
    }
}

fn load_gguf(file: &Gguf, resources: &Resources, pool: &Pool) -> Result<ReadyModel, SourceError> {
    let unusable =
        |source| SourceError::LoadGguf { file: file.path().to_owned(), source: Box::new(source) };
    let network = network_of_zeros(&file.spec()?, resources, pool, unusable)?;
    require_tensors(&network, |name| file.shape(name)).map_err(unusable)?;
    let tensors: Vec<(&str, &[usize])> = network.tensors().collect();
    let write = |(name, shape): &(&str, &[usize])| -> Result<(), SourceError> {
        let mut values = vec![0.0; shape.iter().product()];
        file.read(name, &mut values)?;
        network.write(name, &values).map(drop).map_err(|error| unusable(error.into()))
    };
    // One by one: every thread holds one dequantized tensor at most.
    let written: Vec<_> = pool.install(|| tensors.par_iter().with_max_len(1).map(write).collect());
    written.into_iter().collect::<Result<(), _>>()?;
    let no_tokenizer = || SourceError::NoTokenizer { file: file.path().to_owned() };
    Ok(ReadyModel { network, tokenizer: file.tokenizer()?.ok_or_else(no_tokenizer)? })
}
