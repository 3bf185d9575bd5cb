//! The accuracy of VQA (Antol et al., ICCV 2015; Goyal et al., CVPR 2017), as TextVQA (Singh et al.,
//! CVPR 2019) and its challenge score it: answers are brought into a common spelling, and one counts
//! in full when three of the ten people gave it.
//!
//! The spelling rules are those of the challenge's evaluator, oddities included, because published
//! numbers depend on them; its tests in `tests/fixtures/vqa` state them a second time.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Number of people who answered each question.
pub const PEOPLE: usize = 10;

/// Full credit. Each of ten subsets of nine people grants up to three thirds, so credit comes in
/// thirtieths.
pub const FULL_CREDIT: u64 = 30;

/// Credit of an answer, out of [`FULL_CREDIT`]: over the ten ways to leave one person out, the mean
/// of `min(1, matches / 3)` among the others.
pub fn credit(answer: &str, people: &[String; PEOPLE]) -> u64 {
    let answer = spelled(answer);
    let matches = people.iter().filter(|person| spelled(person) == answer).count() as u64;
    // Leaving out somebody who agrees leaves one match less.
    let agreeing = matches * matches.saturating_sub(1).min(3);
    agreeing + (PEOPLE as u64 - matches) * matches.min(3)
}

const PUNCTUATION: &str = ";/[]\"{}()=+\\_-><@`,?!";

/// An answer in the spelling in which answers are compared.
pub fn spelled(answer: &str) -> String {
    let text = answer.to_lowercase().replace([',', '?'], "").replace("'s", " 's");
    let text = text.trim_matches(is_space).replace(['\n', '\t'], " ");
    let text = without_periods(&without_punctuation(text.trim_matches(is_space)));
    let words = text.split(is_space).filter(|word| !word.is_empty()).map(digit);
    let words = words.filter(|word| !["a", "an", "the"].contains(word));
    let words = words.map(|word| CONTRACTIONS.get(word).map_or(word, |whole| whole));
    words.collect::<Vec<_>>().join(" ")
}

/// White space as Python sees it, which the separators of ASCII are too.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// A sign that stands beside a blank anywhere in the text vanishes everywhere in it; any other
/// becomes a blank.
fn without_punctuation(text: &str) -> String {
    let mut cleaned = text.to_owned();
    for sign in PUNCTUATION.chars() {
        let beside_blank = text.contains(&format!("{sign} ")) || text.contains(&format!(" {sign}"));
        cleaned = cleaned.replace(sign, if beside_blank { "" } else { " " });
    }
    cleaned
}

/// Without the periods that no digit follows, or the first 32 of them: the evaluator passes a flag
/// of that value where its library takes a count.
fn without_periods(text: &str) -> String {
    let mut left = 32;
    let mut characters = text.chars().peekable();
    let mut kept = String::with_capacity(text.len());
    while let Some(c) = characters.next() {
        let is_inside_number = characters.peek().is_some_and(char::is_ascii_digit);
        if c == '.' && !is_inside_number && left > 0 {
            left -= 1;
        } else {
            kept.push(c);
        }
    }
    kept
}

/// Number words up to ten as digits.
fn digit(word: &str) -> &str {
    match word {
        "none" | "zero" => "0",
        "one" => "1",
        "two" => "2",
        "three" => "3",
        "four" => "4",
        "five" => "5",
        "six" => "6",
        "seven" => "7",
        "eight" => "8",
        "nine" => "9",
        "ten" => "10",
        other => other,
    }
}

/// The contractions that are mended where one apostrophe is missing.
const WHOLE: &str = "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't \
    hadn't've hasn't haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am \
    mightn't mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't \
    she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd \
    someone'd've someone'll someone's something'd something'd've something'll that's there'd \
    there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've \
    weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll \
    who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've \
    you'd you'd've you'll you're you've";

/// What to write for a word: the contractions by their misspellings.
static CONTRACTIONS: LazyLock<HashMap<String, &str>> = LazyLock::new(|| {
    let misspelled = |whole: &'static str| {
        let apostrophes = whole.match_indices('\'');
        apostrophes.map(move |(at, _)| ([&whole[..at], &whole[at + 1..]].concat(), whole))
    };
    let mut words: HashMap<String, &str> = WHOLE.split_whitespace().flat_map(misspelled).collect();
    // The one entry of the evaluator's list that is the wrong way round.
    words.insert("somebody'd".to_owned(), "somebodyd");
    words
});
