//! The bytes of one parameter, where they lie in the file.

use std::ops::{Deref, Range};
use std::sync::Arc;

use half::{bf16, f16};
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::Dtype;

use super::{Entry, Error, ErrorKind, Shard};

/// Elements that one task converts: enough to outweigh the task, few enough to stay in cache.
const ELEMENTS: usize = 1 << 16;

/// One parameter of a checkpoint. Nothing is read from disk before its bytes are.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Canonical name ([`super::canonical`]).
    pub name: &'a str,
    /// Where it lies, and as what.
    pub entry: &'a Entry,
    pub(super) shard: &'a Shard,
}

impl<'a> View<'a> {
    /// Type of the elements.
    pub fn dtype(&self) -> Dtype {
        self.entry.dtype
    }

    /// Sizes of the axes, the slowest first.
    pub fn shape(&self) -> &'a [usize] {
        &self.entry.shape
    }

    /// The bytes as stored: row-major, little-endian.
    pub fn bytes(&self) -> &'a [u8] {
        &self.shard.map[self.entry.range.clone()]
    }

    /// The same bytes under an owner, to keep and to send to other threads without a copy.
    pub fn weight_bytes(&self) -> WeightBytes {
        WeightBytes { map: Arc::clone(&self.shard.map), range: self.entry.range.clone() }
    }

    /// The elements as f32: exact from F16 and BF16.
    ///
    /// # Errors
    /// Another dtype, by its name.
    pub fn to_f32(&self) -> Result<Vec<f32>, Error> {
        self.map_f32(|value| value)
    }

    /// The elements as bf16: exact from BF16, else rounded to nearest, ties to even.
    ///
    /// # Errors
    /// Another dtype than F32, F16 or BF16, by its name.
    pub fn to_bf16(&self) -> Result<Vec<bf16>, Error> {
        match self.dtype() {
            Dtype::BF16 => Ok(convert(self.bytes(), bf16::from_le_bytes)),
            _ => self.map_f32(bf16::from_f32),
        }
    }

    /// The elements as f16: exact from F16, else rounded to nearest, ties to even; what is too large
    /// becomes infinite.
    ///
    /// # Errors
    /// Another dtype than F32, F16 or BF16, by its name.
    pub fn to_f16(&self) -> Result<Vec<f16>, Error> {
        match self.dtype() {
            Dtype::F16 => Ok(convert(self.bytes(), f16::from_le_bytes)),
            _ => self.map_f32(f16::from_f32),
        }
    }

    /// Each element through a function of its value as f32, in parallel.
    fn map_f32<T: Copy + Default + Send>(
        &self,
        to: impl Fn(f32) -> T + Sync,
    ) -> Result<Vec<T>, Error> {
        self.prefetch();
        let bytes = self.bytes();
        match self.dtype() {
            Dtype::F32 => Ok(convert(bytes, |b| to(f32::from_le_bytes(b)))),
            Dtype::F16 => Ok(convert(bytes, |b| to(f16::from_le_bytes(b).to_f32()))),
            // Not `bf16::to_f32`, whose care for signalling NaNs keeps the loop from being vectorised.
            Dtype::BF16 => Ok(convert(bytes, |b: [u8; 2]| {
                to(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
            })),
            other => Err(self.fault(ErrorKind::Dtype(other))),
        }
    }

    /// A fault of this parameter, naming its file and its name there.
    pub fn fault(&self, kind: ErrorKind) -> Error {
        Error::new(&self.shard.path, kind).tensor(&self.entry.disk_name)
    }

    /// Asks the operating system to begin reading the bytes now, all at once rather than page by page.
    pub fn prefetch(&self) {
        #[cfg(unix)]
        // Advice that is not taken costs time only.
        let _ = self.shard.map.advise_range(
            memmap2::Advice::WillNeed,
            self.entry.range.start,
            self.entry.range.len(),
        );
    }

    /// Gives back the memory that reading the bytes took (a copy has been made): they stay in the
    /// file, and in the page cache while there is room.
    pub fn release(&self) {
        #[cfg(unix)]
        // SAFETY: the map is shared and read only, so a page that is dropped is read again from the
        // file when it is next touched: no byte can change.
        let _ = unsafe {
            self.shard.map.unchecked_advise_range(
                memmap2::UncheckedAdvice::DontNeed,
                self.entry.range.start,
                self.entry.range.len(),
            )
        };
    }
}

/// Bytes of a parameter where they lie in the mapped file, kept alive by this handle.
#[derive(Clone, Debug)]
pub struct WeightBytes {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl WeightBytes {
    /// The bytes as elements, without a copy; none where the file does not align them, their number
    /// is no multiple of an element, or the machine is not little-endian as the file is.
    pub fn cast<T: bytemuck::Pod>(&self) -> Option<&[T]> {
        if cfg!(target_endian = "big") {
            return None;
        }
        bytemuck::try_cast_slice(self).ok()
    }
}

impl Deref for WeightBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }
}

impl AsRef<[u8]> for WeightBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Elements of `N` bytes each, read in parallel.
fn convert<const N: usize, T: Copy + Default + Send>(
    bytes: &[u8],
    read: impl Fn([u8; N]) -> T + Sync,
) -> Vec<T> {
    let mut values = vec![T::default(); bytes.len() / N];
    let blocks = values.par_chunks_mut(ELEMENTS).zip(bytes.par_chunks(ELEMENTS * N));
    blocks.for_each(|(values, bytes)| {
        for (value, element) in values.iter_mut().zip(bytes.as_chunks::<N>().0) {
            *value = read(*element);
        }
    });
    values
}
