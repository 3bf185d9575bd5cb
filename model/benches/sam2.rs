//! SAM 2 on the CPU: embedding an image of 1024x1024, and masks of one and of eight objects, with
//! random weights in f32. `peers/sam2.py` times transformers and ONNX Runtime on the same files.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use criterion::Criterion;
use segzero_model::checkpoint::random::{Form, Formula};
use segzero_model::checkpoint::{Checkpoint, Dtype, random};
use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::sam2::{Family, Output, PointLabel, Prompt, Sam2, parameters};

/// Written once, where the peers' script finds it too.
fn checkpoint(folder: &Path, family: Family) -> Checkpoint {
    if !folder.exists() {
        let form = Form { dtype: Dtype::F32, ..Form::default() };
        random::write(folder, &parameters(&family.config()), &form, &[]).unwrap();
    }
    Checkpoint::open(folder).unwrap()
}

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    // `cargo bench --bench sam2 -- large` loads that family only.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for (family, name) in [(Family::Large, "large"), (Family::Tiny, "tiny")] {
        if filter.as_ref().is_some_and(|filter| !filter.starts_with(name)) {
            continue;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sam2-{name}"));
        let placement = DeviceName::Cpu.place(Format::F32).unwrap();
        let model = Sam2::load(&checkpoint(&folder, family), family.config(), placement).unwrap();
        let pixels = Formula::scaled("pixel_values/bench", 2.0).values(1024 * 1024 * 3);
        let pixels: Tensor<4> =
            Tensor::from_data(TensorData::new(pixels, [1, 1024, 1024, 3]), model.device());
        criterion.bench_function(&format!("{name}/embed"), |b| {
            b.iter(|| black_box(model.embed(pixels.clone())));
        });
        let embedding = model.embed(pixels);
        let points = [[400.0, 300.0], [520.0, 610.0]].map(|at| (at, PointLabel::Foreground));
        let bbox = Some([200.0, 150.0, 800.0, 900.0]);
        let prompt = Prompt { points: points.to_vec(), bbox, mask: None };
        for objects in [1, 8] {
            let prompts = vec![prompt.clone(); objects];
            criterion.bench_function(&format!("{name}/decode {objects}"), |b| {
                b.iter(|| black_box(model.decode(&embedding, 0, &prompts, Output::Multimask)));
            });
        }
    }
}
