//! Our Parquet files against those of the `datasets` library (fixtures/hf_schema/generate.py).

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

use super::*;

#[test]
fn files_have_the_schema_of_the_datasets_library() {
    let path = segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), "hf_schema/schema.json");
    let expected: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let fixture = Fixture::new(&objects());
    fixture.run(&options(), PLAIN).unwrap();
    let reader = SerializedFileReader::new(File::open(fixture.shard(0, 4)).unwrap()).unwrap();
    let metadata = reader.metadata().file_metadata();
    let columns: Vec<Value> = metadata
        .schema_descr()
        .columns()
        .iter()
        .map(|column| {
            json!({
                "path": column.path().string(),
                "physical": column.physical_type().to_string(),
                "converted": column.converted_type().to_string(),
                "definition": column.max_def_level(),
                "repetition": column.max_rep_level(),
            })
        })
        .collect();
    assert_eq!(Value::from(columns), expected["columns"]);
    let ours: Vec<&str> = metadata
        .key_value_metadata()
        .unwrap()
        .iter()
        .filter(|pair| pair.key == "huggingface")
        .map(|pair| pair.value.as_deref().unwrap())
        .collect();
    // The order of the features counts, so the texts are compared.
    assert_eq!(ours, [expected["huggingface"].as_str().unwrap()]);
}

#[test]
fn images_are_stored_as_they_are() {
    let fixture = Fixture::new(&objects());
    fixture.run(&options(), PLAIN).unwrap();
    let file = fs::read(fixture.shard(0, 4)).unwrap();
    let rows = read_shard(&fixture.shard(0, 4));
    for row in &rows {
        assert!(file.windows(row.image.len()).any(|window| window == row.image));
    }
}
