//! Means of the rewards, and what was missing.

use segzero_eval::Names;
use segzero_eval::reward::{Recipe, Reward, Rewards};
use serde::Serialize;

use super::solutions::Solutions;

/// What came of all replies.
#[derive(Serialize)]
pub struct Summary {
    /// Replies that were scored.
    pub replies: u64,
    /// Examples of the set.
    pub examples: u64,
    /// Each reward of the recipe.
    pub rewards: Vec<Figure>,
    /// Their weighted sum.
    pub score: Figure,
    /// Groups of replies, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
    /// Examples without a reply.
    pub missing: Names,
    /// Replies to keys that the set has not.
    pub unknown: Names,
    /// Keys that the set has more than once.
    pub repeated: Names,
    /// Replies that could not be read.
    pub bad_replies: Names,
    /// Solutions that could not be read.
    pub bad_solutions: Names,
    /// Which examples have a reply, and which a group, by their positions.
    #[serde(skip)]
    seen: Vec<bool>,
    #[serde(skip)]
    grouped: Vec<bool>,
}

/// Mean of a reward.
#[derive(Serialize)]
pub struct Figure {
    /// The reward; none for the sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<Reward>,
    /// Mean over the replies.
    mean: f64,
    /// The most that can be earned.
    full: f64,
    /// Share of the replies that earned that.
    full_share: f64,
    #[serde(skip)]
    sum: f64,
    #[serde(skip)]
    full_count: u64,
}

/// Groups of replies to one key that stand together.
#[derive(Default, Serialize)]
pub struct Groups {
    /// How many.
    pub count: u64,
    /// Replies in the smallest.
    pub smallest: usize,
    /// Replies in the largest.
    pub largest: usize,
    /// Groups whose replies all score alike: they teach nothing.
    pub alike: u64,
    /// Keys that have more than one group.
    pub scattered: Names,
}

impl Figure {
    fn new(reward: Option<Reward>, full: f64) -> Self {
        Self { reward, mean: 0.0, full, full_share: 0.0, sum: 0.0, full_count: 0 }
    }

    fn add(&mut self, value: f64) {
        self.sum += value;
        self.full_count += u64::from(value >= self.full);
    }

    fn finish(&mut self, replies: u64) {
        let n = replies.max(1) as f64;
        (self.mean, self.full_share) = (self.sum / n, self.full_count as f64 / n);
    }

    fn line(&self) -> String {
        let name = self.reward.map_or("score", Reward::name);
        let (mean, full, share) = (self.mean, self.full, self.full_share * 100.0);
        format!("  {name:<18}{mean:>9.4} of {full:<5}{share:>8.2} % earn all of it\n")
    }
}

/// Marks a position and says whether it was marked before.
fn mark(marks: &mut Vec<bool>, position: u32) -> bool {
    let position = position as usize;
    if marks.len() <= position {
        marks.resize(position + 1, false);
    }
    std::mem::replace(&mut marks[position], true)
}

impl Summary {
    /// Nothing yet.
    pub fn new(recipe: &Recipe) -> Self {
        let rewards =
            recipe.rewards.iter().map(|w| Figure::new(Some(w.reward), w.reward.largest()));
        Self {
            replies: 0,
            examples: 0,
            rewards: rewards.collect(),
            score: Figure::new(None, recipe.full_marks()),
            groups: None,
            missing: Names::default(),
            unknown: Names::default(),
            repeated: Names::default(),
            bad_replies: Names::default(),
            bad_solutions: Names::default(),
            seen: Vec::new(),
            grouped: Vec::new(),
        }
    }

    /// Counts a reply to the example at this position.
    pub fn add(&mut self, position: u32, rewards: &Rewards) {
        self.replies += 1;
        mark(&mut self.seen, position);
        for (figure, (_, value)) in self.rewards.iter_mut().zip(&rewards.parts) {
            figure.add(*value);
        }
        self.score.add(rewards.total);
    }

    /// Counts a group of replies.
    pub fn add_group(&mut self, position: u32, key: &str, scores: &[f64]) {
        let again = mark(&mut self.grouped, position);
        let groups = self.groups.get_or_insert_default();
        let n = scores.len();
        groups.smallest = if groups.count == 0 { n } else { groups.smallest.min(n) };
        groups.largest = groups.largest.max(n);
        groups.count += 1;
        groups.alike += u64::from(scores.iter().all(|score| *score == scores[0]));
        if again {
            groups.scattered.push(|| key.to_owned());
        }
    }

    /// When all replies were counted.
    pub fn finish(&mut self, solutions: &Solutions) {
        self.examples = solutions.len() as u64;
        let figures = self.rewards.iter_mut().chain([&mut self.score]);
        figures.for_each(|figure| figure.finish(self.replies));
        self.seen.resize(solutions.len(), false);
        for (key, _) in solutions.keys().iter().zip(&self.seen).filter(|(_, seen)| !**seen) {
            self.missing.push(|| (*key).to_owned());
        }
    }

    /// Whether every example has a reply, and every line was one to an example.
    pub fn is_complete(&self) -> bool {
        let problems = [&self.missing, &self.unknown, &self.bad_replies, &self.bad_solutions];
        problems.iter().all(|names| names.count == 0)
    }

    /// For people.
    pub fn table(&self, title: &str) -> String {
        let mut text = format!("{title}\n");
        let replied = self.examples - self.missing.count;
        let [replies, examples] = [self.replies, self.examples];
        text.push_str(&format!("  {replies} replies to {replied} of {examples} examples\n"));
        for figure in self.rewards.iter().chain([&self.score]) {
            text.push_str(&figure.line());
        }
        if let Some(Groups { count, smallest, largest, alike, .. }) = &self.groups {
            text.push_str(&format!(
                "  {count} groups of {smallest} to {largest} replies; in {alike} all score alike\n"
            ));
        }
        text.trim_end().to_owned()
    }

    /// What a reader of the numbers must know, with the first few names.
    pub fn warnings(&self) -> Vec<String> {
        let nothing = Names::default();
        let scattered = self.groups.as_ref().map_or(&nothing, |groups| &groups.scattered);
        [
            (&self.missing, "examples have no reply"),
            (&self.unknown, "replies belong to no example and are not scored"),
            (&self.bad_replies, "replies could not be read and were skipped"),
            (&self.bad_solutions, "solutions could not be read and were skipped"),
            (&self.repeated, "keys stand in the set more than once; the first of each counts"),
            (scattered, "groups are of a key that had one before; sort the replies by key"),
        ]
        .into_iter()
        .filter(|(names, _)| names.count > 0)
        .map(|(names, what)| {
            let dots = if names.count > names.first.len() as u64 { ", ..." } else { "" };
            format!("warning: {} {what}: {}{dots}", names.count, names.first.join(", "))
        })
        .collect()
    }
}
