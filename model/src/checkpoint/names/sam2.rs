//! SAM 2's parameters: as transformers names them, and as Meta does.

/// Transformers' names and Meta's.
const NAMES: &str = include_str!("sam2.txt");

/// Meta's tables of one row for each kind of point, and how many; transformers has one of all rows.
const POINT_KINDS: usize = 4;
const POINTS: &str = "prompt_encoder.point_embed.weight";

fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = NAMES.lines().filter(|row| !row.starts_with('#'));
    rows.filter_map(|row| row.split_once(' ')).map(|(from, to)| (from, to.trim_start()))
}

/// Meta's name of a parameter by transformers' name.
pub(super) fn metas(transformers: &str) -> Option<String> {
    names().find_map(|(from, to)| translated(transformers, from, to))
}

/// Transformers' name of a parameter by Meta's name.
pub(super) fn transformers(metas: &str) -> String {
    if (0..POINT_KINDS).any(|kind| metas == point(kind)) {
        return POINTS.to_owned();
    }
    let name = names().find_map(|(to, from)| translated(metas, from, to));
    name.unwrap_or_else(|| metas.to_owned())
}

/// Meta's names of the rows of a tensor, where each row has one.
pub(super) fn rows(transformers: &str, shape: &[usize]) -> Option<Vec<String>> {
    (transformers == POINTS && matches!(shape, [POINT_KINDS, _]))
        .then(|| (0..POINT_KINDS).map(point).collect())
}

fn point(kind: usize) -> String {
    format!("sam_prompt_encoder.point_embeddings.{kind}.weight")
}

/// The name, if it is of the form `from`, in the form `to`.
fn translated(name: &str, from: &str, to: &str) -> Option<String> {
    let mut any = Vec::new();
    let (mut parts, mut form) = (name.split('.'), from.split('.'));
    loop {
        match (parts.next(), form.next()) {
            (None, None) => break,
            (Some(part), Some("*")) => any.push(part),
            (Some(part), Some(fixed)) if part == fixed => {}
            _ => return None,
        }
    }
    let mut any = any.into_iter();
    let parts =
        to.split('.').map(|part| if part == "*" { any.next().unwrap_or(part) } else { part });
    Some(parts.collect::<Vec<_>>().join("."))
}
