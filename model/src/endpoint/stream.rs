//! What comes back piece by piece: server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), each with JSON in it, the last
//! one `[DONE]`. Servers that do not stream send one JSON object instead, whatever type they give it.

use std::ops::ControlFlow;

use super::answer::{self, Completion, Text};
use super::{Choice, Failure};

type Show<'a> = &'a mut dyn FnMut(&str) -> ControlFlow<()>;

/// A reply as it streams.
#[derive(Default)]
pub(super) struct Streamed {
    /// What came and is no whole line yet; all of it where this is no stream of events.
    pending: Vec<u8>,
    /// Bytes of that which hold no end of a line.
    searched: usize,
    is_json: bool,
    /// Data of the event that is not complete.
    event: String,
    events: usize,
    reply: Text,
    finish_reason: Option<String>,
    has_come: bool,
    is_done: bool,
    is_stopped: bool,
}

impl Streamed {
    /// Takes in what came, wherever it was cut. Breaks when nothing more is wanted.
    pub fn push(&mut self, bytes: &[u8], show: Show) -> Result<ControlFlow<()>, Failure> {
        self.has_come |= !bytes.is_empty();
        let bytes = match self.pending.is_empty() && self.event.is_empty() && self.events == 0 {
            true => bytes.trim_ascii_start(),
            false => bytes,
        };
        self.is_json |= self.pending.is_empty() && self.events == 0 && bytes.first() == Some(&b'{');
        self.pending.extend(bytes);
        while !self.is_json
            && let Some(line) = self.line()
        {
            self.read(&line, show)?;
            if self.is_done || self.is_stopped {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether the model has ended its reply; more can only be counts.
    pub fn is_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// The reply, when nothing more will come.
    pub fn finish(mut self, show: Show) -> Result<Choice, Failure> {
        if self.is_json {
            return whole(&self.pending, show);
        }
        if !self.is_done && !self.is_stopped {
            // The last line may lack its end, the last event the empty line behind it.
            let rest = std::mem::take(&mut self.pending);
            self.read(&rest, show)?;
            self.dispatch(show)?;
        }
        let is_complete = self.is_done || self.is_stopped || self.is_finished();
        if self.events == 0 && !is_complete {
            let what = if self.has_come { "it sent no completion" } else { "it sent nothing" };
            return Err(Failure::Malformed(what.to_owned()));
        }
        if !is_complete {
            let what = "the stream ended before the reply did".to_owned();
            return Err(Failure::CutConnection(what));
        }
        if self.reply.text.trim().is_empty() && !self.is_stopped {
            return Err(Failure::Empty(answer::empty(self.finish_reason.as_deref())));
        }
        let finish_reason = self.finish_reason.filter(|_| !self.is_stopped);
        Ok(Choice { text: self.reply.text, finish_reason })
    }

    /// The next line, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = self.pending[self.searched..].iter().position(|&byte| byte == b'\n') else {
            self.searched = self.pending.len();
            return None;
        };
        let line = self.pending.drain(..=self.searched + end).collect();
        self.searched = 0;
        Some(line)
    }

    fn read(&mut self, line: &[u8], show: Show) -> Result<(), Failure> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return self.dispatch(show);
        }
        // Other fields name events, or are comments that keep the connection alive.
        let Some(data) = line.strip_prefix("data:") else { return Ok(()) };
        if data.trim() == "[DONE]" {
            self.dispatch(show)?;
            self.is_done = true;
        } else {
            self.event += data;
            self.event.push('\n');
        }
        Ok(())
    }

    /// Reads a complete event; several in one, from servers that leave out the empty lines.
    fn dispatch(&mut self, show: Show) -> Result<(), Failure> {
        let event = std::mem::take(&mut self.event);
        for completion in serde_json::Deserializer::from_str(&event).into_iter::<Completion>() {
            let completion = completion.map_err(|e| answer::malformed(event.as_bytes(), &e))?;
            self.events += 1;
            for mut choice in completion.into_choices()?.into_iter().filter(|c| c.index() == 0) {
                if let Some(reason) = choice.finish_reason.take() {
                    self.finish_reason = Some(reason);
                }
                let piece = self.reply.push(choice);
                if !piece.is_empty() && show(piece).is_break() {
                    self.is_stopped = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A reply that did not stream, shown at once.
fn whole(bytes: &[u8], show: Show) -> Result<Choice, Failure> {
    let choices = answer::choices(bytes)?;
    let first = choices.into_iter().next();
    let choice = first.ok_or_else(|| Failure::Empty("no choice".to_owned()))?;
    let shown = show(&choice.text);
    Ok(Choice { finish_reason: choice.finish_reason.filter(|_| shown.is_continue()), ..choice })
}
