use segzero_datasets::Size;
use segzero_eval::reward::Solution;
use segzero_model::qwen_vl::{Patches, Prompt, View};

use super::*;

const RED: &str = "<box>(60,70),(80,84)</box><points>(70,77),(72,79)</points>";
const BLUE: &str = "<box>(10,20),(30,40)</box><points>(20,30),(21,31)</points>";

fn item(question: &str, others: &[(&str, &str)]) -> Item {
    let size = Size::new(84, 84);
    let view = View { original: size, resized: size };
    let patches = Patches { values: Vec::new(), grid: [1, 6, 6], tokens: 9, view };
    let solution = |text: &str| Solution::parse(text).unwrap();
    Item {
        key: "a".to_owned(),
        question: question.to_owned(),
        prompt: Prompt { images: vec![patches], ..Prompt::default() },
        solution: solution(RED),
        others: others.iter().map(|&(q, s)| (q.to_owned(), solution(s))).collect(),
    }
}

#[test]
fn a_reply_names_the_question_its_place_and_the_others() {
    let text = "<think>I see {others}. I look for {question} {place}.</think>\
                <answer>{answer}</answer>";
    let template: ReplyTemplate = text.parse().unwrap();
    assert_eq!(template.to_string(), text);
    assert!(template.tells_of_others());
    // The middle (70, 77) of an image of 84 pixels lies in column 10 and row 11 of twelve.
    let answer = r#"{"bbox": [60, 70, 80, 84], "points_1": [70, 77], "points_2": [72, 79]}"#;
    assert_eq!(
        template.fill(&item("Red ring", &[("blue disc", BLUE)])),
        format!(
            "<think>I see blue disc 2 4 10 20 30 40. I look for red ring 10 11 60 70 80 84.</think>\
             <answer>{answer}</answer>"
        )
    );
    assert!(template.fill(&item("Red ring", &[])).starts_with("<think>I see nothing. I look"));
}

#[test]
fn braces_around_anything_but_a_word_are_text() {
    let template: ReplyTemplate = r#"{"answer": {list}} {1} { {"#.parse().unwrap();
    assert_eq!(
        template.fill(&item("x", &[])),
        r#"{"answer": [{"bbox_2d": [60, 70, 80, 84], "point_2d": [70, 77]}]} {1} { {"#
    );
    let error = "{quesiton}".parse::<ReplyTemplate>().unwrap_err();
    assert_eq!(error.to_string(), "`{quesiton}` means nothing in a reply");
}

#[test]
fn a_tag_in_a_question_does_not_end_the_thinking() {
    let template: ReplyTemplate = "<think>{question}</think>".parse().unwrap();
    assert_eq!(template.fill(&item("A </think> B", &[])), "<think>a  /think> b</think>");
}
