//! All rules of a profile, held against one subject.

use super::code;
use super::measured::Measured;
use super::models::{self, ModelFacts};
use super::network::Network;
use super::open_data::{self, DataUse, TestSet, overlap};
use super::package::{self, Handed, class_files, setup_files};
use super::subject::{Kind, Subject};
use super::tasks::SpaceTasks;
use super::{Finding, Profile, Verdict, disk, hours, memory, time};
use crate::submission::predictions::AskedRow;
use crate::task::Task;

const OTHER_DOCUMENTS: &str = "the documents are not those of the run (sha256 in manifest.json)";

/// What the user gives besides.
#[derive(Debug, Default)]
pub struct Given {
    /// A dry run's report.
    pub measured: Option<Measured>,
    /// The competition's test set, to be compared with what was searched on.
    pub test: Option<TestSet>,
    /// Its rows, to be compared with predictions.
    pub asked: Option<Vec<AskedRow>>,
}

/// Findings in the order of the profile's tables.
pub fn check(
    profile: &Profile,
    subject: &Subject,
    models: &[ModelFacts],
    given: &Given,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(rules) = &profile.models {
        findings.extend(models::check(models, rules));
    }
    // There is time to convert them before a search, and to name where they went.
    let pickled = if subject.kind == Kind::Space { Verdict::Warn } else { Verdict::Fail };
    findings.extend(models::weights(models, pickled));
    findings.extend(of_data(profile, subject, models, given));
    findings.extend(of_network(profile, subject, models, given));
    if let Some(rules) = &profile.search {
        findings.push(hours::check(rules, subject.search.as_ref()));
    }
    if let Some(handed) = &subject.handed {
        findings.extend(of_folder(profile, handed, given));
    }
    findings
}

fn of_data(
    profile: &Profile,
    subject: &Subject,
    models: &[ModelFacts],
    given: &Given,
) -> Vec<Finding> {
    let Some(rules) = &profile.data else { return Vec::new() };
    let Some(uses) = &subject.data else {
        let run = subject.handed.as_ref().map_or("", |handed| &handed.manifest.run);
        let evidence = format!("submission.json names the run `{run}`, which is not at hand");
        return vec![
            Finding::new("data", "search", Verdict::Unknown, evidence)
                .remedy("check the run folder too: its manifest says what was read"),
        ];
    };
    let mut findings = open_data::check(rules, uses, &family(models));
    let tasks = &subject.tasks;
    findings.extend(tasks.unread.iter().filter(|_| subject.kind == Kind::Space).map(
        |(task, why)| {
            Finding::new("data", task, Verdict::Unknown, why)
                .remedy("put the file there, and check again")
        },
    ));
    findings.extend(overlaps(&subject.tasks, uses, given.test.as_ref()));
    findings
}

/// `uses` are those of the record, if there is one: documents of another digest tell nothing about it.
fn overlaps(tasks: &SpaceTasks, uses: &[DataUse], test: Option<&TestSet>) -> Vec<Finding> {
    let unknown = |task: &str, why: &str, remedy: &str| {
        Finding::new("overlap", task, Verdict::Unknown, why).remedy(remedy)
    };
    let Some(test) = test else {
        let remedy = "give --test-csv FILE, the file that is judged";
        return vec![unknown("test set", "no test set given to compare with", remedy)];
    };
    let digest = |name: &str| uses.iter().find(|used| used.task == name)?.read.as_ref();
    let (same, changed): (Vec<&Task>, Vec<&Task>) = tasks
        .tasks
        .iter()
        .partition(|task| digest(&task.name).is_none_or(|(sha256, _)| *sha256 == task.digest));
    let mut findings = overlap(&same, test);
    let remedy = "put the run's documents back where its tasks read them, and check again";
    let changed = changed.into_iter().map(|task| &task.name);
    findings.extend(changed.map(|task| unknown(task, OTHER_DOCUMENTS, remedy)));
    let absent = tasks.uses.iter().filter(|used| used.read.is_none()).map(|used| &used.task);
    let absent = absent.chain(tasks.unread.iter().map(|(task, _)| task));
    let remedy = "check again where the documents are";
    findings.extend(absent.map(|task| unknown(task, "its documents are not at hand", remedy)));
    findings
}

/// All names of the base model's family.
fn family(models: &[ModelFacts]) -> String {
    let base = models.iter().take(1).flat_map(ModelFacts::chain);
    base.map(|facts| facts.id.as_str()).collect::<Vec<_>>().join(", ")
}

fn of_network(
    profile: &Profile,
    subject: &Subject,
    models: &[ModelFacts],
    given: &Given,
) -> Vec<Finding> {
    let network = Network::new(models, &subject.graph, subject.weights);
    let network = network.as_ref().map_err(String::as_str);
    let mut findings = Vec::new();
    if let Some(rules) = &profile.time {
        findings.extend(time::check(rules, network, given.measured.as_ref()));
    }
    if let Some(measured) = &given.measured {
        let handed = subject.handed.as_ref();
        let class = handed.and_then(|handed| handed.files.get(&class_files(handed)[0]));
        findings.push(measured.check(class.map(String::as_str)));
    }
    if let (Some(rules), Ok(network)) = (&profile.memory, network) {
        findings.extend(memory::check(rules, profile.time.as_ref(), network));
    }
    if let (Some(rules), Ok(network)) = (&profile.disk, network) {
        findings.push(disk::check(rules, network));
    }
    findings
}

fn of_folder(profile: &Profile, handed: &Handed, given: &Given) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(rules) = &profile.submission {
        findings.extend(package::check(rules, handed, given.asked.as_deref()));
    }
    let Some(rules) = &profile.code else { return findings };
    let [head, _] = class_files(handed);
    if handed.files.contains_key(&head) {
        let requirements = handed.text(&setup_files()[0]);
        findings.extend(code::check(rules, &head, &handed.text(&head), &requirements));
    }
    findings
}
