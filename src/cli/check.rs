//! `merge-search check PATH --rules NAME`: a competition's rules, before a search, after it, and on what is handed in.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use merge_search::hub::Hub;
use merge_search::record::RunFolder;
use merge_search::rules::measured::Measured;
use merge_search::rules::models::{self, Evidence, ModelFacts};
use merge_search::rules::open_data::TestSet;
use merge_search::rules::package::Handed;
use merge_search::rules::subject::{Kind, Subject};
use merge_search::rules::tasks::SpaceTasks;
use merge_search::rules::{Finding, Given, Profile, Verdict, check};
use merge_search::space::SearchSpace;
use merge_search::submission::predictions::asked_rows;
use serde_json::json;

use super::workbench::{SpaceSource, hub};
use super::{Failure, print, tasks};

/// Holds a search space, a run or an exported submission against a competition's rules
///
/// Every rule gives PASS, WARN, FAIL or UNKNOWN with its evidence. The exit code is 2 where a rule is broken (FAIL), else 0:
/// WARN and UNKNOWN are for you to look at. Nothing is downloaded; without --offline the hub is asked about models that are not
/// here.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Search space (.toml, or mergekit-evolve's .yaml), run folder, or folder of `export --format competition`
    path: PathBuf,
    /// merging-2024, efficiency-2023, seed, or a file of your own (.toml)
    #[arg(long, value_name = "NAME")]
    rules: String,
    /// What you know of models: TOML with a `[[model]]` table for each, with id, revision, committed, license, parameters, …
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Do not ask the hub
    #[arg(long)]
    offline: bool,
    /// The file that is judged (the kit's test.csv): compared with what was searched on, and with submission.csv
    #[arg(long, value_name = "FILE")]
    test_csv: Option<PathBuf>,
    /// Report of `export --format competition --dry-run-kit`, for measured times
    #[arg(long, value_name = "FILE")]
    dry_run_report: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks and prints; a broken rule is a failure.
pub fn run(args: &Args) -> Result<(), Failure> {
    let profile = profile(&args.rules)?;
    let hub = Hub { offline: args.offline || hub().offline, ..hub() };
    let evidence = match &args.evidence {
        Some(file) => Evidence::read(file).map_err(|error| Failure::from_error(&error))?,
        None => Evidence::default(),
    };
    let subject = subject(&args.path, &hub, args.test_csv.is_some())?;
    let given = given(args, subject.kind)?;
    let facts: Vec<ModelFacts> = (subject.models.iter())
        .map(|(name, model)| models::facts(model, name, &hub, &evidence))
        .collect();
    let findings = check(&profile, &subject, &facts, &given);
    let report = Report { profile: &profile, kind: subject.kind, path: &args.path, findings };
    print(&if args.json { report.json() } else { report.text() })?;
    report.verdict()
}

fn profile(rules: &str) -> Result<Profile, Failure> {
    let file = Path::new(rules);
    let read = match file.extension().is_some_and(|extension| extension == "toml") {
        true => Profile::read(file),
        false => Profile::named(rules),
    };
    read.map_err(|error| Failure::from_error(&error).at("--rules"))
}

/// `documents`: those of a run are wanted too.
fn subject(path: &Path, hub: &Hub, documents: bool) -> Result<Subject, Failure> {
    match Kind::of(path) {
        Some(Kind::Space) => {
            let source = SpaceSource::open(Some(path))?;
            let space = SearchSpace::parse(&source.text, &source.file)?;
            let tasks = SpaceTasks::read(&space, hub);
            Ok(Subject::of_space(&space, tasks))
        }
        Some(Kind::Run) => of_run(path, hub, documents),
        Some(Kind::Submission) => {
            let handed = Handed::read(path).map_err(|error| Failure::from_error(&error))?;
            Subject::of_submission(handed)
                .map_err(|error| Failure::from_error(&error).at(&path.display().to_string()))
        }
        None if !path.exists() => {
            Err(Failure::input(format!("{}: no such file or folder", path.display())))
        }
        None => Err(Failure::input(format!(
            "{}: neither a run (manifest.json) nor an exported submission (submission.json)",
            path.display()
        ))
        .remedy("give a search space file, a run folder, or the folder of `export --format competition`")),
    }
}

fn of_run(path: &Path, hub: &Hub, documents: bool) -> Result<Subject, Failure> {
    let run = RunFolder::open(path)?;
    let recorded = &run.manifest().space;
    let source = SpaceSource::recorded(&recorded.path, &recorded.text)?;
    let space = SearchSpace::parse(&source.text, &source.file)?;
    let tasks = if documents { SpaceTasks::read(&space, hub) } else { SpaceTasks::default() };
    Ok(Subject::of_run(&run, &space, tasks)?)
}

