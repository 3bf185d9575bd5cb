//! The models: Qwen-VL reasons in words and answers with a box and points, SAM 2 turns them into a
//! mask.
//!
//! ```text
//! checkpoint/  published weights: safetensors by shard, a folder or a name on the hub
//! packed/      weights of the CPU in fewer bits than 32, multiplied where they lie
//! load         parameters on disk → tensors on a device, strictly
//! info         what a checkpoint is and needs, without loading it
//! layers/      what networks are made of
//! qwen_vl/     image + question → tokens → text
//! sam2/        image + points and boxes → masks
//! endpoint/    image + question → text, by a server that speaks OpenAI's protocol
//! ```

pub mod checkpoint;
pub mod device;
pub mod endpoint;
mod http;
pub mod info;
mod json;
pub mod layers;
pub mod load;
pub mod packed;
mod product;
pub mod qwen_vl;
pub mod sam2;
