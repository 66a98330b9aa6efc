//! Files that nobody exported, or that somebody changed: each is refused for what it is, and nothing of it is kept.

use std::io::{Cursor, Write as _};

use milepost::bundle::{BundleError, read, unpack};
use milepost::record;
use milepost::store::Filter;
use milepost::store::Upkeep as _;
use milepost::store::memory::MemoryStore;
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::state::RunState;
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::rng::Rng;
use milepost_tests::scripted::{Script, ok};
use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::{export, import};
use crate::engine::{block_on, steps};

/// An entry: its header and its bytes.
type Entry = (Header, Vec<u8>);

fn entry(name: &str, bytes: &[u8]) -> Entry {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len().min(100)]
        .copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    (header, bytes.to_vec())
}

fn unpacked(file: &[u8]) -> Vec<Entry> {
    let archive = zstd::decode_all(file).unwrap();
    let mut entries = Vec::new();
    let mut rest = &archive[..];
    while rest[..512] != [0; 512] {
        let header = Header::from_byte_slice(&rest[..512]).clone();
        let size = header.entry_size().unwrap() as usize;
        entries.push((header, rest[512..512 + size].to_vec()));
        rest = &rest[512 + size.next_multiple_of(512)..];
    }
    entries
}

fn packed(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (header, bytes) in entries {
        archive.extend(header.as_bytes());
        archive.extend(bytes);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    zstd::encode_all(&archive[..], 3).unwrap()
}

fn name(entry: &Entry) -> String {
    String::from_utf8(entry.0.path_bytes().to_vec()).unwrap()
}

/// The file with another manifest, which the first entry names.
fn with_manifest(entries: &[Entry], change: impl Fn(&mut Value)) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(&entries[1].1).unwrap();
    change(&mut manifest);
    let mut text = String::new();
    let typed: Result<milepost::bundle::Manifest, _> = serde_json::from_value(manifest.clone());
    match typed {
        Ok(typed) => text.push_str(&serde_json::to_string_pretty(&typed).unwrap()),
        Err(_) => text.push_str(&serde_json::to_string_pretty(&manifest).unwrap()),
    }
    text.push('\n');
    sealed(entries, text.as_bytes())
}

fn sealed(entries: &[Entry], manifest: &[u8]) -> Vec<u8> {
    let seal = format!(
        "milepost run, format 1\nmanifest {}\n",
        Digest::of(manifest)
    );
    let mut entries = entries.to_vec();
    entries[0] = entry("MILEPOST", seal.as_bytes());
    entries[1] = entry("manifest.json", manifest);
    packed(&entries)
}

/// The file with other bytes in a part, which the manifest names as they are.
fn with_part(entries: &[Entry], part: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut entries = entries.to_vec();
    let at = entries
        .iter()
        .position(|entry| name(entry) == part)
        .unwrap();
    let bytes = change(std::str::from_utf8(&entries[at].1).unwrap()).into_bytes();
    let (digest, size) = (Digest::of(&bytes), bytes.len());
    entries[at] = entry(part, &bytes);
    with_manifest(&entries, |manifest| {
        for named in manifest["parts"].as_array_mut().unwrap() {
            if named["name"] == part {
                named["digest"] = json!(digest);
                named["size"] = json!(size);
            }
        }
    })
}

/// A run with a value that stands beside its record.
fn file() -> Vec<u8> {
    let script = Script::new().step("a", |_| ok(json!("x".repeat(20_000))));
    let rig = Rig::new(&steps(&["a", "b"]), &script);
    block_on(rig.run()).unwrap();
    export(rig.store.as_ref(), &r1())
}

/// What is said of a file that is refused, and of which nothing is kept.
#[track_caller]
fn refusal(file: &[u8]) -> String {
    let store = MemoryStore::new();
    let refused = import(&store, file).expect_err("it was taken");
    assert!(
        store
            .list(&Filter::default())
            .now()
            .unwrap()
            .rows
            .is_empty()
    );
    refused.to_string()
}