fn given(args: &Args, kind: Kind) -> Result<Given, Failure> {
    let mut given = Given::default();
    if let Some(file) = &args.dry_run_report {
        given.measured = Some(Measured::read(file).map_err(|error| Failure::from_error(&error))?);
    }
    match (&args.test_csv, kind) {
        (Some(file), Kind::Submission) => {
            let asked = asked_rows(&tasks::questions(file)?);
            given.asked = Some(asked.map_err(|error| Failure::from_error(&error))?);
        }
        (Some(file), Kind::Space | Kind::Run) => {
            given.test = Some(TestSet::read(file).map_err(|error| Failure::from_error(&error))?);
        }
        (None, _) => {}
    }
    Ok(given)
}

struct Report<'a> {
    profile: &'a Profile,
    kind: Kind,
    path: &'a Path,
    findings: Vec<Finding>,
}

/// The worst last, where it stands nearest to the summary.
const VERDICTS: [Verdict; 4] = [Verdict::Pass, Verdict::Unknown, Verdict::Warn, Verdict::Fail];

impl Report<'_> {
    fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    fn text(&self) -> String {
        let profile = self.profile;
        let (kind, path) = (self.kind.as_str(), self.path.display());
        let mut text = format!("{} ({}): {kind} {path}\n\n", profile.title, profile.name);
        let width = |of: fn(&Finding) -> &str| {
            self.findings.iter().map(|finding| of(finding).chars().count()).max().unwrap_or(0)
        };
        let (rules, subjects) = (width(|finding| finding.rule), width(|finding| &finding.subject));
        for Finding { rule, subject, verdict, evidence, .. } in &self.findings {
            text.push_str(&format!(
                "{verdict:<7}  {rule:<rules$}  {subject:<subjects$}  {evidence}\n"
            ));
        }
        text.push_str(&self.remedies());
        text.push_str(&self.sources());
        text + &self.summary()
    }

    /// Each once, with what it is for.
    fn remedies(&self) -> String {
        let mut said: Vec<(&str, Vec<String>)> = Vec::new();
        for finding in &self.findings {
            let Some(remedy) = finding.remedy.as_deref() else { continue };
            let place = format!("{} {}", finding.rule, finding.subject);
            match said.iter_mut().find(|(other, _)| *other == remedy) {
                Some((_, places)) => places.push(place),
                None => said.push((remedy, vec![place])),
            }
        }
        let line =
            |(remedy, places): (&str, Vec<String>)| format!("  {remedy} ({})\n", places.join(", "));
        let lines: String = said.into_iter().map(line).collect();
        if lines.is_empty() { lines } else { format!("\nwhat to do:\n{lines}") }
    }

    fn sources(&self) -> String {
        let mut said: Vec<&str> = Vec::new();
        for finding in &self.findings {
            let source = self.profile.source(finding.rule);
            said.extend(source.filter(|source| !said.contains(source)));
        }
        let lines: String = said.iter().map(|source| format!("  {source}\n")).collect();
        format!("\nwho says so:\n{lines}")
    }

    fn summary(&self) -> String {
        let counts = VERDICTS.map(|verdict| format!("{} {verdict}", self.count(verdict)));
        format!("\n{} rules checked: {}\n", self.findings.len(), counts.join(", "))
    }

    fn json(&self) -> String {
        let findings: Vec<_> = (self.findings.iter())
            .map(|finding| {
                json!({
                    "rule": finding.rule,
                    "subject": finding.subject,
                    "verdict": finding.verdict,
                    "evidence": finding.evidence,
                    "remedy": finding.remedy,
                    "source": self.profile.source(finding.rule),
                })
            })
            .collect();
        let counts: serde_json::Map<_, _> =
            VERDICTS.iter().map(|it| (it.to_string(), self.count(*it).into())).collect();
        let report = json!({
            "rules": self.profile.name,
            "title": self.profile.title,
            "sources": self.profile.sources,
            "path": self.path.display().to_string(),
            "kind": self.kind.as_str(),
            "counts": counts,
            "findings": findings,
        });
        format!("{report:#}\n")
    }

    fn verdict(&self) -> Result<(), Failure> {
        let mut broken: Vec<&str> = (self.findings.iter())
            .filter(|finding| finding.verdict == Verdict::Fail)
            .map(|finding| finding.rule)
            .collect();
        broken.dedup();
        match broken.is_empty() {
            true => Ok(()),
            false => Err(Failure::input(format!(
                "{} breaks rules of {}: {}",
                self.path.display(),
                self.profile.name,
                broken.join(", ")
            ))),
        }
    }
}
