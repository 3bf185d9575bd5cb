//! The unpickler against CPython: the same values from every protocol; and against hostile input.
#![allow(clippy::unwrap_used)] // clippy exempts test functions only, not their helpers

use proptest::prelude::*;
use segzero_datasets::pickle::{Pickle, PickleFault, Value, parse, parse_naming};
use segzero_test_support::fixture;
use serde_json::json;

/// A value as JSON, tuples as lists. The fixtures are shallow; hostile input never comes here.
fn to_json(pickle: &Pickle<'_>, value: Value<'_>) -> serde_json::Value {
    match value {
        Value::None => json!(null),
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Bytes(value) => json!(value),
        Value::Text(_) | Value::Decoded(_) => json!(pickle.text(value).unwrap()),
        Value::List(_) | Value::Tuple(_) => {
            pickle.items(value).unwrap().iter().map(|&item| to_json(pickle, item)).collect()
        }
        Value::Dict(_) => {
            let entries = pickle.entries(value).unwrap();
            let entry = |(k, v)| (pickle.text(k).unwrap().to_owned(), to_json(pickle, v));
            serde_json::Value::Object(entries.map(entry).collect())
        }
        other => panic!("{}", other.type_name()),
    }
}

fn read(bytes: &[u8]) -> serde_json::Value {
    let pickle = parse(bytes).unwrap();
    to_json(&pickle, pickle.root())
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(fixture(env!("CARGO_MANIFEST_DIR"), &format!("pickle/{name}"))).unwrap()
}

fn fault(bytes: &[u8]) -> PickleFault {
    parse(bytes).unwrap_err().fault
}

/// The nine ways a value of [`bytes_of`] was pickled.
fn writers() -> Vec<String> {
    let python3 = (0..6).map(|protocol| format!("python3-{protocol}"));
    python3.chain((0..3).map(|protocol| format!("python2-{protocol}"))).collect()
}

