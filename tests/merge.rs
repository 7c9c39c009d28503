//! The merge column against mergekit.
