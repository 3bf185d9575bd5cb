//! Matrix products by the `gemm` crate, on plain slices.

use gemm::Parallelism;

/// Element (i, j) is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of so many numbers, one after another.
    pub fn rows(data: &'a [f32], width: usize) -> Self {
        Self { data, row: width, column: 1 }
    }

    /// With rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// `out[rows, columns] = scale · left[rows, inner] · right[inner, columns]`; a row of `out` begins
/// `stride` after the one before.
///
/// # Panics
/// If the last elements of left and right are not inside their slices.
///
/// # Safety
/// `out` must be valid for writes to all of these elements, and nobody else use them meanwhile.
pub(crate) unsafe fn product(
    [rows, inner, columns]: [usize; 3],
    left: Matrix,
    right: Matrix,
    scale: f32,
    (out, stride): (*mut f32, usize),
    parallelism: Parallelism,
) {
    if rows * inner * columns == 0 {
        return;
    }
    assert!(left.holds(rows, inner) && right.holds(inner, columns));
    // SAFETY: the last elements of left and right were found to be inside their slices, and the
    // caller answers for the output.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out,
            1,
            stride as isize,
            false,
            left.data.as_ptr(),
            left.column as isize,
            left.row as isize,
            right.data.as_ptr(),
            right.column as isize,
            right.row as isize,
            0.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// `out[rows, columns] = left[rows, inner] · right[inner, columns]` by one thread.
///
/// # Panics
/// If `out` has another length, or left and right are too short.
pub(crate) fn multiply(sizes: [usize; 3], left: Matrix, right: Matrix, out: &mut [f32]) {
    let [rows, _, columns] = sizes;
    assert_eq!(out.len(), rows * columns, "a product of {sizes:?}");
    // SAFETY: the output has all of the elements, and this function borrows it alone.
    unsafe { product(sizes, left, right, 1.0, (out.as_mut_ptr(), columns), Parallelism::None) };
}
