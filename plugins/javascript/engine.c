/* The component behind steps that are plain JavaScript: QuickJS, the world, and nothing else.
 *
 * The script is no part of the component's code: the host hands it over (`script.wit`), so that all scripts share what was compiled
 * once. Each attempt has an instance of its own: the engine is set up, the script is evaluated, one step is called, and nothing has
 * to be freed.
 *
 * What of JavaScript is not deterministic leads to the world: `Date` to its clock, `Math.random` to its random bytes. While the
 * manifest is asked for nothing of the world is there; the clock stands at zero then. */
#include <sys/time.h>

/* One file with the engine: its limit of the stack is not to be set from outside where the target is WASI. */
#include "quickjs.c"

#include "../sdk-c/milepost.h"
#include "world.h"

static const char runtime_source[] = {
#embed "runtime.js"
    , 0};
static const char sdk_source[] = {
#embed "../sdk-js/milepost.js"
    , 0};

/* Of this stack. The host's own, which cannot be asked for, ends behind that, whichever functions call each other: at 370 KiB of this one
 * with those of host/wasm/tests/script.rs. What recurses inside the engine without using this one, such as its parser, meets that end. */
enum { STACK_BYTES = 300 * 1024 };

__attribute__((import_module("milepost:script/source@0.1.0"), import_name("name"))) void script_name(mp_str *);
__attribute__((import_module("milepost:script/source@0.1.0"), import_name("text"))) void script_text(mp_str *);

/* --- memory --- */

/* Whether the host has refused some. */
static bool memory_is_gone;

static void *noted(void *memory) {
    memory_is_gone |= !memory;
    return memory;
}
static void *take_zeros(void *unused, size_t count, size_t size) { (void)unused; return noted(calloc(count, size)); }
static void *take(void *unused, size_t size) { (void)unused; return noted(malloc(size)); }
static void *take_more(void *unused, void *memory, size_t size) { (void)unused; return noted(realloc(memory, size)); }
static const JSMallocFunctions memory = {take_zeros, take, js_def_free, take_more, js__malloc_usable_size};

static JSValue is_memory_gone(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc, (void)argv;
    return JS_NewBool(ctx, memory_is_gone);
}

/* --- time and chance --- */

static bool is_starting = true;

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    uint64_t micros = is_starting || world_is_closed ? 0 : mp_now() / 1000;
    time->tv_sec = (time_t)(micros / 1000000);
    time->tv_usec = (suseconds_t)(micros % 1000000);
    return 0;
}

/* Seeded by the host when it is used first. */
static JSValue chance(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    static bool is_seeded;
    if (!is_seeded && !world_is_closed) {
        mp_block *mark = mp_blocks;
        memcpy(&ctx->random_state, mp_random(8).ptr, 8);
        ctx->random_state |= 1;
        world_release(mark);
        is_seeded = true;
    }
    return js_math_random(ctx, self, argc, argv);
}

/* --- modules --- */

/* What a script imports is known before it runs. */
static bool is_linked;

static char *resolve(JSContext *ctx, const char *from, const char *name, void *unused) {
    (void)unused;
    if (is_linked) {
        JS_ThrowReferenceError(ctx, "a script imports at its top, not by import()");
        return NULL;
    }
    /* Where it was copied to is for editors and bundlers. */
    const char *last = strrchr(name, '/');
    if (*name == '.' && last && !strcmp(last, "/milepost.js")) name = "milepost";
    if (!strcmp(name, "milepost") || !strncmp(name, "milepost:", 9)) return js_strdup(ctx, name);
    JS_ThrowReferenceError(ctx, "%s cannot import '%s': a script is one file, which can import 'milepost'; bundle others into it", from, name);
    return NULL;
}

