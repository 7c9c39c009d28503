//! Accuracy against time: the front, the baselines on the same axes, and what to take of it.

use serde::Serialize;

use crate::objective::{Point, knee};
use crate::outcome::{Cost, Estimate, Timing};
use crate::record::FrontRow;
use crate::units::Split;

/// Budgets of [`Pick`]s that nobody asked for.
const BUDGETS: [f64; 4] = [0.5, 0.75, 1.0, 1.25];

/// Accuracy against time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Front {
    /// The split whose scores `knee` and `picks` go by: selection, or search while that has not been scored. Never holdout.
    pub split: Split,
    /// Members and baselines by ascending time; empty before the first front was written.
    pub points: Vec<FrontPoint>,
    /// The member that gives most accuracy for its time (see [`knee`]).
    pub knee: Option<u64>,
    /// The best member within each budget.
    pub picks: Vec<Pick>,
}

/// A member of the front, or a model on the same axes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrontPoint {
    /// Its number.
    pub trial: u64,
    /// Where it has one: `winner` or a baseline's.
    pub name: Option<String>,
    /// Whether it is on the front.
    pub member: bool,
    /// On the search split.
    pub search: Option<Estimate>,
    /// On the selection split, by which members are told from others.
    pub selection: Option<Estimate>,
    /// On the holdout split.
    pub holdout: Option<Estimate>,
    /// The base model's = 1. Without `timing` it is pooled over all trials that do the same work, and both ends of the interval
    /// are the value.
    pub relative_time: Estimate,
    /// Measured after the search.
    pub timing: Option<Timing>,
    /// Counted.
    pub cost: Cost,
}

/// The most accurate member that takes no longer than `budget`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pick {
    /// Relative time.
    pub budget: f64,
    /// `None`: every member takes longer.
    pub trial: Option<u64>,
}

impl Front {
    pub(super) fn of(rows: &[FrontRow]) -> Front {
        let selected = rows.iter().any(|row| row.member && row.on(Split::Selection).is_some());
        let split = if selected { Split::Selection } else { Split::Search };
        let front = Front {
            split,
            points: rows.iter().map(FrontPoint::of).collect(),
            knee: None,
            picks: Vec::new(),
        };
        let picks = BUDGETS.map(|budget| front.best_within(budget)).to_vec();
        Front { knee: front.knee(), picks, ..front }
    }

    /// With the best within `budget` instead of the usual ones.
    pub fn within(mut self, budget: f64) -> Front {
        self.picks = vec![self.best_within(budget)];
        self
    }

    /// Accuracy that choices go by.
    pub(super) fn accuracy(&self, point: &FrontPoint) -> Option<f64> {
        let score = match self.split {
            Split::Search => point.search,
            Split::Selection | Split::Holdout => point.selection,
        };
        score.map(|score| score.value)
    }

    fn members(&self) -> Vec<(&FrontPoint, f64)> {
        let members = self.points.iter().filter(|point| point.member);
        members.filter_map(|point| Some((point, self.accuracy(point)?))).collect()
    }

    fn knee(&self) -> Option<u64> {
        let members = self.members();
        let place = |(point, accuracy): &(&FrontPoint, f64)| Point {
            accuracy: *accuracy,
            time: point.relative_time.value,
        };
        let points: Vec<Point> = members.iter().map(place).collect();
        knee(&points).and_then(|index| members.get(index)).map(|(point, _)| point.trial)
    }

    /// A time whose interval reaches down to the budget is within it, as two times whose intervals overlap are equal. Of
    /// equally accurate members the fastest.
    fn best_within(&self, budget: f64) -> Pick {
        let members = self.members().into_iter().rev();
        let within = members.filter(|(point, _)| point.relative_time.low <= budget);
        let best = within.max_by(|a, b| a.1.total_cmp(&b.1));
        Pick { budget, trial: best.map(|(point, _)| point.trial) }
    }
}

impl FrontPoint {
    fn of(row: &FrontRow) -> FrontPoint {
        FrontPoint {
            trial: row.trial,
            name: row.name.clone(),
            member: row.member,
            search: row.on(Split::Search),
            selection: row.on(Split::Selection),
            holdout: row.on(Split::Holdout),
            relative_time: row.time(),
            timing: row.timing,
            cost: row.cost,
        }
    }
}
