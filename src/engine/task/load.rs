//! From a task file to a [`Task`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::definition::{self, Dataset, DatasetPath, Definition, Splits};
use super::digest::FilesDigest;
use super::question::{Question, Rendering, written_out};
use super::source::{Format, Row, duplicate_ids, keep, read_kit, read_rows};
use super::split::{Content, benchmark_test, deal};
use super::{Material, Origin, Prompt, Task, TaskError, TaskWarning, kit};
use crate::hub::{DatasetFiles, Hub};
use crate::units::Split;

/// Examples that are kept of a source for prompts: this many may be asked for, and one more for a question that is one.
const EXAMPLES: usize = 65;
const TASK_FILE: &str = "task.toml";

/// Reads tasks.
#[derive(Debug, Clone, Copy)]
pub struct Loader<'a> {
    /// Where datasets of the hub come from; `None`: files only.
    pub hub: Option<&'a Hub>,
}

/// A dataset's files, by its splits.
struct Files {
    by_split: BTreeMap<String, Vec<PathBuf>>,
    commit: Option<String>,
}

/// Questions by split, and the examples that may stand before them.
struct Questions {
    by_split: [Vec<Question>; 3],
    examples: Vec<Question>,
    origin: Origin,
}

impl Loader<'_> {
    /// The task, or in a CSV file of the starter kit the tasks, at `path`: a folder with a `task.toml`, a task file of ours
    /// (`.toml`) or lm-eval's (`.yaml`), or such a CSV file.
    ///
    /// # Errors
    /// See [`TaskError`].
    pub fn load(&self, path: &Path) -> Result<Vec<Task>, TaskError> {
        if path.extension().is_some_and(|extension| extension == "csv") {
            let definitions = kit::definitions(path)?.into_iter();
            return definitions.map(|(own, digest)| self.task(own, digest, true)).collect();
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_file = matches!(extension, Some("toml" | "yaml" | "yml")) && !path.is_dir();
        let file = if is_file { path.to_owned() } else { path.join(TASK_FILE) };
        let (definition, digest) = definition::read(&file)?;
        Ok(vec![self.task(definition, digest, true)?])
    }

    /// The rows of a CSV file of the starter kit as documents that are only answered: few or many, they all form the holdout
    /// split, in the file's order.
    ///
    /// # Errors
    /// See [`TaskError`].
    pub fn questions(&self, file: &Path) -> Result<Vec<Task>, TaskError> {
        let definitions = kit::definitions(file)?.into_iter();
        definitions.map(|(own, digest)| self.task(own, digest, false)).collect()
    }

    fn task(
        &self,
        definition: Definition,
        digest: FilesDigest,
        dealt: bool,
    ) -> Result<Task, TaskError> {
        let mut reader = Reader { definition: &definition, digest, dealt, warnings: Vec::new() };
        let questions = match &definition.dataset {
            None => reader.by_hand()?,
            Some(dataset) => {
                let files = self.files(&definition, dataset)?;
                reader.dealt(dataset, &files)?
            }
        };
        let Reader { digest, warnings, .. } = reader;
        assembled(&definition, questions, digest.hexadecimal(), warnings)
    }

    /// The files of the splits that the task reads.
    fn files(&self, definition: &Definition, dataset: &Dataset) -> Result<Files, TaskError> {
        let splits = splits_read(definition);
        match &dataset.path {
            DatasetPath::Local(_) => local_files(definition, dataset, &splits),
            DatasetPath::Hub { id, revision } => {
                let no_hub = || TaskError::NoHub { path: definition.path.clone(), id: id.clone() };
                let hub = self.hub.ok_or_else(no_hub)?;
                let files = match dataset.files.is_empty() {
                    true => DatasetFiles::Found,
                    false => DatasetFiles::Listed(dataset.files.clone()),
                };
                let config = dataset.name.as_deref();
                let snapshot = hub
                    .dataset(id, revision.as_deref(), config, &files, &splits)
                    .map_err(|source| TaskError::Hub {
                        task: definition.task.clone(),
                        source: Box::new(source),
                    })?;
                Ok(Files { by_split: snapshot.files, commit: Some(snapshot.commit) })
            }
        }
    }
}

