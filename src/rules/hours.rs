//! How long the search took.

use serde::Deserialize;

use super::{Finding, Verdict};
use crate::units::Seconds;

/// `[search]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRules {
    /// Who says so.
    pub source: String,
    /// Wall-clock time of the whole search on one device.
    pub hours: f64,
}

/// What a run says of its time.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchTime {
    /// Name of the run.
    pub run: String,
    /// The budget it was begun with, if that was a time.
    pub budget: Option<Seconds>,
    /// Over all sessions, when its last row was written.
    pub elapsed: Seconds,
}

/// Holds a run against the limit; without one the search is still to come.
pub fn check(rules: &SearchRules, time: Option<&SearchTime>) -> Finding {
    let Some(time) = time else {
        let evidence = format!("{} h; the run is not at hand", rules.hours);
        return Finding::new("search_hours", "search", Verdict::Unknown, evidence).remedy(format!(
            "search with --budget {}h or less, then check the run folder",
            rules.hours
        ));
    };
    let hours = |seconds: Seconds| seconds.0 / 3600.0;
    let spent = hours(time.elapsed);
    let verdict = if spent <= rules.hours { Verdict::Pass } else { Verdict::Fail };
    let budget = match time.budget {
        Some(budget) => format!("begun with a budget of {:.2} h", hours(budget)),
        None => "begun with a number of trials".to_owned(),
    };
    let evidence = format!(
        "{spent:.2} h over all sessions, of {} h (trials/, elapsed_seconds); {budget} (manifest.json)",
        rules.hours
    );
    Finding::new("search_hours", &time.run, verdict, evidence)
        .remedy(format!("search again with --budget {}h", rules.hours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_of_25_hours_breaks_a_rule_of_24() {
        let rules = SearchRules { source: "x".into(), hours: 24.0 };
        let time = |elapsed: f64| SearchTime {
            run: "r".into(),
            budget: Some(Seconds(86_400.0)),
            elapsed: Seconds(elapsed),
        };
        assert_eq!(check(&rules, Some(&time(86_399.0))).verdict, Verdict::Pass);
        let late = check(&rules, Some(&time(90_000.0)));
        assert_eq!(late.verdict, Verdict::Fail);
        assert!(late.evidence.contains("25.00 h") && late.evidence.contains("24 h"), "{late:?}");
        assert_eq!(check(&rules, None).verdict, Verdict::Unknown);
    }
}
