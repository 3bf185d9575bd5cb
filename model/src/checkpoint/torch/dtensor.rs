//! Pieces of tensors: what one rank of a training saves under FSDP (torch's DTensor).
//!
//! torch writes the piece, a tensor as any other, beside a description of the whole: its size, the mesh
//! of ranks with the place of this rank in it, and for each axis of the mesh what it does to the tensor
//! (`torch/distributed/tensor`: `DTensorSpec`, `Shard`, `Replicate`). The modules of these classes have
//! moved between versions of torch, and the mesh is written in two forms; this rank's place is in both.

use segzero_datasets::pickle::{Pickle, Value};

use super::{AXES_MAX, Reader, TorchError, dtype};

/// Makes an instance of a subclass of tensors and gives it its fields.
pub(super) const REBUILT: &str = "torch._tensor._rebuild_from_type_v2";
/// A tensor that has others in its place: class, dtype, size, …
pub(super) const WRAPPER: &str = "torch._utils._rebuild_wrapper_subclass";
/// The class; before torch 2.5 in another module.
pub(super) const DTENSOR: &str = "torch.distributed.tensor.DTensor";

/// Of which tensor a rank has a piece, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parted {
    /// Sizes of the axes of the whole.
    pub shape: Vec<usize>,
    /// The axis along which it is cut; none where the rank has all of it.
    pub axis: Option<usize>,
    /// Which piece this is along that axis.
    pub piece: usize,
    /// Whether other ranks may have the same piece: the mesh has further axes.
    pub is_replicated: bool,
}

impl<'a> Reader<'a> {
    /// The piece and its description, where the value is a DTensor.
    pub(super) fn parted(
        &self,
        value: Value<'a>,
    ) -> Result<Option<(Value<'a>, Parted)>, TorchError> {
        let Some((REBUILT, arguments)) = self.pickle.call(value) else { return Ok(None) };
        let &[Value::Object(WRAPPER), Value::Object(class), stated, state] = arguments else {
            return Err(TorchError::NotATensor("an instance of a class"));
        };
        if !class.ends_with(".DTensor") {
            return Err(TorchError::NotATensor("an instance of another class"));
        }
        let described = |what| move || TorchError::Described(what);
        let Some(&[_, Value::Object(stated), size, ..]) = self.pickle.items(stated) else {
            return Err(TorchError::Described("its size"));
        };
        let shape = self.sizes(size).ok_or_else(described("its size"))?;
        let field = |name| fields(&self.pickle, state).and_then(|f| self.pickle.get(f, name));
        let local = field("_local_tensor").ok_or_else(described("its piece"))?;
        let spec = field("_spec").and_then(|spec| self.pickle.state(spec));
        let spec = spec.ok_or_else(described("how it is parted"))?;
        let (axis, piece, is_replicated) = self.place(spec)?;
        if axis.is_some_and(|axis| axis >= shape.len()) {
            return Err(TorchError::Placement("along an axis that it does not have"));
        }
        if self.tensor(local)?.dtype != dtype(stated).ok_or_else(described("its dtype"))? {
            return Err(TorchError::Described("its piece has another dtype"));
        }
        Ok(Some((local, Parted { shape, axis, piece, is_replicated })))
    }

    /// The axis that is cut, which piece this rank has, and whether there are replicas of it.
    fn place(&self, spec: Value<'a>) -> Result<(Option<usize>, usize, bool), TorchError> {
        let described = TorchError::Described("its placements");
        let placements = self.pickle.get(spec, "placements");
        let placements = placements.and_then(|placements| self.pickle.items(placements));
        let placements = placements.ok_or_else(|| described.clone())?;
        let mesh = self.pickle.get(spec, "mesh").and_then(|mesh| self.pickle.state(mesh));
        let coordinate = mesh.and_then(|mesh| self.pickle.get(mesh, "_coordinate_on_dim"));
        let coordinate = coordinate.and_then(|coordinate| self.sizes(coordinate));
        let coordinate = coordinate.ok_or(TorchError::Described("the place of its rank"))?;
        if coordinate.len() != placements.len() {
            return Err(TorchError::Described("the place of its rank"));
        }
        let mut cut = None;
        for (placement, piece) in placements.iter().zip(coordinate) {
            let class = self.pickle.call(*placement).map(|(class, _)| class);
            match class.and_then(|class| class.rsplit('.').next()) {
                Some("Replicate") => {}
                Some("Shard") if cut.is_some() => {
                    return Err(TorchError::Placement("by more than one axis of the mesh"));
                }
                Some("Shard") => {
                    let state = self.pickle.state(*placement);
                    let axis = state.and_then(|state| self.pickle.get(state, "dim")?.int());
                    let axis = axis.and_then(|axis| usize::try_from(axis).ok());
                    let axis = axis.filter(|&axis| axis < AXES_MAX);
                    cut = Some((axis.ok_or_else(|| described.clone())?, piece));
                }
                Some("Partial") => return Err(TorchError::Placement("as terms of a sum")),
                _ => return Err(TorchError::Placement("neither `Shard` nor `Replicate`")),
            }
        }
        let (axis, piece) = cut.map_or((None, 0), |(axis, piece)| (Some(axis), piece));
        Ok((axis, piece, placements.len() > 1 || axis.is_none()))
    }
}

/// The fields of an instance: a dict, or, of a class with slots, a dict behind another or None.
fn fields<'a>(pickle: &Pickle<'a>, state: Value<'a>) -> Option<Value<'a>> {
    match pickle.items(state) {
        Some(&[_, slots]) => Some(slots),
        Some(_) => None,
        None => Some(state),
    }
}
