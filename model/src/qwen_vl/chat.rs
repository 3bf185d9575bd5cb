//! Messages to the text that a model was trained on, by the template that is published with it.
//!
//! Templates are written in Jinja for `apply_chat_template` of transformers; the environment here
//! gives them what they find there: blocks trimmed, Python's methods, `tojson`, `raise_exception`,
//! `strftime_now`, `{% generation %}`, and the tokenizer's special tokens by name.

use super::InputError;
use crate::json::Fields;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error as JinjaError, ErrorKind as JinjaErrorKind};
use segzero_datasets::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The one who sets the rules. Qwen's templates put in "You are a helpful assistant." where the
    /// first message is not of this role.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said and shown.
    pub content: Content,
}

/// What a message holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Words alone.
    Text(String),
    /// Words and pictures, in the order in which the model is to read them.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// The place of an image; the images themselves are given beside the chat, in order.
    Image,
    /// The place of a video.
    Video,
}

impl Message {
    /// A question of the user about images, which come first, as Seg-Zero asks.
    pub fn question(images: usize, text: impl Into<String>) -> Self {
        let mut parts = vec![Part::Image; images];
        parts.push(Part::Text { text: text.into() });
        Self { role: Role::User, content: Content::Parts(parts) }
    }
}

/// What else a template is told. The names and defaults are those of transformers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChatOptions {
    /// Open the assistant's message at the end, so that the model goes on with the answer.
    pub add_generation_prompt: bool,
    /// Write "Picture 1: " before the first image, and so on.
    pub add_vision_id: bool,
}

/// A model's chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// The file that it was read from, for errors.
    path: PathBuf,
    /// `bos_token`, `eos_token` and the like, as far as the tokenizer has them.
    special_tokens: BTreeMap<&'static str, String>,
}

/// The one name in our environment.
const NAME: &str = "chat";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

impl ChatTemplate {
    /// Reads `chat_template.jinja` of a model folder, or else `chat_template` in
    /// `chat_template.json` or `tokenizer_config.json`.
    ///
    /// # Errors
    /// When there is none, or it is not valid Jinja. Nothing is put in its place: a model answers
    /// badly, and does not say so, when it is asked in a form that it was not trained on.
    pub fn load(folder: &Path) -> Result<Self, InputError> {
        let (source, path) = find(folder)?;
        let mut environment = environment().map_err(|error| of_template(&path, &error))?;
        environment
            .add_template_owned(NAME, plain_blocks(&source))
            .map_err(|error| of_template(&path, &error))?;
        Ok(Self { environment, path, special_tokens: special_tokens(folder)? })
    }

    /// The text of a chat: of [`Message`]s, or of whatever else the template understands, as
    /// `serde_json` has it.
    ///
    /// # Errors
    /// When the template refuses the messages (`raise_exception`) or cannot deal with them.
    pub fn render<M: Serialize>(
        &self,
        messages: &[M],
        options: ChatOptions,
    ) -> Result<String, InputError> {
        let context = Context {
            messages,
            tools: None,
            documents: None,
            options,
            special_tokens: &self.special_tokens,
        };
        let template = self.environment.get_template(NAME);
        let rendered = template.and_then(|t| t.render(Serde(&context)));
        rendered.map_err(|error| of_template(&self.path, &error))
    }
}

#[derive(Serialize)]
struct Context<'a, M> {
    messages: &'a [M],
    tools: Option<()>,
    documents: Option<()>,
    #[serde(flatten)]
    options: ChatOptions,
    #[serde(flatten)]
    special_tokens: &'a BTreeMap<&'static str, String>,
}

/// The template's source and the file that it stands in.
fn find(folder: &Path) -> Result<(String, PathBuf), InputError> {
    let path = folder.join("chat_template.jinja");
    if path.exists() {
        let source = std::fs::read_to_string(&path).map_err(|error| Error::new(&path, error))?;
        return Ok((source, path));
    }
    for name in ["chat_template.json", TOKENIZER_CONFIG] {
        let path = folder.join(name);
        if path.exists()
            && let Some(published) = Fields::read(&path)?.get("chat_template")?
        {
            return Ok((default_of(published, &path)?, path));
        }
    }
    let what = "a chat template (`chat_template.jinja`, `chat_template.json`, or \
                `chat_template` in `tokenizer_config.json`)";
    let error = Error::new(folder, ErrorKind::Missing { what: what.to_owned() });
    Err(InputError::folder(error, "copy it from the model that this one was trained from"))
}

