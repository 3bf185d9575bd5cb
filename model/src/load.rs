//! From parameters on disk to tensors on a device, strictly: each is there, has the shape that the
//! network calls for, and none is left over.

use std::collections::BTreeSet;

use burn::module::{Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::Dtype;

use crate::checkpoint::{Checkpoint, Error, ErrorKind, View};
use crate::layers::{Adapter, Kernel, Matrix, PackedMatrix};
use crate::packed::{Format, Packed};

/// Where and how to keep weights.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The device.
    pub device: Device,
    /// Whether matrices are packed, as they can be on the CPU: Burn does not see their weights, so
    /// they cannot be trained.
    pub packs: bool,
    /// How matrices are kept. On the CPU all else is f32; elsewhere all is of this format, which
    /// must be one of floats.
    pub format: Format,
}

impl Placement {
    /// The dtype of activations, and of what is not packed.
    pub fn dtype(&self) -> DType {
        match self.format {
            Format::Bf16 if !self.packs => DType::BF16,
            Format::F16 if !self.packs => DType::F16,
            _ => DType::F32,
        }
    }

    /// Who computes what is not a matrix product: what is not trained on the CPU need not be Burn's.
    pub fn kernel(&self) -> Kernel {
        if self.packs { Kernel::Cpu } else { Kernel::Burn }
    }

    /// The format of a packed matrix, where they are packed. Four bits are for the decoder's layers,
    /// whose many weights decide on size and speed; what is read from images and what tells tokens
    /// apart is kept in eight.
    fn packed(&self, name: &str) -> Option<Format> {
        match self.format {
            _ if !self.packs => None,
            Format::Int4 if !name.starts_with("model.layers.") => Some(Format::Int8),
            format => Some(format),
        }
    }
}

/// A parameter of a network and what it is in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Which of the network's tensors.
    pub id: ParamId,
    /// Its canonical name.
    pub name: String,
    /// Its shape in files.
    pub shape: Vec<usize>,
    /// How it is kept.
    pub form: Form,
}

/// How a tensor of a network holds a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The same numbers in the same order; the shape may be another.
    Same,
    /// The kernel `[inputs, outputs, 2, 2]` as the matrix `[2 x 2 x outputs, inputs]`.
    Spread,
}

/// Where low-rank additions to linear layers come from.
pub trait AdapterSource {
    /// The rank of a layer's addition, by the layer's canonical name; none where it gets none.
    fn rank(&self, layer: &str) -> Option<usize>;

    /// What the additions are multiplied by.
    fn scale(&self) -> f64;

    /// The name in files of a layer's matrix `lora_A` or `lora_B`.
    fn name(&self, layer: &str, matrix: &str) -> String;

    /// The numbers of that matrix, of this shape.
    ///
    /// # Errors
    /// Where they are missing or of another shape.
    fn numbers(&self, layer: &str, matrix: &str, shape: [usize; 2]) -> Result<Vec<f32>, Error>;
}

/// Hands parameters of a checkpoint to the layers that ask for them.
pub struct Loader<'a> {
    /// None: parameters are listed, not loaded.
    checkpoint: Option<&'a Checkpoint>,
    placement: Placement,
    asked: Vec<(String, Vec<usize>)>,
    named: Vec<Named>,
    ignored: Vec<String>,
    adapters: Option<&'a dyn AdapterSource>,
}

impl<'a> Loader<'a> {
    /// Loads from a checkpoint.
    pub fn new(checkpoint: &'a Checkpoint, placement: Placement) -> Self {
        Self::of(Some(checkpoint), placement)
    }

    fn of(checkpoint: Option<&'a Checkpoint>, placement: Placement) -> Self {
        Self {
            checkpoint,
            placement,
            asked: Vec::new(),
            named: Vec::new(),
            ignored: Vec::new(),
            adapters: None,
        }
    }

    /// Adds adapters to the layers that get them.
    #[must_use]
    pub fn with_adapters(self, adapters: &'a dyn AdapterSource) -> Self {
        Self { adapters: Some(adapters), ..self }
    }

    /// The adapter of a linear layer `[outputs, inputs]`, if it gets one.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn adapter(
        &mut self,
        layer: &str,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Option<Adapter>, Error> {
        let Some(source) = self.adapters else { return Ok(None) };
        let Some(rank) = source.rank(layer) else { return Ok(None) };
        let mut matrix = |matrix: &str, shape: [usize; 2]| -> Result<_, Error> {
            let data = TensorData::new(source.numbers(layer, matrix, shape)?, shape);
            let tensor: Tensor<2> = Tensor::from_data(data, self.options());
            Ok(self.keep(&source.name(layer, matrix), &shape, Form::Same, tensor))
        };
        let down = matrix("lora_A", [rank, inputs])?;
        let up = matrix("lora_B", [outputs, rank])?;
        Ok(Some(Adapter { down, up, scale: source.scale() }))
    }

