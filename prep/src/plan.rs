//! [`Plan`]: the first pass over a data set. It keeps a few bytes a sample, so that the choice can
//! fall on any of them, and lays the chosen ones out into images and shards.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;
use segzero_datasets::{
    Format, HeldOut, ImageSource, ReadOptions, Sample, Source, discover, held_out_images,
};
use sha2::{Digest, Sha256};

use crate::error::sample_name;
use crate::options::{PrepOptions, SolutionFormat};
use crate::pipeline::{Event, Job, OnBad};
use crate::select::{self, Leaks, Skip, SkipCounts};
use crate::{BadRecord, PrepError, example};

/// Samples judged at once, in parallel.
const CHUNK: usize = 4096;

/// What will be written: which samples, in which order, into which shard.
#[derive(Debug)]
pub struct Plan {
    /// Samples read, good and bad.
    pub read: u64,
    /// Examples that will be written, if none turns out bad.
    pub examples: u64,
    /// Images that they show.
    pub images: u64,
    /// Samples left out, by reason (`NotDrawn` counts candidates, which are sentences with
    /// `--sentences all` and images with `--solution vision-reasoner`).
    pub skipped: SkipCounts,
    /// Records that could not be read.
    pub bad: Vec<BadRecord>,
    /// Records of all data sets under the root whose images could not be held against leaks.
    pub held_out_unreadable: u64,
    /// Chosen sentences in the order of the file.
    pub(crate) picks: Vec<Pick>,
    /// Images in the order of the output: that in which the file completes them.
    pub(crate) groups: Vec<GroupPlan>,
    /// Ranges of `groups`.
    pub(crate) shards: Vec<Range<usize>>,
}

/// A chosen sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pick {
    /// Position of its sample in the file, errors counted.
    pub ordinal: u32,
    /// Position in the sample's queries.
    pub query: u32,
    /// Its image.
    pub group: u32,
}

/// An image, and what is chosen of it.
#[derive(Clone, Debug)]
pub(crate) struct GroupPlan {
    /// File name of the written image, without extension.
    pub stem: String,
    /// Position in the file of its last chosen sample.
    pub last_ordinal: u32,
    /// Number of examples it gives.
    pub examples: usize,
    /// The shard it goes into.
    pub shard: usize,
}

/// A sentence, or (VisionReasoner) an image, that may be drawn.
struct Candidate {
    draw: u128,
    pick: Pick,
}

/// What became of one sample.
enum Verdict {
    Skip(Skip),
    Bad(BadRecord),
    Keep(Kept),
}

/// What is remembered of a usable sample.
struct Kept {
    image: String,
    file_name: String,
    /// Number of the draw, and position, of each sentence.
    sentences: Vec<(u128, u32)>,
}

impl Plan {
    /// Reads the data set once and chooses.
    ///
    /// # Errors
    /// An unreadable data set; the first bad record, unless they are skipped; nothing left.
    pub fn new(job: &Job, progress: &(dyn Fn(Event) + Sync)) -> Result<Self, PrepError> {
        job.options.check()?;
        let held_out = match job.options.select.leaks {
            Leaks::Exclude => held_out_images(&discover(job.root)?)?,
            Leaks::Allow => HeldOut::default(),
        };
        let mut survey = Survey::new(job.source);
        let options = ReadOptions { split: job.split.clone(), skip_images: true };
        let mut samples = job.source.samples(&options)?;
        loop {
            let chunk: Vec<_> = samples.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            let verdicts: Vec<Verdict> = job.pool.install(|| {
                let judge = |sample| match sample {
                    Ok(sample) => judge(&sample, job, &held_out),
                    Err(error) => Verdict::Bad(BadRecord::from(error)),
                };
                chunk.into_par_iter().map(judge).collect()
            });
            progress(Event::Read(verdicts.len() as u64));
            for verdict in verdicts {
                survey.add(verdict, job)?;
            }
        }
        let mut plan = survey.choose(job.options)?;
        plan.held_out_unreadable = held_out.unreadable.len() as u64;
        Ok(plan)
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// A digest of the choice, by which an interrupted run recognises its own output.
    pub(crate) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for pick in &self.picks {
            for part in [pick.ordinal, pick.query, pick.group] {
                hash.update(part.to_le_bytes());
            }
        }
        for group in &self.groups {
            hash.update(group.stem.as_bytes());
            hash.update([0]);
        }
        format!("{:x}", hash.finalize())
    }

