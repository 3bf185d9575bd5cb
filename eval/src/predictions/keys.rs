//! What a prediction is for, in the words of the tools that write predictions, and how it and a
//! sample find each other.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ahash::RandomState;
use segzero_datasets::{Error, Query, Sample};

use super::{Predictions, Reader};

/// What a record or file name says that it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids<'a> {
    pub key: Option<Cow<'a, str>>,
    pub sample_id: Option<Cow<'a, str>>,
    pub ref_id: Option<Cow<'a, str>>,
    pub sent_id: Option<Cow<'a, str>>,
    /// The sentence itself, however its words are joined.
    pub text: Option<Cow<'a, str>>,
    pub ann_id: Option<Cow<'a, str>>,
    pub image_id: Option<Cow<'a, str>>,
    pub category_id: Option<i64>,
}

impl Ids<'_> {
    /// The key by the most specific of them; `None` where there is nothing.
    pub(super) fn key(&self) -> Option<String> {
        let given = self.key.as_ref().or(self.sample_id.as_ref());
        if let Some(key) = given {
            return Some(key.clone().into_owned());
        }
        if let Some(ref_id) = self.ref_id.as_deref().map(normal) {
            return Some(match (&self.sent_id, &self.text) {
                (Some(sent_id), _) => format!("{ref_id}:{}", normal(sent_id)),
                (None, Some(text)) => text_key(ref_id, text),
                (None, None) => ref_id.to_owned(),
            });
        }
        if let Some(ann_id) = &self.ann_id {
            let is_number = ann_id.parse::<i64>().is_ok();
            let prefix = if is_number { ANNOTATION } else { "" };
            return Some(format!("{prefix}{}", normal(ann_id)));
        }
        let image = self.image_id.as_deref().map(normal)?;
        Some(match self.category_id {
            Some(category) => format!("{IMAGE}{image}/{category}"),
            None => format!("{IMAGE}{image}"),
        })
    }
}

const ANNOTATION: &str = "ann:";
const IMAGE: &str = "image:";

/// A number of a file name without its leading zeros; anything else as it is.
fn normal(id: &str) -> &str {
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    match id.trim_start_matches('0') {
        _ if !is_number => id,
        "" => "0",
        digits => digits,
    }
}

/// Key of a sentence by its words, which file names join in one way or another.
fn text_key(sample: &str, text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    format!("{sample}:{}", words.join("-"))
}

/// Which kinds of keys there are beside plain ones, so that others are not looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Aliases {
    /// Sentences, in place of their ids.
    pub texts: bool,
    annotations: bool,
    images: bool,
    /// Which prediction of an image belongs to which sample, by split and key; see
    /// [`Predictions::settle`].
    settled: HashMap<String, usize, RandomState>,
    /// Predictions of an image that several samples could claim.
    unclaimed: HashSet<usize, RandomState>,
}

impl Aliases {
    pub(super) fn note(&mut self, key: &str) {
        self.annotations |= key.starts_with(ANNOTATION);
        self.images |= key.starts_with(IMAGE);
    }

    /// Whether a prediction is of an image that several samples could claim.
    pub(super) fn is_unclaimed(&self, position: usize) -> bool {
        self.unclaimed.contains(&position)
    }
}

/// Whose key is looked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precedence {
    /// The query's, then its sample's.
    Query,
    /// The sample's, then the query's.
    Sample,
}

impl Predictions {
    /// Position of the prediction for a query of a sample: by their keys; or else by the sentence,
    /// the annotation (where the sample has exactly one), or the image, where predictions name
    /// those.
    pub(crate) fn find(
        &self,
        sample: &Sample,
        query: &Query,
        precedence: Precedence,
    ) -> Option<usize> {
        self.find_by_key(sample, query, precedence)
            .or_else(|| self.find_by_alias(sample, query))
            .or_else(|| self.aliases.settled.get(&identity(sample)).copied())
    }

    fn find_by_key(&self, sample: &Sample, query: &Query, precedence: Precedence) -> Option<usize> {
        if query.id.is_none() {
            // The query has no key of its own.
            return self.find_key(&sample.key);
        }
        let (of_query, of_sample) = (sample.query_key(query), sample.key.as_str());
        let (first, second) = match precedence {
            Precedence::Query => (of_query.as_str(), of_sample),
            Precedence::Sample => (of_sample, of_query.as_str()),
        };
        self.find_key(first).or_else(|| self.find_key(second))
    }

    fn find_by_alias(&self, sample: &Sample, query: &Query) -> Option<usize> {
        if self.aliases.texts
            && let Some(position) = self.position(&text_key(&sample.key, &query.text))
        {
            return Some(position);
        }
        match sample.ann_ids[..] {
            [id] if self.aliases.annotations => self.position(&format!("{ANNOTATION}{id}")),
            _ => None,
        }
    }

    /// Position of the prediction of a key. A file name may spell a colon or slash as `_` or `-`.
    fn find_key(&self, key: &str) -> Option<usize> {
        let exact = self.position(key);
        if exact.is_some() || !self.keys_are_file_names {
            return exact;
        }
        let spelled = |by: &str| self.position(&key.replace([':', '/'], by));
        spelled("_").or_else(|| spelled("-"))
    }

    /// Whether there are predictions that name an image and no object in it; they are used after
    /// [`Predictions::settle`] alone.
    pub fn needs_settling(&self) -> bool {
        self.aliases.images
    }

    /// Finds out to which sample a prediction belongs that names an image (and maybe a category).
    /// One that several samples could claim is used for none of them, and named in
    /// [`crate::Problems::ambiguous`]. Samples that cannot be read claim nothing.
    pub fn settle(&mut self, samples: impl IntoIterator<Item = Result<Sample, Error>>) {
        if !self.aliases.images {
            return;
        }
        let mut claims: Vec<(usize, String)> = Vec::new();
        for sample in samples.into_iter().flatten() {
            let Some(query) = sample.queries.first() else { continue };
            let direct = self.find_by_key(&sample, query, Precedence::Sample);
            if direct.or_else(|| self.find_by_alias(&sample, query)).is_none()
                && let Some(position) = self.find_by_image(&sample)
            {
                claims.push((position, identity(&sample)));
            }
        }
        claims.sort_unstable();
        for claims in claims.chunk_by(|a, b| a.0 == b.0) {
            match claims {
                [(position, sample)] => {
                    self.aliases.settled.insert(sample.clone(), *position);
                }
                _ => {
                    let position = claims[0].0;
                    let name = Reader::new(self).key(position);
                    self.ambiguous.push(|| format!("{name} ({} samples)", claims.len()));
                    self.aliases.unclaimed.insert(position);
                }
            }
        }
    }

    fn find_by_image(&self, sample: &Sample) -> Option<usize> {
        let image = normal(&sample.image.id);
        let of_category = sample.category_ids.first().and_then(|first| {
            let one = sample.category_ids.iter().all(|id| id == first);
            one.then(|| self.position(&format!("{IMAGE}{image}/{first}")))?
        });
        of_category.or_else(|| self.position(&format!("{IMAGE}{image}")))
    }
}

/// Split and key of a sample.
fn identity(sample: &Sample) -> String {
    format!("{}/{}", sample.split, sample.key)
}
