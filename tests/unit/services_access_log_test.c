/* SPDX-License-Identifier: MIT */
/*
 * services_access_log_test.c - a log on real files and pipes, requests made up: many workers at once, files
 * renamed under load, pipes that nobody reads, disks that are full. Every line is written or counted.
 */
#include "http/req.h"
#include "services/access.h"

#include "support/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define WORKERS 3u
#define FIELDS_MAX 4u

/* As much of a worker, a connection and a request as a log looks at. */
struct fake {
	struct per__worker worker;
	struct per__conn conn;
	struct per_req *req;
	char head[4200];
};

static struct {
	char folder[64], path[128];
	struct fake *fakes[WORKERS];
	char told[4096]; /* what the log has said, one line after the other */
	pthread_mutex_t mutex;
} test = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void tell(per_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	pthread_mutex_lock(&test.mutex);
	snprintf(test.told + strlen(test.told), sizeof(test.told) - strlen(test.told), "%s\n", line);
	pthread_mutex_unlock(&test.mutex);
}

static bool was_told(const char *what)
{
	bool found;

	pthread_mutex_lock(&test.mutex);
	found = strstr(test.told, what) != NULL;
	pthread_mutex_unlock(&test.mutex);
	return found;
}

/* The request "GET /number HTTP/1.1", its target filled up to target_len bytes. */
static void fake_set(struct fake *fake, unsigned number, size_t target_len)
{
	struct per__h1_head *head = &fake->req->head;
	int len = snprintf(fake->head, sizeof(fake->head), "GET /%u", number);

	for (; len < (int)target_len + 4; len++)
		fake->head[len] = '.';
	memcpy(fake->head + len, " HTTP/1.1\r\n", 11);
	fake->req->base = (const uint8_t *)fake->head;
	fake->req->head_len = (uint32_t)len + 11;
	head->method_len = 3;
	head->target_off = 4;
	head->target_len = (uint16_t)(len - 4);
	head->version = 11;
	fake->req->status = 200;
}

static struct fake *fake_new(unsigned index)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	fake->req = calloc(1, per__req_bytes(FIELDS_MAX));
	assert_non_null(fake->req);
	fake->worker.index = index;
	fake->conn.worker = &fake->worker;
	fake->conn.peer = (struct per__peer){ .family = 4, .ip = { 127, 0, 0, (uint8_t)index } };
	fake->req->conn = &fake->conn;
	per__h1_head_init(&fake->req->head, fake->req->fields, FIELDS_MAX);
	fake_set(fake, 0, 0);
	return fake;
}

static void fake_free(struct fake *fake)
{
	free(fake->req);
	free(fake);
}

static void write_line(per_access_log *log, struct fake *fake, unsigned number)
{
	fake_set(fake, number, 0);
	per_access_log_write(log, fake->req, 0);
}

static per_access_log *log_open(const char *path, size_t ring_bytes)
{
	per_access_log_config config = {
		.path = path,
		.ring_bytes = ring_bytes,
		.flush_ms = 5,
		.log = tell,
		.log_level = PER_LOG_INFO,
		.format = PER_ACCESS_COMMON,
		.close_timeout_ms = 1,
	};
	per_access_log *log;

	assert_int_equal(per_access_log_open(&log, &config), 0);
	return log;
}

static per_access_log_stats stats_of(per_access_log *log)
{
	per_access_log_stats stats;

	per_access_log_stats_read(log, &stats);
	return stats;
}

/* Looks again and again until it holds; a test that waits for ever is ended by its runner. */
#define UNTIL(claim)                    \
	while (!(claim)) {              \
		(void)poll(NULL, 0, 1); \
	}

/* --- what was written ------------------------------------------------------------------------- */

/* Every line of a file is whole; adds the number of each to seen. Returns how many there are. */
static uint64_t file_lines(const char *path, uint64_t *sum)
{
	static char line[8192];
	FILE *file = fopen(path, "r");
	uint64_t cnt = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *begin = strstr(line, "] \"GET /");
		const char *end = strstr(line, " HTTP/1.1\" 200 0\n");

		assert_true(strncmp(line, "127.0.0.", 8) == 0);
		assert_non_null(begin);
		assert_non_null(end);
		assert_true(end[17] == '\0');
		*sum += strtoul(begin + 8, NULL, 10);
		cnt++;
	}
	fclose(file);
	return cnt;
}

