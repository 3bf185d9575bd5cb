//! What a data set holds, counted, and compared with the counts that were published for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Number of things in a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Distinct images.
    pub images: u64,
    /// Samples: REFER's refs, ReasonSeg's images, rows of a table.
    pub refs: u64,
    /// Expressions.
    pub sentences: u64,
    /// Samples that have a mask; the others have no target.
    pub masks: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.images += other.images;
        self.refs += other.refs;
        self.sentences += other.sentences;
        self.masks += other.masks;
    }
}

/// Published counts of one split; `None` where there is no published figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedCounts {
    /// Referred objects.
    pub refs: Option<u64>,
    /// Distinct images.
    pub images: Option<u64>,
    /// Expressions.
    pub sentences: Option<u64>,
}

/// Published counts of one data set under one `splitBy` (`manifests/published.json`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedSet {
    /// Data set in lower case; see [`crate::Source::name`].
    pub dataset: String,
    /// REFER's `splitBy`.
    #[serde(default)]
    pub split_by: Option<String>,
    /// Where the figures were read.
    pub source: String,
    /// By split.
    pub splits: BTreeMap<String, PublishedCounts>,
}

#[derive(Deserialize)]
struct Manifest {
    sets: Vec<PublishedSet>,
}

/// All published counts that we know, with their sources.
///
/// # Errors
/// None in a released build: the file is part of the crate and a test reads it.
pub fn published_sets() -> Result<Vec<PublishedSet>, serde_json::Error> {
    let manifest: Manifest = serde_json::from_str(include_str!("../manifests/published.json"))?;
    Ok(manifest.sets)
}

/// How a data set's counts agree with the published ones that they are nearest to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The `splitBy` of those published counts.
    pub split_by: Option<String>,
    /// Where they were read.
    pub source: String,
    /// Number of published figures that are met exactly.
    pub equal: usize,
    /// The figures that are not.
    pub differences: Vec<Difference>,
}

/// One figure that is not as published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The split.
    pub split: String,
    /// `refs`, `images` or `sentences`.
    pub figure: &'static str,
    /// As published.
    pub published: u64,
    /// As counted.
    pub found: u64,
}

impl Comparison {
    /// Whether every published figure is met.
    pub fn is_exact(&self) -> bool {
        self.differences.is_empty()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { split, figure, published, found } = self;
        write!(f, "{split} {found} of {published} {figure}")
    }
}

/// Compares with every published set of this name and returns the nearest: most figures equal, the
/// stated `splitBy` where that decides nothing. `None` where nothing was published.
pub fn compare(
    dataset: &str,
    split_by: Option<&str>,
    splits: &BTreeMap<String, Counts>,
    published: &[PublishedSet],
) -> Option<Comparison> {
    let named = published.iter().filter(|set| set.dataset == dataset.to_lowercase());
    let comparisons = named.map(|set| compare_with(set, splits));
    comparisons.max_by_key(|c| (c.equal, c.split_by.as_deref() == split_by))
}

fn compare_with(set: &PublishedSet, splits: &BTreeMap<String, Counts>) -> Comparison {
    let (mut equal, mut differences) = (0, Vec::new());
    for (split, published) in &set.splits {
        let found = splits.get(split).copied().unwrap_or_default();
        let figures = [
            ("refs", published.refs, found.refs),
            ("images", published.images, found.images),
            ("sentences", published.sentences, found.sentences),
        ];
        for (figure, published, found) in figures {
            match published {
                Some(published) if published == found => equal += 1,
                Some(published) => {
                    let split = split.clone();
                    differences.push(Difference { split, figure, published, found });
                }
                None => {}
            }
        }
    }
    Comparison { split_by: set.split_by.clone(), source: set.source.clone(), equal, differences }
}
