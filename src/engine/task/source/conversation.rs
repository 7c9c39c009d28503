//! Message trees, as OpenAssistant keeps them, to conversations: every good reply with what was said before it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::select::{field_error, plain};
use super::{DatasetError, DatasetWarning, Row};

/// Which columns make a message, in the names of the `[conversation]` table of a task.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// Column with a message's unique id.
    pub id: String,
    /// Column with the id of the message that it answers; null for the first.
    pub parent: String,
    /// Column that says who speaks.
    pub role: String,
    /// Column with what is said.
    pub text: String,
    /// The user's role.
    #[serde(default = "prompter")]
    pub prompter: String,
    /// The model's role.
    #[serde(default = "assistant")]
    pub assistant: String,
    /// Column with the place of a reply among its siblings, 0 for the best. Without it every reply counts.
    pub rank: Option<String>,
}

fn prompter() -> String {
    "prompter".to_owned()
}

fn assistant() -> String {
    "assistant".to_owned()
}

/// What the line of parents of a message comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Unknown,
    /// On the line that is being followed.
    Followed,
    /// Begins with a message without parent.
    Whole,
    /// A parent is missing.
    Orphan,
    Circle,
}

struct Message {
    parent: Option<Parent>,
    is_reply: bool,
    text: String,
    rank: Option<i64>,
}

#[derive(Clone, Copy)]
enum Parent {
    At(usize),
    Missing,
}

impl Conversation {
    /// One row per assistant's reply of rank 0 (or without siblings; unranked among unranked ones it is left out) whose
    /// messages are all there: the reply's own row with the fields `messages` (`{role: user | assistant, content}` from the
    /// first to the last before it) and `reply` added.
    ///
    /// # Errors
    /// A message without one of the columns, or with another role.
    pub fn join(&self, rows: Vec<Row>) -> Result<(Vec<Row>, Vec<DatasetWarning>), DatasetError> {
        let (rows, mut warnings) = self.spoken(rows);
        let (rows, ids) = self.index(rows, &mut warnings)?;
        let messages: Vec<Message> =
            rows.iter().map(|row| self.message(row, &ids)).collect::<Result<_, _>>()?;
        let origins = origins(&messages);
        warnings.extend(left_out(&rows, &messages, &origins));
        let chosen = best_replies(&messages, self.rank.is_some());
        let mut documents = Vec::new();
        for (at, mut row) in rows.into_iter().enumerate() {
            let has_prompt = messages.get(at).is_some_and(|message| message.parent.is_some());
            if !(chosen.contains(&at) && has_prompt && origins.get(at) == Some(&Origin::Whole)) {
                continue;
            }
            row.fields.insert("messages".to_owned(), before(&messages, at));
            let reply = messages.get(at).map(|message| message.text.clone());
            row.fields.insert("reply".to_owned(), Value::from(reply));
            documents.push(row);
        }
        Ok((documents, warnings))
    }

    /// Without the messages whose text is null.
    fn spoken(&self, rows: Vec<Row>) -> (Vec<Row>, Vec<DatasetWarning>) {
        let is_null = |row: &Row| row.fields.get(&self.text).is_some_and(Value::is_null);
        let (silent, spoken): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_null);
        let (count, field) = (silent.len(), self.text.clone());
        let first = silent.into_iter().next();
        let warning = first.map(|row| DatasetWarning::Null { count, field, first: row.place });
        (spoken, warning.into_iter().collect())
    }

    /// The place of each id; of messages with the same id the first stays.
    fn index(
        &self,
        rows: Vec<Row>,
        warnings: &mut Vec<DatasetWarning>,
    ) -> Result<(Vec<Row>, HashMap<String, usize>), DatasetError> {
        warnings.extend(super::duplicate_ids(&rows, &self.id)?);
        let (mut kept, mut ids) = (Vec::with_capacity(rows.len()), HashMap::new());
        for row in rows {
            let id = row.fields.get(&self.id).map(plain).unwrap_or_default();
            if let Entry::Vacant(entry) = ids.entry(id) {
                entry.insert(kept.len());
                kept.push(row);
            }
        }
        Ok((kept, ids))
    }

    fn message(&self, row: &Row, ids: &HashMap<String, usize>) -> Result<Message, DatasetError> {
        let field = |name: &str, expected| {
            row.fields.get(name).ok_or_else(|| field_error(row, name, expected))
        };
        let parent = match field(&self.parent, "the id of a message, or null")? {
            Value::Null => None,
            // What CSV writes for null.
            Value::String(id) if id.is_empty() => None,
            id => Some(ids.get(&plain(id)).map_or(Parent::Missing, |at| Parent::At(*at))),
        };
        let role = field(&self.role, "a role")?.as_str().unwrap_or_default();
        if role != self.assistant && role != self.prompter {
            let expected = "the role of the assistant or of the prompter, as in `[conversation]`";
            return Err(field_error(row, &self.role, expected));
        }
        let text = field(&self.text, "text")?.as_str();
        let text = text.ok_or_else(|| field_error(row, &self.text, "text"))?.to_owned();
        let rank = match &self.rank {
            None => None,
            Some(column) => rank(row, column, field(column, "a rank, or null")?)?,
        };
        Ok(Message { parent, is_reply: role == self.assistant, text, rank })
    }
}

