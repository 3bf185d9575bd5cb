//! The pixel farthest from the background, without computing the whole distance map.
//!
//! With `g` the squared distance within a column, `D(x, y)` is the least of `g(x + dx, y) + dx²`.
//! Only the maximum is wanted, so a block of rows is left as soon as none of its rows can reach the
//! best value found so far; and as distances change by at most 1 from pixel to pixel, a block whose
//! largest radius is known to be `r` excuses the columns nearer than `best - r`.

use segzero_datasets::Point;

use super::columns::Columns;
use super::field::Field;
use super::lanes::Lanes;
use super::{Disc, Peak, floor_sqrt};

/// Why a search has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// A squared distance does not fit the lanes.
    Saturated,
    /// A shape on which pruning does not pay.
    OverBudget,
}

/// Loads that the search may spend per block before the linear transform is the cheaper way.
const LOADS_PER_BLOCK: usize = 48;
/// Columns between those of the first, coarse pass.
const COARSE: usize = 32;
/// Columns looked at between two tests.
const GROUP: usize = 4;

/// The search of one field; the best so far.
pub(super) struct Search<'a, L: Lanes> {
    columns: &'a Columns,
    field: &'a Field<L::Block>,
    excluded: &'a [Disc],
    /// Largest value found, or a value known to occur.
    best: u32,
    /// Its square root.
    radius: f32,
    /// The root rounded up: the least distance within a column that matters.
    reach: usize,
    /// First pixel of that value, column and row of the box, once met.
    found: Option<(usize, usize)>,
    /// Whether another pixel has it.
    tie: bool,
    /// Loads left.
    budget: usize,
}

impl<'a, L: Lanes> Search<'a, L> {
    /// The largest squared distance outside the `excluded` discs, first in raster order; `None`
    /// where all is background or excluded.
    #[inline(always)]
    pub fn run(
        columns: &'a Columns,
        field: &'a Field<L::Block>,
        excluded: &'a [Disc],
    ) -> Result<Option<Peak>, Stopped> {
        let budget = 4096 + LOADS_PER_BLOCK * field.width * field.height;
        let (best, radius, reach, found, tie) = (1, 1.0, 1, None, false);
        let mut search = Self { columns, field, excluded, best, radius, reach, found, tie, budget };
        // From the middle outwards, where the largest radii tend to be.
        let middle = field.height / 2;
        for row in (middle..field.height).chain((0..middle).rev()) {
            let mut x = COARSE / 2;
            while x < field.width {
                search.raise(row, x)?;
                x += COARSE;
            }
        }
        for row in 0..field.height {
            // Nearer to a closed side of the box no distance is long enough.
            let mut x = if columns.closed_left { search.reach - 1 } else { 0 };
            let end = if columns.closed_right { search.reach - 1 } else { 0 };
            while x + end < field.width {
                x += search.visit(row, x)?;
            }
        }
        let left = columns.left as usize;
        let top = columns.top as usize;
        Ok(search.found.map(|(x, y)| Peak {
            center: Point::new((left + x) as i32, (top + y) as i32),
            squared: search.best.into(),
            tie: search.tie,
        }))
    }

    /// Raises the bound to the largest value of a block, if that is larger.
    #[inline(always)]
    fn raise(&mut self, row: usize, x: usize) -> Result<(), Stopped> {
        if self.excess(row, x).is_some() {
            return Ok(());
        }
        let least = self.exclude(L::splat(self.best + 1), row, x);
        if let Ok(values) = self.distances(row, x, least)? {
            self.improve(L::largest(values))?;
        }
        Ok(())
    }

    /// Looks at a block; answers how many columns to go on.
    #[inline(always)]
    fn visit(&mut self, row: usize, x: usize) -> Result<usize, Stopped> {
        if let Some(columns) = self.excess(row, x) {
            return Ok(columns);
        }
        let least = self.exclude(self.least(row), row, x);
        let values = match self.distances(row, x, least)? {
            Ok(values) => values,
            Err(bound) => return Ok(self.stride(bound)),
        };
        let value = L::largest(values);
        let rows = L::rows_equal(values, value);
        let y = row * L::ROWS + rows.trailing_zeros() as usize;
        if self.found.is_none() || value > self.best {
            self.improve(value)?;
            self.found = Some((x, y));
            self.tie = rows.count_ones() > 1;
        } else {
            self.tie = true;
            self.found = self.found.map(|found| if y < found.1 { (x, y) } else { found });
        }
        Ok(1)
    }

    #[inline(always)]
    fn improve(&mut self, value: u32) -> Result<(), Stopped> {
        if value == L::INFINITE {
            return Err(Stopped::Saturated);
        }
        self.best = value;
        self.radius = (value as f32).sqrt();
        self.reach = floor_sqrt(u64::from(value) - 1) as usize + 1;
        Ok(())
    }

