//! The images of a page: inside it, or beside it.

use std::path::Path;

use rayon::prelude::*;

use crate::frame::{PageError, save};
use crate::preview::Picture;

/// Where the images of a page are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Images {
    /// Inside it up to [`Images::INLINE_LIMIT`] bytes together, beside it beyond.
    #[default]
    Auto,
    /// Inside it, as data URIs.
    Inline,
    /// In a folder beside it, named after it.
    Beside,
}

impl Images {
    /// Bytes of JPEG that a browser still opens quickly.
    pub const INLINE_LIMIT: usize = 48 << 20;
}

/// Puts pictures where they belong; the address of each, for the page at `page`. Those beside it are
/// in the folder `NAME_suffix` of a page `NAME.html`.
pub(crate) fn place(
    pictures: &[Picture],
    images: Images,
    page: &Path,
    suffix: &str,
) -> Result<Vec<String>, PageError> {
    let total: usize = pictures.iter().map(|picture| picture.jpeg.len()).sum();
    let inline = match images {
        Images::Auto => total <= Images::INLINE_LIMIT,
        Images::Inline => true,
        Images::Beside => false,
    };
    match inline {
        true => Ok(pictures.iter().map(|picture| data_uri(&picture.jpeg)).collect()),
        false => write_beside(page, pictures, suffix),
    }
}

/// An image as an address.
pub(crate) fn data_uri(jpeg: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", base64(jpeg))
}

/// RFC 4648 base64, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let index = (bits >> (18 - 6 * i)) & 63;
            text.push(if i <= group.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    text
}

/// Writes images to a folder beside the page; their relative addresses.
fn write_beside(page: &Path, pictures: &[Picture], suffix: &str) -> Result<Vec<String>, PageError> {
    let stem = page.file_stem().map_or("page".into(), |stem| stem.to_string_lossy());
    let name = format!("{stem}_{suffix}");
    let folder = page.with_file_name(&name);
    std::fs::create_dir_all(&folder)
        .map_err(|source| PageError::Write { path: folder.clone(), source })?;
    let file = |index: usize| format!("{index:06}.jpg");
    // Side by side, because each waits for the disk.
    let write =
        |(index, picture): (usize, &Picture)| save(&folder.join(file(index)), &picture.jpeg);
    pictures.par_iter().enumerate().try_for_each(write)?;
    let name = url_escape(&name);
    Ok((0..pictures.len()).map(|index| format!("{name}/{}", file(index))).collect())
}

/// A path segment of an address.
fn url_escape(segment: &str) -> String {
    let mut escaped = String::new();
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
