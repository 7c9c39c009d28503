//! A trial as a submission to the competition, and the starter kit run with it, as a user meets both.
mod dry_run;
mod folder;
mod patch;
mod refusals;
mod routed;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::command::{copy, program, repository, succeeded, text};

/// The quickstart's models; the last is named by its branch, the others by their commits.
const MODELS: [&str; 5] = ["base", "arithmetic", "logic", "strings", "agreement"];

/// The trial behind those of the base model and the four experts.
const UNIFORM: &str = "5";

/// A hub cache with the quickstart family in it, and a finished run of a space that names its models by their ids.
struct Place {
    folder: tempfile::TempDir,
}

/// Of a model of the family: every commit has its own.
fn commit(model: &str) -> String {
    let place = MODELS.iter().position(|own| *own == model).unwrap();
    format!("{place}").repeat(40)
}

impl Place {
    /// A space of the repository with other names for its models.
    fn with_space(file: &str, trials: &str) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        copy(&repository().join("datasets"), &place.path("datasets"));
        for model in MODELS {
            let cached = place.cached(model);
            copy(&repository().join("search-spaces/quickstart").join(model), &cached);
            let refs = cached.join("../../refs");
            fs::create_dir_all(&refs).unwrap();
            fs::write(refs.join("main"), commit(model)).unwrap();
        }
        let mut space = fs::read_to_string(repository().join("search-spaces").join(file)).unwrap();
        for model in MODELS {
            let id = match model {
                "agreement" => format!("\"tiny/{model}\""),
                _ => format!("\"tiny/{model}@{}\"", commit(model)),
            };
            space = space.replace(&format!("\"quickstart/{model}\""), &id);
        }
        let few = "search_docs = 4\nselection_docs = 4\nholdout_docs = 4";
        fs::create_dir_all(place.path("search-spaces")).unwrap();
        fs::write(place.space(), space.replace("search_docs = 100", few)).unwrap();
        place.search(trials);
        place
    }

    fn search(&self, trials: &str) {
        let mut search = self.command();
        search.arg(self.space()).args(["--quiet", "--optimizer", "random", "--name", "run"]);
        search.args(["--trials", trials, "--results"]).arg(self.path("results"));
        succeeded(&search.output().unwrap());
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn space(&self) -> PathBuf {
        self.path("search-spaces/space.toml")
    }

    fn run(&self) -> PathBuf {
        self.path("results/run")
    }

    /// The snapshot of a model.
    fn cached(&self, model: &str) -> PathBuf {
        self.path(&format!("hub/models--tiny--{model}/snapshots/{}", commit(model)))
    }

    /// The program, with nothing but this cache.
    fn command(&self) -> Command {
        let mut command = program();
        for variable in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_AUTH_TOKEN"] {
            command.env_remove(variable);
        }
        command.env("HF_HOME", self.folder.path()).env("HF_HUB_OFFLINE", "1");
        command
    }

    /// Of the uniform merge, which has all models, where no other trial is named.
    fn export(&self, output: &str, more: &[&str]) -> Command {
        let mut export = self.export_winner(output, more);
        if !more.contains(&"--trial") {
            export.args(["--trial", UNIFORM]);
        }
        export
    }

    fn export_winner(&self, output: &str, more: &[&str]) -> Command {
        let mut export = self.command();
        export.arg("export").arg(self.run()).args(["--format", "competition", "-o"]);
        export.arg(self.path(output)).args(more);
        export
    }

    /// What a refused export says; nothing may have been written.
    fn refused(&self, mut export: Command) -> String {
        let before = names(self.folder.path());
        let output = export.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}{}", text(&output.stdout));
        assert_eq!(names(self.folder.path()), before, "{said}");
        said
    }
}

/// A copy that a test may spoil. The run in it still takes the documents from where it was made.
fn place() -> Place {
    static MADE: OnceLock<Place> = OnceLock::new();
    let made = MADE.get_or_init(|| Place::with_space("quickstart.toml", "2"));
    let copied = Place { folder: tempfile::tempdir().unwrap() };
    for part in ["hub", "results", "search-spaces"] {
        copy(&made.path(part), &copied.path(part));
    }
    copied
}

/// What lies directly in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        for name in names(&folder.join(&relative)) {
            let path = relative.join(name);
            match folder.join(&path).is_dir() {
                true => open.push(path),
                false => {
                    let content = fs::read(folder.join(&path)).unwrap();
                    found.insert(path.display().to_string(), content);
                }
            }
        }
    }
    found
}

/// What a finished export says on both channels.
fn said(output: &Output) -> String {
    format!("{}{}", succeeded(output), text(&output.stderr))
}
