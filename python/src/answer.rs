//! Prompts, and what models answered to them.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use segzero_eval::answer::{Answer, Failure, Parser};
use segzero_eval::prompt::PromptStyle;
use serde::Serialize;
use serde_json::Value;

use crate::options::mode;

/// Replies as boxes and points; one that holds no answer says why.
#[pyfunction]
pub fn read_answers<'py>(
    py: Python<'py>,
    replies: Vec<String>,
    parser: &str,
    size: [f64; 2],
) -> PyResult<Bound<'py, PyList>> {
    let parser: Parser = mode(parser)?;
    let read =
        py.detach(|| replies.iter().map(|reply| parser.read(reply, size)).collect::<Vec<_>>());
    let answers = PyList::empty(py);
    for answer in &read {
        answers.append(dictionary(py, answer)?)?;
    }
    Ok(answers)
}

fn dictionary<'py>(
    py: Python<'py>,
    answer: &Result<Answer, Failure>,
) -> PyResult<Bound<'py, PyDict>> {
    let entry = PyDict::new(py);
    let objects = PyList::empty(py);
    let found = answer.as_ref().ok();
    for object in found.iter().flat_map(|answer| &answer.objects) {
        let one = PyDict::new(py);
        one.set_item("bbox", object.bbox.map(Vec::from))?;
        let points: Vec<Vec<f64>> = object.points.iter().map(|point| point.to_vec()).collect();
        one.set_item("points", points)?;
        objects.append(one)?;
    }
    let repairs: Vec<String> =
        found.iter().flat_map(|answer| &answer.repairs).map(spelled).collect();
    entry.set_item("objects", objects)?;
    entry.set_item("thinking", found.and_then(|answer| answer.thinking.as_deref()))?;
    entry.set_item("repairs", repairs)?;
    entry.set_item("failure", answer.as_ref().err().map(spelled))?;
    Ok(entry)
}

/// A mode as files spell it.
fn spelled(mode: &impl Serialize) -> String {
    match serde_json::to_value(mode) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

/// What a published model was asked, for a question.
#[pyfunction]
#[pyo3(signature = (question, style="seg-zero"))]
pub fn prompt(question: &str, style: &str) -> PyResult<String> {
    Ok(mode::<PromptStyle>(style)?.text(question))
}
