//! Where replies come from.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use segzero_datasets::Size;
use segzero_model::qwen_vl::config::Attention;
use segzero_model::qwen_vl::{Options, Prompt, Sampling};
use segzero_prep::image::Rgb;
use serde::Deserialize;
use serde_json::{Value, json};

use super::remote::Remote;
use super::{Asking, Coordinates, Miss, Question};
use crate::failure::Failure;
use crate::reasoner::{Clock, Prompting, Reasoner};

/// Where replies come from.
pub(super) enum Replies {
    /// A model in this process.
    Model { reasoner: Box<Reasoner>, options: Options },
    /// A model behind an endpoint.
    Remote(Box<Remote>),
    /// A text that some system gave, whatever is asked.
    Text(String),
    /// Texts that some system gave, by key.
    Recorded { path: PathBuf, hash: u64, texts: HashMap<String, Vec<String>> },
}

/// A line of recorded replies; other fields are not looked at.
#[derive(Deserialize)]
struct Line {
    key: Key,
    text: Option<String>,
    #[serde(default)]
    texts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Key {
    Text(String),
    Number(i64),
}

impl Replies {
    /// What the flags name; none where they name nobody.
    pub fn open(asking: &Asking) -> Result<Option<Self>, Failure> {
        match (&asking.reasoner, &asking.reply) {
            (_, Some(path)) => Self::recorded(path).map(Some),
            (Some(url), None) if Remote::is_address(url) => {
                Ok(Some(Self::Remote(Box::new(Remote::open(asking, url)?))))
            }
            (Some(name), None) => Self::model(asking, name).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn recorded(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|e| segzero_datasets::Error::new(path, e))?;
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            return Ok(Self::Text(text));
        }
        let mut hash = DefaultHasher::new();
        hash.write(text.as_bytes());
        let mut texts = HashMap::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let line: Line = serde_json::from_str(line).map_err(|e| {
                let at = path.display();
                Failure::new(format_args!("could not read `{at}`: line {number}: {e}"))
                    .hint("a line has `key` and `text`, or `key` and several `texts`")
            })?;
            let key = match line.key {
                Key::Text(key) => key,
                Key::Number(key) => key.to_string(),
            };
            let own: Vec<String> = match line.texts.is_empty() {
                true => line.text.into_iter().collect(),
                false => line.texts,
            };
            texts.insert(key, own);
        }
        Ok(Self::Recorded { path: path.to_owned(), hash: hash.finish(), texts })
    }

    fn model(asking: &Asking, name: &str) -> Result<Self, Failure> {
        asking.sampling(1.0)?; // before the weights are read
        let reasoner = Prompting::open(name)?.load(asking.device, asking.format)?;
        let defaults = &reasoner.prompting.defaults;
        let sampling = asking.sampling(defaults.sampling.repetition_penalty)?;
        let options = Options {
            max_new_tokens: asking.longest(),
            sampling,
            stop: defaults.stop.clone(),
            samples: 1,
        };
        Ok(Self::Model { reasoner: Box::new(reasoner), options })
    }

    /// Whether those who are asked are elsewhere.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// What it is.
    pub fn describe(&self) -> Value {
        match self {
            Self::Remote(remote) => remote.describe(),
            Self::Text(text) => json!({"reply": text}),
            Self::Recorded { hash, texts, .. } => json!({"replies": texts.len(), "hash": hash}),
            Self::Model { reasoner, options } => json!({
                "weights-bytes": reasoner.bytes,
                "max-new-tokens": options.max_new_tokens,
                "sampling": options.sampling,
            }),
        }
    }

    /// What coordinates count, unless the flags say.
    pub fn coordinates(&self, asking: &Asking) -> Coordinates {
        match self {
            Self::Remote(remote) => remote.coordinates(asking),
            // A Qwen2-VL was taught thousandths for boxes.
            Self::Model { reasoner, .. }
                if asking.is_for_boxes()
                    && reasoner.prompting.config.vision.attention == Attention::Full =>
            {
                Coordinates::Thousandths
            }
            _ => Coordinates::Pixels,
        }
    }

