//! What a model wrote, as boxes and points in pixels of the image.

use segzero_datasets::Size;

use super::AnswerFrame;
use crate::answer::Parser;

/// Boxes and points of a reply, in pixels of the image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reply {
    pub boxes: Vec<[f64; 4]>,
    pub points: Vec<[f64; 2]>,
}

/// Reads a reply about an image of this size as its authors do, and else as well as it goes; `None`
/// where it holds no answer.
pub(super) fn read(text: &str, frame: AnswerFrame, size: Size) -> Option<Reply> {
    let native = [size.width, size.height].map(f64::from);
    let seen = match frame {
        AnswerFrame::Native => native,
        AnswerFrame::Square840 => [840.0; 2],
    };
    let parsers = [Parser::VisionReasoner, Parser::SegZero, Parser::Robust];
    let read = |parser: Parser| Some((parser, parser.read(text, seen).ok()?));
    let (parser, answer) = parsers.into_iter().find_map(read)?;
    let scale = |i: usize, x: f64| parser.scaled(x, native[i % 2] / seen[i % 2]);
    let mut reply = Reply::default();
    for object in answer.objects {
        let bbox = object.bbox.map(|bbox| std::array::from_fn(|i| scale(i, bbox[i])));
        reply.boxes.extend(bbox);
        let points = object.points.iter().map(|point| std::array::from_fn(|i| scale(i, point[i])));
        reply.points.extend(points);
    }
    Some(reply)
}
