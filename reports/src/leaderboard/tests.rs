use std::path::Path;

use segzero_datasets::Error;
use segzero_eval::protocol::{Ignore, Protocol, Unit};
use segzero_eval::{Problems, Provenance, Row, Run, Scores, Status};
use segzero_test_support::shared_data;

use super::check::{SHORT_QUERIES, implied_short};
use super::read::FILES;
use super::render::{TableFormat, render};
use super::*;

fn percent(text: &str) -> Percent {
    Percent::parse(text).unwrap()
}

/// Figures of a file with these columns besides the required ones.
fn figures(lines: &str) -> Vec<Figure> {
    let header = "set,split,part,method,metric,value,printed_as,source,status\n";
    read(Path::new("own.csv"), (header.to_owned() + lines).as_bytes()).unwrap()
}

fn board(published: &[Figure], entries: &[Entry], selection: &Selection) -> Board {
    Board::new(published, entries, selection, None).unwrap()
}

fn of_set(set: &str, split: &str) -> Selection {
    Selection { set: Some(set.to_owned()), split: Some(split.to_owned()), ..Selection::default() }
}

/// A run of a hundred short and three hundred long queries, of which it finds these shares.
fn run(data: &str, split: Option<&str>, short: u64, long: u64) -> Run {
    let row = |i: u64| Row {
        dataset: data.to_owned(),
        split: "val".to_owned(),
        key: i.to_string(),
        query: None,
        text: "a thing".to_owned(),
        image: i.to_string(),
        status: Status::Scored,
        intersection: if i < 100 { short } else { long },
        union: 1000,
        target_area: Some(1000),
        prediction_area: Some(1000),
        iou: if i < 100 { short } else { long } as f64 / 1000.0,
        said_nothing: false,
        image_area: None,
        category: None,
        distractors: None,
        is_sentence: Some(i >= 100),
        box_iou: None,
        points: None,
        boundary: None,
    };
    let scores = Scores::new((0..400).map(row).collect(), Protocol::default(), Problems::default());
    let provenance = Provenance {
        data: data.to_owned(),
        split: split.map(str::to_owned),
        complete: true,
        ..Provenance::default()
    };
    Run { provenance, scores }
}

fn entries(run: &Run) -> Result<Vec<Entry>, Error> {
    Entry::of(run, Path::new("runs/mine.json"), None, None)
}

#[test]
fn a_printed_number_is_an_interval() {
    let number = percent("34.4");
    assert_eq!((number.low(), number.parts(), number.high()), (34_350_000, 34_400_000, 34_450_000));
    assert_eq!((percent("7").low(), percent("0.00001").high()), (6_500_000, 15));
    assert_eq!(percent("-0.5").parts(), -500_000);
    assert!(percent("66.26").agrees_with(&percent("66.3")));
    assert!(!percent("66.24").agrees_with(&percent("66.3")));
    assert!(!percent("68.5").agrees_with(&percent("68.4")), "they only touch");
    assert!(percent("100").is_possible() && !percent("100.01").is_possible());
    for bad in ["", "-", "nan", "1e3", "1.", ".5", "+1", "1.234567", "12345678", "1,5", "٣"] {
        assert_eq!(Percent::parse(bad), None, "{bad}");
    }
    assert_eq!(Percent::measured(0.575_249).unwrap().text(), "57.52");
    assert_eq!(Percent::measured(f64::NAN), None);
}

#[test]
fn the_shipped_files_are_sorted_and_say_the_same_of_one_method() {
    for (name, text) in FILES {
        assert_eq!(text.lines().next().unwrap(), COLUMNS.join(","), "{name}");
        let figures = read(Path::new(name), text.as_bytes()).unwrap();
        let key = |f: &Figure| {
            let Figure { method, source, split_by, split, part, metric, .. } = f.clone();
            let words = serde_json::to_string(&(part, metric)).unwrap();
            (method, source, split_by, split, words)
        };
        let is_paper = name == "seg-zero.csv";
        assert!(is_paper || figures.is_sorted_by_key(key), "{name}");
        for figure in &figures {
            assert_eq!(figure.table.is_some(), is_paper, "{figure:?}");
            assert!(SETS.contains(&figure.set.as_str()), "{figure:?}");
            assert_ne!(figure.status, FigureStatus::Own);
        }
    }
}

