//! Work for the models, which are asked one thing at a time, in the order in which it came.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use hyper::body::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::images::Picture;
use super::refusal::Refusal;
use super::wire::{Masked, Object};

/// Most jobs that wait, and most questions among them, which take long.
const JOBS: usize = 64;
const QUESTIONS: usize = 8;

/// Something to do.
pub enum Job {
    /// Look at an image that somebody will ask about; in vain if it is not kept any longer.
    Embed(Weak<Picture>),
    /// The mask of boxes and points.
    Mask(MaskJob),
    /// A question in words.
    Ask(AskJob),
}

/// The mask of boxes and points.
pub struct MaskJob {
    pub picture: Arc<Picture>,
    pub objects: Vec<Object>,
    pub answer: oneshot::Sender<Result<Masked, Refusal>>,
}

/// A question in words.
pub struct AskJob {
    pub picture: Arc<Picture>,
    pub question: String,
    /// By which recorded replies are found.
    pub key: String,
    /// Lines of JSON. Closed when the one who asked has gone away.
    pub events: mpsc::UnboundedSender<Bytes>,
}

/// What waits.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    is_over: bool,
}

impl Job {
    /// Whether it is a question, which takes long.
    fn is_question(&self) -> bool {
        matches!(self, Self::Ask(_))
    }

    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool {
        match self {
            Self::Embed(picture) => picture.strong_count() > 0,
            Self::Mask(job) => !job.answer.is_closed(),
            Self::Ask(job) => !job.events.is_closed(),
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, and says how many questions are before it.
    ///
    /// # Errors
    /// Too many wait already.
    pub fn push(&self, job: Job) -> Result<usize, Refusal> {
        let mut waiting = self.lock();
        waiting.jobs.retain(Job::is_wanted);
        let questions = waiting.jobs.iter().filter(|job| job.is_question()).count();
        if waiting.is_over {
            return Err(Refusal::busy("the server is stopping"));
        }
        if waiting.jobs.len() >= JOBS || (job.is_question() && questions >= QUESTIONS) {
            let count = waiting.jobs.len();
            let error = format!("the models are busy: {count} requests wait already");
            return Err(Refusal::busy(error));
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.changed.notify_one();
        Ok(questions)
    }

    /// The next job, as soon as there is one; none when all is over.
    pub fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if waiting.is_over {
                return None;
            }
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The first job that is no question, if there is one: what can be done between two words of a
    /// reply.
    pub fn next_quick(&self) -> Option<Job> {
        let mut waiting = self.lock();
        let at = waiting.jobs.iter().position(|job| !job.is_question())?;
        waiting.jobs.remove(at)
    }

    /// Ends everything: what waits is forgotten, and who works is told by [`Queue::is_over`].
    pub fn end(&self) {
        let mut waiting = self.lock();
        waiting.is_over = true;
        waiting.jobs.clear();
        drop(waiting);
        self.changed.notify_all();
    }

    /// Whether the end has come.
    pub fn is_over(&self) -> bool {
        self.lock().is_over
    }
}
