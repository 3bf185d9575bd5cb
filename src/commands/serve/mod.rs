//! `segzero serve`: a page to try the models on, for one's own browser.
//!
//! One thread speaks HTTP, one asks the models. The page is in the program; it asks nobody else.

mod body;
mod guard;
mod http;
mod images;
mod queue;
mod refusal;
mod routes;
#[cfg(test)]
mod tests;
mod wire;
mod worker;

use std::net::{TcpListener, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use body::Reader;
use guard::Names;
use images::Images;
use queue::Queue;
use wire::Options;
use worker::Worker;

use crate::failure::Failure;
use crate::output::{print, report};
use crate::pipeline::{Asking, Pipeline};

/// Flags of `segzero serve`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    asking: Asking,
    /// Where to listen: an address or name of this machine. Others can reach it only by an address
    /// other than the default.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS", help_heading = "Server")]
    host: String,
    /// The port; 0 takes any that is free.
    #[arg(long, default_value_t = 8080, value_name = "N", help_heading = "Server")]
    port: u16,
    /// How long a client may keep the server waiting.
    #[arg(
        long,
        default_value_t = 20,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600),
        help_heading = "Server"
    )]
    patience: u64,
}

/// What all connections share.
struct Shared {
    names: Names,
    options: Options,
    patience: Duration,
    reader: Reader,
    images: Images,
    queue: Arc<Queue>,
}

/// Runs the command, until it is interrupted.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let broken = |error: std::io::Error| Failure::new(format_args!("could not serve: {error}"));
    // First of all, so that a port that is taken is said before a model is loaded.
    let listener = listen(&args)?;
    let address = listener.local_addr().map_err(broken)?;
    let options = Options::new(&args.asking);
    let worker = Worker { pipeline: Pipeline::open(&args.asking)?, reasoner: options.reasoner };
    let patience = Duration::from_secs(args.patience);
    let queue = Arc::new(Queue::default());
    let is_loopback = address.ip().is_loopback();
    let shared = Shared {
        names: if is_loopback { Names::Loopback } else { Names::Open(args.host) },
        options,
        patience,
        reader: Reader::new(patience),
        images: Images::default(),
        queue: queue.clone(),
    };
    std::thread::Builder::new()
        .name("models".to_owned())
        .spawn(move || worker.work(&queue))
        .map_err(broken)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Images are decoded two at a time.
        .max_blocking_threads(2)
        .build()
        .map_err(broken)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
        let end = interrupted().map_err(broken)?;
        if !is_loopback {
            report(
                "warning: there is no password; everyone who can reach this address can use the \
                 models",
            );
        }
        print(&format!("http://{address}/\n"))?;
        http::serve(listener, Arc::new(shared), end).await;
        Ok::<(), Failure>(())
    })?;
    // The models may be in the middle of something; the process ends without it.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

fn listen(args: &Args) -> Result<TcpListener, Failure> {
    let place = (args.host.as_str(), args.port);
    let refused = |error: std::io::Error| {
        let failure =
            Failure::new(format_args!("could not listen at `{}:{}`: {error}", place.0, place.1));
        failure.hint("`--port 0` takes any port that is free; `--host` must be this machine's")
    };
    let addresses: Vec<_> = place.to_socket_addrs().map_err(refused)?.collect();
    let listener = TcpListener::bind(&addresses[..]).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// Ends when the user or the system asks the process to.
fn interrupted() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}
