//! Settings of trainings side by side.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Trainings;

/// One setting in all runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    /// Where it stands: `settings.loss.beta`.
    pub name: String,
    /// What it is in each run; empty where it is not set.
    pub values: Vec<String>,
}

impl Setting {
    /// Whether the runs do not agree.
    pub(super) fn differs(&self) -> bool {
        self.values.iter().any(|value| *value != self.values[0])
    }
}

impl Trainings {
    /// Every setting that any run has, as `run.json` names it.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (at, run) in self.runs.iter().enumerate() {
            let mut note = |name: &str, value: &Value| {
                let values =
                    all.entry(name.to_owned()).or_insert(vec![String::new(); self.runs.len()]);
                values[at] = words(value);
            };
            flat("", &run.settings["run"], &mut note);
            note("segzero", &run.settings["segzero"]);
        }
        let is_set = |(_, values): &(String, Vec<String>)| values.iter().any(|v| !v.is_empty());
        let setting = |(name, values)| Setting { name, values };
        all.into_iter().filter(is_set).map(setting).collect()
    }
}

/// Visits what stands below a value, by path.
fn flat(path: &str, value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    let Value::Object(fields) = value else { return visit(path, value) };
    for (name, value) in fields {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        flat(&below, value, visit);
    }
}

/// A value for people: lists with commas, what belongs together with spaces.
fn words(value: &Value) -> String {
    let joined = |values: &mut dyn Iterator<Item = &Value>, with: &str| {
        values.map(words).collect::<Vec<_>>().join(with)
    };
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => joined(&mut values.iter(), ", "),
        Value::Object(fields) => joined(&mut fields.values(), " "),
        other => other.to_string(),
    }
}
