//! Two steps: what each of them takes and returns stands in the manifest below, too. What else a step can do is in milepost.zig.
const std = @import("std");
const milepost = @import("milepost.zig");

fn greet(input: struct { name: []const u8 }) !milepost.Outcome {
    milepost.log(.info, "greeting");
    return milepost.output(.{ .greeting = try milepost.print("Hello, {s}!", .{input.name}) });
}

const Question = struct { question: []const u8 };

/// Pauses the run until a person has answered. Each attempt begins afresh: the question comes back as the state.
fn ask(input: Question) !milepost.Outcome {
    const asked = if (milepost.resumeState()) |state| try milepost.fromJson(Question, state) else input;
    const answer = milepost.resumeSignal() orelse return .{ .paused = .{
        .code = "needs-answer",
        .reason = "waiting for the signal `answer`",
        .signal = "answer",
        .state = try milepost.toJson(asked),
    } };
    return milepost.output(.{
        .question = asked.question,
        .answer = try milepost.fromJson(std.json.Value, answer),
    });
}

const manifest =
    \\{"name":"{{name}}","version":"0.1.0","description":"Greets and asks.","steps":{
    \\"greet":{"description":"Greets somebody.",
    \\"input":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false},
    \\"output":{"type":"object","properties":{"greeting":{"type":"string"}},"required":["greeting"]}},
    \\"ask":{"description":"Asks a person: pauses until the signal `answer` arrives.",
    \\"input":{"type":"object","properties":{"question":{"type":"string"}},"required":["question"],"additionalProperties":false},
    \\"output":{"type":"object","properties":{"question":{"type":"string"},"answer":{}},"required":["question","answer"]}}}}
;

comptime {
    milepost.plugin(manifest, .{ .greet = greet, .ask = ask });
}
