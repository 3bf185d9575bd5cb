//! [`Finder`]: the farthest pixel of a mask's columns, by whichever search fits the mask.

use segzero_datasets::Size;

use super::columns::Columns;
use super::field::Field;
use super::lanes::{Block, Lanes, MOST_ROWS, PortableU8, PortableU16};
use super::search::{Search, Stopped};
use super::{Disc, Peak, plain};

/// Which instructions the search uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Simd {
    /// The best that this processor has.
    #[default]
    Detect,
    /// Those that every processor has.
    Portable,
}

/// How distances are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Method {
    /// Pruned search, 8 bits a pixel: radii below 255.
    #[default]
    Short,
    /// Pruned search, 16 bits a pixel.
    Long,
    /// The linear-time transform of the whole box.
    Plain,
}

type ShortField = Field<Block<u8, 32>>;
type LongField = Field<Block<u16, 16>>;
type Found = Result<Option<Peak>, Stopped>;

/// The searches and their memory.
#[derive(Debug, Default)]
pub(super) struct Finder {
    simd: Simd,
    method: Method,
    short: ShortField,
    long: LongField,
    map: Vec<u64>,
    /// Discs to take from the columns. The searches take them from their field only, which costs
    /// less.
    cuts: Vec<Disc>,
    /// How many of them the field of the current method lacks already; `None` before it is filled.
    carved: Option<usize>,
}

impl Finder {
    pub fn new(simd: Simd) -> Self {
        Self { simd, ..Self::default() }
    }

    /// Takes on a new mask.
    pub fn begin(&mut self, image: Size) {
        let fits = image.width.max(image.height) <= MOST_ROWS;
        self.method = if fits { Method::Short } else { Method::Plain };
        self.cuts.clear();
        self.carved = None;
    }

    /// Takes a method that [`Finder::begin`] would not.
    #[cfg(test)]
    pub fn force(&mut self, method: Method) {
        self.method = method;
    }

    /// Makes the pixels of a disc background.
    pub fn cut(&mut self, disc: Disc) {
        self.cuts.push(disc);
    }

    /// The largest squared distance outside the `excluded` discs, first in raster order. The columns
    /// are those of the mask; whether they lack the cut discs afterwards is left open.
    pub fn farthest(&mut self, columns: &mut Columns, excluded: &[Disc]) -> Option<Peak> {
        while self.method != Method::Plain {
            match self.pruned(columns, excluded) {
                Ok(peak) => {
                    self.carved = Some(self.cuts.len());
                    return peak;
                }
                Err(stopped) => {
                    let saturated = stopped == Stopped::Saturated && self.method == Method::Short;
                    self.method = if saturated { Method::Long } else { Method::Plain };
                    self.carved = None;
                }
            }
        }
        for disc in self.cuts.drain(..) {
            columns.cut(&disc);
        }
        plain::farthest(columns, excluded, &mut self.map)
    }

    fn pruned(&mut self, columns: &Columns, excluded: &[Disc]) -> Found {
        let work = Work { columns, cuts: &self.cuts, carved: self.carved, excluded };
        let long = self.method == Method::Long;
        #[cfg(target_arch = "x86_64")]
        if self.simd == Simd::Detect && is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe {
                if long {
                    avx2_long(&mut self.long, &work)
                } else {
                    avx2_short(&mut self.short, &work)
                }
            };
        }
        if long {
            search::<PortableU16>(&mut self.long, &work)
        } else {
            search::<PortableU8>(&mut self.short, &work)
        }
    }
}

/// What to search.
struct Work<'a> {
    columns: &'a Columns,
    cuts: &'a [Disc],
    carved: Option<usize>,
    excluded: &'a [Disc],
}

/// Brings the field up to date and searches it.
#[inline(always)]
fn search<L: Lanes>(field: &mut Field<L::Block>, work: &Work) -> Found {
    if work.carved.is_none() {
        field.resize::<L>(work.columns);
        field.fill::<L>(work.columns);
    }
    let carved = work.carved.unwrap_or(0);
    for disc in &work.cuts[carved..] {
        field.carve::<L>(work.columns, disc);
    }
    Search::<L>::run(work.columns, field, work.excluded)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_short(field: &mut ShortField, work: &Work) -> Found {
    search::<super::lanes::Avx2U8>(field, work)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_long(field: &mut LongField, work: &Work) -> Found {
    search::<super::lanes::Avx2U16>(field, work)
}
