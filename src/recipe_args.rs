//! Flags that choose what replies earn; shared by the commands that score and that train.

use std::path::Path;

use clap::ValueEnum;
use segzero_eval::reward::{Preset, Recipe, Reward};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What replies earn.
#[derive(clap::Args, Clone, Debug, Serialize, Deserialize)]
#[command(next_help_heading = "Rewards")]
pub struct RecipeArgs {
    /// Which rewards: seg-zero, seg-zero-soft, vision-reasoner, or a JSON file (docs/reward.md).
    #[arg(long, value_name = "NAME|FILE", default_value = "seg-zero")]
    pub recipe: String,
    /// Weights that differ from the recipe's, or rewards that it has not: `think=0.5,non_repeat=1`.
    #[arg(long, value_name = "NAME=W,...", value_delimiter = ',', value_parser = weight)]
    pub weights: Vec<(Reward, f64)>,
    /// Longer side of the training set's images: distances are judged in proportion. 840 if neither
    /// this nor the recipe says otherwise.
    #[arg(long, value_name = "PIXELS")]
    pub frame: Option<f64>,
}

impl RecipeArgs {
    /// The recipe that the flags name.
    ///
    /// # Errors
    /// A file that cannot be read; a recipe that cannot be meant.
    pub fn recipe(&self) -> Result<Recipe, Failure> {
        let mut recipe = match Preset::from_str(&self.recipe, false) {
            Ok(preset) => preset.recipe(),
            Err(_) => read_recipe(Path::new(&self.recipe))?,
        };
        self.weights.iter().for_each(|&(reward, weight)| recipe.set_weight(reward, weight));
        recipe.frame = self.frame.unwrap_or(recipe.frame);
        let hint = "docs/reward.md says what a recipe holds";
        recipe.check().map_err(|e| Failure::new(e).hint(hint))?;
        Ok(recipe)
    }
}

fn read_recipe(path: &Path) -> Result<Recipe, Failure> {
    const HINT: &str = "recipes are seg-zero, seg-zero-soft, vision-reasoner, or a JSON file as in \
                        docs/reward.md";
    let failure = |error: &dyn std::fmt::Display| {
        Failure::new(format_args!("could not read the recipe `{}`: {error}", path.display()))
            .hint(HINT)
    };
    let text = std::fs::read_to_string(path).map_err(|e| failure(&e))?;
    serde_json::from_str(&text).map_err(|e| failure(&e))
}

/// `NAME=W`.
fn weight(text: &str) -> Result<(Reward, f64), String> {
    let (name, weight) = text.split_once('=').ok_or("expected NAME=WEIGHT, as in `think=0.5`")?;
    let names = || Reward::value_variants().iter().map(|reward| reward.name()).collect::<Vec<_>>();
    let reward = Reward::from_str(name.trim(), false)
        .map_err(|_| format!("there is no reward `{name}`; there are {}", names().join(", ")))?;
    let weight = weight.trim().parse().map_err(|_| format!("`{weight}` is no number"))?;
    Ok((reward, weight))
}
