//! What every page shares: its frame, and how others' texts go into it.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// What the scripts of reports share: elements, the switch of colours, the pages of a gallery.
pub(crate) const COMMON: &str = include_str!("common.js");

/// A page that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A file cannot be written.
    #[error("could not write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The data cannot be put into the page.
    #[error("could not write the page's data: {0}")]
    Data(#[from] serde_json::Error),
}

/// A page's frame with every `{{name}}` replaced. One pass, so that nothing in what is put in is taken
/// for a placeholder.
pub(crate) fn filled<'a>(frame: &'a str, part: impl Fn(&str) -> &'a str) -> String {
    let mut page = String::with_capacity(frame.len());
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let Some((name, after)) = after.split_once("}}") else { break };
        page.push_str(part(name));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// JSON for a script element, which only `<` could end; the others are for old parsers.
pub(crate) fn json_in_script(data: &impl Serialize) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string(data)?;
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

/// Text that is safe between tags, and inside quotes of an attribute.
pub(crate) fn escape(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;").replace('\'', "&#39;")
}

/// Writes a file whole.
pub(crate) fn save(path: &Path, bytes: &[u8]) -> Result<(), PageError> {
    crate::write_whole(path, |out| out.write_all(bytes))
        .map_err(|source| PageError::Write { path: path.to_owned(), source })
}
