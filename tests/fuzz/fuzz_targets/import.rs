//! Any bytes as a file of an exported run: read, and put into a store when they can be. Half of them are packed first, so that what is
//! behind the packing is reached as well. `cargo fuzz run import`.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use milepost::bundle::{Standing, import};
use milepost::store::memory::MemoryStore;
use milepost_core::time::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    let Some((packed, rest)) = bytes.split_first() else {
        return;
    };
    let file = match packed % 2 {
        0 => rest.to_vec(),
        _ => zstd::encode_all(rest, 1).expect("memory can be written to"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let still = Standing::Still {
        by: "import".to_owned(),
        at: Timestamp::from_nanos(0),
    };
    let store = MemoryStore::new();
    let imported = import(&store, &mut Cursor::new(file), &still, &mut |_| {});
    // Refused or taken: it says so.
    drop(runtime.expect("a runtime").block_on(imported));
});