    /// The image to ask about, and its size as the model sees it.
    pub fn seen(&self, image: Rgb) -> Result<(Rgb, Size), Miss> {
        let seen = match self {
            Self::Text(_) | Self::Recorded { .. } => Ok((image.size, image)),
            Self::Model { reasoner, .. } => {
                let view = reasoner.prompting.prompter.processor.view(image.size);
                view.map(|view| (view.resized, image))
            }
            Self::Remote(remote) => remote.seen(image).map(|image| (image.size, image)),
        };
        seen.map(|(size, image)| (image, size)).map_err(|error| Miss::new("no-prompt", error))
    }

    /// One reply, shown as it grows, and how fast that went.
    pub fn stream(
        &self,
        question: &Question,
        text: &str,
        mut show: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(String, Option<Clock>), Failure> {
        let (reasoner, options) = match self {
            Self::Model { reasoner, options } => (reasoner, options),
            Self::Remote(remote) => {
                let reply = remote.stream(&question.view.image, text, show)?;
                return Ok((reply, None));
            }
            Self::Text(_) | Self::Recorded { .. } => {
                let reply = self.recorded_of(question.key)?.swap_remove(0);
                show(&reply)?;
                return Ok((reply, None));
            }
        };
        let prompt = reasoner.about(&question.view.image, text)?;
        let (replies, clock) = reasoner.reply(prompt, options, &mut show)?;
        Ok((replies.first().map(|reply| reasoner.text(reply)).unwrap_or_default(), Some(clock)))
    }

    /// At most so many replies to each question, to which `texts` belong.
    pub fn ask(
        &self,
        questions: &[Question],
        texts: &[String],
        samples: usize,
        round: u64,
    ) -> Vec<Result<Vec<String>, Miss>> {
        let (reasoner, options) = match self {
            Self::Model { reasoner, options } => (reasoner, options),
            Self::Remote(remote) => {
                let images = questions.iter().map(|question| &question.view.image);
                let asked: Vec<_> = images.zip(texts.iter().map(String::as_str)).collect();
                return remote.ask(&asked, samples, round);
            }
            Self::Text(_) | Self::Recorded { .. } => {
                return questions.iter().map(|question| self.recorded_of(question.key)).collect();
            }
        };
        let seed = options.sampling.seed ^ round.rotate_left(32);
        let sampling = Sampling { seed, ..options.sampling };
        let options = Options { samples, sampling, ..options.clone() };
        let prompt = |(question, text): (&Question, &String)| {
            reasoner.about(&question.view.image, text).map_err(|e| Miss::new("no-prompt", e))
        };
        let prompts: Vec<_> = questions.iter().zip(texts).map(prompt).collect();
        let mut misses = Vec::new();
        let good = prompts.into_iter().filter_map(|prompt| {
            misses.push(prompt.as_ref().err().cloned());
            prompt.ok()
        });
        let good: Vec<Prompt> = good.collect();
        let mut replies = match reasoner.replies(&good, &options) {
            Ok(replies) => replies.into_iter(),
            Err(error) => {
                let miss = Miss::new("no-prompt", error);
                return misses.into_iter().map(|own| Err(own.unwrap_or(miss.clone()))).collect();
            }
        };
        let of = |miss: Option<Miss>| match miss {
            Some(miss) => Err(miss),
            None => Ok(replies.next().unwrap_or_default()),
        };
        misses.into_iter().map(of).collect()
    }

    /// What was recorded; at least one text.
    fn recorded_of(&self, key: &str) -> Result<Vec<String>, Miss> {
        match self {
            Self::Text(text) => Ok(vec![text.clone()]),
            Self::Recorded { path, texts, .. } => {
                let texts = texts.get(key).filter(|texts| !texts.is_empty()).cloned();
                texts.ok_or_else(|| {
                    let path = path.display();
                    Miss::new("no-reply", format_args!("no line of `{path}` has this key"))
                })
            }
            Self::Model { .. } | Self::Remote(_) => {
                Err(Miss::new("no-reply", "replies of a model are not recorded"))
            }
        }
    }
}
