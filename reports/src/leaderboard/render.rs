//! Tables as text, Markdown, LaTeX, CSV and JSON.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Board, COLUMNS, Cell, Column, Figure, FigureStatus, Row, Source};

/// Width of a table as text, characters; longer method names are cut.
const WIDTH: usize = 120;

/// How a table is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum TableFormat {
    /// For the terminal, at most 120 columns.
    #[default]
    Text,
    /// For a README.
    Markdown,
    /// The figures in our own schema, for `--check` and for other programs.
    Csv,
    /// A `tabular` for a paper.
    Latex,
    /// The table with its notes and sources.
    Json,
}

/// The table of `board` in a format; `figures` are those that CSV holds.
///
/// # Errors
/// None that data can cause: writing CSV or JSON into memory.
pub fn render(board: &Board, figures: &[&Figure], format: TableFormat) -> std::io::Result<String> {
    Ok(match format {
        TableFormat::Text => text(board),
        TableFormat::Markdown => markdown(board),
        TableFormat::Latex => latex(board),
        TableFormat::Csv => csv(figures)?,
        TableFormat::Json => serde_json::to_string_pretty(board)? + "\n",
    })
}

/// A table of strings: heads of one to four lines, one line a row.
struct Grid {
    heads: Vec<Vec<String>>,
    rows: Vec<Vec<String>>,
    /// Which columns hold the board's numbers.
    numbers: Range<usize>,
}

impl Grid {
    /// Whether a column stands at the right: a place or a number.
    fn is_right(&self, column: usize) -> bool {
        self.numbers.contains(&column) || column + 2 == self.numbers.start
    }
}

fn grid(board: &Board) -> Grid {
    let several = |names: BTreeSet<&str>| names.len() > 1;
    let sets = several(board.columns.iter().map(|c| c.set.as_str()).collect());
    let parts = several(board.columns.iter().map(Column::part_name).collect());
    let head = |column: &Column| {
        let set = sets.then(|| column.set.clone());
        let part = parts.then(|| column.part_name().to_owned());
        let split = std::iter::once(column.split.clone());
        let name = std::iter::once(column.metric.name().to_owned());
        set.into_iter().chain(split).chain(part).chain(name).collect()
    };
    let blank = |name: &str| vec![name.to_owned()];
    let rank = board.sorted_by.map(|_| blank("#"));
    let start = rank.iter().len() + 1;
    let mut heads: Vec<Vec<String>> = rank.into_iter().chain([blank("method")]).collect();
    heads.extend(board.columns.iter().map(head));
    heads.extend([blank("protocol"), blank("source")]);
    let rows = board.rows.iter().map(|row| {
        let rank = row.rank.map_or("-".to_owned(), |rank| rank.to_string());
        let mut cells = vec![rank, method(row)];
        cells.extend(row.cells.iter().map(|cell| cell.as_ref().map_or("-".to_owned(), number)));
        cells.extend([row.protocol.clone().unwrap_or("-".to_owned()), from(row)]);
        cells.split_off(2 - start)
    });
    Grid { heads, rows: rows.collect(), numbers: start..start + board.columns.len() }
}

fn method(row: &Row) -> String {
    match row.n {
        Some(n) => format!("> {} (n = {n})", row.method),
        None => row.method.clone(),
    }
}

/// A number with its marks: `34.1!` failed a check, `66.4?` is unverified.
fn number(cell: &Cell) -> String {
    let suspect = if cell.is_suspect { "!" } else { "" };
    let unverified = if cell.status == FigureStatus::Unverified { "?" } else { "" };
    format!("{}{suspect}{unverified}", cell.text)
}

/// The row's source and notes: `[3] ac`.
fn from(row: &Row) -> String {
    let letters: Vec<String> = row.notes.iter().map(|&note| letter(note)).collect();
    format!("[{}] {}", row.source + 1, letters.join(",")).trim_end().to_owned()
}

/// `a` ... `z`, `aa`, ...
fn letter(place: usize) -> String {
    let last = char::from(b'a' + (place % 26) as u8);
    match place / 26 {
        0 => last.to_string(),
        more => letter(more - 1) + &last.to_string(),
    }
}

/// The meaning of the marks that the table has, one line each.
fn legend(board: &Board) -> Vec<&'static str> {
    let has_cell =
        |is: fn(&Cell) -> bool| board.rows.iter().flat_map(|row| &row.cells).flatten().any(is);
    let own = "> your run, ranked among the published rows";
    let suspect = "! fails a check, see its note and `segzero leaderboard --check`";
    let marks = [
        (board.rows.iter().any(|row| row.n.is_some()), own),
        (has_cell(|cell| cell.status == FigureStatus::Unverified), "? unverified"),
        (has_cell(|cell| cell.is_suspect), suspect),
    ];
    marks.into_iter().filter(|(is_used, _)| *is_used).map(|(_, line)| line).collect()
}

fn notes(board: &Board) -> impl Iterator<Item = (String, String)> {
    board.notes.iter().enumerate().map(|(i, note)| (letter(i), note.to_string()))
}

fn sources(board: &Board) -> impl Iterator<Item = (usize, String)> {
    let words = |source: &Source| match source.status {
        FigureStatus::Own => source.name.clone(),
        status => format!("{} ({})", source.name, status.letter()),
    };
    board.sources.iter().enumerate().map(move |(i, source)| (i + 1, words(source)))
}

