//! One model to score, wherever it comes from: a checkpoint, an adapter on one, a recipe, routed or not, a GGUF file.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};

use super::load::{
    LoadError, network_spec, require_checkpoint, require_tensors, write_checkpoint, write_some,
    write_tensors,
};
use super::open::{OpenError, open_checkpoint, whole_texts};
use super::routing::{Router, load_routed};
use super::{PlanError, Pool, Resources, RoutingError, Scorer, TaskTokenizer, plan_merge};
use crate::checkpoint::{ArchitectureError, Checkpoint};
use crate::hub::Hub;
use crate::merge::{MergeError, MergePlan, PlannedTensor};
use crate::model::gguf::{Gguf, GgufError};
use crate::model::spec::NetworkSpec;
use crate::model::{ConfigError, DeviceNetwork, Network, Precision};
use crate::recipe::{ModelRef, Recipe};
use crate::task::Task;
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
    pub network: Box<dyn Scorer>,
    /// Of the checkpoint; of a recipe the merged model's.
    pub tokenizer: TaskTokenizer,
    /// Where the model's chat template is, if it has one.
    pub folder: PathBuf,
    /// Of a routed recipe.
    pub(super) router: Option<Router>,
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
    /// The recipe's token router cannot be carried out.
    #[error(transparent)]
    Plan(Box<PlanError>),
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
    /// The recipe's documents cannot be routed.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The weights do not get to where they are to be.
    #[error("cannot write the weights")]
    Write(#[from] candle_core::Error),
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

impl From<PlanError> for SourceError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Merge(error) => error.into(),
            other => SourceError::Plan(Box::new(other)),
        }
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

/// What a model is loaded for.
pub(super) struct Machine<'a> {
    pub resources: &'a Resources,
    pub device: Option<&'a Device>,
    pub pool: &'a Pool,
    pub tasks: &'a [Task],
}

impl Source {
    /// Opens, checks and loads the model on the pool's threads. It is scored on `device` by candle's operations
    /// ([`DeviceNetwork`]) or, if `None`, on the CPU by [`Network`]. candle's own CPU device cannot multiply bf16.
    /// `tasks` are those whose prompts a recipe's token router may name.
    ///
    /// # Errors
    /// See [`SourceError`]; weights that are not finite; less memory than the weights take.
    pub fn load(
        &self,
        hub: &Hub,
        resources: &Resources,
        device: Option<&Device>,
        pool: &Pool,
        tasks: &[Task],
    ) -> Result<ReadyModel, SourceError> {
        let machine = Machine { resources, device, pool, tasks };
        match self {
            Source::Checkpoint(model) => load_checkpoint(model, hub, &machine),
            Source::Recipe(recipe) => match &recipe.document_router {
                None => merge(recipe, hub, &machine),
                Some(router) => load_routed(recipe, router, hub, &machine),
            },
            Source::Gguf(file) => load_gguf(&Gguf::open(file)?, &machine),
        }
    }
}

impl Machine<'_> {
    /// A network of zeros that there is memory for. On the CPU the system gives it none before something is written.
    fn network(
        &self,
        spec: &NetworkSpec,
        unusable: impl Fn(LoadError) -> SourceError,
    ) -> Result<Box<dyn Scorer>, SourceError> {
        let network = self.zeros(spec).map_err(|error| unusable(error.into()))?;
        let (workers, needed) = (self.pool.threads(), Bytes(network.bytes() as u64));
        let available = match self.device {
            None | Some(Device::Cpu) => self.resources.memory(),
            // Its own memory held the zeros already.
            Some(_) => self.resources.memory.unwrap_or(needed),
        };
        match available < needed {
            true => Err(OpenError::Memory { workers, needed, available }.into()),
            false => Ok(network),
        }
    }

    fn zeros(&self, spec: &NetworkSpec) -> candle_core::Result<Box<dyn Scorer>> {
        let precision = self.resources.precision;
        let Some(device) = self.device else {
            return Ok(Box::new(Network::new(spec, precision)?));
        };
        let dtype = match precision {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        };
        Ok(Box::new(DeviceNetwork::new(spec, device, dtype)?))
    }
}

fn load_checkpoint(
    model: &ModelRef,
    hub: &Hub,
    machine: &Machine,
) -> Result<ReadyModel, SourceError> {
    let checkpoint = open_checkpoint(model, hub)?;
    let tokenizer = TaskTokenizer::open(checkpoint.dir())?;
    let unusable = |source| SourceError::Load {
        folder: checkpoint.dir().to_owned(),
        source: Box::new(source),
    };
    let spec = network_spec(&checkpoint).map_err(unusable)?;
    require_checkpoint(&checkpoint, &spec).map_err(unusable)?;
    let network = machine.network(&spec, unusable)?;
    machine.pool.install(|| -> Result<(), SourceError> {
        checkpoint.require_finite().map_err(OpenError::from)?;
        write_checkpoint(&checkpoint, &*network).map_err(unusable)
    })?;
    let folder = checkpoint.dir().to_owned();
    Ok(ReadyModel { network, tokenizer, folder, router: None })
}

