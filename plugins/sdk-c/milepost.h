/* Milepost steps in C and C++20: one header, for the world `milepost:step/step@0.1.0` (wit/v0.1.0). Include it in one source file.
 *
 *     #include "milepost.h"
 *
 *     static mp_outcome greet(mp_str input) {
 *         mp_str name = mp_member(input, "name");
 *         if (!mp_is_string(name)) return mp_failed("invalid_input", "`name` must be a string");
 *         return mp_ok(mp_concat("{\"greeting\":", mp_quote(mp_concat("Hello, ", mp_text(name))), "}"));
 *     }
 *
 *     MP_PLUGIN("{\"name\":\"greeter\",\"steps\":{\"greet\":{}}}", {"greet", greet})
 *
 * Values are JSON text. Everything that is allocated here, and everything that the host hands over, lives until the call ends;
 * nothing has to be freed. What a program does not call is not imported by its component.
 *
 * A call that the host can refuse returns true when it worked; else `*error` says why, and `mp_host_failed` makes it the step's
 * failure. Handles are closed by `mp_*_drop`; those that are not are closed when the attempt ends.
 *
 * In C++, a text may also be a `std::string` or `std::string_view`, which is copied: the step may return before it is read. */
#ifndef MILEPOST_H
#define MILEPOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __cplusplus
#include <string_view>
#endif

/* A text in UTF-8, or bytes. Not terminated. */
typedef struct { const char *ptr; uint32_t len; } mp_str;
typedef struct { bool some; mp_str value; } mp_maybe_str;
typedef struct { bool some; uint64_t value; } mp_maybe_u64;

/* --- memory --- */

typedef struct mp_block { struct mp_block *next; } mp_block;
static mp_block *mp_blocks;

/* Bytes that live until the call ends, aligned to 16. Does not return when there are none. */
static inline void *mp_alloc(size_t bytes) {
    mp_block *block = bytes > SIZE_MAX - 16 ? NULL : (mp_block *)malloc(bytes + 16);
    if (!block) __builtin_trap();
    block->next = mp_blocks;
    mp_blocks = block;
    return (char *)block + 16;
}

static inline void mp_free_all(void) {
    while (mp_blocks) {
        mp_block *next = mp_blocks->next;
        free(mp_blocks);
        mp_blocks = next;
    }
}

__attribute__((export_name("cabi_realloc"), used))
void *mp_cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)align;
    void *place = mp_alloc(size);
    if (old_size) memcpy(place, old, old_size < size ? old_size : size);
    return place;
}

/* --- text --- */

static inline mp_str mp_text_of(const char *text) { return (mp_str){text, (uint32_t)strlen(text)}; }
#ifdef __cplusplus
static inline mp_str mp_to_str(mp_str text) { return text; }
static inline mp_str mp_to_str(const char *text) { return mp_text_of(text); }
static inline mp_str mp_to_str(std::string_view text) {
    void *copy = mp_alloc(text.size());
    memcpy(copy, text.data(), text.size());
    return (mp_str){(const char *)copy, (uint32_t)text.size()};
}
#define MP_STR(text) mp_to_str(text)
#else
static inline mp_str mp_as_is(mp_str text) { return text; }
#define MP_STR(text) _Generic((text), mp_str: mp_as_is, default: mp_text_of)(text)
#endif

static inline bool mp_equal(mp_str a, mp_str b) { return a.len == b.len && !memcmp(a.ptr, b.ptr, a.len); }

static inline mp_str mp_join(const mp_str *parts, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) len += parts[i].len;
    char *text = (char *)mp_alloc(len), *at = text;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    return (mp_str){text, (uint32_t)len};
}

