//! Which patches see which: frames and windows of them.

use super::super::config::{Attention, VisionConfig};

/// Patches of an image as `[time, height, width]`; a single image has one frame.
pub type Grid = [usize; 3];

/// An order of the merged patches of a frame in which every window is contiguous, and windows of
/// one size are neighbours, so that those are attended to in one batch. Attention does not care for
/// the order of windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// For each place, the merged patch (in the order of the processor) that stands there.
    pub patches: Vec<usize>,
    /// Runs of equal windows: how many, and of how many merged patches each.
    pub windows: Vec<(usize, usize)>,
}

impl Order {
    /// The order for one frame of `[height, width]` patches. Windows begin at the upper left corner;
    /// those at the right and lower edges hold what is left.
    pub fn new(frame: [usize; 2], config: &VisionConfig) -> Self {
        let merge = config.spatial_merge_size;
        let [height, width] = frame.map(|side| side / merge);
        let side = match config.attention {
            Attention::Full => height.max(width).max(1),
            Attention::Windowed { window_size, .. } => window_size / merge / config.patch_size,
        };
        let mut windows: Vec<Vec<usize>> = Vec::new();
        for top in (0..height).step_by(side) {
            for left in (0..width).step_by(side) {
                let rows = top..(top + side).min(height);
                let columns = left..(left + side).min(width);
                let places = |row| columns.clone().map(move |column| row * width + column);
                windows.push(rows.flat_map(places).collect());
            }
        }
        windows.sort_by_key(|window| std::cmp::Reverse(window.len()));
        let runs = windows.chunk_by(|a, b| a.len() == b.len()).map(|run| (run.len(), run[0].len()));
        let runs = runs.collect();
        Self { patches: windows.concat(), windows: runs }
    }

    /// The order for several such frames, one behind the other; none where windows differ in size, so
    /// that those of one size would not be neighbours.
    pub fn of_frames(&self, frames: usize) -> Option<Self> {
        let &[(count, length)] = &self.windows[..] else {
            return (frames == 1).then(|| self.clone());
        };
        let each = self.patches.len();
        let shifted = |frame| self.patches.iter().map(move |patch| frame * each + patch);
        let patches = (0..frames).flat_map(shifted).collect();
        Some(Self { patches, windows: vec![(frames * count, length)] })
    }

    /// For each merged patch in the order of the processor, its place.
    pub fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.patches.len()];
        for (place, &patch) in self.patches.iter().enumerate() {
            inverse[patch] = place;
        }
        inverse
    }
}