#[test]
fn every_row_of_the_survey_is_shipped() {
    let Some(data) = shared_data() else { return };
    let shipped = shipped().unwrap();
    let mut seen = 0;
    for name in ["refcoco", "reasonseg", "grefcoco"] {
        let path = data.join(format!("leaderboard/leaderboard_{name}.csv"));
        let mut reader = csv::Reader::from_path(path).unwrap();
        let header = reader.headers().unwrap().clone();
        for record in reader.records().map(Result::unwrap) {
            let of = |column: &str| &record[header.iter().position(|h| h == column).unwrap()];
            let metric = if name == "refcoco" { of("metric") } else { "" };
            for (column, value) in
                header.iter().zip(&record).filter(|(c, v)| c.contains('_') && !v.is_empty())
            {
                let (set, split, part, metric) = survey_column(name, column, metric);
                let found = shipped.iter().any(|f| {
                    f.table.is_none()
                        && (f.set.as_str(), f.split.as_str(), f.part, f.metric)
                            == (set, split, part, metric)
                        && f.method == canonical(of("method"))
                        && (f.value.text(), f.source.as_str()) == (value, of("source"))
                        && f.status.letter().to_string() == of("status")
                });
                assert!(found, "{name} {column}: {record:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 970);
}

/// What a column of the survey's files holds.
fn survey_column<'a>(
    file: &'a str,
    column: &'a str,
    metric: &str,
) -> (&'a str, &'a str, Part, Metric) {
    let words: Vec<&str> = column.split('_').collect();
    let part = match words.get(1) {
        Some(&"short") => Part::Short,
        Some(&"long") => Part::Long,
        _ => Part::All,
    };
    if file == "refcoco" {
        let set = if words[0] == "refcocop" { "refcoco+" } else { words[0] };
        // One row's metric is not stated there; its note says that it is a mean.
        let metric = Metric::of_printed(metric).unwrap_or(Metric::Giou);
        return (set, words[1], Part::All, metric);
    }
    let metric = match *words.last().unwrap() {
        "giou" => Metric::Giou,
        "ciou" => Metric::Ciou,
        _ => Metric::NAcc,
    };
    (file, words[0], part, metric)
}

/// The survey names some methods after where they were printed; rows of one method share a name
/// here, so that conflicts are found.
fn canonical(method: &str) -> &str {
    match method {
        "VLT (ICCV'21)" | "VLT (later version)" => "VLT",
        "PixelLM (as in LENS)" => "PixelLM-7B",
        "OMG-LLaVA (ft)" => "OMG-LLaVA",
        "Seg-Zero-3B (v1 paper)" | "Seg-Zero-3B (v2 paper)" => "Seg-Zero-3B",
        "UGround-7B (ema / mix / plain)" => "UGround-7B",
        _ => method,
    }
}

#[test]
fn the_checks_find_what_is_wrong_with_the_published_figures_and_no_more() {
    let findings = check(&shipped().unwrap());
    let of = |keep: fn(&Fault) -> bool| -> Vec<&str> {
        findings.iter().filter(|f| keep(&f.fault)).map(|f| f.about.as_str()).collect()
    };
    assert_eq!(
        of(|fault| matches!(fault, Fault::NotBetween { .. })),
        ["reasonseg test, LISA-7B, cIoU", "reasonseg test, X-SAM, gIoU"]
    );
    assert_eq!(
        of(|fault| *fault == Fault::ShortQueries { least: 237, most: 283 }),
        ["reasonseg test, SESAME, gIoU"]
    );
    assert_eq!(
        of(|fault| matches!(fault, Fault::Misplaced { .. })),
        ["refcocog/umd val, Seg-Zero-3B, cIoU", "refcocog/umd val, Seg-Zero-7B, cIoU"]
    );
    let mut conflicting: Vec<String> = of(|fault| matches!(fault, Fault::Conflict { .. }))
        .into_iter()
        .map(|about| about.split_once(", ").unwrap().1.rsplit_once(", ").unwrap().0.to_owned())
        .collect();
    conflicting.sort_unstable();
    conflicting.dedup();
    let expected = [
        "CRIS-R101",
        "GSVA-7B (ft)",
        "LISA-7B",
        "LISA-7B (ft)",
        "OMG-LLaVA",
        "PixelLM-7B",
        "SEEM",
        "Seg-Zero-3B",
        "Seg-Zero-3B, RL with CoT",
        "VLT",
        "VisionLLM v2",
    ];
    assert_eq!(conflicting, expected);
    let mut misnamed = of(|fault| matches!(fault, Fault::Misnamed { .. }));
    misnamed.retain(|about| !about.contains(", CRIS-R"));
    assert!(misnamed.is_empty(), "{misnamed:?}");
    assert!(of(|fault| matches!(fault, Fault::OutOfRange { .. })).is_empty());
}

/// The published rows themselves say how many queries are short: the constant is their intersection.
#[test]
fn the_number_of_short_queries_follows_from_the_published_rows() {
    let figures: Vec<Figure> = shipped().unwrap();
    let faulty = ["X-SAM", "SESAME"];
    let (mut least, mut most, mut rows) = (0, 779, 0);
    for figure in figures.iter().filter(|f| f.part == Part::Short && f.metric == Metric::Giou) {
        let of = |part: Part| {
            let same = |f: &&Figure| {
                (f.part, f.metric, &f.split) == (part, Metric::Giou, &figure.split)
                    && (&f.method, &f.source) == (&figure.method, &figure.source)
            };
            &figures.iter().find(same).unwrap().value
        };
        let range = implied_short([Part::Short, Part::Long, Part::All].map(of), 779);
        if let Some(range) = range.filter(|_| !faulty.contains(&figure.method.as_str())) {
            (least, most, rows) = (least.max(*range.start()), most.min(*range.end()), rows + 1);
        }
    }
    assert_eq!((least..=most, rows), (SHORT_QUERIES, 19));
}

#[test]
fn the_implied_count_is_that_of_a_search_over_the_intervals() {
    let rows = [["28.3", "31.6", "30.5"], ["18.0", "28.7", "26.1"], ["47.7", "56.0", "57.8"]];
    for row in rows {
        let [short, long, overall] = &row.map(percent);
        // The least and greatest overall that a count allows are linear in the figures.
        let is_possible = |count: i64| {
            let sum = |short, long| count * short + (779 - count) * long;
            sum(short.low(), long.low()) <= 779 * overall.high()
                && sum(short.high(), long.high()) >= 779 * overall.low()
        };
        let possible: Vec<i64> = (0..=779).filter(|&count| is_possible(count)).collect();
        let range = implied_short([short, long, overall], 779).unwrap();
        assert_eq!(range.collect::<Vec<_>>(), possible, "{row:?}");
    }
    assert_eq!(implied_short(["50.0", "50.1", "50.0"].map(percent).each_ref(), 779), None);
}

#[test]
fn each_check_finds_its_fault() {
    let clean = "\
reasonseg,test,short,a,giou,18.0,gIoU,x,P
reasonseg,test,long,a,giou,28.7,gIoU,x,P
reasonseg,test,,a,giou,26.1,gIoU,x,P
refcoco,val,,b,ciou,70.1,oIoU,x,P
refcoco,val,,b,ciou,70.12,overall IoU,y,S
refcoco,val,,b,giou,71.0,IoU,x,P
";
    assert_eq!(check(&figures(clean)), []);
    for (line, said) in [
        (
            "refcoco,val,,c,ciou,100.1,cIoU,x,P",
            "refcoco val, c, cIoU: 100.1 is not between 0 and 100",
        ),
        ("refcoco,val,,b,ciou,70.2,cIoU,z,S", "conflicting values: 70.1 (x), 70.12 (y), 70.2 (z)"),
        ("refcoco,testA,,b,ciou,70.1,cIoU,z,S", "70.1 is the method's own figure for val (x)"),
        ("refcoco,val,,c,giou,70.2,mIoU; oIoU,z,S", "refcoco, c, z: printed as oIoU, is gIoU"),
    ] {
        let findings = check(&figures(&(clean.to_owned() + line)));
        assert_eq!(findings.len(), 1, "{line}");
        assert!(findings[0].to_string().ends_with(said), "{}", findings[0]);
    }
}

#[test]
fn equal_numbers_share_a_place() {
    let figures = figures(
        "refcoco,val,,a,ciou,70.1,,x,P\nrefcoco,val,,b,ciou,70.10,,x,P\nrefcoco,val,,c,ciou,69,,x,P\n\
         refcoco,testA,,d,ciou,99,,x,P\nrefcoco,val,,e,ciou,80,,x,U\n",
    );
    let selection = Selection { set: Some("refcoco".to_owned()), ..Selection::default() };
    let places = |board: &Board| -> Vec<(String, Option<usize>)> {
        board.rows.iter().map(|row| (row.method.clone(), row.rank)).collect()
    };
    let expected = [("e", Some(1)), ("a", Some(2)), ("b", Some(2)), ("c", Some(4)), ("d", None)];
    let expected = expected.map(|(method, rank)| (method.to_owned(), rank));
    assert_eq!(places(&board(&figures, &[], &selection)), expected);
    let verified = Selection { trust: Trust::Verified, ..selection.clone() };
    assert_eq!(board(&figures, &[], &verified).rows[0].method, "a");
    let by_test = Board::new(&figures, &[], &selection, Some("testA-cIoU")).unwrap();
    assert_eq!(by_test.rows[0].method, "d");
    let unknown = Board::new(&figures, &[], &selection, Some("speed")).unwrap_err();
    assert_eq!(unknown.columns, ["val-ciou", "testA-ciou"]);
}

#[test]
fn a_run_stands_where_it_belongs() {
    let shipped = shipped().unwrap();
    let mine = entries(&run("reasonseg", Some("test"), 560, 580)).unwrap();
    let board = board(&shipped, &mine, &of_set("reasonseg", "test"));
    let own = board.rows.iter().position(|row| row.n == Some(400)).unwrap();
    let sorted_by = board.sorted_by.unwrap();
    assert_eq!(board.columns[sorted_by].name_among(&board.columns), "test-giou");
    let cells = |row: &super::Row| -> Vec<String> {
        row.cells.iter().map(|c| c.as_ref().map_or("-".to_owned(), |c| c.text.clone())).collect()
    };
    assert_eq!(cells(&board.rows[own]), ["56.00", "56.00", "58.00", "58.00", "57.50", "57.50"]);
    let parts = |row: &super::Row| row.cells[sorted_by].as_ref().unwrap().parts;
    assert!(parts(&board.rows[own - 1]) >= 57_500_000 && parts(&board.rows[own + 1]) <= 57_500_000);
    let twin = board.rows.iter().find(|row| row.method == "Seg-Zero-7B").unwrap();
    assert_eq!(twin.rank, board.rows[own].rank, "both print 57.5");
    assert!(board.rows[own].notes.is_empty());
}

#[test]
fn every_protocol_of_a_run_is_a_row() {
    let mut run = run("refcocog/umd", Some("val"), 500, 700);
    let lisa = Protocol::preset("lisa").unwrap();
    let other = Scores::new(run.scores.rows.clone(), lisa, Problems::default()).totals;
    run.scores.totals.others =
        vec![segzero_eval::Verdict { protocol: other.protocol, summary: other.summary }];
    let protocols: Vec<Option<String>> =
        entries(&run).unwrap().iter().map(|entry| entry.figures[0].protocol.clone()).collect();
    assert_eq!(protocols, [Some("default".to_owned()), Some("lisa".to_owned())]);
    let board = board(&shipped().unwrap(), &entries(&run).unwrap(), &of_set("refcocog", "val"));
    let own: Vec<&super::Row> = board.rows.iter().filter(|row| row.n.is_some()).collect();
    assert!(own.len() == 2 && own.iter().all(|row| row.notes.is_empty()), "no conflict: {own:?}");
}

#[test]
fn a_run_whose_numbers_are_not_its_rows_is_refused() {
    let mut run = run("reasonseg", Some("val"), 500, 700);
    assert_eq!(entries(&run).unwrap()[0].figures.len(), 6);
    run.scores.totals.summary.giou = Some(0.9);
    let message = entries(&run).unwrap_err().to_string();
    assert!(
        message.contains("field `summary.giou`: expected 0.65, which its rows give"),
        "{message}"
    );
    run.scores.rows.clear();
    run.scores.totals.summary.giou = None;
    run.scores.totals.summary.ciou = None;
    let message = entries(&run).unwrap_err().to_string();
    assert!(message.contains("a score is missing"), "{message}");
}

#[test]
fn caveats_come_from_the_fields() {
    let shipped = shipped().unwrap();
    let mut own = run("reasonseg", Some("test"), 560, 580);
    own.scores.totals.protocol.ignore = Ignore::Foreground;
    own.provenance.complete = false;
    let board = board(&shipped, &entries(&own).unwrap(), &of_set("reasonseg", "test"));
    let notes = |method: &str| -> Vec<String> {
        let rows = board.rows.iter().filter(|row| row.method == method);
        rows.flat_map(|row| &row.notes).map(|&i| board.notes[i].to_string()).collect()
    };
    assert_eq!(notes("mine"), ["PARTIAL RUN: not every sample has a usable prediction"]);
    assert_eq!(notes("LENS-3B"), ["ignored pixels are background, not target"]);
    assert!(notes("Seg-Zero-7B").is_empty());
    let text = |set: &str, split: &str| {
        let figures: Vec<&Figure> = shipped.iter().collect();
        let board = Board::new(&shipped, &[], &of_set(set, split), None).unwrap();
        render(&board, &figures, TableFormat::Text).unwrap()
    };
    let cocog = text("refcocog", "val");
    for said in [
        "google split, not umd",
        "split not stated, may not be umd",
        "scores one query per ref, all its sentences joined, not every sentence of every ref",
        "scores at most three random sentences per image, not every sentence of every ref",
        "other metric: printed as oIoU, is gIoU",
        "? unverified",
    ] {
        assert!(cocog.contains(said), "{said}\n{cocog}");
    }
    assert!(text("reasonseg", "val").contains("trained on train and test of this set"));
}

#[test]
fn names_of_data_sets_are_recognised() {
    let place = |data: &str, split: Option<&str>| {
        let Figure { set, split_by, split, unit, ignore, .. } =
            entries(&run(data, split, 500, 700)).ok()?.remove(0).figures.remove(0);
        let ignore = ignore.map(|ignore| format!(" {ignore:?}")).unwrap_or_default();
        Some(format!("{set} {} {split} {:?}{ignore}", split_by.unwrap_or_default(), unit?))
    };
    for (data, split, expected) in [
        ("refcocog/umd", Some("test"), "refcocog umd test Sentence"),
        ("refcoco+/unc", Some("testB"), "refcoco+ unc testB Sentence"),
        ("refcoco+/unc", None, "refcoco+ unc val Sentence"), // the one split of its rows
        ("refcocoplus_testA", Some("test"), "refcoco+  testA OneSentence"),
        ("refcocog_val_all", Some("test"), "refcocog  val Sentence"),
        ("ReasonSeg_val", Some("test"), "reasonseg  val OneQuery Foreground"),
        ("reasonseg", Some("val"), "reasonseg  val OneQuery Exclude"),
    ] {
        assert_eq!(place(data, split).as_deref(), Some(expected), "{data}");
    }
    assert_eq!(place("mine", Some("val")), None);
    let path = Path::new("runs/mine.json");
    let named =
        |data: &str| Entry::of(&run(data, Some("val"), 500, 700), path, Some("reasonseg"), None);
    assert_eq!(named("mine").unwrap()[0].figures[0].set, "reasonseg");
    let error = named("refcocog/umd").unwrap_err().to_string();
    assert!(error.contains("expected a run on reasonseg, found one on `refcocog/umd`"), "{error}");
    let mut several = run("refcoco/unc", None, 500, 700);
    several.scores.rows[0].split = "train".to_owned();
    assert!(entries(&several).unwrap_err().to_string().contains("field `split`: one split"));
    let mut joined = run("refcoco/unc", Some("val"), 500, 700);
    joined.scores.totals.protocol.unit = Unit::Sample;
    let figure = &entries(&joined).unwrap()[0].figures[0];
    assert_eq!(figure.unit, Some(SampleUnit::JoinedSentences));
}

/// A published row is named after a preset because it follows its rules.
#[test]
fn rows_agree_with_the_preset_that_they_name() {
    for figure in shipped().unwrap() {
        let Some(name) = &figure.protocol else { continue };
        let preset = Protocol::preset(name).unwrap_or_else(|| panic!("no preset {name}"));
        if let Some(ignore) = figure.ignore {
            assert_eq!(ignore, preset.ignore, "{figure:?}");
        }
        let units: &[SampleUnit] = match preset.unit {
            _ if figure.set == "reasonseg" => &[SampleUnit::OneQuery],
            Unit::Query => &[SampleUnit::Sentence, SampleUnit::SampledSentences],
            Unit::FirstQuery => &[SampleUnit::FirstSentence, SampleUnit::OneSentence],
            Unit::Sample => &[SampleUnit::JoinedSentences],
        };
        assert!(figure.unit.is_none_or(|unit| units.contains(&unit)), "{figure:?}");
    }
}

#[test]
fn a_file_in_our_schema_is_read_back() {
    let shipped = shipped().unwrap();
    let selection = of_set("reasonseg", "test");
    let figures: Vec<&Figure> = shipped.iter().filter(|f| selection.has(f)).collect();
    let board = board(&shipped, &[], &selection);
    let csv = render(&board, &figures, TableFormat::Csv).unwrap();
    let again = read(Path::new("again.csv"), csv.as_bytes()).unwrap();
    assert!(again.iter().eq(figures));
    let json = render(&board, &[], TableFormat::Json).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"].as_array().unwrap().len(), board.rows.len());
}

#[test]
fn bad_files_are_named_by_line_and_column() {
    let error = |text: &str| read(Path::new("own.csv"), text.as_bytes()).unwrap_err().to_string();
    let head = "set,split,method,metric,value,source,status\n";
    let good = "refcoco,val,a,ciou,70.1,x,P\n";
    let with = |line: &str| error(&format!("{head}{good}{line}\n"));
    for (message, said) in [
        (with("refcoco,val,a,ciou,nan,x,P"), "line 3: field `value`: expected a number in percent"),
        (
            with("refcoco,val,a,iou,70,x,P"),
            "line 3: field `metric`: expected one of giou, ciou, n-acc, t-acc, found `iou`",
        ),
        (with("refcoco,val,,ciou,70,x,P"), "line 3: field `method`: the value is missing"),
        (
            with("refcoco,val,a,ciou,70,x,X"),
            "field `status`: expected one of O, P, S, U, found `X`",
        ),
        (with("refcoco,val,a,ciou,70"), "line 3: expected 7 fields, as in the header, found 5"),
        (error("set,split\n"), "line 1: field `method`: the column (of set, split_by, split,"),
        (error(&format!("speed,{head}")), "line 1: field `speed`: expected one of set,"),
        (
            error(&format!("set,{head}")),
            "field `set`: expected one of set, split_by, split, part, method",
        ),
        (error(""), "field `set`: the column"),
    ] {
        assert!(
            message.starts_with("could not read `own.csv`") && message.contains(said),
            "{message}"
        );
    }
    let latin = [head.as_bytes(), b"refcoco,val,caf\xe9,ciou,70,x,P\n"].concat();
    let message = read(Path::new("own.csv"), &latin).unwrap_err().to_string();
    assert!(message.contains("line 2: expected UTF-8"), "{message}");
}
