//! The weights of a network in training: in f32 whatever the network computes in, with what the
//! optimizer remembers of them, on their way from files and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use safetensors::{Dtype, View};
use segzero_model::checkpoint::Checkpoint;
use segzero_model::load::{Form, Named};

use crate::error::TrainError;
use crate::gradients::Accumulated;
use crate::optimizer::{AdamW, Decay, Moments};

/// A network and its weights.
#[derive(Debug)]
pub struct Weights<M> {
    network: M,
    parameters: Vec<Parameter>,
    frozen: BTreeSet<ParamId>,
}

/// A parameter that is trained.
#[derive(Debug)]
struct Parameter {
    named: Named,
    /// In f32.
    value: Tensor<1>,
    moments: Option<Moments>,
    is_trained: bool,
}

impl<M: Module> Weights<M> {
    /// Of a network without gradients; those parameters are trained for whose names `trains` holds.
    pub fn new(network: M, named: Vec<Named>, trains: impl Fn(&str) -> bool) -> Self {
        let mut values = Values::default();
        network.visit(&mut values);
        let parameter = |named: Named| {
            let value = values.0.remove(&named.id)?;
            let is_trained = trains(&named.name);
            Some(Parameter { named, value, moments: None, is_trained })
        };
        let parameters: Vec<Parameter> = named.into_iter().filter_map(parameter).collect();
        let frozen = parameters.iter().filter(|p| !p.is_trained).map(|p| p.named.id).collect();
        Self { network, parameters, frozen }
    }

    /// The network with the weights as they are.
    pub fn network(&self) -> &M {
        &self.network
    }

    /// Parameters that are not trained.
    pub fn frozen(&self) -> &BTreeSet<ParamId> {
        &self.frozen
    }

    /// Numbers that are trained, and all.
    pub fn counts(&self) -> [usize; 2] {
        let count = |p: &Parameter| p.named.shape.iter().product::<usize>();
        let trained = self.parameters.iter().filter(|p| p.is_trained).map(count).sum();
        [trained, self.parameters.iter().map(count).sum()]
    }

    /// Takes a step, the `step`-th of all, and gives the norm of the gradients before they were clipped.
    pub fn step(
        &mut self,
        mut gradients: Accumulated,
        optimizer: &AdamW,
        rate: f64,
        step: u64,
    ) -> f64 {
        let norm = gradients.norm();
        if optimizer.max_grad_norm > 0.0 && norm > optimizer.max_grad_norm {
            gradients.scale(optimizer.max_grad_norm / (norm + 1e-6));
        }
        let mut moved = HashMap::new();
        for parameter in self.parameters.iter_mut().filter(|p| p.is_trained) {
            let value = parameter.value.clone();
            let gradient = gradients.get(parameter.named.id).cloned();
            let gradient = gradient.unwrap_or_else(|| value.zeros_like());
            let moments = parameter.moments.get_or_insert_with(|| Moments::of(&value));
            let decays = optimizer.decay == Decay::All || parameter.named.shape.len() > 1;
            let rate = rate * optimizer.rate_of(&parameter.named.name);
            parameter.value = optimizer.step(value, gradient, moments, rate, step, decays);
            moved.insert(parameter.named.id, parameter.value.clone());
        }
        self.network = self.network.clone().map(&mut Put(moved));
        norm
    }

