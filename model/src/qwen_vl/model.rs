//! The whole model: images and tokens in, logits out.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::Patches;
use super::config::Config;
use super::decoder::{Cache, Decoder};
use super::position::{Positions, positions};
use super::rope::Rotation;
use super::vision::VisionTower;
use crate::checkpoint::{Checkpoint, Error};
use crate::load::{AdapterSource, Loader, Named, Placement};

/// What is asked: tokens, among them one image token for every merged patch of the images.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// The tokens.
    pub ids: Vec<u32>,
    /// The images, in the order of their tokens.
    pub images: Vec<Patches>,
}

/// A prompt that the model cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// No tokens.
    #[error("the prompt is empty")]
    Empty,
    /// A token that the model does not know.
    #[error("token {id} is not below the vocabulary's size {vocabulary}")]
    Token {
        /// The token.
        id: u32,
        /// Number of tokens.
        vocabulary: usize,
    },
    /// Image tokens that are not those of the images.
    #[error("{tokens} image tokens do not fit the {images} images, which need {needed}")]
    Images {
        /// Image tokens in the prompt.
        tokens: usize,
        /// Images beside it.
        images: usize,
        /// Image tokens that they need.
        needed: usize,
    },
    /// Patches of another size or number than the model's.
    #[error("an image has {found} numbers, where {expected} are expected")]
    Patches {
        /// Numbers that the image's grid calls for.
        expected: usize,
        /// Numbers there.
        found: usize,
    },
}

/// Qwen2-VL or Qwen2.5-VL.
#[derive(Module, Debug)]
pub struct QwenVl {
    /// The vision tower.
    pub vision: VisionTower,
    /// The language model.
    pub decoder: Decoder,
    #[module(skip)]
    pub(super) config: Config,
    #[module(skip)]
    pub(super) placement: Placement,
}

/// A prompt as the decoder sees it.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Embeddings `[1, tokens, hidden]`, those of the images in their places.
    pub embeddings: Tensor<3>,
    /// Positions of the tokens.
    pub positions: Positions,
}

/// A prompt that the decoder has read.
#[derive(Clone, Debug)]
pub struct Prefilled {
    /// Logits of the token after the prompt.
    pub logits: Vec<f32>,
    /// Keys and values of the prompt.
    pub cache: Cache,
    /// Position of the next token.
    pub next: i64,
}

impl QwenVl {
    /// Loads the weights of a checkpoint, each and no more.
    ///
    /// # Errors
    /// Where one is missing, left over, of another shape or dtype.
    pub fn load(
        checkpoint: &Checkpoint,
        config: Config,
        placement: Placement,
    ) -> Result<Self, Error> {
        Ok(Self::load_named(checkpoint, config, placement, None)?.0)
    }

    /// As [`QwenVl::load`], with the names of its tensors and, if wanted, with adapters: what is to be
    /// trained.
    ///
    /// # Errors
    /// As [`QwenVl::load`]; adapters that are damaged.
    pub fn load_named(
        checkpoint: &Checkpoint,
        config: Config,
        placement: Placement,
        adapters: Option<&dyn AdapterSource>,
    ) -> Result<(Self, Vec<Named>), Error> {
        let mut loader = Loader::new(checkpoint, placement.clone());
        if let Some(adapters) = adapters {
            loader = loader.with_adapters(adapters);
        }
        let model = Self::build(&mut loader, config, placement)?;
        let named = loader.named().to_vec();
        loader.finish()?;
        Ok((model, named))
    }

    fn build(loader: &mut Loader, config: Config, placement: Placement) -> Result<Self, Error> {
        let vision = VisionTower::load(loader, &config.vision)?;
        let decoder = Decoder::load(loader, &config)?;
        Ok(Self { vision, decoder, config, placement })
    }

    /// The architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the weights are.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The tokens `[tokens, hidden]` of an image.
    ///
    /// # Errors
    /// Patches that are not the model's.
    pub fn see(&self, image: &Patches) -> Result<Tensor<2>, PromptError> {
        Ok(self.vision.forward(self.patches(image)?, image.grid))
    }

    /// The patches `[patches, numbers]` of an image, on the model's device.
    ///
    /// # Errors
    /// Patches that are not the model's.
    pub fn patches(&self, image: &Patches) -> Result<Tensor<2>, PromptError> {
        let width = self.config.vision.patch_len();
        let count: usize = image.grid.iter().product();
        if image.values.len() != count * width {
            let (expected, found) = (count * width, image.values.len());
            return Err(PromptError::Patches { expected, found });
        }
        let data = TensorData::new(image.values.clone(), [count, width]);
        Ok(Tensor::from_data(data, (&self.placement.device, self.placement.dtype())))
    }

