//! Arrow in and out through the PyCapsule interface: the memory is handed over, not copied.

use std::ffi::CStr;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{Array, RecordBatch, RecordBatchReader, StructArray};
use arrow_schema::DataType;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

use crate::failure::value_error;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

/// A batch of rows. Anything that speaks Arrow's PyCapsule interface takes it:
/// `pyarrow.record_batch(batch)`, `polars.DataFrame(batch)`.
#[pyclass(frozen, module = "segzero")]
pub struct Batch(pub RecordBatch);

#[pymethods]
impl Batch {
    /// The rows for another library, by Arrow's C data interface.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        // A wish that a producer may ignore.
        drop(requested_schema);
        let rows = StructArray::from(self.0.clone());
        let (array, _) = to_ffi(&rows.to_data()).map_err(value_error)?;
        let array = PyCapsule::new_with_value(py, array, ARRAY)?;
        PyTuple::new(py, [self.__arrow_c_schema__(py)?, array])
    }

    /// The schema for another library.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.0.schema().as_ref()).map_err(value_error)?;
        PyCapsule::new_with_value(py, schema, SCHEMA)
    }

    /// Names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("Batch({} rows of {})", self.0.num_rows(), self.column_names().join(", "))
    }
}

/// The batches of an object that hands one over (`pyarrow.RecordBatch`), or several (`pyarrow.Table`,
/// `polars.DataFrame`). Moving them out leaves the capsules empty, as the interface has it.
pub fn batches(object: &Bound<'_, PyAny>) -> PyResult<Vec<RecordBatch>> {
    if object.hasattr("__arrow_c_array__")? {
        return array(object).map(|batch| vec![batch]);
    }
    if object.hasattr("__arrow_c_stream__")? {
        return stream(object);
    }
    Err(value_error(
        "expected rows as Arrow has them: a pyarrow or polars table, a record batch, or what else \
         has `__arrow_c_array__` or `__arrow_c_stream__`",
    ))
}

/// The pointer inside a capsule of this name.
fn pointer<T>(capsule: &Bound<'_, PyAny>, name: &CStr) -> PyResult<*mut T> {
    let capsule = capsule.cast::<PyCapsule>()?;
    Ok(capsule.pointer_checked(Some(name))?.as_ptr().cast())
}

fn array(object: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    let pair = object.call_method0("__arrow_c_array__")?;
    let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
    let schema = pointer::<FFI_ArrowSchema>(&schema, SCHEMA)?;
    let array = pointer::<FFI_ArrowArray>(&array, ARRAY)?;
    // SAFETY: capsules of these names hold these structures, by the interface; the schema stays theirs,
    // and the array's contents move to us, which marks theirs as released.
    let data = unsafe { from_ffi(FFI_ArrowArray::from_raw(array), &*schema) };
    let data = data.map_err(value_error)?;
    if !matches!(data.data_type(), DataType::Struct(_)) {
        return Err(value_error("expected rows (a struct of columns), found a single column"));
    }
    let rows = StructArray::from(data);
    if rows.null_count() > 0 {
        return Err(value_error("a row that is null as a whole has no columns to read"));
    }
    Ok(RecordBatch::from(rows))
}

fn stream(object: &Bound<'_, PyAny>) -> PyResult<Vec<RecordBatch>> {
    let capsule = object.call_method0("__arrow_c_stream__")?;
    let stream = pointer::<FFI_ArrowArrayStream>(&capsule, STREAM)?;
    // SAFETY: a capsule of this name holds this structure, by the interface; its contents move to us,
    // which marks theirs as released.
    let reader = unsafe { RecordBatchStreamReader::from_raw(stream) }.map_err(value_error)?;
    let schema = reader.schema();
    let mut batches = reader.collect::<Result<Vec<_>, _>>().map_err(value_error)?;
    if batches.is_empty() {
        // A table without rows still has columns.
        batches.push(RecordBatch::new_empty(Arc::clone(&schema)));
    }
    Ok(batches)
}
