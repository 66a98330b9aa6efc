/* The world as modules of JavaScript, `milepost:step/clock@0.1.0` and so on, in the shape that generators give them: names in
 * camelCase, resources as classes, errors as thrown records. `sdk-js/milepost.js` is written for exactly these.
 *
 * Arguments are taken as they are: nothing here calls `toString` or `valueOf` of a script. */

/* While the script is only read, nothing of the world is there. */
static bool world_is_closed;

/* --- from and to JavaScript --- */

/* Frees what was allocated since `mark`. */
static void world_release(mp_block *mark) {
    while (mp_blocks && mp_blocks != mark) {
        mp_block *next = mp_blocks->next;
        free(mp_blocks);
        mp_blocks = next;
    }
}

/* The text of a string, in UTF-8; false, with an exception, where it is none. Half a surrogate pair becomes U+FFFD. */
static bool world_text(JSContext *ctx, JSValueConst value, mp_str *out) {
    if (!JS_IsString(value)) {
        JS_ThrowTypeError(ctx, "a string is expected");
        return false;
    }
    size_t len;
    const char *text = JS_ToCStringLen(ctx, &len, value);
    if (!text) return false;
    char *copy = mp_alloc(len);
    memcpy(copy, text, len);
    JS_FreeCString(ctx, text);
    for (size_t i = 0; i + 2 < len; i++)
        if ((unsigned char)copy[i] == 0xed && (unsigned char)copy[i + 1] >= 0xa0) memcpy(copy + i, "\xef\xbf\xbd", 3);
    *out = (mp_str){copy, (uint32_t)len};
    return true;
}

static bool world_bytes(JSContext *ctx, JSValueConst value, mp_str *out) {
    size_t len;
    uint8_t *bytes = JS_GetUint8Array(ctx, &len, value);
    if (!bytes) return false;
    *out = (mp_str){(const char *)bytes, (uint32_t)len};
    return true;
}