/// Names of the dataset's splits that the task reads: of its documents and, where they come from elsewhere, its examples.
fn splits_read(definition: &Definition) -> Vec<&str> {
    let from = match &definition.splits {
        Splits::Dealt { from, .. } => Some(from.as_str()),
        Splits::Files { .. } => None,
    };
    let examples = definition.examples_split().filter(|split| Some(*split) != from);
    from.into_iter().chain(examples).collect()
}

fn local_files(
    definition: &Definition,
    dataset: &Dataset,
    splits: &[&str],
) -> Result<Files, TaskError> {
    let folder = definition.path.parent().unwrap_or(Path::new(""));
    let files_of = |split: &&str| {
        let no_files = || TaskError::NoFiles {
            path: definition.path.clone(),
            split: (*split).to_owned(),
            splits: dataset.files.keys().cloned().collect(),
        };
        let names = dataset.files.get(*split).ok_or_else(no_files)?;
        let paths = names.iter().map(|name| folder.join(name)).collect();
        Ok(((*split).to_owned(), paths))
    };
    let by_split = splits.iter().map(files_of).collect::<Result<_, TaskError>>()?;
    Ok(Files { by_split, commit: None })
}

/// Reads one task's rows.
struct Reader<'a> {
    definition: &'a Definition,
    digest: FilesDigest,
    /// Or else all documents go to the holdout.
    dealt: bool,
    warnings: Vec<TaskWarning>,
}

