//! The front matter of a model's README.md: YAML between two lines of `---`.

use serde_json::Value;

use super::{Licence, RepositoryFacts, Told};

/// What the text of a README.md says, in `place`.
pub(super) fn read(text: &str, place: &str) -> RepositoryFacts {
    let Some(front) = front_matter(text) else {
        return RepositoryFacts { card: Some(place.to_owned()), ..RepositoryFacts::default() };
    };
    match serde_saphyr::from_str::<Value>(front) {
        Ok(card) => of_value(&card, place),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().next().unwrap_or_default();
            let fault = format!("{place}: the front matter is not YAML ({reason})");
            RepositoryFacts { faults: vec![fault], ..RepositoryFacts::default() }
        }
    }
}

/// The same of front matter that the hub has read.
pub(super) fn of_value(card: &Value, place: &str) -> RepositoryFacts {
    let parents = texts(card.get("base_model"));
    let of_base_model = format!("base_model in {place}");
    RepositoryFacts {
        card: Some(place.to_owned()),
        licence: licence(card).map(|licence| Told::new(licence, place)),
        parents: parents.into_iter().map(|id| Told::new(id, of_base_model.as_str())).collect(),
        tags: texts(card.get("tags")),
        ..RepositoryFacts::default()
    }
}

fn front_matter(text: &str) -> Option<&str> {
    let text = text.trim_start_matches('\u{feff}');
    let rest = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"))?;
    let mut start = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return rest.get(..start);
        }
        start += line.len();
    }
    None
}

/// Of several, the most demanding.
fn licence(card: &Value) -> Option<Licence> {
    let words = texts(card.get("license"));
    let text = |key: &str| card.get(key).and_then(Value::as_str).map(str::to_owned);
    let licence = |word: &String| Licence {
        name: text("license_name"),
        link: text("license_link"),
        ..Licence::of(word)
    };
    words.iter().map(licence).max_by_key(Licence::class)
}

/// A text, or a list of texts.
fn texts(value: Option<&Value>) -> Vec<String> {
    let text =
        |value: &Value| value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_read_in_its_forms() {
        let text = "---\nlicense: other\nlicense_name: llama3\nlicense_link: LICENSE\nbase_model:\n- a/b\n- c/d\n\
                    tags: [merge]\n---\n# Text\nlicense: mit\n";
        let facts = read(text, "README.md");
        let licence = facts.licence.unwrap();
        assert_eq!(
            (licence.value.word().as_str(), licence.place.as_str()),
            ("llama3", "README.md")
        );
        assert_eq!(licence.value.link.as_deref(), Some("LICENSE"));
        let parents: Vec<&str> = facts.parents.iter().map(|it| it.value.as_str()).collect();
        assert_eq!(parents, ["a/b", "c/d"]);
        assert_eq!(facts.tags, ["merge"]);
        let windows = read("---\r\nlicense: [mit, gemma]\r\nbase_model: a/b\r\n---\r\n", "x");
        assert_eq!(windows.licence.unwrap().value.id, "gemma");
        assert_eq!(windows.parents.len(), 1);
    }

    #[test]
    fn a_card_without_a_licence_is_a_card() {
        for text in
            ["# Title\n", "", "---\ntags: [x]\n---\n", "---\nlicense:\n---\n", "---\nno end\n"]
        {
            let facts = read(text, "README.md");
            assert!(facts.card.is_some() && facts.licence.is_none(), "{text}");
        }
    }

    #[test]
    fn front_matter_that_is_no_yaml_is_reported() {
        let facts = read("---\nlicense: [mit\n---\n", "there/README.md");
        assert!(facts.card.is_none() && facts.licence.is_none());
        assert!(facts.faults[0].contains("there/README.md"), "{:?}", facts.faults);
    }
}