/// What the order of the rows is, and how to read the rest.
fn order(board: &Board) -> String {
    let order = match board.sorted_by {
        Some(column) => format!("by {}", board.columns[column].name_among(&board.columns)),
        None => "in the paper's order".to_owned(),
    };
    let rows = board.rows.len();
    let key = "sources: (P) the method's own, (S) another's, (U) unverified";
    format!("{rows} rows {order}, percent; {key}")
}

fn text(board: &Board) -> String {
    let mut grid = grid(board);
    align_marks(&mut grid);
    let width = |i: usize| {
        let cells = grid.rows.iter().map(|row| &row[i]).chain(&grid.heads[i]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..grid.heads.len()).map(width).collect();
    // Many numbers stand closer.
    let near = if board.columns.len() > 6 { 1 } else { 2 };
    let gap = |i: usize| if grid.numbers.contains(&i) { near } else { 2 };
    let all = widths.iter().sum::<usize>() + (1..widths.len()).map(gap).sum::<usize>();
    let method = &mut widths[grid.numbers.start - 1];
    *method = (*method).min(method.saturating_sub(all.saturating_sub(WIDTH)).max(20));
    let line = |cells: &[&str]| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(i, (cell, &width))| {
            let space = " ".repeat(if i == 0 { 0 } else { gap(i) });
            let cell = cut(cell, width);
            match grid.is_right(i) {
                true => format!("{space}{cell:>width$}"),
                false => format!("{space}{cell:<width$}"),
            }
        });
        padded.collect::<String>().trim_end().to_owned() + "\n"
    };
    let depth = grid.heads.iter().map(Vec::len).max().unwrap_or(0);
    let mut out = String::new();
    for level in 0..depth {
        // Names of one line stand above the numbers, with the metrics.
        let name = |head: &Vec<String>| (level + head.len()).checked_sub(depth);
        let cells = grid.heads.iter().map(|head| name(head).map_or("", |i| head[i].as_str()));
        out += &line(&cells.collect::<Vec<_>>());
    }
    for row in &grid.rows {
        out += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    out + "\n" + &below(board)
}

/// What stands under the table in plain text.
fn below(board: &Board) -> String {
    let mut out = order(board) + "\n";
    legend(board).iter().for_each(|line| out += &format!("{line}\n"));
    notes(board).for_each(|(letter, note)| out += &format!("{letter:>2}  {note}\n"));
    for (i, source) in sources(board) {
        out += &format!("{:>4} {source}\n", format!("[{i}]"));
    }
    out
}

/// Pads numbers and their heads on the right, so that digits stand under each other whatever marks
/// follow.
fn align_marks(grid: &mut Grid) {
    let marks = |cell: &str| cell.chars().rev().take_while(|c| matches!(c, '!' | '?')).count();
    for i in grid.numbers.clone() {
        let most = grid.rows.iter().map(|row| marks(&row[i])).max().unwrap_or(0);
        let cells = grid.rows.iter_mut().map(|row| &mut row[i]).chain(&mut grid.heads[i]);
        for cell in cells {
            let missing = most - marks(cell).min(most);
            cell.extend(std::iter::repeat_n(' ', missing));
        }
    }
}

/// The text, cut to a width; the number of units of one's own run stays.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let (name, n) = text.split_at(text.rfind(" (n = ").unwrap_or(text.len()));
    let room = width.saturating_sub(n.chars().count() + 1);
    name.chars().take(room).chain(['\u{2026}']).chain(n.chars()).collect()
}

fn markdown(board: &Board) -> String {
    let grid = grid(board);
    let escape = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(grid.heads.iter().map(|head| escape(&one_line(head))).collect());
    let rule = |i: usize| if grid.is_right(i) { "---:" } else { "---" };
    out += &line((0..grid.heads.len()).map(|i| rule(i).to_owned()).collect());
    for row in &grid.rows {
        out += &line(row.iter().map(|cell| escape(cell)).collect());
    }
    out += &format!("\n{}\n\n", order(board));
    legend(board).iter().for_each(|mark| out += &format!("- `{}`{}\n", &mark[..1], &mark[1..]));
    notes(board).for_each(|(letter, note)| out += &format!("- {letter}: {}\n", escape(&note)));
    sources(board).for_each(|(i, source)| out += &format!("- \\[{i}\\] {}\n", escape(&source)));
    out
}

fn one_line(head: &[String]) -> String {
    let words: Vec<&str> = head.iter().map(String::as_str).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

fn latex(board: &Board) -> String {
    let grid = grid(board);
    let align = |i: usize| if grid.is_right(i) { 'r' } else { 'l' };
    let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
    let columns: String = (0..grid.heads.len()).map(align).collect();
    let mut out = format!("% {}\n\\begin{{tabular}}{{{columns}}}\n\\hline\n", order(board));
    out += &line(grid.heads.iter().map(|head| escape_latex(&one_line(head))).collect());
    out += "\\hline\n";
    for row in &grid.rows {
        out += &line(row.iter().map(|cell| escape_latex(cell)).collect());
    }
    out += "\\hline\n\\end{tabular}\n";
    legend(board).iter().for_each(|mark| out += &format!("% {mark}\n"));
    notes(board).for_each(|(letter, note)| out += &format!("% {letter}: {note}\n"));
    sources(board).for_each(|(i, source)| out += &format!("% [{i}] {source}\n"));
    out
}

fn escape_latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '\\' => out.push_str("\\textbackslash{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            _ => out.push(c),
        }
    }
    out
}

/// Figures in our schema.
fn csv(figures: &[&Figure]) -> std::io::Result<String> {
    let mut writer = ::csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for figure in figures {
        writer.serialize(figure)?;
    }
    let bytes = writer.into_inner().map_err(::csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}
