//! Chats to text, against `apply_chat_template` of transformers, which is Jinja in Python. All
//! comparisons are exact.
#![allow(clippy::unwrap_used)] // a broken fixture should fail the test

use segzero_datasets::Size;
use segzero_model::qwen_vl::{
    ChatOptions, ChatTemplate, Content, IMAGE_PAD, Message, Part, Prompter, Role,
};
use segzero_prep::image::Rgb;
use segzero_test_support::{fixture, shared_data};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

fn fixtures(path: &str) -> PathBuf {
    fixture(env!("CARGO_MANIFEST_DIR"), path)
}

fn template(source: &str) -> ChatTemplate {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chat_template.jinja"), source).unwrap();
    ChatTemplate::load(folder.path()).unwrap()
}

fn render(source: &str, messages: &[Value]) -> Result<String, String> {
    let rendered = template(source).render(messages, ChatOptions::default());
    rendered.map_err(|error| error.to_string())
}

#[test]
fn chats_equal_transformers() {
    #[derive(Deserialize)]
    struct Expected {
        chats: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        messages: Vec<Value>,
        add_generation_prompt: bool,
        add_vision_id: bool,
        rendered: String,
    }
    let Some(data) = shared_data() else { return };
    let template = ChatTemplate::load(&data.join("tokenizer-qwen2.5-vl")).unwrap();
    let bytes = std::fs::read(fixtures("qwen_vl/tokenizer/expected.json")).unwrap();
    let expected: Expected = serde_json::from_slice(&bytes).unwrap();
    assert!(expected.chats.len() > 50);
    let mut typed = 0;
    for case in expected.chats {
        let Case { messages, add_generation_prompt, add_vision_id, rendered } = case;
        let options = ChatOptions { add_generation_prompt, add_vision_id };
        assert_eq!(template.render(&messages, options).unwrap(), rendered, "{messages:?}");
        let ours: Result<Vec<Message>, _> = serde_json::from_value(json!(messages));
        if let Ok(messages) = ours {
            assert_eq!(template.render(&messages, options).unwrap(), rendered, "{messages:?}");
            typed += 1;
        }
    }
    assert!(typed > 30, "{typed} chats of the usual roles and parts");
}

