//! Whatever byte of a file is another one: it is refused, or says exactly the same.

use std::panic::{AssertUnwindSafe, catch_unwind};

use milepost::bundle::read;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Script, ok};
use serde_json::json;

use super::export;
use crate::engine::{block_on, steps};

#[test]
fn every_byte_of_a_file_counts() {
    let script = Script::new().step("a", |_| ok(json!({ "n": 1 })));
    let rig = Rig::new(&steps(&["a"]), &script);
    block_on(rig.run()).unwrap();
    let file = export(rig.store.as_ref(), &r1());
    let whole = format!("{:?}", read(&file[..], &mut |_| {}).unwrap());
    let mut silent = 0;
    for at in 0..file.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut file = file.clone();
            file[at] ^= flip;
            let taken = catch_unwind(AssertUnwindSafe(|| read(&file[..], &mut |_| {})));
            let taken = taken.unwrap_or_else(|_| panic!("byte {at} with {flip:#x}: it panicked"));
            if let Ok(taken) = taken {
                silent += 1;
                assert_eq!(format!("{taken:?}"), whole, "byte {at} with {flip:#x}");
            }
        }
    }
    // Such as the size of a window that is never filled, or the offset of a match where several hold the same.
    assert!(
        silent * 100 < file.len() * 3,
        "{silent} changes of a file of {} bytes change nothing",
        file.len()
    );
}
