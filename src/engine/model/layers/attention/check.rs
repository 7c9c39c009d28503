//! What must hold before the loops run; they index without looking again.

use candle_core::{Result, bail};

use super::super::Rows;
use super::{Attention, Cache, HeadShape, Positions, Sight};

/// Shapes, rows and ranges of all operands.
pub fn operands(
    op: &Attention,
    queries: Rows,
    keys_values: Rows,
    out: (usize, usize),
) -> Result<()> {
    let HeadShape { heads, kv_heads, head_dim, window, .. } = *op.shape;
    if kv_heads == 0 || heads % kv_heads != 0 || head_dim == 0 {
        bail!("{heads} heads of width {head_dim} do not divide into {kv_heads} key/value heads");
    }
    let query_width = heads * head_dim;
    if queries.width != query_width || out != (queries.count, query_width) {
        bail!(
            "queries [{}, {}] and output {out:?} should be {query_width} wide, with the same rows",
            queries.count,
            queries.width
        );
    }
    width(op.shape, keys_values)?;
    match window {
        Some(0) => bail!("a window of 0 keys leaves a query nothing to see"),
        Some(_) if !causal(&op.sight) => bail!("a window needs a causal sight"),
        _ => {}
    }
    sight(op, queries.count, keys_values.count)
}

/// That `keys_values` can be appended to `cache`.
pub fn appended(shape: &HeadShape, cache: &Cache, keys_values: Rows) -> Result<()> {
    width(shape, keys_values)?;
    if !cache.fits(shape.kv_heads, shape.head_dim) {
        bail!("the cache is not of {} key/value heads of width {}", shape.kv_heads, shape.head_dim);
    }
    Ok(())
}

/// That there are positional terms for `heads` and the positions `0..length`.
pub fn reach(positions: &Positions, shape: &HeadShape, length: usize) -> Result<()> {
    let (table, heads) = match positions {
        Positions::Absolute => return Ok(()),
        Positions::Rotary(rotary) if rotary.width() > shape.head_dim => {
            bail!("{} of {} values of a head are to be rotated", rotary.width(), shape.head_dim)
        }
        Positions::Rotary(rotary) => (rotary.positions(), shape.heads),
        Positions::Alibi(slopes) => (usize::MAX, slopes.len()),
        Positions::Relative(bias) => (bias.longest(), bias.heads()),
    };
    if heads != shape.heads {
        bail!("positional terms are for {heads} heads, not {}", shape.heads);
    }
    if length > table {
        bail!("positions reach {length}, the positional table {table}");
    }
    Ok(())
}

fn width(shape: &HeadShape, keys_values: Rows) -> Result<()> {
    let expected = 2 * shape.kv_heads * shape.head_dim;
    if keys_values.width != expected {
        bail!("keys and values are {} wide, not {expected}", keys_values.width);
    }
    Ok(())
}

fn causal(sight: &Sight) -> bool {
    matches!(sight, Sight::Tree { .. } | Sight::Caches { .. })
}

fn sight(op: &Attention, queries: usize, tokens: usize) -> Result<()> {
    if !matches!(op.sight, Sight::Sources { .. } | Sight::Kept { .. }) {
        rows(op.rows, queries, tokens)?;
    }
    match op.sight {
        Sight::Tree { depths, prefix } => tree(op, depths, prefix, tokens),
        Sight::Segments { starts } => {
            segments(starts, tokens)?;
            let longest = starts.windows(2).map(|ends| ends[1] - ends[0]).max();
            reach(&op.positions, op.shape, longest.unwrap_or(0))
        }
        Sight::Sources { starts, source_of_row } => {
            segments(starts, tokens)?;
            sources(op, starts, source_of_row, queries)
        }
        Sight::Caches { prefix, caches, counts } => {
            let Ok(caches) = caches.try_borrow() else { bail!("the caches are in use") };
            runs(op, prefix, &caches, counts, tokens)
        }
        Sight::Kept { caches, cache_of_row } => kept(op, caches, cache_of_row, queries),
    }
}

