/* SPDX-License-Identifier: MIT */
/*
 * kqueue_shim_test.c - the tests' kqueue on Linux does what src/backend/kqueue.c expects of a BSD's.
 * Where there is a real kqueue the same claims hold for it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static const struct timespec zero;

struct fixture {
	int kq;
	int fd, peer; /* the two ends of a connection */
	struct kevent events[8];
};

static int set_up(void **state)
{
	static struct fixture fx;
	int pair[2];

	memset(&fx, 0, sizeof(fx));
	fx.kq = kqueue();
	if (fx.kq < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	fx.fd = pair[0];
	fx.peer = pair[1];
	*state = &fx;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fx = *state;

	close(fx->kq);
	if (fx->fd >= 0)
		close(fx->fd);
	if (fx->peer >= 0)
		close(fx->peer);
	return 0;
}

static int change(struct fixture *fx, int ident, int filter, int flags, unsigned fflags)
{
	struct kevent event;

	EV_SET(&event, ident, filter, flags, fflags, 0, fx);
	return kevent(fx->kq, &event, 1, NULL, 0, NULL);
}

static int fetch(struct fixture *fx)
{
	return kevent(fx->kq, NULL, 0, fx->events, 8, &zero);
}

static void test_kqueue_read_event_carries_bytes_and_udata(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0), 0);
	assert_int_equal(fetch(fx), 0);
	assert_int_equal(write(fx->peer, "hello", 5), 5);
	assert_int_equal(kevent(fx->kq, NULL, 0, fx->events, 8, NULL), 1);
	assert_int_equal(fx->events[0].ident, fx->fd);
	assert_int_equal(fx->events[0].filter, EVFILT_READ);
	assert_int_equal(fx->events[0].data, 5);
	assert_ptr_equal(fx->events[0].udata, fx);
	assert_int_equal(fx->events[0].flags & EV_EOF, 0);
}

static void test_kqueue_clear_reports_an_edge_once_and_the_next_again(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(write(fx->peer, "a", 1), 1); /* what was there before is reported too */
	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0), 0);
	assert_int_equal(fetch(fx), 1);
	assert_int_equal(fetch(fx), 0);
	assert_int_equal(write(fx->peer, "b", 1), 1);
	assert_int_equal(fetch(fx), 1);
	assert_int_equal(fx->events[0].data, 2);
}

static void test_kqueue_without_clear_reports_a_level(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ADD, 0), 0);
	assert_int_equal(write(fx->peer, "a", 1), 1);
	assert_int_equal(fetch(fx), 1);
	assert_int_equal(fetch(fx), 1);
}

static void test_kqueue_end_of_stream_sets_eof_with_the_bytes_left(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0), 0);
	assert_int_equal(write(fx->peer, "abc", 3), 3);
	assert_int_equal(shutdown(fx->peer, SHUT_WR), 0);
	assert_int_equal(fetch(fx), 1);
	assert_true(fx->events[0].flags & EV_EOF);
	assert_int_equal(fx->events[0].data, 3);
	assert_int_equal(fx->events[0].fflags, 0);
}

static void test_kqueue_write_filter_reports_room(void **state)
{
	static char bytes[1 << 20];
	struct fixture *fx = *state;

	assert_int_equal(change(fx, fx->fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0), 0);
	assert_int_equal(fetch(fx), 1);
	assert_int_equal(fx->events[0].filter, EVFILT_WRITE);
	assert_true(fx->events[0].data > 0);
	while (write(fx->fd, bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(fetch(fx), 0);
	while (read(fx->peer, bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(fetch(fx), 1);
	assert_int_equal(fx->events[0].filter, EVFILT_WRITE);
}

static void test_kqueue_two_filters_give_two_events_even_with_little_room(void **state)
{
	struct fixture *fx = *state;
	int filters = 0;

	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ADD, 0), 0);
	assert_int_equal(change(fx, fx->fd, EVFILT_WRITE, EV_ADD, 0), 0);
	assert_int_equal(write(fx->peer, "a", 1), 1);
	assert_int_equal(fetch(fx), 2);
	for (int i = 0; i < 2; i++)
		filters += fx->events[i].filter;
	assert_int_equal(filters, EVFILT_READ + EVFILT_WRITE);
	assert_int_equal(kevent(fx->kq, NULL, 0, fx->events, 1, &zero), 1);
}

static void test_kqueue_delete_and_disable_silence_a_filter(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(write(fx->peer, "a", 1), 1);
	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ADD | EV_DISABLE, 0), 0);
	assert_int_equal(fetch(fx), 0);
	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ENABLE, 0), 0);
	assert_int_equal(fetch(fx), 1);
	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_DELETE, 0), 0);
	assert_int_equal(fetch(fx), 0);
	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_DELETE, 0), -1);
	assert_int_equal(errno, ENOENT);
}

static void test_kqueue_oneshot_is_reported_once(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ADD | EV_ONESHOT, 0), 0);
	assert_int_equal(write(fx->peer, "a", 1), 1);
	assert_int_equal(fetch(fx), 1);
	assert_int_equal(fetch(fx), 0);
	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ENABLE, 0), -1);
}