    /// Examples of one shard.
    pub(crate) fn examples_of(&self, shard: usize) -> u64 {
        self.groups[self.shards[shard].clone()].iter().map(|g| g.examples as u64).sum()
    }
}

/// Looks at one sample; the part of the first pass that runs in parallel.
fn judge(sample: &Sample, job: &Job, held_out: &HeldOut) -> Verdict {
    let options = &job.options.select;
    if let Some(skip) = select::skip_by_record(sample, options, held_out) {
        return Verdict::Skip(skip);
    }
    let absent = |file, reason| Verdict::Bad(BadRecord::of_absent_image(file, sample, reason));
    let image_file = example::image_path(sample, &job.source.annotations);
    let embedded = matches!(job.source.format, Format::HfEval | Format::HfTrain);
    match &sample.image.source {
        ImageSource::Absent if !embedded => {
            return absent(image_file, format!("image `{}` was not found", sample.image.file_name));
        }
        ImageSource::File(path) if !path.is_file() => {
            return absent(image_file, "the image does not exist".to_owned());
        }
        _ => {}
    }
    if let Some(size) = select::size_for_filters(sample, options) {
        let masks = match size {
            Ok(size) => sample.geometry.rasterize(size, job.options.fill),
            Err(reason) => {
                let record = sample_name(sample);
                return Verdict::Bad(BadRecord { file: image_file, record, reason, hint: None });
            }
        };
        match masks {
            Err(error) => {
                return Verdict::Bad(BadRecord::of_mask(error, sample, &job.source.mask_file()));
            }
            Ok(masks) if masks.target.is_empty() => return Verdict::Skip(Skip::NoTarget),
            Ok(masks) => {
                if let Some(skip) = select::skip_by_mask(&masks, options) {
                    return Verdict::Skip(skip);
                }
            }
        }
    }
    Verdict::Keep(keep(sample, job.options))
}

fn keep(sample: &Sample, options: &PrepOptions) -> Kept {
    let select = &options.select;
    let draw = |query: usize| match options.solution {
        SolutionFormat::SegZero => {
            let key = match select.sentences {
                select::Sentences::All => sample.query_key(&sample.queries[query]),
                _ => sample.key.clone(),
            };
            select::draw(select.seed, "selection", [&sample.dataset, &sample.split, &key])
        }
        SolutionFormat::VisionReasoner => {
            // All objects of an image share its draw.
            let image = &sample.image.id;
            select::draw(select.seed, "selection", [&sample.dataset, "", image])
        }
    };
    let chosen = select::choose_sentences(sample, select.sentences, select.seed);
    Kept {
        image: sample.image.id.clone(),
        file_name: sample.image.file_name.clone(),
        sentences: chosen.into_iter().map(|query| (draw(query), query as u32)).collect(),
    }
}

/// The first pass so far.
struct Survey {
    read: u64,
    skipped: SkipCounts,
    bad: Vec<BadRecord>,
    candidates: Vec<Candidate>,
    /// Group of each image id.
    groups: HashMap<String, u32>,
    stems: Stems,
    /// Images come inside the rows, so that only neighbouring rows may share one: all others would
    /// have to be kept in memory until the last row.
    neighbours_only: bool,
    last_image: String,
}

impl Survey {
    fn new(source: &Source) -> Self {
        Self {
            read: 0,
            skipped: SkipCounts::new(),
            bad: Vec::new(),
            candidates: Vec::new(),
            groups: HashMap::new(),
            stems: Stems::default(),
            neighbours_only: matches!(source.format, Format::HfEval | Format::HfTrain),
            last_image: String::new(),
        }
    }

    fn add(&mut self, verdict: Verdict, job: &Job) -> Result<(), PrepError> {
        let ordinal = self.read as u32;
        self.read += 1;
        match verdict {
            Verdict::Skip(skip) => *self.skipped.entry(skip).or_default() += 1,
            Verdict::Bad(bad) if job.on_bad == OnBad::Stop => return Err(PrepError::Record(bad)),
            Verdict::Bad(bad) => {
                *self.skipped.entry(Skip::Bad).or_default() += 1;
                self.bad.push(bad);
            }
            Verdict::Keep(kept) => {
                if self.neighbours_only
                    && job.options.solution == SolutionFormat::SegZero
                    && kept.image != self.last_image
                {
                    self.groups.remove(&kept.image);
                    self.last_image.clone_from(&kept.image);
                }
                let group = *self
                    .groups
                    .entry(kept.image)
                    .or_insert_with(|| self.stems.add(&kept.file_name));
                self.candidates.extend(
                    kept.sentences.into_iter().map(|(draw, query)| Candidate {
                        draw,
                        pick: Pick { ordinal, query, group },
                    }),
                );
            }
        }
        Ok(())
    }