#ifdef __cplusplus
/* Texts, one after the other. */
template <class... Text> static inline mp_str mp_concat(const Text &...texts) {
    const mp_str parts[] = {mp_to_str(texts)...};
    return mp_join(parts, sizeof...(texts));
}
#else
/* Up to eight texts, each a `const char *` or an `mp_str`, one after the other. */
#define MP_PICK(_1, _2, _3, _4, _5, _6, _7, _8, name, ...) name
#define MP_JOIN(...) mp_join((mp_str[]){__VA_ARGS__}, sizeof((mp_str[]){__VA_ARGS__}) / sizeof(mp_str))
#define MP_1(a) MP_STR(a)
#define MP_2(a, ...) MP_STR(a), MP_1(__VA_ARGS__)
#define MP_3(a, ...) MP_STR(a), MP_2(__VA_ARGS__)
#define MP_4(a, ...) MP_STR(a), MP_3(__VA_ARGS__)
#define MP_5(a, ...) MP_STR(a), MP_4(__VA_ARGS__)
#define MP_6(a, ...) MP_STR(a), MP_5(__VA_ARGS__)
#define MP_7(a, ...) MP_STR(a), MP_6(__VA_ARGS__)
#define MP_8(a, ...) MP_STR(a), MP_7(__VA_ARGS__)
#define mp_concat(...) \
    MP_JOIN(MP_PICK(__VA_ARGS__, MP_8, MP_7, MP_6, MP_5, MP_4, MP_3, MP_2, MP_1, )(__VA_ARGS__))
#endif

/* A number in decimal. */
static inline mp_str mp_number(uint64_t number) {
    char *end = (char *)mp_alloc(20) + 20, *at = end;
    do *--at = (char)('0' + number % 10); while (number /= 10);
    return (mp_str){at, (uint32_t)(end - at)};
}

/* --- JSON. The host hands over valid JSON, so nothing here looks for what is wrong with it. --- */

/* A text as a JSON string. */
static inline mp_str mp_quote(mp_str text) {
    char *out = (char *)mp_alloc((size_t)text.len * 6 + 2), *at = out;
    *at++ = '"';
    for (uint32_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < 0x20) {
            memcpy(at, "\\u00", 4);
            at[4] = "0123456789abcdef"[c >> 4];
            at[5] = "0123456789abcdef"[c & 15];
            at += 6;
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    return (mp_str){out, (uint32_t)(at - out)};
}

static inline const char *mp_skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) at++;
    return at;
}

/* Where the value that begins here ends. */
static inline const char *mp_skip(const char *at, const char *end) {
    unsigned depth = 0;
    do {
        at = mp_skip_space(at, end);
        if (at >= end) return end;
        if (*at == '"') {
            for (at++; at < end && *at != '"'; at++)
                if (*at == '\\') at++;
            at++;
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else {
            while (at < end && !strchr(" \t\r\n,:]}", *at)) at++;
        }
    } while (depth && at < end);
    return at < end ? at : end;
}

static inline bool mp_is_string(mp_str json) { return json.len >= 2 && *json.ptr == '"'; }

static inline unsigned mp_hex4(const char *at) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        value = value << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10u);
    }
    return value;
}

/* What a JSON string says. A surrogate without its other half becomes U+FFFD. */
static inline mp_str mp_text(mp_str json) {
    char *out = (char *)mp_alloc(json.len), *to = out;
    const char *at = json.ptr + 1, *end = json.ptr + json.len - 1;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        char c = at[1];
        at += 2;
        if (c != 'u') {
            const char *simple = strchr("b\bf\fn\nr\rt\t", c);
            *to++ = simple ? simple[1] : c;
            continue;
        }
        unsigned code = mp_hex4(at);
        at += 4;
        if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
            unsigned low = mp_hex4(at + 2);
            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
        }
        if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
        if (code < 0x80) {
            *to++ = (char)code;
        } else if (code < 0x800) {
            *to++ = (char)(0xc0 | code >> 6);
            *to++ = (char)(0x80 | (code & 63));
        } else if (code < 0x10000) {
            *to++ = (char)(0xe0 | code >> 12);
            *to++ = (char)(0x80 | (code >> 6 & 63));
            *to++ = (char)(0x80 | (code & 63));
        } else {
            *to++ = (char)(0xf0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 63));
            *to++ = (char)(0x80 | (code >> 6 & 63));
            *to++ = (char)(0x80 | (code & 63));
        }
    }
    return (mp_str){out, (uint32_t)(to - out)};
}

