//! The front as text: a table, a small plot, and what to take.

use super::front::{Front, FrontPoint};
use super::render::{NONE, interval, percent, section};
use crate::outcome::Estimate;

/// Columns and rows of the plot.
const WIDTH: usize = 56;
const HEIGHT: usize = 10;

pub(super) fn front(front: &Front) -> Option<String> {
    let rows: Vec<Vec<String>> = front.points.iter().map(|point| row(front, point)).collect();
    let heads =
        ["", "trial", "search", "selection", "holdout", "time (base = 1)", "s/doc", "weights", ""];
    let table = section("Pareto front (*: on it), per cent [95 % intervals]", &heads, &rows)?;
    Some([table, plot(front).unwrap_or_default(), picks(front)].concat())
}

fn row(front: &Front, point: &FrontPoint) -> Vec<String> {
    let mark = if point.member { "*" } else { " " };
    let seconds = point.timing.map(|timing| format!("{:.4}", timing.seconds_per_item.value));
    let weights = match point.cost.weight_bytes.0 {
        0 => NONE.to_owned(),
        _ => point.cost.weight_bytes.to_string(),
    };
    vec![
        format!("{mark} {}", point.name.as_deref().unwrap_or_default()).trim_end().to_owned(),
        point.trial.to_string(),
        interval(point.search),
        interval(point.selection),
        interval(point.holdout),
        time(point),
        seconds.unwrap_or_else(|| NONE.to_owned()),
        weights,
        if front.knee == Some(point.trial) { "knee" } else { "" }.to_owned(),
    ]
}

fn time(point: &FrontPoint) -> String {
    let Estimate { value, low, high } = point.relative_time;
    match point.timing {
        Some(_) => format!("{value:.3} [{low:.3}, {high:.3}]"),
        None => format!("{value:.3}"),
    }
}

fn picks(front: &Front) -> String {
    let line = |pick: &super::Pick| {
        let found = front.points.iter().find(|point| Some(point.trial) == pick.trial);
        let found = found.and_then(|point| Some((point, front.accuracy(point)?)));
        let what = match found {
            None => "none is that fast".to_owned(),
            Some((point, accuracy)) => {
                let name = point.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
                format!("trial {}{name}, {} at {}", point.trial, percent(accuracy), time(point))
            }
        };
        format!("  within {:.2} of the base model's time: {what}\n", pick.budget)
    };
    let lines: String = front.picks.iter().map(line).collect();
    format!("Best by {}\n{lines}", front.split)
}

/// `None` where all times or all accuracies are the same.
fn plot(front: &Front) -> Option<String> {
    let places: Vec<(f64, f64, char)> = (front.points.iter())
        .filter_map(|p| Some((p.relative_time.value, front.accuracy(p)?, mark(p))))
        .collect();
    let (left, right) = range(places.iter().map(|place| place.0))?;
    let (bottom, top) = range(places.iter().map(|place| place.1))?;
    let at = |value: f64, low: f64, high: f64, last: usize| {
        ((value - low) / (high - low) * last as f64).round() as usize
    };
    let mut grid = vec![vec![' '; WIDTH]; HEIGHT];
    // Members last, so that none is hidden by what is not on the front.
    let members = |on_front: bool| places.iter().filter(move |place| (place.2 != '.') == on_front);
    for (x, y, mark) in members(false).chain(members(true)) {
        let (row, column) = (at(*y, bottom, top, HEIGHT - 1), at(*x, left, right, WIDTH - 1));
        if let Some(cell) = grid.get_mut(HEIGHT - 1 - row).and_then(|line| line.get_mut(column)) {
            *cell = *mark;
        }
    }
    let mut text = String::new();
    for (index, line) in grid.iter().enumerate() {
        let label = match index {
            0 => percent(top),
            _ if index == HEIGHT - 1 => percent(bottom),
            _ => String::new(),
        };
        let line: String = line.iter().collect();
        text.push_str(format!("  {label:>5} |{line}").trim_end());
        text.push('\n');
    }
    let gap = WIDTH.saturating_sub(10);
    text.push_str(&format!("        {left:<5.2}{:gap$}{right:>5.2}  time\n", ""));
    text.push_str("        * on the front, W winner, b baseline, . not on the front\n");
    Some(text)
}

fn mark(point: &FrontPoint) -> char {
    match (point.name.as_deref(), point.member) {
        (Some("winner"), _) => 'W',
        (Some(_), _) => 'b',
        (None, true) => '*',
        (None, false) => '.',
    }
}

fn range(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    (high > low && (high - low).is_finite()).then_some((low, high))
}
