//! Whether the test set was searched on.

use std::path::Path;

use crate::rules::{Finding, Verdict};
use crate::task::{ForbiddenTexts, Task, TaskError};
use crate::units::Split;

/// A test set as its owner has it.
#[derive(Debug)]
pub struct TestSet {
    name: String,
    texts: ForbiddenTexts,
}

impl TestSet {
    /// A CSV, JSON-lines or parquet file.
    ///
    /// # Errors
    /// See [`ForbiddenTexts::read`].
    pub fn read(file: &Path) -> Result<TestSet, TaskError> {
        let name = file.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
        Ok(TestSet { name: name.into_owned(), texts: ForbiddenTexts::read(file)? })
    }
}

/// Every split of every task against the test set.
pub fn overlap(tasks: &[&Task], test: &TestSet) -> Vec<Finding> {
    tasks.iter().map(|task| of_task(task, test)).collect()
}

fn of_task(task: &Task, test: &TestSet) -> Finding {
    let found: Vec<_> =
        Split::ALL.into_iter().flat_map(|split| test.texts.overlaps(task, split)).collect();
    let all: usize = Split::ALL.into_iter().map(|split| task.docs(split).len()).sum();
    let verdict = if found.is_empty() { Verdict::Pass } else { Verdict::Fail };
    let first = found.first().map_or_else(String::new, |overlap| format!("; the first: {overlap}"));
    let evidence =
        format!("{} of {all} documents share their words with {}{first}", found.len(), test.name);
    Finding::new("overlap", &task.name, verdict, evidence)
        .remedy("take them out of the task's source (the search refuses them with --forbid-overlap), and search again")
}
