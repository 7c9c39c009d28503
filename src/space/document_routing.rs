//! Document routers: their table in the file, and their genes.

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::dimensions::categorical;
use super::error::{Blame, SpaceError};
use super::{Dimension, DocumentRouting, GeneKey, SearchSpace};
use crate::recipe::{Classes, Features, GateKind, Pooling};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDocuments {
    merges: Option<usize>,
    features: Option<Vec<FeatureWord>>,
    buckets: Option<usize>,
    layers: Option<Vec<usize>>,
    pool: Option<Pooling>,
    gates: Option<Vec<GateKind>>,
    classes: Option<RawClasses>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FeatureWord {
    Ngrams,
    Hidden,
    Shape,
}

/// `"tasks"`, or a number of clusters.
#[derive(Debug, Clone, Copy)]
enum RawClasses {
    Tasks,
    Clusters(i64),
}

impl<'de> Deserialize<'de> for RawClasses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = RawClasses;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"tasks\" or a number of clusters")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<RawClasses, E> {
                match word {
                    "tasks" => Ok(RawClasses::Tasks),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_i64<E>(self, count: i64) -> Result<RawClasses, E> {
                Ok(RawClasses::Clusters(count))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// Where nothing is said: enough for the words of a few short tasks.
const BUCKETS: usize = 512;

/// `tasks` is how many the space names.
pub(super) fn check(
    blame: &Blame<'_>,
    raw: &RawDocuments,
    tasks: usize,
) -> Result<DocumentRouting, SpaceError> {
    let merges = raw.merges.unwrap_or(2);
    if !(2..=4).contains(&merges) {
        return Err(blame.value("routing.documents.merges", merges, "2 to 4"));
    }
    let gates = raw.gates.clone().unwrap_or_else(|| vec![GateKind::Centroid]);
    let words = |gates: &[GateKind]| gates.iter().map(|gate| gate.as_str().to_owned()).collect();
    check_list(blame, "routing.documents.gates", words(&gates))?;
    Ok(DocumentRouting {
        merges,
        features: check_features(blame, raw)?,
        gates,
        classes: check_classes(blame, raw.classes.unwrap_or(RawClasses::Tasks), tasks)?,
    })
}

/// A list of choices has one at least, and each once.
pub(super) fn check_list(
    blame: &Blame<'_>,
    key: &str,
    words: Vec<String>,
) -> Result<(), SpaceError> {
    if words.is_empty() {
        return Err(blame.value(key, "empty", "left out, or one value or more"));
    }
    let again = words.iter().enumerate().find(|(i, word)| words[..*i].contains(*word));
    again.map_or(Ok(()), |(_, word)| {
        Err(blame.value(key, format!("{word:?} twice"), "each value once"))
    })
}

fn check_features(blame: &Blame<'_>, raw: &RawDocuments) -> Result<Vec<Features>, SpaceError> {
    let words = raw.features.clone().unwrap_or_else(|| vec![FeatureWord::Ngrams]);
    let shown = words.iter().map(|word| format!("{word:?}").to_lowercase()).collect();
    check_list(blame, "routing.documents.features", shown)?;
    let unused = [
        ("buckets", raw.buckets.is_some(), FeatureWord::Ngrams, "ngrams"),
        ("layers", raw.layers.is_some(), FeatureWord::Hidden, "hidden"),
        ("pool", raw.pool.is_some(), FeatureWord::Hidden, "hidden"),
    ];
    if let Some((key, .., word)) =
        unused.into_iter().find(|(_, given, word, _)| *given && !words.contains(word))
    {
        let valid = format!("left out, or \"{word}\" among the features");
        return Err(blame.value(&format!("routing.documents.{key}"), "without effect", valid));
    }
    let mut features = Vec::new();
    for word in words {
        match word {
            FeatureWord::Ngrams => features.push(check_buckets(blame, raw.buckets)?),
            FeatureWord::Hidden => features.extend(check_layers(blame, raw)?),
            FeatureWord::Shape => features.push(Features::Shape),
        }
    }
    Ok(features)
}

fn check_buckets(blame: &Blame<'_>, raw: Option<usize>) -> Result<Features, SpaceError> {
    match raw.unwrap_or(BUCKETS) {
        buckets @ 1..=65_536 => Ok(Features::Ngrams { buckets }),
        buckets => Err(blame.value("routing.documents.buckets", buckets, "1 to 65536")),
    }
}

/// Each layer is a choice of its own.
fn check_layers(blame: &Blame<'_>, raw: &RawDocuments) -> Result<Vec<Features>, SpaceError> {
    let layers = raw.layers.clone().unwrap_or_else(|| vec![1]);
    let words = layers.iter().map(ToString::to_string).collect();
    check_list(blame, "routing.documents.layers", words)?;
    let pool = raw.pool.unwrap_or(Pooling::Mean);
    Ok(layers.into_iter().map(|layer| Features::Hidden { layer, pool }).collect())
}

fn check_classes(blame: &Blame<'_>, raw: RawClasses, tasks: usize) -> Result<Classes, SpaceError> {
    let key = "routing.documents.classes";
    match raw {
        RawClasses::Tasks if tasks < 2 => {
            let valid = "\"tasks\" with two tasks or more, or a number of clusters from 2 to 64";
            Err(blame.value(key, "\"tasks\" with one task", valid))
        }
        RawClasses::Tasks => Ok(Classes::Tasks(tasks)),
        RawClasses::Clusters(count) => match usize::try_from(count) {
            Ok(count @ 2..=64) => Ok(Classes::Clusters(count)),
            _ => Err(blame.value(key, count, "\"tasks\", or a number of clusters from 2 to 64")),
        },
    }
}

impl SearchSpace {
    /// How many merges a candidate has: 1 without a document router.
    pub fn merges(&self) -> usize {
        self.routing.documents.as_ref().map_or(1, |documents| documents.merges)
    }

    /// Where each class goes, and how classes are told.
    pub(super) fn document_genes(&self) -> Vec<(GeneKey, Dimension)> {
        let Some(routing) = &self.routing.documents else {
            return Vec::new();
        };
        let labels = match routing.classes {
            Classes::Tasks(_) => self.task_labels(),
            Classes::Clusters(count) => (0..count).map(|class| class.to_string()).collect(),
        };
        let merges: Vec<String> =
            (0..routing.merges).map(|merge| format!("merge{merge}")).collect();
        let route = |(class, label): (usize, String)| {
            (GeneKey::Route { class }, categorical(format!("route.{label}"), merges.clone()))
        };
        let mut genes: Vec<_> = labels.into_iter().enumerate().map(route).collect();
        let features = routing.features.iter().map(|features| features.label()).collect();
        genes.extend(choice(GeneKey::GateFeatures, "gate.features", features));
        let kinds = routing.gates.iter().map(|kind| kind.as_str().to_owned()).collect();
        genes.extend(choice(GeneKey::GateKind, "gate.kind", kinds));
        genes
    }
}

/// None where there is nothing to choose.
pub(super) fn choice(
    key: GeneKey,
    name: &str,
    choices: Vec<String>,
) -> Option<(GeneKey, Dimension)> {
    (choices.len() > 1).then(|| (key, categorical(name.to_owned(), choices)))
}
