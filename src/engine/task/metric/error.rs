/// Why a metric or a filter of a task file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// A metric that this program does not have.
    #[error("unknown metric `{name}`; expected one of {valid}")]
    UnknownMetric {
        /// As in the task file.
        name: String,
        /// Every name, with commas between.
        valid: String,
    },
    /// A filter that lm-eval does not have either.
    #[error("unknown filter `{name}`; expected one of {valid}")]
    UnknownFilter {
        /// As in the task file.
        name: String,
        /// Every name, with commas between.
        valid: String,
    },
    /// A filter of lm-eval that needs more than one answer's text.
    #[error("filter `{name}` cannot be used: {reason}; expected one of {valid}")]
    UnsupportedFilter {
        /// As in the task file.
        name: String,
        /// What it would need.
        reason: &'static str,
        /// Every name, with commas between.
        valid: String,
    },
    /// An option that the metric or the filter does not have.
    #[error("{owner} has no option `{option}`; expected {valid}")]
    UnknownOption {
        /// Such as "metric `exact_match`".
        owner: String,
        /// As in the task file.
        option: String,
        /// What could be given.
        valid: String,
    },
    /// An option with a value that cannot be used.
    #[error("{owner}: `{option}` is {value}; expected {expected}")]
    Option {
        /// Such as "filter `regex`".
        owner: String,
        /// Name of the option.
        option: String,
        /// What the file says, as JSON, or "absent".
        value: String,
        /// What would be valid.
        expected: String,
    },
    /// A regular expression that Python's `re` or this program's engine refuses.
    #[error("{owner}: `{option}`: the pattern {pattern:?} cannot be compiled")]
    Pattern {
        /// Such as "filter `regex`".
        owner: String,
        /// Name of the option.
        option: String,
        /// As in the task file.
        pattern: String,
        /// What is wrong with it, and where.
        #[source]
        source: super::python_re::PatternError,
    },
}
