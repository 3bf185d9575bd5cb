//! Damaged and forged archives: each is read or refused, and what is read lies in the file.

use super::*;
use crate::checkpoint::tests::for_each_damage;

fn fixture(name: &str) -> Vec<u8> {
    let path = segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), &format!("torch/{name}"));
    std::fs::read(path).unwrap()
}

/// The tensors of a file without a fault.
fn tensors(file: &[u8]) -> Result<BTreeMap<String, Header>, String> {
    let Contents { tensors, faults, .. } = read(file).map_err(|fault| fault.to_string())?;
    let fault = faults.iter().map(|(name, fault)| format!("{name}: {fault}")).next();
    fault.map_or(Ok(tensors), Err)
}

fn fault(file: &[u8]) -> String {
    tensors(file).unwrap_err()
}

/// The sound file with other bytes `at` bytes behind the `n`th occurrence of `mark`.
fn forged(mark: &[u8], n: usize, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = fixture("model.pt");
    let mut found = (0..file.len()).filter(|&i| file[i..].starts_with(mark));
    let start = found.nth(n).unwrap() + at;
    file[start..start + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn no_damage_makes_it_panic() {
    for name in ["model.pt", "protocol4.pt", "dtypes.pt", "older.pt"] {
        let sound = fixture(name);
        let mut refused = 0;
        let mut check = |file: &[u8]| match tensors(file) {
            Ok(tensors) => {
                let inside = |header: &Header| {
                    let (start, end) = header.data_offsets;
                    start <= end && end <= file.len() as u64
                };
                assert!(tensors.values().all(inside));
            }
            Err(fault) => refused += usize::from(!fault.is_empty()),
        };
        for_each_damage(&sound, &mut check);
        for at in 0..sound.len() {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = sound.clone();
                damaged[at..(at + 8).min(sound.len())].fill(value);
                check(&damaged);
            }
        }
        assert!(refused > sound.len(), "every cut, and much else");
    }
}

#[test]
fn no_damage_of_a_piece_makes_it_panic() {
    let path = "fsdp/fsdp2/global_step_2/actor/model_world_size_3_rank_1.pt";
    let path = segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), path);
    let sound = std::fs::read(path).unwrap();
    let parted = read(&sound).unwrap().parted;
    assert_eq!(parted.len(), 7);
    assert_eq!((parted["cube"].axis, parted["cube"].piece), (Some(1), 1));
    assert_eq!(parted["cube"].shape, [4, 6, 2]);
    let whole = read(&sound).unwrap().whole();
    assert!(whole.tensors.keys().eq(["count", "edges"]) && whole.parted.is_empty());
    assert_eq!(whole.faults.len(), 7, "pieces are no tensors");
    let mut changed = 0;
    let mut check = |file: &[u8]| match read(file) {
        Ok(contents) => {
            assert!(contents.parted.keys().all(|name| contents.tensors.contains_key(name)));
            let inside = |header: &Header| header.data_offsets.1 <= file.len() as u64;
            assert!(contents.tensors.values().all(inside));
            changed += usize::from(contents.parted != parted);
        }
        Err(fault) => changed += usize::from(!fault.to_string().is_empty()),
    };
    for_each_damage(&sound, &mut check);
    assert!(changed > sound.len(), "every cut, and much else");
}

#[test]
fn a_cut_file_is_said_to_be_cut() {
    let sound = fixture("model.pt");
    for end in [4, 100, sound.len() - 1] {
        assert_eq!(fault(&sound[..end]), "is a zip archive without its end: it was cut off");
    }
    // Behind a comment the end is found; before other bytes it is not.
    let comment = [&sound[..sound.len() - 2], b"\x03\0abc"].concat();
    assert_eq!(tensors(&comment).unwrap().len(), tensors(&sound).unwrap().len());
    assert!(fault(&[&sound[..], b"abc"].concat()).contains("without its end"));
}

