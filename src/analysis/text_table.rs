//! Plain aligned text: tables and a sparkline.

/// The first column is set left, the others right; two spaces between. `cells` may have shorter rows.
pub(super) fn table(heads: &[&str], cells: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let width = |column: usize| {
        let rows = cells.iter().chain([&heads]);
        rows.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    (std::iter::once(&heads).chain(cells)).map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = (row.iter().zip(widths).enumerate()).map(|(column, (cell, &width))| {
        if column == 0 { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") }
    });
    let line: String = cells.collect();
    line.trim_end().to_owned() + "\n"
}

/// One block per value, from the lowest to the highest, thinned out to `width` values that keep the first and the last.
pub(super) fn sparkline(values: &[f64], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = (high - low).max(f64::MIN_POSITIVE);
    (thinned(values, width).into_iter())
        .map(|value| BLOCKS[((value - low) / range * 7.0).round() as usize])
        .collect()
}

/// At most `count` (two or more) of `rows`, evenly spaced, the first and the last among them.
pub(super) fn thinned<T: Copy>(rows: &[T], count: usize) -> Vec<T> {
    if rows.len() <= count {
        return rows.to_vec();
    }
    (0..count).map(|index| rows[index * (rows.len() - 1) / (count - 1)]).collect()
}