/* The value of a member of an object, as JSON; nothing (length 0) where there is none, or where this is no object. */
static inline mp_str mp_member(mp_str json, const char *name) {
    const char *end = json.ptr + json.len, *at = mp_skip_space(json.ptr, end);
    if (at >= end || *at != '{') return (mp_str){"", 0};
    for (at = mp_skip_space(at + 1, end); at < end && *at == '"'; at = mp_skip_space(at, end)) {
        const char *key_end = mp_skip(at, end);
        bool found = mp_equal(mp_text((mp_str){at, (uint32_t)(key_end - at)}), mp_text_of(name));
        at = mp_skip_space(key_end, end);
        if (at < end && *at == ':') at++;
        at = mp_skip_space(at, end);
        const char *value_end = mp_skip(at, end);
        if (found) return (mp_str){at, (uint32_t)(value_end - at)};
        at = mp_skip_space(value_end, end);
        if (at < end && *at == ',') at++;
    }
    return (mp_str){"", 0};
}

/* --- what a step returns --- */

typedef struct { mp_str code, message; bool transient; } mp_error;
typedef struct { mp_str code, message; mp_maybe_str detail; } mp_failure;
typedef struct { mp_failure cause; mp_maybe_u64 after_millis; mp_maybe_str provider; } mp_retry;
typedef struct {
    mp_str code, reason;
    mp_maybe_str provider;
    mp_maybe_u64 until_nanos;
    mp_maybe_str signal, state;
} mp_pause;

typedef struct {
    uint8_t is_error;
    union {
        mp_str output;
        struct {
            uint8_t tag;
            union { mp_retry retryable; mp_failure failed; mp_pause paused; mp_str cancelled; };
        } error;
    };
} mp_outcome;

enum { MP_RETRYABLE, MP_FAILED, MP_PAUSED, MP_CANCELLED };

#define mp_some(text) ((mp_maybe_str){true, MP_STR(text)})

static inline mp_outcome mp_output(mp_str json) {
    mp_outcome outcome = {0};
    outcome.output = json;
    return outcome;
}
static inline mp_outcome mp_not(uint8_t tag) {
    mp_outcome outcome = {0};
    outcome.is_error = 1;
    outcome.error.tag = tag;
    return outcome;
}
static inline mp_outcome mp_fail_with(mp_failure failure) {
    mp_outcome outcome = mp_not(MP_FAILED);
    outcome.error.failed = failure;
    return outcome;
}
static inline mp_outcome mp_retry_with(mp_retry retry) {
    mp_outcome outcome = mp_not(MP_RETRYABLE);
    outcome.error.retryable = retry;
    return outcome;
}
static inline mp_outcome mp_pause_with(mp_pause pause) {
    mp_outcome outcome = mp_not(MP_PAUSED);
    outcome.error.paused = pause;
    return outcome;
}

/* The output, as JSON. */
#define mp_ok(json) mp_output(MP_STR(json))
/* The step failed. */
#define mp_failed(code, message) mp_fail_with((mp_failure){MP_STR(code), MP_STR(message), {0}})
/* The same with details, as JSON. */
#define mp_failed_detail(code, message, json) mp_fail_with((mp_failure){MP_STR(code), MP_STR(message), mp_some(json)})
/* It may work later: when the retry policy of the step says. `mp_retry_with` names a time. */
#define mp_retryable(code_, message_) mp_retry_with((mp_retry){.cause = {MP_STR(code_), MP_STR(message_), {0}}})
/* Stop the run here; the state (JSON) is what `mp_resume_state` gives to the next attempt. `mp_pause_with` names more. */
#define mp_paused(code_, reason_, json) \
    mp_pause_with((mp_pause){.code = MP_STR(code_), .reason = MP_STR(reason_), .state = mp_some(json)})