static void test_log_lines_are_in_the_file_after_close(void **state)
{
	per_access_log *log = log_open(test.path, 0);
	per_access_log_stats stats;
	struct stat info;
	uint64_t sum = 0;

	(void)state;
	for (unsigned i = 1; i <= 1000; i++)
		write_line(log, test.fakes[i % WORKERS], i);
	UNTIL(stats_of(log).bytes_now == 0);
	stats = stats_of(log);
	assert_int_equal(stats.lines, 1000);
	assert_int_equal(stats.dropped, 0);
	assert_int_equal(stat(test.path, &info), 0);
	assert_int_equal(stats.bytes, info.st_size);
	assert_int_equal(info.st_mode & 07777, 0640);
	write_line(log, test.fakes[0], 1001);
	assert_int_equal(per_access_log_close(log), 0);
	assert_int_equal(file_lines(test.path, &sum), 1001);
	assert_int_equal(sum, 1001 * 1002 / 2);
	assert_string_equal(test.told, "");
}

/* Appends: a log that begins anew keeps what is there. */
static void test_log_appends(void **state)
{
	uint64_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		per_access_log *log = log_open(test.path, 0);

		write_line(log, test.fakes[0], 1);
		assert_int_equal(per_access_log_close(log), 0);
	}
	assert_int_equal(file_lines(test.path, &sum), 3);
}

/* A line that comes alone is written soon, without more of them; nobody writes while nothing comes. */
static void test_log_idle_thread_sleeps_and_wakes(void **state)
{
	per_access_log *log = log_open(test.path, 0);

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		UNTIL(atomic_load(&log->state) == PER__ACCESS_SLEEPING);
		assert_int_equal(stats_of(log).writes, i - 1);
		write_line(log, test.fakes[i % WORKERS], i);
		UNTIL(stats_of(log).writes == i);
		assert_int_equal(stats_of(log).wakes, i);
	}
	assert_int_equal(per_access_log_close(log), 0);
}

/* --- many workers, files renamed -------------------------------------------------------------- */

#define THREAD_LINES 60000u

struct load {
	per_access_log *log;
	struct fake *fake;
	atomic_uint written;
};

static void *load_main(void *arg)
{
	struct load *load = arg;

	for (unsigned i = 1; i <= THREAD_LINES; i++) {
		uint64_t waiting = 0;

		write_line(load->log, load->fake, i);
		atomic_store(&load->written, i);
		do { /* as fast as the file, so that nothing has to be dropped */
			waiting = stats_of(load->log).bytes_now;
		} while (waiting > 200000);
	}
	return NULL;
}

static void test_log_workers_at_once_file_renamed_no_line_is_lost(void **state)
{
	per_access_log *log = log_open(test.path, 1u << 18);
	struct load loads[WORKERS];
	pthread_t threads[WORKERS];
	char renamed[160];
	uint64_t sum = 0, cnt = 0;
	unsigned files = 0;

	(void)state;
	for (unsigned i = 0; i < WORKERS; i++) {
		loads[i] = (struct load){ .log = log, .fake = test.fakes[i] };
		assert_int_equal(pthread_create(&threads[i], NULL, load_main, &loads[i]), 0);
	}
	for (; files < 20; files++) {
		uint64_t reopens = stats_of(log).reopens;
		uint64_t lines = stats_of(log).lines;

		UNTIL(stats_of(log).lines > lines + 200 || atomic_load(&loads[0].written) == THREAD_LINES);
		snprintf(renamed, sizeof(renamed), "%s.%u", test.path, files);
		assert_int_equal(rename(test.path, renamed), 0);
		per_access_log_reopen(log);
		UNTIL(stats_of(log).reopens > reopens);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(stats_of(log).dropped, 0);
	assert_int_equal(per_access_log_close(log), 0);
	for (unsigned i = 0; i < files; i++) {
		snprintf(renamed, sizeof(renamed), "%s.%u", test.path, i);
		cnt += file_lines(renamed, &sum);
		unlink(renamed);
	}
	cnt += file_lines(test.path, &sum);
	assert_int_equal(cnt, WORKERS * THREAD_LINES);
	assert_int_equal(sum, (uint64_t)WORKERS * THREAD_LINES * (THREAD_LINES + 1) / 2);
}

/* Workers of two servers have the same numbers; each has its own ring all the same. */
static void test_log_two_servers_have_their_own_rings(void **state)
{
	per_access_log *log = log_open(test.path, 0);
	struct fake *others[WORKERS];

	(void)state;
	for (unsigned i = 0; i < WORKERS; i++)
		others[i] = fake_new(i);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < WORKERS; i++) {
			write_line(log, test.fakes[i], 1);
			write_line(log, others[i], 2);
		}
	}
	assert_int_equal(atomic_load(&log->slot_cnt), 2 * WORKERS);
	for (unsigned i = 0; i < 2 * WORKERS; i++)
		assert_int_equal(atomic_load(&log->slots[i].ring)->lines, 3);
	assert_int_equal(per_access_log_close(log), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		fake_free(others[i]);
}