    /// Writes the weights whose names `keeps` holds, in f32, as published checkpoints have them.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn save(&self, path: &Path, keeps: impl Fn(&str) -> bool) -> Result<(), TrainError> {
        let kept = self.parameters.iter().filter(|p| keeps(&p.named.name));
        let stored = kept.map(|p| {
            (
                p.named.name.clone(),
                Stored { shape: &p.named.shape, form: p.named.form, value: &p.value },
            )
        });
        write(path, stored)
    }

    /// Writes what the optimizer remembers: `{name}.exp_avg` and `{name}.exp_avg_sq`, flat.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn save_moments(&self, path: &Path) -> Result<(), TrainError> {
        let moments = self.parameters.iter().filter_map(|p| Some((p, p.moments.as_ref()?)));
        let shapes: Vec<_> = moments.map(|(p, m)| (p, m, [p.value.dims()[0]])).collect();
        let stored = shapes.iter().flat_map(|(p, m, shape)| {
            let stored = |value| Stored { shape: &shape[..], form: Form::Same, value };
            let name = &p.named.name;
            [
                (format!("{name}.exp_avg"), stored(&m.first)),
                (format!("{name}.exp_avg_sq"), stored(&m.second)),
            ]
        });
        write(path, stored)
    }

    /// Reads what [`Weights::save_moments`] wrote.
    ///
    /// # Errors
    /// A file that is damaged or of another network.
    pub fn load_moments(&mut self, path: &Path, device: &Device) -> Result<(), TrainError> {
        let checkpoint = Checkpoint::open(path)?;
        for parameter in self.parameters.iter_mut().filter(|p| p.is_trained) {
            let read = |part: &str| -> Result<Tensor<1>, TrainError> {
                let view = checkpoint.require(&format!("{}.{part}", parameter.named.name))?;
                let numbers = view.to_f32()?;
                let shape = [numbers.len()];
                Ok(Tensor::from_data(TensorData::new(numbers, shape), (device, DType::F32)))
            };
            let moments = Moments { first: read("exp_avg")?, second: read("exp_avg_sq")? };
            if moments.first.dims() != parameter.value.dims() {
                return Err(TrainError::Moments {
                    path: path.to_owned(),
                    name: parameter.named.name.clone(),
                });
            }
            parameter.moments = Some(moments);
        }
        Ok(())
    }
}

/// Writes a safetensors file under a temporary name, then renames it.
///
/// # Errors
/// A disk that is full.
pub(crate) fn write<V: View>(
    path: &Path,
    tensors: impl Iterator<Item = (String, V)>,
) -> Result<(), TrainError> {
    let failed = |reason: String| TrainError::Write { path: path.to_owned(), reason };
    let incomplete = path.with_extension("incomplete");
    // The library makes files that only their owner can read; others of a group load models too.
    let empty = fs::File::create(&incomplete).and_then(|file| file.metadata());
    let usual = empty.map_err(|error| failed(error.to_string()))?.permissions();
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(about), &incomplete)
        .map_err(|error| failed(error.to_string()))?;
    fs::set_permissions(&incomplete, usual)
        .and_then(|()| fs::rename(&incomplete, path))
        .map_err(|error| failed(error.to_string()))
}

/// A tensor as it is written; its numbers are fetched when their turn comes.
struct Stored<'a> {
    shape: &'a [usize],
    form: Form,
    value: &'a Tensor<1>,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let value = match (self.form, self.shape) {
            (Form::Spread, &[inputs, outputs, ..]) => {
                let matrix = self.value.clone().reshape([4, outputs, inputs]);
                let count = 4 * outputs * inputs;
                matrix.permute([2, 1, 0]).reshape([count])
            }
            _ => self.value.clone(),
        };
        let numbers: Vec<f32> = value.into_data().iter::<f32>().collect();
        Cow::Owned(bytemuck::cast_slice(&numbers).to_vec())
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}

/// All parameters, flat, in f32.
#[derive(Default)]
struct Values(BTreeMap<ParamId, Tensor<1>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let count = value.shape().num_elements();
        let value: Tensor<1> = value.reshape([count]);
        let value = if value.dtype() == DType::F32 { value } else { value.cast(FloatDType::F32) };
        self.0.insert(param.id, value);
    }
}

/// Puts values in, in the shape and dtype of what was there.
struct Put(HashMap<ParamId, Tensor<1>>);

impl ModuleMapper for Put {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.0.remove(&param.id) else { return param };
        param.map(|old| {
            let value = value.reshape(old.dims());
            if old.dtype() == DType::F32 { value } else { value.cast(old.dtype()) }
        })
    }
}