impl Reader<'_> {
    /// Three files, one per split.
    fn by_hand(&mut self) -> Result<Questions, TaskError> {
        let folder = self.definition.path.parent().unwrap_or(Path::new(""));
        let rendering = Rendering::of_questions(self.definition);
        let mut by_split: [Vec<Question>; 3] = Default::default();
        let mut examples = Vec::new();
        for split in Split::ALL {
            let file = folder.join(self.definition.splits.file(split).unwrap_or_default());
            let format = Format::of_file(&file).unwrap_or(Format::Json);
            let rows = read_rows(&file, format, &mut self.digest)?;
            let rows = self.chosen(rows)?;
            by_split[split as usize] = self.questions(&rendering, &rows)?;
            if split == Split::Search {
                examples = self.own_examples(rows.iter())?;
            }
        }
        check_disjoint(&self.definition.path, &by_split)?;
        Ok(Questions { by_split, examples, origin: Origin::default() })
    }

    /// One split of a dataset, dealt by what the documents say.
    fn dealt(&mut self, dataset: &Dataset, files: &Files) -> Result<Questions, TaskError> {
        let Splits::Dealt { from, shares, .. } = &self.definition.splits else {
            return self.by_hand();
        };
        let rendering = Rendering::of_questions(self.definition);
        let rows = self.rows(dataset, files, from)?;
        let questions = self.questions(&rendering, &rows)?;
        let elsewhere = self.examples_elsewhere(dataset, files, from)?;
        let splits = self.deal(&questions, &elsewhere, *shares)?;
        let examples = match self.definition.examples_split().is_some_and(|split| split != from) {
            true => solved(elsewhere),
            false => {
                let of_search =
                    rows.iter().zip(&splits).filter(|(_, split)| **split == Split::Search);
                self.own_examples(of_search.map(|(row, _)| row))?
            }
        };
        let mut by_split: [Vec<Question>; 3] = Default::default();
        for (question, split) in questions.into_iter().zip(splits) {
            by_split[split as usize].push(question);
        }
        Ok(Questions {
            by_split,
            examples,
            origin: origin(dataset, files, from, self.definition.examples_split()),
        })
    }

    /// Examples are questions that the search has seen: what is nearly the same as one of them is neither selected nor held
    /// out on.
    fn deal(
        &mut self,
        questions: &[Question],
        examples: &[Question],
        shares: [f64; 3],
    ) -> Result<Vec<Split>, TaskError> {
        if !self.dealt {
            return Ok(vec![Split::Holdout; questions.len()]);
        }
        let texts: Vec<String> = questions.iter().chain(examples).map(Question::content).collect();
        let content = |(index, question): (usize, &Question)| {
            let pinned = (index >= questions.len()).then_some(Split::Search);
            (question.stratum.clone(), pinned)
        };
        let about: Vec<(String, Option<Split>)> =
            questions.iter().chain(examples).enumerate().map(content).collect();
        let contents: Vec<Content> = texts
            .iter()
            .zip(&about)
            .map(|(text, (stratum, pinned))| Content { text, stratum, pinned: *pinned })
            .collect();
        let dealt = deal(&contents, shares)
            .map_err(|source| TaskError::Deal { task: self.definition.task.clone(), source })?;
        if dealt.near_duplicates > 0 {
            self.warnings.push(TaskWarning::NearDuplicates {
                documents: questions.len(),
                near: dealt.near_duplicates,
                exact: dealt.exact_duplicates,
                groups: dealt.groups,
                largest: dealt.largest_group,
            });
        }
        Ok(dealt.splits.into_iter().take(questions.len()).collect())
    }

    /// All rows of one of the dataset's splits that the task keeps.
    fn rows(
        &mut self,
        dataset: &Dataset,
        files: &Files,
        split: &str,
    ) -> Result<Vec<Row>, TaskError> {
        let mut rows = Vec::new();
        for file in files.by_split.get(split).into_iter().flatten() {
            rows.extend(self.file(dataset, file)?);
        }
        let rows = self.chosen(rows)?;
        let Some(conversation) = &self.definition.conversation else { return Ok(rows) };
        let (rows, warnings) = conversation.join(rows)?;
        self.warnings.extend(warnings.into_iter().map(TaskWarning::Rows));
        Ok(rows)
    }

    fn file(&mut self, dataset: &Dataset, file: &Path) -> Result<Vec<Row>, TaskError> {
        let format = match &dataset.path {
            DatasetPath::Local(definition::Format::Kit) => {
                return Ok(read_kit(file, &mut self.digest)?);
            }
            DatasetPath::Local(definition::Format::Json) => Some(Format::Json),
            DatasetPath::Local(definition::Format::Csv) => Some(Format::Csv),
            DatasetPath::Local(definition::Format::Parquet) => Some(Format::Parquet),
            DatasetPath::Hub { .. } => Format::of_file(file),
        };
        let unknown = || TaskError::Format { file: file.to_owned() };
        Ok(read_rows(file, format.ok_or_else(unknown)?, &mut self.digest)?)
    }

    /// The rows that `where` keeps.
    fn chosen(&mut self, mut rows: Vec<Row>) -> Result<Vec<Row>, TaskError> {
        for (field, values) in &self.definition.keep {
            // What is left out is what the task file asks for.
            (rows, _) = keep(rows, field, values)?;
        }
        match rows.is_empty() {
            true => Err(TaskError::NoDocuments { path: self.definition.path.clone() }),
            false => Ok(rows),
        }
    }

    fn questions(
        &mut self,
        rendering: &Rendering,
        rows: &[Row],
    ) -> Result<Vec<Question>, TaskError> {
        if let Some(field) = &self.definition.id {
            self.warnings.extend(duplicate_ids(rows, field)?.map(TaskWarning::Rows));
        }
        rows.iter().map(|row| rendering.question(row)).collect()
    }

    /// Questions of a dataset split that is there for examples; none where they come from the documents themselves or are
    /// written out in the task file.
    fn examples_elsewhere(
        &mut self,
        dataset: &Dataset,
        files: &Files,
        from: &str,
    ) -> Result<Vec<Question>, TaskError> {
        let rendering = Rendering::of_examples(self.definition);
        let samples = &self.definition.fewshot.samples;
        if !samples.is_empty() {
            let rows = samples.iter().map(|fields| written_out(fields, &self.definition.path));
            return rows.map(|row| rendering.question(&row)).collect();
        }
        let split = self.definition.examples_split().filter(|split| *split != from);
        let Some(split) = split else { return Ok(Vec::new()) };
        let rows = self.rows(dataset, files, split)?;
        rows.iter().take(EXAMPLES).map(|row| rendering.question(row)).collect()
    }

    /// The first rows of the search split, or what the task file has written out.
    fn own_examples<'r>(
        &self,
        search: impl Iterator<Item = &'r Row>,
    ) -> Result<Vec<Question>, TaskError> {
        let rendering = Rendering::of_examples(self.definition);
        let samples = self.definition.fewshot.samples.iter();
        let samples: Vec<Row> =
            samples.map(|fields| written_out(fields, &self.definition.path)).collect();
        let question = |row: &Row| rendering.question(row);
        let questions: Result<Vec<Question>, TaskError> = match samples.is_empty() {
            true => search.take(EXAMPLES).map(question).collect(),
            false => samples.iter().map(question).collect(),
        };
        Ok(solved(questions?))
    }
}

