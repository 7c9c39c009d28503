//! `merge-search export RUN -o DIR --format competition`: a trial as a submission to the LLM Merging competition.

use std::path::Path;

use clap::{Args as ClapArgs, ValueEnum};
use merge_search::recipe::Recipe;
use merge_search::record::RunFolder;
use merge_search::submission::competition::{
    ChoiceScorer, ClassDtype, Files, MANIFEST_FILE, fault_of_class_name, write_folder,
};
use serde_json::json;

use super::dry_run::{self, DryRunArgs};
use super::export_place::require_writable;
use super::export_submission::Submission;
use super::published::{self, PublishedAs};
use super::{Failure, print};

/// What `--format competition` takes.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "With --format competition")]
pub struct CompetitionArgs {
    /// Name of the class [default: the search space's name]
    #[arg(long, value_name = "NAME", value_parser = parse_class_name)]
    pub class_name: Option<String>,
    /// Where a model that is a local folder can be got: its name in the run, and the hub's; may be given several times
    #[arg(long, value_name = "NAME=OWNER/NAME@COMMIT", value_parser = published::parse)]
    pub published: Vec<PublishedAs>,
    /// How the class scores choices: kit, kit_fixed, acc or acc_norm [default: what the run's tasks are judged by]
    #[arg(long, value_name = "METRIC", value_parser = parse_scorer)]
    pub scorer: Option<ChoiceScorer>,
    /// Type that the class holds merged weights in [default: float32, as the kit does]
    #[arg(long, value_name = "TYPE")]
    dtype: Option<TorchDtype>,
    /// New tokens of a text at most [default: the run's, or 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub max_gen_len: Option<u32>,
    /// Export a trial with other prompts although the class does not apply them: its scores are not the class's, and the
    /// papers say so
    #[arg(long)]
    pub without_prompts: bool,
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
    pub fn typed(&self) -> Vec<String> {
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
        typed.extend(self.without_prompts.then(|| "--without-prompts".to_owned()));
        typed
    }

    /// Of the merged weights.
    pub fn dtype(&self) -> ClassDtype {
        match self.dtype {
            None | Some(TorchDtype::Float32) => ClassDtype::Float32,
            Some(TorchDtype::Bfloat16) => ClassDtype::Bfloat16,
        }
    }

    /// The same in torch's word.
    pub fn dtype_name(&self) -> &'static str {
        self.dtype.unwrap_or(TorchDtype::Float32).as_str()
    }

    /// An option that only a submission has, if one was given.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            (self.class_name.is_some(), "--class-name"),
            (!self.published.is_empty(), "--published"),
            (self.scorer.is_some(), "--scorer"),
            (self.dtype.is_some(), "--dtype"),
            (self.max_gen_len.is_some(), "--max-gen-len"),
            (self.without_prompts, "--without-prompts"),
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
