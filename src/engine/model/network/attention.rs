//! Attention with its projections.

use std::cell::RefCell;

use candle_core::{Result, Tensor};

use super::pass::{Scratch, Tables};
use super::places::Builder;
use crate::model::layers::{
    Attention as Attend, Cache, HeadShape, Linear, Norm, Positions, Sight, extend_cache,
};
use crate::model::spec::{AttentionSpec, PositionsSpec};

/// What the tokens of a batch see, the same in every layer.
pub(super) enum View<'a> {
    /// Ancestors and self; the prefix has one cache per layer.
    Tree { depths: &'a [usize], prefix: Option<&'a [Cache]> },
    /// The same for a single chain, whose keys and values are kept, one cache per layer.
    Chain { depths: &'a [usize], kept: &'a RefCell<Vec<Cache>> },
    /// The whole text.
    Segments { starts: &'a [usize] },
    /// Runs of tokens that extend caches: by layer, then by run; the prefix has one cache per layer.
    Runs { prefix: Option<&'a [Cache]>, caches: &'a [RefCell<Vec<Cache>>], counts: &'a [usize] },
}

/// What the decoder sees of the encoder's texts, and which of them each of its tokens looks at.
pub(super) struct Sources<'a> {
    pub seen: Seen<'a>,
    pub source_of_token: &'a [usize],
}

pub(super) enum Seen<'a> {
    /// The encoder's output, `[source tokens, hidden]`, and where its texts start.
    States { states: &'a Tensor, starts: &'a [usize] },
    /// Keys and values made of it before, by layer, then by text.
    Kept(&'a [Vec<Cache>]),
}

#[derive(Clone)]
pub(super) struct Attention {
    query_key_value: Linear,
    pub output: Linear,
    head_norms: Option<(Norm, Norm)>,
    shape: HeadShape,
    slopes: Option<Vec<f32>>,
}

/// The tokens that have queries: `None` for all.
pub(super) struct Rows<'a> {
    pub every: &'a [usize],
    pub only: Option<(&'a [usize], &'a Tensor)>,
}

impl Rows<'_> {
    fn tokens(&self) -> &[usize] {
        self.only.map_or(self.every, |(tokens, _)| tokens)
    }

    /// The rows of `x` that have queries.
    pub fn of(&self, x: &Tensor) -> Result<Tensor> {
        self.only.map_or_else(|| Ok(x.clone()), |(_, index)| x.index_select(index, 0))
    }
}

impl Attention {
    pub fn new(spec: &AttentionSpec, builder: &mut Builder) -> Result<Self> {
        let head_norms = match &spec.head_norms {
            Some((query, key)) => Some((builder.norm(query)?, builder.norm(key)?)),
            None => None,
        };
        let slopes = match &spec.positions {
            PositionsSpec::Alibi { slopes } => Some(slopes.clone()),
            _ => None,
        };
        Ok(Attention {
            query_key_value: builder.joined(&[&spec.query, &spec.key, &spec.value])?,
            output: builder.linear(&spec.output)?,
            head_norms,
            shape: HeadShape {
                heads: spec.heads,
                kv_heads: spec.kv_heads,
                head_dim: spec.head_dim,
                scale: spec.scale,
                softcap: spec.softcap,
                window: spec.window,
            },
            slopes,
        })
    }

