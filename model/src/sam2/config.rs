//! What a SAM 2 network is made of, and the four published families.
//!
//! The figures are those of the published configurations (`sam2_hiera_{t,s,b+,l}.yaml`); 2.0 and 2.1
//! differ in weights and in parts that only video needs.

/// The image predictor's part of SAM 2.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Side of the square image that the network sees, in pixels.
    pub image_size: usize,
    /// The image encoder's trunk.
    pub trunk: Hiera,
    /// The neck that brings the trunk's stages to one width.
    pub neck: Neck,
    /// How prompts are embedded.
    pub prompt: PromptEncoder,
    /// How embeddings and prompts become masks.
    pub decoder: MaskDecoder,
}

/// Hiera (arXiv 2306.00989) with windows, as SAM 2 has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hiera {
    /// Width, heads, blocks and window of each stage.
    pub stages: [Stage; 4],
    /// Blocks that see the whole image, counted over all stages.
    pub global_blocks: Vec<usize>,
    /// Rows and columns of the coarse position embedding.
    pub background: [usize; 2],
    /// Side of the patches' kernel, in pixels.
    pub patch_kernel: usize,
    /// Step from patch to patch, in pixels.
    pub patch_stride: usize,
    /// Zeros around the image, in pixels.
    pub patch_padding: usize,
    /// Stages after the first at whose entry queries are pooled, two by two.
    pub pooled_stages: usize,
    /// Width of a block's hidden layer, as a multiple of its own.
    pub mlp_ratio: f64,
    /// ε of the trunk's layer norms.
    pub norm_epsilon: f64,
}

/// Blocks of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Numbers to a token.
    pub width: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Side of a window, in tokens of this stage.
    pub window: usize,
}

/// The feature pyramid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neck {
    /// Width of all levels.
    pub width: usize,
    /// Levels, 0 the finest, that are given what lies above them. The three finest are used.
    pub top_down: Vec<usize>,
}

/// Sizes of the prompt encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptEncoder {
    /// Channels of a mask prompt, half way.
    pub mask_channels: usize,
    /// Pixels to a cell of the image embedding.
    pub patch: usize,
}

/// Sizes of the mask decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskDecoder {
    /// Two-way blocks.
    pub blocks: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Width of a two-way block's hidden layer.
    pub mlp_width: usize,
    /// By how much attention between prompts and image narrows.
    pub attention_downsample: usize,
    /// Layers of the head that predicts IoU.
    pub iou_layers: usize,
    /// Width of its hidden layers.
    pub iou_width: usize,
    /// Masks beside the single one.
    pub multimasks: usize,
    /// When the single mask gives way to the best of the others.
    pub stability: Option<Stability>,
}

/// A mask is stable where few logits are near 0: the share of those above δ among those above -δ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stability {
    /// δ.
    pub delta: f32,
    /// Least share of a stable mask.
    pub threshold: f32,
}

/// The published networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Family {
    /// Hiera-T, 39 M parameters.
    Tiny,
    /// Hiera-S, 46 M parameters.
    Small,
    /// Hiera-B+, 81 M parameters.
    BasePlus,
    /// Hiera-L, 224 M parameters, which Seg-Zero uses.
    Large,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tiny, Self::Small, Self::BasePlus, Self::Large];

    /// What it is made of.
    pub fn config(self) -> Config {
        let (width, heads, blocks, windows, background) = match self {
            Self::Tiny => (96, 1, [1, 2, 7, 2], [8, 4, 14, 7], 7),
            Self::Small => (96, 1, [1, 2, 11, 2], [8, 4, 14, 7], 7),
            Self::BasePlus => (112, 2, [2, 3, 16, 3], [8, 4, 14, 7], 14),
            Self::Large => (144, 2, [2, 6, 36, 4], [8, 4, 16, 8], 7),
        };
        let global_blocks = match self {
            Self::Tiny => vec![5, 7, 9],
            Self::Small => vec![7, 10, 13],
            Self::BasePlus => vec![12, 16, 20],
            Self::Large => vec![23, 33, 43],
        };
        let stage = |i: usize| Stage {
            width: width << i,
            heads: heads << i,
            blocks: blocks[i],
            window: windows[i],
        };
        Config {
            image_size: 1024,
            trunk: Hiera {
                stages: [stage(0), stage(1), stage(2), stage(3)],
                global_blocks,
                background: [background; 2],
                patch_kernel: 7,
                patch_stride: 4,
                patch_padding: 3,
                pooled_stages: 3,
                mlp_ratio: 4.0,
                norm_epsilon: 1e-6,
            },
            neck: Neck { width: 256, top_down: vec![2, 3] },
            prompt: PromptEncoder { mask_channels: 16, patch: 16 },
            decoder: MaskDecoder {
                blocks: 2,
                heads: 8,
                mlp_width: 2048,
                attention_downsample: 2,
                iou_layers: 3,
                iou_width: 256,
                multimasks: 3,
                stability: Some(Stability { delta: 0.05, threshold: 0.98 }),
            },
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tiny => "T",
            Self::Small => "S",
            Self::BasePlus => "B+",
            Self::Large => "L",
        })
    }
}

impl Config {
    /// Cells along a side of the image embedding.
    pub fn grid(&self) -> usize {
        self.image_size / self.prompt.patch
    }

    /// Pixels along a side of the masks' logits.
    pub fn mask_side(&self) -> usize {
        4 * self.grid()
    }
}
