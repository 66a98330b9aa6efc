//! What to write in a file of JavaScript instead of what other places for JavaScript have.

use milepost::core::outcome::{ErrorClass, StepError};

/// The code of what a script has thrown.
const EXCEPTION: &str = "exception";

const STEPS: &str = "a script exports its steps by name: `export const steps = { greet: ({ name }) => `Hello, ${name}!` }`";

const AGAIN: &str = "what a script throws is a failure, which is not tried again: `import { retryable } from 'milepost'` and \
    `throw retryable('busy', 'try later')`, or give the step `retry = { on = [\"failed\"] }`";

/// What to write instead, of a step that failed for it.
pub(crate) fn help(error: &StepError) -> Option<&'static str> {
    let is_thrown = error.class == ErrorClass::Failed && error.code == EXCEPTION;
    let of_place = || instead(&error.message);
    let on_purpose = || error.message.starts_with("Error: ").then_some(AGAIN);
    is_thrown.then(|| of_place().or_else(on_purpose)).flatten()
}

/// What to write instead of what the message says is not there.
pub(crate) fn instead(message: &str) -> Option<&'static str> {
    if message.contains("it exports neither an object `steps`")
        || message.contains("has no function `run`")
    {
        return Some(STEPS);
    }
    if message.contains("a script is one file, which can import 'milepost'")
        || message.contains("a script imports at its top")
    {
        return Some(
            "bundle it into the file first, such as by `npx esbuild main.js --bundle --format=esm --external:milepost --outfile=steps.js`; files, \
             requests and programs are reached by `import { artifacts, request, exec } from 'milepost'`",
        );
    }
    let (before, _) = message.split_once(" is not defined")?;
    let (_, name) = before.rsplit_once("ReferenceError: ")?;
    Some(match name {
        "module" | "exports" => STEPS,
        "require" | "__dirname" | "__filename" => {
            "there are no modules of Node; a script imports what there is: `import { request } from 'milepost'`"
        }
        "fetch" | "XMLHttpRequest" | "axios" | "WebSocket" => {
            "a request goes through the host: `import { request } from 'milepost'`, and its plugin says where to: `allow = { http = [{ host = \"api.example.com\" }] }`"
        }
        "process" | "Deno" | "Bun" => {
            "a script sees no environment: what it needs is in its input (`with` of the step), in the settings of its plugin (`import { config } from 'milepost'`) or a secret"
        }
        "setTimeout" | "setInterval" | "setImmediate" | "queueMicrotask" => {
            "there are no timers: a step that waits is a step of the workflow, `wait = { for = \"10s\" }`, and what may fail is tried again by its `retry`"
        }
        "Buffer" | "atob" | "btoa" | "TextEncoder" | "TextDecoder" => {
            "bytes are a `Uint8Array` here"
        }
        "window" | "document" | "localStorage" | "sessionStorage" => {
            "a step runs in no browser: it has its input, and what the host gives to `import { kv, request } from 'milepost'`"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_has_something_in_its_place() {
        for (message, part) in [
            (
                "cannot use the script a.js: ReferenceError: module is not defined (a.js:1:1)",
                "export const steps",
            ),
            (
                "ReferenceError: fetch is not defined (steps.js:1:50)",
                "import { request }",
            ),
            (
                "ReferenceError: process is not defined",
                "import { config }",
            ),
            (
                "Error: steps.js has no steps: it exports neither an object `steps` nor a `guest`",
                "export const steps",
            ),
        ] {
            let told = instead(message).unwrap_or_default();
            assert!(told.contains(part), "{message}: {told}");
        }
        for message in [
            "ReferenceError: total is not defined",
            "fetch is not defined",
            "boom",
        ] {
            assert_eq!(instead(message), None, "{message}");
        }
        let thrown = "ReferenceError: fetch is not defined (steps.js:1:50)";
        assert!(help(&StepError::new(ErrorClass::Failed, "exception", thrown)).is_some());
        let on_purpose = "Error: not yet (steps.js:7:64)";
        let on_purpose = help(&StepError::new(ErrorClass::Failed, "exception", on_purpose));
        assert!(on_purpose.is_some_and(|help| help.contains("retryable")));
        let defect = "TypeError: x is null (steps.js:7:64)";
        let defect = help(&StepError::new(ErrorClass::Failed, "exception", defect));
        assert_eq!(defect, None);
        // Another component may say the same, and mean something else.
        assert!(help(&StepError::new(ErrorClass::Failed, "other", thrown)).is_none());
    }
}
