//! The conformance guest in Zig, with the steps that need no grant. See ../README.md.
const std = @import("std");
const milepost = @import("milepost.zig");
const Value = std.json.Value;

fn echo(input: Value) !milepost.Outcome {
    return milepost.output(input);
}

fn log(input: struct { message: []const u8 }) !milepost.Outcome {
    milepost.logWith(.warn, input.message, &.{milepost.field("from", "guest")});
    return milepost.output(null);
}

fn progress(_: Value) !milepost.Outcome {
    milepost.progress(1, 2, "half");
    milepost.progress(2, 2, "done");
    return milepost.output(null);
}

fn stop(_: Value) !milepost.Outcome {
    if (milepost.resumeState()) |state| return .{ .output = state };
    return .{ .paused = .{ .code = "needs-input", .reason = "waits for a person", .state = "{\"page\":2,\"ü\":null}" } };
}

fn retry(_: Value) !milepost.Outcome {
    if (milepost.attempt() > 1) return milepost.output(milepost.attempt());
    return .{ .retryable = .{
        .cause = .{ .code = "busy", .message = "not yet" },
        .after_millis = 300,
        .provider = "acme",
    } };
}

fn fail(input: Value) !milepost.Outcome {
    return .{ .failed = .{
        .code = "no-such-thing",
        .message = "nichts für dich 🌍",
        .detail = try milepost.toJson(input),
    } };
}

fn timePasses(_: Value) !milepost.Outcome {
    const before = milepost.now();
    milepost.sleep(2);
    const passed = milepost.now() - before >= 2_000_000;
    return milepost.output(.{ .now = try milepost.print("{d}", .{before}), .passed = passed });
}

fn chance(_: Value) !milepost.Outcome {
    var numbers: [8]u32 = undefined;
    for (milepost.random(8), &numbers) |byte, *number| number.* = byte;
    return milepost.output(numbers);
}

fn strict(input: struct { n: f64 }) !milepost.Outcome {
    return milepost.output(input.n);
}

fn broken(_: Value) !milepost.Outcome {
    return .{ .output = "{\"unfinished\":" };
}

const manifest =
    \\{"name":"conformance-zig","version":"0.1.0","steps":{"echo":{},"log":{},"progress":{},"pause":{},"retry":{},"fail":{},
    \\"clock":{},"random":{},"strict":{},"broken":{}}}
;

comptime {
    milepost.plugin(manifest, .{
        .echo = echo,
        .log = log,
        .progress = progress,
        .pause = stop,
        .retry = retry,
        .fail = fail,
        .clock = timePasses,
        .random = chance,
        .strict = strict,
        .broken = broken,
    });
}
