//! Which experts of a mixture a token goes through (Shazeer et al. 2017, section 2.1, without noise).

/// The `top` experts by probability, the first of equals, with probabilities that sum to one. `logits`: of all experts.
pub(super) fn chosen(logits: &[f32], top: usize) -> Vec<(usize, f32)> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut shares: Vec<(usize, f32)> =
        logits.iter().map(|logit| (logit - greatest).exp()).enumerate().collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares.truncate(top);
    let total: f32 = shares.iter().map(|(_, share)| share).sum();
    shares.iter_mut().for_each(|(_, share)| *share /= total);
    shares
}
