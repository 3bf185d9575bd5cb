//! [`Run`]: one's own scores, as figures beside the published ones.

use std::path::Path;

use segzero_datasets::{Error, ErrorKind};
use serde::Deserialize;

use super::{Figure, FigureStatus, IgnoreRule, Metric, Part, Percent, SampleUnit};

/// A file that `segzero eval --out` wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its figures; the method is the file's stem, the source its path.
    pub figures: Vec<Figure>,
    /// Number of scored units.
    pub n: u64,
    /// Whether every unit was scored on a prediction of its own.
    pub is_complete: bool,
}

/// What we need of the file; the rest is left alone.
#[derive(Deserialize)]
struct File {
    data: String,
    split: Option<String>,
    unit: Option<String>,
    complete: Option<bool>,
    protocol: Option<Protocol>,
    summary: Summary,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Protocol {
    Name(String),
    Fields { name: Option<String>, unit: Option<String>, ignore: Option<String> },
}

#[derive(Deserialize)]
struct Summary {
    n: u64,
    giou: Option<f64>,
    ciou: Option<f64>,
    no_target_accuracy: Option<f64>,
    target_accuracy: Option<f64>,
}

impl Run {
    /// Reads the bytes of the file at `path`. `set` and `split` replace what the file says: a set of
    /// one's own naming may be a copy of a published one.
    ///
    /// # Errors
    /// Not such a file, no figure in it, or a data set that is not on the boards.
    pub fn read(
        path: &Path,
        bytes: &[u8],
        set: Option<&str>,
        split: Option<&str>,
    ) -> Result<Self, Error> {
        let file: File = serde_json::from_slice(bytes).map_err(|e| Error::new(path, e))?;
        let (set, split_by) = match set {
            Some(set) => (set.to_owned(), split_by(&file.data)),
            None => place(&file.data).ok_or_else(|| unknown_set(path, &file.data))?,
        };
        // Hugging Face sets call every split `test`; their own names say which it is.
        let split = split.map(str::to_owned).or_else(|| split_of(&file.data)).or(file.split);
        let split = split.ok_or_else(|| missing(path, "split", "the name of the split"))?;
        let (name, unit, ignore) = match file.protocol {
            Some(Protocol::Name(name)) => (Some(name), None, None),
            Some(Protocol::Fields { name, unit, ignore }) => (name, unit, ignore),
            // The rules of `segzero eval` where nothing else is said.
            None => (None, None, Some("exclude".to_owned())),
        };
        let rules = Rules {
            protocol: name.unwrap_or_else(|| "segzero".to_owned()),
            unit: sample_unit(&set, unit.or(file.unit).as_deref()),
            ignore: ignore.as_deref().and_then(parsed::<IgnoreRule>),
        };
        let values = [
            (Metric::Giou, file.summary.giou),
            (Metric::Ciou, file.summary.ciou),
            (Metric::NAcc, file.summary.no_target_accuracy),
            (Metric::TAcc, file.summary.target_accuracy.filter(|_| set == "grefcoco")),
        ];
        let values = values.into_iter().filter_map(|(m, v)| Some((m, Percent::measured(v?)?)));
        let place = Place { path, set: &set, split_by, split: &split };
        let figures: Vec<Figure> = values.map(|(m, v)| figure(&place, &rules, m, v)).collect();
        if figures.is_empty() || file.summary.n == 0 {
            return Err(missing(path, "summary", "a score (no sample was scored)"));
        }
        let is_complete = file.complete.unwrap_or(false);
        Ok(Self { figures, n: file.summary.n, is_complete })
    }
}

struct Rules {
    protocol: String,
    unit: Option<SampleUnit>,
    ignore: Option<IgnoreRule>,
}

struct Place<'a> {
    path: &'a Path,
    set: &'a str,
    split_by: Option<String>,
    split: &'a str,
}

fn figure(place: &Place<'_>, rules: &Rules, metric: Metric, value: Percent) -> Figure {
    let stem = place.path.file_stem().unwrap_or(place.path.as_os_str());
    Figure {
        set: place.set.to_owned(),
        split_by: place.split_by.clone(),
        split: place.split.to_owned(),
        part: Part::All,
        method: stem.to_string_lossy().into_owned(),
        year: None,
        backbone: None,
        metric,
        value,
        printed_as: Some(metric.name().to_owned()),
        protocol: Some(rules.protocol.clone()),
        unit: rules.unit,
        ignore: rules.ignore,
        trained_on: None,
        table: None,
        note: None,
        source: place.path.display().to_string(),
        status: FigureStatus::Own,
    }
}

fn missing(path: &Path, field: &str, what: &str) -> Error {
    Error::new(path, ErrorKind::Missing { what: what.to_owned() }).field(field)
}

fn unknown_set(path: &Path, data: &str) -> Error {
    let expected = format!("a set of the boards ({})", SETS.join(", "));
    let found = format!("`{data}`");
    Error::new(path, ErrorKind::Unexpected { expected, found }).field("data")
}

/// Sets of the boards.
pub const SETS: [&str; 5] = ["refcoco", "refcoco+", "refcocog", "grefcoco", "reasonseg"];

/// The set and its partition that a data set's label names: `refcocog/umd`, `ReasonSeg_test`,
/// `refcocoplus_testA`.
fn place(data: &str) -> Option<(String, Option<String>)> {
    let name = data.split('/').next()?.to_lowercase().replace("plus", "+");
    let name = name.split('_').next()?;
    let name = if name == "refcocop" { "refcoco+" } else { name };
    let set = SETS.iter().find(|set| **set == name)?;
    Some(((*set).to_owned(), split_by(data)))
}

fn split_by(data: &str) -> Option<String> {
    data.split_once('/').map(|(_, split_by)| split_by.to_owned())
}

/// The split in the name of a Hugging Face set (`refcoco_testA`).
fn split_of(data: &str) -> Option<String> {
    let (_, split) = data.split_once('_')?;
    let splits = ["val", "test", "testA", "testB"];
    splits.iter().find(|known| **known == split).map(|split| (*split).to_owned())
}

/// ReasonSeg has one query an image, whatever the unit is called.
fn sample_unit(set: &str, unit: Option<&str>) -> Option<SampleUnit> {
    match set {
        "reasonseg" => Some(SampleUnit::OneQuery),
        _ => unit.and_then(parsed::<SampleUnit>),
    }
}

/// A name as one of our modes; `None` where it is not.
fn parsed<T: for<'a> Deserialize<'a>>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}
