//! Raw → checked, for one entry of `[parameters]`.

use super::error::{Blame, SpaceError};
use super::parameter::{Axis, Choice, ParameterName, ParameterSpec};
use super::raw::{RawChoice, RawGenes, RawParameter};
use crate::recipe::{Kind, MergeMethod};

/// Checks one entry against every one of the space's methods that uses it.
pub(super) fn check(
    blame: &Blame<'_>,
    word: &str,
    raw: &RawParameter,
    methods: &[MergeMethod],
) -> Result<(ParameterName, ParameterSpec), SpaceError> {
    let name = ParameterName::find(word).ok_or_else(|| unknown(blame, word, methods))?;
    let entry = Entry { blame, key: format!("parameters.{word}"), name, uses: uses(name, methods) };
    if entry.uses.is_empty() {
        let users: Vec<&str> = users(name).map(MergeMethod::as_str).collect();
        let valid = format!("only with method {}", users.join(", "));
        return Err(blame.value(&entry.key, "without effect", valid));
    }
    let spec = match raw {
        RawParameter::Number(number) => {
            ParameterSpec::Fixed(entry.number_choice(&entry.key, *number)?)
        }
        RawParameter::Boolean(value) => {
            ParameterSpec::Fixed(entry.boolean_choice(&entry.key, *value)?)
        }
        RawParameter::Genes(genes) => entry.genes(genes)?,
    };
    Ok((name, spec))
}

fn unknown(blame: &Blame<'_>, word: &str, methods: &[MergeMethod]) -> SpaceError {
    let of_methods = |name: &ParameterName| methods.iter().any(|method| name.is_used_by(*method));
    let valid: Vec<&str> =
        ParameterName::all().into_iter().filter(of_methods).map(ParameterName::as_str).collect();
    blame.value("parameters", format!("`{word}`"), valid.join(", "))
}

fn users(name: ParameterName) -> impl Iterator<Item = MergeMethod> {
    MergeMethod::ALL.into_iter().filter(move |method| name.is_used_by(*method))
}

fn uses(name: ParameterName, methods: &[MergeMethod]) -> Vec<(MergeMethod, Kind)> {
    let used = methods.iter().filter(|method| name.is_used_by(**method));
    used.filter_map(|method| Some((*method, name.kind(*method)?))).collect()
}

/// One entry, and what each method that uses it allows; never none.
struct Entry<'a> {
    blame: &'a Blame<'a>,
    key: String,
    name: ParameterName,
    uses: Vec<(MergeMethod, Kind)>,
}

