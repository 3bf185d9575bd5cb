//! The loop of both trainings: steps, log, checkpoints, validation.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use rayon::prelude::*;
use segzero_model::checkpoint::Checkpoint;
use segzero_model::checkpoint::hub::Freshness;
use segzero_model::load::{Named, Placement};
use segzero_model::packed;
use segzero_model::qwen_vl::{MESSAGE_END, QwenVl};
use segzero_train::{
    ADAPTER, ADAPTER_CONFIG, Adapters, ExportDtype, Figures, GrpoOptions, Hyperparameters, Item,
    Load, Lora, Reference, ReplyTemplate, Row, Sampled, SftOptions, Trainer, acquaint, estimate,
    export, is_adapter, last, restore, rows_of, save, without_adapters,
};
use serde_json::{Value, json};

use super::folder::{self, agree};
use super::log::Log;
use super::memory;
use super::rehearsal::{Rehearsal, fits, rows};
use super::settings::{Common, Compute, GrpoArgs, SftArgs};
use super::view::View;
use crate::failure::Failure;
use crate::model_source;
use crate::output::report;
use crate::progress::Verbosity;
use crate::reasoner::Prompting;

const VALIDATION: &str = "validation";

/// Runs `segzero train sft`.
pub fn sft(args: SftArgs) -> Result<ExitCode, Failure> {
    let settings = args.settings();
    let micro_batch = args.common.prompts_at_once as usize;
    let options = SftOptions { replies: args.reply.clone(), micro_batch };
    let mut rows = rows(&args.set)?;
    if args.reply.iter().any(ReplyTemplate::tells_of_others) {
        acquaint(&mut rows);
    }
    let moving = args.common.moving(&settings, rows.len());
    let recipe = args.rewards.recipe()?;
    let sampling = sampling(&settings, &args.common);
    let rehearsal = Rehearsal::open(&args.common, &recipe, &sampling)?;
    let about = json!({
        "training": "sft", "settings": settings, "moving": moving, "replies": args.reply,
        "model": args.common.about(), "args": args,
    });
    let mut run = Run::open(&args.common, rows, settings.rollout_batch_size, moving, about)?;
    run.rehearsal = rehearsal;
    let stop = run.stop()?;
    let items = run.items()?;
    let taught = run.trainer.taught(&items, &run.prompting.prompter, stop, &options)?;
    let longest = taught.iter().map(Vec::len).max().unwrap_or(0);
    run.expect_memory(&items, longest, None)?;
    run.go(|trainer, prompting, items| {
        let figures = trainer.sft(items, &prompting.prompter, stop, &options)?;
        Ok((figures, Vec::new()))
    })
}

/// Runs `segzero train grpo`.
pub fn grpo(args: GrpoArgs) -> Result<ExitCode, Failure> {
    let settings = args.settings();
    let recipe = args.rewards.recipe()?;
    let rows = rows(&args.set)?;
    fits(&recipe, &rows)?;
    let options = sampling(&settings, &args.common);
    let rehearsal = Rehearsal::open(&args.common, &recipe, &options)?;
    let moving = args.common.moving(&settings, rows.len());
    let about = json!({
        "training": "grpo", "settings": settings, "moving": moving, "rewards": recipe,
        "model": args.common.about(), "args": args,
    });
    let mut run = Run::open(&args.common, rows, settings.rollout_batch_size, moving, about)?;
    run.rehearsal = rehearsal;
    if settings.loss.beta != 0.0 {
        let reference = run.reference()?;
        run.trainer.hold_to(reference);
    }
    let stop = run.prompting.defaults.stop.clone();
    run.expect_memory(&run.items()?, options.max_completion_length, Some(&options))?;
    run.go(|trainer, prompting, items| {
        Ok(trainer.grpo(items, &prompting.prompter, &stop, &recipe, &options)?)
    })
}