static inline mp_outcome mp_host_failed(mp_error error) {
    if (error.transient) return mp_retryable(error.code, error.message);
    return mp_failed(error.code, error.message);
}

/* --- the world --- */

#define MP_IMPORT(interface, name) \
    __attribute__((import_module("milepost:step/" interface "@0.1.0"), import_name(name))) extern

/* What the host hands back: results whose value needs an alignment of 4 or of 8. */
typedef struct { mp_str digest; uint64_t size; mp_str media_type; } mp_artifact;
typedef struct { mp_str value; uint64_t revision; } mp_item;
typedef struct {
    uint8_t is_error;
    union {
        mp_error error;
        int32_t handle;
        mp_str text;
        struct { mp_str *ptr; uint32_t len; } texts;
        struct { uint8_t tag; union { mp_str recorded; int32_t fresh; }; } entry;
    };
} mp_result4;
typedef struct {
    uint8_t is_error;
    union {
        mp_error error;
        uint64_t number;
        mp_artifact artifact;
        struct { bool some; mp_item value; } item;
    };
} mp_result8;

#define MP_ANSWER(result, error, into, from)     \
    do {                                         \
        if ((result).is_error) {                 \
            if (error) *(error) = (result).error; \
            return false;                        \
        }                                        \
        (into) = (from);                         \
        return true;                             \
    } while (0)
#define MP_DONE(result, error_)                       \
    do {                                              \
        if ((result).is_error && (error_)) *(error_) = (result).error; \
        return !(result).is_error;                    \
    } while (0)

/* Who is running. */
#define MP_CONTEXT_TEXT(name, import)                                         \
    MP_IMPORT("context", import) void mp_context_##name(mp_str *);            \
    static inline mp_str mp_##name(void) { mp_str it; mp_context_##name(&it); return it; }
#define MP_CONTEXT_MAYBE(name, import)                                        \
    MP_IMPORT("context", import) void mp_context_##name(mp_maybe_str *);      \
    static inline mp_maybe_str mp_##name(void) { mp_maybe_str it; mp_context_##name(&it); return it; }
MP_CONTEXT_TEXT(run_id, "run-id")
MP_CONTEXT_TEXT(workflow, "workflow")
MP_CONTEXT_TEXT(step_id, "step-id")
MP_CONTEXT_TEXT(path, "path")
MP_CONTEXT_TEXT(idempotency_key, "idempotency-key")
MP_CONTEXT_TEXT(trace_parent, "trace-parent")
MP_CONTEXT_MAYBE(resume_state, "resume-state")
MP_CONTEXT_MAYBE(resume_signal, "resume-signal")
MP_IMPORT("context", "attempt") uint32_t mp_attempt(void);
MP_IMPORT("context", "cancel-requested") bool mp_cancel_requested(void);
MP_IMPORT("context", "output-of") void mp_context_output_of(const char *, uint32_t, mp_maybe_str *);
static inline mp_maybe_str mp_output_of(mp_str step) {
    mp_maybe_str it;
    mp_context_output_of(step.ptr, step.len, &it);
    return it;
}

/* Settings from the workflow file, as JSON. */
MP_IMPORT("config", "get") void mp_config_get(const char *, uint32_t, mp_maybe_str *);
static inline mp_maybe_str mp_config(mp_str key) {
    mp_maybe_str it;
    mp_config_get(key.ptr, key.len, &it);
    return it;
}

/* A stand-in that the host replaces inside outgoing requests. */
MP_IMPORT("secrets", "placeholder") void mp_secrets_placeholder(const char *, uint32_t, mp_result4 *);
static inline bool mp_secret(mp_str name, mp_str *placeholder, mp_error *error) {
    mp_result4 it;
    mp_secrets_placeholder(name.ptr, name.len, &it);
    MP_ANSWER(it, error, *placeholder, it.text);
}

