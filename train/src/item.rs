//! A training set as a model is trained on it: prompts, and what they should be answered with.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use segzero_datasets::{Bbox, Geometry, ImageSource, Point, Sample, Size};
use segzero_eval::reward::Solution;
use segzero_model::qwen_vl::{Content, Message, Part, Prompt, Prompter, Role};
use sha2::{Digest, Sha256};

use crate::error::TrainError;
use crate::picture::picture;

/// A row of a training set, with its image as it is encoded.
#[derive(Clone, Debug)]
pub struct Row {
    /// Unique in the set.
    pub key: String,
    /// What is looked for.
    pub question: String,
    /// The answer, in pixels of the image.
    pub solution: Solution,
    /// What else is asked about the image, and its answer, in alphabetical order.
    others: Vec<(String, Solution)>,
    image: ImageSource,
}

/// A row as a model is asked about it.
#[derive(Clone, Debug)]
pub struct Item {
    /// The row's key.
    pub key: String,
    /// What is looked for.
    pub question: String,
    /// Image and text as tokens and patches.
    pub prompt: Prompt,
    /// The answer, in pixels of the image as the model sees it.
    pub solution: Solution,
    /// What else is asked about the image, if its rows were told ([`acquaint`]), likewise.
    pub others: Vec<(String, Solution)>,
}

impl Item {
    /// The size of the image as the model sees it.
    pub fn seen(&self) -> Size {
        self.prompt.images.first().map_or(Size::new(0, 0), |image| image.view.resized)
    }
}

impl Row {
    /// Of a sample of a prepared training set.
    ///
    /// # Errors
    /// A sample without an answer that can be read.
    pub fn new(sample: Sample) -> Result<Self, TrainError> {
        let fault = |reason: String| TrainError::Sample { key: sample.key.clone(), reason };
        let Geometry::Solution(text) = &sample.geometry else {
            return Err(fault("it has a mask where a training set has a `solution`".to_owned()));
        };
        let solution = Solution::parse(text).map_err(|error| fault(error.to_string()))?;
        let question = sample.queries.first().map(|query| query.raw.clone()).unwrap_or_default();
        let others = Vec::new();
        Ok(Self { question, solution, others, image: sample.image.source, key: sample.key })
    }

    /// Bytes of its image, where the row holds it.
    pub fn bytes(&self) -> usize {
        match &self.image {
            ImageSource::Bytes(bytes) => bytes.len(),
            ImageSource::File(_) | ImageSource::Absent => 0,
        }
    }

    /// Makes a prompt of it, with `wording` of the question. The answer goes along with an image that
    /// the model sees at another size.
    ///
    /// # Errors
    /// An image that cannot be read or seen.
    pub fn item(
        &self,
        prompter: &Prompter,
        wording: &(dyn Fn(&str) -> String + Sync),
    ) -> Result<Item, TrainError> {
        let image = picture(&self.key, &self.image)?;
        let parts = vec![Part::Image, Part::Text { text: wording(&self.question) }];
        let message = Message { role: Role::User, content: Content::Parts(parts) };
        let prompt = prompter.prompt(&[message], std::slice::from_ref(&image));
        let prompt = prompt.map_err(|source| TrainError::input(&self.key, source))?;
        let (mut solution, mut others) = (self.solution.clone(), self.others.clone());
        if let [patches] = &prompt.images[..] {
            let (from, to) = (patches.view.original, patches.view.resized);
            let factors = [
                f64::from(to.width) / f64::from(from.width),
                f64::from(to.height) / f64::from(from.height),
            ];
            rescale(&mut solution, factors);
            others.iter_mut().for_each(|(_, solution)| rescale(solution, factors));
        }
        let (key, question) = (self.key.clone(), self.question.clone());
        Ok(Item { key, question, prompt, solution, others })
    }
}

/// Rounds as VisionReasoner scales answers: trunc(x · factor + 0.5).
fn rescale(solution: &mut Solution, [x, y]: [f64; 2]) {
    if [x, y] == [1.0, 1.0] {
        return;
    }
    let scaled = |value: i32, factor: f64| (f64::from(value) * factor + 0.5) as i32;
    for object in &mut solution.objects {
        let Bbox { x0, y0, x1, y1 } = object.bbox;
        object.bbox =
            Bbox { x0: scaled(x0, x), y0: scaled(y0, y), x1: scaled(x1, x), y1: scaled(y1, y) };
        for point in &mut object.points {
            *point = Point::new(scaled(point.x, x), scaled(point.y, y));
        }
    }
}

/// Tells each row what else is asked about its image, by one question for each other object.
pub fn acquaint(rows: &mut [Row]) {
    let mut images: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let name = match &row.image {
            ImageSource::Bytes(bytes) => Sha256::digest(bytes),
            ImageSource::File(path) => Sha256::digest(path.as_os_str().as_encoded_bytes()),
            ImageSource::Absent => continue,
        };
        images.entry(name.into()).or_default().push(index);
    }
    for of_image in images.values() {
        let mut asked: Vec<(String, Solution)> = of_image
            .iter()
            .map(|&index| (rows[index].question.clone(), rows[index].solution.clone()))
            .collect();
        asked.sort_by(|a, b| a.0.cmp(&b.0));
        for &index in of_image {
            let mut others: Vec<(String, Solution)> = Vec::new();
            for (question, solution) in &asked {
                let is_known = *solution == rows[index].solution
                    || others.iter().any(|(_, other)| other == solution);
                if !is_known {
                    others.push((question.clone(), solution.clone()));
                }
            }
            rows[index].others = others;
        }
    }
}

/// The order of rows in an epoch: a shuffle that depends on the seed and the epoch alone.
pub fn order(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // The upper bits of a product: without the bias that a remainder would have towards small ones.
        let at = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, at as usize);
    }
    order
}

/// The rows of a step, counted from 1, of `batch` rows each; the rest of an epoch is left out.
pub fn rows_of(step: u64, batch: usize, count: usize, seed: u64) -> Vec<usize> {
    let per_epoch = (count / batch.max(1)).max(1) as u64;
    let (epoch, at) = ((step - 1) / per_epoch, ((step - 1) % per_epoch) as usize);
    order(count, seed, epoch).into_iter().skip(at * batch).take(batch).collect()
}