/* A whole number from 0 on. */
static bool world_number(JSContext *ctx, JSValueConst value, uint64_t *out) {
    double number;
    if (!JS_IsNumber(value) || JS_ToFloat64(ctx, &number, value) || !(number >= 0 && number < 18446744073709549568.0)) {
        JS_ThrowRangeError(ctx, "a number from 0 on is expected");
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

static bool world_maybe_number(JSContext *ctx, JSValueConst value, mp_maybe_u64 *out) {
    *out = (mp_maybe_u64){0};
    if (JS_IsUndefined(value) || JS_IsNull(value)) return true;
    out->some = true;
    return world_number(ctx, value, &out->value);
}

static JSValue from_text(JSContext *ctx, mp_str text) { return JS_NewStringLen(ctx, text.ptr, text.len); }
static JSValue from_maybe(JSContext *ctx, mp_maybe_str text) { return text.some ? from_text(ctx, text.value) : JS_UNDEFINED; }
static JSValue from_bytes(JSContext *ctx, mp_str bytes) { return JS_NewUint8ArrayCopy(ctx, (const uint8_t *)bytes.ptr, bytes.len); }
static JSValue from_number(JSContext *ctx, uint64_t number) { return JS_NewFloat64(ctx, (double)number); }

static JSValue from_artifact(JSContext *ctx, mp_artifact artifact) {
    JSValue it = JS_NewObject(ctx);
    JS_DefinePropertyValueStr(ctx, it, "digest", from_text(ctx, artifact.digest), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, it, "size", from_number(ctx, artifact.size), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, it, "mediaType", from_text(ctx, artifact.media_type), JS_PROP_C_W_E);
    return it;
}

static JSValue refused(JSContext *ctx, mp_error error) {
    JSValue it = JS_NewObject(ctx);
    JS_DefinePropertyValueStr(ctx, it, "code", from_text(ctx, error.code), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, it, "message", from_text(ctx, error.message), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, it, "transient", JS_NewBool(ctx, error.transient), JS_PROP_C_W_E);
    return JS_Throw(ctx, it);
}

/* A function of the world. What its body allocates, and what the host hands over, is freed behind it. */
#define WORLD(name)                                                                                       \
    static JSValue name##_body(JSContext *ctx, JSValueConst self, JSValueConst *argv);                    \
    static JSValue name(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {                \
        (void)argc;                                                                                       \
        if (world_is_closed)                                                                              \
            return JS_ThrowTypeError(ctx, "the world is there for steps, not while the script is read");  \
        mp_block *mark = mp_blocks;                                                                       \
        JSValue it = name##_body(ctx, self, argv);                                                        \
        world_release(mark);                                                                              \
        return it;                                                                                        \
    }                                                                                                     \
    static JSValue name##_body(JSContext *ctx, __attribute__((unused)) JSValueConst self,                 \
                               __attribute__((unused)) JSValueConst *argv)
#define TEXT(name, value) \
    mp_str name;          \
    if (!world_text(ctx, value, &name)) return JS_EXCEPTION
#define BYTES(name, value) \
    mp_str name;           \
    if (!world_bytes(ctx, value, &name)) return JS_EXCEPTION
#define NUMBER(name, value) \
    uint64_t name;          \
    if (!world_number(ctx, value, &name)) return JS_EXCEPTION
#define ASKED(call) \
    mp_error error; \
    if (!(call)) return refused(ctx, error)

/* --- resources: objects that hold a handle --- */

enum { BUCKET, TICKET, WRITER, READER, REQUEST, RESPONSE, COMMAND, OUTCOME, KINDS };
static JSClassID class_of[KINDS];

static void close_handle(JSValueConst object, int kind, void (*drop)(int32_t)) {
    intptr_t opaque = (intptr_t)JS_GetOpaque(object, class_of[kind]);
    if (opaque) drop((int32_t)(opaque - 1));
}
#define FINALIZER(name, KIND, drop) \
    static void name(JSRuntime *rt, JSValueConst object) { (void)rt; close_handle(object, KIND, drop); }
FINALIZER(bucket_gone, BUCKET, mp_bucket_drop)
FINALIZER(ticket_gone, TICKET, mp_ticket_drop)
FINALIZER(writer_gone, WRITER, mp_writer_drop)
FINALIZER(reader_gone, READER, mp_reader_drop)
FINALIZER(request_gone, REQUEST, mp_request_drop)
FINALIZER(response_gone, RESPONSE, mp_response_drop)
FINALIZER(command_gone, COMMAND, mp_command_drop)
FINALIZER(outcome_gone, OUTCOME, mp_outcome_drop)

static void world_classes(JSRuntime *rt) {
    static const JSClassDef definitions[KINDS] = {
        [BUCKET] = {"Bucket", .finalizer = bucket_gone},       [TICKET] = {"Ticket", .finalizer = ticket_gone},
        [WRITER] = {"Writer", .finalizer = writer_gone},       [READER] = {"Reader", .finalizer = reader_gone},
        [REQUEST] = {"Request", .finalizer = request_gone},    [RESPONSE] = {"Response", .finalizer = response_gone},
        [COMMAND] = {"Command", .finalizer = command_gone},    [OUTCOME] = {"Outcome", .finalizer = outcome_gone},
    };
    for (int kind = 0; kind < KINDS; kind++) {
        JS_NewClassID(rt, &class_of[kind]);
        JS_NewClass(rt, class_of[kind], &definitions[kind]);
    }
}

static JSValue from_handle(JSContext *ctx, int kind, int32_t handle) {
    JSValue it = JS_NewObjectClass(ctx, class_of[kind]);
    if (!JS_IsException(it)) JS_SetOpaque(it, (void *)((intptr_t)handle + 1));
    return it;
}

static bool handle_of(JSContext *ctx, JSValueConst object, int kind, int32_t *out) {
    intptr_t opaque = (intptr_t)JS_GetOpaque2(ctx, object, class_of[kind]);
    if (opaque) {
        *out = (int32_t)(opaque - 1);
        return true;
    }
    if (!JS_HasException(ctx)) JS_ThrowTypeError(ctx, "it has been used up");
    return false;
}
#define HANDLE(name, value, KIND) \
    int32_t name;                 \
    if (!handle_of(ctx, value, KIND, &name)) return JS_EXCEPTION
/* The call takes the handle with it. */
#define TAKEN(name, value, KIND) \
    HANDLE(name, value, KIND);   \
    JS_SetOpaque(value, NULL)

/* --- context and config --- */

typedef struct { bool some; uint32_t value; } mp_maybe_u32;
MP_IMPORT("context", "loop-iteration") void mp_context_loop_iteration(mp_maybe_u32 *);
MP_IMPORT("context", "item-index") void mp_context_item_index(mp_maybe_u32 *);
MP_IMPORT("context", "deadline") void mp_context_deadline(mp_maybe_u64 *);
typedef struct { const mp_str *ptr; uint32_t len; } mp_texts;
MP_IMPORT("config", "keys") void mp_config_keys(mp_texts *);

WORLD(context_run_id) { return from_text(ctx, mp_run_id()); }
WORLD(context_workflow) { return from_text(ctx, mp_workflow()); }
WORLD(context_step_id) { return from_text(ctx, mp_step_id()); }
WORLD(context_path) { return from_text(ctx, mp_path()); }
WORLD(context_attempt) { return JS_NewUint32(ctx, mp_attempt()); }
WORLD(context_loop_iteration) {
    mp_maybe_u32 it;
    mp_context_loop_iteration(&it);
    return it.some ? JS_NewUint32(ctx, it.value) : JS_UNDEFINED;
}
WORLD(context_item_index) {
    mp_maybe_u32 it;
    mp_context_item_index(&it);
    return it.some ? JS_NewUint32(ctx, it.value) : JS_UNDEFINED;
}
WORLD(context_idempotency_key) { return from_text(ctx, mp_idempotency_key()); }
WORLD(context_deadline) {
    mp_maybe_u64 it;
    mp_context_deadline(&it);
    return it.some ? from_number(ctx, it.value) : JS_UNDEFINED;
}
WORLD(context_resume_state) { return from_maybe(ctx, mp_resume_state()); }
WORLD(context_resume_signal) { return from_maybe(ctx, mp_resume_signal()); }
WORLD(context_trace_parent) { return from_text(ctx, mp_trace_parent()); }
WORLD(context_cancel_requested) { return JS_NewBool(ctx, mp_cancel_requested()); }
WORLD(context_output_of) {
    TEXT(step, argv[0]);
    return from_maybe(ctx, mp_output_of(step));
}
static const JSCFunctionListEntry context_functions[] = {
    JS_CFUNC_DEF("runId", 0, context_run_id),
    JS_CFUNC_DEF("workflow", 0, context_workflow),
    JS_CFUNC_DEF("stepId", 0, context_step_id),
    JS_CFUNC_DEF("path", 0, context_path),
    JS_CFUNC_DEF("attempt", 0, context_attempt),
    JS_CFUNC_DEF("loopIteration", 0, context_loop_iteration),
    JS_CFUNC_DEF("itemIndex", 0, context_item_index),
    JS_CFUNC_DEF("idempotencyKey", 0, context_idempotency_key),
    JS_CFUNC_DEF("deadline", 0, context_deadline),
    JS_CFUNC_DEF("resumeState", 0, context_resume_state),
    JS_CFUNC_DEF("resumeSignal", 0, context_resume_signal),
    JS_CFUNC_DEF("traceParent", 0, context_trace_parent),
    JS_CFUNC_DEF("cancelRequested", 0, context_cancel_requested),
    JS_CFUNC_DEF("outputOf", 1, context_output_of),
};

WORLD(config_get) {
    TEXT(key, argv[0]);
    return from_maybe(ctx, mp_config(key));
}
static JSValue from_texts(JSContext *ctx, const mp_str *texts, uint32_t count) {
    JSValue it = JS_NewArray(ctx);
    for (uint32_t i = 0; i < count; i++) JS_DefinePropertyValueUint32(ctx, it, i, from_text(ctx, texts[i]), JS_PROP_C_W_E);
    return it;
}
WORLD(config_keys) {
    mp_texts it;
    mp_config_keys(&it);
    return from_texts(ctx, it.ptr, it.len);
}
static const JSCFunctionListEntry config_functions[] = {
    JS_CFUNC_DEF("get", 1, config_get),
    JS_CFUNC_DEF("keys", 0, config_keys),
};

/* --- log, progress, secrets --- */

static mp_str element(JSContext *ctx, JSValueConst array, uint32_t index, bool *is_text) {
    mp_str it = {"", 0};
    JSValue value = JS_GetPropertyUint32(ctx, array, index);
    *is_text = !JS_IsException(value) && world_text(ctx, value, &it);
    JS_FreeValue(ctx, value);
    return it;
}
WORLD(log_emit) {
    static const char *const levels[] = {"trace", "debug", "info", "warn", "error"};
    TEXT(level, argv[0]);
    TEXT(message, argv[1]);
    int64_t count;
    if (!JS_IsArray(argv[2]) || JS_GetLength(ctx, argv[2], &count)) return JS_ThrowTypeError(ctx, "the fields are no array");
    if (count > 1000) return JS_ThrowRangeError(ctx, "a line of the log has 1000 fields at the most");
    mp_field *fields = mp_alloc((size_t)count * sizeof *fields);
    for (uint32_t i = 0; i < count; i++) {
        bool is_name = false, is_value = false;
        JSValue pair = JS_GetPropertyUint32(ctx, argv[2], i);
        if (!JS_IsException(pair)) fields[i].name = element(ctx, pair, 0, &is_name);
        if (is_name) fields[i].value = element(ctx, pair, 1, &is_value);
        JS_FreeValue(ctx, pair);
        if (!is_value) return JS_EXCEPTION;
    }
    for (int i = 0; i < 5; i++)
        if (mp_equal(level, mp_text_of(levels[i]))) {
            mp_log_fields(i, message, fields, (uint32_t)count);
            return JS_UNDEFINED;
        }
    return JS_ThrowTypeError(ctx, "the log has no such level");
}
static const JSCFunctionListEntry log_functions[] = {JS_CFUNC_DEF("emit", 3, log_emit)};

WORLD(progress_report) {
    NUMBER(done, argv[0]);
    mp_maybe_u64 total;
    if (!world_maybe_number(ctx, argv[1], &total)) return JS_EXCEPTION;
    TEXT(message, argv[2]);
    mp_progress(done, total, message);
    return JS_UNDEFINED;
}
static const JSCFunctionListEntry progress_functions[] = {JS_CFUNC_DEF("report", 3, progress_report)};

WORLD(secrets_placeholder) {
    TEXT(name, argv[0]);
    mp_str it;
    ASKED(mp_secret(name, &it, &error));
    return from_text(ctx, it);
}
static const JSCFunctionListEntry secrets_functions[] = {JS_CFUNC_DEF("placeholder", 1, secrets_placeholder)};

/* --- memo --- */

WORLD(memo_begin) {
    TEXT(key, argv[0]);
    mp_memo memo;
    ASKED(mp_memo_begin(key, &memo, &error));
    JSValue it = JS_NewObject(ctx);
    JS_DefinePropertyValueStr(ctx, it, "tag", JS_NewString(ctx, memo.is_recorded ? "recorded" : "fresh"), JS_PROP_C_W_E);
    JSValue value = memo.is_recorded ? from_text(ctx, memo.recorded) : from_handle(ctx, TICKET, memo.ticket);
    JS_DefinePropertyValueStr(ctx, it, "val", value, JS_PROP_C_W_E);
    return it;
}
static const JSCFunctionListEntry memo_functions[] = {JS_CFUNC_DEF("begin", 1, memo_begin)};
WORLD(ticket_settle) {
    TEXT(value, argv[1]);
    TAKEN(ticket, argv[0], TICKET);
    ASKED(mp_memo_settle(ticket, value, &error));
    return JS_UNDEFINED;
}
static const JSCFunctionListEntry ticket_statics[] = {JS_CFUNC_DEF("settle", 2, ticket_settle)};

/* --- kv --- */

WORLD(bucket_open) {
    TEXT(name, argv[0]);
    int32_t it;
    ASKED(mp_bucket_open(name, &it, &error));
    return from_handle(ctx, BUCKET, it);
}
static const JSCFunctionListEntry bucket_statics[] = {JS_CFUNC_DEF("open", 1, bucket_open)};
WORLD(bucket_get) {
    HANDLE(bucket, self, BUCKET);
    TEXT(key, argv[0]);
    bool is_there;
    mp_item item;
    ASKED(mp_bucket_get(bucket, key, &is_there, &item, &error));
    if (!is_there) return JS_UNDEFINED;
    JSValue it = JS_NewObject(ctx);
    JS_DefinePropertyValueStr(ctx, it, "value", from_bytes(ctx, item.value), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, it, "revision", from_number(ctx, item.revision), JS_PROP_C_W_E);
    return it;
}
WORLD(bucket_put) {
    HANDLE(bucket, self, BUCKET);
    TEXT(key, argv[0]);
    BYTES(value, argv[1]);
    uint64_t revision;
    ASKED(mp_bucket_put(bucket, key, value, &revision, &error));
    return from_number(ctx, revision);
}
WORLD(bucket_replace) {
    HANDLE(bucket, self, BUCKET);
    TEXT(key, argv[0]);
    mp_maybe_u64 over;
    if (!world_maybe_number(ctx, argv[1], &over)) return JS_EXCEPTION;
    BYTES(value, argv[2]);
    uint64_t revision;
    ASKED(mp_bucket_replace(bucket, key, over, value, &revision, &error));
    return from_number(ctx, revision);
}
WORLD(bucket_delete) {
    HANDLE(bucket, self, BUCKET);
    TEXT(key, argv[0]);
    ASKED(mp_bucket_delete(bucket, key, &error));
    return JS_UNDEFINED;
}
WORLD(bucket_keys) {
    HANDLE(bucket, self, BUCKET);
    TEXT(prefix, argv[0]);
    mp_maybe_str after = {.some = !JS_IsUndefined(argv[1]) && !JS_IsNull(argv[1])};
    if (after.some && !world_text(ctx, argv[1], &after.value)) return JS_EXCEPTION;
    NUMBER(limit, argv[2]);
    const mp_str *keys;
    uint32_t count;
    ASKED(mp_bucket_keys(bucket, prefix, after, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX, &keys, &count, &error));
    return from_texts(ctx, keys, count);
}
static const JSCFunctionListEntry bucket_methods[] = {
    JS_CFUNC_DEF("get", 1, bucket_get),       JS_CFUNC_DEF("put", 2, bucket_put),   JS_CFUNC_DEF("replace", 3, bucket_replace),
    JS_CFUNC_DEF("delete", 1, bucket_delete), JS_CFUNC_DEF("keys", 3, bucket_keys),
};

/* --- artifacts --- */

WORLD(writer_create) {
    TEXT(name, argv[0]);
    TEXT(media_type, argv[1]);
    int32_t it;
    ASKED(mp_writer_create(name, media_type, &it, &error));
    return from_handle(ctx, WRITER, it);
}
WORLD(writer_finish) {
    TAKEN(writer, argv[0], WRITER);
    mp_artifact it;
    ASKED(mp_writer_finish(writer, &it, &error));
    return from_artifact(ctx, it);
}
static const JSCFunctionListEntry writer_statics[] = {JS_CFUNC_DEF("create", 2, writer_create), JS_CFUNC_DEF("finish", 1, writer_finish)};
WORLD(writer_write) {
    HANDLE(writer, self, WRITER);
    BYTES(chunk, argv[0]);
    ASKED(mp_writer_write(writer, chunk, &error));
    return JS_UNDEFINED;
}
static const JSCFunctionListEntry writer_methods[] = {JS_CFUNC_DEF("write", 1, writer_write)};
WORLD(reader_open) {
    TEXT(digest, argv[0]);
    int32_t it;
    ASKED(mp_reader_open(digest, &it, &error));
    return from_handle(ctx, READER, it);
}
static const JSCFunctionListEntry reader_statics[] = {JS_CFUNC_DEF("open", 1, reader_open)};
WORLD(reader_info) {
    HANDLE(reader, self, READER);
    return from_artifact(ctx, mp_reader_info(reader));
}
WORLD(reader_read) {
    HANDLE(reader, self, READER);
    NUMBER(offset, argv[0]);
    NUMBER(most, argv[1]);
    mp_str it;
    ASKED(mp_reader_read(reader, offset, most < UINT32_MAX ? (uint32_t)most : UINT32_MAX, &it, &error));
    return from_bytes(ctx, it);
}
static const JSCFunctionListEntry reader_methods[] = {JS_CFUNC_DEF("info", 0, reader_info), JS_CFUNC_DEF("read", 2, reader_read)};

/* --- clock and random --- */

WORLD(clock_now) { return from_number(ctx, mp_now()); }
WORLD(clock_sleep) {
    NUMBER(millis, argv[0]);
    mp_sleep(millis);
    return JS_UNDEFINED;
}
static const JSCFunctionListEntry clock_functions[] = {JS_CFUNC_DEF("now", 0, clock_now), JS_CFUNC_DEF("sleep", 1, clock_sleep)};
WORLD(random_bytes) {
    NUMBER(count, argv[0]);
    return from_bytes(ctx, mp_random(count < UINT32_MAX ? (uint32_t)count : UINT32_MAX));
}
static const JSCFunctionListEntry random_functions[] = {JS_CFUNC_DEF("bytes", 1, random_bytes)};

/* --- http --- */

MP_IMPORT("http", "[method]request.body-artifact") void mp_http_body_artifact(int32_t, const char *, uint32_t);

WORLD(request_new) {
    TEXT(name, argv[0]);
    TEXT(url, argv[1]);
    return from_handle(ctx, REQUEST, mp_request(name, url));
}
WORLD(request_send) {
    TAKEN(request, argv[0], REQUEST);
    int32_t it;
    ASKED(mp_request_send(request, &it, &error));
    return from_handle(ctx, RESPONSE, it);
}
static const JSCFunctionListEntry request_statics[] = {JS_CFUNC_DEF("send", 1, request_send)};
WORLD(request_header) {
    HANDLE(request, self, REQUEST);
    TEXT(name, argv[0]);
    BYTES(value, argv[1]);
    mp_request_header(request, name, value);
    return JS_UNDEFINED;
}
WORLD(request_body) {
    HANDLE(request, self, REQUEST);
    BYTES(body, argv[0]);
    mp_request_body(request, body);
    return JS_UNDEFINED;
}
WORLD(request_body_artifact) {
    HANDLE(request, self, REQUEST);
    TEXT(digest, argv[0]);
    mp_http_body_artifact(request, digest.ptr, digest.len);
    return JS_UNDEFINED;
}
WORLD(request_timeout) {
    HANDLE(request, self, REQUEST);
    NUMBER(millis, argv[0]);
    mp_request_timeout(request, millis);
    return JS_UNDEFINED;
}
static const JSCFunctionListEntry request_methods[] = {
    JS_CFUNC_DEF("header", 2, request_header),
    JS_CFUNC_DEF("body", 1, request_body),
    JS_CFUNC_DEF("bodyArtifact", 1, request_body_artifact),
    JS_CFUNC_DEF("timeout", 1, request_timeout),
};
WORLD(response_status) {
    HANDLE(response, self, RESPONSE);
    return JS_NewUint32(ctx, mp_response_status(response));
}
WORLD(response_headers) {
    HANDLE(response, self, RESPONSE);
    mp_fields fields = mp_response_headers(response);
    JSValue it = JS_NewArray(ctx);
    for (uint32_t i = 0; i < fields.len; i++) {
        JSValue pair = JS_NewArray(ctx);
        JS_DefinePropertyValueUint32(ctx, pair, 0, from_text(ctx, fields.ptr[i].name), JS_PROP_C_W_E);
        JS_DefinePropertyValueUint32(ctx, pair, 1, from_bytes(ctx, fields.ptr[i].value), JS_PROP_C_W_E);
        JS_DefinePropertyValueUint32(ctx, it, i, pair, JS_PROP_C_W_E);
    }
    return it;
}
WORLD(response_body) {
    HANDLE(response, self, RESPONSE);
    mp_str it;
    ASKED(mp_response_body(response, &it, &error));
    return from_bytes(ctx, it);
}
WORLD(response_save) {
    HANDLE(response, self, RESPONSE);
    mp_artifact it;
    ASKED(mp_response_save(response, &it, &error));
    return from_artifact(ctx, it);
}
static const JSCFunctionListEntry response_methods[] = {
    JS_CFUNC_DEF("status", 0, response_status),
    JS_CFUNC_DEF("headers", 0, response_headers),
    JS_CFUNC_DEF("body", 0, response_body),
    JS_CFUNC_DEF("save", 0, response_save),
};

/* --- exec --- */

WORLD(command_new) {
    TEXT(program, argv[0]);
    return from_handle(ctx, COMMAND, mp_command(program));
}
WORLD(command_run) {
    TAKEN(command, argv[0], COMMAND);
    int32_t it;
    ASKED(mp_command_run(command, &it, &error));
    return from_handle(ctx, OUTCOME, it);
}
static const JSCFunctionListEntry command_statics[] = {JS_CFUNC_DEF("run", 1, command_run)};
WORLD(command_arg) {
    HANDLE(command, self, COMMAND);
    TEXT(value, argv[0]);
    mp_command_arg(command, value);
    return JS_UNDEFINED;
}
WORLD(command_env) {
    HANDLE(command, self, COMMAND);
    TEXT(name, argv[0]);
    TEXT(value, argv[1]);
    mp_command_env(command, name, value);
    return JS_UNDEFINED;
}
WORLD(command_stdin) {
    HANDLE(command, self, COMMAND);
    BYTES(bytes, argv[0]);
    mp_command_stdin(command, bytes);
    return JS_UNDEFINED;
}
WORLD(command_dir) {
    HANDLE(command, self, COMMAND);
    TEXT(path, argv[0]);
    mp_command_dir(command, path);
    return JS_UNDEFINED;
}
WORLD(command_timeout) {
    HANDLE(command, self, COMMAND);
    NUMBER(millis, argv[0]);
    mp_command_timeout(command, millis);
    return JS_UNDEFINED;
}
static const JSCFunctionListEntry command_methods[] = {
    JS_CFUNC_DEF("arg", 1, command_arg),          JS_CFUNC_DEF("env", 2, command_env),         JS_CFUNC_DEF("stdin", 1, command_stdin),
    JS_CFUNC_DEF("workingDir", 1, command_dir),   JS_CFUNC_DEF("timeout", 1, command_timeout),
};
WORLD(outcome_exit_code) {
    HANDLE(outcome, self, OUTCOME);
    mp_maybe_s32 it = mp_outcome_exit_code(outcome);
    return it.some ? JS_NewInt32(ctx, it.value) : JS_UNDEFINED;
}
WORLD(outcome_timed_out) {
    HANDLE(outcome, self, OUTCOME);
    return JS_NewBool(ctx, mp_outcome_timed_out(outcome));
}
WORLD(outcome_stdout) {
    HANDLE(outcome, self, OUTCOME);
    return from_bytes(ctx, mp_outcome_stdout(outcome));
}
WORLD(outcome_stderr) {
    HANDLE(outcome, self, OUTCOME);
    return from_bytes(ctx, mp_outcome_stderr(outcome));
}
static const JSCFunctionListEntry outcome_methods[] = {
    JS_CFUNC_DEF("exitCode", 0, outcome_exit_code),
    JS_CFUNC_DEF("timedOut", 0, outcome_timed_out),
    JS_CFUNC_DEF("stdout", 0, outcome_stdout),
    JS_CFUNC_DEF("stderr", 0, outcome_stderr),
};

/* --- modules --- */

typedef struct { const JSCFunctionListEntry *ptr; int len; } Entries;
#define ENTRIES(list) {list, countof(list)}
/* A class that a module exports: who makes one is `construct`, or a static function. */
typedef struct { const char *name; int kind; JSCFunction *construct; Entries statics, methods; } Class;
typedef struct { const char *name; Entries functions; Class classes[2]; } Module;

static const Module modules[] = {
    {"context", ENTRIES(context_functions), {{0}}},
    {"config", ENTRIES(config_functions), {{0}}},
    {"log", ENTRIES(log_functions), {{0}}},
    {"progress", ENTRIES(progress_functions), {{0}}},
    {"secrets", ENTRIES(secrets_functions), {{0}}},
    {"clock", ENTRIES(clock_functions), {{0}}},
    {"random", ENTRIES(random_functions), {{0}}},
    {"memo", ENTRIES(memo_functions), {{"Ticket", TICKET, NULL, ENTRIES(ticket_statics), {0}}}},
    {"kv", {0}, {{"Bucket", BUCKET, NULL, ENTRIES(bucket_statics), ENTRIES(bucket_methods)}}},
    {"artifacts", {0}, {{"Writer", WRITER, NULL, ENTRIES(writer_statics), ENTRIES(writer_methods)},
                        {"Reader", READER, NULL, ENTRIES(reader_statics), ENTRIES(reader_methods)}}},
    {"http", {0}, {{"Request", REQUEST, request_new, ENTRIES(request_statics), ENTRIES(request_methods)},
                   {"Response", RESPONSE, NULL, {0}, ENTRIES(response_methods)}}},
    {"exec", {0}, {{"Command", COMMAND, command_new, ENTRIES(command_statics), ENTRIES(command_methods)},
                   {"Outcome", OUTCOME, NULL, {0}, ENTRIES(outcome_methods)}}},
};

/* That behind `milepost:step/NAME@0.1.0`. */
static const Module *module_named(const char *name) {
    static const char package[] = "milepost:step/", version[] = "@0.1.0";
    if (strncmp(name, package, sizeof package - 1)) return NULL;
    name += sizeof package - 1;
    for (size_t i = 0; i < countof(modules); i++) {
        size_t len = strlen(modules[i].name);
        if (!strncmp(name, modules[i].name, len) && !strcmp(name + len, version)) return &modules[i];
    }
    return NULL;
}

static JSValue not_constructed(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc, (void)argv;
    return JS_ThrowTypeError(ctx, "it is not made with `new`");
}

static int fill_module(JSContext *ctx, JSModuleDef *m) {
    JSAtom atom = JS_GetModuleName(ctx, m);
    const char *name = JS_AtomToCString(ctx, atom);
    JS_FreeAtom(ctx, atom);
    const Module *module = name ? module_named(name) : NULL;
    JS_FreeCString(ctx, name);
    if (!module) return -1;
    if (module->functions.len) JS_SetModuleExportList(ctx, m, module->functions.ptr, module->functions.len);
    for (size_t i = 0; i < countof(module->classes); i++) {
        const Class *class = &module->classes[i];
        if (!class->name) continue;
        JSValue prototype = JS_NewObject(ctx);
        if (class->methods.len) JS_SetPropertyFunctionList(ctx, prototype, class->methods.ptr, class->methods.len);
        JSValue constructor = JS_NewCFunction2(ctx, class->construct ? class->construct : not_constructed, class->name, 2, JS_CFUNC_constructor, 0);
        if (class->statics.len) JS_SetPropertyFunctionList(ctx, constructor, class->statics.ptr, class->statics.len);
        JS_SetConstructor(ctx, constructor, prototype);
        JS_SetClassProto(ctx, class_of[class->kind], prototype);
        JS_SetModuleExport(ctx, m, class->name, constructor);
    }
    return 0;
}

static JSModuleDef *world_module(JSContext *ctx, const char *name) {
    const Module *module = module_named(name);
    if (!module) {
        JS_ThrowReferenceError(ctx, "there is no module '%s'", name);
        return NULL;
    }
    JSModuleDef *m = JS_NewCModule(ctx, name, fill_module);
    if (!m) return NULL;
    if (module->functions.len) JS_AddModuleExportList(ctx, m, module->functions.ptr, module->functions.len);
    for (size_t i = 0; i < countof(module->classes); i++)
        if (module->classes[i].name) JS_AddModuleExport(ctx, m, module->classes[i].name);
    return m;
}