    /// What a pixel of this row of blocks must reach to matter. Where a tie is known, an equal value
    /// matters only in a row above.
    #[inline(always)]
    fn least(&self, row: usize) -> L::Register {
        let best = L::splat(self.best);
        match self.found {
            Some((_, y)) if self.tie => {
                let first = row * L::ROWS;
                let below = L::marks(first as i32, y as i32, (first + 2 * L::ROWS) as i32);
                let below = L::raise_where(L::splat(0), below);
                L::max(best, L::min(L::splat(self.best + 1), below))
            }
            _ => best,
        }
    }

    /// Puts what must be reached out of reach within the excluded discs.
    #[inline(always)]
    fn exclude(&self, mut least: L::Register, row: usize, x: usize) -> L::Register {
        let top = i64::from(self.columns.top);
        let first = row * L::ROWS;
        for disc in self.excluded {
            let Some((low, high)) = disc.rows(i64::from(self.columns.left) + x as i64) else {
                continue;
            };
            let start = (low - top).clamp(0, self.columns.height.into()) as i32;
            let end = (high + 1 - top).clamp(0, self.columns.height.into()) as i32;
            least = L::raise_where(least, L::marks(first as i32, start, end));
        }
        least
    }

    /// How many columns a block excuses whose values are at most `bound`.
    #[inline(always)]
    fn stride(&self, bound: u32) -> usize {
        // The margin covers the rounding of the roots.
        let excess = self.radius * 0.999_999 - (bound as f32).sqrt() * 1.000_001;
        excess.max(1.0).ceil() as usize
    }

    /// By how much the distances to the ends of the columns and the sides of the box fall short of
    /// what matters: how many columns a block excuses; `None` when some do not.
    #[inline(always)]
    fn excess(&self, row: usize, x: usize) -> Option<usize> {
        let longest = L::deepest(&self.field.row(row)[x]).min(self.edge(x));
        (longest < self.reach).then(|| self.reach - longest)
    }

    /// The distances of a block's rows that are at least `least`, 0 elsewhere; or, when there are
    /// none, a bound of all its distances.
    #[inline(always)]
    fn distances(
        &mut self,
        row: usize,
        x: usize,
        least: L::Register,
    ) -> Result<Result<L::Register, u32>, Stopped> {
        let blocks = self.field.row(row);
        let last = blocks.len() - 1;
        let edge = self.edge(x).min(L::LONGEST as usize) as u32;
        let mut values = L::min(L::squares(&blocks[x]), L::splat(edge * edge));
        if !L::any_at_least(values, least) {
            return Ok(Err(L::largest(values)));
        }
        let reach = self.radius as usize;
        for dx in [reach / 2, reach * 3 / 4, reach * 7 / 8] {
            values = look::<L>(values, blocks, x, dx);
        }
        let mut dx = 1;
        // Columns from `dx` on can only lower values above its square.
        while dx <= last.min(L::LONGEST as usize)
            && L::any_at_least(values, L::max(least, L::splat((dx * dx) as u32)))
        {
            values = look_on::<L>(values, blocks, x, dx);
            dx += GROUP;
            self.budget = self.budget.checked_sub(2 * GROUP).ok_or(Stopped::OverBudget)?;
        }
        if L::any_at_least(values, least) {
            return Ok(Ok(L::keep_at_least(values, least)));
        }
        Ok(Err(L::largest(values)))
    }

    /// Distance of a column from the background beside the box.
    #[inline(always)]
    fn edge(&self, x: usize) -> usize {
        let width = self.field.width;
        let left = if self.columns.closed_left { x + 1 } else { usize::MAX };
        let right = if self.columns.closed_right { width - x } else { usize::MAX };
        left.min(right)
    }
}

/// [`look`] at [`GROUP`] columns from `dx` on.
#[inline(always)]
fn look_on<L: Lanes>(
    mut values: L::Register,
    blocks: &[L::Block],
    x: usize,
    dx: usize,
) -> L::Register {
    let left = (x + 1).checked_sub(dx + GROUP).and_then(|start| blocks[start..].first_chunk());
    let right = blocks.get(x + dx..).and_then(|blocks| blocks.first_chunk());
    let (Some(left), Some(right)): (Option<&[_; GROUP]>, Option<&[_; GROUP]>) = (left, right)
    else {
        for dx in dx..dx + GROUP {
            values = look::<L>(values, blocks, x, dx);
        }
        return values;
    };
    for i in 0..GROUP {
        let offset = L::splat((((dx + i) * (dx + i)) as u32).min(L::INFINITE));
        let nearer = L::shallower(left[GROUP - 1 - i], right[i]);
        values = L::min_of_sum(values, L::squares(&nearer), offset);
    }
    values
}

/// Lowers the values of a block of column `x` to what the columns at `dx` either side allow. Past the
/// ends of the row the last column stands in, farther than it is: too weak to be wrong.
#[inline(always)]
fn look<L: Lanes>(values: L::Register, blocks: &[L::Block], x: usize, dx: usize) -> L::Register {
    let offset = L::splat(((dx * dx) as u32).min(L::INFINITE));
    let left = blocks[x.saturating_sub(dx)];
    let right = blocks[(x + dx).min(blocks.len() - 1)];
    L::min_of_sum(values, L::squares(&L::shallower(left, right)), offset)
}
