//! [`Coverage`]: whether as many units were scored as the published split has.

use std::collections::{BTreeMap, HashSet};

use ahash::RandomState;
use segzero_datasets::counts::{PublishedCounts, PublishedSet, published_sets};

use crate::{Row, Unit};

/// Counts the rows of a published data set, split by split. A set that is not published, such as
/// one's own table, is never partial.
#[derive(Debug)]
pub struct Coverage {
    data: String,
    unit: Unit,
    published: BTreeMap<String, PublishedCounts>,
    found: BTreeMap<String, Found>,
    /// Split and key of the last row: the rows of one sample follow each other.
    last: (String, String),
}

#[derive(Debug, Default)]
struct Found {
    refs: u64,
    sentences: u64,
    images: HashSet<String, RandomState>,
}

impl Coverage {
    /// For a data set by its label, with REFER's `splitBy` ([`crate::Provenance::data`]), whose
    /// rows are one for each of these units.
    pub fn new(data: &str, unit: Unit) -> Self {
        let (name, split_by) = match data.split_once('/') {
            Some((name, split_by)) => (name, Some(split_by)),
            None => (data, None),
        };
        let sets = published_sets().unwrap_or_default();
        let is_this = |set: &PublishedSet| {
            set.dataset == name.to_lowercase() && set.split_by.as_deref() == split_by
        };
        let set = sets.into_iter().find(is_this);
        Self {
            data: data.to_owned(),
            unit,
            published: set.map(|set| set.splits).unwrap_or_default(),
            found: BTreeMap::new(),
            last: Default::default(),
        }
    }

    /// Counts a row.
    pub fn add(&mut self, row: &Row) {
        let Some(published) = self.published.get(&*row.split) else { return };
        let (split, key) = &mut self.last;
        let found = match self.found.get_mut(&*row.split) {
            Some(found) => found,
            None => self.found.entry(row.split.to_string()).or_default(),
        };
        found.sentences += 1;
        if found.refs == 0 || *key != *row.key || *split != *row.split {
            found.refs += 1;
            row.key.clone_into(key);
            row.split.clone_into(split);
        }
        if published.refs.is_none() && !found.images.contains(&*row.image) {
            found.images.insert(row.image.to_string());
        }
    }

    /// How the splits that were met differ from the published ones: `refcocog/umd val: 37 of 4,896
    /// sentences`. Empty where they do not.
    pub fn differences(&self) -> Vec<String> {
        self.found.iter().filter_map(|(split, found)| self.difference(split, found)).collect()
    }

    fn difference(&self, split: &str, found: &Found) -> Option<String> {
        let published = self.published.get(split)?;
        let (figure, found, published) = match (self.unit, published) {
            (Unit::Query, PublishedCounts { sentences: Some(all), .. }) => {
                ("sentences", found.sentences, *all)
            }
            (_, PublishedCounts { refs: Some(all), .. }) => ("refs", found.refs, *all),
            (_, PublishedCounts { images: Some(all), .. }) => {
                ("images", found.images.len() as u64, *all)
            }
            _ => return None,
        };
        let (data, found_text) = (&self.data, thousands(found));
        (found != published)
            .then(|| format!("{data} {split}: {found_text} of {} {figure}", thousands(published)))
    }
}

/// `4,896`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
