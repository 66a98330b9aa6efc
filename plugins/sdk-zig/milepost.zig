//! Milepost steps in Zig: one file, for the world `milepost:step/step-core@0.1.0` (wit/v0.1.0), that is, for all that needs no grant.
//!
//!     const milepost = @import("milepost.zig");
//!
//!     fn greet(input: struct { name: []const u8 }) !milepost.Outcome {
//!         return milepost.output(.{ .greeting = try milepost.print("Hello, {s}", .{input.name}) });
//!     }
//!
//!     comptime {
//!         milepost.plugin("{\"name\":\"greeter\",\"version\":\"0.1.0\",\"steps\":{\"greet\":{}}}", .{ .greet = greet });
//!     }
//!
//! A step takes what its input is parsed as (`std.json.Value` for anything), and what does not fit is the failure `invalid_input`. An
//! error that it returns is a failure with the name of the error as its code. Memory lives until the attempt ends; nothing has to be freed.

const std = @import("std");

var arena = std.heap.ArenaAllocator.init(std.heap.wasm_allocator);

/// Gives memory that lives until the attempt ends.
pub fn allocator() std.mem.Allocator {
    return arena.allocator();
}

/// A text with values in it.
pub fn print(comptime format: []const u8, values: anytype) ![]const u8 {
    return std.fmt.allocPrint(allocator(), format, values);
}

// --- what a step returns ---

pub const Failure = struct {
    code: []const u8,
    message: []const u8,
    /// JSON.
    detail: ?[]const u8 = null,
};
/// The same may work later: when the retry policy of the step says, or after this time.
pub const Retry = struct {
    cause: Failure,
    after_millis: ?u64 = null,
    provider: ?[]const u8 = null,
};
/// Stop the run here, until a time, a signal, or a person's resume.
pub const Pause = struct {
    code: []const u8,
    reason: []const u8,
    provider: ?[]const u8 = null,
    until_nanos: ?u64 = null,
    signal: ?[]const u8 = null,
    /// JSON: what `resumeState` gives to the next attempt.
    state: ?[]const u8 = null,
};
pub const Outcome = union(enum) {
    /// JSON.
    output: []const u8,
    retryable: Retry,
    failed: Failure,
    paused: Pause,
    cancelled: []const u8,
};

/// Any value as the output.
pub fn output(value: anytype) !Outcome {
    return .{ .output = try toJson(value) };
}

pub fn failed(code: []const u8, message: []const u8) Outcome {
    return .{ .failed = .{ .code = code, .message = message } };
}

/// Any value as JSON.
pub fn toJson(value: anytype) ![]const u8 {
    return std.json.Stringify.valueAlloc(allocator(), value, .{});
}

/// JSON as a value of a type.
pub fn fromJson(comptime T: type, json: []const u8) !T {
    return std.json.parseFromSliceLeaky(T, allocator(), json, .{});
}

// --- the world ---

const Text = extern struct {
    ptr: [*]const u8,
    len: usize,

    fn of(text: []const u8) Text {
        return .{ .ptr = text.ptr, .len = text.len };
    }
    fn slice(text: Text) []const u8 {
        return text.ptr[0..text.len];
    }
};
const MaybeText = extern struct {
    some: bool,
    text: Text,

    fn of(text: ?[]const u8) MaybeText {
        return .{ .some = text != null, .text = Text.of(text orelse "") };
    }
    fn get(maybe: MaybeText) ?[]const u8 {
        return if (maybe.some) maybe.text.slice() else null;
    }
};
const MaybeNumber = extern struct {
    some: bool,
    value: u64,

    fn of(number: ?u64) MaybeNumber {
        return .{ .some = number != null, .value = number orelse 0 };
    }
};

