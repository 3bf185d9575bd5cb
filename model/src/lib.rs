//! The models: Qwen-VL reasons in words and answers with a box and points, SAM 2 turns them into a
//! mask.
//!
//! ```text
//! checkpoint/  published weights: safetensors by shard, a folder or a name on the hub
//! qwen_vl/     image + question → tokens → text
//! packed/      weights of the CPU in fewer bits than 32, multiplied where they lie
//! ```

pub mod checkpoint;
pub mod packed;
