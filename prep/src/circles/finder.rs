//! [`Finder`]: the farthest pixel of a mask's columns, by whichever search fits the mask.

use std::ops::Range;

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
    /// Columns that have changed since the field of the current method was filled.
    stale: Range<usize>,
}

impl Finder {
    pub fn new(simd: Simd) -> Self {
        Self { simd, ..Self::default() }
    }

    /// Takes on a new mask.
    pub fn begin(&mut self, columns: &Columns, image: Size) {
        let fits = image.width.max(image.height) <= MOST_ROWS;
        self.method = if fits { Method::Short } else { Method::Plain };
        self.refresh(0..columns.width as usize);
    }

    /// Takes a method that [`Finder::begin`] would not.
    #[cfg(test)]
    pub fn force(&mut self, method: Method) {
        self.method = method;
    }

    /// Notes that columns have changed.
    pub fn refresh(&mut self, columns: Range<usize>) {
        self.stale = columns;
    }

    /// The largest squared distance outside the `excluded` discs, first in raster order.
    pub fn farthest(&mut self, columns: &Columns, excluded: &[Disc]) -> Option<Peak> {
        while self.method != Method::Plain {
            match self.pruned(columns, excluded) {
                Ok(peak) => {
                    self.stale = 0..0;
                    return peak;
                }
                Err(stopped) => {
                    let saturated = stopped == Stopped::Saturated && self.method == Method::Short;
                    self.method = if saturated { Method::Long } else { Method::Plain };
                    self.stale = 0..columns.width as usize;
                }
            }
        }
        plain::farthest(columns, excluded, &mut self.map)
    }

    fn pruned(&mut self, columns: &Columns, excluded: &[Disc]) -> Found {
        let stale = self.stale.clone();
        let long = self.method == Method::Long;
        #[cfg(target_arch = "x86_64")]
        if self.simd == Simd::Detect && is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe {
                if long {
                    avx2_long(columns, &mut self.long, stale, excluded)
                } else {
                    avx2_short(columns, &mut self.short, stale, excluded)
                }
            };
        }
        if long {
            search::<PortableU16>(columns, &mut self.long, stale, excluded)
        } else {
            search::<PortableU8>(columns, &mut self.short, stale, excluded)
        }
    }
}

/// Brings the field up to date and searches it.
#[inline(always)]
fn search<L: Lanes>(
    columns: &Columns,
    field: &mut Field<L::Block>,
    stale: Range<usize>,
    excluded: &[Disc],
) -> Found {
    field.resize::<L>(columns);
    field.fill::<L>(columns, stale);
    Search::<L>::run(columns, field, excluded)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_short(
    columns: &Columns,
    field: &mut ShortField,
    stale: Range<usize>,
    excluded: &[Disc],
) -> Found {
    search::<super::lanes::Avx2U8>(columns, field, stale, excluded)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_long(
    columns: &Columns,
    field: &mut LongField,
    stale: Range<usize>,
    excluded: &[Disc],
) -> Found {
    search::<super::lanes::Avx2U16>(columns, field, stale, excluded)
}
