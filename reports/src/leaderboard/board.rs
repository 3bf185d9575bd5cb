//! [`Board`]: figures of one set as a ranked table.

use std::collections::BTreeSet;

use serde::Serialize;

use super::caveat::{Caveat, Norm, caveats};
use super::check::check;
use super::{Entry, Figure, FigureStatus, Metric, Part, SETS};

/// What a table is made of.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// One set of the boards.
    pub set: Option<String>,
    /// One partition of it.
    pub split_by: Option<String>,
    /// One split of it.
    pub split: Option<String>,
    /// One metric.
    pub metric: Option<Metric>,
    /// A table of the Seg-Zero paper instead of a board.
    pub table: Option<String>,
    /// Which figures are trusted enough.
    pub trust: Trust,
}

/// Which figures a table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Trust {
    /// Those seen in the method's own material or in another's table.
    Verified,
    /// Unverified ones too, marked.
    #[default]
    All,
}

impl Selection {
    /// Whether the figure belongs.
    pub fn has(&self, figure: &Figure) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
        is(&self.set, &figure.set)
            && is(&self.split, &figure.split)
            && (self.split_by.is_none() || self.split_by == figure.split_by)
            && (self.table == figure.table || figure.status == FigureStatus::Own)
            && self.metric.is_none_or(|metric| metric == figure.metric)
            && (self.trust == Trust::All || figure.status != FigureStatus::Unverified)
    }
}

/// What one column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The set.
    pub set: String,
    /// The split.
    pub split: String,
    /// Which queries.
    pub part: Part,
    /// What the numbers measure.
    pub metric: Metric,
}

impl Column {
    pub(super) fn of(figure: &Figure) -> Self {
        let Figure { set, split, part, metric, .. } = figure;
        Self { set: set.clone(), split: split.clone(), part: *part, metric: *metric }
    }

    /// Order of the columns: sets and splits as papers print them, parts before the whole.
    fn order(&self) -> (usize, usize, Part, Metric) {
        let place = |names: &[&str], name: &str| {
            names.iter().position(|known| *known == name).unwrap_or(names.len())
        };
        let splits = ["val", "testA", "testB", "test"];
        (place(&SETS, &self.set), place(&splits, &self.split), self.part, self.metric)
    }

    /// The name that `--sort` takes: `test-short-giou`, and with the set in front of it where the
    /// table has several.
    pub fn name_among(&self, columns: &[Self]) -> String {
        let is_only = columns.iter().all(|other| other.set == self.set);
        let set = if is_only { "" } else { &self.set };
        let metric = self.metric.name().to_lowercase();
        let words = [set, &self.split, self.part_name(), &metric];
        let words = words.into_iter().filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    }

    /// `short`, `long` or nothing.
    pub fn part_name(&self) -> &'static str {
        match self.part {
            Part::Short => "short",
            Part::Long => "long",
            Part::All => "",
        }
    }
}

/// One number of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// As printed by its source, percent.
    pub text: String,
    /// How far it can be trusted.
    pub status: FigureStatus,
    /// Whether a check found fault with it.
    pub is_suspect: bool,
    /// Millionths of a percent.
    #[serde(skip)]
    pub parts: i64,
}

/// One line of a table: what one source (or several that agree) prints of one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Place in the sorted column; rows with the same number share the better place.
    pub rank: Option<usize>,
    /// The method.
    pub method: String,
    /// Number of scored units of one's own run.
    pub n: Option<u64>,
    /// Year of publication.
    pub year: Option<u16>,
    /// The preset that scores alike.
    pub protocol: Option<String>,
    /// One number a column.
    pub cells: Vec<Option<Cell>>,
    /// Places in [`Board::sources`].
    pub source: usize,
    /// Places in [`Board::notes`].
    pub notes: Vec<usize>,
}

/// A table of figures with what a reader must know to compare its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Board {
    /// The columns.
    pub columns: Vec<Column>,
    /// The column that the rows are sorted by; a table of the paper keeps its own order.
    pub sorted_by: Option<usize>,
    /// The rows, best first; then those without a figure in that column.
    pub rows: Vec<Row>,
    /// What the numbers of the rows are to be read with.
    pub notes: Vec<Caveat>,
    /// Where the numbers are from.
    pub sources: Vec<Source>,
}

/// Where numbers are from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The source's name.
    pub name: String,
    /// What kind of source it is for these numbers.
    pub status: FigureStatus,
}

/// A column to sort by that the table does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no column `{wanted}` to sort by; there are {}", columns.join(", "))]
pub struct NoSuchColumn {
    /// What was asked for.
    pub wanted: String,
    /// What there is.
    pub columns: Vec<String>,
}

impl Board {
    /// The table of the figures that `selection` names, and of `entries`, sorted by the column named
    /// `sort`; without it by the first entry's (else the whole table's) fullest column, unless it is
    /// a table of the paper.
    ///
    /// # Errors
    /// No such column.
    pub fn new(
        published: &[Figure],
        entries: &[Entry],
        selection: &Selection,
        sort: Option<&str>,
    ) -> Result<Self, NoSuchColumn> {
        let own = entries.iter().flat_map(|entry| &entry.figures);
        let all: Vec<Figure> = published.iter().chain(own).cloned().collect();
        let owners = entries.iter().enumerate();
        let owners = owners.flat_map(|(e, entry)| vec![Some(e); entry.figures.len()]);
        let owners = vec![None; published.len()].into_iter().chain(owners);
        let in_table = |figure: &Figure| {
            let same = |other: &Figure| Column::of(other) == Column::of(figure);
            selection.table.is_none()
                || published.iter().any(|other| other.table == selection.table && same(other))
        };
        let mut lines: Vec<Line<'_>> = Vec::new();
        for ((i, figure), owner) in all.iter().enumerate().zip(owners) {
            if selection.has(figure) && in_table(figure) {
                add(&mut lines, figure, i, owner);
            }
        }
        let columns = columns(&lines);
        let sorted_by = sorted_by(&columns, &lines, selection, sort)?;
        let norm = Norm::of(&lines, entries);
        let findings = check(&all);
        let suspects: BTreeSet<usize> = findings.iter().flat_map(|f| f.figures.clone()).collect();
        let mut board = Self { columns, sorted_by, rows: vec![], notes: vec![], sources: vec![] };
        for line in &lines {
            let caveats = caveats(line, &board.columns, &norm, &findings, entries);
            let n = line.entry.map(|e| entries[e].n);
            board.add(line, caveats, &suspects, n);
        }
        board.rank();
        board.number();
        Ok(board)
    }

