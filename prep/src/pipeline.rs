//! From a [`Source`] to a training set on disk, in two passes: [`Plan::new`] chooses, [`run`] makes.
//!
//! Memory stays flat: a few threads each write one shard; each renders a small batch of images at a
//! time on a shared pool. Who makes which shard does not matter, because a shard's content is fixed
//! by the plan.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;
use segzero_datasets::{ImageSource, ReadOptions, SampleIter, Source};
use serde_json::json;

use crate::filter::Taken;
use crate::journal::{Existing, Header, Journal, ShardEntry};
use crate::manifest::{Counts, MANIFEST, Manifest};
use crate::options::{FrameSize, OutputFormat, PrepOptions};
use crate::plan::Plan;
use crate::render::{Group, Member, Rendered, render};
use crate::select::{Skip, SkipCounts};
use crate::writer::{self, FileEntry, Lines, NewFile, ShardWriter, WORK_DIR};
use crate::{Example, MaskFilter, PrepError};

/// Shards written at the same time, at most; rendering has as many threads as are asked for.
const WRITERS: usize = 3;

/// What to prepare.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The data set.
    pub source: &'a Source,
    /// Folder whose val and test splits must not leak into the set.
    pub root: &'a Path,
    /// Only this split; `None`: all.
    pub split: Option<String>,
    /// Every choice.
    pub options: &'a PrepOptions,
    /// Which objects a model must find.
    pub filter: Option<MaskFilter<'a>>,
    /// What to do with a record that cannot be used.
    pub on_bad: OnBad,
    /// Threads that judge samples and render images.
    pub pool: &'a rayon::ThreadPool,
}

/// What to do with a record that cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBad {
    /// Stop with an error that names it.
    #[default]
    Stop,
    /// Leave it out, count it, and list it in `skipped.jsonl`.
    Skip,
}

/// How far a preparation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many more samples were read for the plan.
    Read(u64),
    /// So many more examples are in finished shards of an earlier run.
    Found(u64),
    /// So many more examples were written (or left out as bad).
    Made(u64),
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Report {
    /// The finished set's manifest.
    pub manifest: Manifest,
    /// Examples that an earlier run had written.
    pub found: u64,
}

impl Report {
    /// Bytes of the set.
    pub fn bytes(&self) -> u64 {
        self.manifest.all_files().map(|file| file.bytes).sum()
    }
}

/// Makes the set that `plan` describes in the folder `out`, or completes it.
///
/// # Errors
/// A folder with something else in it, the first bad record unless they are skipped, a full disk.
/// Finished shards stay, and the same call goes on from there.
pub fn run(
    job: &Job,
    plan: &Plan,
    out: &Path,
    existing: Existing,
    progress: &(dyn Fn(Event) + Sync),
) -> Result<Report, PrepError> {
    let header = Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        making: making(job, plan),
        files: planned_files(job.options.format, plan.shards.len()),
    };
    fs::create_dir_all(out).map_err(|e| PrepError::write(out, e))?;
    if existing == Existing::Resume
        && let Some(manifest) = Manifest::read(out)?
        && manifest.version == header.version
        && manifest.making == header.making
        && manifest.all_files().all(|file| file.is_intact(out))
    {
        progress(Event::Found(plan.examples));
        return Ok(Report { found: manifest.counts.written, manifest });
    }
    let journal = Journal::open(out, &header, existing)?;
    let mut shards = journal.finished.clone();
    let found = shards.iter().map(|shard| shard.rows).sum();
    for shard in &shards {
        progress(Event::Found(plan.examples_of(shard.shard)));
    }
    let run = Run { job, plan, out, journal: &journal, model: Mutex::new(()), progress };
    shards.extend(run.make_missing(&shards)?);
    shards.sort_by_key(|shard| shard.shard);
    let manifest = finish(job, plan, out, header, shards)?;
    Ok(Report { manifest, found })
}