    /// The embeddings of a prompt, and its positions.
    ///
    /// # Errors
    /// A prompt that is empty, holds unknown tokens, or whose images do not fit.
    pub fn embed(&self, prompt: &Prompt) -> Result<Embedded, PromptError> {
        let vocabulary = self.config.text.vocab_size;
        if let Some(&id) = prompt.ids.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(PromptError::Token { id, vocabulary });
        }
        if prompt.ids.is_empty() {
            return Err(PromptError::Empty);
        }
        let positions = self.positions(prompt)?;
        let images = prompt.images.iter().map(|image| self.see(image));
        let images = images.collect::<Result<Vec<_>, _>>()?;
        Ok(Embedded { embeddings: self.place(prompt, images), positions })
    }

    /// The embeddings `[1, tokens, hidden]` of a prompt whose images were seen already.
    pub fn place(&self, prompt: &Prompt, images: Vec<Tensor<2>>) -> Tensor<3> {
        let mut embeddings = self.decoder.embed(&prompt.ids, &self.placement.device);
        let hidden = self.config.text.hidden_size;
        let mut at = 0;
        for tokens in images {
            let is_image = |&id: &u32| id == self.config.image_token_id;
            let start = at + prompt.ids[at..].iter().position(is_image).unwrap_or_default();
            at = start + tokens.dims()[0];
            embeddings = embeddings.slice_assign([start..at, 0..hidden], tokens);
        }
        embeddings.unsqueeze()
    }

    /// Where the tokens of a prompt stand.
    ///
    /// # Errors
    /// A prompt whose images do not fit.
    pub fn positions(&self, prompt: &Prompt) -> Result<Positions, PromptError> {
        let merge = self.config.vision.spatial_merge_size;
        let grids: Vec<_> = prompt.images.iter().map(|image| image.grid).collect();
        let image_token = self.config.image_token_id;
        positions(&prompt.ids, image_token, &grids, merge).ok_or_else(|| {
            let unit = self.config.vision.merge_len();
            let needed = grids.iter().map(|grid| grid.iter().product::<usize>() / unit).sum();
            let tokens = prompt.ids.iter().filter(|&&id| id == image_token).count();
            PromptError::Images { tokens, images: grids.len(), needed }
        })
    }

    /// The rotation at the positions of each sequence.
    pub fn rotation(&self, positions: &[Vec<[i64; 3]>]) -> Rotation {
        let text = &self.config.text;
        let device = &self.placement.device;
        Rotation::multimodal(positions, text.rope_theta, text.mrope_section, device)
    }

    /// Room for `capacity` tokens of each of `batch` sequences.
    pub fn cache(&self, batch: usize, capacity: usize) -> Cache {
        let dtype = self.placement.dtype();
        Cache::new(&self.config.text, batch, capacity, dtype, &self.placement.device)
    }

    /// Reads a prompt: its keys and values, with room for `more` tokens, and the logits after it.
    ///
    /// # Errors
    /// As [`QwenVl::embed`].
    pub fn prefill(&self, prompt: &Prompt, more: usize) -> Result<Prefilled, PromptError> {
        let Embedded { embeddings, positions } = self.embed(prompt)?;
        let tokens = positions.tokens.len();
        let mut cache = self.cache(1, tokens + more);
        let rotation = self.rotation(&[positions.tokens]);
        let hidden = self.decoder.forward(embeddings, &rotation, &mut cache);
        let logits = self.decoder.logits(hidden.narrow(1, tokens - 1, 1));
        Ok(Prefilled { logits: floats(logits), cache, next: positions.next })
    }

    /// Logits `[1, tokens, vocabulary]` at every token of a prompt.
    ///
    /// # Errors
    /// As [`QwenVl::embed`].
    pub fn logits(&self, prompt: &Prompt) -> Result<Tensor<3>, PromptError> {
        let Embedded { embeddings, positions } = self.embed(prompt)?;
        let mut cache = self.cache(1, positions.tokens.len());
        let rotation = self.rotation(&[positions.tokens]);
        Ok(self.decoder.logits(self.decoder.forward(embeddings, &rotation, &mut cache)))
    }

    /// One step of a batch: the token of each sequence and its position, to the logits
    /// `[sequences x vocabulary]` of the next.
    pub fn step(&self, tokens: &[u32], at: &[i64], cache: &mut Cache) -> Vec<f32> {
        let positions: Vec<_> = at.iter().map(|&position| vec![[position; 3]]).collect();
        let rotation = self.rotation(&positions);
        let embeddings = self.decoder.embed(tokens, &self.placement.device);
        let hidden = self.config.text.hidden_size;
        let embeddings = embeddings.reshape([tokens.len(), 1, hidden]);
        floats(self.decoder.logits(self.decoder.forward(embeddings, &rotation, cache)))
    }
}

fn floats(logits: Tensor<3>) -> Vec<f32> {
    logits.into_data().iter::<f32>().collect()
}

/// Names and shapes of all parameters of an architecture, by the canonical names.
pub fn parameters(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut loader = Loader::listing();
    let placement = loader.placement().clone();
    // Listing reads nothing, so nothing can fail; an unfinished list would show in the tests.
    let _ = QwenVl::build(&mut loader, config.clone(), placement);
    loader.asked()
}
