/* SPDX-License-Identifier: MIT */
/*
 * tls_tickets_test.c - src/tls/tickets.c: keys are shared, rotate by the clock that is passed in, are
 * accepted as long as a ticket lives and forgotten then.
 */
#include "support/unit.h"

#include "tls/tickets.h"
#include <pthread.h>
#include <stdatomic.h>

#define SECOND_NS INT64_C(1000000000)
#define LIFETIME_S 1200u
#define PERIOD_NS (100 * SECOND_NS) /* a twelfth */
#define BEGIN_NS (5 * SECOND_NS)

struct fixture {
	struct per__tls_tickets *tickets;
	struct per__tls_ticket_view a, b; /* of two workers */
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	assert_int_equal(per__tls_tickets_new(&fixture->tickets, LIFETIME_S, BEGIN_NS), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	per__tls_tickets_free(fixture->tickets);
	free(fixture);
	return 0;
}

static void test_key_of_one_worker_is_found_by_another(void **state)
{
	struct fixture *fixture = *state;
	struct per__tls_ticket_key key = *per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS);
	bool is_current = false;
	const struct per__tls_ticket_key *found =
		per__tls_tickets_find(fixture->tickets, &fixture->b, BEGIN_NS, key.name, &is_current);

	assert_non_null(found);
	assert_memory_equal(found, &key, sizeof(key));
	assert_true(is_current);
}

static void test_key_seals_for_a_period_then_another_does(void **state)
{
	struct fixture *fixture = *state;
	struct per__tls_ticket_key first = *per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS);
	const struct per__tls_ticket_key *later =
		per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS + PERIOD_NS - 1);
	bool is_current = true;

	assert_memory_equal(later, &first, sizeof(first));
	later = per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS + PERIOD_NS);
	assert_memory_not_equal(later->name, first.name, sizeof(first.name));
	assert_memory_not_equal(later->cipher, first.cipher, sizeof(first.cipher));
	assert_memory_not_equal(later->mac, first.mac, sizeof(first.mac));
	assert_non_null(per__tls_tickets_find(fixture->tickets, &fixture->b, BEGIN_NS + PERIOD_NS, first.name,
					      &is_current));
	assert_false(is_current);
}

/* Looking for a key rotates too: a worker that only resumes must not hold on to an old key. */
static void test_find_rotates(void **state)
{
	struct fixture *fixture = *state;
	struct per__tls_ticket_key first = *per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS);
	bool is_current = true;

	assert_non_null(per__tls_tickets_find(fixture->tickets, &fixture->a, BEGIN_NS + PERIOD_NS, first.name,
					      &is_current));
	assert_false(is_current);
	assert_int_equal(fixture->a.cnt, 2);
}

static void test_key_is_accepted_for_a_lifetime_behind_its_last_ticket(void **state)
{
	struct fixture *fixture = *state;
	struct per__tls_ticket_key first = *per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS);
	int64_t end_ns = BEGIN_NS + PERIOD_NS + LIFETIME_S * SECOND_NS;
	bool is_current;

	for (int64_t now_ns = BEGIN_NS; now_ns < end_ns; now_ns += PERIOD_NS / 2) {
		(void)per__tls_tickets_current(fixture->tickets, &fixture->a, now_ns);
		assert_non_null(per__tls_tickets_find(fixture->tickets, &fixture->b, now_ns, first.name,
						      &is_current));
	}
	assert_non_null(
		per__tls_tickets_find(fixture->tickets, &fixture->b, end_ns - 1, first.name, &is_current));
	assert_null(per__tls_tickets_find(fixture->tickets, &fixture->b, end_ns, first.name, &is_current));
}

/* The next key is young, so nothing rotates at the moment when the first is too old. */
static void test_key_too_old_is_not_accepted_between_rotations(void **state)
{
	struct fixture *fixture = *state;
	struct per__tls_ticket_key first = *per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS);
	int64_t end_ns = BEGIN_NS + PERIOD_NS + LIFETIME_S * SECOND_NS;
	bool is_current;

	(void)per__tls_tickets_current(fixture->tickets, &fixture->a, end_ns - PERIOD_NS / 2);
	assert_non_null(
		per__tls_tickets_find(fixture->tickets, &fixture->a, end_ns - 1, first.name, &is_current));
	assert_null(per__tls_tickets_find(fixture->tickets, &fixture->a, end_ns, first.name, &is_current));
	assert_int_equal(fixture->a.cnt, 2);
}

