//! Laws of dealing, and the groups of small random inputs against a plain search through all pairs.

mod laws;
mod oracle;
mod texts;