/* Log and progress. */
enum { MP_TRACE, MP_DEBUG, MP_INFO, MP_WARN, MP_ERROR };
typedef struct { mp_str name, value; } mp_field;
MP_IMPORT("log", "emit") void mp_log_emit(int32_t, const char *, uint32_t, const mp_field *, uint32_t);
static inline void mp_log_fields(int32_t level, mp_str message, const mp_field *fields, uint32_t count) {
    mp_log_emit(level, message.ptr, message.len, fields, count);
}
#define mp_log(level, message) mp_log_fields((level), MP_STR(message), NULL, 0)
MP_IMPORT("progress", "report") void mp_progress_report(uint64_t, int32_t, uint64_t, const char *, uint32_t);
static inline void mp_progress(uint64_t done, mp_maybe_u64 total, mp_str message) {
    mp_progress_report(done, total.some, total.value, message.ptr, message.len);
}

/* A piece of work, once per key over all attempts: do it and settle the ticket, unless it is recorded. */
MP_IMPORT("memo", "begin") void mp_memo_begin_raw(const char *, uint32_t, mp_result4 *);
MP_IMPORT("memo", "[static]ticket.settle") void mp_ticket_settle(int32_t, const char *, uint32_t, mp_result4 *);
MP_IMPORT("memo", "[resource-drop]ticket") void mp_ticket_drop(int32_t);
typedef struct { bool is_recorded; mp_str recorded; int32_t ticket; } mp_memo;
static inline bool mp_memo_begin(mp_str key, mp_memo *memo, mp_error *error) {
    mp_result4 it;
    mp_memo_begin_raw(key.ptr, key.len, &it);
    if (it.is_error) MP_DONE(it, error);
    *memo = (mp_memo){.is_recorded = it.entry.tag == 0};
    if (memo->is_recorded) memo->recorded = it.entry.recorded;
    else memo->ticket = it.entry.fresh;
    return true;
}
static inline bool mp_memo_settle(int32_t ticket, mp_str json, mp_error *error) {
    mp_result4 it;
    mp_ticket_settle(ticket, json.ptr, json.len, &it);
    MP_DONE(it, error);
}

/* State that outlives the step: buckets that the workflow allows. */
MP_IMPORT("kv", "[static]bucket.open") void mp_kv_open(const char *, uint32_t, mp_result4 *);
MP_IMPORT("kv", "[method]bucket.get") void mp_kv_get(int32_t, const char *, uint32_t, mp_result8 *);
MP_IMPORT("kv", "[method]bucket.put") void mp_kv_put(int32_t, const char *, uint32_t, const char *, uint32_t, mp_result8 *);
MP_IMPORT("kv", "[method]bucket.replace")
void mp_kv_replace(int32_t, const char *, uint32_t, int32_t, uint64_t, const char *, uint32_t, mp_result8 *);
MP_IMPORT("kv", "[method]bucket.delete") void mp_kv_delete(int32_t, const char *, uint32_t, mp_result4 *);
MP_IMPORT("kv", "[method]bucket.keys")
void mp_kv_keys(int32_t, const char *, uint32_t, int32_t, const char *, uint32_t, uint32_t, mp_result4 *);
MP_IMPORT("kv", "[resource-drop]bucket") void mp_bucket_drop(int32_t);
static inline bool mp_bucket_open(mp_str name, int32_t *bucket, mp_error *error) {
    mp_result4 it;
    mp_kv_open(name.ptr, name.len, &it);
    MP_ANSWER(it, error, *bucket, it.handle);
}
/* `*found` says whether the key was there. */
static inline bool mp_bucket_get(int32_t bucket, mp_str key, bool *found, mp_item *item, mp_error *error) {
    mp_result8 it;
    mp_kv_get(bucket, key.ptr, key.len, &it);
    if (it.is_error) MP_DONE(it, error);
    *found = it.item.some;
    if (*found) *item = it.item.value;
    return true;
}
static inline bool mp_bucket_put(int32_t bucket, mp_str key, mp_str value, uint64_t *revision, mp_error *error) {
    mp_result8 it;
    mp_kv_put(bucket, key.ptr, key.len, value.ptr, value.len, &it);
    MP_ANSWER(it, error, *revision, it.number);
}
static inline bool mp_bucket_replace(int32_t bucket, mp_str key, mp_maybe_u64 over, mp_str value, uint64_t *revision, mp_error *error) {
    mp_result8 it;
    mp_kv_replace(bucket, key.ptr, key.len, over.some, over.value, value.ptr, value.len, &it);
    MP_ANSWER(it, error, *revision, it.number);
}
static inline bool mp_bucket_delete(int32_t bucket, mp_str key, mp_error *error) {
    mp_result4 it;
    mp_kv_delete(bucket, key.ptr, key.len, &it);
    MP_DONE(it, error);
}
static inline bool mp_bucket_keys(int32_t bucket, mp_str prefix, mp_maybe_str after, uint32_t limit,
                                  const mp_str **keys, uint32_t *count, mp_error *error) {
    mp_result4 it;
    mp_kv_keys(bucket, prefix.ptr, prefix.len, after.some, after.value.ptr, after.value.len, limit, &it);
    if (it.is_error) MP_DONE(it, error);
    *keys = it.texts.ptr;
    *count = it.texts.len;
    return true;
}

