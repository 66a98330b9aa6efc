//! What guests name things with: keys of memos and buckets, names of buckets and artifacts.

use milepost_core::limits;

use crate::host_error::HostError;

/// Refuses what is no key.
pub(super) fn check_key(what: &str, key: &str) -> Result<(), HostError> {
    if key.is_empty() {
        return Err(HostError::new("invalid", format!("{what} is empty")));
    }
    if key.len() > limits::KEY_BYTES {
        let bytes = key.len();
        let most = limits::KEY_BYTES;
        return Err(HostError::new(
            "too-large",
            format!("{what} has {bytes} bytes, more than the {most} that it may have"),
        ));
    }
    if key.contains('\0') {
        return Err(HostError::new(
            "invalid",
            format!("{what} holds a NUL character"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_between_one_byte_and_so_many_and_no_nul() {
        let code = |key: &str| check_key("the key", key).err().map(|error| error.code);
        assert_eq!(code("k"), None);
        assert_eq!(code(&"k".repeat(limits::KEY_BYTES)), None);
        assert_eq!(code("").as_deref(), Some("invalid"));
        assert_eq!(code("a\0b").as_deref(), Some("invalid"));
        let long = "k".repeat(limits::KEY_BYTES + 1);
        assert_eq!(code(&long).as_deref(), Some("too-large"));
    }
}
