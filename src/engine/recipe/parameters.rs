/// Named settings in the order of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters(Vec<(String, Setting)>);

/// What a parameter is set to.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// The same for every tensor.
    Everywhere(Profile),
    /// The first condition that the tensor's name meets; if none, the next level's setting holds.
    Conditional(Vec<Condition>),
}

/// One entry of a conditional setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// A part of the tensor's name; `None` and `*` are met by every tensor.
    pub filter: Option<String>,
    /// What it is set to.
    pub value: Profile,
}

/// How a parameter runs over the layers of an output slice.
#[derive(Debug, Clone, PartialEq)]
pub enum Profile {
    /// The same in every layer.
    Constant(Value),
    /// Evenly spaced from the first layer to the last, interpolated between.
    Gradient(Vec<Value>),
}

/// A number or a truth value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// Any number of the file, whole ones included.
    Number(f64),
}

impl Parameters {
    /// Sets a parameter, in place of its earlier setting if it had one.
    pub fn set(&mut self, name: impl Into<String>, setting: impl Into<Setting>) {
        let (name, setting) = (name.into(), setting.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = setting,
            None => self.0.push((name, setting)),
        }
    }

    /// The same, in a chain.
    pub fn with(mut self, name: impl Into<String>, setting: impl Into<Setting>) -> Parameters {
        self.set(name, setting);
        self
    }

    /// The setting of a parameter.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, setting)| setting)
    }

    /// Names and settings in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, S: Into<Setting>> FromIterator<(N, S)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (N, S)>>(entries: I) -> Parameters {
        entries
            .into_iter()
            .fold(Parameters::default(), |all, (name, setting)| all.with(name, setting))
    }
}

impl<N: Into<String>, S: Into<Setting>, const K: usize> From<[(N, S); K]> for Parameters {
    fn from(entries: [(N, S); K]) -> Parameters {
        entries.into_iter().collect()
    }
}

impl Setting {
    /// A gradient for every tensor.
    pub fn gradient(points: impl IntoIterator<Item = f64>) -> Setting {
        Setting::Everywhere(Profile::gradient(points))
    }

    /// Conditions tried in this order.
    pub fn conditional<'a>(
        conditions: impl IntoIterator<Item = (Option<&'a str>, Profile)>,
    ) -> Setting {
        let condition = |(filter, value): (Option<&str>, Profile)| Condition {
            filter: filter.map(str::to_owned),
            value,
        };
        Setting::Conditional(conditions.into_iter().map(condition).collect())
    }

    /// What holds for one tensor, if anything does.
    pub fn for_tensor(&self, tensor: &str) -> Option<&Profile> {
        match self {
            Setting::Everywhere(profile) => Some(profile),
            Setting::Conditional(conditions) => conditions
                .iter()
                .find(|condition| condition.is_met_by(tensor))
                .map(|condition| &condition.value),
        }
    }
}

impl Condition {
    fn is_met_by(&self, tensor: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| filter == "*" || tensor.contains(filter))
    }
}

impl Profile {
    /// Points from the first layer to the last.
    pub fn gradient(points: impl IntoIterator<Item = f64>) -> Profile {
        Profile::Gradient(points.into_iter().map(Value::Number).collect())
    }

    /// All values, in order.
    pub fn values(&self) -> &[Value] {
        match self {
            Profile::Constant(value) => std::slice::from_ref(value),
            Profile::Gradient(values) => values,
        }
    }
}

impl Value {
    /// A truth value counts as 0 or 1.
    pub fn as_number(self) -> f64 {
        match self {
            Value::Bool(truth) => f64::from(u8::from(truth)),
            Value::Number(number) => number,
        }
    }

    /// Only 0 and 1 count as truth values.
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(truth),
            Value::Number(0.0) => Some(false),
            Value::Number(1.0) => Some(true),
            Value::Number(_) => None,
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl<V: Into<Value>> From<V> for Profile {
    fn from(value: V) -> Profile {
        Profile::Constant(value.into())
    }
}

impl<P: Into<Profile>> From<P> for Setting {
    fn from(profile: P) -> Setting {
        Setting::Everywhere(profile.into())
    }
}