/// Expectations are what `jinja2` 3.1.6 gives in the environment of transformers 5.23.
#[test]
fn templates_find_what_transformers_gives_them() {
    // Keys in alphabetical order, in which `serde_json` keeps them.
    let message = json!({"content": "Grüße <b> & 'x'\n", "n": [1, 2.5, null, {}], "role": "user"});
    let messages = [message];
    let cases = [
        (
            "{{ messages[0] | tojson }}",
            r#"{"content": "Grüße <b> & 'x'\n", "n": [1, 2.5, null, {}], "role": "user"}"#,
        ),
        ("{{ messages[0].n | tojson(indent=2) }}", "[\n  1,\n  2.5,\n  null,\n  {}\n]"),
        ("  {% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb"),
        ("{%- if true -%}\n a \n{%- endif -%}\n", "a"),
        ("{{ messages[0].content.strip().split(' ')[0].startswith('Gr') }}", "True"),
        ("{{ messages[0]['absent'] is defined }}{{ absent }}{{ tools is none }}", "FalseTrue"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("a{% generation %}b{%- endgeneration %}\nc", "abc"),
        ("{{ raise_exception is defined }}{{ strftime_now('%%') }}", "True%"),
        ("{{ add_generation_prompt }}{{ add_vision_id }}", "FalseFalse"),
        ("{{ none }} {{ 4 / 2 }} {{ 7 // 2 }} {{ 1.0 }}|{{ 'a' if false }}", "None 2.0 3 1.0|"),
        (
            "{{ 'abc'[1:] }} {{ messages[0].get('absent', 'd') }} {{ 'x,y'.split(',') | last }}",
            "bc d y",
        ),
        (
            "{{ dict(a=1) | tojson }}{{ messages[0].items() | map('first') | join(',') }}",
            "{\"a\": 1}content,n,role",
        ),
        ("{{- '\\n' + 'x' | trim }}{{ messages[0].n is not mapping }}", "\nxTrue"),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "1",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(render(source, &messages).unwrap(), expected, "{source}");
    }
    let year = render("{{ strftime_now('%Y-%m-%d') }}", &messages).unwrap();
    assert!(year.len() == 10 && year.as_bytes()[4] == b'-', "{year}");
}

#[test]
fn what_a_template_refuses_is_said_in_its_words() {
    let error = render("{{ raise_exception('only users may speak') }}", &[]).unwrap_err();
    assert!(error.contains("chat_template.jinja") && error.contains("line 1"), "{error}");
    assert!(error.ends_with("only users may speak"), "{error}");
    let error = render("\n{{ messages[0].content.frobnicate() }}", &[json!({"content": "x"})]);
    assert!(error.unwrap_err().contains("line 2"));
    assert!(render("{{ strftime_now('%!') }}", &[]).unwrap_err().contains("no format"));
}

#[test]
fn a_template_is_looked_for_where_transformers_looks() {
    let folder = tempfile::tempdir().unwrap();
    let rendered = || {
        let template = ChatTemplate::load(folder.path());
        template
            .map(|template| template.render(&[Message::question(0, "x")], ChatOptions::default()))
    };
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let absent = ChatTemplate::load(folder.path()).err().unwrap();
    assert!(absent.to_string().contains("chat_template.jinja"), "{absent}");
    assert!(absent.hint().unwrap().contains("copy it"));

    write("tokenizer_config.json", r#"{"chat_template": null}"#);
    assert!(rendered().is_err());
    let named = r#"{"chat_template": [{"name": "tools", "template": "t"},
        {"name": "default", "template": "named {{ eos_token }}"}], "eos_token": {"content": "<e>"}}"#;
    write("tokenizer_config.json", named);
    assert_eq!(rendered().unwrap().unwrap(), "named <e>");
    write("chat_template.json", r#"{"chat_template": "json {{ bos_token }}"}"#);
    assert_eq!(rendered().unwrap().unwrap(), "json ");
    write("chat_template.jinja", "jinja {{ eos_token }}");
    assert_eq!(rendered().unwrap().unwrap(), "jinja <e>");

    write("chat_template.jinja", "fine\n{% if %}");
    let broken = rendered().unwrap_err().to_string();
    assert!(broken.contains("chat_template.jinja`, line 2"), "{broken}");
    write("chat_template.jinja", "x");
    write("tokenizer_config.json", r#"{"eos_token": 7}"#);
    let broken = rendered().unwrap_err().to_string();
    assert!(broken.contains("field `eos_token`"), "{broken}");
}

#[test]
fn messages_are_read_from_json() {
    let text = r#"[{"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image", "image": "a.png"},
                                     {"type": "text", "text": "What is it?"}]}]"#;
    let messages: Vec<Message> = serde_json::from_str(text).unwrap();
    let system = Message { role: Role::System, content: Content::Text("Be brief.".into()) };
    assert_eq!(messages, [system, Message::question(1, "What is it?")]);
    assert!(serde_json::from_str::<Message>(r#"{"role": "judge", "content": ""}"#).is_err());
    assert!(serde_json::from_str::<Part>(r#"{"type": "sound"}"#).is_err());
}

#[test]
fn a_question_about_an_image_becomes_a_prompt() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let source = fixtures("tiny_tokenizer").join(name);
        std::fs::copy(source, folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("preprocessor_config.json"), "{}").unwrap();
    let prompter = Prompter::load(folder.path()).unwrap();
    let image = Rgb { size: Size::new(84, 56), pixels: vec![9; 84 * 56 * 3] };
    let prompt = prompter.prompt(&[Message::question(1, "the cup")], &[image]).unwrap();
    let pad = prompter.tokenizer.id(IMAGE_PAD).unwrap();
    assert_eq!(prompt.images[0].grid, [1, 4, 6]);
    assert_eq!(prompt.ids.iter().filter(|&&id| id == pad).count(), 6);
    let text = format!(
        "<|im_start|>user\n<|vision_start|>{}<|vision_end|>the cup<|im_end|>\n<|im_start|>assistant\n",
        IMAGE_PAD.repeat(6)
    );
    assert_eq!(prompt.ids, prompter.tokenizer.encode(&text).unwrap());
    assert!(prompter.prompt(&[Message::question(2, "")], &[]).is_err());
}
