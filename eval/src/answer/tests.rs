use super::{Answer, Failure, Object, Parser, Repair};

const FRAME: [f64; 2] = [840.0, 840.0];

fn one(bbox: [f64; 4], points: &[[f64; 2]]) -> Vec<Object> {
    vec![Object { bbox: Some(bbox), points: points.to_vec() }]
}

const BOX: [f64; 4] = [0.0, 457.0, 374.0, 672.0];
const POINTS: [[f64; 2]; 2] = [[50.0, 592.0], [144.0, 601.0]];
const EXACT: &str = r#"{"bbox": [0,457,374,672], "points_1": [50,592], "points_2": [144,601]}"#;

fn seg_zero(text: &str) -> Result<Answer, Failure> {
    Parser::SegZero.read(text, FRAME)
}

/// `seg-zero.md` §3.1 and §5.2.
#[test]
fn seg_zero_reads_the_first_braces_wherever_they_are() {
    let reply = |answer: &str| format!("<think>a</think>\n<answer>{answer}</answer>");
    let found = seg_zero(&reply(EXACT)).unwrap();
    assert_eq!((found.objects, found.thinking.as_deref()), (one(BOX, &POINTS), Some("a")));
    for answer in [
        format!("[{EXACT}]"),
        format!("```json\n{EXACT}\n```"),
        EXACT.replace("bbox", "Bbox_2d").replace("points_1", "points 1"),
        EXACT.replace("[50,592]", r#"["50", " 592 "]"#),
        EXACT.replace("[50,592]", "[50.9, 592.2, 7]"),
        format!("{{}} {EXACT}"),
        EXACT.replace("{", r#"{"bbox": 1, "#),
    ] {
        let found = seg_zero(&reply(&answer)).unwrap();
        assert_eq!(found.objects, one(BOX, &POINTS), "{answer}");
    }
    let fails = |answer: &str| seg_zero(&reply(answer)).unwrap_err();
    assert_eq!(fails(&EXACT.replace('"', "'")), Failure::NotJson);
    assert_eq!(fails(&EXACT.replace("points_", "point_")), Failure::NoPoints);
    assert_eq!(fails(&EXACT.replace("672]", "672, 1]")), Failure::NoBox);
    assert_eq!(fails("{\"bbox\": [1,2,3,4]}"), Failure::NoPoints);
    assert_eq!(fails("none"), Failure::NoAnswer);
    assert_eq!(fails("{\"a\": {\"b\": 1}}"), Failure::NotJson);
    // An object in the thinking is taken for the answer; `<` in the thinking hides it.
    let hijacked = format!("<think>{{\"a\":1}}</think><answer>{EXACT}</answer>");
    assert_eq!(seg_zero(&hijacked), Err(Failure::NoBox));
    let hidden = format!("<think>a < b</think><answer>{EXACT}</answer>");
    assert_eq!(seg_zero(&hidden), Err(Failure::NoThinking));
    assert_eq!(seg_zero(EXACT), Err(Failure::NoThinking));
}

#[test]
fn vision_reasoner_reads_a_list_between_the_tags() {
    let text = concat!(
        "<think>two < three</think>\n<answer> [{\"bbox_2d\": [10,100,200,210], \"point_2d\": ",
        "[30,110]}, {\"bbox_2d\": [1,2,3.5,4,5], \"point_2d\": [6,7]}]\n</answer> more </answer>"
    );
    let found = Parser::VisionReasoner.read(text, FRAME).unwrap();
    assert_eq!(found.objects.len(), 2);
    assert_eq!(found.objects[1], one([1.0, 2.0, 3.5, 4.0], &[[6.0, 7.0]])[0]);
    assert_eq!(found.thinking, None);
    let fails = |answer: &str| {
        let text = format!("<answer>{answer}</answer>");
        Parser::VisionReasoner.read(&text, FRAME).unwrap_err()
    };
    assert_eq!(fails("```json\n[]\n```"), Failure::NotJson);
    assert_eq!(fails(r#"[{"bbox_2d": [1,2,3,4]}]"#), Failure::NoPoints);
    assert_eq!(fails(r#"[{"bbox_2d": [1,2,3], "point_2d": [1,2]}]"#), Failure::NoBox);
    assert_eq!(fails(r#"{"bbox_2d": [1,2,3,4], "point_2d": [1,2]}"#), Failure::NoBox);
    assert_eq!(Parser::VisionReasoner.read("[]", FRAME), Err(Failure::NoAnswer));
    let nothing = Parser::VisionReasoner.read("<answer>[]</answer>", FRAME).unwrap();
    assert_eq!(nothing.objects, []);
}

#[test]
fn readers_round_as_their_authors_do() {
    assert_eq!(Parser::SegZero.scaled(1.0, 2.5), 2.0);
    assert_eq!(Parser::SegZero.scaled(3.0, 0.5), 2.0);
    assert_eq!(Parser::VisionReasoner.scaled(1.0, 2.5), 3.0);
    assert_eq!(Parser::VisionReasoner.scaled(-1.0, 2.5), -2.0);
    assert_eq!(Parser::Robust.scaled(1.0, 2.5), 2.5);
}

/// What models write, what is meant by it, and what had to be repaired.
#[test]
fn the_robust_reader_gets_the_answer_out_of_what_models_write() {
    use Repair::{
        CutOff, NoThinking, NotJson, NumbersInText, OutOfFrame, OutsideAnswer, ReversedCorners,
        UnclosedTag,
    };
    let think = "<think>It is <the> dog.</think>";
    let cases: Vec<(String, &[Repair])> = vec![
        (format!("{think}<answer>{EXACT}</answer>"), &[]),
        (format!("{think}<answer>```json\n{EXACT}\n```</answer> as asked"), &[]),
        (format!("{think}<answer>{}</answer>", EXACT.replace('"', "'")), &[NotJson]),
        (format!("{think}<answer>{}</answer>", EXACT.replace('"', "")), &[NotJson]),
        (format!("{think}<answer>{}</answer>", EXACT.replace("601]}", "601],}")), &[NotJson]),
        (format!("{think}<answer>{}</answer>", EXACT.replace(", ", ", // next\n")), &[NotJson]),
        (format!("{think}{EXACT}"), &[OutsideAnswer]),
        (format!("{think}<answer>{EXACT}"), &[UnclosedTag]),
        (format!("<think>{{\"bbox\": [1,2,3,4]}} or </think><answer>{EXACT}</answer>"), &[]),
        (format!("{think}<answer>{{\"bbox\": [9,9,12,12]}} no, {EXACT}</answer>"), &[]),
        (format!("<answer>{EXACT}</answer>"), &[NoThinking]),
        (EXACT.to_owned(), &[NoThinking, OutsideAnswer]),
        (format!("hm</think><answer>{EXACT}</answer>"), &[UnclosedTag]),
        (format!("<think>hm<answer>{EXACT}</answer>"), &[UnclosedTag]),
        (
            format!("{think}<answer>{}</answer>", EXACT.replace("0,457,374,672", "374,672,0,457")),
            &[ReversedCorners],
        ),
        (
            format!("{think}<answer>{}", EXACT.trim_end_matches("]}")) + ", 3",
            &[UnclosedTag, CutOff],
        ),
        (
            format!(
                "{think}<answer><box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>\
                 </answer>"
            ),
            &[NumbersInText],
        ),
        (format!("{think}<answer>{}</answer>", EXACT.replace("[0,457", "[-3,457")), &[OutOfFrame]),
    ];
    for (text, repairs) in cases {
        let found = Parser::Robust.read(&text, FRAME).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(found.objects[0].bbox, Some(BOX), "{text}");
        assert_eq!(found.repairs, repairs, "{text}");
        if !repairs.contains(&CutOff) {
            assert_eq!(found.objects[0].points, POINTS, "{text}");
        }
    }
}

#[test]
fn several_objects_shares_and_nothing_at_all() {
    let read = |text: &str| Parser::Robust.read(text, [1000.0, 500.0]);
    let two = read(
        r#"<think>t</think><answer>[{"bbox_2d": [10,100,200,210], "point_2d": [30,110]},
           {"label": "cat"}, {"bbox_2d": [[1,2],[3,4]]}]</answer>"#,
    );
    let two = two.unwrap();
    assert_eq!(two.objects.len(), 2);
    assert_eq!(two.objects[1].bbox, Some([1.0, 2.0, 3.0, 4.0]));
    assert_eq!(two.repairs, [Repair::ObjectLeftOut]);
    let shares = read("<think>t</think><answer>[0.1, 0.2, 0.5, 0.8]</answer>").unwrap();
    assert_eq!(shares.objects, one([100.0, 100.0, 500.0, 400.0], &[]));
    assert_eq!(shares.repairs, [Repair::Normalised]);
    let named = read(r#"<think>t</think><answer>{"objects": [[1,2,30,40]]}</answer>"#).unwrap();
    assert_eq!(named.objects, one([1.0, 2.0, 30.0, 40.0], &[]));
    let quoted = read(r#"<think>t</think><answer>{"bbox": ["1", 2, "30", 40]}</answer>"#).unwrap();
    assert_eq!(quoted.objects, one([1.0, 2.0, 30.0, 40.0], &[]));
    assert_eq!(quoted.repairs, [Repair::NumbersAsText]);
    assert_eq!(read(" \n"), Err(Failure::Empty));
    assert_eq!(read("I see a dog."), Err(Failure::NoAnswer));
    assert_eq!(read("<think>t</think><answer>[]</answer>"), Err(Failure::NoObject));
    assert_eq!(read(r#"<answer>{"bbox": [1,2,3]}</answer>"#), Err(Failure::NoAnswer));
}

/// Every beginning of a reply, and replies of brackets without end, are read or refused.
#[test]
fn no_text_is_too_broken_to_be_read_or_refused() {
    let text = format!("<think>ä {{'a': [1</think><answer>[{EXACT}, {{bbox: (1,2)}}]</answer>");
    for (end, _) in text.char_indices() {
        for parser in [Parser::SegZero, Parser::VisionReasoner, Parser::Robust] {
            let _ = parser.read(&text[..end], FRAME);
            let _ = parser.read(&text[end..], FRAME);
        }
    }
    for unit in ["[", "{", "(", "{a:", "[{'", "\"", "<answer>", "`", "“"] {
        let _ = Parser::Robust.read(&unit.repeat(3000), FRAME);
    }
}
