use segzero_eval::resample::Options;
use segzero_eval::{Protocol, Provenance, Row, Run, Scores, Status};

use super::*;

fn row(key: &str, intersection: u64, union: u64, text: &str) -> Row {
    Row {
        dataset: "d".to_owned(),
        split: "val".to_owned(),
        key: key.to_owned(),
        query: None,
        text: text.to_owned(),
        image: "7".to_owned(),
        status: Status::Scored,
        intersection,
        union,
        target_area: Some(intersection),
        prediction_area: Some(union),
        iou: intersection as f64 / union as f64,
        said_nothing: false,
        image_area: Some(10_000),
        category: None,
        distractors: None,
        is_sentence: None,
        box_iou: None,
        points: None,
        boundary: None,
    }
}

fn run(rows: Vec<Row>) -> Run {
    let scores = Scores::new(rows, Default::default(), Default::default());
    let provenance = Provenance {
        segzero: "0.1.0".to_owned(),
        data: "d".to_owned(),
        split: Some("val".to_owned()),
        predictions: "a_b.jsonl".into(),
        complete: true,
        ..Provenance::default()
    };
    Run { provenance, scores }
}

fn report(runs: Vec<(&str, Run)>) -> Result<Report, ReportError> {
    let runs = runs.into_iter().map(|(name, run)| (name.to_owned(), name.into(), run)).collect();
    Report::new(runs, None, &Options::default())
}

#[test]
fn nothing_is_no_report() {
    assert!(matches!(report(vec![]), Err(ReportError::NoRuns)));
    assert!(matches!(report(vec![("a", run(vec![]))]), Err(ReportError::NoRows(_))));
    let some = || run(vec![row("1", 1, 2, "x")]);
    assert!(matches!(report(vec![("a", some()), ("a", some())]), Err(ReportError::SameName(_))));
}

/// Two rows of one image, so that every resample is the same and the intervals are points.
fn small() -> Report {
    let mut run = run(vec![row("1", 1, 2, "a"), row("2", 3, 4, "the <b>, \"x\"")]);
    let totals = &mut run.scores.totals;
    totals.problems.unmatched.push(|| "k|1_\n$".to_owned());
    run.provenance.complete = false;
    let mut other = segzero_eval::Verdict {
        protocol: Protocol::preset("vision-reasoner").unwrap(),
        summary: totals.summary.clone(),
    };
    other.summary.giou = Some(0.6);
    other.summary.ciou = None;
    totals.others = vec![other];
    report(vec![("x_1 & 50%", run)]).unwrap()
}

#[test]
fn markdown_is_as_it_was() {
    let expected = r"# d val

| run | protocol | n | gIoU | cIoU | Pr@0.5 | Pr@0.6 | Pr@0.7 | Pr@0.8 | Pr@0.9 | median IoU |
| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| x\_1 &amp; 50% | default | 2 | 62.50 \[62.50–62.50\] | 66.67 \[66.67–66.67\] | 100.00 \[100.00–100.00\] | 50.00 \[50.00–50.00\] | 50.00 \[50.00–50.00\] | 0.00 \[0.00–0.00\] | 0.00 \[0.00–0.00\] | 62.50 |

In percent, with intervals of 95 %: 1000 resamples of images, seed 0.

**x\_1 &amp; 50%**: d val.

- **INCOMPLETE: not every sample was scored on a prediction of its own.**
- predictions: a\_b.jsonl
- protocol default (segzero): RULES
- 1 predictions that belong to no sample: k\|1\_ $

## x\_1 &amp; 50%, by object area

| group | n | gIoU | cIoU | Pr@0.5 |
| --- | --: | --: | --: | --: |
| small | 2 | 62.50 | 66.67 | 100.00 |

## x\_1 &amp; 50%, by object share of the image

| group | n | gIoU | cIoU | Pr@0.5 |
| --- | --: | --: | --: | --: |
| under 1 % | 2 | 62.50 | 66.67 | 100.00 |

## x\_1 &amp; 50%, by words in the query

| group | n | gIoU | cIoU | Pr@0.5 |
| --- | --: | --: | --: | --: |
| 1-2 | 1 | 50.00 | 50.00 | 100.00 |
| 3-5 | 1 | 75.00 | 75.00 | 100.00 |

## x\_1 &amp; 50%, by every protocol

| protocol | n | gIoU | difference | cIoU | difference | what differs |
| --- | --: | --: | --: | --: | --: | --- |
| default | 2 | 62.50 | 0.00 | 66.67 | 0.00 |  |
| vision-reasoner | 2 | 60.00 | -2.50 | - | - | WORDS |
";
    let report = small();
    let totals = &report.entries[0].run.scores.totals;
    let rules: Vec<String> =
        totals.protocol.fields().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let differs = words::differences(&totals.others[0].protocol, &totals.protocol).join("; ");
    let expected = expected.replace("RULES", &rules.join("; ").replace('_', "\\_"));
    assert_eq!(report.markdown(), expected.replace("WORDS", &differs));
    assert!(differs.starts_with("the first query of every sample counts; "), "{differs}");
}

