//! Columns back to trials, bit for bit.

use std::path::Path;

use super::columns::{FEASIBLE, INFEASIBLE, accuracy_column, gene_column, metric_column};
use super::doc_ranges::from_text;
use super::items::{Announced, read_items};
use super::part::Part;
use super::table::Table;
use super::{GeneColumn, RecordError, RunManifest, TaskEntry, Trial, TrialKind};
use crate::genome::{Domain, Gene, Genotype};
use crate::outcome::{Cost, DocSubset, Estimate, Evaluation, MetricScore, Outcome, TaskScore};
use crate::units::{Bytes, Seconds, Seed, Split};

/// All rows of one part, each with its items.
pub(super) fn read_part(
    part: Part,
    run: &Path,
    manifest: &RunManifest,
) -> Result<Vec<Trial>, RecordError> {
    let table = &Table::read(&part.trials(run))?;
    for task in manifest.task_names() {
        table.f64(&accuracy_column(task))?;
    }
    (0..table.height())
        .map(|index| Row { table, index }.trial(&part.items(run, index), manifest))
        .collect()
}

/// A trial of the record without its recipe, its genes and what was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecordedRow {
    /// As [`Trial::trial`].
    pub trial: u64,
    /// As [`Trial::generation`].
    pub generation: u64,
    /// As [`Trial::kind`].
    pub kind: TrialKind,
    /// As [`Trial::split`].
    pub split: Split,
    /// As [`Trial::rung`].
    pub rung: u32,
    /// As [`Trial::elapsed`].
    pub elapsed: Seconds,
    /// Where it is.
    pub part: Part,
}

/// All rows of one part, without their items.
pub(super) fn read_rows(part: Part, run: &Path) -> Result<Vec<RecordedRow>, RecordError> {
    let table = &Table::read(&part.trials(run))?;
    (0..table.height()).map(|index| Row { table, index }.recorded(part)).collect()
}

struct Row<'a> {
    table: &'a Table,
    index: usize,
}

impl<'a> Row<'a> {
    fn recorded(&self, part: Part) -> Result<RecordedRow, RecordError> {
        Ok(RecordedRow {
            trial: self.u64("trial")?,
            generation: self.u64("generation")?,
            kind: self.kind()?,
            split: self.split()?,
            rung: self.rung()?,
            elapsed: self.seconds("elapsed_seconds")?,
            part,
        })
    }

    fn trial(&self, items: &Path, manifest: &RunManifest) -> Result<Trial, RecordError> {
        let split = self.split()?;
        let docs = self.docs(split, manifest)?;
        Ok(Trial {
            trial: self.u64("trial")?,
            name: self.table.str("name")?.get(self.index).map(str::to_owned),
            generation: self.u64("generation")?,
            kind: self.kind()?,
            split,
            rung: self.rung()?,
            outcome: self.outcome(docs.as_ref(), items, manifest)?,
            docs,
            geometric_mean: self.estimate("geometric_mean")?,
            objective: self.estimate("objective")?,
            companion: self.table.f64("companion")?.get(self.index),
            recipe: self.str("recipe")?.to_owned(),
            genotype: self.genotype(&manifest.genes)?,
            seed: Seed(self.u64("seed")?),
            elapsed: self.seconds("elapsed_seconds")?,
            started_at: self
                .required("started_at", self.table.i64("started_at")?.get(self.index))?,
        })
    }

    fn kind(&self) -> Result<TrialKind, RecordError> {
        TrialKind::from_word(self.str("kind")?).ok_or_else(|| self.invalid("kind"))
    }

    fn rung(&self) -> Result<u32, RecordError> {
        self.required("rung", self.table.u32("rung")?.get(self.index))
    }

    fn docs(&self, split: Split, manifest: &RunManifest) -> Result<Option<DocSubset>, RecordError> {
        let Some(text) = self.table.str("docs")?.get(self.index) else { return Ok(None) };
        let docs = from_text(text, &manifest.docs(split));
        docs.map(Some).ok_or_else(|| self.invalid("docs"))
    }

