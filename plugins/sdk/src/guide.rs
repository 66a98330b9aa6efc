//! Pausing, what survives a pause, time and randomness, by example.
//!
//! An attempt begins in a fresh instance: no `static`, no file and no variable of an earlier one is there. What a step needs to know
//! later it hands to the host, and what is not the same every time comes from the host, which records it. So a run can stop anywhere and
//! go on, on another machine too, and a replay sees what the attempt saw. The examples run as they stand, without a host: on targets
//! that are not components, [`Context::fake`](crate::Context::fake) is the attempt, time stands still, and random bytes are a fixed sequence.
//!
//! # Pause until a person or another system says something
//!
//! [`Error::pause`](crate::Error::pause) stops the run with a checkpoint; it is no failure and uses up no attempt of a retry. With
//! [`signal`](crate::Pause::signal), `milepost signal RUN NAME --data JSON` has the step called again, and what was sent is
//! [`resume_signal`](crate::Context::resume_signal). With [`state`](crate::Pause::state), the step keeps what it had found out.
//!
//! ```
//! use milepost_sdk::{Context, Error, Result};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Asked {
//!     ticket: u32,
//! }
//!
//! fn review(ctx: &Context) -> Result<String> {
//!     // The second attempt knows the ticket of the first, and opens no other.
//!     let asked = match ctx.resume_state()? {
//!         Some(asked) => asked,
//!         None => Asked { ticket: 7 },
//!     };
//!     match ctx.resume_signal::<String>()? {
//!         Some(verdict) => Ok(format!("ticket {}: {verdict}", asked.ticket)),
//!         None => Err(Error::pause("review", "answer the ticket, then send the signal `reviewed`")
//!             .signal("reviewed")
//!             .state(&asked)
//!             .into()),
//!     }
//! }
//!
//! let first = review(&Context::fake()).unwrap_err();
//! let Error::Pause(pause) = first else { panic!("{first}") };
//! let resumed = Context::fake()
//!     .with_attempt(2)
//!     .with_resume_state(&Asked { ticket: 7 })
//!     .with_resume_signal(&"fine");
//! assert_eq!(review(&resumed).unwrap(), "ticket 7: fine");
//! ```
//!
//! A step that only waits, or only asks, needs no plugin: `wait = { signal = ".." }` and `approval = { .. }` are steps of their own.
//!
//! # Pause until a time
//!
//! A worker resumes the run when [`until`](crate::Pause::until) has come. Meanwhile nothing of it is in memory, unlike with
//! [`clock::sleep`](crate::clock::sleep), which is for seconds at most.
//!
//! ```
//! use std::time::Duration;
//!
//! use milepost_sdk::{Context, Error, Result, clock};
//!
//! fn poll(ready: bool, ctx: &Context) -> Result<u32> {
//!     let polls = ctx.resume_state::<u32>()?.unwrap_or(0) + 1;
//!     if ready {
//!         return Ok(polls);
//!     }
//!     Err(Error::pause("not-ready", "the export is not ready yet")
//!         .until(clock::now() + Duration::from_secs(600))
//!         .state(&polls)
//!         .into())
//! }
//!
//! assert!(matches!(poll(false, &Context::fake()), Err(Error::Pause(_))));
//! assert_eq!(poll(true, &Context::fake().with_resume_state(&3)).unwrap(), 4);
//! ```
//!
//! What may succeed soon is [`Error::retryable`](crate::Error::retryable) instead: the `retry` of the step decides how often and when.
//!
//! # State: which one
//!
//! | what has to survive | where it goes |
//! |---|---|
//! | a pause of this step | [`Pause::state`](crate::Pause::state), read with [`resume_state`](crate::Context::resume_state) |
//! | a crash or a retry in the middle of this step | [`memo`](crate::memo): each piece of work is done once |
//! | this step, for later ones | its output |
//! | this run, for others | [`kv`](crate::kv): buckets that all runs of a store share |
//! | anything large | [`artifacts`](crate::artifacts), and what they are called by in the output |
//!
//! # Time
//!
//! [`clock::now`](crate::clock::now) is recorded, and so is `std::time::SystemTime::now()` in a component: in a replay, both give what they gave.
//! [`Context::deadline`](crate::Context::deadline) is when the host ends the attempt.
//!
//! ```
//! use std::time::Duration;
//!
//! use milepost_sdk::clock;
//!
//! fn wait_for(mut ready: impl FnMut() -> bool, patience: Duration) -> bool {
//!     let begun = clock::now();
//!     while !ready() {
//!         if clock::now() >= begun + patience {
//!             return false;
//!         }
//!         clock::sleep(Duration::from_millis(200));
//!     }
//!     true
//! }
//!
//! // Without a host, sleeping takes no time, and moves the clock.
//! let mut asked = 0;
//! let answer = wait_for(|| { asked += 1; asked == 4 }, Duration::from_secs(1));
//! assert!(answer && !wait_for(|| false, Duration::from_secs(3600)));
//! ```
//!
//! # Randomness
//!
//! [`random`](crate::random) draws from the recorded seed of the attempt, as `HashMap` and `getrandom` in a component do. A replay draws the same, the next
//! attempt others. So a name that has to be the same in every attempt is not random: [`idempotency_key`](crate::Context::idempotency_key) is made for that.
//!
//! ```
//! use milepost_sdk::{Context, Result, memo, random};
//!
//! fn upload(ctx: &Context) -> Result<(String, u64)> {
//!     // One for all attempts of this step.
//!     let name = ctx.idempotency_key();
//!     // Drawn once, and kept for all attempts.
//!     let color = memo::once("color", || Ok(random::u64() % 10))?;
//!     Ok((name, color))
//! }
//!
//! let first = upload(&Context::fake()).unwrap();
//! assert_eq!(upload(&Context::fake().with_attempt(2)).unwrap(), first);
//! assert_ne!(random::bytes(16), random::bytes(16));
//! ```
