//! What can be wrong with a checkpoint: one fault, naming the file, the tensor, and what it is.

use std::path::{Path, PathBuf};

use super::is_torch;

/// A fault of a checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("`{}`{}: {kind}", path.display(), named(tensor))]
pub struct Error {
    /// The file (or folder) concerned.
    pub path: PathBuf,
    /// The tensor concerned, by its name on disk.
    pub tensor: Option<String>,
    /// What is wrong.
    pub kind: ErrorKind,
}

fn named(tensor: &Option<String>) -> String {
    tensor.as_ref().map_or(String::new(), |tensor| format!(": tensor `{tensor}`"))
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Not valid JSON, or not the expected shape of it.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A folder without weights that can be read.
    #[error(
        "no model.safetensors, no model.safetensors.index.json and no single .pt file here{}",
        beside(found)
    )]
    NoWeights {
        /// Files that may have been meant: the first few.
        found: Vec<String>,
    },
    /// The pointer that git leaves where the file itself was not fetched.
    #[error("this is a git-lfs pointer of {0} bytes, not the weights themselves")]
    LfsPointer(u64),
    /// What a browser or a proxy saves when it was not given the file.
    #[error("this is a page of HTML, not weights")]
    Html,
    /// A file of `torch.save`.
    #[error("{0}")]
    Torch(#[from] super::TorchError),
    /// What the ranks of a training saved does not fit together.
    #[error("{0}")]
    Sharded(Box<super::ShardedError>),
    /// Too short to say how long its header is.
    #[error("{0} bytes are too few for a safetensors file")]
    TooShort(u64),
    /// A header that does not fit in its file, or that is longer than the format allows.
    #[error("says that its header has {header} bytes, but the file has {file}")]
    HeaderLength {
        /// Length as the first eight bytes give it.
        header: u64,
        /// Bytes of the file.
        file: u64,
    },
    /// A header that is not the JSON that the format calls for.
    #[error("the header is not that of a safetensors file: {0}")]
    Header(serde_json::Error),
    /// The file was cut off within or before this tensor.
    #[error(
        "is cut off: the file ends at byte {file} and should at {needed} ({tensors} tensors are \
         incomplete)"
    )]
    Truncated {
        /// Bytes of the file.
        file: u64,
        /// Bytes that its header calls for.
        needed: u64,
        /// How many tensors reach beyond the end.
        tensors: usize,
    },
    /// Offsets that run backwards.
    #[error("ends at byte {end} of the data, before it begins at {start}")]
    Backwards {
        /// `data_offsets[0]`.
        start: u64,
        /// `data_offsets[1]`.
        end: u64,
    },
    /// More or fewer bytes than its shape and dtype call for.
    #[error("has {bytes} bytes, but {dtype} {shape:?} takes {}", size(expected))]
    Size {
        /// Bytes between its offsets.
        bytes: u64,
        /// Its dtype.
        dtype: safetensors::Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// Bytes of dtype and shape; none where they are more than can be counted.
        expected: Option<u64>,
    },
    /// Bytes that belong to two tensors.
    #[error("shares bytes with tensor `{0}`")]
    Overlap(String),
    /// Bytes that belong to no tensor.
    #[error("{bytes} bytes before it belong to no tensor")]
    Gap {
        /// How many.
        bytes: u64,
    },
    /// Bytes after the last tensor.
    #[error("{bytes} bytes after the last tensor belong to none")]
    Tail {
        /// How many.
        bytes: u64,
    },
    /// Two names on disk for one parameter.
    #[error("is the same parameter as `{other}` of `{}`, with other values", path.display())]
    SameParameter {
        /// The other name on disk.
        other: String,
        /// Where it lies.
        path: PathBuf,
    },
    /// The index says that the tensor is here, and it is not.
    #[error("is not in this file, though model.safetensors.index.json says so")]
    NotHere,
    /// The file has a tensor that the index does not know.
    #[error("is not in model.safetensors.index.json")]
    NotInIndex,
    /// A shard beside the others that the index does not name.
    #[error("is not named by model.safetensors.index.json")]
    StrayShard,
    /// The index counts other bytes than there are.
    #[error("metadata.total_size is {index}, but the tensors have {found} bytes")]
    TotalSize {
        /// What the index says.
        index: u64,
        /// Bytes of all tensors.
        found: u64,
    },
    /// The index names a file outside the folder.
    #[error("the index names `{0}`, which is not a file name")]
    NotAFileName(String),
    /// A parameter that is needed is not in the checkpoint.
    #[error("is missing")]
    Missing,
    /// A parameter that the architecture does not have.
    #[error("is no parameter of the architecture")]
    Unknown,
    /// Another shape than the architecture's.
    #[error("has shape {found:?}, but the architecture has {expected:?}")]
    Shape {
        /// In the file.
        found: Vec<usize>,
        /// By the configuration.
        expected: Vec<usize>,
    },
    /// Values that no trained network has.
    #[error("{nan} values are NaN and {infinite} infinite, the first at index {first}")]
    NotFinite {
        /// How many are not a number.
        nan: usize,
        /// How many are infinite.
        infinite: usize,
        /// Row-major index of the first.
        first: usize,
    },
    /// Weights that cannot be kept in fewer bits.
    #[error("{0}")]
    Packed(#[from] crate::packed::PackedError),
    /// A dtype that cannot be read as numbers here.
    #[error("has dtype {0}; F32, F16 and BF16 are read")]
    Dtype(safetensors::Dtype),
}

fn beside(found: &[String]) -> String {
    match found {
        [] => String::new(),
        found => format!(", only {}", found.join(", ")),
    }
}

fn size(bytes: &Option<u64>) -> String {
    bytes.map_or("more than can be counted".to_owned(), |bytes| bytes.to_string())
}

impl From<super::ShardedError> for ErrorKind {
    fn from(fault: super::ShardedError) -> Self {
        Self::Sharded(Box::new(fault))
    }
}

impl ErrorKind {
    /// [`ErrorKind::NoWeights`] beside these files.
    pub(super) fn no_weights(mut found: Vec<String>) -> Self {
        found.truncate(3);
        Self::NoWeights { found }
    }
}

impl Error {
    /// A fault of a whole file or folder.
    pub fn new(path: impl AsRef<Path>, kind: impl Into<ErrorKind>) -> Self {
        Self { path: path.as_ref().to_owned(), tensor: None, kind: kind.into() }
    }

    /// The same fault, naming the tensor as it is called on disk.
    #[must_use]
    pub fn tensor(mut self, name: impl Into<String>) -> Self {
        self.tensor = Some(name.into());
        self
    }

    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let text = match &self.kind {
            ErrorKind::LfsPointer(_) => "run `git lfs pull` in that folder",
            ErrorKind::Html => "download the file again; a gated model needs a token (HF_TOKEN)",
            ErrorKind::Torch(fault) => return fault.hint().map(str::to_owned),
            ErrorKind::Sharded(fault) => return fault.hint(),
            ErrorKind::NoWeights { found } if found.iter().any(|name| is_torch(name)) => {
                "name one of the files instead of the folder"
            }
            ErrorKind::NoWeights { found } if !found.is_empty() => {
                "save the model with `save_pretrained(..., safe_serialization=True)`, sharded \
                 files with their index"
            }
            ErrorKind::Truncated { .. } | ErrorKind::HeaderLength { .. } => {
                "the file was not copied whole; download it again"
            }
            ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Some(format!("check that `{}` exists", self.path.display()));
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
