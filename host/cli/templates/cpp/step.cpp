// Two steps: what each of them takes and returns stands in the manifest below. What else a step can do is in milepost.h.
#include "milepost.h"

static mp_outcome greet(mp_str input) {
    auto name = mp_member(input, "name");
    if (!mp_is_string(name)) return mp_failed("invalid_input", "`name` must be a text");
    mp_log(MP_INFO, "greeting");
    return mp_ok(mp_concat("{\"greeting\":", mp_quote(mp_concat("Hello, ", mp_text(name), "!")), "}"));
}

// Pauses the run until a person has answered. Each attempt begins afresh: the question comes back as the state.
static mp_outcome ask(mp_str input) {
    auto question = mp_member(input, "question");
    if (!mp_is_string(question)) return mp_failed("invalid_input", "`question` must be a text");
    if (auto state = mp_resume_state(); state.some) question = mp_member(state.value, "question");
    auto answer = mp_resume_signal();
    if (!answer.some)
        return mp_pause_with({
            .code = MP_STR("needs-answer"),
            .reason = MP_STR("waiting for the signal `answer`"),
            .signal = mp_some("answer"),
            .state = mp_some(mp_concat("{\"question\":", question, "}")),
        });
    return mp_ok(mp_concat("{\"question\":", question, ",\"answer\":", answer.value, "}"));
}

MP_PLUGIN(
    R"({"name":"{{name}}","version":"0.1.0","description":"Greets and asks.","steps":{
    "greet":{"description":"Greets somebody.",
        "input":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]},
        "output":{"type":"object","properties":{"greeting":{"type":"string"}},"required":["greeting"]}},
    "ask":{"description":"Asks a person: pauses until the signal `answer` arrives.",
        "input":{"type":"object","properties":{"question":{"type":"string"}},"required":["question"]},
        "output":{"type":"object","properties":{"question":{"type":"string"},"answer":{}},"required":["question","answer"]}}}})",
    {"greet", greet}, {"ask", ask})