/* Large or binary data, by the digest of its content. */
MP_IMPORT("artifacts", "[static]writer.create") void mp_artifacts_create(const char *, uint32_t, const char *, uint32_t, mp_result4 *);
MP_IMPORT("artifacts", "[method]writer.write") void mp_artifacts_write(int32_t, const char *, uint32_t, mp_result4 *);
MP_IMPORT("artifacts", "[static]writer.finish") void mp_artifacts_finish(int32_t, mp_result8 *);
MP_IMPORT("artifacts", "[resource-drop]writer") void mp_writer_drop(int32_t);
MP_IMPORT("artifacts", "[static]reader.open") void mp_artifacts_open(const char *, uint32_t, mp_result4 *);
MP_IMPORT("artifacts", "[method]reader.info") void mp_artifacts_info(int32_t, mp_artifact *);
MP_IMPORT("artifacts", "[method]reader.read") void mp_artifacts_read(int32_t, uint64_t, uint32_t, mp_result4 *);
MP_IMPORT("artifacts", "[resource-drop]reader") void mp_reader_drop(int32_t);
static inline bool mp_writer_create(mp_str name, mp_str media_type, int32_t *writer, mp_error *error) {
    mp_result4 it;
    mp_artifacts_create(name.ptr, name.len, media_type.ptr, media_type.len, &it);
    MP_ANSWER(it, error, *writer, it.handle);
}
/* Up to 1 MiB at a time. */
static inline bool mp_writer_write(int32_t writer, mp_str chunk, mp_error *error) {
    mp_result4 it;
    mp_artifacts_write(writer, chunk.ptr, chunk.len, &it);
    MP_DONE(it, error);
}
static inline bool mp_writer_finish(int32_t writer, mp_artifact *artifact, mp_error *error) {
    mp_result8 it;
    mp_artifacts_finish(writer, &it);
    MP_ANSWER(it, error, *artifact, it.artifact);
}
static inline bool mp_reader_open(mp_str digest, int32_t *reader, mp_error *error) {
    mp_result4 it;
    mp_artifacts_open(digest.ptr, digest.len, &it);
    MP_ANSWER(it, error, *reader, it.handle);
}
static inline mp_artifact mp_reader_info(int32_t reader) {
    mp_artifact it;
    mp_artifacts_info(reader, &it);
    return it;
}
/* Empty at the end. */
static inline bool mp_reader_read(int32_t reader, uint64_t offset, uint32_t max, mp_str *bytes, mp_error *error) {
    mp_result4 it;
    mp_artifacts_read(reader, offset, max, &it);
    MP_ANSWER(it, error, *bytes, it.text);
}

