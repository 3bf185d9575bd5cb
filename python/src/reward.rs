//! Rewards of replies.

use clap::ValueEnum;
use numpy::{PyArray2, PyArrayMethods, ToPyArray};
use pyo3::prelude::*;
use segzero_eval::reward::{self, Preset, Reward, Solution};

use crate::failure::{at, same_length, value_error};
use crate::options::mode;

/// Rewards and how they are added up.
#[pyclass(frozen, module = "segzero")]
pub struct Recipe(reward::Recipe);

#[pymethods]
impl Recipe {
    /// The recipe of a published name, or of JSON as `docs/reward.md` has it.
    #[new]
    fn new(text: &str) -> PyResult<Self> {
        let recipe = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(value_error)?,
            false => mode::<Preset>(text)?.recipe(),
        };
        recipe.check().map_err(value_error)?;
        Ok(Self(recipe))
    }

    /// The same with other weights, and the frame if one is given.
    fn changed(&self, weights: Vec<(String, f64)>, frame: Option<f64>) -> PyResult<Self> {
        let mut recipe = self.0.clone();
        for (name, weight) in weights {
            recipe.set_weight(mode(&name)?, weight);
        }
        recipe.frame = frame.unwrap_or(recipe.frame);
        recipe.check().map_err(value_error)?;
        Ok(Self(recipe))
    }

    /// Names of the rewards, in the order of the columns of [`Recipe::score`].
    #[getter]
    fn names(&self) -> Vec<&'static str> {
        self.0.rewards.iter().map(|weighted| weighted.reward.name()).collect()
    }

    /// The largest score.
    #[getter]
    fn full_marks(&self) -> f64 {
        self.0.full_marks()
    }

    /// The recipe as JSON.
    fn json(&self) -> PyResult<String> {
        serde_json::to_string(&self.0).map_err(value_error)
    }

    /// One row a reply: each reward without its weight, and the score.
    fn score<'py>(
        &self,
        py: Python<'py>,
        replies: Vec<String>,
        solutions: Vec<String>,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        same_length(["replies", "solutions"], [replies.len(), solutions.len()])?;
        let recipe = &self.0;
        let rows = py.detach(|| {
            let mut rows = Vec::with_capacity(replies.len() * (recipe.rewards.len() + 1));
            for (i, (reply, text)) in replies.iter().zip(&solutions).enumerate() {
                let solution = Solution::parse(text).map_err(|e| (i, e.to_string()))?;
                recipe.fits(&solution).map_err(|e| (i, e.to_string()))?;
                let rewards = recipe.score(reply, &solution);
                rows.extend(rewards.parts.iter().map(|(_, value)| *value));
                rows.push(rewards.total);
            }
            Ok(rows)
        });
        let rows = rows.map_err(|(i, e): (usize, String)| at(i, "solution", e))?;
        rows.to_pyarray(py).reshape([replies.len(), recipe.rewards.len() + 1])
    }
}

/// Names of all rewards that there are.
#[pyfunction]
pub fn reward_names() -> Vec<&'static str> {
    Reward::value_variants().iter().map(|reward| reward.name()).collect()
}
