//! Bodies: what is read is bounded in size and time; what is written may be a stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refusal::Refusal;

/// Memory for all bodies that are being read at the same moment, in KiB.
pub const BUDGET_KIB: usize = 256 << 10;

/// A whole body may take this many times the patience for one piece of it.
const PIECES_OF_PATIENCE: u32 = 12;

/// A body that was read; what it holds counts against the budget until it is dropped.
pub struct Received {
    /// The bytes.
    pub bytes: Vec<u8>,
    _held: Option<OwnedSemaphorePermit>,
}

/// How bodies are read.
pub struct Reader {
    budget: Arc<Semaphore>,
    patience: Duration,
}

impl Reader {
    /// A reader that waits so long for a piece.
    pub fn new(patience: Duration) -> Self {
        Self { budget: Arc::new(Semaphore::new(BUDGET_KIB)), patience }
    }

    /// Reads a body of at most so many bytes.
    ///
    /// # Errors
    /// A body that is too large, too slow or cut off; too many of them at once.
    pub async fn read(&self, body: Incoming, most: usize) -> Result<Received, Refusal> {
        if body.size_hint().lower() > most as u64 {
            return Err(too_large(most));
        }
        let whole = self.patience * PIECES_OF_PATIENCE;
        timeout(whole, self.pieces(body, most)).await.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn pieces(&self, mut body: Incoming, most: usize) -> Result<Received, Refusal> {
        let mut received = Received { bytes: Vec::new(), _held: None };
        let mut held_bytes = 0;
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let frame = timeout(self.patience, frame).await.map_err(|_| too_slow())?;
            let Some(frame) = frame else { return Ok(received) };
            let cut_off = |_| Refusal::new(StatusCode::BAD_REQUEST, "the request was cut off");
            let Ok(piece) = frame.map_err(cut_off)?.into_data() else { continue };
            if received.bytes.len() + piece.len() > most {
                return Err(too_large(most));
            }
            received.bytes.extend_from_slice(&piece);
            // What has come is counted, not what was promised: to promise costs nobody anything.
            if received.bytes.len() > held_bytes {
                let kib = (received.bytes.len() - held_bytes).div_ceil(1024);
                let more = self.budget.clone().try_acquire_many_owned(kib as u32);
                let more = more.map_err(|_| Refusal::busy("too many uploads at once"))?;
                held_bytes += kib * 1024;
                match &mut received._held {
                    Some(held) => held.merge(more),
                    none => *none = Some(more),
                }
            }
        }
    }
}

fn too_large(most: usize) -> Refusal {
    let error = format!("the request is larger than {}", in_words(most));
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}

fn too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request came too slowly")
}

/// A number of bytes, in words.
fn in_words(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// A body of an answer.
pub enum Answer {
    /// All of it.
    Whole(Option<Bytes>),
    /// Pieces as they come. Dropped, it tells who sends them that nobody listens.
    Stream(UnboundedReceiver<Bytes>),
}

impl Answer {
    /// All of it.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Stream(pieces) => pieces.poll_recv(context),
        };
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
