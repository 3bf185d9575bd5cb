//! What a model is asked: the published templates, byte for byte, and one's own.
//!
//! Sources: Seg-Zero's and VisionReasoner's training, evaluation and inference scripts, and Figure 4 of
//! arXiv 2503.06520. The published texts have no space between their sentences, and Seg-Zero's example
//! of an answer is not JSON; that is how the published models were trained.

use serde::{Deserialize, Serialize};

use crate::answer::Parser;

/// A published way to ask for what a text names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PromptStyle {
    /// Seg-Zero: one box and two points. In training, evaluation and inference alike.
    #[default]
    SegZero,
    /// Seg-Zero as Figure 4 of the paper prints it: with spaces, and with "center".
    SegZeroPaper,
    /// VisionReasoner: any number of boxes with a point each.
    VisionReasoner,
    /// The Qwen2.5-VL baseline of VisionReasoner's evaluation: boxes only.
    QwenBox,
}

/// Where the question stands in a template.
pub const QUESTION: &str = "{question}";

const THINK: &str = "Output the thinking process in <think> </think> and final answer in <answer> \
                     </answer> tags.";
const EXAMPLE: &str = "i.e., <think> thinking process here </think><answer>";
const ONE: &str = "{'bbox': [10,100,200,210], 'points_1': [30,110], 'points_2': [35,180]}</answer>";
const MANY: &str = "[{\"bbox_2d\": [10,100,200,210], \"point_2d\": [30,110]}, \
                    {\"bbox_2d\": [225,296,706,786], \"point_2d\": [302,410]}]</answer>";

impl PromptStyle {
    /// The template, with [`QUESTION`] where the question goes.
    pub fn template(self) -> String {
        match self {
            Self::SegZero => format!(
                "Please find '{QUESTION}' with bbox and points.Compare the difference between \
                 objects and find the most closely matched one.{THINK}Output the one bbox and \
                 points of two largest inscribed circles inside the interested object in JSON \
                 format.{EXAMPLE}{ONE}"
            ),
            Self::SegZeroPaper => format!(
                "Please find '{QUESTION}' with bbox and points. Compare the difference between \
                 objects and find the most closely matched one. {THINK} Output the one bbox and \
                 center points of two largest inscribed circles inside the interested object in \
                 JSON format. {EXAMPLE}{ONE}"
            ),
            Self::VisionReasoner => format!(
                "Please find \"{QUESTION}\" with bboxs and points.Compare the difference between \
                 object(s) and find the most closely matched object(s).{THINK}Output the bbox(es) \
                 and point(s) inside the interested object(s) in JSON format.{EXAMPLE}{MANY}"
            ),
            Self::QwenBox => {
                format!("Locate \"{QUESTION}\", report the bboxes coordinates in JSON format.")
            }
        }
    }

    /// The question as the published scripts put it into the template.
    pub fn normalised(self, question: &str) -> String {
        match self {
            Self::SegZero | Self::SegZeroPaper => {
                question.to_lowercase().trim_matches('.').to_owned()
            }
            Self::VisionReasoner | Self::QwenBox => {
                question.to_lowercase().trim_matches(['.', '"', '?', '!']).to_owned()
            }
        }
    }

    /// The text for a question.
    pub fn text(self, question: &str) -> String {
        filled(&self.template(), &self.normalised(question))
    }

    /// Who reads the replies in the published evaluation.
    pub fn reference_parser(self) -> Parser {
        match self {
            Self::SegZero | Self::SegZeroPaper => Parser::SegZero,
            Self::VisionReasoner => Parser::VisionReasoner,
            Self::QwenBox => Parser::Robust,
        }
    }
}

/// A template with its question.
pub fn filled(template: &str, question: &str) -> String {
    template.replace(QUESTION, question)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole texts, as the published scripts put them together (`seg-zero.md` §2).
    #[test]
    fn published_prompts_are_these_bytes() {
        assert_eq!(
            PromptStyle::SegZero.text("The Dog, lying down..."),
            "Please find 'the dog, lying down' with bbox and points.Compare the difference between \
             objects and find the most closely matched one.Output the thinking process in <think> \
             </think> and final answer in <answer> </answer> tags.Output the one bbox and points of \
             two largest inscribed circles inside the interested object in JSON format.i.e., <think> \
             thinking process here </think><answer>{'bbox': [10,100,200,210], 'points_1': [30,110], \
             'points_2': [35,180]}</answer>"
        );
        assert_eq!(
            PromptStyle::VisionReasoner.text("\"Who is it?!\""),
            "Please find \"who is it\" with bboxs and points.Compare the difference between \
             object(s) and find the most closely matched object(s).Output the thinking process in \
             <think> </think> and final answer in <answer> </answer> tags.Output the bbox(es) and \
             point(s) inside the interested object(s) in JSON format.i.e., <think> thinking process \
             here </think><answer>[{\"bbox_2d\": [10,100,200,210], \"point_2d\": [30,110]}, \
             {\"bbox_2d\": [225,296,706,786], \"point_2d\": [302,410]}]</answer>"
        );
        assert_eq!(
            PromptStyle::QwenBox.text("A cup."),
            "Locate \"a cup\", report the bboxes coordinates in JSON format."
        );
        let paper = PromptStyle::SegZeroPaper.text("a.b.");
        assert!(paper.contains("'a.b' with bbox and points. Compare"));
        assert!(paper.contains("one bbox and center points of two largest inscribed circles"));
    }

    /// A question that looks like a placeholder stays one.
    #[test]
    fn a_question_is_put_in_once() {
        assert_eq!(filled("find {question}!", "a {question}"), "find a {question}!");
    }
}