/* Nanoseconds since 1970; milliseconds. */
MP_IMPORT("clock", "now") uint64_t mp_now(void);
MP_IMPORT("clock", "sleep") void mp_sleep(uint64_t);
MP_IMPORT("random", "bytes") void mp_random_bytes(uint32_t, mp_str *);
static inline mp_str mp_random(uint32_t count) {
    mp_str it;
    mp_random_bytes(count, &it);
    return it;
}

/* One request, one response. A request is gone when it is sent. */
MP_IMPORT("http", "[constructor]request") int32_t mp_http_request(const char *, uint32_t, const char *, uint32_t);
MP_IMPORT("http", "[method]request.header") void mp_http_header(int32_t, const char *, uint32_t, const char *, uint32_t);
MP_IMPORT("http", "[method]request.body") void mp_http_body(int32_t, const char *, uint32_t);
MP_IMPORT("http", "[method]request.timeout") void mp_request_timeout(int32_t, uint64_t);
MP_IMPORT("http", "[static]request.send") void mp_http_send(int32_t, mp_result4 *);
MP_IMPORT("http", "[resource-drop]request") void mp_request_drop(int32_t);
MP_IMPORT("http", "[method]response.status") uint32_t mp_response_status(int32_t);
typedef struct { const mp_field *ptr; uint32_t len; } mp_fields;
MP_IMPORT("http", "[method]response.headers") void mp_http_headers(int32_t, mp_fields *);
MP_IMPORT("http", "[method]response.body") void mp_http_response_body(int32_t, mp_result4 *);
MP_IMPORT("http", "[method]response.save") void mp_http_save(int32_t, mp_result8 *);
MP_IMPORT("http", "[resource-drop]response") void mp_response_drop(int32_t);
static inline int32_t mp_request(mp_str method, mp_str url) { return mp_http_request(method.ptr, method.len, url.ptr, url.len); }
static inline void mp_request_header(int32_t request, mp_str name, mp_str value) {
    mp_http_header(request, name.ptr, name.len, value.ptr, value.len);
}
static inline void mp_request_body(int32_t request, mp_str bytes) { mp_http_body(request, bytes.ptr, bytes.len); }
static inline bool mp_request_send(int32_t request, int32_t *response, mp_error *error) {
    mp_result4 it;
    mp_http_send(request, &it);
    MP_ANSWER(it, error, *response, it.handle);
}
static inline mp_fields mp_response_headers(int32_t response) {
    mp_fields it;
    mp_http_headers(response, &it);
    return it;
}
static inline bool mp_response_body(int32_t response, mp_str *bytes, mp_error *error) {
    mp_result4 it;
    mp_http_response_body(response, &it);
    MP_ANSWER(it, error, *bytes, it.text);
}
static inline bool mp_response_save(int32_t response, mp_artifact *artifact, mp_error *error) {
    mp_result8 it;
    mp_http_save(response, &it);
    MP_ANSWER(it, error, *artifact, it.artifact);
}