const context = struct {
    extern "milepost:step/context@0.1.0" fn @"run-id"(*Text) void;
    extern "milepost:step/context@0.1.0" fn workflow(*Text) void;
    extern "milepost:step/context@0.1.0" fn @"step-id"(*Text) void;
    extern "milepost:step/context@0.1.0" fn path(*Text) void;
    extern "milepost:step/context@0.1.0" fn @"idempotency-key"(*Text) void;
    extern "milepost:step/context@0.1.0" fn @"trace-parent"(*Text) void;
    extern "milepost:step/context@0.1.0" fn @"resume-state"(*MaybeText) void;
    extern "milepost:step/context@0.1.0" fn @"resume-signal"(*MaybeText) void;
    extern "milepost:step/context@0.1.0" fn @"output-of"([*]const u8, usize, *MaybeText) void;
    extern "milepost:step/context@0.1.0" fn attempt() u32;
    extern "milepost:step/context@0.1.0" fn @"cancel-requested"() bool;
};
const config_ = struct {
    extern "milepost:step/config@0.1.0" fn get([*]const u8, usize, *MaybeText) void;
};
const log_ = struct {
    extern "milepost:step/log@0.1.0" fn emit(Level, [*]const u8, usize, [*]const Field, usize) void;
};
const progress_ = struct {
    extern "milepost:step/progress@0.1.0" fn report(u64, bool, u64, [*]const u8, usize) void;
};
const clock = struct {
    extern "milepost:step/clock@0.1.0" fn now() u64;
    extern "milepost:step/clock@0.1.0" fn sleep(u64) void;
};
const random_ = struct {
    extern "milepost:step/random@0.1.0" fn bytes(u32, *Text) void;
};

fn textOf(comptime function: anytype) []const u8 {
    var it: Text = undefined;
    function(&it);
    return it.slice();
}
fn maybeOf(comptime function: anytype) ?[]const u8 {
    var it: MaybeText = undefined;
    function(&it);
    return it.get();
}

pub fn runId() []const u8 {
    return textOf(context.@"run-id");
}
pub fn workflow() []const u8 {
    return textOf(context.workflow);
}
pub fn stepId() []const u8 {
    return textOf(context.@"step-id");
}
pub fn path() []const u8 {
    return textOf(context.path);
}
/// The same for every attempt of this step: hand it to remote APIs.
pub fn idempotencyKey() []const u8 {
    return textOf(context.@"idempotency-key");
}
pub fn traceParent() []const u8 {
    return textOf(context.@"trace-parent");
}
/// What the last pause saved, as JSON.
pub fn resumeState() ?[]const u8 {
    return maybeOf(context.@"resume-state");
}
/// What came with the signal that ended the pause, as JSON.
pub fn resumeSignal() ?[]const u8 {
    return maybeOf(context.@"resume-signal");
}
/// Output of an earlier step that the workflow lets this one read, as JSON.
pub fn outputOf(step: []const u8) ?[]const u8 {
    var it: MaybeText = undefined;
    context.@"output-of"(step.ptr, step.len, &it);
    return it.get();
}
/// 1 on the first try.
pub fn attempt() u32 {
    return context.attempt();
}
pub fn cancelRequested() bool {
    return context.@"cancel-requested"();
}
/// A setting from the workflow file, as JSON.
pub fn config(key: []const u8) ?[]const u8 {
    var it: MaybeText = undefined;
    config_.get(key.ptr, key.len, &it);
    return it.get();
}

pub const Level = enum(u32) { trace, debug, info, warn, err };
pub const Field = extern struct { name: Text, value: Text };
pub fn log(level: Level, message: []const u8) void {
    log_.emit(level, message.ptr, message.len, &[0]Field{}, 0);
}
pub fn logWith(level: Level, message: []const u8, fields: []const Field) void {
    log_.emit(level, message.ptr, message.len, fields.ptr, fields.len);
}
pub fn field(name: []const u8, value: []const u8) Field {
    return .{ .name = Text.of(name), .value = Text.of(value) };
}
pub fn progress(done: u64, total: ?u64, message: []const u8) void {
    progress_.report(done, total != null, total orelse 0, message.ptr, message.len);
}
/// Nanoseconds since 1970.
pub fn now() u64 {
    return clock.now();
}
/// For seconds; pause for longer.
pub fn sleep(millis: u64) void {
    clock.sleep(millis);
}
pub fn random(count: u32) []const u8 {
    var it: Text = undefined;
    random_.bytes(count, &it);
    return it.slice();
}

