//! Which splits a name means, by REFER's own rule.

/// Whether a record of split `actual` belongs to the split `wanted` (`getRefIds` of the REFER API,
/// `protocols.md` §1.2): `testA`, `testB` and `testC` take every split that contains their last
/// letter, `test` every split that contains `test`; any other name only itself.
///
/// ```
/// use segzero_datasets::split_matches;
/// assert!(split_matches("test", "testA") && split_matches("testA", "testAC"));
/// assert!(!split_matches("test", "val") && !split_matches("testAB", "testA"));
/// ```
pub fn split_matches(wanted: &str, actual: &str) -> bool {
    match wanted {
        "testA" => actual.contains('A'),
        "testB" => actual.contains('B'),
        "testC" => actual.contains('C'),
        "test" => actual.contains("test"),
        _ => wanted == actual,
    }
}