/// One template, or several by name, of which `default` is for chats.
#[derive(Deserialize)]
#[serde(untagged)]
enum Published {
    One(String),
    Named(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

fn default_of(published: Published, path: &Path) -> Result<String, Error> {
    match published {
        Published::One(source) => Ok(source),
        Published::Named(templates) => {
            let default = templates.into_iter().find(|named| named.name == "default");
            default.map(|named| named.template).ok_or_else(|| {
                let what = "the template named `default`".to_owned();
                Error::new(path, ErrorKind::Missing { what }).field("chat_template")
            })
        }
    }
}

/// A token's name in `tokenizer_config.json`: as it is, or with its settings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Plain(String),
    Full { content: String },
}

fn special_tokens(folder: &Path) -> Result<BTreeMap<&'static str, String>, Error> {
    let path = folder.join(TOKENIZER_CONFIG);
    let mut tokens = BTreeMap::new();
    if !path.exists() {
        return Ok(tokens);
    }
    let fields = Fields::read(&path)?;
    for name in ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token"] {
        match fields.get(name)? {
            Some(Token::Plain(content) | Token::Full { content }) => tokens.insert(name, content),
            None => None,
        };
    }
    Ok(tokens)
}

fn environment() -> Result<Environment<'static>, JinjaError> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(|out, state, value| match bool::try_from(value.clone()) {
        Ok(truth) => Ok(out.write_str(if truth { "True" } else { "False" })?),
        Err(_) if value.is_none() => Ok(out.write_str("None")?),
        Err(_) => minijinja::escape_formatter(out, state, value),
    });
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", |message: String| -> Result<Value, JinjaError> {
        Err(JinjaError::new(JinjaErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", strftime_now);
    Ok(environment)
}

/// Transformers marks with `{% generation %}` what the model says itself, for training. It has no
/// effect on the text, so it becomes a block that has none.
fn plain_blocks(source: &str) -> String {
    let mut pieces = source.split("{%");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (tag, rest) = piece.split_at(piece.find("%}").unwrap_or(0));
        let word = tag.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        plain.push_str("{%");
        match word {
            "generation" => plain.push_str(&tag.replace(word, "if true")),
            "endgeneration" => plain.push_str(&tag.replace(word, "endif")),
            _ => plain.push_str(tag),
        }
        plain.push_str(rest);
    }
    plain
}

/// `json.dumps(value, ensure_ascii=False, indent=indent)`: Jinja's own would escape for HTML.
fn tojson(value: &Value, options: Kwargs) -> Result<String, JinjaError> {
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut out = Vec::new();
    let written = match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut out, PythonFormatter)),
        Some(width) => {
            let indent = " ".repeat(width);
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut out, formatter))
        }
    };
    let broken = |text: String| JinjaError::new(JinjaErrorKind::BadSerialization, text);
    written.map_err(|error| broken(error.to_string()))?;
    String::from_utf8(out).map_err(|error| broken(error.to_string()))
}

/// A space after commas and colons.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

/// The local time by a format of `strftime`.
fn strftime_now(format: &str) -> Result<String, JinjaError> {
    let mut text = String::new();
    match write!(text, "{}", chrono::Local::now().format(format)) {
        Ok(()) => Ok(text),
        Err(_) => {
            let message = format!("`{format}` is no format of a time");
            Err(JinjaError::new(JinjaErrorKind::InvalidOperation, message))
        }
    }
}

fn of_template(path: &Path, error: &JinjaError) -> InputError {
    let reason = error.detail().map_or_else(|| error.to_string(), str::to_owned);
    InputError::Template { path: path.to_owned(), line: error.line(), reason }
}
