//! What is answered to which request.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use segzero_datasets::{Mask, Size};
use segzero_prep::image::{self, Orientation, PngEffort, Rgb, encode_png};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::body::Answer;
use super::guard::{harden, typed};
use super::images::Picture;
use super::queue::{AskJob, Job, MaskJob};
use super::refusal::Refusal;
use super::wire::{Event, Question, Runs, Uploaded, Wanted};

/// Most bytes of an image file.
pub const UPLOAD_BYTES: usize = 32 << 20;
/// Most pixels of an image: those of a large camera.
const PIXELS: u64 = 50_000_000;
/// Most bytes of a request in words, and of a mask.
const WORDS_BYTES: usize = 64 << 10;
const RUNS_BYTES: usize = 16 << 20;

/// The page: address, type and content.
const PAGE: [(&str, &str, &str); 9] = [
    ("", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("stage.js", "text/javascript; charset=utf-8", include_str!("page/stage.js")),
    ("runs.js", "text/javascript; charset=utf-8", segzero_reports::RUN_LENGTHS),
    ("mask.js", "text/javascript; charset=utf-8", include_str!("page/mask.js")),
    ("reply.js", "text/javascript; charset=utf-8", include_str!("page/reply.js")),
    ("server.js", "text/javascript; charset=utf-8", include_str!("page/server.js")),
    ("theme.js", "text/javascript; charset=utf-8", include_str!("page/theme.js")),
];

type Answered = Result<Response<Answer>, Refusal>;

/// Answers a request.
pub async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Answer>, Infallible> {
    let answered = match shared.names.check(&request) {
        Ok(()) => route(request, &shared).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = answered.unwrap_or_else(|refusal| refusal.response());
    harden(response.headers_mut());
    Ok(response)
}

async fn route(request: Request<Incoming>, shared: &Arc<Shared>) -> Answered {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let writes = *request.method() == Method::POST;
    match parts[..] {
        ["api", "options"] if reads => json(StatusCode::OK, &shared.options),
        ["api", "images"] if writes => upload(request, shared).await,
        ["api", "images", id] if reads => picture(id, shared).await,
        ["api", "images", id, "ask"] if writes => ask(request, id, shared).await,
        ["api", "images", id, "mask"] if writes => mask(request, id, shared).await,
        ["api", "png"] if writes => png(request, shared).await,
        ["api", "options"] | ["api", "images", _] => Err(Refusal::method("GET, HEAD")),
        ["api", "images"] | ["api", "png"] | ["api", "images", _, "ask" | "mask"] => {
            Err(Refusal::method("POST"))
        }
        [name] => page(name, reads),
        _ => Err(nothing_here()),
    }
}

fn nothing_here() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address")
}

fn page(name: &str, reads: bool) -> Answered {
    let found = PAGE.iter().find(|(own, ..)| *own == name);
    let &(_, kind, text) = found.ok_or_else(nothing_here)?;
    if !reads {
        return Err(Refusal::method("GET, HEAD"));
    }
    let mut response = Response::new(Answer::whole(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // Another version of the program may be at the same address tomorrow.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn typed_as(kind: &'static str, content: Answer) -> Response<Answer> {
    let mut response = Response::new(content);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn json(status: StatusCode, value: &impl Serialize) -> Answered {
    let text = serde_json::to_vec(value).map_err(|_| Refusal::broken())?;
    let mut response = typed_as("application/json", Answer::whole(text));
    *response.status_mut() = status;
    Ok(response)
}

/// A request's body as what it must be.
async fn said<T: DeserializeOwned>(
    request: Request<Incoming>,
    shared: &Shared,
    most: usize,
) -> Result<T, Refusal> {
    typed(request.headers(), &["application/json"])?;
    let received = shared.reader.read(request.into_body(), most).await?;
    serde_json::from_slice(&received.bytes)
        .map_err(|error| Refusal::bad(format!("the request is not what it must be: {error}")))
}

/// Runs what takes a while where it holds up nobody.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Refusal::broken()))
}

async fn upload(request: Request<Incoming>, shared: &Shared) -> Answered {
    typed(request.headers(), &["image/*", "application/octet-stream"])?;
    let received = shared.reader.read(request.into_body(), UPLOAD_BYTES).await?;
    let rgb = aside(move || decode(&received.bytes)).await?;
    let Size { width, height } = rgb.size;
    let (id, picture) = shared.images.insert(rgb);
    // Where the queue is full, the image is looked at when it is asked about.
    let _ = shared.queue.push(Job::Embed(Arc::downgrade(&picture)));
    json(StatusCode::CREATED, &Uploaded { id, width, height })
}

/// An image as it stands upright. Its size is looked at before anything is decoded.
fn decode(bytes: &[u8]) -> Result<Rgb, Refusal> {
    let refused = |error: image::ImageError| {
        let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
        refusal.hint("JPEG, PNG, WebP, BMP and TIFF are read")
    };
    let size = image::dimensions(bytes).map_err(refused)?;
    if size.pixels() > PIXELS {
        let (status, most) = (StatusCode::UNPROCESSABLE_ENTITY, PIXELS / 1_000_000);
        let error = format!("the image has {size} pixels, more than {most} million");
        return Err(Refusal::new(status, error).hint("make it smaller"));
    }
    image::decode_as(bytes, Orientation::Upright).map_err(refused)
}

fn kept(id: &str, shared: &Shared) -> Result<Arc<Picture>, Refusal> {
    shared.images.get(id).ok_or_else(|| {
        let refusal = Refusal::new(StatusCode::GONE, "this image is not kept any longer");
        refusal.hint("upload it again")
    })
}

/// The image as the models see it, for browsers that cannot show the file.
async fn picture(id: &str, shared: &Shared) -> Answered {
    let picture = kept(id, shared)?;
    let png = aside(move || {
        if let Some(png) = picture.png.get() {
            return Ok(png.clone());
        }
        let png = encode_png(&picture.rgb, PngEffort::Fast).map_err(|_| Refusal::broken())?;
        Ok(picture.png.get_or_init(|| Bytes::from(png)).clone())
    });
    Ok(typed_as("image/png", Answer::whole(png.await?)))
}

async fn mask(request: Request<Incoming>, id: &str, shared: &Shared) -> Answered {
    let wanted: Wanted = said(request, shared, WORDS_BYTES).await?;
    wanted.check()?;
    let picture = kept(id, shared)?;
    let (answer, masked) = oneshot::channel();
    shared.queue.push(Job::Mask(MaskJob { picture, objects: wanted.objects, answer }))?;
    json(StatusCode::OK, &masked.await.unwrap_or_else(|_| Err(Refusal::broken()))?)
}

async fn ask(request: Request<Incoming>, id: &str, shared: &Shared) -> Answered {
    let asked: Question = said(request, shared, WORDS_BYTES).await?;
    let question = asked.text(shared.options.reasoner)?.to_owned();
    let picture = kept(id, shared)?;
    let (events, lines) = mpsc::unbounded_channel();
    let told = events.clone();
    let ahead =
        shared.queue.push(Job::Ask(AskJob { picture, question, key: asked.key, events }))?;
    // The worker may have sent its first line before this one; the page minds neither order.
    let _ = told.send(super::worker::line(&Event::Queued { ahead }));
    Ok(typed_as("application/x-ndjson", Answer::Stream(lines)))
}

/// Run lengths as a PNG of 0 and 255.
async fn png(request: Request<Incoming>, shared: &Shared) -> Answered {
    let runs: Runs = said(request, shared, RUNS_BYTES).await?;
    let [height, width] = runs.size;
    let size = Size::new(width, height);
    if size.pixels() == 0 || size.pixels() > PIXELS {
        return Err(Refusal::bad(format!("a mask of {size} pixels is not drawn")));
    }
    let png = aside(move || {
        let mask = Mask::from_coco_string(size, runs.counts.as_bytes());
        let mask = mask.map_err(|error| Refusal::bad(error.to_string()))?;
        let mut png = Vec::new();
        mask.write_png(&mut png).map_err(|_| Refusal::broken())?;
        Ok(png)
    });
    Ok(typed_as("image/png", Answer::whole(png.await?)))
}