static JSModuleDef *load(JSContext *ctx, const char *name, void *unused) {
    (void)unused;
    if (strcmp(name, "milepost")) return world_module(ctx, name);
    JSValue module = JS_Eval(ctx, sdk_source, sizeof sdk_source - 1, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    return JS_IsException(module) ? NULL : JS_VALUE_GET_PTR(module);
}

/* --- promises --- */

/* Rejections that nobody has looked at. The outcome of a step is not told from its first ones alone. */
static JSValue rejected[16][2];
static size_t rejections;

static void track(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool is_handled, void *unused) {
    (void)unused;
    if (!is_handled) {
        if (rejections < countof(rejected)) {
            rejected[rejections][0] = JS_DupValue(ctx, promise);
            rejected[rejections++][1] = JS_DupValue(ctx, reason);
        }
        return;
    }
    for (size_t i = 0; i < rejections; i++)
        if (JS_VALUE_GET_PTR(rejected[i][0]) == JS_VALUE_GET_PTR(promise)) {
            rejections--;
            memmove(rejected[i], rejected[i + 1], (rejections - i) * sizeof *rejected);
            return;
        }
}

static JSPromiseStateEnum settle(JSContext *ctx, JSValueConst promise) {
    JSContext *of;
    while (JS_IsJobPending(ctx->rt)) JS_ExecutePendingJob(ctx->rt, &of);
    return JS_PromiseState(ctx, promise);
}

/* --- a script --- */

typedef struct {
    JSContext *ctx;
    /* Of runtime.js. */
    JSValue read, run, ended, told;
    /* What the script exports, and `context` of the SDK. */
    JSValue imports, script, context;
} Engine;

static mp_str text(JSContext *ctx, JSValueConst value) {
    mp_str it = {"", 0};
    world_text(ctx, value, &it);
    return it;
}

static Engine set_up(void) {
    JSRuntime *rt = JS_NewRuntime2(&memory, NULL);
    JSContext *ctx = rt ? JS_NewContext(rt) : NULL;
    if (!ctx) __builtin_trap();
    rt->stack_limit = (uintptr_t)__builtin_frame_address(0) - STACK_BYTES;
    JS_SetModuleLoaderFunc(rt, resolve, load, NULL);
    JS_SetHostPromiseRejectionTracker(rt, track, NULL);
    world_classes(rt);

    JSValue global = JS_GetGlobalObject(ctx), math = JS_GetPropertyStr(ctx, global, "Math");
    JS_SetPropertyStr(ctx, math, "random", JS_NewCFunction(ctx, chance, "random", 0));
    /* It would measure the engine, not the time. */
    JS_DeleteProperty(ctx, global, JS_NewAtom(ctx, "performance"), 0);
    mp_str name;
    script_name(&name);
    JSValue given = JS_NewObject(ctx);
    JS_SetPropertyStr(ctx, given, "emit", JS_NewCFunction(ctx, log_emit, "emit", 3));
    JS_SetPropertyStr(ctx, given, "file", JS_NewStringLen(ctx, name.ptr, name.len));
    JS_SetPropertyStr(ctx, given, "memoryIsGone", JS_NewCFunction(ctx, is_memory_gone, "memoryIsGone", 0));
    JS_SetPropertyStr(ctx, given, "reading", JS_NewBool(ctx, world_is_closed));
    JSValue make = JS_Eval(ctx, runtime_source, sizeof runtime_source - 1, "runtime.js", JS_EVAL_TYPE_GLOBAL);
    JSValue made = JS_Call(ctx, make, JS_UNDEFINED, 1, (JSValueConst[]){given});
    if (JS_IsException(made)) __builtin_trap();
    is_starting = false;
    return (Engine){
        .ctx = ctx,
        .read = JS_GetPropertyStr(ctx, made, "read"),
        .run = JS_GetPropertyStr(ctx, made, "run"),
        .ended = JS_GetPropertyStr(ctx, made, "ended"),
        .told = JS_GetPropertyStr(ctx, made, "told"),
    };
}

/* Names of what a module imports: of the SDK what it takes, of others their own; `*` where that cannot be told. */
static JSValue imports_of(JSContext *ctx, const JSModuleDef *module) {
    JSValue it = JS_NewArray(ctx);
    uint32_t count = 0;
    for (int i = 0; i < module->req_module_entries_count; i++) {
        JSAtom from = module->req_module_entries[i].module_name;
        const char *name = JS_AtomToCString(ctx, from);
        bool is_sdk = name && !strcmp(name, "milepost"), is_told = false;
        JS_FreeCString(ctx, name);
        for (int j = 0; is_sdk && j < module->import_entries_count; j++) {
            if (module->import_entries[j].req_module_idx != i) continue;
            JSValue taken = JS_AtomToString(ctx, module->import_entries[j].import_name);
            JS_DefinePropertyValueUint32(ctx, it, count++, taken, JS_PROP_C_W_E);
            is_told = true;
        }
        if (is_told) continue;
        JSValue whole = is_sdk ? JS_NewString(ctx, "*") : JS_AtomToString(ctx, from);
        JS_DefinePropertyValueUint32(ctx, it, count++, whole, JS_PROP_C_W_E);
    }
    return it;
}

/* Compiles, links and evaluates a module to its end. */
static bool evaluate(JSContext *ctx, const char *source, size_t len, const char *name, JSValue *imports, JSValue *exports,
                     JSValue *thrown) {
    is_linked = false;
    JSValue module = JS_Eval(ctx, source, len, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(module)) {
        *thrown = JS_GetException(ctx);
        return false;
    }
    is_linked = true;
    JSModuleDef *definition = JS_VALUE_GET_PTR(module);
    if (imports) *imports = imports_of(ctx, definition);
    JSValue evaluated = JS_EvalFunction(ctx, module);
    if (JS_IsException(evaluated)) {
        *thrown = JS_GetException(ctx);
        return false;
    }
    switch (settle(ctx, evaluated)) {
    case JS_PROMISE_REJECTED:
        *thrown = JS_PromiseResult(ctx, evaluated);
        rejections = 0;
        return false;
    case JS_PROMISE_PENDING:
        JS_ThrowTypeError(ctx, "%s waits for a promise that nothing settles", name);
        *thrown = JS_GetException(ctx);
        return false;
    default:
        *exports = JS_GetModuleNamespace(ctx, definition);
        return true;
    }
}

static bool start(Engine *engine, JSValue *thrown) {
    *engine = set_up();
    JSContext *ctx = engine->ctx;
    mp_str name, source;
    script_name(&name);
    script_text(&source);
    /* The engine wants an end that it can see. */
    char *file = strndup(name.ptr, name.len), *body = malloc((size_t)source.len + 1);
    if (!file || !body) __builtin_trap();
    memcpy(body, source.ptr, source.len);
    body[source.len] = 0;
    world_release(NULL);
    bool is_ready = evaluate(ctx, body, source.len, file, &engine->imports, &engine->script, thrown);
    free(body);
    return is_ready;
}

/* The exception of a call of runtime.js: what the script left no way around. */
static mp_str last_words(Engine *engine, JSValue thrown) {
    JSContext *ctx = engine->ctx;
    JSValue told = JS_Call(ctx, engine->told, JS_UNDEFINED, 1, (JSValueConst[]){thrown});
    if (!JS_IsException(told)) return text(ctx, told);
    return mp_text_of("the script threw what cannot be shown");
}

/* --- what the component exports --- */

static mp_str description;

/* Not the manifest itself: `{"manifest": .., "uses": ..}`, or `{"error": ..}` of a script that cannot be read. */
__attribute__((export_name("milepost:step/guest@0.1.0#describe"))) mp_str *describe(void) {
    world_is_closed = true;
    Engine engine;
    JSValue thrown = JS_UNDEFINED;
    bool is_read = start(&engine, &thrown);
    if (is_read) {
        JSValue manifest = JS_Call(engine.ctx, engine.read, JS_UNDEFINED, 2, (JSValueConst[]){engine.script, engine.imports});
        is_read = !JS_IsException(manifest);
        if (is_read) description = text(engine.ctx, manifest);
        else thrown = JS_GetException(engine.ctx);
    }
    if (!is_read) description = mp_concat("{\"error\":", mp_quote(last_words(&engine, thrown)), "}");
    return &description;
}

static mp_str at(JSContext *ctx, JSValueConst array, uint32_t index) {
    return text(ctx, JS_GetPropertyUint32(ctx, array, index));
}
static mp_maybe_str maybe_at(JSContext *ctx, JSValueConst array, uint32_t index) {
    JSValue value = JS_GetPropertyUint32(ctx, array, index);
    if (JS_IsUndefined(value)) return (mp_maybe_str){0};
    return (mp_maybe_str){true, text(ctx, value)};
}
static mp_maybe_u64 number_at(JSContext *ctx, JSValueConst array, uint32_t index) {
    JSValue value = JS_GetPropertyUint32(ctx, array, index);
    double number;
    if (JS_IsUndefined(value) || JS_ToFloat64(ctx, &number, value)) return (mp_maybe_u64){0};
    return (mp_maybe_u64){true, number < 18446744073709549568.0 ? (uint64_t)number : UINT64_MAX};
}

/* The arrays of runtime.js. */
static mp_outcome outcome_of(JSContext *ctx, JSValueConst ended) {
    mp_str kind = at(ctx, ended, 0), first = at(ctx, ended, 1);
    if (mp_equal(kind, mp_text_of("ok"))) return mp_ok(first);
    if (mp_equal(kind, mp_text_of("cancelled"))) {
        mp_outcome outcome = mp_not(MP_CANCELLED);
        outcome.error.cancelled = first;
        return outcome;
    }
    mp_str second = at(ctx, ended, 2);
    mp_maybe_str third = maybe_at(ctx, ended, 3);
    if (mp_equal(kind, mp_text_of("retryable")))
        return mp_retry_with((mp_retry){{first, second, third}, number_at(ctx, ended, 4), maybe_at(ctx, ended, 5)});
    if (mp_equal(kind, mp_text_of("paused")))
        return mp_pause_with((mp_pause){first, second, third, number_at(ctx, ended, 4), maybe_at(ctx, ended, 5), maybe_at(ctx, ended, 6)});
    return mp_fail_with((mp_failure){first, second, third});
}

static mp_outcome exception(Engine *engine, JSValue thrown) {
    JSContext *ctx = engine->ctx;
    JSValue ended = JS_Call(ctx, engine->ended, JS_UNDEFINED, 1, (JSValueConst[]){thrown});
    if (JS_IsException(ended)) return mp_failed("exception", last_words(engine, JS_GetException(ctx)));
    return outcome_of(ctx, ended);
}

static mp_outcome execute(Engine *engine, JSValue step, JSValue input) {
    JSContext *ctx = engine->ctx;
    JSValue thrown;
    if (!evaluate(ctx, "export { context } from 'milepost'", 34, "context", NULL, &engine->context, &thrown)) return exception(engine, thrown);
    JSValue context = JS_GetPropertyStr(ctx, engine->context, "context");
    JSValue promise = JS_Call(ctx, engine->run, JS_UNDEFINED, 4, (JSValueConst[]){engine->script, context, step, input});
    if (JS_IsException(promise)) return exception(engine, JS_GetException(ctx));
    switch (settle(ctx, promise)) {
    case JS_PROMISE_REJECTED: return exception(engine, JS_PromiseResult(ctx, promise));
    case JS_PROMISE_PENDING: return mp_failed("never_settled", "the step waits for a promise that nothing settles");
    default:
        if (rejections) return exception(engine, rejected[0][1]);
        return outcome_of(ctx, JS_PromiseResult(ctx, promise));
    }
}

__attribute__((export_name("milepost:step/guest@0.1.0#run")))
mp_outcome *run(const char *name, uint32_t name_len, const char *input, uint32_t len) {
    static mp_outcome outcome;
    /* Not among what is freed when the script has been read. */
    mp_blocks = NULL;
    Engine engine;
    JSValue thrown;
    if (start(&engine, &thrown))
        outcome = execute(&engine, JS_NewStringLen(engine.ctx, name, name_len), JS_NewStringLen(engine.ctx, input, len));
    else
        outcome = exception(&engine, thrown);
    return &outcome;
}
