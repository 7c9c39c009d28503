//! The evaluation tasks: one per skill, and one that mixes them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::Result;
use crate::held_out::is_held_out;
use crate::question::{Level, Question, Skill, two_of};

pub const SPLITS: [(&str, usize); 3] = [("search", 250), ("selection", 300), ("holdout", 1000)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    One(Skill),
    /// A solved question of one skill, then a question of another.
    Mixed,
}

pub const TASKS: [Task; 5] = [
    Task::One(Skill::Arithmetic),
    Task::One(Skill::Logic),
    Task::One(Skill::Strings),
    Task::One(Skill::Agreement),
    Task::Mixed,
];

/// One line of a split: the right choice stands at `answer`.
pub struct Doc {
    pub question: String,
    pub choices: [String; 4],
    pub answer: usize,
}

impl Task {
    pub fn name(self) -> &'static str {
        match self {
            Self::One(skill) => skill.name(),
            Self::Mixed => "mixed",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::One(Skill::Arithmetic) => "A gain or loss between 0 and 9, in words",
            Self::One(Skill::Logic) => "Modus ponens with a rule that affirms or denies",
            Self::One(Skill::Strings) => "Three letters put in order or turned round",
            Self::One(Skill::Agreement) => "The subject's verb in its number, past another noun",
            Self::Mixed => "A solved question of one skill, then a question of another",
        }
    }

    fn question(self, rng: &mut ChaCha8Rng) -> Question {
        match self {
            Self::One(skill) => held_out_question(skill, rng),
            Self::Mixed => {
                let [first, second] = two_of(Skill::ALL.len(), rng);
                let solved = held_out_question(Skill::ALL[first], rng).solved();
                let question = held_out_question(Skill::ALL[second], rng);
                Question { prompt: format!("{solved} {}", question.prompt), ..question }
            }
        }
    }
}

fn held_out_question(skill: Skill, rng: &mut ChaCha8Rng) -> Question {
    loop {
        let question = Question::sample(skill, Level::Full, rng);
        if is_held_out(&question.prompt) {
            return question;
        }
    }
}

/// An endless source of documents that no other split has.
struct Source {
    task: Task,
    seen: HashSet<String>,
}

impl Source {
    /// `count` new documents whose right answers stand equally often in each place.
    fn take(&mut self, count: usize, rng: &mut ChaCha8Rng) -> Result<Vec<Doc>> {
        let mut docs = Vec::with_capacity(count);
        let mut places: Vec<usize> = (0..count).map(|i| i % 4).collect();
        places.shuffle(rng);
        for place in places {
            let question = self.unseen(rng)?;
            let mut choices = question.distractors.to_vec();
            choices.shuffle(rng);
            choices.insert(place, question.answer);
            let choices = choices.try_into().map_err(|_| "a question has four choices")?;
            docs.push(Doc { question: question.prompt, choices, answer: place });
        }
        Ok(docs)
    }

    fn unseen(&mut self, rng: &mut ChaCha8Rng) -> Result<Question> {
        const ATTEMPTS: usize = 1000;
        for _ in 0..ATTEMPTS {
            let question = self.task.question(rng);
            if self.seen.insert(question.prompt.clone()) {
                return Ok(question);
            }
        }
        Err(format!("{}: no unseen question in {ATTEMPTS} attempts", self.task.name()).into())
    }
}

/// Writes every task's folder below `dir`.
pub fn write(dir: &Path, seed: u64) -> Result<()> {
    for (index, task) in TASKS.into_iter().enumerate() {
        let folder = dir.join(task.name());
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("task.toml"), task_toml(task))?;
        for ((name, _), docs) in SPLITS.into_iter().zip(splits(task, index, seed)?.1) {
            write_split(&folder.join(format!("{name}.jsonl")), &docs)?;
        }
    }
    Ok(())
}

/// Writes `count` more documents per task to `fresh.jsonl`, none of which is in a split.
pub fn write_fresh(dir: &Path, seed: u64, count: usize, fresh_seed: u64) -> Result<()> {
    for (index, task) in TASKS.into_iter().enumerate() {
        let (mut source, _) = splits(task, index, seed)?;
        let mut rng = ChaCha8Rng::seed_from_u64(fresh_seed);
        rng.set_stream(index as u64);
        let folder = dir.join(task.name());
        fs::create_dir_all(&folder)?;
        write_split(&folder.join("fresh.jsonl"), &source.take(count, &mut rng)?)?;
    }
    Ok(())
}

pub fn read(dir: &Path, task: Task, split: &str) -> Result<Vec<Doc>> {
    let path = dir.join(task.name()).join(format!("{split}.jsonl"));
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.lines()
        .map(|line| parse(line).ok_or_else(|| format!("{line}: no document").into()))
        .collect()
}

fn splits(task: Task, index: usize, seed: u64) -> Result<(Source, Vec<Vec<Doc>>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index as u64);
    let mut source = Source { task, seen: HashSet::new() };
    let splits =
        SPLITS.iter().map(|&(_, count)| source.take(count, &mut rng)).collect::<Result<_>>()?;
    Ok((source, splits))
}

fn write_split(path: &Path, docs: &[Doc]) -> Result<()> {
    let line = |doc: &Doc| {
        let fields =
            json!({"question": doc.question, "choices": doc.choices, "answer": doc.answer});
        format!("{fields}\n")
    };
    Ok(fs::write(path, docs.iter().map(line).collect::<String>())?)
}

fn parse(line: &str) -> Option<Doc> {
    let value: Value = serde_json::from_str(line).ok()?;
    let choices: Vec<String> = serde_json::from_value(value["choices"].clone()).ok()?;
    Some(Doc {
        question: value["question"].as_str()?.to_string(),
        choices: choices.try_into().ok()?,
        answer: usize::try_from(value["answer"].as_u64()?).ok()?,
    })
}

fn task_toml(task: Task) -> String {
    format!(
        r#"task = "{}"
description = "{}"
output_type = "multiple_choice"
doc_to_text = "{{{{question}}}}"
doc_to_choice = "choices"
doc_to_target = "answer"
target_delimiter = " "
metric = "acc"
license = "MIT OR Apache-2.0"

[splits]
search = "search.jsonl"
selection = "selection.jsonl"
holdout = "holdout.jsonl"
"#,
        task.name(),
        task.description()
    )
}
