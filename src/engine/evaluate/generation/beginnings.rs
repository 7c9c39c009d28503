//! Which beginnings that many prompts share are worth reading once for all of them.

use std::ops::Range;

use crate::model::common_prefix;

/// Shorter beginnings cost less than a group of their own.
const SHORTEST: usize = 32;
/// Fewer prompts are better read one by one beside others: only texts of one group grow side by side.
const FEWEST: usize = 8;
/// Nested beginnings are looked for this deep.
const LEVELS: usize = 32;

/// A beginning that neighbours share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beginning {
    /// The neighbours.
    pub members: Range<usize>,
    /// Number of tokens; each of the neighbours has more.
    pub length: usize,
}

/// The beginnings, in order and apart from each other, that save the most tokens; `prompts` are sorted.
pub(super) fn beginnings(prompts: &[&[u32]]) -> Vec<Beginning> {
    let shared: Vec<usize> = std::iter::once(0)
        .chain(prompts.windows(2).map(|pair| common_prefix(pair[0], pair[1])))
        .collect();
    best(prompts, &shared, 0..prompts.len(), LEVELS).1
}

/// Tokens saved by the best beginnings within `members`, and these: one for all, or those of its parts.
fn best(
    prompts: &[&[u32]],
    shared: &[usize],
    members: Range<usize>,
    levels: usize,
) -> (usize, Vec<Beginning>) {
    if levels == 0 || members.len() < FEWEST {
        return (0, Vec::new());
    }
    let inner = &shared[members.start + 1..members.end];
    let common = inner.iter().copied().min().unwrap_or(0);
    let (mut saved, mut found) = (0, Vec::new());
    for part in parts(shared, &members, common) {
        let (more, of_part) = best(prompts, shared, part, levels - 1);
        saved += more;
        found.extend(of_part);
    }
    let shortest = prompts[members.clone()].iter().map(|prompt| prompt.len()).min();
    let length = common.min(shortest.unwrap_or(0).saturating_sub(1));
    let by_one = (members.len() - 1) * length;
    if length >= SHORTEST && members.len() >= FEWEST && by_one >= saved {
        return (by_one, vec![Beginning { members, length }]);
    }
    (saved, found)
}

/// Cut wherever no more than `common` tokens are shared.
fn parts(shared: &[usize], members: &Range<usize>, common: usize) -> Vec<Range<usize>> {
    let mut cuts = vec![members.start];
    cuts.extend((members.start + 1..members.end).filter(|index| shared[*index] <= common));
    cuts.push(members.end);
    cuts.windows(2).map(|ends| ends[0]..ends[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(header: Range<u32>, count: u32) -> Vec<Vec<u32>> {
        (0..count).map(|i| header.clone().chain([1000 + i, 7]).collect()).collect()
    }

    fn found(prompts: &[Vec<u32>]) -> Vec<Beginning> {
        let mut sorted: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        sorted.sort();
        beginnings(&sorted)
    }

    #[test]
    fn prompts_of_one_header_are_one_group() {
        assert_eq!(found(&prompts(0..40, 9)), [Beginning { members: 0..9, length: 40 }]);
        assert_eq!(found(&prompts(0..31, 9)), [], "too short");
        assert_eq!(found(&prompts(0..40, 7)), [], "too few");
    }

    /// One header of 40 tokens for all saves 15 · 40 = 600; two of 90 save (7 + 7) · 90 = 1260; of 41 they save 574.
    #[test]
    fn two_longer_headers_are_weighed_against_one_for_all() {
        let header = |own: u32, length: u32| -> Vec<Vec<u32>> {
            let header = (0..40).chain(own..own + length - 40);
            (0..8).map(|i| header.clone().chain([1000 + i]).collect()).collect()
        };
        let both = |length| [header(100, length), header(200, length)].concat();
        let two =
            [Beginning { members: 0..8, length: 90 }, Beginning { members: 8..16, length: 90 }];
        assert_eq!(found(&both(90)), two);
        assert_eq!(found(&both(41)), [Beginning { members: 0..16, length: 40 }]);
    }

    #[test]
    fn every_prompt_keeps_a_token_of_its_own() {
        let equal = vec![(0..50).collect::<Vec<u32>>(); 8];
        assert_eq!(found(&equal), [Beginning { members: 0..8, length: 49 }]);
    }
}
