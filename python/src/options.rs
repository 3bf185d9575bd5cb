//! Options by the names that flags and files give them.

use pyo3::PyResult;
use segzero_eval::Protocol;
use segzero_eval::protocol::presets;
use segzero_prep::PrepOptions;
use segzero_prep::select::Leaks;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::failure::value_error;

/// The mode of this name: `inscribed`, `seg-zero`, ...; an error lists those that there are.
pub fn mode<T: DeserializeOwned>(name: &str) -> PyResult<T> {
    serde_json::from_value(Value::String(name.to_owned())).map_err(value_error)
}

/// The protocol of this name, or of JSON as `segzero protocols --json` prints it.
pub fn protocol(rules: &str) -> PyResult<Protocol> {
    if rules.trim_start().starts_with('{') {
        return serde_json::from_str(rules).map_err(value_error);
    }
    let presets = presets().map_err(value_error)?;
    let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
    let unknown = format!("there is no protocol `{rules}`; there are {}", names.join(", "));
    presets.into_iter().find(|p| p.name == rules).ok_or_else(|| value_error(unknown))
}

/// The options of `segzero prep` with those that a JSON object of its flags' names gives: `points`,
/// `circles`, `size`, `min-area`, ...
pub fn merged(options: &str) -> PyResult<PrepOptions> {
    let given: Map<String, Value> = serde_json::from_str(options).map_err(value_error)?;
    let mut known = serde_json::to_value(PrepOptions::default()).map_err(value_error)?;
    // A batch knows no other split.
    known["select"]["leaks"] = serde_json::to_value(Leaks::Allow).map_err(value_error)?;
    let is_vision = given.get("solution") == Some(&"vision-reasoner".into());
    if is_vision && !given.contains_key("circles") {
        known["target"]["circles"] = 1.into();
    }
    for (name, value) in given {
        let name = name.replace('_', "-");
        // The flag's name, which is no name in Rust.
        let name = if name == "box" { "bbox".to_owned() } else { name };
        let has = |known: &Value| known.get(&name).is_some_and(|value| !value.is_object());
        match [None, Some("target"), Some("select")].into_iter().find(|part| match part {
            None => has(&known),
            Some(part) => has(&known[part]),
        }) {
            None => return Err(value_error(format_args!("there is no option `{name}`"))),
            Some(None) => put(&mut known[&name], value),
            Some(Some(part)) => put(&mut known[part][&name], value),
        }
        PrepOptions::deserialize(&known)
            .map_err(|e| value_error(format_args!("option `{name}`: {e}")))?;
    }
    serde_json::from_value(known).map_err(value_error)
}

/// Replaces a value; a side may be given as a number, though `WxH` and `keep` make sizes words.
fn put(known: &mut Value, value: Value) {
    *known = match value {
        Value::Number(number) if known.is_string() => Value::String(number.to_string()),
        value => value,
    };
}