#[test]
fn forged_directories_are_refused() {
    let far = u64::MAX.to_le_bytes();
    for (at, what) in [(40, "size"), (48, "start")] {
        let text = fault(&forged(b"PK\x06\x06", 0, at, &far));
        assert!(text.ends_with("the directory of the zip archive is not sound"), "{what}: {text}");
    }
    let text = fault(&forged(b"PK\x06\x07", 0, 8, &far));
    assert!(text.ends_with("the directory of the zip archive is not sound"), "{text}");
    // Without the records of zip64, those of 32 bits are enough.
    assert!(tensors(&forged(b"PK\x06\x07", 0, 0, b"XX")).is_ok());
    let entry = |at, bytes: &[u8]| fault(&forged(b"PK\x01\x02", 0, at, bytes));
    assert_eq!(entry(8, &[1]), "its entry `archive/data.pkl` is encrypted");
    assert!(entry(10, &[8]).contains("`archive/data.pkl` is compressed (method 8)"));
    assert!(entry(20, &[1]).contains("`archive/data.pkl` is compressed (method 0)"));
    assert_eq!(entry(42, &[1]), "its entry `archive/data.pkl` is not where the directory says");
    let huge = [0xfe, 0xff, 0xff, 0x7f, 0xfe, 0xff, 0xff, 0x7f];
    assert_eq!(entry(20, &huge), "its entry `archive/data.pkl` is not where the directory says");
    // 2^32 - 1 stands for a number in the extra field, which is not there.
    assert!(entry(20, &far).contains("the directory of the zip archive is not sound"));
    assert!(entry(46, b"../hive/").contains("`../hive/data.pkl` has a name that leads elsewhere"));
    assert!(entry(46, b"/").contains("has a name that leads elsewhere"));
    assert!(entry(46, b"b").contains("is not where the directory says"));
    let second = |at, bytes: &[u8]| fault(&forged(b"PK\x01\x02", 1, at, bytes));
    let misplaced = "its entry `archive/.format_version` is not where the directory says";
    assert_eq!(second(42, &[0, 0, 0, 0]), misplaced);
    let long = entry(20, &[0, 8, 0, 0, 0, 8, 0, 0]);
    assert_eq!(long, "its entry `archive/.format_version` shares bytes with `archive/data.pkl`");
}

#[test]
fn forged_tensors_are_refused() {
    let file = fixture("model.pt");
    let size = file.windows(3).position(|w| w == b"K\x03K").unwrap();
    let check = |at: usize, byte: u8, expected: &str| {
        let mut file = file.clone();
        file[at] = byte;
        assert_eq!(fault(&file), expected);
    };
    // Size [3, 4] from element 0 of 12.
    check(size + 1, 4, "whole: reaches beyond its data: [4, 4] from element 0 of 12");
    check(size - 1, 1, "whole: reaches beyond its data: [3, 4] from element 1 of 12");
    check(size + 3, 5, "whole: is not contiguous: [3, 5] with strides [4, 1]");
    let elements = file[..size].windows(2).rposition(|w| w == b"K\x0c").unwrap();
    check(elements + 1, 13, "whole: its data `0` has 48 bytes and should have 52");
    let key = file[..size].windows(6).rposition(|w| w == b"X\x01\0\0\x000").unwrap();
    // The first by name of those that share it.
    check(key + 5, b'x', "column: its data `x` is not in the archive");
    let order = file.windows(6).position(|w| w == b"little").unwrap();
    check(order, b'L', "its byte order is `Little`; `little` is read");
}

#[test]
fn shapes_that_are_shared_do_not_multiply() {
    // One tuple of 1000 sizes, for as many tensors as are asked for: refused at the first.
    let mut pickle = b"\x80\x02}(U\x01actorch._utils\n_rebuild_tensor_v2\n((U\x07storage".to_vec();
    pickle.extend(b"ctorch\nFloatStorage\nU\x010U\x03cpuK\x0ctQK\x00(");
    pickle.extend(b"K\x01".repeat(1000));
    pickle.extend(b"tq\x00h\x00\x89}tRu.");
    let pickle = parse_naming(&pickle, OBJECTS).unwrap();
    let archive = fixture("older.pt");
    let entries = archive::entries(&archive).unwrap();
    let reader = Reader { pickle, entries: &entries, data: "archive/data/".to_owned() };
    let tensor = reader.pickle.get(reader.pickle.root(), "a").unwrap();
    let error = reader.tensor(tensor).unwrap_err();
    assert_eq!(error.to_string(), "is not described as torch describes a tensor: its size");
}

#[test]
fn sizes_of_64_bits_are_read() {
    // The first record of the directory with its sizes and its offset in an extra field, as archives
    // of more than 4 GB have them.
    let wide = |size: u64, offset: u64| {
        let mut file = fixture("older.pt");
        let record = file.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        file[record + 20..record + 28].fill(0xff);
        file[record + 42..record + 46].fill(0xff);
        let name = usize::from(file[record + 28]);
        let fields = [size, size, offset].map(u64::to_le_bytes).concat();
        // Behind a field of another kind, which is passed over.
        let extra = [&[9, 9, 2, 0, 7, 7, 1, 0, 24, 0][..], &fields[..]].concat();
        file[record + 30] = extra.len() as u8;
        file.splice(record + 46 + name..record + 46 + name, extra.clone());
        let end = file.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
        let directory = u16::from_le_bytes([file[end + 12], file[end + 13]]) + extra.len() as u16;
        file[end + 12..end + 14].copy_from_slice(&directory.to_le_bytes());
        file
    };
    let sound = fixture("older.pt");
    let size = u64::from(sound[18]) | u64::from(sound[19]) << 8;
    let expected = tensors(&sound).unwrap();
    let found = tensors(&wide(size, 0)).unwrap();
    assert!(found.keys().eq(expected.keys()));
    for (size, offset) in [(u64::MAX, 0), (size, u64::MAX), (u64::MAX - 60, 40), (size, 1 << 40)] {
        let text = fault(&wide(size, offset));
        assert_eq!(text, "its entry `archive/data.pkl` is not where the directory says");
    }
}