/// About how many bytes the set will have, from a few of its images.
///
/// # Errors
/// A data set that cannot be read a second time.
pub fn estimate_bytes(job: &Job, plan: &Plan) -> Result<u64, PrepError> {
    const IMAGES: usize = 16;
    let step = plan.groups.len().div_ceil(IMAGES);
    let mut wanted = vec![false; plan.groups.len()];
    wanted.iter_mut().step_by(step).for_each(|wanted| *wanted = true);
    let mut feed = Feed::new(job, plan, vec![true; plan.shards.len()])?;
    let mut chosen = Vec::new();
    while chosen.len() < IMAGES
        && let Some((shard, groups)) = feed.next_shard()?
    {
        let numbers = plan.shards[shard].clone();
        chosen.extend(numbers.zip(groups).filter(|(n, _)| wanted[*n]).map(|(_, group)| group));
    }
    let rendered: Vec<Rendered> = job
        .pool
        .install(|| chosen.par_iter().map(|g| render(g, job.options, job.source)).collect());
    let size = |examples: &[Example]| match job.options.format {
        OutputFormat::Parquet => examples.iter().map(|e| e.image.bytes.len() as u64 + ROW).sum(),
        OutputFormat::Jsonl => {
            examples.first().map_or(0, |e| e.image.bytes.len() as u64 + ROW * examples.len() as u64)
        }
    };
    // Text of a row and of its line in the sidecar.
    const ROW: u64 = 800;
    let bytes: u64 = rendered.iter().map(|image| size(&image.examples)).sum();
    let examples: usize = chosen.iter().map(|group| group.examples).sum();
    Ok((bytes as f64 / examples.max(1) as f64 * plan.examples as f64) as u64)
}

/// The resolved options, the source and the choice of samples: two runs with equal descriptions
/// write equal sets.
fn making(job: &Job, plan: &Plan) -> serde_json::Value {
    let annotations = &job.source.annotations;
    let length = fs::metadata(annotations).ok().filter(fs::Metadata::is_file).map(|m| m.len());
    let mut making = json!({
        "options": job.options,
        "source": {
            "name": job.source.name,
            "split-by": job.source.split_by,
            "split": job.split,
            "annotations": annotations.file_name().map(|name| name.to_string_lossy()),
            "annotations-bytes": length,
        },
        "taken-digest": plan.digest(),
    });
    if let Some(filter) = job.filter {
        making["filter"] =
            json!({ "min-iou": filter.min_iou, "segmenter": filter.segmenter.describe() });
    }
    making
}

/// A run in progress.
struct Run<'a> {
    job: &'a Job<'a>,
    plan: &'a Plan,
    out: &'a Path,
    journal: &'a Journal,
    /// Held while a filter's model is asked: it takes the whole machine.
    model: Mutex<()>,
    progress: &'a (dyn Fn(Event) + Sync),
}

impl Run<'_> {
    /// Makes the shards that are not `finished`.
    fn make_missing(&self, finished: &[ShardEntry]) -> Result<Vec<ShardEntry>, PrepError> {
        let mut wanted = vec![true; self.plan.shards.len()];
        for shard in finished {
            wanted[shard.shard] = false;
        }
        let missing = wanted.iter().filter(|&&wanted| wanted).count();
        if missing == 0 {
            return Ok(Vec::new());
        }
        let feed = Mutex::new(Feed::new(self.job, self.plan, wanted)?);
        let (stop, made) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let write_shards = || {
            while !stop.load(Ordering::Relaxed) {
                // The lock must not outlive the statement.
                let next = lock(&feed).next_shard();
                let shard = match next {
                    Ok(None) => break,
                    Ok(Some((shard, groups))) => self.make_shard(shard, groups, &stop),
                    Err(error) => Err(error),
                };
                stop.fetch_or(shard.is_err(), Ordering::Relaxed);
                lock(&made).push(shard);
            }
        };
        // These threads wait for the pool and for the disk, so they are not of the pool.
        let writers = WRITERS.min(self.job.pool.current_num_threads()).min(missing);
        std::thread::scope(|scope| {
            for _ in 0..writers {
                scope.spawn(write_shards);
            }
        });
        let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A shard that another's error stopped is `None`.
        let made = made.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(made.into_iter().flatten().collect())
    }

    /// Takes the objects out that the filter's model does not find.
    fn filter(&self, group: &mut Group) -> Taken {
        let Job { filter, options, source, pool, .. } = *self.job;
        let Some(filter) = filter else { return Taken::default() };
        filter.apply(group, options, source, |image, targets| {
            // This thread is not of the pool, so nothing that the pool does waits for the lock.
            let _model = lock(&self.model);
            pool.install(|| filter.segmenter.masks(image, targets))
        })
    }

    /// Renders and writes one shard; `None` when `stop` was set meanwhile.
    fn make_shard(
        &self,
        shard: usize,
        mut groups: Vec<Group>,
        stop: &AtomicBool,
    ) -> Result<Option<ShardEntry>, PrepError> {
        let job = self.job;
        let names = writer::shard_files(job.options.format, shard, self.plan.shards.len());
        let mut writer = ShardWriter::create(self.out, job.options, shard, &names)?;
        let (mut rows, mut skipped, mut filtered) = (0, Vec::new(), Vec::new());
        let batch = if job.filter.is_some() { 1 } else { images_in_flight(job.options.size) };
        for batch in groups.chunks_mut(batch) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            for group in batch.iter_mut() {
                let mut taken = self.filter(group);
                if job.on_bad == OnBad::Stop && !taken.bad.is_empty() {
                    return Err(PrepError::Record(taken.bad.swap_remove(0)));
                }
                skipped.append(&mut taken.bad);
                filtered.append(&mut taken.filtered);
            }
            let rendered: Vec<Rendered> = job.pool.install(|| {
                let render = |group: &Group| render(group, job.options, job.source);
                batch.par_iter().map(render).collect()
            });
            for mut image in rendered {
                if job.on_bad == OnBad::Stop && !image.bad.is_empty() {
                    return Err(PrepError::Record(image.bad.swap_remove(0)));
                }
                skipped.append(&mut image.bad);
                rows += image.examples.len() as u64;
                writer.write(&image.examples)?;
            }
            let made = batch.iter().map(|group| group.examples as u64).sum();
            (self.progress)(Event::Made(made));
        }
        let entry = ShardEntry { shard, rows, files: writer.finish()?, skipped, filtered };
        self.journal.record(&entry)?;
        Ok(Some(entry))
    }
}

