//! Flags of both trainings, and the settings that follow from them.

use std::path::PathBuf;

use segzero_eval::prompt::PromptStyle;
use segzero_model::device::DeviceName;
use segzero_train::{
    Checkpointing, Decay, Hyperparameters, ImportanceLevel, KlEstimator, Lora, LossType, Moving,
    PolicyOptions, Preset, ReplyTemplate, ScaleRewards, SchedulerType,
};
use serde::{Deserialize, Serialize};

use super::memory::TooLarge;
use crate::recipe_args::RecipeArgs;
use crate::source_args::SourceArgs;

/// All linear layers of the decoder.
const TARGETS: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// Flags that both trainings have.
#[derive(clap::Args, Clone, Debug, Serialize, Deserialize)]
pub struct Common {
    /// The model to begin with: its folder, or its name on the hub.
    #[arg(long, value_name = "DIR|NAME")]
    pub model: String,
    /// Folder of the run. A run that was interrupted goes on.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: PathBuf,
    /// What the model is asked: a published text.
    #[arg(long, value_enum, default_value_t, help_heading = "Model")]
    pub prompt: PromptStyle,
    /// Where to compute: `cpu`, `cuda:N` or `wgpu:N`.
    #[arg(long, default_value = "cpu", value_name = "DEVICE", help_heading = "Model")]
    #[serde(with = "device")]
    pub device: DeviceName,
    /// What to compute in; weights and moments are kept in f32 whatever this is.
    #[arg(long, value_enum, default_value_t, help_heading = "Model")]
    pub dtype: Compute,
    /// Parts that stay as they are.
    #[arg(long, value_enum, value_delimiter = ',', help_heading = "Model")]
    pub freeze: Vec<Part>,
    /// Train adapters of this rank in the decoder's layers, and nothing else (LoRA).
    #[arg(long, value_name = "RANK", help_heading = "Model",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub lora_r: Option<u16>,
    /// What the adapters add is multiplied by this over their rank [default: twice the rank].
    #[arg(long, value_name = "X", requires = "lora_r", help_heading = "Model")]
    pub lora_alpha: Option<f64>,
    /// Layers that get adapters.
    #[arg(long, value_name = "NAMES", requires = "lora_r", value_delimiter = ',',
          default_values_t = TARGETS.map(str::to_owned), help_heading = "Model")]
    pub lora_target_modules: Vec<String>,
    /// What is kept for the backward pass.
    #[arg(long, value_enum, default_value_t, help_heading = "Model")]
    pub checkpointing: Checkpointing,
    /// What to do where the estimate of memory is above what is left.
    #[arg(long, value_enum, default_value_t, help_heading = "Model")]
    pub if_too_large: TooLarge,
    /// Tokens whose logits are held at once.
    #[arg(long, default_value_t = 512, value_name = "N", help_heading = "Model")]
    pub logits_chunk: usize,
    /// Steps in all [default: those of the epochs].
    #[arg(long, value_name = "N", help_heading = "Training",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub max_steps: Option<u64>,
    /// Passes over the training set.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub num_train_epochs: Option<f64>,
    /// Prompts (or samples) of a step.
    #[arg(long, value_name = "N", help_heading = "Training",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub rollout_batch_size: Option<u32>,
    /// Prompts computed at once; changes memory and speed, not the result.
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Training",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub prompts_at_once: u32,
    /// Highest learning rate.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub learning_rate: Option<f64>,
    /// What it is multiplied by for the vision tower and its merger.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub vision_rate: Option<f64>,
    /// How it goes after the warm-up.
    #[arg(long, value_enum, help_heading = "Training")]
    pub lr_scheduler_type: Option<SchedulerType>,
    /// Steps over which it rises.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub warmup_steps: Option<u64>,
    /// Share of the weights, times the learning rate, that a step takes off.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub weight_decay: Option<f64>,
    /// Which weights decay.
    #[arg(long, value_enum, help_heading = "Training")]
    pub decay: Option<Decay>,
    /// AdamW's second share.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub adam_beta2: Option<f64>,
    /// Norm that gradients are scaled down to; 0 leaves them.
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub max_grad_norm: Option<f64>,
    /// Do what Seg-Zero's code does: a first step of rate 0, and no last one.
    #[arg(long, help_heading = "Training")]
    pub quirks: bool,
    /// Where randomness comes from.
    #[arg(long, default_value_t = 42, value_name = "N", help_heading = "Training")]
    pub seed: u64,
    /// Steps between two checkpoints, each of which is validated if there is something to validate on.
    #[arg(long, default_value_t = 50, value_name = "N", help_heading = "Output",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub save_steps: u64,
    /// Checkpoints that are kept, beside the best; 0 is all.
    #[arg(long, default_value_t = 3, value_name = "N", help_heading = "Output")]
    pub save_total_limit: usize,
    #[command(flatten)]
    pub validation: Validation,
    /// Print nothing while training.
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
}