    /// What the queries in `rows` gather, `[rows, heads · head_dim]`, before the output matrix. `x`: `[tokens, hidden]`.
    pub fn gather(
        &self,
        layer: usize,
        x: &Tensor,
        rows: &Rows,
        view: &View,
        tables: &Tables,
        scratch: &mut Scratch,
    ) -> Result<Tensor> {
        let (width, kv_width) = self.widths();
        let (queries, keys_values) = match rows.only {
            None => {
                let joined = scratch.joined.matrix(x.dim(0)?, width + kv_width)?;
                self.query_key_value.forward_into(&joined, x)?;
                (joined.narrow(1, 0, width)?, joined.narrow(1, width, kv_width)?)
            }
            Some(_) => {
                let keys_values = scratch.joined.matrix(x.dim(0)?, kv_width)?;
                self.query_key_value.only(1..3)?.forward_into(&keys_values, x)?;
                (self.queries(&rows.of(x)?, scratch)?, keys_values)
            }
        };
        if let Some((query_norm, key_norm)) = &self.head_norms {
            query_norm.in_place(&queries)?;
            key_norm.in_place(&keys_values.narrow(1, 0, kv_width / 2)?)?;
        }
        let positions = self.positions(tables)?;
        if let View::Chain { kept, .. } = view
            && let Some(cache) = kept.borrow_mut().get_mut(layer)
        {
            extend_cache(cache, &keys_values, &positions, &self.shape)?;
        }
        let sight = match view {
            View::Tree { depths, prefix } => {
                Sight::Tree { depths, prefix: prefix.and_then(|caches| caches.get(layer)) }
            }
            View::Chain { depths, .. } => Sight::Tree { depths, prefix: None },
            View::Segments { starts } => Sight::Segments { starts },
            View::Runs { prefix, caches, counts } => Sight::Caches {
                prefix: prefix.and_then(|caches| caches.get(layer)),
                caches: &caches[layer],
                counts,
            },
        };
        let out = scratch.attended.matrix(rows.tokens().len(), width)?;
        let attend = Attend { shape: &self.shape, positions, sight, rows: rows.tokens() };
        out.inplace_op3(&queries, &keys_values, &attend)?;
        Ok(out)
    }

    /// The same over an encoder's texts; every row of `x` is a query, of the tokens in `rows`.
    pub fn gather_sources(
        &self,
        layer: usize,
        x: &Tensor,
        rows: &Rows,
        sources: &Sources,
        scratch: &mut Scratch,
    ) -> Result<Tensor> {
        let keys_values = match sources.seen {
            Seen::States { states, .. } => self.keys_values(states, scratch)?,
            Seen::Kept(_) => scratch.joined.matrix(0, self.widths().1)?,
        };
        let queries = self.queries(x, scratch)?;
        let source_of_row: Vec<usize> =
            rows.tokens().iter().map(|&token| sources.source_of_token[token]).collect();
        let sight = match sources.seen {
            Seen::States { starts, .. } => Sight::Sources { starts, source_of_row: &source_of_row },
            Seen::Kept(caches) => {
                Sight::Kept { caches: &caches[layer], cache_of_row: &source_of_row }
            }
        };
        let out = scratch.attended.matrix(x.dim(0)?, self.widths().0)?;
        let positions = Positions::Absolute;
        let attend = Attend { shape: &self.shape, positions, sight, rows: rows.tokens() };
        out.inplace_op3(&queries, &keys_values, &attend)?;
        Ok(out)
    }

    /// Keys and values of one of the encoder's texts, to be seen by many queries. `states`: `[source tokens, hidden]`.
    pub fn keep_source(&self, states: &Tensor, scratch: &mut Scratch) -> Result<Cache> {
        let mut cache = self.cache();
        let keys_values = self.keys_values(states, scratch)?;
        extend_cache(&mut cache, &keys_values, &Positions::Absolute, &self.shape)?;
        Ok(cache)
    }

    fn keys_values(&self, x: &Tensor, scratch: &mut Scratch) -> Result<Tensor> {
        let keys_values = scratch.joined.matrix(x.dim(0)?, self.widths().1)?;
        self.query_key_value.only(1..3)?.forward_into(&keys_values, x)?;
        Ok(keys_values)
    }

    fn queries(&self, x: &Tensor, scratch: &mut Scratch) -> Result<Tensor> {
        let queries = scratch.queries.matrix(x.dim(0)?, self.widths().0)?;
        self.query_key_value.only(0..1)?.forward_into(&queries, x)?;
        Ok(queries)
    }

    fn positions<'a>(&'a self, tables: &'a Tables) -> Result<Positions<'a>> {
        Ok(match (&self.slopes, &tables.rotary, &tables.relative) {
            (Some(slopes), ..) => Positions::Alibi(slopes),
            (None, Some(rotary), _) => Positions::Rotary(rotary),
            (None, None, Some(relative)) => Positions::Relative(relative),
            (None, None, None) => Positions::Absolute,
        })
    }

    /// An empty cache for one sequence.
    pub fn cache(&self) -> Cache {
        Cache::new(self.shape.kv_heads, self.shape.head_dim)
    }

    /// Widths of the queries, and of keys and values together.
    pub fn widths(&self) -> (usize, usize) {
        (self.shape.heads * self.shape.head_dim, 2 * self.shape.kv_heads * self.shape.head_dim)
    }

    pub fn shape(&self) -> &HeadShape {
        &self.shape
    }
}