#[test]
fn latex_is_as_it_was() {
    let text = small().latex();
    let expected = r"% Needs \usepackage{booktabs}. In percent.
\begin{tabular}{lrrrrrrrrr}
\toprule
Run & $n$ & gIoU & cIoU & Pr@0.5 & Pr@0.6 & Pr@0.7 & Pr@0.8 & Pr@0.9 & median IoU \\
\midrule
x\_1 \& 50\% & 2 & 62.50 {\scriptsize [62.50, 62.50]} & 66.67 {\scriptsize [66.67, 66.67]} & 100.00 {\scriptsize [100.00, 100.00]} & 50.00 {\scriptsize [50.00, 50.00]} & 50.00 {\scriptsize [50.00, 50.00]} & 0.00 {\scriptsize [0.00, 0.00]} & 0.00 {\scriptsize [0.00, 0.00]} & 62.50 \\
\bottomrule
\end{tabular}

\par\noindent{\footnotesize x\_1 \& 50\%: d val, protocol default (segzero): ";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("INCOMPLETE: not every sample"), "{text}");
    assert_eq!(
        plain::tex("a\\b~^<>|\"{$#}\n\u{1b}"),
        "a\\textbackslash{}b\\textasciitilde{}\\textasciicircum{}\\textless{}\\textgreater{}\\textbar{}\\textquotedbl{}\\{\\$\\#\\}  "
    );
}

#[test]
fn csv_holds_every_digit_and_quotes_what_it_must() {
    let report = small();
    let expected = "\
run,data,split,predictions,protocol,complete,n,skipped,giou,giou_low,giou_high,ciou,ciou_low,ciou_high,pr_50,pr_50_low,pr_50_high,pr_60,pr_60_low,pr_60_high,pr_70,pr_70_low,pr_70_high,pr_80,pr_80_low,pr_80_high,pr_90,pr_90_low,pr_90_high,median_iou,median_iou_low,median_iou_high
x_1 & 50%,d,val,a_b.jsonl,default,false,2,0,0.625,0.625,0.625,0.6666666666666666,0.6666666666666666,0.6666666666666666,1,1,1,0.5,0.5,0.5,0.5,0.5,0.5,0,0,0,0,0,0,0.625,,
";
    assert_eq!(report.csv(), expected);
    let samples = report.samples_csv();
    let line = samples.lines().nth(2).unwrap();
    assert_eq!(line, "x_1 & 50%,d,val,2,,\"the <b>, \"\"x\"\"\",7,scored,0.75,3,4,3,4,10000,3,,,");
    let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(json["runs"][0]["intervals"]["giou"], serde_json::json!([0.625, 0.625]));
    assert!(json["runs"][0].get("rows").is_none());
}

#[test]
fn hostile_texts_stay_texts_on_the_page() {
    let hostile =
        "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{data}}\" ' &amp;";
    let folder = tempfile::tempdir().unwrap();
    let html = |text: &str| {
        let mut run = run(vec![row("1", 1, 2, text), row(text, 3, 4, "b")]);
        run.provenance.data = text.to_owned();
        run.provenance.partial = vec![text.to_owned()];
        run.scores.totals.problems.missing.push(|| text.to_owned());
        run.scores.totals.protocol.name = text.to_owned();
        let report = report(vec![(text, run)]).unwrap();
        let chosen = report.choose(&GalleryOptions::default());
        let path = folder.path().join("page.html");
        let link = Link { name: text.to_owned(), address: "a.md".to_owned() };
        let gallery = Gallery::default();
        let images = crate::preview::Images::Auto;
        report.write_page(&path, images, &chosen, &gallery, &[link]).unwrap();
        std::fs::read_to_string(&path).unwrap()
    };
    let (clean, page) = (html("clean"), html(hostile));
    assert_eq!(page.matches("<script").count(), clean.matches("<script").count());
    assert_eq!(page.matches("<img").count(), 0);
    assert!(!page.contains("NaN") && page.contains("PARTIAL: &lt;/script&gt;"));
    let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let data: serde_json::Value =
        serde_json::from_str(rest.split_once("</script").unwrap().0).unwrap();
    assert_eq!(data["text"][0], hostile);
    assert_eq!(data["key"][1], hostile);
    let rest = page.replace("http://www.w3.org/2000/svg", "");
    for address in ["http://", "https://", "src=\"//", "@import", "<link", "fetch("] {
        assert!(!rest.contains(address), "{address}");
    }
    let script = concat!(include_str!("page.js"), include_str!("../runs.js"));
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(way), "{way}");
    }
}

#[test]
fn numbers_that_are_not_those_of_the_rows_are_said_to_be_so() {
    let mut altered = run(vec![row("1", 1, 2, "a")]);
    altered.scores.totals.summary.giou = Some(0.9);
    let report = report(vec![("a", altered)]).unwrap();
    assert!(report.entries[0].is_altered);
    assert!(report.banner().contains("not those of the rows"));
}

#[test]
fn runs_that_cannot_be_compared_are_said_to_be_so() {
    let one = || run(vec![row("1", 1, 2, "a")]);
    let mut other = run(vec![row("1", 1, 2, "a"), row("2", 1, 2, "a")]);
    other.scores.totals.protocol = Protocol::preset("lisa").unwrap();
    assert_eq!(report(vec![("a", one()), ("b", one())]).unwrap().banner(), "");
    let banner = report(vec![("a", one()), ("b", other)]).unwrap().banner();
    assert!(banner.contains("by other rules") && banner.contains("n = 2, not on"), "{banner}");
}

#[test]
fn pictures_go_to_the_worst_the_best_and_some_others() {
    let mut rows: Vec<Row> = (0..40).map(|i| row(&i.to_string(), i, 40, "a")).collect();
    rows[7].status = Status::Missing;
    rows[7].iou = 0.0;
    let report = report(vec![("a", run(rows))]).unwrap();
    let chosen = report.choose(&GalleryOptions { count: 8, seed: 1 });
    assert_eq!((&*chosen.worst, &*chosen.best), (&[0, 1][..], &[39, 38][..]));
    assert_eq!(chosen.random.len(), 4);
    assert_eq!(chosen, report.choose(&GalleryOptions { count: 8, seed: 1 }));
    for count in [0, 1, 3, 40, 1000] {
        let chosen = report.choose(&GalleryOptions { count, seed: 2 });
        let mut all: Vec<usize> = chosen.all().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count.min(40), "no unit twice");
    }
}
