//! What `eval` and `predict` have in common: which model is scored, on what, and how that is shown.

use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use merge_search::evaluate::{Source, SourceError};
use merge_search::model::gguf::Gguf;
use merge_search::recipe::{ModelRef, Recipe};

use super::Failure;
use super::workbench::{NumberType, WorkerArgs, with_remedy};

/// Where the model comes from that is named so on the command line.
pub fn source(model: &str) -> Result<Source, Failure> {
    let path = Path::new(model);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if Gguf::is_gguf(path) {
        return Ok(Source::Gguf(path.to_owned()));
    }
    if matches!(extension, "yaml" | "yml") && !path.is_dir() {
        let recipe = Recipe::read(path).map_err(|error| Failure::from_error(&error))?;
        return Ok(Source::Recipe(Box::new(recipe)));
    }
    let model = ModelRef::new(model).map_err(|error| Failure::from_error(&error))?;
    Ok(Source::Checkpoint(model))
}

/// Refuses a file that `option` must not write: before an hour of scoring, not after it.
pub fn require_writable(option: &str, file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    if file.exists() {
        return Err(Failure::input(format!("{option} {shown}: the file exists already"))
            .remedy("name another file, or remove this one"));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(Failure::input(format!("{option} {shown}: there is no folder {folder}")));
    }
    match tempfile::tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(error) => {
            let folder = folder.display();
            Err(Failure::input(format!("{option} {shown}: cannot write into {folder}: {error}")))
        }
    }
}

/// With a precision that suits a GPU where none was asked for.
pub fn machine_of(machine: &WorkerArgs, gpu: bool) -> WorkerArgs {
    let default = gpu.then_some(NumberType::Bf16);
    WorkerArgs { precision: machine.precision.or(default), ..machine.clone() }
}

/// Why there is no model to score.
pub fn unusable(error: SourceError) -> Failure {
    match error {
        SourceError::Open(error) => with_remedy(*error),
        error => Failure::from_error(&error),
    }
}

/// What computes.
pub fn computer(device: &str, threads: usize) -> String {
    match device {
        "cpu" => format!("{threads} threads"),
        device => device.to_owned(),
    }
}

/// Counts answers, on a terminal.
pub fn progress_bar(answers: usize, quiet: bool) -> ProgressBar {
    let on_terminal = std::io::stderr().is_terminal() && !quiet;
    let target =
        if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(answers as u64), target);
    let template = "{bar:30} {percent:>3}% {pos} of {len} answers, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