    /// Lists what a network asks for: layers get tensors of one element, and [`Loader::asked`] the
    /// names and shapes.
    pub fn listing() -> Loader<'static> {
        let placement = Placement { device: Device::flex(), packs: true, format: Format::F32 };
        Loader::of(None, placement)
    }

    /// Names and shapes asked for so far.
    pub fn asked(self) -> Vec<(String, Vec<usize>)> {
        self.asked
    }

    /// The tensors that were loaded, as far as Burn sees them.
    pub fn named(&self) -> &[Named] {
        &self.named
    }

    /// A parameter as Burn keeps it.
    fn keep<const D: usize>(
        &mut self,
        name: &str,
        shape: &[usize],
        form: Form,
        tensor: Tensor<D>,
    ) -> Param<Tensor<D>> {
        let param = Param::from_tensor(tensor);
        let (name, shape) = (name.to_owned(), shape.to_vec());
        self.named.push(Named { id: param.id, name, shape, form });
        param
    }

    /// Where the weights go.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Takes note of parameters that may be there and are not needed: those whose names begin so.
    pub fn ignore(&mut self, name: &str) {
        self.ignored.push(name.to_owned());
    }

    /// A vector, in the dtype of activations.
    ///
    /// # Errors
    /// Where it is missing, of another shape or a dtype that is not a float's.
    pub fn vector(&mut self, name: &str, length: usize) -> Result<Param<Tensor<1>>, Error> {
        self.tensor(name, [length])
    }

    /// A tensor, in the dtype of activations.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, Error> {
        let Some(view) = self.ask(name, &shape)? else {
            return Ok(Param::from_tensor(Tensor::zeros([1; D], &self.placement.device)));
        };
        let tensor = Tensor::from_data(self.data(&view, &shape)?, self.options());
        Ok(self.keep(name, &shape, Form::Same, tensor))
    }

    /// A tensor in f32, whatever the dtype of activations: few numbers that are used as they are.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn exact<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, Error> {
        let Some(numbers) = self.numbers(name, &shape)? else {
            return Ok(Param::from_tensor(Tensor::zeros([1; D], &self.placement.device)));
        };
        let options = (&self.placement.device, DType::F32);
        let tensor = Tensor::from_data(TensorData::new(numbers, shape), options);
        Ok(self.keep(name, &shape, Form::Same, tensor))
    }

    /// The numbers of a parameter, in the memory of this machine; none where parameters are only
    /// listed.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, Error> {
        self.ask(name, shape)?.map(|view| view.to_f32()).transpose()
    }

    /// A matrix `[outputs, inputs]`.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Matrix, Error> {
        self.folded(name, &shape, shape)
    }

    /// A kernel `[outputs, ..]` as the matrix that multiplies what it covers.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn kernel(&mut self, name: &str, shape: &[usize]) -> Result<Matrix, Error> {
        self.folded(name, shape, [shape[0], shape[1..].iter().product()])
    }

    /// The kernel `[inputs, outputs, 2, 2]` of a transposed convolution of stride 2, as the matrix
    /// `[2 x 2 x outputs, inputs]`: four pixels, row by row, for each.
    ///
    /// # Errors
    /// As [`Loader::vector`].
    pub fn spread_kernel(
        &mut self,
        name: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Matrix, Error> {
        let Some(numbers) = self.numbers(name, &[inputs, outputs, 2, 2])? else {
            let nothing = Tensor::zeros([1, 1], &self.placement.device);
            return Ok(Matrix::Dense(Param::from_tensor(nothing)));
        };
        let shape = [inputs, outputs, 4];
        let kernel: Tensor<3> = Tensor::from_data(TensorData::new(numbers, shape), self.options());
        let matrix = kernel.permute([2, 1, 0]).reshape([4 * outputs, inputs]);
        Ok(Matrix::Dense(self.keep(name, &[inputs, outputs, 2, 2], Form::Spread, matrix)))
    }

    fn folded(
        &mut self,
        name: &str,
        on_disk: &[usize],
        shape: [usize; 2],
    ) -> Result<Matrix, Error> {
        let Some(view) = self.ask(name, on_disk)? else {
            let nothing = Tensor::zeros([1, 1], &self.placement.device);
            return Ok(Matrix::Dense(Param::from_tensor(nothing)));
        };
        if let Some(format) = self.placement.packed(name) {
            let weights = pack(&view, shape, format)?;
            return Ok(Matrix::Packed(PackedMatrix { weights }));
        }
        let tensor = Tensor::from_data(self.data(&view, &shape)?, self.options());
        Ok(Matrix::Dense(self.keep(name, on_disk, Form::Same, tensor)))
    }

    /// The parameter of this name, checked; none where parameters are only listed.
    fn ask(&mut self, name: &str, shape: &[usize]) -> Result<Option<View<'a>>, Error> {
        self.asked.push((name.to_owned(), shape.to_vec()));
        let Some(checkpoint) = self.checkpoint else { return Ok(None) };
        let view = checkpoint.require(name)?;
        if view.shape() != shape {
            let expected = shape.to_vec();
            return Err(view.fault(ErrorKind::Shape { expected, found: view.shape().to_vec() }));
        }
        Ok(Some(view))
    }

    fn options(&self) -> (&Device, DType) {
        (&self.placement.device, self.placement.dtype())
    }

    /// The values in the dtype that the device keeps; the mapped pages are given back.
    fn data(&self, view: &View, shape: &[usize]) -> Result<TensorData, Error> {
        let data = match self.placement.dtype() {
            DType::BF16 => TensorData::new(view.to_bf16()?, shape.to_vec()),
            DType::F16 => TensorData::new(view.to_f16()?, shape.to_vec()),
            _ => TensorData::new(view.to_f32()?, shape.to_vec()),
        };
        view.release();
        Ok(data)
    }

    /// Whether the checkpoint holds anything that was not asked for.
    ///
    /// # Errors
    /// Names the first such parameter.
    pub fn finish(self) -> Result<(), Error> {
        let Some(checkpoint) = self.checkpoint else { return Ok(()) };
        let asked: BTreeSet<&str> = self.asked.iter().map(|(name, _)| name.as_str()).collect();
        let ignored = |name: &str| self.ignored.iter().any(|start| name.starts_with(start));
        let unused =
            |name: &&str| !asked.contains(name) && !ignored(name) && !name.ends_with(".inv_freq");
        match checkpoint.views().find(|view| unused(&view.name)) {
            Some(view) => Err(view.fault(ErrorKind::Unknown)),
            None => Ok(()),
        }
    }
}

