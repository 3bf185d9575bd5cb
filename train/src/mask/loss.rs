//! The loss of SAM (arXiv 2304.02643 §A) and SAM 2 (arXiv 2408.00714 §D) for one object: of its masks,
//! of their predicted IoU, and of whether it is there. A function of numbers.

use serde::{Deserialize, Serialize};

/// Weights of the loss's parts; the defaults are the papers'.
#[derive(clap::Args, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[command(next_help_heading = "Loss")]
pub struct MaskLossOptions {
    /// Weight of the focal loss, a mean over pixels.
    #[arg(long, default_value_t = 20.0, value_name = "X")]
    pub focal: f64,
    /// Its α: the weight of pixels inside; of those outside it is 1 - α.
    #[arg(long, default_value_t = 0.25, value_name = "X")]
    pub alpha: f64,
    /// Its γ: by which power of (1 - p) certain pixels count less.
    #[arg(long, default_value_t = 2.0, value_name = "X")]
    pub gamma: f64,
    /// Weight of the dice loss.
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    pub dice: f64,
    /// Weight of the predicted IoU's error, a mean over masks.
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    pub iou: f64,
    /// How that error counts.
    #[arg(long, value_enum, default_value_t)]
    pub iou_error: IouError,
    /// Weight of the cross-entropy of the object's score.
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    pub object: f64,
    /// Which of the several masks are taught, beside the single one.
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub taught: Taught,
}

impl Default for MaskLossOptions {
    fn default() -> Self {
        Self {
            focal: 20.0,
            alpha: 0.25,
            gamma: 2.0,
            dice: 1.0,
            iou: 1.0,
            iou_error: IouError::Absolute,
            object: 1.0,
            taught: Taught::Best,
        }
    }
}

/// Which of the several masks are taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Taught {
    /// The one that fits best, so that each may learn another reading of the prompt: SAM's.
    #[default]
    Best,
    /// All, a share each, so that each mask is taught by each object; for networks that begin from nothing.
    All,
}

/// How the error of a predicted IoU counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum IouError {
    /// As it is: SAM 2's.
    #[default]
    Absolute,
    /// Squared: SAM's.
    Squared,
}

/// What the network says of an object.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Logits of its masks, one after another: that of the single mask's token first.
    pub logits: &'a [f32],
    /// Predicted IoU of each, from 0 to 1.
    pub ious: &'a [f32],
    /// Logit of its being there.
    pub object_score: f32,
}

/// The loss and its parts, without their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MaskLossFigures {
    /// The weighted sum.
    pub loss: f64,
    /// Focal loss of the masks that are taught.
    pub focal: f64,
    /// Their dice loss.
    pub dice: f64,
    /// Error of the predicted IoU.
    pub iou: f64,
    /// Cross-entropy of the object's score.
    pub object: f64,
    /// IoU of the best mask.
    pub best: f64,
}

impl MaskLossFigures {
    /// Adds those of another object, times `weight`.
    pub fn add(&mut self, other: &Self, weight: f64) {
        self.loss += weight * other.loss;
        self.focal += weight * other.focal;
        self.dice += weight * other.dice;
        self.iou += weight * other.iou;
        self.object += weight * other.object;
        self.best += weight * other.best;
    }
}

/// Derivatives of the loss by what was found, in the same order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MaskPull {
    /// By the logits.
    pub logits: Vec<f32>,
    /// By predicted IoUs.
    pub ious: Vec<f32>,
    /// By the object's score.
    pub object_score: f32,
}

