//! SAM 2 on images: embedded once, asked often.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::config::Config;
use super::decoder::{MaskDecoder, Predicted, Projected};
use super::neck::Neck;
use super::prompt::{Prompt, PromptEncoder};
use super::trunk::Trunk;
use crate::checkpoint::{Checkpoint, Error};
use crate::layers::Kernel;
use crate::load::{Loader, Named, Placement};

/// Objects that a GPU decodes together. The CPU takes one by one: its cache holds no more.
const OBJECTS: usize = 16;

/// Parameters that only video needs: names that begin so are not loaded.
pub const OF_VIDEO: [&str; 8] = [
    "memory_attention.",
    "memory_encoder.",
    "maskmem_tpos_enc",
    "mask_downsample.",
    "no_mem_pos_enc",
    "no_obj_embed_spatial",
    "no_obj_ptr",
    "obj_ptr",
];

/// The image predictor's network.
#[derive(Module, Debug)]
pub struct Sam2 {
    network: Network,
    /// Where the cells of the embedding are: `[1, cells, width]`.
    #[module(skip)]
    places: Tensor<3>,
    #[module(skip)]
    config: Config,
    #[module(skip)]
    placement: Placement,
}

#[derive(Module, Debug)]
struct Network {
    trunk: Trunk,
    neck: Neck,
    /// What is added to an image that has none before it.
    no_memory: Param<Tensor<3>>,
    prompt: PromptEncoder,
    decoder: MaskDecoder,
}

/// What the network knows of some images.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `[images, cells, width]`.
    pub(super) image: Tensor<3>,
    /// The finest level and the next, at the widths at which masks need them: `[images, side, side,
    /// width]`.
    pub(super) fine: [Tensor<4>; 2],
    /// What the decoder asks of the images first, where no prompt has a mask.
    pub(super) prepared: Option<Projected>,
}

/// Which masks are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Several, of which one may be chosen by its predicted IoU.
    #[default]
    Multimask,
    /// One: that of the first token, or the best of the others where it is not stable.
    Single,
}

/// Masks of some objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Masks for each object.
    pub masks: usize,
    /// Pixels along a side of a mask.
    pub side: usize,
    /// `[objects, masks, side, side]`: above 0 is inside.
    pub logits: Vec<f32>,
    /// `[objects, masks]`: predicted IoU, from 0 to 1.
    pub ious: Vec<f32>,
    /// `[objects]`: above 0 where the network sees an object. The published image predictor does not
    /// look at it.
    pub object_scores: Vec<f32>,
}

impl Network {
    fn load(loader: &mut Loader, config: &Config) -> Result<Self, Error> {
        for name in OF_VIDEO {
            loader.ignore(name);
        }
        Ok(Self {
            trunk: Trunk::load(loader, "image_encoder.trunk", &config.trunk, config.image_size)?,
            neck: Neck::load(loader, "image_encoder.neck", &config.neck, &config.trunk)?,
            no_memory: loader.tensor("no_mem_embed", [1, 1, config.neck.width])?,
            prompt: PromptEncoder::load(loader, "sam_prompt_encoder", config)?,
            decoder: MaskDecoder::load(loader, "sam_mask_decoder", config)?,
        })
    }
}

/// Name and shape of each parameter of the image predictor.
pub fn parameters(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut loader = Loader::listing();
    // Only a checkpoint can be at fault.
    let _ = Network::load(&mut loader, config);
    loader.asked()
}

impl Sam2 {
    /// Loads a checkpoint, as published.
    ///
    /// # Errors
    /// Where a parameter is missing, left over or of another shape.
    pub fn load(
        checkpoint: &Checkpoint,
        config: Config,
        placement: Placement,
    ) -> Result<Self, Error> {
        Ok(Self::load_named(checkpoint, config, placement)?.0)
    }

    /// As [`Sam2::load`], with the names of its tensors: what is to be trained.
    ///
    /// # Errors
    /// As [`Sam2::load`].
    pub fn load_named(
        checkpoint: &Checkpoint,
        config: Config,
        placement: Placement,
    ) -> Result<(Self, Vec<Named>), Error> {
        let mut loader = Loader::new(checkpoint, placement.clone());
        let network = Network::load(&mut loader, &config)?;
        let named = loader.named().to_vec();
        loader.finish()?;
        let places = network.prompt.places((&placement.device, placement.dtype()));
        Ok((Self { network, places, config, placement }, named))
    }

    /// What it is made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where its tensors are.
    pub fn device(&self) -> &Device {
        &self.placement.device
    }

    /// Dtype of its activations.
    pub fn dtype(&self) -> DType {
        self.placement.dtype()
    }

    /// The outputs of the trunk's stages, `[images, grid, grid, width]`, of pixels as [`Sam2::embed`]
    /// takes them.
    pub fn stages(&self, pixels: Tensor<4>) -> [Tensor<4>; 4] {
        self.network.trunk.forward(pixels)
    }