/// How replies are sampled, and how the loss is made of them.
fn sampling(settings: &Hyperparameters, common: &Common) -> GrpoOptions {
    GrpoOptions {
        num_generations: settings.num_generations,
        num_iterations: settings.num_iterations,
        temperature: settings.temperature,
        top_p: settings.top_p,
        top_k: settings.top_k,
        max_completion_length: settings.max_completion_length,
        loss: settings.loss,
        advantage: settings.advantage,
        prompts_at_once: common.prompts_at_once as usize,
        seed: common.seed,
    }
}

/// A training and its folder.
struct Run<'a> {
    common: &'a Common,
    rows: Vec<Row>,
    batch: usize,
    steps: u64,
    model: PathBuf,
    /// The checkpoint that it goes on behind, or the model.
    begin: PathBuf,
    prompting: Prompting,
    lora: Option<Lora>,
    /// The model without its adapters.
    without: Option<QwenVl>,
    trainer: Trainer,
    rehearsal: Option<Rehearsal>,
}

impl<'a> Run<'a> {
    /// Begins, or goes on behind the last checkpoint.
    fn open(
        common: &'a Common,
        rows: Vec<Row>,
        batch: usize,
        moving: segzero_train::Moving,
        about: Value,
    ) -> Result<Self, Failure> {
        common.validation.check()?;
        if rows.len() < batch {
            let count = rows.len();
            return Err(Failure::new(format_args!(
                "a step takes {batch} samples, and the training set has {count}"
            ))
            .hint("choose a smaller `--rollout-batch-size`"));
        }
        let model = model_source::resolve(&common.model, Freshness::Cached, Verbosity::Normal)?;
        let prompting = Prompting::open(&common.model)?;
        agree(&common.out, &about)?;
        let found = last(&common.out)?;
        let saved = found.as_ref().map(|(path, _)| path.as_path());
        let begin = saved.unwrap_or(&model).to_owned();
        let lora = common.lora();
        let (network, named) = match &lora {
            Some(lora) => load_adapted(common, &prompting, &model, lora, saved)?,
            None => load(common, &prompting, &begin)?,
        };
        let without = lora.as_ref().map(|_| without_adapters(&network, &named));
        let trains = |name: &str| match lora {
            Some(_) => is_adapter(name),
            None => !common.freeze.iter().any(|part| part.holds(name)),
        };
        let mut trainer = Trainer::new(network, named, trains, moving, common.policy());
        if let Some((path, state)) = &found {
            let device = trainer.weights().network().placement().device.clone();
            restore(trainer.weights_mut(), path, &device)?;
            trainer.resume_at(state.step);
            report(format_args!("goes on behind step {}", state.step));
        }
        let steps = moving.steps;
        Ok(Self {
            common,
            rows,
            batch,
            steps,
            model,
            begin,
            prompting,
            lora,
            without,
            trainer,
            rehearsal: None,
        })
    }

    /// The model that training began with.
    fn reference(&self) -> Result<QwenVl, Failure> {
        match &self.without {
            Some(model) => Ok(model.clone()),
            None => Ok(load(self.common, &self.prompting, &self.model)?.0),
        }
    }

    /// Says what memory is needed, by the largest samples of the next step and replies of so many
    /// tokens.
    ///
    /// # Errors
    /// More than there is.
    fn expect_memory(
        &self,
        items: &[Item],
        reply: usize,
        grpo: Option<&GrpoOptions>,
    ) -> Result<(), Failure> {
        let prompt = items.iter().map(|item| item.prompt.ids.len()).max().unwrap_or(0);
        let patches = |item: &Item| -> usize {
            item.prompt.images.iter().map(|image| image.grid.iter().product::<usize>()).sum()
        };
        let copies = grpo.is_some_and(|o| o.loss.beta != 0.0) && self.lora.is_none();
        let load = Load {
            counts: self.trainer.weights().counts(),
            bytes: if self.common.dtype == Compute::F32 { 4 } else { 2 },
            set: self.rows.iter().map(Row::bytes).sum(),
            reference: if copies { Reference::Copy } else { Reference::Free },
            prompt,
            patches: items.iter().map(patches).max().unwrap_or(0),
            reply,
            replies: grpo.map_or(1, |o| o.num_generations),
            prompts: if grpo.is_some() { self.batch } else { 0 },
            prompts_at_once: self.common.prompts_at_once as usize,
            logits_chunk: self.common.logits_chunk,
            checkpointing: self.common.checkpointing,
        };
        let parts = estimate(&self.prompting.config, &load);
        if !self.common.quiet {
            report(memory::words(&parts));
        }
        memory::check(&parts, self.common.device, self.common.if_too_large)
    }