/// pandas writes whole numbers as floats in a column that has nulls.
fn rank(row: &Row, column: &str, value: &Value) -> Result<Option<i64>, DatasetError> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.parse::<f64>().ok(),
        other => other.as_f64(),
    };
    let whole = number.filter(|number| number.fract() == 0.0 && number.abs() < 1e15);
    let wrong = || field_error(row, column, "a whole number, 0 for the best, or null");
    whole.map(|number| Some(number as i64)).ok_or_else(wrong)
}

/// Every line of parents is followed once, however long it is.
fn origins(messages: &[Message]) -> Vec<Origin> {
    let mut origins = vec![Origin::Unknown; messages.len()];
    for start in 0..messages.len() {
        let (mut line, mut at) = (Vec::new(), start);
        let end = loop {
            match origins.get(at) {
                Some(Origin::Unknown) => {}
                Some(Origin::Followed) | None => break Origin::Circle,
                Some(known) => break *known,
            }
            line.push(at);
            set(&mut origins, at, Origin::Followed);
            match messages.get(at).and_then(|message| message.parent) {
                None => break Origin::Whole,
                Some(Parent::Missing) => break Origin::Orphan,
                Some(Parent::At(parent)) => at = parent,
            }
        };
        for at in line {
            set(&mut origins, at, end);
        }
    }
    origins
}

fn set(origins: &mut [Origin], at: usize, origin: Origin) {
    if let Some(place) = origins.get_mut(at) {
        *place = origin;
    }
}

/// Replies that stand for their parent's answer.
fn best_replies(messages: &[Message], ranked: bool) -> HashSet<usize> {
    let mut siblings: HashMap<usize, usize> = HashMap::new();
    let parent = |message: &Message| match message.parent {
        Some(Parent::At(parent)) => Some(parent),
        _ => None,
    };
    for parent in messages.iter().filter(|message| message.is_reply).filter_map(parent) {
        *siblings.entry(parent).or_default() += 1;
    }
    let is_only =
        |message: &Message| parent(message).is_some_and(|at| siblings.get(&at) == Some(&1));
    let is_best = |message: &Message| !ranked || message.rank == Some(0) || is_only(message);
    let replies = messages.iter().enumerate().filter(|(_, message)| message.is_reply);
    replies.filter(|(_, message)| is_best(message)).map(|(at, _)| at).collect()
}

/// The messages from the first to the one that `at` answers.
fn before(messages: &[Message], at: usize) -> Value {
    let mut line = Vec::new();
    let mut next = messages.get(at).and_then(|message| message.parent);
    while let Some(Parent::At(parent)) = next {
        let Some(message) = messages.get(parent) else { break };
        let role = if message.is_reply { "assistant" } else { "user" };
        line.push(json!({"role": role, "content": message.text}));
        next = message.parent;
    }
    line.reverse();
    Value::Array(line)
}

fn left_out(rows: &[Row], messages: &[Message], origins: &[Origin]) -> Vec<DatasetWarning> {
    let of = |kind: Origin| {
        let found = rows.iter().zip(origins).filter(move |(_, origin)| **origin == kind);
        let places: Vec<_> = found.map(|(row, _)| row.place.clone()).collect();
        places.first().cloned().map(|first| (places.len(), first))
    };
    let first_replies = rows.iter().zip(messages);
    let first_replies: Vec<&Row> = first_replies
        .filter(|(_, message)| message.is_reply && message.parent.is_none())
        .map(|(row, _)| row)
        .collect();
    let orphans = of(Origin::Orphan).map(|(count, first)| DatasetWarning::Orphans { count, first });
    let circles = of(Origin::Circle).map(|(count, first)| DatasetWarning::Circles { count, first });
    let unprompted = first_replies.first().map(|row| DatasetWarning::Unprompted {
        count: first_replies.len(),
        first: row.place.clone(),
    });
    orphans.into_iter().chain(circles).chain(unprompted).collect()
}
