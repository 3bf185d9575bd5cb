//! A model behind an endpoint: what it sees, what its coordinates count, how it is asked.

use std::ops::ControlFlow;
use std::time::Duration;

use segzero_model::endpoint::{self, Endpoint, EndpointError, Patience};
use segzero_model::qwen_vl::{InputError, Processor, Sampling};
use segzero_prep::image::Rgb;
use serde_json::{Value, json};

use super::{Asking, Coordinates, Miss};
use crate::failure::Failure;

/// Share of the time for a reply that a server may be silent while it streams.
const SILENCE: f64 = 0.4;

/// A model behind an endpoint.
pub(super) struct Remote {
    endpoint: Endpoint,
    family: Family,
    options: endpoint::Options,
}

/// Models by what they see and what their coordinates count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Sees multiples of 28 pixels, and was taught thousandths for boxes.
    Qwen2,
    /// Sees multiples of 28 pixels, and counts them. So do Seg-Zero and all else that was made of it,
    /// under whatever name it is served.
    Qwen2_5,
    /// Counts thousandths always.
    Qwen3,
}

impl Family {
    /// By the name, in any spelling.
    fn of(model: &str) -> Self {
        let name: String = model.to_lowercase().replace(['-', '_', ' '], "");
        match () {
            () if name.contains("qwen2vl") => Self::Qwen2,
            () if name.contains("qwen3vl") => Self::Qwen3,
            () => Self::Qwen2_5,
        }
    }
}

impl Remote {
    /// Whether what the user calls a reasoner is the address of an endpoint.
    pub fn is_address(reasoner: &str) -> bool {
        ["http://", "https://"].iter().any(|scheme| reasoner.starts_with(scheme))
    }

    /// Asks the endpoint for its models. The key is `OPENAI_API_KEY` of the environment, and stands
    /// nowhere else.
    pub fn open(asking: &Asking, url: &str) -> Result<Self, Failure> {
        let sampling = asking.sampling(1.0)?;
        let timeout = Duration::try_from_secs_f64(asking.endpoint_timeout).ok();
        let Some(timeout) = timeout.filter(|timeout| !timeout.is_zero()) else {
            let found = asking.endpoint_timeout;
            let refused = format!("--endpoint-timeout is {found}, and must be more than 0 seconds");
            return Err(Failure::new(refused).hint("leave it out for five minutes"));
        };
        let patience = Patience {
            attempts: asking.endpoint_attempts,
            timeout,
            stall: timeout.mul_f64(SILENCE),
            ..Patience::default()
        };
        let key = std::env::var("OPENAI_API_KEY").ok();
        let model = asking.endpoint_model.as_deref();
        let endpoint = Endpoint::open(url, model, key.as_deref(), patience)?;
        let family = Family::of(endpoint.model());
        let options = endpoint::Options { max_new_tokens: asking.longest(), sampling, samples: 1 };
        Ok(Self { endpoint, family, options })
    }

    /// What it is.
    pub fn describe(&self) -> Value {
        json!({
            "endpoint": self.endpoint.url(),
            "model": self.endpoint.model(),
            "max-new-tokens": self.options.max_new_tokens,
            "sampling": self.options.sampling,
        })
    }

    /// What its coordinates count.
    pub fn coordinates(&self, asking: &Asking) -> Coordinates {
        match self.family {
            Family::Qwen3 => Coordinates::Thousandths,
            Family::Qwen2 if asking.is_for_boxes() => Coordinates::Thousandths,
            Family::Qwen2 | Family::Qwen2_5 => Coordinates::Pixels,
        }
    }

    /// The image as the model will see it: already of the size that its server would resize it to, so
    /// that there is one frame, and it is known here. Thousandths do not need that.
    pub fn seen(&self, image: Rgb) -> Result<Rgb, InputError> {
        match self.family {
            Family::Qwen3 => Ok(image),
            Family::Qwen2 | Family::Qwen2_5 => {
                Ok(Processor::qwen2_5_vl().resized(&image)?.1.into_owned())
            }
        }
    }

    /// One reply, shown as it grows.
    pub fn stream(
        &self,
        image: &Rgb,
        text: &str,
        mut show: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        let mut failure = None;
        let reply = self.endpoint.ask_streaming(image, text, &self.options, |piece| {
            show(piece).map_or_else(
                |error| {
                    failure = Some(error);
                    ControlFlow::Break(())
                },
                ControlFlow::Continue,
            )
        })?;
        failure.map_or(Ok(reply.text), Err)
    }

    /// So many replies to each question, one after the other: who wants several at once asks from as
    /// many threads.
    pub fn ask(
        &self,
        questions: &[(&Rgb, &str)],
        samples: usize,
        round: u64,
    ) -> Vec<Result<Vec<String>, Miss>> {
        let seed = self.options.sampling.seed ^ round.rotate_left(32);
        let sampling = Sampling { seed, ..self.options.sampling };
        let options = endpoint::Options { sampling, samples, ..self.options };
        let one = |(image, text): (&Rgb, &str)| {
            let choices = self.endpoint.ask(image, text, &options)?;
            Ok(choices.into_iter().map(|choice| choice.text).collect())
        };
        questions.iter().copied().map(one).collect()
    }
}

impl From<EndpointError> for Miss {
    fn from(error: EndpointError) -> Self {
        Self { hint: error.hint(), ..Self::new(error.name(), error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_their_names() {
        for (name, family) in [
            ("Qwen/Qwen2-VL-7B-Instruct", Family::Qwen2),
            ("qwen2_vl", Family::Qwen2),
            ("Qwen/Qwen2.5-VL-3B-Instruct", Family::Qwen2_5),
            ("Ricky06662/Seg-Zero-7B", Family::Qwen2_5),
            ("default", Family::Qwen2_5),
            ("qwen3-vl:8b", Family::Qwen3),
            ("Qwen/Qwen3-VL-8B-Thinking", Family::Qwen3),
        ] {
            assert_eq!(Family::of(name), family, "{name}");
        }
    }
}
