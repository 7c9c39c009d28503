use super::{Finding, Verdict};

impl Finding {
    /// Without a remedy.
    pub fn new(
        rule: &'static str,
        subject: impl Into<String>,
        verdict: Verdict,
        evidence: impl Into<String>,
    ) -> Finding {
        let (subject, evidence) = (subject.into(), evidence.into());
        Finding { rule, subject, verdict, evidence, remedy: None }
    }

    /// What to do about it; kept only where there is something to do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Finding {
        if self.verdict != Verdict::Pass {
            self.remedy = Some(remedy.into());
        }
        self
    }
}