/// Models under the names that recipes use, checked.
pub(super) fn open_models(
    names: &[&ModelRef],
    hub: &Hub,
    pool: &Pool,
) -> Result<Vec<(ModelRef, Checkpoint)>, OpenError> {
    let open = |model: &&ModelRef| -> Result<(ModelRef, Checkpoint), OpenError> {
        let checkpoint = open_checkpoint(model, hub)?;
        pool.install(|| checkpoint.require_finite())?;
        Ok(((*model).clone(), checkpoint))
    };
    names.iter().map(open).collect()
}

/// The network that a plan's tensors make.
pub(super) fn merged_spec(plan: &MergePlan) -> Result<NetworkSpec, SourceError> {
    let planned = |name: &str| plan.tensors().iter().find(|tensor| tensor.name == name);
    let spec = NetworkSpec::from_json(&plan.config()?, &|name| planned(name).is_some())?;
    let shape = |name: &str| planned(name).map(|tensor| tensor.shape.as_slice());
    require_tensors(&spec, shape).map_err(merged)?;
    Ok(spec)
}

/// Merges the `wanted` tensors of a plan into its network.
pub(super) fn merge_into(
    network: &dyn Scorer,
    plan: &MergePlan,
    pool: &Pool,
    wanted: impl Fn(&str) -> bool + Sync,
) -> Result<(), SourceError> {
    let planned = |name: &str| plan.tensors().iter().find(|tensor| tensor.name == name);
    let read = |name: &str, _: &[usize]| -> Result<Cow<'static, [f32]>, SourceError> {
        let mut values = vec![0.0; planned(name).map_or(0, PlannedTensor::elements)];
        planned(name).map_or(Ok(()), |tensor| plan.merge_into(tensor, None, &mut values))?;
        Ok(Cow::Owned(values))
    };
    pool.install(|| write_some(network, &wanted, read))
}

/// The tokenizer of a merged model, and the folder of its chat template.
pub(super) fn tokenizer_of(plan: &MergePlan) -> Result<(TaskTokenizer, PathBuf), OpenError> {
    let folder = plan.reference().dir();
    let tokenizer = match plan.vocabulary() {
        Some(vocabulary) => {
            TaskTokenizer::with_settings(whole_texts(vocabulary.tokenizer().clone()), folder)?
        }
        None => TaskTokenizer::open(folder)?,
    };
    Ok((tokenizer, folder.to_owned()))
}

fn merge(recipe: &Recipe, hub: &Hub, machine: &Machine) -> Result<ReadyModel, SourceError> {
    let models = open_models(&recipe.models(), hub, machine.pool)?;
    let models: Vec<(ModelRef, &Checkpoint)> =
        models.iter().map(|(name, checkpoint)| (name.clone(), checkpoint)).collect();
    let plan = plan_merge(recipe, &models, machine.tasks, machine.pool)?;
    let network = machine.network(&merged_spec(&plan)?, merged)?;
    merge_into(&*network, &plan, machine.pool, |_| true)?;
    let (tokenizer, folder) = tokenizer_of(&plan)?;
    Ok(ReadyModel { network, tokenizer, folder, router: None })
}

fn load_gguf(file: &Gguf, machine: &Machine) -> Result<ReadyModel, SourceError> {
    let unusable =
        |source| SourceError::LoadGguf { file: file.path().to_owned(), source: Box::new(source) };
    let spec = file.spec()?;
    require_tensors(&spec, |name| file.shape(name)).map_err(unusable)?;
    let network = machine.network(&spec, unusable)?;
    let read = |name: &str, shape: &[usize]| -> Result<Cow<'static, [f32]>, SourceError> {
        let mut values = vec![0.0; shape.iter().product()];
        file.read(name, &mut values)?;
        Ok(Cow::Owned(values))
    };
    machine.pool.install(|| write_tensors(&*network, read))?;
    let no_tokenizer = || SourceError::NoTokenizer { file: file.path().to_owned() };
    let tokenizer = whole_texts(file.tokenizer()?.ok_or_else(no_tokenizer)?).into();
    let folder = file.path().parent().unwrap_or(Path::new("")).to_owned();
    Ok(ReadyModel { network, tokenizer, folder, router: None })
}
