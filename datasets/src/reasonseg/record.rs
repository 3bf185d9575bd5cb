//! One annotation file: `{"text": [...], "is_sentence": bool, "shapes": [...]}`.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Label, Shape};

/// What a file says; shapes labelled `flag` are dropped already.
#[derive(Debug)]
pub(super) struct Record {
    /// Rephrasings of the query; never empty.
    pub text: Vec<String>,
    /// A full sentence (long query), where the file says.
    pub is_sentence: Option<bool>,
    /// Polygons in file order, which decides ties when they are painted. May be empty.
    pub shapes: Vec<Shape>,
}

/// What is wrong with a file, before its path is known.
#[derive(Debug)]
pub(super) struct Fault {
    field: Option<String>,
    kind: ErrorKind,
}

impl Fault {
    /// The error of the file at `path`.
    pub(super) fn at(self, path: &Path) -> Error {
        let error = Error::new(path, self.kind);
        match self.field {
            Some(field) => error.field(field),
            None => error,
        }
    }

    fn field(field: impl Into<String>, kind: impl Into<ErrorKind>) -> Self {
        Self { field: Some(field.into()), kind: kind.into() }
    }

    fn unexpected(field: impl Into<String>, expected: &str, found: impl Into<String>) -> Self {
        let kind = ErrorKind::Unexpected { expected: expected.to_owned(), found: found.into() };
        Self::field(field, kind)
    }
}

impl Record {
    /// Parses a file's bytes: UTF-8, or Windows code page 1252 where they are not.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let text = decode(bytes);
        let value: Value =
            serde_json::from_str(&text).map_err(|e| Fault { field: None, kind: e.into() })?;
        let Value::Object(mut file) = value else {
            let kind = ErrorKind::Unexpected { expected: "an object".into(), found: found(&value) };
            return Err(Fault { field: None, kind });
        };
        Ok(Self {
            text: texts(take(&mut file, "text")?)?,
            is_sentence: match file.remove("is_sentence") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(long)) => Some(long),
                Some(other) => {
                    return Err(Fault::unexpected("is_sentence", "true or false", found(&other)));
                }
            },
            shapes: shapes(take(&mut file, "shapes")?)?,
        })
    }
}

/// UTF-8 with or without a byte order mark, else code page 1252 (LISA's reading rule). Five bytes
/// that the code page leaves undefined become control characters, where Python gives up.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

fn take(object: &mut Map<String, Value>, field: &str) -> Result<Value, Fault> {
    object
        .remove(field)
        .ok_or_else(|| Fault::field(field, ErrorKind::Missing { what: format!("`{field}`") }))
}

fn texts(value: Value) -> Result<Vec<String>, Fault> {
    let Value::Array(values) = value else {
        return Err(Fault::unexpected("text", "a list of strings", found(&value)));
    };
    if values.is_empty() {
        return Err(Fault::unexpected("text", "at least one string", "an empty list"));
    }
    let text = |(i, value)| match value {
        Value::String(text) => Ok(text),
        other => Err(Fault::unexpected(format!("text[{i}]"), "a string", found(&other))),
    };
    values.into_iter().enumerate().map(text).collect()
}

fn shapes(value: Value) -> Result<Vec<Shape>, Fault> {
    let Value::Array(values) = value else {
        return Err(Fault::unexpected("shapes", "a list", found(&value)));
    };
    let mut shapes = Vec::with_capacity(values.len());
    for (i, value) in values.into_iter().enumerate() {
        let Value::Object(mut shape) = value else {
            return Err(Fault::unexpected(format!("shapes[{i}]"), "an object", found(&value)));
        };
        let inside = |fault: Fault| Fault {
            field: Some(format!("shapes[{i}].{}", fault.field.unwrap_or_default())),
            kind: fault.kind,
        };
        if let Some(label) = label(take(&mut shape, "label").map_err(inside)?).map_err(inside)? {
            let points = take(&mut shape, "points").and_then(points).map_err(inside)?;
            shapes.push(Shape { label, points });
        }
    }
    Ok(shapes)
}

/// LISA's rule on the lower-cased label: equal to `flag`, no shape at all (`None`); containing
/// `ignore`, ignored; anything else, target.
fn label(value: Value) -> Result<Option<Label>, Fault> {
    let Value::String(label) = value else {
        return Err(Fault::unexpected("label", "a string", found(&value)));
    };
    let label = label.to_lowercase();
    Ok(match label.as_str() {
        "flag" => None,
        _ if label.contains("ignore") => Some(Label::Ignore),
        _ => Some(Label::Target),
    })
}

fn points(value: Value) -> Result<Vec<[f64; 2]>, Fault> {
    let Value::Array(values) = value else {
        return Err(Fault::unexpected("points", "a list of [x, y]", found(&value)));
    };
    if values.len() < 2 {
        let count = format!("{} of them", values.len());
        return Err(Fault::unexpected("points", "two points or more", count));
    }
    values.iter().enumerate().map(|(i, value)| point(i, value)).collect()
}

fn point(i: usize, value: &Value) -> Result<[f64; 2], Fault> {
    let Some([x, y]) = value.as_array().map(Vec::as_slice) else {
        return Err(Fault::unexpected(format!("points[{i}]"), "two numbers [x, y]", found(value)));
    };
    let coordinate = |name: &str, value: &Value| match value.as_f64() {
        Some(v) if v.abs() < f64::from(i32::MAX) => Ok(v),
        Some(v) => {
            let expected = "a coordinate that fits 32 bits";
            Err(Fault::unexpected(format!("points[{i}].{name}"), expected, v.to_string()))
        }
        None => Err(Fault::unexpected(format!("points[{i}].{name}"), "a number", found(value))),
    };
    Ok([coordinate("x", x)?, coordinate("y", y)?])
}

/// A value in a few words.
fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => format!("\"{}\"", s.chars().take(40).collect::<String>()),
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::Object(_) => "an object".into(),
    }
}