    fn choose(mut self, options: &PrepOptions) -> Result<Plan, PrepError> {
        let by_image = options.solution == SolutionFormat::VisionReasoner;
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_unstable_by_key(|c| (c.draw, c.pick.group, c.pick.ordinal, c.pick.query));
        let starts_unit =
            |pair: &[Candidate]| !by_image || pair[0].pick.group != pair[1].pick.group;
        let units = candidates.windows(2).filter(|pair| starts_unit(pair)).count()
            + usize::from(!candidates.is_empty());
        let wanted = options.select.count.unwrap_or(units).min(units);
        let mut taken = 0;
        let end = (0..candidates.len())
            .find(|&i| {
                taken += usize::from(i == 0 || starts_unit(&candidates[i - 1..=i]));
                taken > wanted
            })
            .unwrap_or(candidates.len());
        if wanted < units {
            self.skipped.insert(Skip::NotDrawn, (units - wanted) as u64);
        }
        candidates.truncate(end);
        let mut picks: Vec<Pick> = candidates.into_iter().map(|c| c.pick).collect();
        picks.sort_unstable();
        if picks.is_empty() {
            let reasons: Vec<String> =
                self.skipped.iter().map(|(skip, n)| format!("{skip}: {n}")).collect();
            return Err(PrepError::NothingSelected {
                read: self.read,
                reasons: reasons.join(", "),
            });
        }
        let (groups, shards) = lay_out(&mut picks, self.stems.names, options);
        Ok(Plan {
            read: self.read,
            examples: wanted as u64,
            images: groups.len() as u64,
            skipped: self.skipped,
            bad: self.bad,
            held_out_unreadable: 0,
            picks,
            groups,
            shards,
        })
    }
}

/// Orders the images by the place in the file where their last chosen sample is, renumbers the
/// picks accordingly, and cuts shards.
fn lay_out(
    picks: &mut [Pick],
    mut stems: Vec<String>,
    options: &PrepOptions,
) -> (Vec<GroupPlan>, Vec<Range<usize>>) {
    let mut found: HashMap<u32, (u32, usize)> = HashMap::new();
    for pick in picks.iter() {
        let (last, examples) = found.entry(pick.group).or_default();
        *last = pick.ordinal;
        *examples += 1;
    }
    let mut order: Vec<(u32, u32, usize)> =
        found.into_iter().map(|(group, (last, examples))| (last, group, examples)).collect();
    order.sort_unstable();
    let by_image = options.solution == SolutionFormat::VisionReasoner;
    let (mut groups, mut shards, mut renumbered) = (Vec::new(), Vec::new(), HashMap::new());
    let (mut start, mut rows) = (0, 0);
    for (last_ordinal, group, examples) in order {
        let examples = if by_image { 1 } else { examples };
        renumbered.insert(group, groups.len() as u32);
        let stem = std::mem::take(&mut stems[group as usize]);
        groups.push(GroupPlan { stem, last_ordinal, examples, shard: shards.len() });
        rows += examples;
        if rows >= options.shard_rows {
            shards.push(start..groups.len());
            (start, rows) = (groups.len(), 0);
        }
    }
    if start < groups.len() {
        shards.push(start..groups.len());
    }
    for pick in picks {
        pick.group = renumbered[&pick.group];
    }
    (groups, shards)
}

/// File names for the written images: the original's stem, made safe, and numbered where several
/// images share one.
#[derive(Default)]
struct Stems {
    names: Vec<String>,
    seen: HashMap<String, u32>,
}

impl Stems {
    /// Names the next group, and returns its number.
    fn add(&mut self, file_name: &str) -> u32 {
        let stem = safe_stem(file_name);
        let count = self.seen.entry(stem.to_lowercase()).or_default();
        *count += 1;
        // The full stop cannot be part of another stem.
        let unique = if *count == 1 { stem } else { format!("{stem}.{count}") };
        self.names.push(unique);
        self.names.len() as u32 - 1
    }
}

/// A file name without folders and extension, made safe.
pub(crate) fn safe_stem(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let safe = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
    stem.chars().take(120).map(safe).collect()
}