fn rows(rows: &[usize], queries: usize, tokens: usize) -> Result<()> {
    if rows.len() != queries {
        bail!("{} rows for {queries} queries", rows.len());
    }
    if !rows.is_sorted_by(|a, b| a < b) || rows.last().is_some_and(|last| *last >= tokens) {
        bail!("query rows must ascend below the number of tokens, {tokens}");
    }
    Ok(())
}

fn tree(op: &Attention, depths: &[usize], prefix: Option<&Cache>, tokens: usize) -> Result<()> {
    if depths.len() != tokens {
        bail!("{} depths for {tokens} tokens", depths.len());
    }
    if prefix.is_some_and(|cache| !cache.fits(op.shape.kv_heads, op.shape.head_dim)) {
        bail!("the prefix is of other heads");
    }
    let prefix = prefix.map_or(0, Cache::len);
    let mut height = prefix;
    for (token, &depth) in depths.iter().enumerate() {
        if depth < prefix || depth > height {
            bail!(
                "token {token} at depth {depth} has no parent, or lies in the prefix of {prefix}"
            );
        }
        height = depth + 1;
    }
    reach(&op.positions, op.shape, depths.iter().max().map_or(0, |deepest| deepest + 1))
}

fn segments(starts: &[usize], tokens: usize) -> Result<()> {
    let ends = (starts.first().copied().unwrap_or(0), starts.last().copied().unwrap_or(0));
    if !starts.is_sorted() || ends != (0, tokens) {
        bail!("segment starts must ascend from 0 to the number of tokens, {tokens}");
    }
    Ok(())
}

fn sources(
    op: &Attention,
    starts: &[usize],
    source_of_row: &[usize],
    queries: usize,
) -> Result<()> {
    if !matches!(op.positions, Positions::Absolute) {
        bail!("queries and keys of different sequences have no common positions");
    }
    if source_of_row.len() != queries {
        bail!("{} sources for {queries} queries", source_of_row.len());
    }
    let empty = |source: usize| match starts.get(source..source + 2) {
        Some(&[start, end]) => start == end,
        _ => true,
    };
    match source_of_row.iter().find(|source| empty(**source)) {
        Some(source) => bail!("segment {source} is empty or does not exist"),
        None => Ok(()),
    }
}

fn kept(op: &Attention, caches: &[Cache], cache_of_row: &[usize], queries: usize) -> Result<()> {
    if !matches!(op.positions, Positions::Absolute) {
        bail!("queries and keys of different sequences have no common positions");
    }
    if cache_of_row.len() != queries {
        bail!("{} sources for {queries} queries", cache_of_row.len());
    }
    let (kv_heads, head_dim) = (op.shape.kv_heads, op.shape.head_dim);
    let unfit = |&index: &usize| {
        let fits = |cache: &Cache| !cache.is_empty() && cache.fits(kv_heads, head_dim);
        !caches.get(index).is_some_and(fits)
    };
    match cache_of_row.iter().copied().find(unfit) {
        Some(index) => bail!("source {index} is empty, of other heads or does not exist"),
        None => Ok(()),
    }
}

fn runs(
    op: &Attention,
    prefix: Option<&Cache>,
    caches: &[Cache],
    counts: &[usize],
    tokens: usize,
) -> Result<()> {
    if prefix.is_some_and(|prefix| !prefix.fits(op.shape.kv_heads, op.shape.head_dim)) {
        bail!("the prefix is of other heads");
    }
    let behind = prefix.map_or(0, Cache::in_whole_tiles);
    if caches.len() != counts.len() || counts.iter().sum::<usize>() != tokens {
        bail!("{counts:?} tokens for {} caches, {tokens} in all", caches.len());
    }
    for (cache, count) in caches.iter().zip(counts) {
        if !cache.fits(op.shape.kv_heads, op.shape.head_dim) {
            bail!("a cache is of other heads");
        }
        reach(&op.positions, op.shape, behind + cache.len() + count)?;
    }
    Ok(())
}