#[track_caller]
fn refused(file: &[u8], words: &str) {
    let said = refusal(file);
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_file_is_taken_apart_and_put_together_as_it_was() {
    let file = file();
    let entries = unpacked(&file);
    assert!(
        zstd::decode_all(&packed(&entries)[..]).unwrap() == zstd::decode_all(&file[..]).unwrap()
    );
    assert!(
        zstd::decode_all(&with_manifest(&entries, |_| {})[..]).unwrap()
            == zstd::decode_all(&file[..]).unwrap()
    );
    import(&MemoryStore::new(), &with_manifest(&entries, |_| {})).unwrap();
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let file = file();
    for end in (0..file.len()).step_by(7) {
        refusal(&file[..end]);
    }
    let mut longer = file.clone();
    longer.push(0);
    refused(&longer, "something follows behind its end");
    let mut twice = file.clone();
    twice.extend(&file);
    refused(&twice, "something follows behind its end");
}

#[test]
fn what_is_no_such_file_is_refused() {
    refused(b"", "cut off");
    refused(b"hello", "not a run that was exported");
    refused(&zstd::encode_all(&b"hello"[..], 3).unwrap(), "cut off");
    refused(&packed(&[entry("notes.txt", b"hello")]), "`notes.txt`");
    refused(
        &packed(&[entry("MILEPOST", b"hello\n")]),
        "no file of an exported run",
    );
    // A frame that is to be skipped, and nothing else.
    refused(
        &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0],
        "not a run that was exported",
    );
}

#[test]
fn a_file_of_a_newer_program_is_told_as_that() {
    let mut entries = unpacked(&file());
    let seal = String::from_utf8(entries[0].1.clone()).unwrap();
    entries[0] = entry("MILEPOST", seal.replace("format 1", "format 2").as_bytes());
    let refused = read(&packed(&entries)[..], &mut |_| {});
    assert!(
        matches!(refused, Err(BundleError::TooNew { found: 2, known: 1 })),
        "{refused:?}"
    );
}

#[test]
fn entries_that_lead_elsewhere_or_are_no_files_are_refused() {
    let entries = unpacked(&file());
    let with = |other: Entry| {
        let mut entries = entries.clone();
        entries.insert(2, other);
        packed(&entries)
    };
    refused(&with(entry("/etc/passwd", b"x")), "leads elsewhere");
    refused(&with(entry("runs/../../x", b"x")), "leads elsewhere");
    refused(&with(entry("runs/0/notes", b"x")), "`runs/0/notes`");
    for (kind, words) in [
        (EntryType::Symlink, "a link"),
        (EntryType::Link, "a link"),
        (EntryType::Char, "no file"),
        (EntryType::Block, "no file"),
        (EntryType::Fifo, "no file"),
        (EntryType::Directory, "no file"),
        (EntryType::GNUSparse, "no file"),
        (EntryType::GNULongName, "no file"),
        (EntryType::XHeader, "no file"),
        (EntryType::XGlobalHeader, "no file"),
        (EntryType::Continuous, "no file"),
    ] {
        let (mut header, bytes) = entry("runs/0/journal.jsonl", b"");
        header.set_entry_type(kind);
        header.set_cksum();
        refused(&with((header, bytes)), words);
    }
    let (mut header, bytes) = entries[2].clone();
    header.set_mtime(1);
    header.set_cksum();
    let mut dated = entries.clone();
    dated[2] = (header, bytes);
    refused(&packed(&dated), "more than its name and its size");
    let mut twice = entries.clone();
    twice.insert(2, entries[2].clone());
    refused(&packed(&twice), "not the one that the manifest names");
    let mut fewer = entries.clone();
    fewer.pop();
    refused(&packed(&fewer), "missing");
}