    /// The token that ends a reply.
    fn stop(&self) -> Result<u32, Failure> {
        match self.prompting.defaults.stop.first() {
            Some(&stop) => Ok(stop),
            None => Ok(self.prompting.prompter.tokenizer.id(MESSAGE_END)?),
        }
    }

    /// All steps that are left.
    fn go(
        &mut self,
        mut step: impl FnMut(
            &mut Trainer,
            &Prompting,
            &[Item],
        ) -> Result<(Figures, Vec<Sampled>), Failure>,
    ) -> Result<ExitCode, Failure> {
        let verbosity = if self.common.quiet { Verbosity::Quiet } else { Verbosity::Normal };
        let [trained, all] = self.trainer.weights().counts();
        let mut log = Log::open(&self.common.out, self.trainer.step())?;
        let mut view = View::new(self.trainer.step(), self.steps, verbosity);
        view.say(&format!(
            "{trained} of {all} numbers are trained, on {} samples, {} a step, {} steps",
            self.rows.len(),
            self.batch,
            self.steps
        ));
        if !log.is_validated() {
            self.validate(&self.begin, &mut log, &view)?;
        }
        let start = Instant::now();
        while self.trainer.step() < self.steps {
            let items = self.items()?;
            let (mut figures, sampled) = step(&mut self.trainer, &self.prompting, &items)?;
            let done = self.trainer.step();
            let epoch = done as f64 * self.batch as f64 / self.rows.len() as f64;
            figures.insert("epoch".to_owned(), epoch);
            view.step(done, &figures);
            // A checkpoint's step is in the log before the checkpoint is there: a run that goes on
            // behind it does not take the step again.
            log.step(done, &figures, &sampled)?;
            if done.is_multiple_of(self.common.save_steps) || done == self.steps {
                let (out, lora) = (&self.common.out, self.lora.as_ref());
                let path = save(self.trainer.weights(), done, out, &self.model, lora)?;
                self.validate(&path, &mut log, &view)?;
                folder::thin_out(out, self.common.save_total_limit)?;
            }
        }
        view.finish();
        let taken = start.elapsed().as_secs_f64();
        report(format_args!("{} steps, {taken:.0} s", self.trainer.step()));
        match last(&self.common.out)? {
            Some((path, _)) => crate::output::print(&format!("{}\n", path.display()))?,
            None => report("no checkpoint was written"),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The samples of the next step, ready to be asked.
    fn items(&self) -> Result<Vec<Item>, Failure> {
        let step = self.trainer.step() + 1;
        let rows = rows_of(step, self.batch, self.rows.len(), self.common.seed);
        self.asked(rows.into_par_iter().map(|row| &self.rows[row]))
    }

    fn asked<'b>(
        &self,
        rows: impl IndexedParallelIterator<Item = &'b Row>,
    ) -> Result<Vec<Item>, Failure> {
        let wording = |question: &str| self.common.prompt.text(question);
        rows.map(|row| Ok(row.item(&self.prompting.prompter, &wording)?)).collect()
    }

    /// Notes what a checkpoint is worth, and whether it is the best.
    fn validate(&self, checkpoint: &Path, log: &mut Log, view: &View) -> Result<(), Failure> {
        let mut figures = self.rehearse(view)?;
        figures.extend(self.test(checkpoint, view)?);
        if figures.is_empty() {
            return Ok(());
        }
        // The line says that all of this was done, so it comes last.
        log.step(self.trainer.step(), &figures, &[])
    }

    /// Where what belongs to the validation of this step is kept.
    fn validation(&self, end: &str) -> PathBuf {
        let name = format!("step-{:06}{end}", self.trainer.step());
        self.common.out.join(VALIDATION).join(name)
    }

    /// What replies to `--val-set` earn.
    fn rehearse(&self, view: &View) -> Result<Figures, Failure> {
        let Some(rehearsal) = &self.rehearsal else { return Ok(Figures::new()) };
        let stop = match &self.prompting.defaults.stop[..] {
            [] => vec![self.stop()?],
            stop => stop.to_vec(),
        };
        let figures = rehearsal.run(&self.validation("-replies.jsonl"), |rows, options| {
            let items = self.asked(rows.par_iter())?;
            let (prompter, recipe) = (&self.prompting.prompter, &rehearsal.recipe);
            Ok(self.trainer.rehearse(&items, prompter, &stop, recipe, options)?)
        })?;
        let [mean, error] = ["mean", "error"].map(|of| figures[&format!("val/score/{of}")]);
        let step = self.trainer.step();
        view.say(&format!("step {step}: held-out replies earn {mean:.3} ± {error:.3}"));
        Ok(figures)
    }

    /// What the whole pipeline makes of `--val`.
    fn test(&self, checkpoint: &Path, view: &View) -> Result<Figures, Failure> {
        if self.common.validation.val.is_none() {
            return Ok(Figures::new());
        }
        let merged = self.common.out.join(VALIDATION).join("model");
        let model = match checkpoint.join(ADAPTER_CONFIG).is_file() {
            true => {
                export(&self.model, Some(checkpoint), &merged, ExportDtype::F32)?;
                &merged
            }
            false => checkpoint,
        };
        let worth = self.common.validation.of(model, self.common, &self.validation(""))?;
        let Some(worth) = worth else { return Ok(Figures::new()) };
        let figures = [
            ("val/giou", worth.giou),
            ("val/ciou", worth.ciou),
            ("val/samples", worth.samples as f64),
        ];
        let step = self.trainer.step();
        view.say(&format!(
            "step {step}: gIoU {:.4}, cIoU {:.4} on {} samples",
            worth.giou, worth.ciou, worth.samples
        ));
        folder::note(&self.common.out, step, checkpoint, worth.giou)?;
        Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
    }
}

type Loaded = (QwenVl, Vec<Named>);

fn load(common: &Common, prompting: &Prompting, folder: &Path) -> Result<Loaded, Failure> {
    let checkpoint = Checkpoint::open(folder)?;
    let config = prompting.config.clone();
    Ok(QwenVl::load_named(&checkpoint, config, placement(common)?, None)?)
}

/// A model with adapters: new ones, or those of a checkpoint.
fn load_adapted(
    common: &Common,
    prompting: &Prompting,
    model: &Path,
    lora: &Lora,
    checkpoint: Option<&Path>,
) -> Result<Loaded, Failure> {
    let base = Checkpoint::open(model)?;
    let saved = checkpoint.map(|folder| Checkpoint::open(folder.join(ADAPTER))).transpose()?;
    let adapters = Adapters { lora, saved: saved.as_ref() };
    let config = prompting.config.clone();
    Ok(QwenVl::load_named(&base, config, placement(common)?, Some(&adapters))?)
}

fn placement(common: &Common) -> Result<Placement, Failure> {
    let format = match common.dtype {
        Compute::F32 => packed::Format::F32,
        Compute::Bf16 => packed::Format::Bf16,
    };
    Ok(Placement { packs: false, ..common.device.place(format)? })
}
