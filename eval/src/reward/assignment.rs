//! One-to-one assignment of rows to columns (the Hungarian method, by shortest augmenting paths:
//! Jonker and Volgenant, Computing 38, 1987).

/// The largest sum that `min(rows, columns)` marks can have of which no two share a row or a column.
/// `marks` is row by row. Which assignment reaches it is not said: there may be several.
pub(super) fn largest_sum(marks: &[u8], rows: usize, columns: usize) -> u32 {
    debug_assert_eq!(marks.len(), rows * columns);
    if rows > columns {
        let mark = |i| marks[i % rows * columns + i / rows];
        return largest_sum(&(0..marks.len()).map(mark).collect::<Vec<_>>(), columns, rows);
    }
    let best = i32::from(marks.iter().copied().max().unwrap_or(0));
    let mut search = Search::new(columns);
    for row in 0..rows {
        search.assign(row, |row, column| best - i32::from(marks[row * columns + column]));
    }
    let assigned = search.row_of.iter().enumerate();
    let taken = assigned.filter_map(|(column, &row)| Some(marks[row? * columns + column]));
    taken.map(u32::from).sum()
}

/// Rows assigned so far, and prices under which each has one of its cheapest columns.
struct Search {
    row_of: Vec<Option<usize>>,
    row_price: Vec<i32>,
    column_price: Vec<i32>,
    /// Of the path that is being searched: length up to each column, the column before it, and
    /// whether it is final.
    length: Vec<i32>,
    before: Vec<Option<usize>>,
    is_final: Vec<bool>,
}

impl Search {
    fn new(columns: usize) -> Self {
        Self {
            row_of: vec![None; columns],
            row_price: Vec::new(),
            column_price: vec![0; columns],
            length: vec![0; columns],
            before: vec![None; columns],
            is_final: vec![false; columns],
        }
    }

    /// Gives the next row a column, along the shortest path on which others give theirs up.
    fn assign(&mut self, new_row: usize, cost: impl Fn(usize, usize) -> i32) {
        self.row_price.push(0);
        self.length.fill(i32::MAX);
        self.is_final.fill(false);
        let (mut row, mut at, mut so_far) = (new_row, None, 0);
        let mut end = loop {
            let mut nearest: Option<usize> = None;
            for column in (0..self.row_of.len()).filter(|&column| !self.is_final[column]) {
                let step = cost(row, column) - self.row_price[row] - self.column_price[column];
                if so_far + step < self.length[column] {
                    self.length[column] = so_far + step;
                    self.before[column] = at;
                }
                if nearest.is_none_or(|nearest| self.length[column] < self.length[nearest]) {
                    nearest = Some(column);
                }
            }
            // There are as many columns as rows, so one is left.
            let Some(column) = nearest else { return };
            (at, so_far) = (nearest, self.length[column]);
            match self.row_of[column] {
                Some(next) => row = next,
                None => break column,
            }
            self.is_final[column] = true;
        };
        self.row_price[new_row] += so_far;
        for column in (0..self.row_of.len()).filter(|&column| self.is_final[column]) {
            let slack = so_far - self.length[column];
            self.column_price[column] -= slack;
            if let Some(row) = self.row_of[column] {
                self.row_price[row] += slack;
            }
        }
        while let Some(before) = self.before[end] {
            self.row_of[end] = self.row_of[before];
            end = before;
        }
        self.row_of[end] = Some(new_row);
    }
}
