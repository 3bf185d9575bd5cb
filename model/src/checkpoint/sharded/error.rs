//! [`ShardedError`]: what can be wrong with the checkpoint of a training over several GPUs.

use std::path::PathBuf;

/// What is wrong with the files that the ranks of a training saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardedError {
    /// Such a checkpoint where a model is asked for.
    #[error("holds a training's checkpoint in pieces, a file for each rank, not a model")]
    InPieces(PathBuf),
    /// No such checkpoint where one is asked for.
    #[error("no model_world_size_W_rank_R.pt here{}", beside(found))]
    NoRanks {
        /// Folders of steps that may have been meant: the first few.
        found: Vec<String>,
    },
    /// Files of two trainings, or of one that went on with other ranks.
    #[error("holds checkpoints of {} and of {} ranks", worlds[0], worlds[1])]
    Worlds {
        /// Two of the numbers of ranks.
        worlds: [usize; 2],
    },
    /// A number of ranks that is not that of the files.
    #[error("says that there are {stated} ranks, but the files are of {named}")]
    WorldSize {
        /// As `fsdp_config.json` has it.
        stated: u64,
        /// By the names of the files.
        named: usize,
    },
    /// A rank beyond the number of ranks.
    #[error("is of rank {rank}, but there are {world} ranks from 0")]
    Rank {
        /// By the name of the file.
        rank: usize,
        /// Number of ranks.
        world: usize,
    },
    /// Files that are not there.
    #[error("of {world} ranks, {} missing", ranks(missing))]
    Missing {
        /// Number of ranks.
        world: usize,
        /// Ranks without a file.
        missing: Vec<usize>,
    },
    /// What says which step is the last does not.
    #[error("names no step")]
    NoStep,
    /// A tensor that another rank has.
    #[error("is not here, but rank {0} has it")]
    NotHere(usize),
    /// A tensor of another form than in another rank.
    #[error("is {found} here, and {expected} in rank {rank}")]
    Differs {
        /// Dtype, shape and axis here.
        found: String,
        /// Dtype, shape and axis there.
        expected: String,
        /// Which rank.
        rank: usize,
    },
    /// A tensor that each rank has whole, with other values.
    #[error("is whole in every rank, but has other values than in rank {0}")]
    Values(usize),
    /// A piece whose other axes are not those of the whole.
    #[error("has a piece of {piece:?}, which is none of {whole:?} along axis {axis}")]
    Piece {
        /// Shape of the piece.
        piece: Vec<usize>,
        /// Shape of the whole.
        whole: Vec<usize>,
        /// The axis that is cut.
        axis: usize,
    },
    /// Pieces that are not the whole.
    #[error("has {found} of {whole:?} along axis {axis} in the pieces of all ranks")]
    Sum {
        /// Size of all pieces along the axis.
        found: usize,
        /// Shape of the whole.
        whole: Vec<usize>,
        /// The axis that is cut.
        axis: usize,
    },
    /// Two ranks have one piece, where there are no replicas.
    #[error("has its piece {piece} in rank {rank} too")]
    Twice {
        /// Which piece.
        piece: usize,
        /// The other rank.
        rank: usize,
    },
    /// A parameter of LoRA.
    #[error("is part of a LoRA adapter, which is no weight of the model itself")]
    Adapter,
    /// The model's configuration is not with the pieces.
    #[error("is not there, so the weights would be those of no model")]
    NoConfig,
    /// Something is where the model is to be written.
    #[error("exists and is not empty")]
    Exists,
    /// A folder that a finished one cannot take the place of.
    #[error("is a link or a place (`.`, `..`), not a name for a folder")]
    NotItself,
}

fn beside(found: &[String]) -> String {
    match found {
        [] => String::new(),
        found => format!(", but {}", found.join(", ")),
    }
}

fn ranks(missing: &[usize]) -> String {
    match missing {
        [rank] => format!("rank {rank} is"),
        more => {
            let first: Vec<String> = more.iter().take(8).map(usize::to_string).collect();
            let others = if more.len() > 8 { ", …" } else { "" };
            format!("ranks {}{others} are", first.join(", "))
        }
    }
}

impl ShardedError {
    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::InPieces(path) => {
                return Some(format!(
                    "`segzero model import {} --out DIR` joins the pieces to a model",
                    path.display()
                ));
            }
            Self::NoRanks { found } if !found.is_empty() => "name one of the steps",
            Self::NoRanks { .. } => {
                "name a run of EasyR1 or veRL, its `global_step_N`, or the folder `actor` in it"
            }
            Self::Worlds { .. } => "move the files of one of them to another folder",
            Self::WorldSize { .. } | Self::Missing { .. } | Self::Sum { .. } => {
                "each node of a cluster may have written to a disk of its own; bring the files of all \
                 ranks together in one folder"
            }
            Self::NotHere(_)
            | Self::Differs { .. }
            | Self::Values(_)
            | Self::Twice { .. }
            | Self::Rank { .. } => "the files are not of one checkpoint; copy all of them again",
            Self::Adapter => {
                "merge the adapter into the weights with the trainer's tools: what they write is a model"
            }
            Self::NoConfig => {
                "the trainer writes `huggingface/config.json` beside the pieces; copy it there with the \
                 tokenizer of the model that was trained"
            }
            Self::NoStep => "name the step: the folder `global_step_N`",
            Self::Exists | Self::NotItself => "name a folder that does not exist yet, or is empty",
            Self::Piece { .. } => return None,
        };
        Some(text.to_owned())
    }
}
