//! Draws a search's events on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use merge_search::outcome::Estimate;
use merge_search::search::{Budget, Progress, SearchEvent};

use super::tell;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Listens to a search.
pub struct Watcher {
    budget: Budget,
    quiet: bool,
    bar: ProgressBar,
    last_line: Mutex<Instant>,
}

impl Watcher {
    pub fn new(budget: Budget, quiet: bool) -> Self {
        let length = match budget {
            Budget::WallClock(time) => time.as_millis() as u64,
            Budget::Trials(trials) => trials,
        };
        let on_terminal = std::io::stderr().is_terminal() && !quiet;
        let target =
            if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}") {
            bar.set_style(style);
        }
        Self { budget, quiet, bar, last_line: Mutex::new(Instant::now()) }
    }

    /// Takes one event; called from several threads.
    pub fn on(&self, event: &SearchEvent<'_>) {
        match event {
            SearchEvent::Baselines { trials } => {
                self.say(&format!("scoring {trials} baselines (base, experts, uniform average; 3 splits)"));
            }
            SearchEvent::Searching { genes, population, reserve } => self.say(&format!(
                "searching {genes} genes, {population} candidates a generation; {:.0} s kept back for the final selection",
                reserve.0
            )),
            SearchEvent::Trial { progress, .. } => self.advance(progress),
            SearchEvent::Selecting { finalists } => {
                self.say(&format!("scoring {finalists} finalists on documents the search never saw"));
            }
            SearchEvent::HoldingOut => self.say("scoring the winner on the holdout split, once"),
            SearchEvent::Measuring { models } => {
                self.say(&format!("timing {models} models in turns with the base model, one at a time"));
            }
            SearchEvent::Warning(text) => {
                self.bar.suspend(|| tell(&format!("warning: {text}")));
            }
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| tell(text));
        }
    }

    fn advance(&self, progress: &Progress) {
        self.bar.set_position(match self.budget {
            Budget::WallClock(_) => (progress.elapsed.0 * 1000.0) as u64,
            Budget::Trials(_) => progress.candidates,
        });
        let line = self.line(progress);
        self.bar.set_message(line.clone());
        let mut last = self.last_line.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.bar.is_hidden() && last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            self.say(&line);
        }
    }

    fn line(&self, progress: &Progress) -> String {
        let best = progress.best.map_or_else(
            || "no score yet".to_owned(),
            |best| {
                let Estimate { value, low, high } = best;
                format!("best {:.1} [{:.1}, {:.1}]", 100.0 * value, 100.0 * low, 100.0 * high)
            },
        );
        let pace = progress
            .seconds_per_trial
            .map_or_else(String::new, |seconds| format!(" · {:.2} s/trial", seconds.0));
        format!(
            "{} · {} trials · {best} · front {}{pace}{}",
            self.used(progress),
            progress.candidates,
            progress.front,
            self.eta(progress)
        )
    }

    fn used(&self, progress: &Progress) -> String {
        let elapsed = whole_seconds(progress.elapsed.0);
        match self.budget {
            Budget::WallClock(time) => {
                format!("{elapsed} of {}", humantime::format_duration(time))
            }
            Budget::Trials(trials) => format!("{elapsed}, {} of {trials}", progress.candidates),
        }
    }

    fn eta(&self, progress: &Progress) -> String {
        let left = match self.budget {
            Budget::WallClock(time) => time.as_secs_f64() - progress.elapsed.0,
            Budget::Trials(trials) if progress.candidates > 0 => {
                let pace = progress.elapsed.0 / progress.candidates as f64;
                pace * trials.saturating_sub(progress.candidates) as f64
            }
            Budget::Trials(_) => return String::new(),
        };
        format!(" · {} left", whole_seconds(left))
    }
}

fn whole_seconds(seconds: f64) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(seconds.max(0.0) as u64))
}