fn solved(mut questions: Vec<Question>) -> Vec<Question> {
    questions.retain(Question::is_solved);
    questions
}

fn origin(dataset: &Dataset, files: &Files, from: &str, examples: Option<&str>) -> Origin {
    let id = match &dataset.path {
        DatasetPath::Hub { id, .. } => Some(id.clone()),
        DatasetPath::Local(_) => None,
    };
    let mut read = [Some(from), examples].into_iter().flatten();
    let benchmark = id.as_deref().and_then(|id| read.find_map(|split| benchmark_test(id, split)));
    Origin {
        dataset: id,
        commit: files.commit.clone(),
        split: Some(from.to_owned()),
        benchmark_test: benchmark.map(str::to_owned),
    }
}

fn assembled(
    definition: &Definition,
    questions: Questions,
    digest: String,
    warnings: Vec<TaskWarning>,
) -> Result<Task, TaskError> {
    let Questions { by_split, examples, mut origin } = questions;
    if origin.split.is_some() && origin.split == definition.test_split {
        origin.benchmark_test.get_or_insert_with(|| definition.task.clone());
    }
    let prompt = Prompt {
        num_fewshot: definition.fewshot.count,
        system_instruction: definition.system_instruction.clone(),
        apply_chat_template: definition.apply_chat_template,
        fewshot_as_multiturn: definition.fewshot_as_multiturn,
        max_gen_toks: definition.generation.max_gen_toks,
        doc_to_text: None,
        letters: false,
    };
    let task = Task {
        name: definition.task.clone(),
        summary: definition.summary.clone(),
        output_type: definition.output_type,
        metrics: definition.metrics.clone(),
        filters: definition.filters.clone(),
        target_delimiter: definition.target_delimiter.clone(),
        add_bos_token: definition.add_bos_token,
        cuts_prompts: false,
        until: Arc::from(definition.generation.until.clone()),
        license: definition.license.clone(),
        generated_by: definition.generated_by.clone(),
        digest,
        origin,
        notes: definition.notes.clone(),
        warnings,
        material: Arc::new(Material {
            questions: by_split,
            examples,
            examples_have_own_text: definition.fewshot.doc_to_text.is_some(),
            target_delimiter: definition.target_delimiter.clone(),
            fewshot_delimiter: definition.fewshot.delimiter.clone(),
        }),
        documents: [Arc::default(), Arc::default(), Arc::default()],
        prompt: prompt.clone(),
    };
    task.prompted(prompt, None)
}

/// In a task that was split by hand no document may be in two splits.
fn check_disjoint(path: &Path, splits: &[Vec<Question>; 3]) -> Result<(), TaskError> {
    let mut seen: BTreeMap<u64, (Split, &Question)> = BTreeMap::new();
    for (split, questions) in Split::ALL.into_iter().zip(splits) {
        for question in questions {
            let (first, known) = *seen.entry(question.hash()).or_insert((split, question));
            if first != split {
                return Err(TaskError::Shared {
                    path: path.into(),
                    first,
                    first_place: known.place.clone(),
                    second: split,
                    second_place: question.place.clone(),
                });
            }
        }
    }
    Ok(())
}

impl Definition {
    /// The dataset's split that examples are taken from, where that is said or they are to be shown; without one they are the
    /// first documents of the search split.
    fn examples_split(&self) -> Option<&str> {
        if !self.fewshot.samples.is_empty() {
            return None;
        }
        let shown = self.training_split.as_deref().filter(|_| self.fewshot.count > 0);
        self.fewshot.split.as_deref().or(shown)
    }

    /// The field whose values dealing keeps even.
    pub(super) fn stratify(&self) -> Option<&str> {
        match &self.splits {
            Splits::Dealt { stratify, .. } => stratify.as_deref(),
            Splits::Files { .. } => None,
        }
    }

    /// Whether the rows are the starter kit's, whose test set has no right answers.
    pub(super) fn is_kit(&self) -> bool {
        let path = self.dataset.as_ref().map(|dataset| &dataset.path);
        path == Some(&DatasetPath::Local(definition::Format::Kit))
    }
}
