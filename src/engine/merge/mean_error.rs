/// Why points with these weights have no mean, or no median.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MeanError {
    /// Directions that balance each other out.
    #[error(
        "the directions of the {models} models cancel: their weighted mean has length {length:e}, \
         less than eps = {eps:e}; other weights are needed"
    )]
    Cancelled {
        /// How many.
        models: usize,
        /// Length of the mean of unit vectors.
        length: f64,
        /// The least length that counts.
        eps: f64,
    },
    /// Nothing to divide by.
    #[error("the weights sum to 0, so that no mean can be taken")]
    ZeroWeight,
    /// A weight below 0, under which distances have no least sum, or one that is no number.
    #[error("the weight of model {model} (counted from 0) is {weight}; valid: 0 or more")]
    NegativeWeight {
        /// Number of the model, from 0.
        model: usize,
        /// Its weight.
        weight: f32,
    },
}
