//! `config.json` of Qwen2-VL and Qwen2.5-VL, as published and as transformers 5 writes it.

use std::path::Path;

use segzero_datasets::{Error, ErrorKind};
use serde_json::Value;

/// The architecture of a model, key for key as in `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The language model.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Whether the output layer shares the weights of the embeddings.
    pub tie_word_embeddings: bool,
    /// The id of `<|image_pad|>`, which stands for one merged patch of an image.
    pub image_token_id: u32,
}

/// The decoder: a Qwen2 language model.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the gated MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads, each shared by a group of query heads.
    pub num_key_value_heads: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding's frequencies.
    pub rope_theta: f64,
    /// How many frequencies turn with time, height and width; they sum to half a head.
    pub mrope_section: [usize; 3],
    /// Activation of the MLP.
    pub hidden_act: String,
    /// Whether some layers look back over a window only (no published model does).
    pub use_sliding_window: bool,
}

/// The vision tower's variant, which decides norms, MLP and attention.
#[derive(Clone, Debug, PartialEq)]
pub enum Attention {
    /// Qwen2-VL: every patch of a frame sees all others; LayerNorm, plain MLP with quick GELU.
    Full,
    /// Qwen2.5-VL: most blocks look at a window; RMSNorm, gated MLP with SiLU.
    Windowed {
        /// Side of a window in pixels.
        window_size: usize,
        /// Blocks that see the whole frame nevertheless.
        fullatt_block_indexes: Vec<usize>,
    },
}

/// The vision tower: a ViT on patches, then a merger of 2x2 of them to one token of the decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Blocks.
    pub depth: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Width of the merger's output: the decoder's hidden size.
    pub out_hidden_size: usize,
    /// Channels of the image.
    pub in_channels: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Frames in a patch; a single image is doubled.
    pub temporal_patch_size: usize,
    /// Side, in patches, of what is merged to one token.
    pub spatial_merge_size: usize,
    /// Which tower.
    pub attention: Attention,
}

impl Config {
    /// Reads `config.json` of a model's folder.
    ///
    /// # Errors
    /// Where it cannot be read, is of another architecture, or holds sizes that do not fit each
    /// other; names the field.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::new(&path, e))?;
        let value = serde_json::from_str(&text).map_err(|e| Error::new(&path, e))?;
        Self::parse(&path, &value)
    }

    /// As [`Config::open`], of JSON in hand; `path` is for errors.
    ///
    /// # Errors
    /// As [`Config::open`].
    pub fn parse(path: &Path, value: &Value) -> Result<Self, Error> {
        let reader = Reader { path, top: value };
        let model_type: String = reader.required(value, "model_type")?;
        let vision = reader.object(value, "vision_config")?;
        let vision = match model_type.as_str() {
            "qwen2_5_vl" => reader.windowed(vision)?,
            "qwen2_vl" => reader.full(vision)?,
            other => {
                return Err(reader.wrong("model_type", "qwen2_vl or qwen2_5_vl", other));
            }
        };
        let config = Self {
            text: reader.text()?,
            vision,
            tie_word_embeddings: reader.optional("tie_word_embeddings")?.unwrap_or(false),
            image_token_id: reader.required(value, "image_token_id")?,
        };
        config.check(&reader)?;
        Ok(config)
    }

    fn check(&self, reader: &Reader) -> Result<(), Error> {
        let (text, vision) = (&self.text, &self.vision);
        let heads = [
            ("num_attention_heads", text.hidden_size, text.num_attention_heads),
            ("num_key_value_heads", text.num_attention_heads, text.num_key_value_heads),
            ("num_heads", vision.hidden_size, vision.num_heads),
        ];
        for (field, whole, part) in heads {
            if part == 0 || whole % part != 0 {
                return Err(reader.wrong(field, &format!("a divisor of {whole}"), part));
            }
        }
        if text.mrope_section.iter().sum::<usize>() * 2 != text.head_dim() {
            let expected = format!("three counts that sum to {}", text.head_dim() / 2);
            return Err(reader.wrong(
                "mrope_section",
                &expected,
                format!("{:?}", text.mrope_section),
            ));
        }
        if vision.hidden_size / vision.num_heads % 4 != 0 {
            return Err(reader.wrong(
                "hidden_size",
                "heads of a multiple of 4",
                vision.hidden_size,
            ));
        }
        if vision.out_hidden_size != text.hidden_size {
            let expected = format!("the decoder's {}", text.hidden_size);
            return Err(reader.wrong("out_hidden_size", &expected, vision.out_hidden_size));
        }
        if text.hidden_act != "silu" {
            return Err(reader.wrong("hidden_act", "silu", &text.hidden_act));
        }
        if text.use_sliding_window {
            return Err(reader.wrong("use_sliding_window", "false", "true"));
        }
        if self.image_token_id as usize >= text.vocab_size {
            let expected = format!("an id below vocab_size {}", text.vocab_size);
            return Err(reader.wrong("image_token_id", &expected, self.image_token_id));
        }
        Ok(())
    }
}

impl TextConfig {
    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads.max(1)
    }
}

impl VisionConfig {
    /// Numbers in one patch: channels x frames x height x width.
    pub fn patch_len(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads.max(1)
    }

    /// Patches that are merged to one token.
    pub fn merge_len(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }
}

/// Reads fields wherever the versions of transformers put them.
struct Reader<'a> {
    path: &'a Path,
    top: &'a Value,
}

