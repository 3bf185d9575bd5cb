//! [`Masks`]: masks from NumPy arrays and COCO's dictionaries, and back.

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use segzero_datasets::{CocoSegmentation, FillRegime, Geometry, Mask, MaskError, Size};

use crate::failure::{at, value_error};
use crate::options::mode;

/// A list of binary masks, kept as run lengths.
#[pyclass(frozen, module = "segzero")]
pub struct Masks(pub Vec<Mask>);

/// What a COCO dictionary says.
struct Rle<'a> {
    size: Size,
    counts: Counts<'a>,
}

enum Counts<'a> {
    /// COCO's compressed string.
    Text(&'a [u8]),
    /// The run lengths themselves.
    Runs(Vec<u32>),
}

impl Rle<'_> {
    fn mask(&self) -> Result<Mask, MaskError> {
        match &self.counts {
            Counts::Text(text) => Mask::from_coco_string(self.size, text),
            Counts::Runs(runs) => Mask::from_runs(self.size, runs),
        }
    }
}

#[pymethods]
impl Masks {
    /// Masks of the non-zero bytes of row-major arrays.
    #[staticmethod]
    fn from_pixels(py: Python<'_>, arrays: Vec<PyReadonlyArray2<'_, u8>>) -> PyResult<Self> {
        let pixels = arrays.iter().enumerate().map(|(i, array)| {
            let pixels = array.as_slice().map_err(|e| at(i, "mask", e))?;
            let [height, width] = array.as_array().shape().try_into().unwrap_or([0, 0]);
            let side = |n: usize| u32::try_from(n).map_err(|e| at(i, "mask", e));
            Ok((Size::new(side(width)?, side(height)?), pixels))
        });
        let pixels = pixels.collect::<PyResult<Vec<_>>>()?;
        let masks = py.detach(|| {
            let mask = |(i, &(size, pixels)): (usize, &(Size, &[u8]))| {
                Mask::from_bitmap(size, pixels).map_err(|e| (i, e))
            };
            pixels.iter().enumerate().map(mask).collect::<Result<Vec<_>, _>>()
        });
        masks.map(Self).map_err(|(i, e)| at(i, "mask", e))
    }

    /// Masks of COCO's dictionaries of `size` and `counts`.
    #[staticmethod]
    fn from_rle(py: Python<'_>, rles: Vec<Bound<'_, PyDict>>) -> PyResult<Self> {
        // Values are held, so that their strings can be read while Python goes on.
        let (size, counts) = (PyString::intern(py, "size"), PyString::intern(py, "counts"));
        let mut held = Vec::with_capacity(rles.len());
        for (i, rle) in rles.iter().enumerate() {
            let [height, width]: [u32; 2] =
                field(i, rle, &size)?.extract().map_err(|e| at(i, "mask", e))?;
            held.push((Size::new(width, height), field(i, rle, &counts)?));
        }
        let rles = held.iter().enumerate().map(|(i, (size, counts))| {
            let counts = counts_of(counts).map_err(|e| at(i, "mask", e))?;
            Ok(Rle { size: *size, counts })
        });
        let rles = rles.collect::<PyResult<Vec<_>>>()?;
        let masks = py.detach(|| {
            let mask = |(i, rle): (usize, &Rle<'_>)| rle.mask().map_err(|e| (i, e));
            rles.iter().enumerate().map(mask).collect::<Result<Vec<_>, _>>()
        });
        masks.map(Self).map_err(|(i, e)| at(i, "mask", e))
    }

    /// One mask of each object's polygons, which are flat lists of x and y. `fill` is `coco`, or a
    /// version of OpenCV's rule.
    #[staticmethod]
    fn from_polygons(
        py: Python<'_>,
        objects: Vec<Vec<Vec<f64>>>,
        size: [u32; 2],
        fill: &str,
    ) -> PyResult<Self> {
        let regime: Option<FillRegime> = if fill == "coco" { None } else { Some(mode(fill)?) };
        let size = Size::new(size[1], size[0]);
        let masks = py.detach(|| {
            let mask = |(i, polygons): (usize, Vec<Vec<f64>>)| {
                let object = Geometry::Coco(vec![CocoSegmentation::Polygons(polygons)]);
                let masks = match regime {
                    None => object.rasterize(size, FillRegime::default()),
                    Some(regime) => object.rasterize_opencv(size, regime),
                };
                masks.map(|masks| masks.target).map_err(|e| (i, e.kind))
            };
            objects.into_iter().enumerate().map(mask).collect::<Result<Vec<_>, _>>()
        });
        masks.map(Self).map_err(|(i, e)| at(i, "object", e))
    }

    /// COCO's dictionaries, with compressed strings.
    fn rle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let strings: Vec<String> = py.detach(|| self.0.iter().map(Mask::to_coco_string).collect());
        let list = PyList::empty(py);
        let (size, counts) = (PyString::intern(py, "size"), PyString::intern(py, "counts"));
        for (mask, string) in self.0.iter().zip(strings) {
            let rle = PyDict::new(py);
            rle.set_item(&size, [mask.size().height, mask.size().width])?;
            rle.set_item(&counts, string)?;
            list.append(rle)?;
        }
        Ok(list)
    }

    /// Row-major arrays of 0 and 1.
    fn pixels<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyArray2<u8>>>> {
        let bitmaps: Vec<Vec<u8>> = py.detach(|| self.0.iter().map(Mask::to_bitmap).collect());
        let array = |(mask, pixels): (&Mask, Vec<u8>)| {
            let [height, width] = [mask.size().height, mask.size().width].map(|n| n as usize);
            PyArray1::from_vec(py, pixels).reshape([height, width])
        };
        self.0.iter().zip(bitmaps).map(array).collect()
    }

    /// Number of foreground pixels of each.
    fn areas<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        py.detach(|| self.0.iter().map(Mask::area).collect::<Vec<_>>()).to_pyarray(py)
    }

    /// Boxes `[x0, y0, x1, y1]` of inclusive pixel indices; -1 throughout for an empty mask.
    fn boxes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i32>>> {
        let corners = |mask: &Mask| mask.bbox().map_or([-1; 4], |b| [b.x0, b.y0, b.x1, b.y1]);
        let boxes: Vec<i32> = py.detach(|| self.0.iter().flat_map(corners).collect());
        boxes.to_pyarray(py).reshape([self.0.len(), 4])
    }

    /// Height and width of each.
    fn sizes(&self) -> Vec<(u32, u32)> {
        self.0.iter().map(|mask| (mask.size().height, mask.size().width)).collect()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn __repr__(&self) -> String {
        format!("Masks({})", self.0.len())
    }
}

/// A value of the dictionary at a position.
fn field<'py>(
    i: usize,
    rle: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    rle.get_item(name)?.ok_or_else(|| at(i, "mask", format_args!("`{name}` is missing")))
}

fn counts_of<'a>(counts: &'a Bound<'_, PyAny>) -> PyResult<Counts<'a>> {
    if let Ok(text) = counts.cast::<PyString>() {
        return Ok(Counts::Text(text.to_str()?.as_bytes()));
    }
    if let Ok(bytes) = counts.cast::<PyBytes>() {
        return Ok(Counts::Text(bytes.as_bytes()));
    }
    counts.extract().map(Counts::Runs).map_err(|_| {
        value_error("`counts` must be COCO's string or a list of run lengths, each below 2^32")
    })
}
