/* What of milepost.h needs no host: cc -Wno-attributes -o test test.c && ./test */
#include "milepost.h"
#include <assert.h>

#define EQUAL(text, expected) assert(mp_equal((text), mp_text_of(expected)))

int main(void) {
    mp_str json = mp_text_of(" { \"a\\u0062\" : [1, {\"x\": \"}\\\"]\"}] , \"n\":-1.5e3,\"s\":\"gr\\u00fc\\ud83c\\udf0d\\n\\ud800!\", \"last\": null } ");
    EQUAL(mp_member(json, "ab"), "[1, {\"x\": \"}\\\"]\"}]");
    EQUAL(mp_member(json, "n"), "-1.5e3");
    EQUAL(mp_member(json, "last"), "null");
    EQUAL(mp_text(mp_member(json, "s")), "grü🌍\n\xef\xbf\xbd!");
    assert(mp_member(json, "none").len == 0);
    assert(mp_member(mp_text_of("[1]"), "a").len == 0);
    assert(mp_member(mp_text_of("{}"), "a").len == 0);
    assert(mp_is_string(mp_text_of("\"\"")) && !mp_is_string(mp_text_of("1")));
    EQUAL(mp_quote(mp_text_of("a\"\\\x01\nü")), "\"a\\\"\\\\\\u0001\\u000aü\"");
    EQUAL(mp_text(mp_quote(mp_text_of("a\"\\\x01\nü"))), "a\"\\\x01\nü");
    EQUAL(mp_number(0), "0");
    EQUAL(mp_number(UINT64_MAX), "18446744073709551615");
    EQUAL(mp_concat("a", mp_number(1), "b"), "a1b");

    mp_outcome paused = mp_paused("code", mp_text_of("reason"), "{}");
    assert(paused.is_error && paused.error.tag == MP_PAUSED && paused.error.paused.state.some && !paused.error.paused.until_nanos.some);
    mp_outcome again = mp_host_failed((mp_error){mp_text_of("timeout"), mp_text_of("m"), true});
    assert(again.error.tag == MP_RETRYABLE);
    mp_outcome refused = mp_host_failed((mp_error){mp_text_of("denied"), mp_text_of("m"), false});
    assert(refused.error.tag == MP_FAILED);
    EQUAL(refused.error.failed.code, "denied");
    mp_free_all();
    assert(!mp_blocks);
    return 0;
}