#[test]
fn parts_that_are_not_what_the_manifest_says_are_refused() {
    let entries = unpacked(&file());
    let last = entries.len() - 1;
    let mut other = entries.clone();
    other[last].1[5] ^= 1;
    refused(&packed(&other), "does not match its digest");
    let mut longer = entries.clone();
    longer[last] = entry(
        &name(&entries[last]),
        &[entries[last].1.clone(), vec![0]].concat(),
    );
    refused(&packed(&longer), "more than the");
    let mut shorter = entries.clone();
    shorter[last] = entry(&name(&entries[last]), &entries[last].1[1..]);
    refused(&packed(&shorter), "in the manifest");
    let mut hidden = zstd::decode_all(&file()[..]).unwrap();
    hidden[1023] = b'x';
    refused(
        &zstd::encode_all(&hidden[..], 3).unwrap(),
        "hidden behind it",
    );
}

#[test]
fn a_manifest_that_names_what_cannot_be_is_refused() {
    let entries = unpacked(&file());
    let refused_with = |words: &str, change: &dyn Fn(&mut Value)| {
        refused(&with_manifest(&entries, change), words);
    };
    let part = |name: &str| json!({ "name": name, "digest": Digest::of(b""), "size": 0 });
    for name in [
        "/etc/passwd",
        "../x",
        "runs/0/../0/log.jsonl",
        "runs/9/log.jsonl",
        "runs/00/log.jsonl",
        "runs/0/other.jsonl",
        "values/abc",
        "notes/x",
        "",
    ] {
        refused_with("a part that cannot be", &|m| {
            m["parts"].as_array_mut().unwrap().push(part(name))
        });
    }
    refused_with("named twice", &|m| {
        let first = m["parts"][0].clone();
        m["parts"].as_array_mut().unwrap().push(first);
    });
    refused_with("unknown field", &|m| m["more"] = json!(1));
    refused_with("twice", &|m| {
        let first = m["runs"][0].clone();
        m["runs"].as_array_mut().unwrap().push(first);
    });
    refused_with("names no run", &|m| m["runs"] = json!([]));
    refused_with("manifest says otherwise", &|m| {
        m["runs"][0]["id"] = json!("r2")
    });
    refused_with("manifest says otherwise", &|m| {
        m["runs"][0]["status"] = json!("failed")
    });
    refused_with("manifest says otherwise", &|m| {
        m["runs"][0]["events"] = json!(1)
    });
    refused_with("not the one that the manifest names", &|m| {
        m["parts"].as_array_mut().unwrap().remove(0);
    });
    refused(&sealed(&entries, b"{"), "EOF");
    let spaced = [&entries[1].1[..], b" "].concat();
    refused(&sealed(&entries, &spaced), "not written as");
}

#[test]
fn what_nobody_names_is_refused() {
    let entries = unpacked(&file());
    let stray = b"stray";
    let digest = Digest::of(stray);
    let name = format!("values/{}", digest.hex());
    let mut more = entries.clone();
    let at = 1 + more
        .iter()
        .skip(1)
        .position(|entry| self::name(entry) > name)
        .unwrap_or(more.len() - 1);
    more.insert(at, entry(&name, stray));
    let file = with_manifest(&more, |manifest| {
        let part = json!({ "name": name, "digest": digest, "size": stray.len() });
        manifest["parts"]
            .as_array_mut()
            .unwrap()
            .insert(at - 2, part);
    });
    refused(&file, "nothing in the file names it");
}

