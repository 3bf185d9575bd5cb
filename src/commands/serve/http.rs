//! Connections: how many, how long they may take, how they end.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};

use super::Shared;
use super::routes;

/// Most connections at a time; others wait until they are accepted.
const CONNECTIONS: u32 = 256;
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 32 << 10;
/// How long answers that are under way may take when the server ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Accepts connections until the end, then lets those that there are finish.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, end: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let (stop, stopped) = watch::channel(());
    let mut end = pin!(end);
    loop {
        let accepted = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut end => break,
        };
        let (shared, stopped) = (shared.clone(), stopped.clone());
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(async move {
                let _slot = slot;
                connection(stream, shared, stopped).await;
            })),
            // No file descriptors are left, say; some will be.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    drop(listener);
    shared.queue.end();
    // Only if nobody is left would this fail.
    let _ = stop.send(());
    let _ = timeout(FAREWELL, slots.acquire_many(CONNECTIONS)).await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
    // Words are sent as they come.
    let _ = stream.set_nodelay(true);
    let patience = shared.patience;
    let stream = TokioIo::new(Hasty { stream, patience, stalled: None });
    let service = service_fn(move |request| routes::answer(request, shared.clone()));
    let mut builder = http1::Builder::new();
    // The time for a head is also the time for which a connection may be idle.
    builder.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(HEAD_BYTES);
    let mut connection = pin!(builder.serve_connection(stream, service));
    tokio::select! {
        // A client that breaks off or writes no HTTP is no news.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// A stream that gives up writing to who does not read.
struct Hasty {
    stream: TcpStream,
    patience: Duration,
    /// Since the first write that had to wait.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Hasty {
    fn write(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = write(Pin::new(&mut self.stream), context);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Hasty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Hasty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream, context| stream.poll_write_vectored(context, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