#[test]
fn every_protocol_reads_as_python_reads_it() {
    for name in ["refs", "values"] {
        let expected: serde_json::Value =
            serde_json::from_slice(&bytes_of(&format!("{name}.json"))).unwrap();
        for writer in writers() {
            assert_eq!(read(&bytes_of(&format!("{name}-{writer}.p"))), expected, "{name} {writer}");
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for writer in writers() {
        let bytes = bytes_of(&format!("refs-{writer}.p"));
        assert_eq!(bytes.last(), Some(&b'.'), "STOP is the last byte");
        for end in 0..bytes.len() {
            let error = parse(&bytes[..end]).unwrap_err();
            assert!(error.offset <= end, "{writer} cut at {end}: {error}");
        }
    }
}

#[test]
fn bytes_after_stop_are_ignored_as_in_python() {
    assert_eq!(read(b"K\x01.rubbish"), json!(1));
}

#[test]
fn eight_bit_literals_follow_python_2() {
    // Left: what Python 2's repr may hold. Right: what Python 3.11 makes of it with
    // `encoding="latin1"`, but for the two cases that say so.
    let cases: [(&[u8], &str); 12] = [
        (br#"'it\'s "x"'"#, "it's \"x\""),
        (br#""it's""#, "it's"),
        (br"'\\'", "\\"),
        (br"'a\nb\tc\rd'", "a\nb\tc\rd"),
        (br"'\x41\x7f'", "A\x7f"),
        (br"'\101\0\0019'", "A\0\u{1}9"),
        (br"'\a\b\f\v'", "\x07\x08\x0c\x0b"),
        (br"'\q'", "\\q"),
        (br"'caf\xe9'", "caf\u{e9}"),
        // Bytes that are valid UTF-8 are taken as such; Python's `latin1` would garble them.
        (br"'caf\xc3\xa9'", "caf\u{e9}"),
        // A file written in text mode on Windows; Python refuses it.
        (b"'plain' \r", "plain"),
        (b"''", ""),
    ];
    for (literal, expected) in cases {
        let bytes = [b"S".as_slice(), literal, b"\n."].concat();
        assert_eq!(read(&bytes), json!(expected), "{}", String::from_utf8_lossy(literal));
    }
    for bad in ["'open", "bare", "'mixed\"", "'", "", "'\\x4'", "'\\xzz'", "'\\'"] {
        let bytes = [b"S".as_slice(), bad.as_bytes(), b"\n."].concat();
        assert_eq!(fault(&bytes), PickleFault::Operand { what: "a quoted string" }, "{bad}");
    }
}

#[test]
fn unicode_literals_follow_raw_unicode_escape() {
    let cases: [(&[u8], &str); 8] = [
        (b"caf\xe9", "caf\u{e9}"),
        (b"\\u732b", "\u{732b}"),
        (b"\\U0001f431", "\u{1f431}"),
        // A narrow Python 2 wrote characters beyond U+FFFF as two.
        (b"\\ud83d\\udc31", "\u{1f431}"),
        (b"lone \\ud83d!", "lone \u{fffd}!"),
        (b"lone \\udc31\\ud83d", "lone \u{fffd}\u{fffd}"),
        (b"\\\\u0041", "\\\\u0041"),
        (b"\\n\\u005c", "\\n\\"),
    ];
    for (literal, expected) in cases {
        let bytes = [b"V".as_slice(), literal, b"\n."].concat();
        assert_eq!(read(&bytes), json!(expected), "{}", String::from_utf8_lossy(literal));
    }
    for bad in ["\\u12", "\\uzzzz", "\\Uffffffff", "\\U0011"] {
        let bytes = [b"V".as_slice(), bad.as_bytes(), b"\n."].concat();
        assert_eq!(fault(&bytes), PickleFault::Operand { what: "a unicode escape" }, "{bad}");
    }
}

#[test]
fn integers_in_all_spellings() {
    let cases: [(&[u8], i64); 10] = [
        (b"I-42\n.", -42),
        (b"L123456789012L\n.", 123_456_789_012),
        (b"L7\n.", 7),
        (b"\x8a\x00.", 0),
        (b"\x8a\x01\xff.", -1),
        (b"\x8a\x02\xff\x00.", 255),
        (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", i64::MAX),
        (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\xff.", i64::MIN),
        (b"\x8b\x01\x00\x00\x00\x80.", -128),
        (b"J\xfe\xff\xff\xff.", -2),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read(bytes), json!(expected));
    }
    assert_eq!(read(b"(I00\nI01\nI1\nl."), json!([false, true, 1]));
    let too_large: [&[u8]; 3] = [
        b"I9223372036854775808\n.",
        b"\x8a\x09\0\0\0\0\0\0\0\x80\0.",
        b"L99999999999999999999L\n.",
    ];
    for bytes in too_large {
        assert_eq!(fault(bytes), PickleFault::IntegerRange);
    }
    assert_eq!(fault(b"I\n."), PickleFault::Operand { what: "an integer" });
    assert_eq!(fault(b"I0x10\n."), PickleFault::Operand { what: "an integer" });
}

#[test]
fn python_objects_are_named_and_not_executed() {
    let named: [&[u8]; 4] = [
        b"cos\nsystem\n(S'echo pwned'\ntR.",
        b"(S'echo pwned'\nios\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0aecho pwned\x85R.",
        // The name goes through the memo.
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.",
    ];
    for bytes in named {
        assert_eq!(fault(bytes), PickleFault::Global { name: "os.system".to_owned() });
    }
    let error = parse(named[0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "byte 0: the pickle asks for the Python object `os.system`; it was not executed"
    );
    let refused: [(&[u8], &str); 10] = [
        (b"NNR.", "REDUCE"),
        (b"NNb.", "BUILD"),
        (b"(Nt\x81.", "NEWOBJ"),
        (b"NNN\x92.", "NEWOBJ_EX"),
        (b"(No.", "OBJ"),
        (b"Pid\n.", "PERSID"),
        (b"NQ.", "BINPERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"\x93.", "STACK_GLOBAL"),
    ];
    for (bytes, opcode) in refused {
        assert_eq!(fault(bytes), PickleFault::Refused { opcode });
    }
}

#[test]
fn objects_that_may_be_named_are_written_down() {
    const NAMES: &[&str] = &["collections.OrderedDict", "torch.FloatStorage"];
    // OrderedDict() with an entry and an attribute; the entry is a persistent reference.
    let protocol_2 = b"\x80\x02ccollections\nOrderedDict\nq\0)R(U\x01actorch\nFloatStorage\n\
        U\x010\x86Qu}U\x01xK\x01sb."
        .as_slice();
    let protocol_4 = b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93)R(\x8c\x01a\
        \x8c\x05torch\x8c\x0cFloatStorage\x93\x8c\x010\x86Qu."
        .as_slice();
    for bytes in [protocol_2, protocol_4] {
        let pickle = parse_naming(bytes, NAMES).unwrap();
        let root = pickle.root();
        assert_eq!(pickle.call(root), Some(("collections.OrderedDict", &[][..])));
        assert_eq!(pickle.entries(root).unwrap().count(), 1);
        let id = pickle.persistent(pickle.get(root, "a").unwrap()).unwrap();
        let [storage, key] = pickle.items(id).unwrap() else { panic!("two items") };
        assert_eq!(*storage, Value::Object("torch.FloatStorage"));
        assert_eq!(pickle.text(*key), Some("0"));
        assert_eq!(parse(bytes).unwrap_err().fault, {
            PickleFault::Global { name: "collections.OrderedDict".to_owned() }
        });
    }
    let fault = |bytes: &[u8]| parse_naming(bytes, NAMES).unwrap_err().fault;
    let global = |name: &str| PickleFault::Global { name: name.to_owned() };
    assert_eq!(fault(b"cos\nsystem\n(S'echo pwned'\ntR."), global("os.system"));
    assert_eq!(fault(b"ccollections.Ordered\nDict\n."), global("collections.Ordered.Dict"));
    assert_eq!(fault(b"ccollections\n\n."), global("collections."));
    assert_eq!(fault(b"(icollections\nOrderedDict\n."), global("collections.OrderedDict"));
    let call = b"ccollections\nOrderedDict\n)R".as_slice();
    for (rest, opcode) in [
        (b")R.".as_slice(), "REDUCE"), // what was made is not called
        (b"0ccollections\nOrderedDict\n]R.", "REDUCE"),
        (b"0ccollections\nOrderedDict\n}b.", "BUILD"),
        (b")\x81.", "NEWOBJ"), // nor is it a class
        (b"0ccollections\nOrderedDict\n]\x81.", "NEWOBJ"),
        (b"0N\x97.", "NEXT_BUFFER"),
    ] {
        assert_eq!(fault(&[call, rest].concat()), PickleFault::Refused { opcode });
    }
    assert_eq!(fault(&[call, b"Na."].concat()), PickleFault::Type { expected: "a list" });
}

#[test]
fn instances_keep_their_state_beside_them() {
    // An instance of a class, its fields given twice: a value is what was given last.
    let bytes = b"\x80\x02cplaces\nShard\n)\x81}U\x03dimK\x00sb}U\x03dimK\x01sb.".as_slice();
    let pickle = parse_naming(bytes, &["places.Shard"]).unwrap();
    let root = pickle.root();
    assert_eq!(pickle.call(root), Some(("places.Shard", &[][..])));
    assert_eq!(pickle.entries(root).unwrap().count(), 0, "fields are no entries");
    let fields = pickle.state(root).unwrap();
    assert_eq!(pickle.get(fields, "dim"), Some(Value::Int(1)));
    assert_eq!(pickle.state(fields), None);
    assert_eq!(parse(bytes).unwrap_err().fault, {
        PickleFault::Global { name: "places.Shard".to_owned() }
    });
}

#[test]
fn a_page_instead_of_a_pickle_gets_a_hint() {
    let error = parse(b"<!DOCTYPE html>").unwrap_err();
    assert_eq!((error.offset, &error.fault), (0, &PickleFault::Opcode { opcode: b'<' }));
    assert!(error.hint().unwrap().contains("no pickle"));
}

#[test]
fn lengths_beyond_the_input_are_refused() {
    let cases: [&[u8]; 6] = [
        b"X\xff\xff\xff\xffab",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab",
        b"\x8e\x10\0\0\0\0\0\0\0ab",
        b"T\x7f\0\0\0ab",
        b"\x8b\xff\xff\xff\x7fab",
        b"\x95\x10\0\0\0\0\0\0\0N.",
    ];
    for bytes in cases {
        assert!(matches!(fault(bytes), PickleFault::Length { .. }));
    }
}

#[test]
fn the_stack_and_the_memo_are_guarded() {
    let cases: [(&[u8], PickleFault); 10] = [
        (b".", PickleFault::StackUnderflow),
        (b"0", PickleFault::StackUnderflow),
        (b"(.", PickleFault::StackUnderflow),
        (b"](a", PickleFault::StackUnderflow),
        (b"](K\x01a", PickleFault::StackUnderflow),
        (b"l", PickleFault::NoMark),
        (b"Na", PickleFault::StackUnderflow),
        (b"g0\n.", PickleFault::Memo { index: 0 }),
        (b"Nr\xff\xff\xff\xff.", PickleFault::Memo { index: 0xffff_ffff }),
        (b"\x80\x06N.", PickleFault::Protocol { protocol: 6 }),
    ];
    for (bytes, expected) in cases {
        assert_eq!(fault(bytes), expected, "{}", bytes.escape_ascii());
    }
    assert_eq!(fault(b"NNa."), PickleFault::Type { expected: "a list" });
    assert_eq!(fault(b"NNNs."), PickleFault::Type { expected: "a dict" });
    assert_eq!(fault(b"}]Ns."), PickleFault::Type { expected: "a hashable key" });
    assert_eq!(fault(b"(Nd."), PickleFault::Type { expected: "a value for every key" });
    assert_eq!(read(b"(N1K\x01(02K\x022\x86."), json!([2, 2]), "POP, POP_MARK and DUP");
}

#[test]
fn deep_nesting_neither_recurses_nor_leaks() {
    let depth = 2_000_000;
    let mut bytes = vec![b']'; depth];
    bytes.extend(vec![b'a'; depth - 1]);
    bytes.push(b'.');
    let pickle = parse(&bytes).unwrap();
    let (mut value, mut levels) = (pickle.root(), 1);
    while let Some(&inner) = pickle.items(value).unwrap().first() {
        (value, levels) = (inner, levels + 1);
    }
    assert_eq!(levels, depth);
}

#[test]
fn a_memo_bomb_stays_as_small_as_its_file() {
    // Each list holds the one before it ten times: 10^200 leaves in 5 kB.
    let mut bytes = b"]q\x00".to_vec();
    for level in 1..200u8 {
        bytes.push(b'(');
        for _ in 0..10 {
            bytes.extend([b'h', level - 1]);
        }
        bytes.extend([b'l', b'q', level]);
    }
    bytes.push(b'.');
    let pickle = parse(&bytes).unwrap();
    assert_eq!(pickle.items(pickle.root()).unwrap().len(), 10);
}

#[test]
fn a_cycle_is_read_and_dropped() {
    let pickle = parse(b"]q\x00h\x00a.").unwrap();
    let root = pickle.root();
    assert_eq!(pickle.items(root).unwrap(), [root]);
}

#[test]
fn of_equal_keys_the_last_counts() {
    let pickle = parse(b"}(U\x01aK\x01U\x01aK\x02u.").unwrap();
    assert_eq!(pickle.get(pickle.root(), "a").unwrap().int(), Some(2));
    assert_eq!(pickle.get(pickle.root(), "b"), None);
}

/// Bytes that are likely to be opcodes with operands, so that random input gets far.
fn opcodes() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        8 => prop::sample::select(&b"(]})ldtaseu012NKq\x94h\x85\x86\x88"[..]).prop_map(|b| vec![b]),
        1 => Just(b"S'a\\'b'\n".to_vec()),
        1 => Just(b"Vx\\u00e9\n".to_vec()),
        1 => Just(b"I12\n".to_vec()),
        1 => Just(b"X\x02\0\0\0ab".to_vec()),
        2 => Just(b"ca\nb\n)R".to_vec()),
        1 => prop::sample::select(&b"RbQ\x93"[..]).prop_map(|b| vec![b]),
        1 => any::<u8>().prop_map(|b| vec![b]),
    ];
    prop::collection::vec(opcode, 0..200).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check_linear(&bytes)?;
    }

    #[test]
    fn any_opcodes_are_read_or_refused(mut bytes in opcodes()) {
        bytes.push(b'.');
        check_linear(&bytes)?;
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        writer in 0usize..9,
    ) {
        let mut bytes = bytes_of(&format!("refs-{}.p", writers()[writer]));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check_linear(&bytes)?;
    }
}

/// No panic; and no container can hold more values than the input has bytes.
fn check_linear(bytes: &[u8]) -> Result<(), TestCaseError> {
    for pickle in [parse(bytes), parse_naming(bytes, &["a.b"])] {
        match pickle {
            Ok(pickle) => {
                let items = pickle.items(pickle.root()).map_or(0, <[_]>::len);
                prop_assert!(items <= bytes.len());
                let entries = pickle.entries(pickle.root()).map_or(0, Iterator::count);
                prop_assert!(entries <= bytes.len());
            }
            Err(e) => prop_assert!(e.offset <= bytes.len() && !e.to_string().is_empty()),
        }
    }
    Ok(())
}