// --- the plugin ---

const RawFailure = extern struct {
    code: Text,
    message: Text,
    detail: MaybeText,

    fn of(failure: Failure) RawFailure {
        return .{ .code = Text.of(failure.code), .message = Text.of(failure.message), .detail = MaybeText.of(failure.detail) };
    }
};
const RawRetry = extern struct { cause: RawFailure, after: MaybeNumber, provider: MaybeText };
const RawPause = extern struct { code: Text, reason: Text, provider: MaybeText, until: MaybeNumber, signal: MaybeText, state: MaybeText };
const RawError = extern struct {
    tag: u8,
    value: extern union { retryable: RawRetry, failed: RawFailure, paused: RawPause, cancelled: Text },
};
const RawOutcome = extern struct {
    is_error: bool,
    value: extern union { output: Text, err: RawError },

    fn of(outcome: Outcome) RawOutcome {
        const err: RawError = switch (outcome) {
            .output => |json| return .{ .is_error = false, .value = .{ .output = Text.of(json) } },
            .retryable => |it| .{ .tag = 0, .value = .{ .retryable = .{
                .cause = RawFailure.of(it.cause),
                .after = MaybeNumber.of(it.after_millis),
                .provider = MaybeText.of(it.provider),
            } } },
            .failed => |it| .{ .tag = 1, .value = .{ .failed = RawFailure.of(it) } },
            .paused => |it| .{ .tag = 2, .value = .{ .paused = .{
                .code = Text.of(it.code),
                .reason = Text.of(it.reason),
                .provider = MaybeText.of(it.provider),
                .until = MaybeNumber.of(it.until_nanos),
                .signal = MaybeText.of(it.signal),
                .state = MaybeText.of(it.state),
            } } },
            .cancelled => |it| .{ .tag = 3, .value = .{ .cancelled = Text.of(it) } },
        };
        return .{ .is_error = true, .value = .{ .err = err } };
    }
};

/// Exports a plugin: its manifest (JSON), and a function for each step that it lists.
pub fn plugin(comptime manifest: []const u8, comptime steps: anytype) void {
    const exported = struct {
        var answer: Text = undefined;
        var outcome: RawOutcome = undefined;

        fn describe() callconv(.c) *Text {
            answer = Text.of(manifest);
            return &answer;
        }
        fn run(name: [*]const u8, name_len: usize, input: [*]const u8, len: usize) callconv(.c) *RawOutcome {
            outcome = RawOutcome.of(called(name[0..name_len], input[0..len]));
            return &outcome;
        }
        fn called(name: []const u8, input: []const u8) Outcome {
            inline for (comptime std.meta.fieldNames(@TypeOf(steps))) |step| {
                if (std.mem.eql(u8, name, step)) {
                    const function = @field(steps, step);
                    var arguments: std.meta.ArgsTuple(@TypeOf(function)) = undefined;
                    arguments[0] = fromJson(@TypeOf(arguments[0]), input) catch |err|
                        return failed("invalid_input", @errorName(err));
                    return @call(.auto, function, arguments) catch |err|
                        failed(@errorName(err), "the step returned this error");
                }
            }
            return failed("unknown_step", "the plugin has no such step");
        }
        fn realloc(old: ?[*]u8, old_len: usize, alignment: usize, len: usize) callconv(.c) [*]u8 {
            const place = allocator().rawAlloc(len, std.mem.Alignment.fromByteUnits(alignment), 0) orelse @trap();
            if (old) |bytes| @memcpy(place[0..@min(old_len, len)], bytes[0..@min(old_len, len)]);
            return place;
        }
        fn done(_: *anyopaque) callconv(.c) void {
            _ = arena.reset(.retain_capacity);
        }
    };
    @export(&exported.describe, .{ .name = "milepost:step/guest@0.1.0#describe" });
    @export(&exported.run, .{ .name = "milepost:step/guest@0.1.0#run" });
    @export(&exported.done, .{ .name = "cabi_post_milepost:step/guest@0.1.0#run" });
    @export(&exported.realloc, .{ .name = "cabi_realloc" });
}