impl Reader<'_> {
    fn wrong(&self, field: &str, expected: &str, found: impl std::fmt::Display) -> Error {
        let (expected, found) = (expected.to_owned(), found.to_string());
        Error::new(self.path, ErrorKind::Unexpected { expected, found }).field(field)
    }

    fn object<'v>(&self, value: &'v Value, field: &str) -> Result<&'v Value, Error> {
        value.get(field).filter(|v| v.is_object()).ok_or_else(|| {
            Error::new(self.path, ErrorKind::Missing { what: format!("the object `{field}`") })
        })
    }

    fn required<T: serde::de::DeserializeOwned>(
        &self,
        value: &Value,
        field: &str,
    ) -> Result<T, Error> {
        let found = value.get(field).ok_or_else(|| {
            let what = "the value".to_owned();
            Error::new(self.path, ErrorKind::Missing { what }).field(field)
        })?;
        serde_json::from_value(found.clone()).map_err(|e| Error::new(self.path, e).field(field))
    }

    /// A field of the decoder: beside `vision_config`, or in `text_config` since transformers 4.52.
    fn optional<T: serde::de::DeserializeOwned>(&self, field: &str) -> Result<Option<T>, Error> {
        let inner = self.top.get("text_config").and_then(|text| text.get(field));
        match self.top.get(field).or(inner).filter(|value| !value.is_null()).cloned() {
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|e| Error::new(self.path, e).field(field)),
            None => Ok(None),
        }
    }

    fn text_field<T: serde::de::DeserializeOwned>(&self, field: &str) -> Result<T, Error> {
        self.optional(field)?.ok_or_else(|| {
            let what = "the value".to_owned();
            Error::new(self.path, ErrorKind::Missing { what }).field(field)
        })
    }

    fn text(&self) -> Result<TextConfig, Error> {
        let rope: Value = match self.optional("rope_parameters")? {
            Some(rope) => rope,
            None => self.optional("rope_scaling")?.ok_or_else(|| {
                let what = "the rotary embedding's description".to_owned();
                Error::new(self.path, ErrorKind::Missing { what }).field("rope_scaling")
            })?,
        };
        let kind = rope.get("rope_type").or(rope.get("type")).and_then(Value::as_str);
        if !matches!(kind, None | Some("mrope" | "default")) {
            return Err(self.wrong("rope_type", "mrope or default", kind.unwrap_or_default()));
        }
        let rope_theta = match rope.get("rope_theta") {
            Some(_) => self.required(&rope, "rope_theta")?,
            None => self.optional("rope_theta")?.unwrap_or(1e6),
        };
        Ok(TextConfig {
            vocab_size: self.text_field("vocab_size")?,
            hidden_size: self.text_field("hidden_size")?,
            intermediate_size: self.text_field("intermediate_size")?,
            num_hidden_layers: self.text_field("num_hidden_layers")?,
            num_attention_heads: self.text_field("num_attention_heads")?,
            num_key_value_heads: self.text_field("num_key_value_heads")?,
            rms_norm_eps: self.optional("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta,
            mrope_section: self.required(&rope, "mrope_section")?,
            hidden_act: self.optional("hidden_act")?.unwrap_or_else(|| "silu".to_owned()),
            use_sliding_window: self.optional("use_sliding_window")?.unwrap_or(false),
        })
    }

    fn windowed(&self, vision: &Value) -> Result<VisionConfig, Error> {
        let attention = Attention::Windowed {
            window_size: self.required(vision, "window_size")?,
            fullatt_block_indexes: self.required(vision, "fullatt_block_indexes")?,
        };
        let hidden_size = self.required(vision, "hidden_size")?;
        let intermediate_size = self.required(vision, "intermediate_size")?;
        let out = self.required(vision, "out_hidden_size")?;
        self.vision(vision, attention, [hidden_size, intermediate_size, out])
    }

    /// Qwen2-VL calls the tower's width `embed_dim` and the merger's output `hidden_size`.
    fn full(&self, vision: &Value) -> Result<VisionConfig, Error> {
        let width: usize = self.required(vision, "embed_dim")?;
        let ratio: f64 = match vision.get("mlp_ratio") {
            Some(_) => self.required(vision, "mlp_ratio")?,
            None => 4.0,
        };
        let out = self.required(vision, "hidden_size")?;
        self.vision(vision, Attention::Full, [width, (width as f64 * ratio) as usize, out])
    }

    fn vision(
        &self,
        vision: &Value,
        attention: Attention,
        [hidden_size, intermediate_size, out_hidden_size]: [usize; 3],
    ) -> Result<VisionConfig, Error> {
        // The published files say `in_chans`, transformers reads `in_channels`; both mean 3.
        let channels = ["in_channels", "in_chans"].into_iter().find(|f| vision.get(f).is_some());
        let config = VisionConfig {
            depth: self.required(vision, "depth")?,
            hidden_size,
            intermediate_size,
            num_heads: self.required(vision, "num_heads")?,
            out_hidden_size,
            in_channels: channels.map_or(Ok(3), |field| self.required(vision, field))?,
            patch_size: self.required(vision, "patch_size")?,
            temporal_patch_size: self.required(vision, "temporal_patch_size")?,
            spatial_merge_size: self.required(vision, "spatial_merge_size")?,
            attention,
        };
        let unit = config.patch_size * config.spatial_merge_size;
        if config.patch_size == 0
            || config.spatial_merge_size == 0
            || config.temporal_patch_size == 0
        {
            return Err(self.wrong("patch_size", "sizes above 0", config.patch_size));
        }
        if let Attention::Windowed { window_size, .. } = config.attention
            && window_size < unit
        {
            return Err(self.wrong("window_size", &format!("at least {unit}"), window_size));
        }
        Ok(config)
    }
}