impl Entry<'_> {
    fn is_truth(&self) -> bool {
        self.uses.iter().any(|(_, kind)| matches!(kind, Kind::Truth))
    }

    fn is_whole(&self) -> bool {
        self.uses.iter().any(|(_, kind)| matches!(kind, Kind::Whole { .. }))
    }

    /// Smallest and largest value that all methods take.
    fn limits(&self) -> (f64, f64) {
        let each = self.uses.iter().map(|(_, kind)| self.name.limits(*kind));
        each.fold((f64::MIN, f64::MAX), |all, one| (all.0.max(one.0), all.1.min(one.1)))
    }

    fn number_choice(&self, key: &str, number: f64) -> Result<Choice, SpaceError> {
        if self.is_truth() {
            return Err(self.blame.value(key, number, "true or false"));
        }
        let (low, high) = self.limits();
        if !(low..=high).contains(&number) {
            return Err(self.blame.value(key, number, format!("a number in [{low}, {high}]")));
        }
        if self.is_whole() && number.fract() != 0.0 {
            return Err(self.blame.value(key, number, "a whole number"));
        }
        Ok(Choice::Number(number))
    }

    fn boolean_choice(&self, key: &str, value: bool) -> Result<Choice, SpaceError> {
        if self.is_truth() {
            return Ok(Choice::Boolean(value));
        }
        let valid = "a number, or a table with `range` or `choices`";
        Err(self.blame.value(key, value, valid))
    }

    fn genes(&self, genes: &RawGenes) -> Result<ParameterSpec, SpaceError> {
        let per = self.axes(&genes.per)?;
        let (found, valid) = match (&genes.range, &genes.choices) {
            (Some(range), None) => return self.range(genes, *range, per),
            (None, Some(choices)) => return self.choices(genes, choices, per),
            (Some(_), Some(_)) => ("a table with both `range` and `choices`", "one of the two"),
            (None, None) => (
                "a table with neither `range` nor `choices`",
                "{ range = [low, high], initial = x, step = s, per = [...] } or { choices = [...] }",
            ),
        };
        Err(self.blame.value(&self.key, found, valid))
    }

    fn axes(&self, words: &[String]) -> Result<Vec<Axis>, SpaceError> {
        let all = [Axis::Expert, Axis::Group, Axis::Depth];
        let of_all = |axis: &Axis| self.uses.iter().all(|(m, _)| self.name.axes(*m).contains(axis));
        let valid: Vec<Axis> = all.into_iter().filter(of_all).collect();
        let mut axes = Vec::new();
        for word in words {
            match valid.iter().find(|axis| axis.as_str() == word) {
                Some(axis) if !axes.contains(axis) => axes.push(*axis),
                _ => {
                    let key = format!("{}.per", self.key);
                    let valid = self.shown_axes(&valid);
                    return Err(self.blame.value(&key, format!("`{word}`"), valid));
                }
            }
        }
        Ok(axes)
    }

    fn shown_axes(&self, valid: &[Axis]) -> String {
        let words: Vec<&str> = valid.iter().map(|axis| axis.as_str()).collect();
        let methods: Vec<&str> = self.uses.iter().map(|(method, _)| method.as_str()).collect();
        match words[..] {
            [] => "no axes: there is one value per recipe".to_owned(),
            _ => format!("{}, each once, with {}", words.join(", "), methods.join(", ")),
        }
    }

    fn range(
        &self,
        genes: &RawGenes,
        (low, high): (f64, f64),
        per: Vec<Axis>,
    ) -> Result<ParameterSpec, SpaceError> {
        let key = |part: &str| format!("{}.{part}", self.key);
        let shown = format!("[{low}, {high}]");
        if self.is_truth() {
            let valid = "true, false, or { choices = [true, false] }";
            return Err(self.blame.value(&self.key, shown, valid));
        }
        let (least, most) = self.limits();
        if !(low < high && least <= low && high <= most) {
            let valid = format!("low < high, both in [{least}, {most}]");
            return Err(self.blame.value(&key("range"), shown, valid));
        }
        if let Some(initial) = genes.initial
            && !(low..=high).contains(&initial)
        {
            let valid = format!("a number in {shown}");
            return Err(self.blame.value(&key("initial"), initial, valid));
        }
        match genes.step.or(self.is_whole().then_some(1.0)) {
            None => Ok(ParameterSpec::Range { low, high, initial: genes.initial, per }),
            Some(step) => self.steps(genes, (low, high), step, per),
        }
    }

    fn steps(
        &self,
        genes: &RawGenes,
        (low, high): (f64, f64),
        step: f64,
        per: Vec<Axis>,
    ) -> Result<ParameterSpec, SpaceError> {
        let shown = format!("[{low}, {high}]");
        // A hair of tolerance: 0.1 does not divide 1 in binary.
        let last = ((high - low) / step + 1e-9).floor();
        if !(step > 0.0 && (1.0..=1e6).contains(&last)) {
            let valid = format!("a positive number that fits into {shown} at least once");
            return Err(self.blame.value(&format!("{}.step", self.key), step, valid));
        }
        if self.is_whole() && (low.fract() != 0.0 || step.fract() != 0.0) {
            return Err(self.blame.value(&self.key, format!("{shown} by {step}"), "whole numbers"));
        }
        // The last step may fall short of the high end, and the start is on a step.
        let initial = genes.initial.map(|initial| ((initial - low) / step).round().min(last));
        Ok(ParameterSpec::Steps { low, step, last: last as i64, initial, per })
    }

    fn choices(
        &self,
        genes: &RawGenes,
        choices: &[RawChoice],
        per: Vec<Axis>,
    ) -> Result<ParameterSpec, SpaceError> {
        if genes.step.is_some() || genes.initial.is_some() {
            let found = "`choices` with `step` or `initial`";
            return Err(self.blame.value(&self.key, found, "`choices` alone"));
        }
        let key = format!("{}.choices", self.key);
        if choices.len() < 2 {
            let found = format!("{} long", choices.len());
            return Err(self.blame.value(&key, found, "at least two values"));
        }
        let choices = choices
            .iter()
            .map(|choice| match choice {
                RawChoice::Number(number) => self.number_choice(&key, *number),
                RawChoice::Boolean(value) => self.boolean_choice(&key, *value),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(ParameterSpec::Choices { choices, per })
    }
}