    /// The levels of the feature pyramid, the finest first, of [`Sam2::stages`].
    pub fn levels(&self, stages: [Tensor<4>; 4]) -> [Tensor<4>; 3] {
        self.network.neck.forward(stages)
    }

    /// What there is to know of images: normalised pixels `[images, side, side, 3]`, side being
    /// [`Config::image_size`].
    ///
    /// # Panics
    /// If the sides are others.
    pub fn embed(&self, pixels: Tensor<4>) -> Embedding {
        let side = self.config.image_size;
        assert_eq!(pixels.dims()[1..], [side, side, 3], "pixels of an image");
        let [finest, fine, coarse] = self.levels(self.stages(pixels));
        let [images, rows, columns, width] = coarse.dims();
        let image = coarse.reshape([images, rows * columns, width]);
        let image = image + self.network.no_memory.val();
        let fine = self.network.decoder.narrow(finest, fine);
        let options = (self.device(), self.dtype());
        let plain = image.clone() + self.network.prompt.dense(&[], options);
        let prepared = self.network.decoder.prepare(&plain, &self.places);
        Embedding { image, fine, prepared }
    }

    /// Masks of objects in one of the embedded images, in the order of their prompts.
    ///
    /// # Panics
    /// If there is no such image, or a mask has not [`Config::mask_side`] squared numbers.
    pub fn decode(
        &self,
        embedding: &Embedding,
        image: usize,
        prompts: &[Prompt],
        output: Output,
    ) -> Decoded {
        let embedding = embedding.of(image);
        let masks = if output == Output::Single { 1 } else { self.config.decoder.multimasks };
        let side = self.config.mask_side();
        let mut decoded = Decoded {
            masks,
            side,
            logits: vec![0.0; prompts.len() * masks * side * side],
            ious: vec![0.0; prompts.len() * masks],
            object_scores: vec![0.0; prompts.len()],
        };
        let most = if self.placement.kernel() == Kernel::Cpu { 1 } else { OBJECTS };
        let asked: Vec<&Prompt> = prompts.iter().collect();
        for group in by_length(&asked).iter().flat_map(|group| group.chunks(most)) {
            let asked: Vec<&Prompt> = group.iter().map(|&i| &prompts[i]).collect();
            let each = |x: Tensor<3>| {
                let [_, cells, width] = x.dims();
                x.expand([group.len(), cells, width])
            };
            let together = self.together(&embedding, &asked, each);
            decoded.put(group, self.choose(together, output));
        }
        decoded
    }

    /// All masks of objects in any of the embedded images, each with its image's number, as tensors
    /// through which gradients flow; in the order of the prompts.
    ///
    /// # Panics
    /// As [`Sam2::decode`], and if there are no prompts.
    pub fn predict(&self, embedding: &Embedding, asked: &[(usize, Prompt)]) -> Predicted {
        let prompts: Vec<&Prompt> = asked.iter().map(|(_, prompt)| prompt).collect();
        let groups = by_length(&prompts);
        let parts = groups.iter().map(|group| {
            let prompts: Vec<&Prompt> = group.iter().map(|&i| prompts[i]).collect();
            let images = group.iter().map(|&i| asked[i].0);
            self.together(&embedding.select(&numbers(images, self.device())), &prompts, |x| x)
        });
        let parts: Vec<Predicted> = parts.collect();
        let order = groups.concat();
        let mut back = vec![0; order.len()];
        for (at, &i) in order.iter().enumerate() {
            back[i] = at;
        }
        let back = numbers(back.into_iter(), self.device());
        let all = |part: fn(&Predicted) -> Tensor<2>| {
            Tensor::cat(parts.iter().map(part).collect(), 0).select(0, back.clone())
        };
        let logits = Tensor::cat(parts.iter().map(|part| part.logits.clone()).collect(), 0);
        Predicted {
            logits: logits.select(0, back.clone()),
            ious: all(|part| part.ious.clone()),
            object_scores: all(|part| part.object_scores.clone()),
        }
    }

    /// All masks of prompts of one length; `each` gives every prompt its image.
    fn together(
        &self,
        embedding: &Embedding,
        asked: &[&Prompt],
        each: impl Fn(Tensor<3>) -> Tensor<3>,
    ) -> Predicted {
        let options = (self.device(), self.dtype());
        let sparse = self.network.prompt.tokens(asked, options);
        let image = embedding.image.clone() + self.network.prompt.dense(asked, options);
        let prepared =
            embedding.prepared.clone().filter(|_| asked.iter().all(|p| p.mask.is_none()));
        let prepared = prepared.map(|prepared| prepared.map(&each));
        let fine = embedding.fine.clone();
        self.network.decoder.forward(sparse, each(image), &self.places, fine, prepared)
    }
}

/// The numbers of prompts, those of one length together.
fn by_length(prompts: &[&Prompt]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&i| prompts[i].tokens());
    let groups = order.chunk_by(|&a, &b| prompts[a].tokens() == prompts[b].tokens());
    groups.map(<[usize]>::to_vec).collect()
}

fn numbers(of: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i32> = of.map(|number| number as i32).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count]), device)
}
