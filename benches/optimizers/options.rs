//! The command line of the benchmark.

use std::ops::Range;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Table {
    NoiseFree,
    Ml1,
    Fronts,
    Ml1Fronts,
    Quickstart,
}

const TABLES: [(&str, Table); 5] = [
    ("noise-free", Table::NoiseFree),
    ("ml1", Table::Ml1),
    ("fronts", Table::Fronts),
    ("ml1-fronts", Table::Ml1Fronts),
    ("quickstart", Table::Quickstart),
];

#[derive(Debug)]
pub struct Options {
    pub table: Table,
    pub optimizer: Option<String>,
    pub instances: Option<Range<u64>>,
    pub budget: Option<usize>,
    pub dimension: Option<usize>,
    pub threads: usize,
    pub json: bool,
}

impl Options {
    /// Reads the arguments; `--bench`, which cargo adds, is ignored.
    pub fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut table, mut json, mut threads) = (None, false, 0);
        let (mut optimizer, mut instances, mut budget, mut dimension) = (None, None, None, None);
        let mut arguments = arguments;
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{flag}: a value is missing"));
            match flag.as_str() {
                "--bench" => {}
                "--json" => json = true,
                "--table" => table = Some(table_of(&value()?)?),
                "--optimizer" => optimizer = Some(value()?),
                "--instances" => instances = Some(range(&value()?)?),
                "--budget" => budget = Some(number(&flag, &value()?)?),
                "--dimension" => dimension = Some(number(&flag, &value()?)?),
                "--threads" => threads = number(&flag, &value()?)?,
                _ => return Err(format!("unknown argument {flag}")),
            }
        }
        let names: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
        let table = table.ok_or(format!("--table {} is needed", names.join("|")))?;
        Ok(Self { table, optimizer, instances, budget, dimension, threads, json })
    }
}

fn table_of(word: &str) -> Result<Table, String> {
    let found = TABLES.iter().find(|(name, _)| *name == word);
    let names: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
    found.map(|(_, table)| *table).ok_or(format!("--table {word}: one of {}", names.join(", ")))
}

fn number(flag: &str, text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{flag} {text}: a whole number is needed"))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    ends.filter(|range: &Range<u64>| range.start < range.end)
        .ok_or(format!("--instances {text}: A..B with A < B is needed"))
}