#[test]
fn bombs_are_refused_by_what_they_say_and_by_what_they_are() {
    let entries = unpacked(&file());
    let digest = Digest::of(b"");
    for (name, size) in [
        (
            format!("artifacts/{}", digest.hex()),
            limits::ARTIFACT_BYTES + 1,
        ),
        (
            format!("values/{}", digest.hex()),
            limits::TAPE_BLOB_BYTES as u64 + 1,
        ),
        (
            format!("components/{}", digest.hex()) + ".wasm",
            limits::COMPONENT_BYTES as u64 + 1,
        ),
    ] {
        let file = with_manifest(&entries, |m| {
            let part = json!({ "name": name, "digest": digest, "size": size });
            m["parts"].as_array_mut().unwrap().push(part);
        });
        refused(&file, "more than the");
    }
    // Many parts, each of which may be.
    let parts: Vec<_> = (0..9_u64)
        .map(|n| Digest::of(&n.to_le_bytes()))
        .map(|digest| json!({ "name": format!("values/{}", digest.hex()), "digest": digest, "size": limits::TAPE_BLOB_BYTES }))
        .collect();
    let mut parts = parts;
    parts.sort_by_key(|part| part["name"].as_str().unwrap().to_owned());
    let kept = |m: &mut Value| {
        let records = m["parts"].as_array().unwrap().iter();
        let records: Vec<_> = records
            .filter(|part| part["name"].as_str().unwrap().starts_with("runs/"))
            .cloned()
            .collect();
        m["parts"] = json!([records, parts.clone()].concat());
    };
    refused(&with_manifest(&entries, kept), "more than the maximum");
    // A million entries.
    let many: Vec<_> = (0..limits::BUNDLE_PARTS + 1)
        .map(|n| json!({ "name": format!("values/{n}"), "digest": digest, "size": 0 }))
        .collect();
    refused(
        &with_manifest(&entries, |m| m["parts"] = json!(many)),
        "parts of the file",
    );
    let mut endless = packed(&entries[..1]);
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    let one = [entry("x", b"").0.as_bytes().as_slice()].concat();
    for _ in 0..1_000_000 {
        encoder.write_all(&one).unwrap();
    }
    endless.clear();
    endless.extend(encoder.finish().unwrap());
    refused(&endless, "`x`");
    // A manifest without an end, and one that is only said to be large.
    let zeros = vec![b' '; limits::BUNDLE_MANIFEST_BYTES + 1];
    refused(&sealed(&entries, &zeros), "more than the");
    // A window that nobody needs.
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(limits::BUNDLE_WINDOW_LOG + 1).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder
        .write_all(&zstd::decode_all(&file()[..]).unwrap())
        .unwrap();
    refused(&encoder.finish().unwrap(), "cannot be unpacked");
}

#[test]
fn more_than_a_file_may_hold_is_refused_before_it_is_read() {
    let entries = unpacked(&file());
    let with = |change: &dyn Fn(&mut Value)| with_manifest(&entries, change);
    // One run more than there may be.
    let many = with(&|m| {
        let one = m["runs"][0].clone();
        let numbered = (0..=limits::BUNDLE_RUNS).map(|number| {
            let mut run = one.clone();
            run["id"] = json!(format!("r{number}"));
            run
        });
        m["runs"] = numbered.collect();
    });
    let says = |most: u64| format!("more than the maximum of {most}");
    refused(&many, "runs in the file");
    refused(&many, &says(limits::BUNDLE_RUNS as u64));
    // Artifacts of the greatest size, of which one is too many; none of their bytes is there.
    let artifacts = |bytes: u64| {
        with(&|m| {
            let count = bytes / limits::ARTIFACT_BYTES + 1;
            let digests = (0..count).map(|n| Digest::of(&n.to_le_bytes()));
            let mut parts: Vec<Value> = digests
                .map(|digest| {
                    let name = format!("artifacts/{}", digest.hex());
                    json!({ "name": name, "digest": digest, "size": limits::ARTIFACT_BYTES })
                })
                .collect();
            parts.sort_by_key(|part| part["name"].as_str().unwrap().to_owned());
            m["parts"].as_array_mut().unwrap().extend(parts);
        })
    };
    let vast = artifacts(limits::BUNDLE_ARTIFACTS_BYTES);
    refused(&vast, "bytes of the artifacts of the file");
    refused(&vast, &says(limits::BUNDLE_ARTIFACTS_BYTES));
    // Less than that, and more than a replay without a store holds in memory.
    let large = artifacts(limits::BUNDLE_REPLAY_ARTIFACTS_BYTES);
    let replayed = unpack(&mut Cursor::new(&large), &mut |_| {}).now();
    let said = replayed.map(drop).expect_err("it was taken").to_string();
    assert!(
        said.contains("bytes of artifacts that are held in memory"),
        "{said}"
    );
    assert!(
        said.contains(&says(limits::BUNDLE_REPLAY_ARTIFACTS_BYTES)),
        "{said}"
    );
    refused(&large, "it is missing");
}

