//! The two schemas that Seg-Zero publishes (`seg-zero.md` §1.6, §1.7), and who a file's columns are.

use arrow_schema::{DataType, Schema};

use crate::{ErrorKind, Format};

/// What a column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// An integer of any width.
    Integer,
    /// An identifier: a string or an integer.
    Id,
    /// Hugging Face's Image feature: a struct of encoded `bytes` and a `path`.
    Image,
    /// A list of rows, each a list of booleans.
    Mask,
}

/// Columns of the evaluation schema. `bbox` occurs too; it follows from the mask and is not read.
const EVAL: [(&str, Kind); 7] = [
    ("image", Kind::Image),
    ("text", Kind::Text),
    ("mask", Kind::Mask),
    ("image_id", Kind::Id),
    ("ann_id", Kind::Id),
    ("img_height", Kind::Integer),
    ("img_width", Kind::Integer),
];

/// Columns of the training schema.
const TRAIN: [(&str, Kind); 6] = [
    ("id", Kind::Id),
    ("problem", Kind::Text),
    ("solution", Kind::Text),
    ("image", Kind::Image),
    ("img_height", Kind::Integer),
    ("img_width", Kind::Integer),
];

/// The columns of a format.
pub(super) fn columns(format: Format) -> &'static [(&'static str, Kind)] {
    if format == Format::HfTrain { &TRAIN } else { &EVAL }
}

/// Which of the two schemas the columns resemble: all but one or two of its columns are there, its
/// text or mask among them. `None`: some other table.
pub(super) fn resembles(schema: &Schema) -> Option<Format> {
    let has = |name: &str| schema.column_with_name(name).is_some();
    let count = |columns: &[(&str, Kind)]| columns.iter().filter(|(name, _)| has(name)).count();
    if (has("problem") || has("solution")) && count(&TRAIN) >= TRAIN.len() - 2 {
        return Some(Format::HfTrain);
    }
    let eval = (has("text") || has("mask")) && count(&EVAL) >= EVAL.len() - 2;
    eval.then_some(Format::HfEval)
}

/// Checks that every column of `format` is there and of its kind; the error comes with the column.
pub(super) fn check(schema: &Schema, format: Format) -> Result<(), (&'static str, ErrorKind)> {
    for &(name, kind) in columns(format) {
        let Ok(field) = schema.field_with_name(name) else {
            let there: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let what = format!("the column (there are: {})", there.join(", "));
            return Err((name, ErrorKind::Missing { what }));
        };
        if !kind.admits(field.data_type()) {
            let (expected, found) = (kind.to_string(), describe(field.data_type()));
            return Err((name, ErrorKind::Unexpected { expected, found }));
        }
    }
    Ok(())
}

impl Kind {
    fn admits(self, found: &DataType) -> bool {
        let text = *found == DataType::Utf8;
        match self {
            Self::Text => text,
            Self::Integer => found.is_integer(),
            Self::Id => text || found.is_integer(),
            Self::Mask => match found {
                DataType::List(row) => match row.data_type() {
                    DataType::List(pixel) => *pixel.data_type() == DataType::Boolean,
                    _ => false,
                },
                _ => false,
            },
            Self::Image => match found {
                DataType::Struct(fields) => {
                    let is = |name: &str, kind| {
                        fields.find(name).is_none_or(|(_, field)| *field.data_type() == kind)
                    };
                    let any = fields.find("bytes").is_some() || fields.find("path").is_some();
                    any && is("bytes", DataType::Binary) && is("path", DataType::Utf8)
                }
                _ => false,
            },
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "a string",
            Self::Integer => "an integer",
            Self::Id => "a string or an integer",
            Self::Image => "a struct of `bytes` (binary) and `path` (string)",
            Self::Mask => "a list of lists of booleans",
        })
    }
}

/// A type in the words of its Parquet users.
fn describe(found: &DataType) -> String {
    match found {
        DataType::List(inner) => format!("a list of ({})", describe(inner.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|f| format!("{}: {}", f.name(), describe(f.data_type())))
                .collect();
            format!("a struct of ({})", fields.join(", "))
        }
        DataType::Utf8 => "string".into(),
        other => other.to_string().to_lowercase(),
    }
}