/// What to validate on: the whole pipeline, on samples with masks.
#[derive(clap::Args, Clone, Debug, Default, Serialize, Deserialize)]
#[command(next_help_heading = "Validation")]
pub struct Validation {
    /// A data set with masks.
    #[arg(long, value_name = "PATH")]
    pub val: Option<PathBuf>,
    /// Its split.
    #[arg(long, value_name = "NAME", default_value = "val")]
    pub val_split: String,
    /// So many queries of it; 0 is all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub val_limit: u32,
    /// Side of the square that images are asked about; 0 asks about them as they are.
    #[arg(long, value_name = "N", default_value_t = 840)]
    pub val_side: u32,
    /// A prepared training set that is not trained on: one reply to each of its prompts is sampled as in
    /// training, and scored by `--recipe`.
    #[arg(long, value_name = "PATH")]
    pub val_set: Option<PathBuf>,
    /// The SAM 2 that turns answers into masks: its folder, file or name.
    #[arg(long, value_name = "DIR|NAME")]
    pub segmenter: Option<String>,
}

/// What to compute in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Compute {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of 32, on GPUs.
    Bf16,
}

/// A part of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The vision tower without the merger.
    Vision,
    /// What turns patches into tokens.
    Merger,
    /// The decoder's layers.
    Decoder,
    /// Embeddings and output layer.
    Embeddings,
}

impl Part {
    /// Whether a parameter belongs to it, by its canonical name.
    pub fn holds(self, name: &str) -> bool {
        let is_merger = name.starts_with("visual.merger.");
        match self {
            Self::Vision => name.starts_with("visual.") && !is_merger,
            Self::Merger => is_merger,
            Self::Decoder => name.starts_with("model.layers.") || name == "model.norm.weight",
            Self::Embeddings => {
                name.starts_with("model.embed_tokens") || name.starts_with("lm_head")
            }
        }
    }
}

/// Flags of `segzero train sft`.
#[derive(clap::Args, Clone, Debug, Serialize, Deserialize)]
pub struct SftArgs {
    #[command(flatten)]
    pub set: SourceArgs,
    #[command(flatten)]
    pub common: Common,
    /// What the model is taught to say, with `{question}`, `{answer}` (or `{list}`), `{place}` and
    /// `{others}` for what is the sample's own (docs/train.md). Given several times, samples take turns.
    #[arg(
        long,
        default_value = "<think>I look for {question}.</think><answer>{answer}</answer>",
        value_name = "TEXT",
        help_heading = "Training"
    )]
    pub reply: Vec<ReplyTemplate>,
    #[command(flatten)]
    pub rewards: RecipeArgs,
}

/// Flags of `segzero train grpo`.
#[derive(clap::Args, Clone, Debug, Serialize, Deserialize)]
pub struct GrpoArgs {
    #[command(flatten)]
    pub set: SourceArgs,
    #[command(flatten)]
    pub common: Common,
    /// Hyper-parameters under a name; flags change them one by one.
    #[arg(long, value_enum, default_value_t, help_heading = "Training")]
    pub preset: Preset,
    #[command(flatten)]
    pub rewards: RecipeArgs,
    /// Replies to each prompt.
    #[arg(long, value_name = "N", help_heading = "Training",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub num_generations: Option<u32>,
    /// Steps of the optimizer on each set of replies; together they are one step of the training.
    #[arg(long, value_name = "N", help_heading = "Training",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub num_iterations: Option<u64>,
    /// Longest reply, in tokens.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub max_completion_length: Option<usize>,
    /// Divides the logits, in sampling and in the loss.
    #[arg(long, value_name = "T", help_heading = "Training")]
    pub temperature: Option<f64>,
    /// Weight of the divergence from the model that training began with; 0 does without it.
    #[arg(long, value_name = "X", help_heading = "Loss")]
    pub beta: Option<f64>,
    /// Its estimate.
    #[arg(long, value_enum, help_heading = "Loss")]
    pub kl_estimator: Option<KlEstimator>,
    /// How far below 1 the ratio of policies counts.
    #[arg(long, value_name = "X", help_heading = "Loss")]
    pub epsilon: Option<f64>,
    /// How far above 1.
    #[arg(long, value_name = "X", help_heading = "Loss")]
    pub epsilon_high: Option<f64>,
    /// Bounds the loss of tokens whose advantage is negative (dual clip).
    #[arg(long, value_name = "X", help_heading = "Loss")]
    pub delta: Option<f64>,
    /// What tokens are averaged over.
    #[arg(long, value_enum, help_heading = "Loss")]
    pub loss_type: Option<LossType>,
    /// Replies that are averaged over together; 0 is all of a step.
    #[arg(long, value_name = "N", help_heading = "Loss")]
    pub micro_batch: Option<usize>,
    /// What the ratio is of.
    #[arg(long, value_enum, help_heading = "Loss")]
    pub importance_sampling_level: Option<ImportanceLevel>,
    /// What advantages are divided by.
    #[arg(long, value_enum, help_heading = "Loss")]
    pub scale_rewards: Option<ScaleRewards>,
    /// Weight of the entropy, which is subtracted.
    #[arg(long, value_name = "X", help_heading = "Loss")]
    pub entropy_coef: Option<f64>,
}

