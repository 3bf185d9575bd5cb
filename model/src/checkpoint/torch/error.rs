//! [`TorchError`]: what can be wrong with a file of `torch.save`.

use segzero_datasets::pickle::PickleError;

/// What is wrong with a file of `torch.save`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TorchError {
    /// The pickle of torch before 1.6, not in a zip archive.
    #[error("this is a PyTorch file of the form before torch 1.6, which is not read")]
    Legacy,
    /// Something else where a file of torch.save must be.
    #[error("is no file of torch.save")]
    NoArchive,
    /// The end of the archive, which says where its directory lies, is not there.
    #[error("is a zip archive without its end: it was cut off")]
    NoEnd,
    /// A directory that is not where the end says, or no directory.
    #[error("byte {0}: the directory of the zip archive is not sound")]
    Directory(usize),
    /// A file in the archive that cannot be used.
    #[error("its entry `{entry}` {fault}")]
    Entry {
        /// Name in the archive.
        entry: String,
        /// What is wrong with it.
        fault: EntryFault,
    },
    /// A zip archive of something else.
    #[error("is a zip archive without `data.pkl`, so not of torch.save")]
    NoPickle,
    /// The table of tensors asks for something else than tensors, or is damaged.
    #[error("its `data.pkl`, {0}")]
    Pickle(#[from] PickleError),
    /// Numbers of a big-endian machine.
    #[error("its byte order is `{0}`; `little` is read")]
    ByteOrder(String),
    /// No table from names to tensors.
    #[error("holds {0}, no parameters by name")]
    NoTable(&'static str),
    /// Something else among the parameters.
    #[error(
        "is {0}, not a tensor; tensors are looked for under `model`, `state_dict`, or at the top"
    )]
    NotATensor(&'static str),
    /// A tensor whose description is not of the form that torch writes.
    #[error("is not described as torch describes a tensor: {0}")]
    Described(&'static str),
    /// What one rank of a training has of a tensor, where the whole is asked for.
    #[error("is one rank's piece of a tensor, as a training over several GPUs saves it")]
    Piece,
    /// A tensor that is parted in a way that FSDP does not part.
    #[error("is parted over ranks in a way that is not read: {0}")]
    Placement(&'static str),
    /// Data that the archive does not have.
    #[error("its data `{0}` is not in the archive")]
    NoData(String),
    /// A storage of another size than its description.
    #[error("its data `{key}` has {found} bytes and should have {expected}")]
    DataSize {
        /// Name under `data/`.
        key: String,
        /// Bytes in the archive.
        found: usize,
        /// Bytes by number and type of elements; none where they are more than can be counted.
        expected: i128,
    },
    /// A tensor that reaches beyond its storage.
    #[error("reaches beyond its data: {shape:?} from element {offset} of {elements}")]
    Beyond {
        /// Sizes of the axes.
        shape: Vec<usize>,
        /// First element in the storage.
        offset: usize,
        /// Elements of the storage.
        elements: usize,
    },
    /// A view whose elements do not lie one after another.
    #[error("is not contiguous: {shape:?} with strides {strides:?}")]
    Strided {
        /// Sizes of the axes.
        shape: Vec<usize>,
        /// Elements from one index to the next, by axis.
        strides: Vec<usize>,
    },
}

/// What is wrong with a file in a zip archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// Deflated, for example; torch stores.
    #[error("is compressed (method {0}); torch.save stores")]
    Compressed(u16),
    /// Encrypted.
    #[error("is encrypted")]
    Encrypted,
    /// A name that reaches out of the archive.
    #[error("has a name that leads elsewhere")]
    Name,
    /// Two of one name.
    #[error("is there twice")]
    Twice,
    /// Its header or its bytes do not lie in the file, or the header is that of another.
    #[error("is not where the directory says")]
    Misplaced,
    /// Bytes that do not have the check sum that was written with them.
    #[error("has other bytes than were saved: its check sum differs")]
    Corrupted,
    /// Bytes that belong to two.
    #[error("shares bytes with `{0}`")]
    Overlap(String),
}

impl TorchError {
    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Legacy => Some(
                "save it again with torch 1.6 or newer: torch.save(torch.load(f, weights_only=True), \
                 f)",
            ),
            Self::NoEnd | Self::Entry { fault: EntryFault::Corrupted, .. } => {
                Some("the file was not copied whole; download it again")
            }
            Self::Piece => Some("`segzero model import CHECKPOINT --out DIR` joins the pieces"),
            Self::Placement(_) => Some(
                "FSDP's pieces along one axis are joined, and its replicas; merge others with the tools \
                 of the trainer",
            ),
            Self::Pickle(_) => Some(
                "only tensors by name are read, and nothing is executed; if you trust the file, load \
                 it in Python and save its state_dict",
            ),
            Self::Entry { fault: EntryFault::Compressed(_), .. } => {
                Some("it was packed again; `torch.save` writes entries as they are")
            }
            Self::Strided { .. } => Some("save `.contiguous()` tensors"),
            _ => None,
        }
    }
}