static void test_log_more_workers_than_rings_are_counted(void **state)
{
	per_access_log *log = log_open(test.path, 65536);
	struct fake *fake = fake_new(7);

	(void)state;
	for (unsigned i = 0; i < PER__ACCESS_RINGS_MAX; i++)
		atomic_store(&log->slots[i].owner, &test);
	write_line(log, fake, 1);
	assert_int_equal(stats_of(log).dropped, 1);
	assert_int_equal(stats_of(log).lines, 0);
	assert_int_equal(per_access_log_close(log), 0);
	fake_free(fake);
}

/* --- files that take nothing ------------------------------------------------------------------ */

static void fifo_make(void)
{
	assert_int_equal(mkfifo(test.path, 0600), 0);
}

/* Fills the ring of a worker until a line is dropped; returns how many were taken. */
static uint64_t fill(per_access_log *log, struct fake *fake, size_t target_len)
{
	while (stats_of(log).dropped == 0) {
		fake_set(fake, 1, target_len);
		per_access_log_write(log, fake->req, 0);
	}
	return stats_of(log).lines;
}

/* Reads lines until that many were seen; each is whole. */
static void fifo_read(int fd, uint64_t lines)
{
	static char text[1 << 16];
	size_t len = 0;

	while (lines > 0) {
		ssize_t n = read(fd, text + len, sizeof(text) - len);
		char *begin = text, *end;

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			(void)poll(NULL, 0, 1);
			continue;
		}
		len += (size_t)n;
		while ((end = memchr(begin, '\n', len - (size_t)(begin - text))) != NULL) {
			assert_true(strncmp(begin, "127.0.0.", 8) == 0);
			assert_true(strncmp(end - 5, "200 0\n", 6) == 0);
			begin = end + 1;
			lines--;
		}
		len -= (size_t)(begin - text);
		memmove(text, begin, len);
	}
	assert_int_equal(len, 0);
}