    fn outcome(
        &self,
        docs: Option<&DocSubset>,
        items: &Path,
        manifest: &RunManifest,
    ) -> Result<Outcome, RecordError> {
        match self.str("outcome")? {
            INFEASIBLE => Ok(Outcome::Infeasible { reason: self.str("reason")?.to_owned() }),
            FEASIBLE => Ok(Outcome::Feasible(Evaluation {
                tasks: self.tasks(docs, items, manifest)?,
                merge_seconds: self.seconds("merge_seconds")?,
                score_seconds: self.seconds("score_seconds")?,
                seconds_per_item: self.seconds("seconds_per_item")?,
                relative_time: self.f64("relative_time")?,
                peak_bytes: Bytes(self.u64("peak_bytes")?),
                cost: Cost {
                    flops_per_item: self.f64("flops_per_item")?,
                    weight_bytes: Bytes(self.u64("weight_bytes")?),
                },
            })),
            _ => Err(self.invalid("outcome")),
        }
    }

    fn tasks(
        &self,
        docs: Option<&DocSubset>,
        items: &Path,
        manifest: &RunManifest,
    ) -> Result<Vec<TaskScore>, RecordError> {
        let (trial, split, rung) = (self.u64("trial")?, self.split()?, self.rung()?);
        if !items.exists() {
            return Err(RecordError::MissingItems { path: items.to_owned(), trial, split });
        }
        let announced = Announced { trial, split, rung, items: self.u64("items")?, docs };
        let mut tasks = read_items(&Table::read(items)?, &announced, manifest)?;
        for (scored, task) in tasks.iter_mut().zip(&manifest.tasks) {
            scored.others = self.others(task)?;
        }
        Ok(tasks)
    }

    fn others(&self, task: &TaskEntry) -> Result<Vec<MetricScore>, RecordError> {
        let mut others = Vec::new();
        for metric in &task.others {
            let score = self.table.f64(&metric_column(metric, &task.name))?.get(self.index);
            others.extend(score.map(|score| MetricScore { metric: metric.clone(), score }));
        }
        Ok(others)
    }

    fn estimate(&self, name: &str) -> Result<Option<Estimate>, RecordError> {
        let value = self.table.f64(name)?.get(self.index);
        value
            .map(|value| {
                let low = self.f64(&format!("{name}_low"))?;
                let high = self.f64(&format!("{name}_high"))?;
                Ok(Estimate { value, low, high })
            })
            .transpose()
    }

    /// All genes, or none (a baseline).
    fn genotype(&self, genes: &[GeneColumn]) -> Result<Option<Genotype>, RecordError> {
        let values: Vec<Option<Gene>> =
            (genes.iter()).map(|gene| self.gene(gene)).collect::<Result<_, _>>()?;
        if values.iter().all(Option::is_none) {
            return Ok(None);
        }
        (values.into_iter().zip(genes))
            .map(|(value, gene)| self.required(&gene_column(&gene.name), value))
            .collect::<Result<_, _>>()
            .map(|values| Some(Genotype(values)))
    }

    fn gene(&self, gene: &GeneColumn) -> Result<Option<Gene>, RecordError> {
        let name = gene_column(&gene.name);
        Ok(match &gene.domain {
            Domain::Continuous { .. } => self.table.f64(&name)?.get(self.index).map(Gene::Real),
            Domain::Integer { .. } => self.table.i64(&name)?.get(self.index).map(Gene::Integer),
            Domain::Categorical { choices } => match self.table.str(&name)?.get(self.index) {
                None => None,
                Some(word) => {
                    let index = choices.iter().position(|choice| choice == word);
                    Some(Gene::Category(index.ok_or_else(|| self.invalid(&name))?))
                }
            },
        })
    }

    fn split(&self) -> Result<Split, RecordError> {
        self.str("split")?.parse().map_err(|_| self.invalid("split"))
    }

    fn seconds(&self, column: &str) -> Result<Seconds, RecordError> {
        self.f64(column).map(Seconds)
    }

    fn u64(&self, column: &str) -> Result<u64, RecordError> {
        self.required(column, self.table.u64(column)?.get(self.index))
    }

    fn f64(&self, column: &str) -> Result<f64, RecordError> {
        self.required(column, self.table.f64(column)?.get(self.index))
    }

    fn str(&self, column: &str) -> Result<&'a str, RecordError> {
        self.required(column, self.table.str(column)?.get(self.index))
    }

    fn required<T>(&self, column: &str, cell: Option<T>) -> Result<T, RecordError> {
        cell.ok_or_else(|| self.invalid(column))
    }

    fn invalid(&self, column: &str) -> RecordError {
        self.table.invalid(self.index, column)
    }
}