/// Puts what was said in the place of what was not.
fn set<T>(place: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *place = said;
    }
}

impl Common {
    /// The preset's settings with what the flags change.
    pub fn change(&self, settings: &mut Hyperparameters) {
        set(&mut settings.rollout_batch_size, self.rollout_batch_size.map(|n| n as usize));
        set(&mut settings.num_train_epochs, self.num_train_epochs);
        set(&mut settings.schedule.learning_rate, self.learning_rate);
        set(&mut settings.optimizer.vision_rate, self.vision_rate);
        set(&mut settings.schedule.lr_scheduler_type, self.lr_scheduler_type);
        set(&mut settings.schedule.warmup_steps, self.warmup_steps);
        set(&mut settings.optimizer.weight_decay, self.weight_decay);
        set(&mut settings.optimizer.decay, self.decay);
        set(&mut settings.optimizer.adam_beta2, self.adam_beta2);
        set(&mut settings.optimizer.max_grad_norm, self.max_grad_norm);
        if self.quirks {
            settings.schedule.first_step = segzero_train::FirstStep::AtZero;
            settings.last_step = segzero_train::LastStep::LeftOut;
        }
    }

    /// Steps in all, of a training set with so many rows.
    pub fn moving(&self, settings: &Hyperparameters, rows: usize) -> Moving {
        let per_epoch = (rows / settings.rollout_batch_size).max(1) as f64;
        let epochs = (per_epoch * settings.num_train_epochs).floor().max(1.0) as u64;
        let steps = self.max_steps.unwrap_or(epochs);
        let left_out = settings.last_step == segzero_train::LastStep::LeftOut;
        let steps = if left_out { steps.saturating_sub(1).max(1) } else { steps };
        Moving { optimizer: settings.optimizer, schedule: settings.schedule, steps }
    }

    /// What is trained of which model, for the run's folder.
    pub fn about(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.model, "freeze": self.freeze, "lora": self.lora(), "dtype": self.dtype,
            "prompt": self.prompt, "seed": self.seed,
        })
    }

    /// The adapters, if any.
    pub fn lora(&self) -> Option<Lora> {
        let r = usize::from(self.lora_r?);
        let lora_alpha = self.lora_alpha.unwrap_or(2.0 * r as f64);
        let target_modules = self.lora_target_modules.clone();
        Some(Lora { r, lora_alpha, target_modules, seed: self.seed })
    }

    /// How the policy computes.
    pub fn policy(&self) -> PolicyOptions {
        PolicyOptions {
            temperature: 1.0,
            checkpointing: self.checkpointing,
            logits_chunk: self.logits_chunk,
        }
    }
}

impl SftArgs {
    /// The settings that the flags mean.
    pub fn settings(&self) -> Hyperparameters {
        let mut settings = Preset::Sft.hyperparameters();
        self.common.change(&mut settings);
        settings
    }
}

impl GrpoArgs {
    /// The settings that the flags mean.
    pub fn settings(&self) -> Hyperparameters {
        let mut settings = self.preset.hyperparameters();
        self.common.change(&mut settings);
        set(&mut settings.num_generations, self.num_generations.map(|n| n as usize));
        set(&mut settings.num_iterations, self.num_iterations);
        set(&mut settings.max_completion_length, self.max_completion_length);
        set(&mut settings.loss.max_completion_length, self.max_completion_length);
        set(&mut settings.temperature, self.temperature);
        set(&mut settings.loss.beta, self.beta);
        set(&mut settings.loss.kl_estimator, self.kl_estimator);
        set(&mut settings.loss.epsilon, self.epsilon);
        set(&mut settings.loss.epsilon_high, self.epsilon_high.or(self.epsilon));
        if self.delta.is_some() {
            settings.loss.delta = self.delta;
        }
        set(&mut settings.loss.loss_type, self.loss_type);
        set(&mut settings.loss.micro_batch, self.micro_batch);
        set(&mut settings.loss.importance_sampling_level, self.importance_sampling_level);
        set(&mut settings.advantage.scale_rewards, self.scale_rewards);
        set(&mut settings.loss.entropy_coef, self.entropy_coef);
        settings
    }
}

/// A device by its name.
pub mod device {
    use segzero_model::device::DeviceName;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(device: &DeviceName, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(device)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<DeviceName, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}
