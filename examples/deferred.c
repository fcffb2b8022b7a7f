/* SPDX-License-Identifier: MIT */
/*
 * deferred.c - an answer that comes from another thread. A handler must not block, so slow work (counting
 * primes) goes into a queue. The thread that does it names the exchange by a per_ref, which may outlive the
 * client, and sends the answer back to the worker that owns the exchange with per_post().
 * Try it: deferred 8080    and then: curl 'localhost:8080/?n=2000000'
 */
#include <peregrine/peregrine.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define JOBS_MAX 256u
#define N_MAX 10000000ul

struct job {
	per_ref ref;
	unsigned long n;
};

/* A bounded queue between the event loops and the one calculating thread. */
struct calculator {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job jobs[JOBS_MAX];
	unsigned first, count;
	bool is_stopping;
	per_server *server;
};

static bool calculator_put(struct calculator *calc, struct job job)
{
	pthread_mutex_lock(&calc->lock);
	const bool has_room = calc->count < JOBS_MAX;
	if (has_room)
		calc->jobs[(calc->first + calc->count++) % JOBS_MAX] = job;
	pthread_cond_signal(&calc->changed);
	pthread_mutex_unlock(&calc->lock);
	return has_room;
}

/* Waits for a job. Returns false when the calculator is to end. */
static bool calculator_take(struct calculator *calc, struct job *job)
{
	pthread_mutex_lock(&calc->lock);
	while (calc->count == 0 && !calc->is_stopping)
		pthread_cond_wait(&calc->changed, &calc->lock);
	const bool has_job = !calc->is_stopping;
	if (has_job) {
		*job = calc->jobs[calc->first++ % JOBS_MAX];
		calc->count--;
	}
	pthread_mutex_unlock(&calc->lock);
	return has_job;
}

static unsigned long primes_below(unsigned long n)
{
	unsigned long primes = 0;
	for (unsigned long i = 2; i < n; i++) {
		unsigned long d = 2;
		while (d * d <= i && i % d != 0)
			d++;
		primes += d * d > i;
	}
	return primes;
}

/* On the worker that owns the exchange again; req is NULL when the client has left in the meantime. */
static void answer(per_req *req, void *arg)
{
	if (req == NULL)
		return;
	char text[64];
	const int len = snprintf(text, sizeof(text), "%ju primes\n", (uintmax_t)(uintptr_t)arg);
	if (per_reply(req, 200, PER_S("text/plain"), per_str_make(text, (size_t)len)) != 0)
		per_abort(req);
}

static void *calculate(void *arg)
{
	struct calculator *calc = arg;
	struct job job;
	while (calculator_take(calc, &job)) {
		void *primes = (void *)(uintptr_t)primes_below(job.n);
		/* PER_EAGAIN: the worker's queue is full just now. Any other error: nobody waits any more. */
		while (per_post(calc->server, job.ref, answer, primes) == PER_EAGAIN)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return NULL;
}

static int on_request(per_req *req, void *user)
{
	char text[24] = "";
	const int64_t len = per_percent_decode(text, sizeof(text) - 1,
					       per_query_get(per_req_query(req), PER_S("n")), true);
	struct job job = { .n = len > 0 ? strtoul(text, NULL, 10) : 1000000 };
	if (job.n > N_MAX)
		return per_reply(req, 400, PER_S("text/plain"), PER_S("n is too large\n"));

	/* First the reference, then the queue: the answer may be there before this function returns. */
	const int err = per_defer(req, &job.ref);
	if (err != 0)
		return err;
	if (calculator_put(user, job))
		return 0;
	return per_reply(req, 503, PER_S("text/plain"), PER_S("too much to calculate\n"));
}

int main(int argc, char **argv)
{
	static struct calculator calc = { .lock = PTHREAD_MUTEX_INITIALIZER,
					  .changed = PTHREAD_COND_INITIALIZER };
	const per_config config = {
		.port = argc > 1 ? (uint16_t)atoi(argv[1]) : 3000,
		.handler = { .on_request = on_request, .user = &calc },
		.handle_signals = true,
	};
	pthread_t thread;
	int err = per_server_new(&calc.server, &config);
	if (err == 0 && pthread_create(&thread, NULL, calculate, &calc) != 0)
		err = PER_ESYS;
	else if (err == 0) {
		printf("listening on %s\n", per_server_address(calc.server, 0));
		err = per_server_run(calc.server);
		pthread_mutex_lock(&calc.lock);
		calc.is_stopping = true;
		pthread_cond_signal(&calc.changed);
		pthread_mutex_unlock(&calc.lock);
		pthread_join(thread, NULL); /* before per_server_free(): it may still call per_post() */
	}
	per_server_free(calc.server);
	if (err != 0)
		fprintf(stderr, "deferred: %s\n", per_strerror(err));
	return err != 0;
}