/* A program that the workflow allows. A command is gone when it was run. */
MP_IMPORT("exec", "[constructor]command") int32_t mp_exec_command(const char *, uint32_t);
MP_IMPORT("exec", "[method]command.arg") void mp_exec_arg(int32_t, const char *, uint32_t);
MP_IMPORT("exec", "[method]command.env") void mp_exec_env(int32_t, const char *, uint32_t, const char *, uint32_t);
MP_IMPORT("exec", "[method]command.stdin") void mp_exec_stdin(int32_t, const char *, uint32_t);
MP_IMPORT("exec", "[method]command.working-dir") void mp_exec_dir(int32_t, const char *, uint32_t);
MP_IMPORT("exec", "[method]command.timeout") void mp_command_timeout(int32_t, uint64_t);
MP_IMPORT("exec", "[static]command.run") void mp_exec_run(int32_t, mp_result4 *);
MP_IMPORT("exec", "[resource-drop]command") void mp_command_drop(int32_t);
typedef struct { bool some; int32_t value; } mp_maybe_s32;
MP_IMPORT("exec", "[method]outcome.exit-code") void mp_exec_exit_code(int32_t, mp_maybe_s32 *);
MP_IMPORT("exec", "[method]outcome.timed-out") bool mp_outcome_timed_out(int32_t);
MP_IMPORT("exec", "[method]outcome.stdout") void mp_exec_out(int32_t, mp_str *);
MP_IMPORT("exec", "[method]outcome.stderr") void mp_exec_err(int32_t, mp_str *);
MP_IMPORT("exec", "[resource-drop]outcome") void mp_outcome_drop(int32_t);
static inline int32_t mp_command(mp_str program) { return mp_exec_command(program.ptr, program.len); }
static inline void mp_command_arg(int32_t command, mp_str value) { mp_exec_arg(command, value.ptr, value.len); }
static inline void mp_command_env(int32_t command, mp_str name, mp_str value) {
    mp_exec_env(command, name.ptr, name.len, value.ptr, value.len);
}
static inline void mp_command_stdin(int32_t command, mp_str bytes) { mp_exec_stdin(command, bytes.ptr, bytes.len); }
static inline void mp_command_dir(int32_t command, mp_str path) { mp_exec_dir(command, path.ptr, path.len); }
static inline bool mp_command_run(int32_t command, int32_t *outcome, mp_error *error) {
    mp_result4 it;
    mp_exec_run(command, &it);
    MP_ANSWER(it, error, *outcome, it.handle);
}
static inline mp_maybe_s32 mp_outcome_exit_code(int32_t outcome) {
    mp_maybe_s32 it;
    mp_exec_exit_code(outcome, &it);
    return it;
}
static inline mp_str mp_outcome_stdout(int32_t outcome) { mp_str it; mp_exec_out(outcome, &it); return it; }
static inline mp_str mp_outcome_stderr(int32_t outcome) { mp_str it; mp_exec_err(outcome, &it); return it; }

/* --- the plugin --- */

typedef struct { const char *name; mp_outcome (*run)(mp_str input); } mp_step;

/* The manifest (JSON: see plugins/LANGUAGES.md), and the steps that it lists. */
#define MP_PLUGIN(manifest, ...)                                                                          \
    __attribute__((export_name("milepost:step/guest@0.1.0#describe"))) mp_str *mp_export_describe(void) { \
        static mp_str text;                                                                               \
        text = MP_STR(manifest);                                                                          \
        return &text;                                                                                     \
    }                                                                                                     \
    __attribute__((export_name("milepost:step/guest@0.1.0#run")))                                         \
    mp_outcome *mp_export_run(const char *name, uint32_t name_len, const char *input, uint32_t len) {     \
        static const mp_step steps[] = {__VA_ARGS__};                                                     \
        static mp_outcome outcome;                                                                        \
        outcome = mp_failed("unknown_step", "the plugin has no such step");                               \
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)                                         \
            if (mp_equal(mp_text_of(steps[i].name), (mp_str){name, name_len}))                            \
                outcome = steps[i].run((mp_str){input, len});                                             \
        return &outcome;                                                                                  \
    }                                                                                                     \
    __attribute__((export_name("cabi_post_milepost:step/guest@0.1.0#describe")))                          \
    void mp_post_describe(mp_str *text) { (void)text; mp_free_all(); }                                    \
    __attribute__((export_name("cabi_post_milepost:step/guest@0.1.0#run")))                               \
    void mp_post_run(mp_outcome *outcome) { (void)outcome; mp_free_all(); }

#endif