static void test_log_fifo_without_reader_drops_then_recovers(void **state)
{
	per_access_log *log;
	uint64_t lines;
	int fd;

	(void)state;
	fifo_make();
	log = log_open(test.path, 65536);
	UNTIL(was_told("nobody reads this FIFO"));
	lines = fill(log, test.fakes[0], 0);
	assert_true(lines > 600);
	assert_int_equal(stats_of(log).bytes, 0);
	fd = open(test.path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	fifo_read(fd, lines);
	UNTIL(was_told("lines were dropped"));
	write_line(log, test.fakes[0], 2);
	fifo_read(fd, 1);
	close(fd);
	assert_int_equal(stats_of(log).dropped, 1);
	assert_int_equal(per_access_log_close(log), 0);
}

/* The reader is there and does not read: nothing waits but the lines, and the end comes all the same. */
/* A socket of the file system answers open() like a FIFO without a reader, but will never have one. */
static void test_log_socket_is_an_error(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	per_access_log_config config = { .path = test.path, .log = tell };
	per_access_log *log;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", test.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(per_access_log_open(&log, &config), PER_ESYS);
	UNTIL(was_told("cannot be opened"));
	close(fd);
}

static void test_log_fifo_reader_stops_end_comes_and_tells(void **state)
{
	per_access_log *log;
	int fd;

	(void)state;
	fifo_make();
	fd = open(test.path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	log = log_open(test.path, 1u << 18);
	(void)fill(log, test.fakes[1], 0);
	UNTIL(stats_of(log).bytes > 0);
	assert_int_equal(stats_of(log).write_errors, 0);
	assert_int_equal(per_access_log_close(log), PER_ESYS);
	close(fd);
}

static void *late_reader_main(void *arg)
{
	per_access_log *log = arg;
	int fd = open(test.path, O_RDONLY | O_NONBLOCK);

	UNTIL(atomic_load(&log->close_wanted));
	fifo_read(fd, stats_of(log).lines);
	UNTIL(read(fd, &fd, 1) == 0); /* the writer has gone: the log was closed in between, and not before */
	close(fd);
	return NULL;
}

/* What waits at the end is written if the file takes it in time. */
static void test_log_close_waits_for_a_reader(void **state)
{
	per_access_log *log;
	pthread_t thread;

	(void)state;
	fifo_make();
	log = log_open(test.path, 65536);
	log->close_timeout_ns = INT64_C(60) * 1000000000;
	(void)fill(log, test.fakes[0], 0);
	assert_int_equal(pthread_create(&thread, NULL, late_reader_main, log), 0);
	assert_int_equal(per_access_log_close(log), 0);
	pthread_join(thread, NULL);
}

/* The standard output is a pipe that nobody reads: the log ends in time. Prints nothing meanwhile. */
static void test_log_standard_output_that_is_not_read(void **state)
{
	int saved = dup(STDOUT_FILENO);
	per_access_log *log;
	uint64_t bytes;
	int fds[2], err;

	(void)state;
	fflush(stdout);
	assert_int_equal(pipe(fds), 0);
	if (dup2(fds[1], STDOUT_FILENO) < 0)
		abort();
	log = log_open("-", 1u << 18);
	(void)fill(log, test.fakes[0], 0);
	UNTIL(stats_of(log).bytes >= 50000); /* what the pipe takes */
	bytes = stats_of(log).bytes;
	err = per_access_log_close(log);
	if (dup2(saved, STDOUT_FILENO) < 0)
		abort();
	assert_int_equal(err, PER_ESYS);
	assert_true(bytes <= 65536);
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

/* SIGPIPE ends no process, and the next reader gets what waited; lines above PIPE_BUF too. */
static void test_log_fifo_reader_leaves_and_another_comes(void **state)
{
	per_access_log *log;
	int fd;

	(void)state;
	fifo_make();
	fd = open(test.path, O_RDONLY | O_NONBLOCK);
	log = log_open(test.path, 0);
	write_line(log, test.fakes[0], 1);
	fifo_read(fd, 1);
	close(fd);
	write_line(log, test.fakes[0], 2);
	UNTIL(stats_of(log).write_errors == 1);
	fd = open(test.path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	fifo_read(fd, 1);
	for (unsigned i = 0; i < 10; i++) {
		fake_set(test.fakes[2], i, 4100);
		per_access_log_write(log, test.fakes[2]->req, 0);
	}
	fifo_read(fd, 10);
	close(fd);
	UNTIL(was_told("Broken pipe") && was_told("writing again"));
	assert_int_equal(per_access_log_close(log), 0);
}

static void test_log_disk_full_is_counted_and_told_once(void **state)
{
	per_access_log *log = log_open("/dev/full", 65536);
	uint64_t lines = fill(log, test.fakes[0], 0);

	(void)state;
	UNTIL(stats_of(log).write_errors >= 2);
	assert_int_equal(stats_of(log).bytes, 0);
	UNTIL(was_told("No space left"));
	assert_int_equal(per_access_log_close(log), PER_ESYS);
	assert_ptr_equal(strstr(strstr(test.told, "No space left") + 1, "No space left"), NULL);
	assert_true(lines > 600);
}

/* --- a file system that fills up -------------------------------------------------------------- */

#define SMALL_BYTES 1000u
#define SMALL_LINES 100u

/* The file may have that many bytes: a write across them is short, the next one fails, as on a full disk. */
static void file_bytes_limit(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A log that is stuck inside a line. */
static per_access_log *log_torn(void)
{
	per_access_log *log = log_open(test.path, 0);

	file_bytes_limit(SMALL_BYTES);
	for (unsigned i = 1; i <= SMALL_LINES; i++)
		write_line(log, test.fakes[0], i);
	UNTIL(stats_of(log).write_errors >= 1);
	assert_int_equal(stats_of(log).bytes, SMALL_BYTES);
	UNTIL(was_told("File too large"));
	return log;
}

static void test_log_short_write_its_rest_comes_next(void **state)
{
	per_access_log *log = log_torn();
	uint64_t sum = 0;

	(void)state;
	write_line(log, test.fakes[1], SMALL_LINES + 1); /* a ring before it in no order */
	write_line(log, test.fakes[2], SMALL_LINES + 2);
	file_bytes_limit(RLIM_INFINITY);
	UNTIL(stats_of(log).bytes_now == 0);
	assert_int_equal(stats_of(log).dropped, 0);
	assert_int_equal(per_access_log_close(log), 0);
	assert_int_equal(file_lines(test.path, &sum), SMALL_LINES + 2);
	assert_int_equal(sum, (SMALL_LINES + 2) * (SMALL_LINES + 3) / 2);
}

/* Cuts the last line off, which has to be a part of one. */
static void file_cut_torn_line(const char *path)
{
	char text[SMALL_BYTES + 1] = "";
	int fd = open(path, O_RDWR);
	ssize_t n = read(fd, text, SMALL_BYTES);

	assert_int_equal(n, SMALL_BYTES);
	assert_true(text[n - 1] != '\n');
	assert_int_equal(ftruncate(fd, strrchr(text, '\n') + 1 - text), 0);
	close(fd);
}

static void test_log_short_write_then_renamed_one_line_is_given_up(void **state)
{
	per_access_log *log = log_torn();
	char renamed[160];
	uint64_t sum = 0, cnt;

	(void)state;
	snprintf(renamed, sizeof(renamed), "%s.1", test.path);
	assert_int_equal(rename(test.path, renamed), 0);
	per_access_log_reopen(log);
	UNTIL(stats_of(log).reopens == 1);
	file_bytes_limit(RLIM_INFINITY);
	UNTIL(stats_of(log).bytes_now == 0);
	assert_int_equal(stats_of(log).dropped, 1);
	assert_int_equal(stats_of(log).lines, SMALL_LINES - 1);
	assert_int_equal(per_access_log_close(log), 0);
	file_cut_torn_line(renamed);
	cnt = file_lines(renamed, &sum);
	unlink(renamed);
	assert_int_equal(cnt + file_lines(test.path, &sum), SMALL_LINES - 1);
}

/* Opened anew, but the same file: what follows the torn line begins a line of its own. */
static void test_log_short_write_then_the_same_file_begins_a_line(void **state)
{
	per_access_log *log = log_torn();
	static char text[65536];
	unsigned whole = 0, all = 0;
	ssize_t n;
	int fd;

	(void)state;
	per_access_log_reopen(log);
	UNTIL(stats_of(log).reopens == 1);
	file_bytes_limit(RLIM_INFINITY);
	UNTIL(stats_of(log).bytes_now == 0);
	assert_int_equal(per_access_log_close(log), 0);
	fd = open(test.path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n > 0);
	for (char *line = text; *line != '\0'; all++) {
		char *end = strchr(line, '\n');

		*end = '\0';
		assert_true(strncmp(line, "127.0.0.", 8) == 0);
		whole += strstr(line, " HTTP/1.1\" 200 0") != NULL;
		line = end + 1;
	}
	assert_int_equal(all, SMALL_LINES);
	assert_int_equal(whole, SMALL_LINES - 1);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void test_log_reopen_that_fails_keeps_the_old_file(void **state)
{
	per_access_log *log = log_open(test.path, 0);
	char moved[160];
	uint64_t sum = 0;

	(void)state;
	snprintf(moved, sizeof(moved), "%s.moved", test.folder);
	assert_int_equal(rename(test.folder, moved), 0);
	per_access_log_reopen(log);
	UNTIL(stats_of(log).reopen_errors == 1);
	write_line(log, test.fakes[0], 5);
	UNTIL(stats_of(log).bytes_now == 0);
	assert_int_equal(rename(moved, test.folder), 0);
	UNTIL(was_told("cannot be opened anew: No such file"));
	assert_int_equal(per_access_log_close(log), 0);
	assert_int_equal(file_lines(test.path, &sum), 1);
}

static void test_log_open_errors(void **state)
{
	per_access_log_config good = { .path = test.path, .log = tell };
	per_access_log_config config;
	per_access_log *log = (per_access_log *)&config;

	(void)state;
	assert_int_equal(per_access_log_open(NULL, &good), PER_EINVAL);
	assert_int_equal(per_access_log_open(&log, NULL), PER_EINVAL);
	assert_null(log);
#define REFUSED(field, value, error)                                         \
	do {                                                                 \
		config = good;                                               \
		config.field = (value);                                      \
		assert_int_equal(per_access_log_open(&log, &config), error); \
		assert_null(log);                                            \
	} while (0)
#define TAKEN(field, value)                                              \
	do {                                                             \
		config = good;                                           \
		config.field = (value);                                  \
		assert_int_equal(per_access_log_open(&log, &config), 0); \
		assert_int_equal(per_access_log_close(log), 0);          \
	} while (0)
	REFUSED(path, NULL, PER_EINVAL);
	REFUSED(path, "", PER_EINVAL);
	REFUSED(path, "/", PER_ESYS);
	REFUSED(path, "/nowhere/access.log", PER_ESYS);
	REFUSED(format, (per_access_format)3, PER_EINVAL);
	REFUSED(ring_bytes, 65537, PER_EINVAL);
	REFUSED(ring_bytes, 32768, PER_EINVAL);
	REFUSED(ring_bytes, (size_t)1 << 31, PER_EINVAL);
	REFUSED(flush_ms, 60001, PER_EINVAL);
	REFUSED(close_timeout_ms, 600001, PER_EINVAL);
	TAKEN(ring_bytes, 65536);
	TAKEN(ring_bytes, (size_t)1 << 30);
	TAKEN(flush_ms, 60000);
	TAKEN(close_timeout_ms, 600000);
	TAKEN(format, PER_ACCESS_JSON);
	assert_int_equal(per_access_log_close(NULL), 0);
}

/* --- around each test ------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	snprintf(test.folder, sizeof(test.folder), "/tmp/per_access_XXXXXX");
	if (mkdtemp(test.folder) == NULL)
		return -1;
	snprintf(test.path, sizeof(test.path), "%s/access.log", test.folder);
	test.told[0] = '\0';
	for (unsigned i = 0; i < WORKERS; i++)
		test.fakes[i] = fake_new(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORKERS; i++)
		fake_free(test.fakes[i]);
	(void)unlink(test.path);
	return rmdir(test.folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_log_lines_are_in_the_file_after_close),
		TEST(test_log_appends),
		TEST(test_log_idle_thread_sleeps_and_wakes),
		TEST(test_log_workers_at_once_file_renamed_no_line_is_lost),
		TEST(test_log_two_servers_have_their_own_rings),
		TEST(test_log_more_workers_than_rings_are_counted),
		TEST(test_log_fifo_without_reader_drops_then_recovers),
		TEST(test_log_socket_is_an_error),
		TEST(test_log_fifo_reader_stops_end_comes_and_tells),
		TEST(test_log_close_waits_for_a_reader),
		TEST(test_log_standard_output_that_is_not_read),
		TEST(test_log_fifo_reader_leaves_and_another_comes),
		TEST(test_log_disk_full_is_counted_and_told_once),
		TEST(test_log_short_write_its_rest_comes_next),
		TEST(test_log_short_write_then_renamed_one_line_is_given_up),
		TEST(test_log_short_write_then_the_same_file_begins_a_line),
		TEST(test_log_reopen_that_fails_keeps_the_old_file),
		TEST(test_log_open_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