#[test]
fn a_journal_that_does_not_fold_is_refused_at_its_line() {
    let entries = unpacked(&file());
    let journal = "runs/0/journal.jsonl";
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let joined = |lines: Vec<String>| lines.join("\n") + "\n";
    let changed = |words: &str, change: &dyn Fn(&str) -> String| {
        refused(&with_part(&entries, journal, change), words);
    };
    changed("line 1", &|text| joined(lines(text)[1..].to_vec()));
    changed("line 3", &|text| {
        let mut lines = lines(text);
        lines.remove(2);
        joined(lines)
    });
    changed("line 4", &|text| {
        let mut lines = lines(text);
        lines.swap(3, 4);
        joined(lines)
    });
    changed("it has no end", &|text| text.trim_end().to_owned());
    changed("line 2", &|text| text.replacen("\"seq\":2", "\"seq\":3", 1));
    changed("line 1", &|text| {
        text.replacen("\"format\":1", "\"format\":9", 1)
    });
    changed("line 1", &|text| {
        text.replacen("run_created", "run_destroyed", 1)
    });
    changed("line 1", &|text| {
        text.replacen("\"seq\":1,", "\"seq\":1,\"more\":1,", 1)
    });
    changed("more than", &|text| {
        text.replacen(
            "\"seq\":1,",
            &format!("\"seq\":1,{}", " ".repeat(limits::BUNDLE_LINE_BYTES)),
            1,
        )
    });
    changed("line 1", &|text| {
        text.replacen(
            "\"inputs\":",
            &format!(
                "\"more\":{}1{},\"inputs\":",
                "[".repeat(100_000),
                "]".repeat(100_000)
            ),
            1,
        )
    });
    // Small as a text, large as a value.
    let many = format!("\"more\":[{}0],\"inputs\":", "{\"\":0},".repeat(1_500_000));
    changed("line 1", &|text| text.replacen("\"inputs\":", &many, 1));
    let nameless = entries
        .iter()
        .filter(|entry| name(entry).starts_with("values/"));
    let nameless: Vec<_> = nameless.map(name).collect();
    assert_eq!(nameless.len(), 1, "a value stands beside the record");
    let without: Vec<Entry> = entries
        .iter()
        .filter(|entry| name(entry) != nameless[0])
        .cloned()
        .collect();
    let file = with_manifest(&without, |m| {
        m["parts"]
            .as_array_mut()
            .unwrap()
            .retain(|part| part["name"] != json!(nameless[0]));
    });
    refused(&file, "missing");
}

#[test]
fn a_definition_or_a_log_that_nobody_can_read_is_refused() {
    let entries = unpacked(&file());
    let log = |line: &str| with_part(&entries, "runs/0/log.jsonl", |_| line.to_owned());
    let good = r#"{"at":"2026-01-01T00:00:00Z","path":"a","attempt":1,"line":{"at":"2026-01-01T00:00:00Z","level":"info","message":"m"}}"#;
    import(&MemoryStore::new(), &log(&format!("{good}\n"))).unwrap();
    refused(
        &log(&format!("{}\n", good.replace("\"a\"", "\"a b\""))),
        "no step logs like that",
    );
    refused(
        &log(&format!("{}\n", good.replace("level", "lovel"))),
        "no step logs like that",
    );
    let tape = "{\"started\":2,\"first\":0,\"calls\":[]}\n";
    let mut more = entries.clone();
    more.insert(3, entry("runs/0/tapes.jsonl", tape.as_bytes()));
    let file = with_manifest(&more, |m| {
        let part = json!({ "name": "runs/0/tapes.jsonl", "digest": Digest::of(tape.as_bytes()), "size": tape.len() });
        m["parts"].as_array_mut().unwrap().insert(1, part);
    });
    refused(&file, "no attempt has such a tape");
}