    fn add(
        &mut self,
        line: &Line<'_>,
        caveats: Vec<Caveat>,
        suspects: &BTreeSet<usize>,
        n: Option<u64>,
    ) {
        let first = line.first;
        let cell = |column: &Column| {
            let (figure, place) = line.figures.iter().find(|(f, _)| Column::of(f) == *column)?;
            Some(Cell {
                text: figure.value.text().to_owned(),
                status: figure.status,
                is_suspect: suspects.contains(place),
                parts: figure.value.parts(),
            })
        };
        let source = Source { name: first.source.clone(), status: first.status };
        self.rows.push(Row {
            rank: None,
            method: first.method.clone(),
            n,
            year: first.year,
            protocol: first.protocol.clone(),
            cells: self.columns.iter().map(cell).collect(),
            source: place_of(&mut self.sources, source),
            notes: caveats.into_iter().map(|c| place_of(&mut self.notes, c)).collect(),
        });
    }

    /// Sorts by the chosen column and gives equal numbers equal places (1, 2, 2, 4).
    fn rank(&mut self) {
        let Some(column) = self.sorted_by else { return };
        let parts = |row: &Row| row.cells[column].as_ref().map(|cell| cell.parts);
        self.rows.sort_by_key(|row| std::cmp::Reverse(parts(row)));
        let all: Vec<Option<i64>> = self.rows.iter().map(parts).collect();
        for (row, own) in self.rows.iter_mut().zip(&all) {
            row.rank = own.and_then(|_| Some(1 + all.iter().position(|other| other == own)?));
        }
    }

    /// Numbers notes and sources in the order in which the rows name them.
    fn number(&mut self) {
        let mut notes = Vec::new();
        let mut sources = Vec::new();
        for row in &mut self.rows {
            row.source = place_of(&mut sources, self.sources[row.source].clone());
            for note in &mut row.notes {
                *note = place_of(&mut notes, self.notes[*note].clone());
            }
            row.notes.sort_unstable();
        }
        (self.notes, self.sources) = (notes, sources);
    }
}

/// The figures of one row, with their places among all, published first.
pub(super) struct Line<'a> {
    pub first: &'a Figure,
    pub figures: Vec<(&'a Figure, usize)>,
    /// Place of one's own entry.
    pub entry: Option<usize>,
}

/// Puts a figure into the line of its method and source, or opens one. A second value for a column
/// stands in a line of its own.
fn add<'a>(lines: &mut Vec<Line<'a>>, figure: &'a Figure, place: usize, entry: Option<usize>) {
    let belongs = |line: &&mut Line<'_>| {
        let first = line.first;
        let free = line.figures.iter().all(|(f, _)| Column::of(f) != Column::of(figure));
        // A table of the paper has sets side by side, of which only some have partitions.
        let same_split = first.set != figure.set || first.split_by == figure.split_by;
        let same_source = first.source == figure.source && first.status == figure.status;
        free && same_split && same_source && line.entry == entry && first.method == figure.method
    };
    match lines.iter_mut().find(belongs) {
        Some(line) => line.figures.push((figure, place)),
        None => lines.push(Line { first: figure, figures: vec![(figure, place)], entry }),
    }
}

fn columns(lines: &[Line<'_>]) -> Vec<Column> {
    let mut columns = Vec::new();
    for (figure, _) in lines.iter().flat_map(|line| &line.figures) {
        let column = Column::of(figure);
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns.sort_by_key(Column::order);
    columns
}

fn sorted_by(
    columns: &[Column],
    lines: &[Line<'_>],
    selection: &Selection,
    sort: Option<&str>,
) -> Result<Option<usize>, NoSuchColumn> {
    if let Some(wanted) = sort {
        let name = |column: &Column| column.name_among(columns);
        let found = columns.iter().position(|column| name(column).eq_ignore_ascii_case(wanted));
        let names = || columns.iter().map(name).collect();
        let error = || NoSuchColumn { wanted: wanted.to_owned(), columns: names() };
        return found.map(Some).ok_or_else(error);
    }
    if selection.table.is_some() && lines.iter().all(|line| line.entry.is_none()) {
        return Ok(None);
    }
    let own = lines.iter().find(|line| line.entry.is_some());
    let has = |line: &Line<'_>, column: &Column| {
        line.figures.iter().any(|(figure, _)| Column::of(figure) == *column)
    };
    let candidates = (0..columns.len()).filter(|&i| own.is_none_or(|own| has(own, &columns[i])));
    let count = |i: usize| lines.iter().filter(|line| has(line, &columns[i])).count();
    Ok(candidates.rev().max_by_key(|&i| count(i)))
}

/// The place of an item in a list that it joins if it is new.
fn place_of<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}