/* Nobody came for days: what was kept is too old, although nothing has rotated meanwhile. */
static void test_key_too_old_is_not_accepted_after_a_rest(void **state)
{
	struct fixture *fixture = *state;
	struct per__tls_ticket_key first = *per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS);
	int64_t later_ns = BEGIN_NS + 100 * LIFETIME_S * SECOND_NS;
	bool is_current;

	assert_null(per__tls_tickets_find(fixture->tickets, &fixture->a, later_ns, first.name, &is_current));
	assert_int_equal(fixture->a.cnt, 1);
	assert_memory_not_equal(fixture->a.keys[0].name, first.name, sizeof(first.name));
}

static void test_old_keys_are_wiped(void **state)
{
	struct fixture *fixture = *state;
	static const uint8_t zero[sizeof(struct per__tls_ticket_key)];
	uint32_t most = 0;

	for (int i = 0; i < 100; i++) {
		(void)per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS + i * PERIOD_NS);
		most = PER_MAX(most, fixture->a.cnt);
	}
	assert_in_range(most, PER__TLS_TICKET_PERIODS, PER__TLS_TICKET_KEYS);
	(void)per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS + 1000 * PERIOD_NS);
	assert_int_equal(fixture->a.cnt, 1);
	for (uint32_t i = 1; i < PER__TLS_TICKET_KEYS; i++)
		assert_memory_equal(&fixture->a.keys[i], zero, sizeof(zero));
}

static void test_unknown_name_is_nobodys(void **state)
{
	struct fixture *fixture = *state;
	const uint8_t name[PER__TLS_TICKET_NAME_BYTES] = "nobody's";
	bool is_current;

	assert_null(per__tls_tickets_find(fixture->tickets, &fixture->a, BEGIN_NS, name, &is_current));
}

static void test_two_servers_have_different_keys(void **state)
{
	struct fixture *fixture = *state;
	struct per__tls_tickets *other;
	const struct per__tls_ticket_key *key;
	bool is_current;

	assert_int_equal(per__tls_tickets_new(&other, LIFETIME_S, BEGIN_NS), 0);
	key = per__tls_tickets_current(other, &fixture->b, BEGIN_NS);
	assert_null(per__tls_tickets_find(fixture->tickets, &fixture->a, BEGIN_NS, key->name, &is_current));
	per__tls_tickets_free(other);
}

/*
 * Four workers and one clock that goes through ten periods, so no ticket gets too old; each looks at it a
 * little late. ThreadSanitizer looks on.
 */
struct rotator {
	struct per__tls_tickets *tickets;
	_Atomic int64_t *now_ns;
	int64_t late_ns;
	unsigned missed;
};

#define ROTATORS 4
#define ROTATOR_STEPS 5000

static void *rotator_main(void *arg)
{
	struct rotator *rotator = arg;
	struct per__tls_ticket_view view = { 0 };

	for (int i = 0; i < ROTATOR_STEPS; i++) {
		int64_t step_ns = 10 * PERIOD_NS / (ROTATORS * ROTATOR_STEPS);
		int64_t now_ns = atomic_fetch_add(rotator->now_ns, step_ns) - rotator->late_ns;
		uint8_t name[PER__TLS_TICKET_NAME_BYTES];
		bool is_current;

		memcpy(name, per__tls_tickets_current(rotator->tickets, &view, now_ns)->name, sizeof(name));
		if (per__tls_tickets_find(rotator->tickets, &view, now_ns, name, &is_current) == NULL)
			rotator->missed++;
	}
	return NULL;
}

static void test_threads_rotate_together(void **state)
{
	struct fixture *fixture = *state;
	_Atomic int64_t now_ns = BEGIN_NS;
	struct rotator rotators[ROTATORS];
	pthread_t threads[ROTATORS];
	bool is_current;
	uint8_t first[PER__TLS_TICKET_NAME_BYTES];

	memcpy(first, per__tls_tickets_current(fixture->tickets, &fixture->a, BEGIN_NS)->name, sizeof(first));
	for (int i = 0; i < ROTATORS; i++) {
		rotators[i] = (struct rotator){ fixture->tickets, &now_ns, i * SECOND_NS, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, rotator_main, &rotators[i]), 0);
	}
	for (int i = 0; i < ROTATORS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(rotators[i].missed, 0);
	}
	assert_non_null(per__tls_tickets_find(fixture->tickets, &fixture->a, now_ns, first, &is_current));
	assert_in_range(fixture->a.cnt, 9, 11); /* one for each period, however many threads were there */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_key_of_one_worker_is_found_by_another),
		TEST(test_key_seals_for_a_period_then_another_does),
		TEST(test_find_rotates),
		TEST(test_key_is_accepted_for_a_lifetime_behind_its_last_ticket),
		TEST(test_key_too_old_is_not_accepted_after_a_rest),
		TEST(test_key_too_old_is_not_accepted_between_rotations),
		TEST(test_old_keys_are_wiped),
		TEST(test_unknown_name_is_nobodys),
		TEST(test_two_servers_have_different_keys),
		TEST(test_threads_rotate_together),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
