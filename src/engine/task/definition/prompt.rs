//! Which texts a document becomes: `output_type`, `doc_to_*` and the solved examples.

use serde_json::{Map, Value};

use super::error::DefinitionError;
use super::table::Table;
use super::{Choices, DefinitionNote, Dialect, Fewshot, OutputType, Target};
use crate::task::template::Template;

/// lm-eval's default between prompt and answer.
const TARGET_DELIMITER: &str = " ";
/// lm-eval's default between examples.
const FEWSHOT_DELIMITER: &str = "\n\n";
const EXPECTED_TEMPLATE: &str = "a Jinja template, or the name of a field";

pub fn output_type(table: &Table) -> Result<OutputType, DefinitionError> {
    let named = table.name("output_type")?;
    // lm-eval's default.
    let Some(named) = named else { return Ok(OutputType::GenerateUntil) };
    let known = OutputType::ALL.into_iter().find(|known| known.as_str() == named);
    known.ok_or_else(|| {
        let names = OutputType::ALL.map(|known| format!("`{}`", known.as_str()));
        table.wrong("output_type", format!("one of {}", names.join(", ")))
    })
}

pub fn doc_to_text(
    table: &Table,
    output_type: OutputType,
    is_conversation: bool,
) -> Result<Template, DefinitionError> {
    match table.template("doc_to_text")? {
        Some(template) => Ok(template),
        None if output_type == OutputType::LoglikelihoodRolling => Ok(Template::default()),
        None if is_conversation => Ok(Template::field("messages")),
        None => Err(table.missing("doc_to_text", EXPECTED_TEMPLATE)),
    }
}

pub fn doc_to_target(table: &Table, is_conversation: bool) -> Result<Target, DefinitionError> {
    match target(table, "doc_to_target")? {
        Some(target) => Ok(target),
        None if is_conversation => Ok(Target::Of(Template::field("reply"))),
        None => Err(table.missing("doc_to_target", EXPECTED_TEMPLATE)),
    }
}

fn target(table: &Table, key: &str) -> Result<Option<Target>, DefinitionError> {
    match table.get(key) {
        Some(Value::Number(_)) => Ok(table.count(key)?.map(Target::Index)),
        Some(Value::String(_)) => Ok(table.template(key)?.map(Target::Of)),
        Some(_) => {
            Err(table.wrong(key, "a Jinja template, the name of a field, or an index from 0"))
        }
        None => Ok(None),
    }
}

pub fn doc_to_choice(
    table: &Table,
    output_type: OutputType,
) -> Result<Option<Choices>, DefinitionError> {
    let is_multiple_choice = output_type == OutputType::MultipleChoice;
    match choices(table, "doc_to_choice")? {
        None if is_multiple_choice => Err(table.missing(
            "doc_to_choice",
            "a list of texts, the name of a field with a list, or a Jinja template that renders one",
        )),
        Some(_) if !is_multiple_choice => Err(DefinitionError::OutputType {
            place: table.file.place("doc_to_choice"),
            key: "doc_to_choice".into(),
            output_type: output_type.as_str(),
        }),
        choices => Ok(choices),
    }
}

fn choices(table: &Table, key: &str) -> Result<Option<Choices>, DefinitionError> {
    let texts = match table.get(key) {
        None => return Ok(None),
        Some(Value::String(_)) => return Ok(table.template(key)?.map(Choices::Of)),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        // lm-eval takes the values of a mapping.
        Some(Value::Object(map)) => map.values().map(text).collect(),
        Some(_) => None,
    };
    let texts: Option<Vec<String>> = texts;
    match texts.filter(|texts| texts.len() >= 2 && differ(texts)) {
        Some(texts) => Ok(Some(Choices::Fixed(texts))),
        None => {
            Err(table.wrong(key, "two or more different texts, a field with a list, or a template"))
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn differ(texts: &[String]) -> bool {
    texts
        .iter()
        .enumerate()
        .all(|(index, text)| !texts.iter().take(index).any(|other| other == text))
}

pub fn fewshot(
    table: &Table,
    output_type: OutputType,
    notes: &mut Vec<DefinitionNote>,
) -> Result<Fewshot, DefinitionError> {
    let count = table.count("num_fewshot")?.unwrap_or(0);
    if count > 0 && output_type == OutputType::LoglikelihoodRolling {
        return Err(DefinitionError::OutputType {
            place: table.file.place("num_fewshot"),
            key: "num_fewshot".into(),
            output_type: output_type.as_str(),
        });
    }
    let mut fewshot = Fewshot {
        count,
        split: table.name("fewshot_split")?,
        samples: Vec::new(),
        delimiter: table.text("fewshot_delimiter")?.unwrap_or_else(|| FEWSHOT_DELIMITER.into()),
        target_delimiter: table
            .text("target_delimiter")?
            .unwrap_or_else(|| TARGET_DELIMITER.into()),
        doc_to_text: None,
        doc_to_target: None,
        doc_to_choice: None,
    };
    let sampler = configured(table, &mut fewshot)?;
    let is_random = sampler.is_none_or(|sampler| sampler == "default");
    if is_random && count > 0 && table.file.dialect == Dialect::Yaml {
        notes.push(DefinitionNote::FirstFewshot { count });
    }
    Ok(fewshot)
}

/// `fewshot_config`; gives the sampler that it names.
fn configured(table: &Table, fewshot: &mut Fewshot) -> Result<Option<String>, DefinitionError> {
    let keys = [
        "sampler",
        "split",
        "samples",
        "doc_to_text",
        "doc_to_target",
        "doc_to_choice",
        "fewshot_delimiter",
        "target_delimiter",
    ];
    let Some(config) = table.table("fewshot_config", &keys)? else { return Ok(None) };
    fewshot.doc_to_text = config.template("doc_to_text")?;
    fewshot.doc_to_target = target(&config, "doc_to_target")?;
    fewshot.doc_to_choice = choices(&config, "doc_to_choice")?;
    fewshot.samples = samples(&config, fewshot.count)?;
    fewshot.split = config.name("split")?.or(fewshot.split.take());
    for key in ["fewshot_delimiter", "target_delimiter"] {
        if config.has(key) {
            return Err(config.unsupported(key, "the examples are delimited as the task says"));
        }
    }
    let sampler = config.name("sampler")?;
    match sampler.as_deref() {
        None | Some("first_n" | "default") => Ok(sampler),
        Some(_) => Err(config.wrong("sampler", "`first_n`")),
    }
}

fn samples(config: &Table, count: usize) -> Result<Vec<Map<String, Value>>, DefinitionError> {
    let Some(list) = config.list("samples")? else { return Ok(Vec::new()) };
    let samples: Option<Vec<_>> = list.iter().map(|sample| sample.as_object().cloned()).collect();
    let Some(samples) = samples.filter(|samples| !samples.is_empty()) else {
        return Err(config.wrong("samples", "a list of documents, each a table of fields"));
    };
    if samples.len() < count {
        let expected = format!("`num_fewshot` = {count} documents or more, not {}", samples.len());
        return Err(config.wrong("samples", expected));
    }
    Ok(samples)
}
