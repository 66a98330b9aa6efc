/* The conformance guest in C. What each step has to do: plugins/conformance/README.md. */
#include "../../sdk-c/milepost.h"

#define S(text) mp_text_of(text)

static mp_outcome echo(mp_str input) { return mp_ok(input); }

static mp_outcome say(mp_str input) {
    mp_str message = mp_text(mp_member(input, "message"));
    mp_field field = {S("from"), S("guest")};
    mp_log_fields(MP_WARN, message, &field, 1);
    return mp_ok("null");
}

static mp_outcome progress(mp_str input) {
    (void)input;
    mp_progress(1, (mp_maybe_u64){true, 2}, S("half"));
    mp_progress(2, (mp_maybe_u64){true, 2}, S("done"));
    return mp_ok("null");
}

static mp_outcome stop(mp_str input) {
    (void)input;
    mp_maybe_str state = mp_resume_state();
    if (!state.some) return mp_paused("needs-input", "waits for a person", "{\"page\":2,\"ü\":null}");
    return mp_ok(state.value);
}

static mp_outcome retry(mp_str input) {
    (void)input;
    if (mp_attempt() == 1)
        return mp_retry_with((mp_retry){
            .cause = {S("busy"), S("not yet"), {0}},
            .after_millis = {true, 300},
            .provider = mp_some("acme"),
        });
    return mp_ok(mp_number(mp_attempt()));
}

static mp_outcome fail(mp_str input) { return mp_failed_detail("no-such-thing", "nichts für dich 🌍", input); }

static mp_outcome time_passes(mp_str input) {
    (void)input;
    uint64_t before = mp_now();
    mp_sleep(2);
    uint64_t after = mp_now();
    return mp_ok(mp_concat("{\"now\":\"", mp_number(before), "\",\"passed\":",
                           after - before >= 2000000 ? "true" : "false", "}"));
}

static mp_outcome chance(mp_str input) {
    (void)input;
    mp_str bytes = mp_random(8), list = mp_number((uint8_t)bytes.ptr[0]);
    for (uint32_t i = 1; i < bytes.len; i++) list = mp_concat(list, ",", mp_number((uint8_t)bytes.ptr[i]));
    return mp_ok(mp_concat("[", list, "]"));
}

static mp_outcome memo(mp_str input) {
    mp_error error;
    mp_memo memo;
    if (!mp_memo_begin(S("work"), &memo, &error)) return mp_host_failed(error);
    if (memo.is_recorded) return mp_ok(memo.recorded);
    if (!mp_memo_settle(memo.ticket, input, &error)) return mp_host_failed(error);
    return mp_retryable("again", "the work is done");
}

static mp_outcome kv(mp_str input) {
    (void)input;
    mp_error error;
    mp_item item = {0};
    int32_t bucket;
    uint64_t revision, unused;
    bool found, gone;
    const mp_str *keys;
    uint32_t count;
    if (!mp_bucket_open(S("b"), &bucket, &error)) return mp_host_failed(error);
    if (!mp_bucket_put(bucket, S("k/ü"), S("v1"), &revision, &error)) return mp_host_failed(error);
    if (!mp_bucket_get(bucket, S("k/ü"), &found, &item, &error)) return mp_host_failed(error);
    if (mp_bucket_replace(bucket, S("k/ü"), (mp_maybe_u64){0}, S("v2"), &unused, &error))
        return mp_failed("replaced", "over a value that was not expected");
    if (!mp_bucket_keys(bucket, S("k/"), (mp_maybe_str){0}, 10, &keys, &count, &error)) return mp_host_failed(error);
    mp_str conflict = error.code, first = count ? keys[0] : S("");
    if (!mp_bucket_delete(bucket, S("k/ü"), &error)) return mp_host_failed(error);
    mp_item none;
    if (!mp_bucket_get(bucket, S("k/ü"), &gone, &none, &error)) return mp_host_failed(error);
    mp_bucket_drop(bucket);
    mp_str head = mp_concat("{\"value\":", mp_quote(item.value), ",\"same\":", item.revision == revision ? "true" : "false");
    return mp_ok(mp_concat(head, ",\"replace\":", mp_quote(conflict), ",\"keys\":[", mp_quote(first),
                           "],\"left\":", gone ? "true" : "false", "}"));
}

static mp_outcome http(mp_str input) {
    mp_error error;
    int32_t response;
    mp_str body;
    int32_t request = mp_request(S("POST"), mp_text(mp_member(input, "url")));
    mp_request_header(request, S("x-case"), S("http"));
    mp_request_body(request, S("grüße"));
    if (!mp_request_send(request, &response, &error)) return mp_host_failed(error);
    uint32_t status = mp_response_status(response);
    if (!mp_response_body(response, &body, &error)) return mp_host_failed(error);
    return mp_ok(mp_concat("{\"status\":", mp_number(status), ",\"body\":", mp_quote(body), "}"));
}

static mp_outcome artifacts(mp_str input) {
    (void)input;
    mp_error error;
    int32_t writer, reader;
    mp_artifact artifact;
    mp_str bytes;
    if (!mp_writer_create(S("a.txt"), S("text/plain"), &writer, &error)) return mp_host_failed(error);
    if (!mp_writer_write(writer, S("grüße "), &error)) return mp_host_failed(error);
    if (!mp_writer_write(writer, S("an alle"), &error)) return mp_host_failed(error);
    if (!mp_writer_finish(writer, &artifact, &error)) return mp_host_failed(error);
    if (!mp_reader_open(artifact.digest, &reader, &error)) return mp_host_failed(error);
    mp_artifact info = mp_reader_info(reader);
    if (!mp_reader_read(reader, 8, 100, &bytes, &error)) return mp_host_failed(error);
    mp_reader_drop(reader);
    return mp_ok(mp_concat("{\"size\":", mp_number(artifact.size), ",\"type\":", mp_quote(info.media_type),
                           ",\"tail\":", mp_quote(bytes), "}"));
}

static mp_outcome exec(mp_str input) {
    (void)input;
    mp_error error;
    int32_t outcome;
    int32_t command = mp_command(S("sh"));
    mp_command_arg(command, S("-c"));
    if (mp_command_run(command, &outcome, &error)) return mp_failed("ran", "although nothing allows it");
    return mp_ok(mp_quote(error.code));
}

static mp_outcome strict(mp_str input) {
    mp_str n = mp_member(input, "n");
    if (!n.len || *n.ptr < '0' || *n.ptr > '9') return mp_failed("invalid_input", "`n` must be a number");
    return mp_ok(n);
}

static mp_outcome broken(mp_str input) {
    (void)input;
    return mp_ok("{\"unfinished\":");
}

MP_PLUGIN("{\"name\":\"conformance-c\",\"version\":\"0.1.0\",\"steps\":{\"echo\":{},\"log\":{},\"progress\":{},\"pause\":{},"
          "\"retry\":{},\"fail\":{},\"clock\":{},\"random\":{},\"memo\":{},\"kv\":{},\"http\":{},\"artifacts\":{},\"exec\":{},"
          "\"strict\":{},\"broken\":{}},\"buckets\":[\"b\"]}",
          {"echo", echo}, {"log", say}, {"progress", progress}, {"pause", stop}, {"retry", retry}, {"fail", fail},
          {"clock", time_passes}, {"random", chance}, {"memo", memo}, {"kv", kv}, {"http", http},
          {"artifacts", artifacts}, {"exec", exec}, {"strict", strict}, {"broken", broken})
