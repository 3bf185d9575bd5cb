//! The mask decoder: from image embedding and prompt tokens to logits of masks and what they are worth.

mod two_way;
mod upscale;

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::config::Config;
use crate::checkpoint::Error;
use crate::layers::Linear;
use crate::load::Loader;
pub(super) use two_way::Projected;
use two_way::TwoWay;
use upscale::Upscale;

/// Linear layers with max(0, x) between them.
#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

/// The mask decoder.
#[derive(Module, Debug)]
pub struct MaskDecoder {
    /// One token for the object's score, one for IoU, and one for each mask: `[tokens, width]` each.
    tokens: [Param<Tensor<2>>; 3],
    transformer: TwoWay,
    upscale: Upscale,
    /// From each mask's token to what its pixels are multiplied by.
    hyper: Vec<Mlp>,
    iou: Mlp,
    object_score: Mlp,
    /// Narrow the two finest levels, the finest first.
    fine: [Linear; 2],
}

/// What the decoder says of each object, for all of its mask tokens: the single mask first.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// `[objects, masks, side x side]`.
    pub logits: Tensor<3>,
    /// `[objects, masks]`, from 0 to 1.
    pub ious: Tensor<2>,
    /// `[objects, 1]`, logits.
    pub object_scores: Tensor<2>,
}

impl MaskDecoder {
    /// Loads what begins with `{name}.`.
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(loader: &mut Loader, name: &str, config: &Config) -> Result<Self, Error> {
        let width = config.neck.width;
        let masks = config.decoder.multimasks + 1;
        let mut token = |part: &str, count: usize| {
            loader.tensor(&format!("{name}.{part}.weight"), [count, width])
        };
        let tokens =
            [token("obj_score_token", 1)?, token("iou_token", 1)?, token("mask_tokens", masks)?];
        let hyper = |i: usize| {
            let name = format!("{name}.output_hypernetworks_mlps.{i}");
            Mlp::load(loader, &name, &[width, width, width, width / 8])
        };
        let hyper = (0..masks).map(hyper).collect::<Result<_, _>>()?;
        let mut iou_widths = vec![config.decoder.iou_width; config.decoder.iou_layers + 1];
        iou_widths[0] = width;
        iou_widths[config.decoder.iou_layers] = masks;
        let mut fine = |part: &str, width: usize| {
            let shape = [width, config.neck.width, 1, 1];
            Linear::load_convolution(loader, &format!("{name}.{part}"), &shape)
        };
        let fine = [fine("conv_s0", width / 8)?, fine("conv_s1", width / 4)?];
        Ok(Self {
            tokens,
            transformer: TwoWay::load(loader, &format!("{name}.transformer"), config)?,
            upscale: Upscale::load(loader, &format!("{name}.output_upscaling"), config)?,
            hyper,
            iou: Mlp::load(loader, &format!("{name}.iou_prediction_head"), &iou_widths)?,
            object_score: Mlp::load(
                loader,
                &format!("{name}.pred_obj_score_head"),
                &[width, width, width, 1],
            )?,
            fine,
        })
    }

    /// The two finest levels at the widths at which masks need them.
    pub(super) fn narrow(&self, finest: Tensor<4>, fine: Tensor<4>) -> [Tensor<4>; 2] {
        [self.fine[0].forward(finest), self.fine[1].forward(fine)]
    }

    /// What the first block asks of an image `[images, cells, width]`, whatever the prompts.
    pub(super) fn prepare(&self, image: &Tensor<3>, places: &Tensor<3>) -> Option<Projected> {
        self.transformer.prepare(image, places)
    }

    /// Masks of objects whose prompts are `[objects, tokens, width]`, in an image `[objects, cells,
    /// width]` to which their masks were added; `fine` is [`MaskDecoder::narrow`] of their images,
    /// or of the one of all, and `prepared` is of the image where it is at hand.
    pub(super) fn forward(
        &self,
        prompts: Option<Tensor<3>>,
        image: Tensor<3>,
        places: &Tensor<3>,
        fine: [Tensor<4>; 2],
        prepared: Option<Projected>,
    ) -> Predicted {
        let [objects, _, width] = image.dims();
        let own = Tensor::cat(self.tokens.iter().map(Param::val).collect(), 0);
        let own: Tensor<3> = own.unsqueeze();
        let count = own.dims()[1];
        let own = own.expand([objects, count, width]);
        let tokens = match prompts {
            Some(prompts) => Tensor::cat(vec![own, prompts], 1),
            None => own,
        };
        let (tokens, image) = self.transformer.forward(tokens, image, places, prepared);
        let token = |i: usize| tokens.clone().narrow(1, i, 1);
        let hyper = self.hyper.iter().enumerate().map(|(i, mlp)| mlp.forward(token(2 + i)));
        let hyper = Tensor::cat(hyper.collect(), 1);
        let ious = burn::tensor::activation::sigmoid(self.iou.forward(token(1)));
        Predicted {
            logits: self.upscale.masks(image, fine, hyper),
            ious: ious.squeeze_dim(1),
            object_scores: self.object_score.forward(token(0)).squeeze_dim(1),
        }
    }
}
