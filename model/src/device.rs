//! Where a network runs.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use burn::tensor::Device;

use crate::load::Placement;
use crate::packed::Format;

/// A device, as it is named on the command line: `cpu`, `cuda`, `cuda:1`, `wgpu`, `wgpu:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
    /// A GPU by its number, through Vulkan, Metal or WebGPU.
    Wgpu(usize),
}

/// A device that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not the name of a device.
    #[error("`{0}` is no device; write cpu, cuda, cuda:1, wgpu or wgpu:1")]
    Name(String),
    /// This build has no such backend.
    #[error("this build cannot use `{0}`")]
    NotBuilt(DeviceName),
    /// Weights of a format that is for the CPU only.
    #[error("weights in {0} are for the CPU only")]
    Format(Format),
}

impl DeviceError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Name(_) => None,
            Self::NotBuilt(DeviceName::Wgpu(_)) => Some("build with `--features wgpu`"),
            Self::NotBuilt(_) => Some("build with `--features cuda`"),
            Self::Format(_) => Some("choose bf16, f16 or f32"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let wrong = || DeviceError::Name(text.to_owned());
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, Some(index.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        match (kind, index) {
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", index) => Ok(Self::Cuda(index.unwrap_or(0))),
            ("wgpu", index) => Ok(Self::Wgpu(index.unwrap_or(0))),
            _ => Err(wrong()),
        }
    }
}

impl Display for DeviceName {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Wgpu(index) => write!(f, "wgpu:{index}"),
        }
    }
}

impl DeviceName {
    /// The device, with weights in a format.
    ///
    /// # Errors
    /// A backend that was not built in, or a format that it does not have.
    pub fn place(self, format: Format) -> Result<Placement, DeviceError> {
        let device = self.open()?;
        let packs = self == Self::Cpu;
        if !packs && matches!(format, Format::Int8 | Format::Int4) {
            return Err(DeviceError::Format(format));
        }
        Ok(Placement { device, packs, format })
    }

    fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Ok(Device::cuda(index)),
            #[cfg(feature = "wgpu")]
            Self::Wgpu(index) => Ok(Device::wgpu(match index {
                0 => burn::tensor::DeviceKind::DefaultDevice,
                index => burn::tensor::DeviceKind::DiscreteGpu(index),
            })),
            #[cfg(not(all(feature = "cuda", feature = "wgpu")))]
            other => Err(DeviceError::NotBuilt(other)),
        }
    }
}
