//! What the command says when it cannot go on: one sentence, then a hint where there is one.

use std::fmt::{Display, Formatter};

/// An error as the user sees it. Exit code 2.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), hint: None }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The same failure with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same failure, said of something.
    #[must_use]
    pub fn about(self, what: impl Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// The same failure with advice, unless it has better already.
    #[must_use]
    pub fn or_hint(self, hint: impl Display) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl From<segzero_train::TrainError> for Failure {
    fn from(error: segzero_train::TrainError) -> Self {
        match error {
            segzero_train::TrainError::Checkpoint(error) => error.into(),
            segzero_train::TrainError::Data(error) => error.into(),
            error @ segzero_train::TrainError::Diverged { .. } => {
                Self::new(error).hint("lower `--learning-rate`, or `--max-grad-norm`")
            }
            error => Self::new(error),
        }
    }
}

impl From<segzero_datasets::Error> for Failure {
    fn from(error: segzero_datasets::Error) -> Self {
        let hint = error.hint();
        Self { message: error.to_string(), hint }
    }
}

impl From<segzero_prep::PrepError> for Failure {
    fn from(error: segzero_prep::PrepError) -> Self {
        let hint = error.hint();
        Self { message: error.to_string(), hint }
    }
}

impl From<segzero_model::checkpoint::Error> for Failure {
    fn from(error: segzero_model::checkpoint::Error) -> Self {
        let hint = error.hint();
        Self { message: format!("could not read {error}"), hint }
    }
}

impl From<segzero_model::checkpoint::hub::HubError> for Failure {
    fn from(error: segzero_model::checkpoint::hub::HubError) -> Self {
        let hint = error.hint();
        Self { message: error.to_string(), hint }
    }
}

impl From<segzero_model::endpoint::EndpointError> for Failure {
    fn from(error: segzero_model::endpoint::EndpointError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self { message: error.to_string(), hint }
    }
}

impl From<segzero_model::qwen_vl::InputError> for Failure {
    fn from(error: segzero_model::qwen_vl::InputError) -> Self {
        let hint = error.hint();
        Self { message: error.to_string(), hint }
    }
}

impl From<segzero_model::device::DeviceError> for Failure {
    fn from(error: segzero_model::device::DeviceError) -> Self {
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

impl From<segzero_model::sam2::PromptError> for Failure {
    fn from(error: segzero_model::sam2::PromptError) -> Self {
        Self::new(error)
    }
}

impl From<segzero_model::qwen_vl::PromptError> for Failure {
    fn from(error: segzero_model::qwen_vl::PromptError) -> Self {
        Self::new(error)
    }
}
