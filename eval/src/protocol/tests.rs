use super::*;

#[test]
fn the_presets_are_read_and_named_once() {
    let presets = presets().unwrap();
    let names: Vec<&str> = presets.iter().map(|protocol| protocol.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "default",
            "lisa",
            "seg-zero",
            "vision-reasoner",
            "lavt",
            "cris",
            "rela",
            "gsva",
            "mmdet",
            "psalm",
            "x-sam",
            "lens"
        ]
    );
    let ours = Protocol { source: presets[0].source.clone(), ..Protocol::default() };
    assert_eq!(presets[0], ours, "the default in the file is the default in the code");
    assert!(presets.iter().all(|protocol| !protocol.source.is_empty()));
}

#[test]
fn an_override_changes_a_field_and_the_name() {
    let overrides = Overrides {
        ignore: Some(Ignore::Background),
        overlap: Some(Overlap::Background),
        frame: Some("480x480:polygons".parse().unwrap()),
        ..Overrides::default()
    };
    let lisa = Protocol::preset("lisa").unwrap();
    let changed = overrides.apply(lisa.clone());
    assert_eq!(changed.name, "lisa, ignore=background, frame=480x480:polygons");
    assert_eq!((changed.ignore, changed.overlap), (Ignore::Background, lisa.overlap));
    assert_eq!(Overrides::default().apply(lisa.clone()), lisa);
}

#[test]
fn frames_are_spelled_one_way() {
    for text in ["native", "480x480", "640x480:polygons"] {
        assert_eq!(text.parse::<Frame>().unwrap().to_string(), text);
    }
    for text in ["", "480", "0x480", "480x", "480x480:", "99999x1"] {
        let error = text.parse::<Frame>().unwrap_err();
        assert!(error.contains(&format!("`{text}`")), "{error}");
    }
}
