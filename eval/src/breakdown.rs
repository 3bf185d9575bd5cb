//! [`Breakdown`]: the numbers of parts of the rows: by size of the object, length of the query,
//! number of objects like it.

use serde::{Deserialize, Serialize};

use crate::protocol::Protocol;
use crate::{Cell, Row, Summary};

/// What rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Area of the target, in COCO's classes: small is below 32x32 pixels, large from 96x96 on.
    ObjectArea,
    /// Area of the target, as a share of the image.
    ObjectShare,
    /// Number of words of the query.
    QueryLength,
    /// Number of other objects of the same category in the image.
    Distractors,
    /// ReasonSeg's short and long queries.
    QueryKind,
}

/// The numbers of every group on an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// The axis.
    pub axis: Axis,
    /// Its groups that have rows, from small to large.
    pub groups: Vec<Group>,
}

/// The numbers of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the group, in words: `small`, `3-5`, ...
    pub name: String,
    /// Its numbers.
    pub summary: Summary,
}

impl Axis {
    /// All axes.
    pub const ALL: [Self; 5] = [
        Self::ObjectArea,
        Self::ObjectShare,
        Self::QueryLength,
        Self::Distractors,
        Self::QueryKind,
    ];

    /// The axis in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::ObjectArea => "object area",
            Self::ObjectShare => "object share of the image",
            Self::QueryLength => "words in the query",
            Self::Distractors => "others of its category",
            Self::QueryKind => "kind of query",
        }
    }

    /// Names of the groups, from small to large.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::ObjectArea => &["no target", "small", "medium", "large"],
            Self::ObjectShare => &["no target", "under 1 %", "1-5 %", "5-20 %", "over 20 %"],
            Self::QueryLength => &["1-2", "3-5", "6-10", "11-20", "over 20"],
            Self::Distractors => &["none", "1", "2", "3-5", "over 5"],
            Self::QueryKind => &["short", "long"],
        }
    }

    /// Position of a row's group among [`Axis::names`]; `None` where the row does not say.
    pub fn group(self, row: &Row) -> Option<usize> {
        let above = |bounds: &[u64], value: u64| bounds.iter().filter(|b| value > **b).count();
        Some(match self {
            Self::ObjectArea => match row.target_area? {
                0 => 0,
                area => 1 + usize::from(area >= 32 * 32) + usize::from(area >= 96 * 96),
            },
            Self::ObjectShare => match (row.target_area?, row.image_area?) {
                (0, _) => 0,
                (area, all) => {
                    1 + [1, 5, 20].iter().filter(|percent| area * 100 > *percent * all).count()
                }
            },
            Self::QueryLength => match row.words() as u64 {
                0 => return None,
                words => above(&[2, 5, 10, 20], words),
            },
            Self::Distractors => above(&[0, 1, 2, 5], row.distractors?.into()),
            Self::QueryKind => usize::from(row.is_sentence?),
        })
    }
}

/// A row's group on every axis, in little space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups([u8; Axis::ALL.len()]);

/// The row does not say.
const UNKNOWN: u8 = u8::MAX;

impl Groups {
    /// The groups of a row.
    pub fn of(row: &Row) -> Self {
        Self(Axis::ALL.map(|axis| axis.group(row).map_or(UNKNOWN, |group| group as u8)))
    }
}

impl Breakdown {
    /// The numbers on every axis on which the cells are known and differ.
    pub fn all(cells: &[Cell], protocol: &Protocol) -> Vec<Self> {
        // Which of the units a sampler would repeat is no matter of their groups.
        let protocol = Protocol { replicas: 1, ..protocol.clone() };
        let breakdown = |(position, axis): (usize, Axis)| {
            let mut among: Vec<Vec<&Cell>> = vec![Vec::new(); axis.names().len()];
            for cell in cells {
                if let Some(group) = among.get_mut(usize::from(cell.groups.0[position])) {
                    group.push(cell);
                }
            }
            let group = |(name, among): (&&str, &Vec<&Cell>)| {
                let summary = Summary::of(among.iter().copied(), &protocol);
                (!among.is_empty()).then(|| Group { name: (*name).to_owned(), summary })
            };
            let groups: Vec<Group> = axis.names().iter().zip(&among).filter_map(group).collect();
            (!groups.is_empty()).then_some(Self { axis, groups })
        };
        Axis::ALL.into_iter().enumerate().filter_map(breakdown).collect()
    }
}
