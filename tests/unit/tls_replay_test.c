/* SPDX-License-Identifier: MIT */
/*
 * tls_replay_test.c - src/tls/replay.c: a ClientHello is taken once in its time, and only when it can be
 * remembered.
 */
#include "support/unit.h"

#include "tls/replay.h"

#define NOW_NS INT64_C(5000000000)

struct hello {
	uint8_t random[PER__TLS_RANDOM_BYTES];
};

/* All with the same place are in the same slots. */
static struct hello hello_of(uint64_t tag, uint32_t place)
{
	struct hello hello = { { 0 } };

	memcpy(hello.random, &tag, sizeof(tag));
	memcpy(hello.random + sizeof(tag), &place, sizeof(place));
	return hello;
}

static void test_replay_hello_is_taken_once_in_its_time(void **state)
{
	struct per__tls_replay *replay = per__tls_replay_new();
	const struct hello hello = hello_of(7, 3), other = hello_of(8, 3);

	(void)state;
	assert_non_null(replay);
	assert_true(per__tls_replay_is_first(replay, hello.random, NOW_NS));
	assert_false(per__tls_replay_is_first(replay, hello.random, NOW_NS));
	assert_true(per__tls_replay_is_first(replay, other.random, NOW_NS + 1));
	assert_false(per__tls_replay_is_first(replay, hello.random, NOW_NS + PER__TLS_REPLAY_NS - 1));
	assert_true(per__tls_replay_is_first(replay, hello.random, NOW_NS + PER__TLS_REPLAY_NS));
	per__tls_replay_free(replay);
}

static void test_replay_without_room_nothing_is_taken(void **state)
{
	struct per__tls_replay *replay = per__tls_replay_new();
	const struct hello late = hello_of(100, UINT32_MAX), elsewhere = hello_of(100, 0);

	(void)state;
	assert_non_null(replay);
	for (uint64_t tag = 0; tag < PER__TLS_REPLAY_WAYS; tag++)
		assert_true(per__tls_replay_is_first(replay, hello_of(tag, UINT32_MAX).random, NOW_NS));
	assert_false(per__tls_replay_is_first(replay, late.random, NOW_NS));
	assert_true(per__tls_replay_is_first(replay, elsewhere.random, NOW_NS));
	assert_true(per__tls_replay_is_first(replay, late.random, NOW_NS + PER__TLS_REPLAY_NS));
	per__tls_replay_free(replay);
	per__tls_replay_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay_hello_is_taken_once_in_its_time),
		cmocka_unit_test(test_replay_without_room_nothing_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
