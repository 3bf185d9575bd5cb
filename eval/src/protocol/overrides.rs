//! [`Overrides`]: single fields of a protocol, from the command line.

use segzero_datasets::FillRegime;

use super::{
    Empty, Epsilon, Frame, Ignore, MeanOver, Missing, NoTarget, Overlap, Protocol, Raster, Reach,
    Unit,
};

/// Fields to change in a protocol. One flag a field; the names are those of [`Protocol`].
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Rules (each overrides the protocol's)")]
pub struct Overrides {
    /// What is scored.
    #[arg(long, value_enum)]
    pub unit: Option<Unit>,
    /// How COCO polygons become a target.
    #[arg(long, value_enum)]
    pub raster: Option<Raster>,
    /// OpenCV's fill rule, for ReasonSeg and `--raster opencv`.
    #[arg(long, value_enum)]
    pub fill: Option<FillRegime>,
    /// Pixels that two polygons of one annotation cover.
    #[arg(long, value_enum)]
    pub overlap: Option<Overlap>,
    /// Pixels marked as neither right nor wrong.
    #[arg(long, value_enum)]
    pub ignore: Option<Ignore>,
    /// Size at which pixels are compared: `native`, 480x480, 480x480:polygons.
    #[arg(long, value_name = "FRAME")]
    pub frame: Option<Frame>,
    /// No target and an empty prediction.
    #[arg(long, value_enum)]
    pub empty: Option<Empty>,
    /// Units without a target, and predictions that say so.
    #[arg(long, value_enum)]
    pub no_target: Option<NoTarget>,
    /// Units without a usable prediction.
    #[arg(long, value_enum)]
    pub missing: Option<Missing>,
    /// What gIoU is the mean over.
    #[arg(long, value_enum)]
    pub mean: Option<MeanOver>,
    /// When an IoU counts for Pr@.
    #[arg(long, value_enum)]
    pub precision: Option<Reach>,
    /// Added to each union before dividing.
    #[arg(long, value_name = "X")]
    pub epsilon: Option<f64>,
    /// Processes of a distributed sampler that repeats units.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub replicas: Option<u32>,
}

/// Sets one field where a value is given and differs, and notes the change.
macro_rules! change {
    ($changes:ident, $protocol:ident . $($field:ident).+ = $value:expr, $name:literal) => {
        if let Some(value) = $value
            && $protocol.$($field).+ != value
        {
            $protocol.$($field).+ = value;
            $changes.push(format!("{}={}", $name, spelled(&value)));
        }
    };
}

impl Overrides {
    /// The protocol with these fields, named after what changed.
    #[must_use]
    pub fn apply(&self, mut protocol: Protocol) -> Protocol {
        let mut changes = Vec::new();
        change!(changes, protocol.unit = self.unit, "unit");
        change!(changes, protocol.raster = self.raster, "raster");
        change!(changes, protocol.fill = self.fill, "fill");
        change!(changes, protocol.overlap = self.overlap, "overlap");
        change!(changes, protocol.ignore = self.ignore, "ignore");
        change!(changes, protocol.frame = self.frame, "frame");
        change!(changes, protocol.empty = self.empty, "empty");
        change!(changes, protocol.no_target = self.no_target, "no-target");
        change!(changes, protocol.missing = self.missing, "missing");
        change!(changes, protocol.mean = self.mean, "mean");
        change!(changes, protocol.precision = self.precision, "precision");
        change!(changes, protocol.epsilon.iou = self.epsilon, "epsilon");
        change!(changes, protocol.replicas = self.replicas, "replicas");
        for change in changes {
            protocol.name = format!("{}, {change}", protocol.name);
        }
        protocol
    }
}

impl Protocol {
    /// Every rule with its value, named and spelled as the flag that overrides it.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let headline: Vec<String> = self.headline.iter().map(spelled).collect();
        let thresholds: Vec<String> = self.thresholds.iter().map(|t| format!("0.{t}")).collect();
        let Epsilon { iou, mean, cumulative } = self.epsilon;
        vec![
            ("unit", spelled(&self.unit)),
            ("raster", spelled(&self.raster)),
            ("fill", spelled(&self.fill)),
            ("overlap", spelled(&self.overlap)),
            ("ignore", spelled(&self.ignore)),
            ("frame", spelled(&self.frame)),
            ("empty", spelled(&self.empty)),
            ("no-target", spelled(&self.no_target)),
            ("missing", spelled(&self.missing)),
            ("mean", spelled(&self.mean)),
            ("precision", spelled(&self.precision)),
            ("thresholds", thresholds.join(" ")),
            ("epsilon", format!("{iou:e} {mean:e} {cumulative:e}").replace("0e0", "0")),
            ("replicas", self.replicas.to_string()),
            ("headline", headline.join(" ")),
        ]
    }

    /// The rules in which this protocol differs from another: name, its value, the other's.
    pub fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let pairs = self.fields().into_iter().zip(other.fields());
        pairs.filter(|(a, b)| a.1 != b.1).map(|(a, b)| (a.0, a.1, b.1)).collect()
    }
}

/// A value as files and flags spell it.
fn spelled(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
