//! The thread that asks the models.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use hyper::StatusCode;
use hyper::body::Bytes;
use segzero_datasets::Mask;
use segzero_model::sam2::{ImagePrompt, PointLabel, Segmented};
use tokio::sync::mpsc::UnboundedSender;

use super::images::Picture;
use super::queue::{AskJob, Job, MaskJob, Queue};
use super::refusal::Refusal;
use super::wire::{Event, Masked, Object, Reasoner};
use crate::failure::Failure;
use crate::output::report;
use crate::pipeline::{Embedded, Miss, Pipeline, Question};

/// What the thread works with.
pub struct Worker {
    pub pipeline: Pipeline,
    pub reasoner: Reasoner,
}

/// An event as a line of JSON.
pub fn line(event: &Event) -> Bytes {
    // Nothing of an event can fail to be written.
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

impl Worker {
    /// Does what comes, until all is over. A panic costs the job its answer, and nobody else's.
    pub fn work(&self, queue: &Queue) {
        while let Some(job) = queue.next() {
            let done = catch_unwind(AssertUnwindSafe(|| match job {
                Job::Ask(job) => self.ask(&job, queue),
                job => self.quick(job),
            }));
            if done.is_err() {
                report("error: a request broke off; the server goes on");
            }
        }
    }

    /// What is done between two words of a reply too.
    fn quick(&self, job: Job) {
        match job {
            Job::Embed(picture) => {
                if let Some(picture) = picture.upgrade() {
                    self.embedded(&picture);
                }
            }
            Job::Mask(MaskJob { picture, objects, answer }) if !answer.is_closed() => {
                let masked = self.mask(&picture, &objects).map_err(Refusal::from);
                // Whoever asked may have gone away meanwhile.
                let _ = answer.send(masked);
            }
            Job::Mask(_) | Job::Ask(_) => {}
        }
    }

    /// What the segmenter sees in an image: looked at once.
    fn embedded<'a>(&self, picture: &'a Picture) -> &'a Embedded {
        picture.embedded.get_or_init(|| self.pipeline.embed(&picture.rgb))
    }

    /// The mask of what a user drew. All of it is given to the segmenter, whatever `--hints` says of
    /// answers.
    fn mask(&self, picture: &Picture, objects: &[Object]) -> Result<Masked, Miss> {
        let embedded = self.embedded(picture);
        let prompts: Vec<ImagePrompt> = objects.iter().map(prompt).collect();
        let start = Instant::now();
        let (mask, segmented) = self.pipeline.segment(embedded, &prompts)?;
        Ok(masked(&mask, &segmented, start))
    }

    fn ask(&self, job: &AskJob, queue: &Queue) {
        if let Err(refusal) = self.reply(job, queue) {
            let _ = job.events.send(line(&Event::Error(refusal)));
        }
    }

    fn reply(&self, job: &AskJob, queue: &Queue) -> Result<(), Refusal> {
        let send = |event: &Event| send(&job.events, event);
        if send(&Event::Started).is_err() {
            return Ok(());
        }
        let view = self.pipeline.view(&job.picture.rgb)?;
        let question = Question { key: &job.key, text: &job.question, view: &view };
        let streamed = self.pipeline.stream(&question, |text| {
            if queue.is_over() || job.events.is_closed() {
                return Err(Failure::new("nobody listens any longer"));
            }
            // Others need not wait for the end of a long reply to see a mask.
            if let Some(job) = queue.next_quick() {
                self.quick(job);
            }
            if text.is_empty() { Ok(()) } else { send(&Event::Text { text }) }
        });
        if job.events.is_closed() {
            return Ok(());
        }
        if queue.is_over() {
            return Err(Refusal::busy("the server is stopping"));
        }
        let (text, _) = streamed.map_err(|failure| self.no_reply(failure))?;
        let found = self.pipeline.read(&view, &text).map_err(|failure| {
            let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, failure.to_string());
            refusal.hint(self.pipeline.hint())
        })?;
        let answer = Event::Answer {
            text: &text,
            thinking: found.answer.thinking.as_deref(),
            objects: found.objects.iter().map(Object::from).collect(),
            repairs: &found.answer.repairs,
        };
        // Boxes are seen while the mask is made.
        if send(&answer).is_err() {
            return Ok(());
        }
        let embedded = self.embedded(&job.picture);
        let start = Instant::now();
        let (mask, segmented) = self.pipeline.mask(embedded, &found.objects)?;
        let _ = send(&Event::Mask(masked(&mask, &segmented, start)));
        Ok(())
    }

    /// Why there is no reply. That of recorded ones would name their file.
    fn no_reply(&self, failure: Failure) -> Refusal {
        if self.reasoner == Reasoner::Recorded {
            let error = "there is no recorded reply to this image";
            let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error);
            return refusal.hint("the file's `key` is the image's name without its ending");
        }
        report(&failure);
        failure.into()
    }
}

/// Sends an event to who asked.
///
/// # Errors
/// Nobody listens any longer, which ends a reply.
fn send(events: &UnboundedSender<Bytes>, event: &Event) -> Result<(), Failure> {
    events.send(line(event)).map_err(|_| Failure::new("nobody listens any longer"))
}

fn masked(mask: &Mask, segmented: &[Segmented], start: Instant) -> Masked {
    Masked {
        size: [mask.size().height, mask.size().width],
        counts: mask.to_coco_string(),
        area: mask.area(),
        ious: segmented.iter().map(Segmented::iou).collect(),
        milliseconds: start.elapsed().as_secs_f64() * 1e3,
    }
}

fn prompt(object: &Object) -> ImagePrompt {
    let labelled = |points: &[[f64; 2]], label: PointLabel| {
        let narrow = move |at: &[f64; 2]| (at.map(|x| x as f32), label);
        points.iter().map(narrow).collect::<Vec<_>>()
    };
    let mut points = labelled(&object.points, PointLabel::Foreground);
    points.extend(labelled(&object.background, PointLabel::Background));
    ImagePrompt { points, bbox: object.bbox.map(|bbox| bbox.map(|x| x as f32)), mask: None }
}