static void test_kqueue_close_forgets_the_filters_of_a_descriptor(void **state)
{
	struct fixture *fx = *state;
	int number = fx->fd, again;

	assert_int_equal(change(fx, fx->fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0), 0);
	assert_int_equal(change(fx, fx->fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0), 0);
	assert_int_equal(fetch(fx), 1);
	close(fx->fd);
	fx->fd = -1;
	assert_int_equal(fetch(fx), 0);
	again = dup(fx->peer);
	assert_int_equal(again, number);
	fx->fd = again;
	assert_int_equal(change(fx, again, EVFILT_READ, EV_ADD | EV_CLEAR, 0), 0);
	assert_int_equal(fetch(fx), 1); /* the end of the stream; nothing of the old write filter */
	assert_int_equal(fx->events[0].filter, EVFILT_READ);
}

static void test_kqueue_failed_change_is_an_event_or_an_error(void **state)
{
	struct fixture *fx = *state;
	struct kevent changes[2];

	assert_int_equal(change(fx, 1000, EVFILT_READ, EV_ADD, 0), -1);
	assert_int_equal(errno, EBADF);
	EV_SET(&changes[0], 1000, EVFILT_READ, EV_ADD, 0, 0, fx);
	EV_SET(&changes[1], fx->fd, EVFILT_WRITE, EV_ADD, 0, 0, fx);
	assert_int_equal(kevent(fx->kq, changes, 2, fx->events, 8, NULL), 1);
	assert_int_equal(fx->events[0].ident, 1000);
	assert_true(fx->events[0].flags & EV_ERROR);
	assert_int_equal(fx->events[0].data, EBADF);
	assert_ptr_equal(fx->events[0].udata, fx);
	assert_int_equal(fetch(fx), 1); /* the second one took effect */
}

static void test_kqueue_receipt_answers_each_change_and_fetches_nothing(void **state)
{
	struct fixture *fx = *state;
	struct kevent changes[2];

	assert_int_equal(write(fx->peer, "a", 1), 1);
	EV_SET(&changes[0], fx->fd, EVFILT_READ, EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, fx);
	EV_SET(&changes[1], 1000, EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, fx);
	assert_int_equal(kevent(fx->kq, changes, 2, fx->events, 8, &zero), 2);
	assert_true(fx->events[0].flags & EV_ERROR);
	assert_int_equal(fx->events[0].data, 0);
	assert_int_equal(fx->events[1].data, EBADF);
	assert_int_equal(fetch(fx), 1);
	assert_int_equal(fx->events[0].filter, EVFILT_READ);
}

static void test_kqueue_user_event_is_triggered_and_cleared(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(change(fx, 7, EVFILT_USER, 0, NOTE_TRIGGER), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(change(fx, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0), 0);
	assert_int_equal(fetch(fx), 0);
	assert_int_equal(change(fx, 7, EVFILT_USER, 0, NOTE_TRIGGER), 0);
	assert_int_equal(change(fx, 7, EVFILT_USER, 0, NOTE_TRIGGER), 0);
	assert_int_equal(kevent(fx->kq, NULL, 0, fx->events, 8, NULL), 1);
	assert_int_equal(fx->events[0].filter, EVFILT_USER);
	assert_int_equal(fx->events[0].ident, 7);
	assert_int_equal(fetch(fx), 0);
}

static void test_kqueue_listener_tells_how_many_wait(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	struct fixture *fx = *state;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int clients[3];

	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(change(fx, listener, EVFILT_READ, EV_ADD, 0), 0);
	for (int i = 0; i < 3; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&sin, sizeof(sin)), 0);
	}
	assert_int_equal(fetch(fx), 1);
	assert_in_range(fx->events[0].data, 1, 3);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close(listener);
}

static void test_kqueue_wait_ends_with_its_timeout(void **state)
{
	const struct timespec soon = { 0, 1000 };
	struct fixture *fx = *state;

	assert_int_equal(kevent(fx->kq, NULL, 0, fx->events, 8, &soon), 0);
	assert_int_equal(kevent(-1, NULL, 0, fx->events, 8, &soon), -1);
	assert_int_equal(errno, EBADF);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_kqueue_read_event_carries_bytes_and_udata),
		TEST(test_kqueue_clear_reports_an_edge_once_and_the_next_again),
		TEST(test_kqueue_without_clear_reports_a_level),
		TEST(test_kqueue_end_of_stream_sets_eof_with_the_bytes_left),
		TEST(test_kqueue_write_filter_reports_room),
		TEST(test_kqueue_two_filters_give_two_events_even_with_little_room),
		TEST(test_kqueue_delete_and_disable_silence_a_filter),
		TEST(test_kqueue_oneshot_is_reported_once),
		TEST(test_kqueue_close_forgets_the_filters_of_a_descriptor),
		TEST(test_kqueue_failed_change_is_an_event_or_an_error),
		TEST(test_kqueue_receipt_answers_each_change_and_fetches_nothing),
		TEST(test_kqueue_user_event_is_triggered_and_cleared),
		TEST(test_kqueue_listener_tells_how_many_wait),
		TEST(test_kqueue_wait_ends_with_its_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