/// The loss of an object whose mask covers the share `target` of each pixel, and its derivatives.
///
/// The first mask is taught always, and of the others those that [`Taught`] says: the one whose masks'
/// loss is lowest, as if it had been asked for alone, or all. The IoU of all of them is.
pub fn mask_loss(
    found: &Found,
    target: &[f32],
    options: &MaskLossOptions,
) -> (MaskLossFigures, MaskPull) {
    let masks: Vec<&[f32]> = found.logits.chunks_exact(target.len().max(1)).collect();
    let fits: Vec<Fit> = masks.iter().map(|logits| Fit::of(logits, target, options)).collect();
    let cost = |fit: &Fit| options.focal * fit.focal + options.dice * fit.dice;
    let best = (1..fits.len()).min_by(|&a, &b| cost(&fits[a]).total_cmp(&cost(&fits[b])));
    let mut figures = MaskLossFigures::default();
    let mut pull = MaskPull { logits: vec![0.0; found.logits.len()], ..MaskPull::default() };
    let others = fits.len().saturating_sub(1);
    let share = |mask: usize| match options.taught {
        _ if mask == 0 => 1.0,
        Taught::Best => f64::from(best == Some(mask)),
        Taught::All => 1.0 / others as f64,
    };
    for (mask, fit) in fits.iter().enumerate().filter(|&(mask, _)| share(mask) > 0.0) {
        figures.focal += share(mask) * fit.focal;
        figures.dice += share(mask) * fit.dice;
        let place = mask * target.len()..(mask + 1) * target.len();
        fit.pull(masks[mask], target, share(mask), options, &mut pull.logits[place]);
    }
    let share = 1.0 / fits.len().max(1) as f64;
    for (fit, &predicted) in fits.iter().zip(found.ious) {
        let off = f64::from(predicted) - fit.iou;
        let (error, slope) = match options.iou_error {
            // At 0 the slope is 0, which `signum` does not have.
            IouError::Absolute => (off.abs(), if off == 0.0 { 0.0 } else { off.signum() }),
            IouError::Squared => (off * off, 2.0 * off),
        };
        figures.iou += share * error;
        pull.ious.push((options.iou * share * slope) as f32);
    }
    let score = f64::from(found.object_score);
    figures.object = softplus(-score);
    pull.object_score = (options.object * (sigmoid(score) - 1.0)) as f32;
    figures.best = fits.iter().map(|fit| fit.iou).fold(0.0, f64::max);
    figures.loss = options.focal * figures.focal
        + options.dice * figures.dice
        + options.iou * figures.iou
        + options.object * figures.object;
    (figures, pull)
}

/// How well a mask fits.
struct Fit {
    focal: f64,
    dice: f64,
    iou: f64,
    /// Sums of p · t and of p + t, each plus 1.
    sums: [f64; 2],
}

impl Fit {
    fn of(logits: &[f32], target: &[f32], options: &MaskLossOptions) -> Self {
        let (mut focal, mut both, mut either) = (0.0, 0.0, 0.0);
        let (mut inside, mut covered) = (0.0, 0.0);
        for (&logit, &t) in logits.iter().zip(target) {
            let (x, t) = (f64::from(logit), f64::from(t));
            let p = sigmoid(x);
            focal += Focal::of(x, p, t, options).loss(options);
            both += p * t;
            either += p + t;
            if logit > 0.0 {
                inside += t;
                covered += 1.0;
            } else {
                covered += t;
            }
        }
        let sums = [2.0 * both + 1.0, either + 1.0];
        let iou = if covered > 0.0 { inside / covered } else { 0.0 };
        let dice = 1.0 - sums[0] / sums[1];
        Self { focal: focal / target.len().max(1) as f64, dice, iou, sums }
    }

    /// The derivatives of a mask's weighted loss by its logits, times `share`.
    fn pull(
        &self,
        logits: &[f32],
        target: &[f32],
        share: f64,
        options: &MaskLossOptions,
        out: &mut [f32],
    ) {
        let by_focal = options.focal / target.len().max(1) as f64;
        let [above, below] = self.sums;
        for ((out, &logit), &t) in out.iter_mut().zip(logits).zip(target) {
            let (x, t) = (f64::from(logit), f64::from(t));
            let p = sigmoid(x);
            let focal = Focal::of(x, p, t, options).slope(p, t, options);
            let dice = (above - 2.0 * t * below) / (below * below) * p * (1.0 - p);
            *out = (share * (by_focal * focal + options.dice * dice)) as f32;
        }
    }
}

/// The focal loss of a pixel (arXiv 1708.02002): cross-entropy, less where the pixel is certain. Of a
/// pixel that is inside in part it is as torchvision computes it.
struct Focal {
    cross_entropy: f64,
    /// By how much the probability of what is there falls short of 1.
    short: f64,
    weight: f64,
}

impl Focal {
    fn of(x: f64, p: f64, t: f64, options: &MaskLossOptions) -> Self {
        Self {
            cross_entropy: softplus(x) - x * t,
            short: p + t - 2.0 * p * t,
            weight: options.alpha * t + (1.0 - options.alpha) * (1.0 - t),
        }
    }

    fn loss(&self, options: &MaskLossOptions) -> f64 {
        self.weight * self.short.powf(options.gamma) * self.cross_entropy
    }

    fn slope(&self, p: f64, t: f64, options: &MaskLossOptions) -> f64 {
        let by_short = p * (1.0 - p) * (1.0 - 2.0 * t);
        let power = self.short.powf(options.gamma);
        let by_power = match options.gamma {
            0.0 => 0.0,
            gamma => gamma * self.short.powf(gamma - 1.0) * by_short,
        };
        self.weight * (by_power * self.cross_entropy + power * (p - t))
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + eˣ).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