/// Numbers as the bytes that they are in memory.
struct Owned<T>(Vec<T>);

impl<T: bytemuck::NoUninit> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Weights stay where they lie if they can: those of 16 bits whichever 16 bits they are.
fn pack(view: &View, [rows, columns]: [usize; 2], format: Format) -> Result<Packed, Error> {
    let packed = match (format, view.dtype()) {
        (Format::Bf16 | Format::F16, Dtype::BF16) => {
            Packed::bf16(rows, columns, view.weight_bytes())
        }
        (Format::Bf16 | Format::F16, Dtype::F16) => Packed::f16(rows, columns, view.weight_bytes()),
        (Format::F32, Dtype::F32) => Packed::f32(rows, columns, view.weight_bytes()),
        (Format::Bf16, _) => Packed::bf16(rows, columns, Owned(view.to_bf16()?)),
        (Format::F16, _) => Packed::f16(rows, columns, Owned(view.to_f16()?)),
        (Format::F32, _) => Packed::f32(rows, columns, Owned(view.to_f32()?)),
        (Format::Int8 | Format::Int4, dtype) => {
            let widen = widener(dtype).ok_or_else(|| view.fault(ErrorKind::Dtype(dtype)))?;
            view.prefetch();
            let bytes = view.bytes();
            let length = bytes.len() / rows.max(1);
            let packed = Packed::quantize(rows, columns, format, |row, out| {
                widen(&bytes[row * length..(row + 1) * length], out);
            });
            view.release();
            packed
        }
    };
    packed.map_err(|error| view.fault(ErrorKind::Packed(error)))
}

/// Writes a row of little-endian bytes as f32.
type Widen = fn(&[u8], &mut [f32]);

/// How rows of a dtype are widened, where it is one of floats.
fn widener(dtype: Dtype) -> Option<Widen> {
    fn each<const N: usize>(bytes: &[u8], out: &mut [f32], widen: impl Fn([u8; N]) -> f32) {
        for (bytes, out) in bytes.as_chunks().0.iter().zip(out) {
            *out = widen(*bytes);
        }
    }
    match dtype {
        Dtype::F32 => Some(|bytes, out| each(bytes, out, f32::from_le_bytes)),
        Dtype::BF16 => Some(|bytes, out| each(bytes, out, |b| bf16::from_le_bytes(b).to_f32())),
        Dtype::F16 => Some(|bytes, out| each(bytes, out, |b| f16::from_le_bytes(b).to_f32())),
        _ => None,
    }
}