/// Inputs of the fuzzer `import`: a byte that says whether what follows is packed first.
fn corpus() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/import");
    if std::env::var_os("UPDATE_GOLDEN_RUNS").is_some() && !std::path::Path::new(folder).exists() {
        std::fs::create_dir_all(folder).unwrap();
        let file = file();
        let archive = zstd::decode_all(&file[..]).unwrap();
        for (name, packed, bytes) in [("packed", 0, file), ("archive", 1, archive)] {
            std::fs::write(format!("{folder}/{name}"), [vec![packed], bytes].concat()).unwrap();
        }
    }
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect()
}

/// Takes a file, or refuses it; what was taken is whole.
fn tried(file: &[u8]) -> bool {
    let store = MemoryStore::new();
    let Ok(imported) = import(&store, file) else {
        assert!(
            store
                .list(&Filter::default())
                .now()
                .unwrap()
                .rows
                .is_empty()
        );
        return false;
    };
    let journal = record::journal(&store, &imported.run, 0, usize::MAX)
        .now()
        .unwrap();
    let recorded = record::load(&store, &imported.run).now().unwrap();
    assert_eq!(RunState::fold(&journal).unwrap(), recorded.state);
    true
}

#[test]
fn inputs_of_the_fuzzer_are_taken_or_refused() {
    let corpus = corpus();
    assert!(corpus.len() >= 2);
    let taken = corpus.iter().filter(|input| match input[0] % 2 {
        0 => tried(&input[1..]),
        _ => tried(&zstd::encode_all(&input[1..], 1).unwrap()),
    });
    assert!(taken.count() >= 2);
}

/// Behind the digests: parts are changed, and the manifest names them as they are. `MILEPOST_MUTATIONS` says how many.
#[test]
fn changed_parts_with_the_right_digests_are_taken_whole_or_refused() {
    let count = std::env::var("MILEPOST_MUTATIONS")
        .ok()
        .and_then(|count| count.parse().ok());
    let count: u64 = count.unwrap_or(300);
    let entries = unpacked(&file());
    let (mut taken, mut refused) = (0_u64, 0_u64);
    for seed in 0..count {
        let rng = Rng::new(seed);
        let below = |most: usize| (rng.next() % most.max(1) as u64) as usize;
        let at = 1 + below(entries.len() - 1);
        let mut bytes = entries[at].1.clone();
        for _ in 0..=below(3) {
            let place = below(bytes.len());
            match below(6) {
                0 => bytes[place] ^= 1 << below(8),
                1 => bytes[place] = b"0123456789{}[]\",:-"[below(18)],
                2 => drop(bytes.remove(place)),
                3 => bytes.truncate(place.max(1)),
                4 => {
                    let end = (place + 1 + below(40)).min(bytes.len());
                    let piece = bytes[place..end].to_vec();
                    let to = below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => {
                    let other = &entries[1 + below(entries.len() - 1)].1;
                    let from = below(other.len());
                    let end = (from + 1 + below(200)).min(other.len());
                    bytes.splice(place..place, other[from..end].iter().copied());
                }
            }
            if bytes.is_empty() {
                bytes.push(b'x');
            }
        }
        let file = match at {
            1 => sealed(&entries, &bytes),
            _ => with_bytes(&entries, at, bytes),
        };
        match tried(&file) {
            true => taken += 1,
            false => refused += 1,
        }
    }
    assert!(refused > taken, "{taken} taken, {refused} refused");
}

fn with_bytes(entries: &[Entry], at: usize, bytes: Vec<u8>) -> Vec<u8> {
    let (mut entries, part) = (entries.to_vec(), name(&entries[at]));
    let (digest, size) = (Digest::of(&bytes), bytes.len());
    // A blob is named by its digest: a changed one is another one.
    let named = match part.split_once('/') {
        Some((folder, file)) if folder != "runs" => {
            let kind = file
                .split_once('.')
                .map_or(String::new(), |(_, kind)| format!(".{kind}"));
            format!("{folder}/{}{kind}", digest.hex())
        }
        _ => part.clone(),
    };
    entries[at] = entry(&named, &bytes);
    with_manifest(&entries, |manifest| {
        for part_of in manifest["parts"].as_array_mut().unwrap() {
            if part_of["name"] == part {
                *part_of = json!({ "name": named, "digest": digest, "size": size });
            }
        }
    })
}
