//! Every reason why a verb does nothing: its stable code, its exit code, and what `explain` says of it.

use crate::exit::Exit;

/// A reason from a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct About {
    /// As `--json` prints it.
    pub(crate) code: &'static str,
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What it means, and what to do.
    pub(crate) explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $exit:ident, $explanation:literal;)*) => {
        /// Why a verb did nothing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $(#[doc = $explanation] $name,)*
        }

        impl Code {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// What there is to say of it.
            pub(crate) const fn about(self) -> About {
                match self {
                    $(Self::$name => About {
                        code: $code,
                        exit: Exit::$exit,
                        explanation: $explanation,
                    },)*
                }
            }
        }
    };
}

codes! {
    AlreadyDecided = "already_decided", Invalid,
        "The approval was decided before, and otherwise: the first decision counts. The message says what was decided, by whom and \
         when. Repeating the decision that counts is not an error.";
    AlreadyRunning = "already_running", TryAgain,
        "Another process drives the run, or changed it at the same moment. Nothing was done; try again later.";
    AtChild = "at_child", Invalid,
        "The run waits for a run that one of its steps has started, and what was brought is for that one. The help has the command.";
    AmbiguousArtifact = "ambiguous_artifact", Usage,
        "The run has several artifacts of this name, with different bytes. Name the digest of the one that is meant.";
    AmbiguousRun = "ambiguous_run", Usage,
        "Several runs begin with these characters. Type more of the id.";
    BuildFailed = "build_failed", Invalid,
        "The compiler of a plugin found a mistake, or made nothing that can be used. What it said stands above the message, or in it.";
    BundleRefused = "bundle_refused", Invalid,
        "The file is not one that `milepost export` wrote, or not as it was written: it was cut off or altered, or holds what such a \
         file never does. Nothing of it was taken. Export the run again.";
    BundleTooNew = "bundle_too_new", Invalid,
        "A newer version of milepost wrote the file. Use that version.";
    ClaimLost = "claim_lost", TryAgain,
        "Another process took the run over while this one drove it, because this one stood still for too long. What it had recorded \
         before is kept.";
    Conflict = "conflict", TryAgain,
        "The key has another revision than the one that was to be changed: somebody was faster. Nothing was changed. \
         Read it again, and try again with the revision that it has.";
    DamagedRecord = "damaged_record", Unavailable,
        "What is recorded of the run contradicts itself or cannot be read. Other runs are not affected. `milepost doctor` lists all \
         damage; restore the store from a backup, or start a new run.";
    DefinitionChanged = "definition_changed", Invalid,
        "The definition or a component has changed since the run began, and nobody said which version counts. `--as-started` \
         continues with what the run carries, `--accept-changes` with the files.";
    DescribeFailed = "describe_failed", Invalid,
        "The component did not return its manifest: `describe` called the host, trapped, or ran out of time.";
    EngineUnavailable = "engine_unavailable", Unavailable,
        "The WebAssembly engine, or what drives runs, could not start in this process. The message says why; usually it is a limit on memory, on \
         open files or on threads.";
    File = "file", Invalid,
        "A file that was named could not be read or written.";
    IdTaken = "id_taken", Invalid,
        "There is a run of that id with other inputs or another workflow. The same start again would be answered with that run; \
         for another one, choose another id.";
    InboxFull = "inbox_full", TryAgain,
        "As many signals wait for the run as it may have. The signal was not sent: send it again after the run has taken some.";
    Internal = "internal", Internal,
        "A defect of milepost. Please report it with the message.";
    InvalidDefinition = "invalid_definition", Invalid,
        "The definition has mistakes; `diagnostics` lists them. Each has a code of its own, which `milepost explain` knows, too.";
    InvalidExpression = "invalid_expression", Invalid,
        "The expression has a mistake, or has no value where the run stood: `diagnostics` says where in its text. It is the language \
         of `if` and `with`, without `${ }`.";
    InvalidInput = "invalid_input", Invalid,
        "The inputs do not fit the workflow: one is missing, unknown, too large or of another type. `diagnostics` lists them where \
         there are several.";
    LockInvalid = "lock_invalid", Invalid,
        "A `milepost.lock` cannot be used: it is no such file, a newer version of milepost wrote it, or it was changed by hand. Put it back \
         as it was, or remove it and let `milepost plugin lock` write a new one.";
    NoArtifact = "no_artifact", Invalid,
        "The run has no artifact of this name or digest. `milepost artifacts RUN` lists those that it has.";
    NoBacktrace = "no_backtrace", Invalid,
        "No step of the run has a backtrace to look up: only a component that trapped leaves one.";
    NoDefinitions = "no_definitions", Invalid,
        "No file under the named folders is a definition. A definition is a TOML file with a `schema` line.";
    NoEvent = "no_event", Invalid,
        "The journal of the run has no event of that number. `milepost events RUN` lists them.";
    NoKey = "no_key", Invalid,
        "The bucket has no such key. `milepost kv ls` lists buckets, and the keys of one.";
    NoLock = "no_lock", Invalid,
        "There is no `milepost.lock` beside the workflow. `milepost plugin lock` writes it.";
    NoPlugin = "no_plugin", Invalid,
        "The folder holds no sources of a plugin, or too many to tell with which file it begins. `milepost plugin build --help` says \
         what is looked for.";
    NoStore = "no_store", Unavailable,
        "There is no store in this folder. The store is looked for in the working folder and those above it: go where the run was \
         started, or name the store with `--store` or `MILEPOST_STORE`.";
    NotRedacted = "not_redacted", Invalid,
        "A value could not be replaced: nothing is recorded where it should be, or it is also a word of the record itself. No file \
         was written.";
    NoteTooLong = "note_too_long", Invalid,
        "A comment or a name takes more than 16 KiB. Use a shorter one.";
    NoteWithNul = "note_with_nul", Invalid,
        "A comment or a name contains a NUL character, which not every store can keep. Leave it out.";
    NotBegun = "not_begun", Invalid,
        "Nothing began at that path in the run. A path is written as in `milepost events RUN`, such as `fix#2/test` or `notes[3]`.";
    NotCancellable = "not_cancellable", Invalid,
        "The item of a fan-out cannot be cancelled: it has ended, there is no such item, or the run is running. A run stands still \
         after `milepost pause`.";
    NotForked = "not_forked", Invalid,
        "The run cannot be forked so: it moves, has no such step, or a step whose outcome would be kept has read an input that is to \
         be changed. `--from` may be given several times.";
    NotPausable = "not_pausable", Invalid,
        "A run that has not begun cannot be paused. `milepost cancel` ends it.";
    NotResumable = "not_resumable", Invalid,
        "The run cannot be continued where it stands: it is over, or it runs. A run that is over is not started again; start a \
         new one.";
    NotSigned = "not_signed", Invalid,
        "The component has no signature of the public key that was named for it, in the registry or in `milepost.lock`. Nothing was \
         written. Ask whoever publishes it, or name the key that they sign with now: `milepost plugin update WORKFLOW PLUGIN --key FILE`.";
    NotText = "not_text", Invalid,
        "What was asked for is not text, or too much of it to be printed. Write it to a file with `-o`.";
    NotWaiting = "not_waiting", Invalid,
        "The run does not wait at the approval that was meant. `milepost show` says what it waits for.";
    PluginIncompatible = "plugin_incompatible", Invalid,
        "A component does not fit the contract: a core module, another world, an interface that this version lacks.";
    PluginNotAdded = "plugin_not_added", Invalid,
        "The plugin could not be written into the workflow: its name is taken or no name, or the workflow writes its plugins in another form \
         than tables.";
    PluginNotLocked = "plugin_not_locked", Invalid,
        "The `milepost.lock` beside the workflow does not hold the component: it is another one, or new. The message says what it wants, and \
         the command that takes it after you have looked at it.";
    PluginUnavailable = "plugin_unavailable", Unavailable,
        "A component could not be read, or is not the one that its digest names. Put the file back.";
    Refused = "refused", Invalid,
        "The record of the run does not allow this change where the run stands. Nothing was changed.";
    Registry = "registry", Unavailable,
        "A registry cannot be reached, does not have what was asked for, does not let this login in, or does not answer as a registry does. \
         Nothing was written. Workflows run without it, as long as their components are on this machine.";
    RunDiffers = "run_differs", Invalid,
        "The store has a run of that id whose record differs from the one in the file, or ends before it: the file is newer. Neither \
         replaces the other: import the file into another store, with `--store`.";
    RunNotFound = "run_not_found", Invalid,
        "The store has no such run. `milepost ls` lists the runs. The message names the store, which is that of the working folder or of one \
         above it unless `--store` or `MILEPOST_STORE` says otherwise.";
    SignalRefused = "signal_refused", Invalid,
        "The signal cannot be kept: its name or its data is not valid, it is too large, its token was used for another signal, or \
         the run is over.";
    StillRunning = "still_running", TryAgain,
        "The run was asked to stop and has not stopped in the time that `--wait` gives. The request stands: look later, or end the run at once \
         with `milepost kill`.";
    Stdout = "stdout", Unavailable,
        "What the program printed could not be written: the disk is full or the file is gone. `milepost show` says how the run stands.";
    Stopped = "stopped", Failed,
        "A further signal ended the program before it had paused or released its runs. They continue from their last checkpoint.";
    StoreDamaged = "store_damaged", Unavailable,
        "The store is damaged. `milepost doctor` lists all damage; restore the store from a backup, or name another one.";
    StoreDenied = "store_denied", Unavailable,
        "This user may not open the store, or not write to it. A store belongs to the user who made it: use it as that user, or name \
         another folder with `--store` or `MILEPOST_STORE`.";
    StoreFull = "store_full", Unavailable,
        "The disk of the store is full. Nothing that was recorded is lost, and no run goes on: make room, `milepost gc` removes old \
         runs.";
    StoreLocked = "store_locked", Unavailable,
        "Another process has kept the store locked for longer than a change waits. Try again; where it stays so, the process was \
         stopped in the middle of a change (`kill -CONT`), or a tool has the database open.";
    StoreReadOnly = "store_read_only", Unavailable,
        "The store can be read, but not written to: the file, its folder or its disk is read-only. Commands that only read work.";
    StoreGone = "store_gone", Unavailable,
        "The store was moved or removed while the program had it open. Nothing more was written: put it back, or name where it is \
         now with `--store`.";
    StoreTooNew = "store_too_new", Unavailable,
        "A newer version of milepost wrote the store. Use that version.";
    StoreTooOld = "store_too_old", Unavailable,
        "An older version of milepost wrote the store, and a command that only reads does not migrate it. \
         `milepost doctor --migrate` does.";
    StoreUnavailable = "store_unavailable", Unavailable,
        "The store could not be opened, read or written, for another reason than those that have codes of their own. The message has it.";
    TimedOut = "timed_out", Invalid,
        "The decision or the signal came after the timeout of the wait, and the timeout counts.";
    UnknownPlugin = "unknown_plugin", Invalid,
        "The workflow has no plugin of that name.";
    UnknownSignal = "unknown_signal", Invalid,
        "No step of the workflow waits for a signal of that name. The help names the ones that it waits for.";
    UnknownStep = "unknown_step", Invalid,
        "The workflow of the run has no step of that name. The help names the ones that were probably meant, or those that it has.";
    UnreadableDebugInformation = "unreadable_debug_information", Invalid,
        "The component's debug information could not be read within its limits. Build the component with `debug = true`, \
         and do not strip it.";
    UnreadableDefinition = "unreadable_definition", Invalid,
        "The definition could not be read: there is no such file, or it is not a regular file of UTF-8 text.";
    ToolMissing = "tool_missing", Unavailable,
        "A program that compiles plugins is not installed. The help has the command that installs it.";
    TooLarge = "too_large", Invalid,
        "What was to be kept is larger than a value, or all of a bucket, may be.";
    Usage = "usage", Usage,
        "The command line is wrong. `--help` of the command shows what it takes, with examples.";
    WantsMore = "wants_more", Invalid,
        "A component wants more than `milepost.lock` records of it: other interfaces, hosts, buckets or secrets. Nothing was written. Look at \
         it; `milepost plugin update --approve` takes it.";
    WatchStopped = "watch_stopped", Unavailable,
        "Several refreshes of the list failed, one after the other; the message has the last error.";
    WholeIdNeeded = "whole_id_needed", Usage,
        "A command that changes a run takes the beginning of an id only at a terminal. In a script, and with `--json`, type the \
         whole id.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_one_word_of_its_own() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.about().code).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for word in words {
            let plain = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(plain, "{word}");
        }
    }
}