/// Images of one shard that are rendered at the same time: some 100 MB of pixels at most.
fn images_in_flight(size: FrameSize) -> usize {
    match size {
        FrameSize::Fixed(size) => ((24 << 20) / size.pixels().max(1)).clamp(1, 32) as usize,
        FrameSize::Keep => 8,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The second pass: hands out the images of one shard after the other.
struct Feed<'a> {
    job: &'a Job<'a>,
    plan: &'a Plan,
    /// Shards to hand out.
    wanted: Vec<bool>,
    samples: SampleIter,
    /// Position of the next sample in the file.
    ordinal: u32,
    /// Position of the next pick.
    pick: usize,
    shard: usize,
    /// Images of which not all samples have been read.
    pending: HashMap<u32, Group>,
}

impl<'a> Feed<'a> {
    fn new(job: &'a Job<'a>, plan: &'a Plan, wanted: Vec<bool>) -> Result<Self, PrepError> {
        let options = ReadOptions { split: job.split.clone(), skip_images: false };
        let samples = job.source.samples(&options)?;
        let pending = HashMap::new();
        Ok(Self { job, plan, wanted, samples, ordinal: 0, pick: 0, shard: 0, pending })
    }

    /// The next wanted shard and its images; reads only as far as its last sample.
    fn next_shard(&mut self) -> Result<Option<(usize, Vec<Group>)>, PrepError> {
        while let Some(groups) = self.plan.shards.get(self.shard).cloned() {
            let shard = self.shard;
            self.shard += 1;
            if !self.wanted[shard] {
                continue;
            }
            let last = self.plan.groups[groups.end - 1].last_ordinal;
            while self.plan.picks.get(self.pick).is_some_and(|pick| pick.ordinal <= last) {
                self.read_next_picked()?;
            }
            let images: Option<Vec<Group>> =
                groups.map(|group| self.pending.remove(&(group as u32))).collect();
            return match images {
                Some(images) => Ok(Some((shard, images))),
                None => Err(self.changed()),
            };
        }
        Ok(None)
    }

    /// Reads up to the next picked sample and puts it with its image.
    fn read_next_picked(&mut self) -> Result<(), PrepError> {
        let picks = &self.plan.picks[self.pick..];
        let (ordinal, group) = (picks[0].ordinal, picks[0].group);
        let queries: Vec<u32> =
            picks.iter().take_while(|p| p.ordinal == ordinal).map(|p| p.query).collect();
        self.pick += queries.len();
        let sample = self.samples.nth((ordinal - self.ordinal) as usize);
        self.ordinal = ordinal + 1;
        let group_plan = &self.plan.groups[group as usize];
        if !self.wanted[group_plan.shard] {
            return Ok(());
        }
        let Some(Ok(mut sample)) = sample else { return Err(self.changed()) };
        if queries.iter().any(|&query| query as usize >= sample.queries.len()) {
            return Err(self.changed());
        }
        let group = self.pending.entry(group).or_insert_with(|| Group {
            stem: group_plan.stem.clone(),
            image: sample.image.clone(),
            members: Vec::new(),
            examples: group_plan.examples,
        });
        // Embedded bytes are kept once an image.
        sample.image.source = ImageSource::Absent;
        group.members.push(Member { sample, queries });
        Ok(())
    }

    fn changed(&self) -> PrepError {
        PrepError::SourceChanged(self.job.source.annotations.clone())
    }
}

/// Writes what comes after the last shard: the joined table, the list of bad records, the manifest.
fn finish(
    job: &Job,
    plan: &Plan,
    out: &Path,
    header: Header,
    mut shards: Vec<ShardEntry>,
) -> Result<Manifest, PrepError> {
    let mut files = Vec::new();
    if job.options.format == OutputFormat::Jsonl {
        files.push(join_rows(out, &mut shards)?);
    }
    let skipped = list_skipped(plan, out, &shards, &mut files)?;
    let manifest = Manifest {
        version: header.version,
        making: header.making,
        counts: Counts {
            read: plan.read,
            selected: plan.examples,
            written: shards.iter().map(|shard| shard.rows).sum(),
            skipped,
        },
        files,
        shards,
    };
    let fail = |e: io::Error| PrepError::write(out.join(MANIFEST), e);
    let mut text = serde_json::to_vec_pretty(&manifest).map_err(|e| fail(e.into()))?;
    text.push(b'\n');
    writer::write_file(out, MANIFEST, &text)?;
    fs::remove_dir_all(out.join(WORK_DIR)).map_err(fail)?;
    Ok(manifest)
}

/// Lists the records that were left out by name, and counts all that were left out.
fn list_skipped(
    plan: &Plan,
    out: &Path,
    shards: &[ShardEntry],
    files: &mut Vec<FileEntry>,
) -> Result<SkipCounts, PrepError> {
    let bad = || plan.bad.iter().chain(shards.iter().flat_map(|shard| &shard.skipped));
    let filtered = || shards.iter().flat_map(|shard| &shard.filtered);
    let mut skipped = plan.skipped.clone();
    for (skip, count) in [(Skip::Bad, bad().count()), (Skip::MaskIou, filtered().count())] {
        if count > 0 {
            skipped.insert(skip, count as u64);
        }
    }
    if bad().next().is_some() || filtered().next().is_some() {
        let mut lines = Lines::create(out, SKIPPED)?;
        bad().try_for_each(|record| lines.push(record))?;
        filtered().try_for_each(|object| lines.push(object))?;
        files.push(lines.finish()?);
    }
    Ok(skipped)
}

/// Joins the rows of all shards into `train.jsonl`, and takes the parts off the shards' lists.
fn join_rows(out: &Path, shards: &mut [ShardEntry]) -> Result<FileEntry, PrepError> {
    let mut joined = NewFile::create(out, ROWS)?;
    for shard in shards {
        for part in shard.files.extract_if(.., |file| file.path.starts_with(WORK_DIR)) {
            let path = out.join(&part.path);
            let mut rows = fs::File::open(&path).map_err(|e| PrepError::write(&path, e))?;
            io::copy(&mut rows, &mut joined).map_err(|e| PrepError::write(out.join(ROWS), e))?;
        }
    }
    joined.finish()
}

/// Every path that a set of so many shards has (folders of images as one), so that an abandoned
/// set can be removed.
fn planned_files(format: OutputFormat, shards: usize) -> Vec<String> {
    let mut files: Vec<String> =
        (0..shards).flat_map(|shard| writer::shard_files(format, shard, shards)).collect();
    if format == OutputFormat::Jsonl {
        files.extend((0..shards).map(writer::image_folder));
        files.push(ROWS.to_owned());
    }
    files.extend([SKIPPED, MANIFEST].map(str::to_owned));
    files
}

const ROWS: &str = "train.jsonl";
const SKIPPED: &str = "skipped.jsonl";
