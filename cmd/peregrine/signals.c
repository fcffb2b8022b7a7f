/* SPDX-License-Identifier: MIT */
/*
 * signals.c - the thread that waits for signals (sigwait(3)), so that no code of the program runs inside of
 * a handler. It also gives systemd's watchdog its signs of life, between two signals.
 */
#include "signals.h"

#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static void set_fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

void signals_block(void)
{
	sigset_t set;

	set_fill(&set);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* a terminal that went away is no reason to end */
}

/* The next signal; 0: it is time for a sign of life. */
static int signal_wait(const struct signals *signals, const sigset_t *set)
{
	int number = 0;

#ifdef __linux__
	if (signals->watchdog_ms > 0) {
		const uint64_t half_ms = signals->watchdog_ms / 2;
		const struct timespec pause = { .tv_sec = (time_t)(half_ms / 1000),
						.tv_nsec = (long)(half_ms % 1000) * 1000000 };

		number = sigtimedwait(set, NULL, &pause);
		return number > 0 ? number : 0;
	}
#else
	(void)signals;
#endif
	while (sigwait(set, &number) == EINTR)
		continue;
	return number;
}

/* Is there a terminal that this process belongs to? */
static bool terminal_is_there(void)
{
	const int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Somebody wants a reload; or the terminal has gone, and with it whoever started the program. */
static void hang_up(const struct signals *signals)
{
	if (signals->has_terminal && !terminal_is_there())
		program_stop(signals->program);
	else
		program_reload(signals->program);
}

static void *run(void *arg)
{
	struct signals *signals = arg;
	sigset_t set;

	set_fill(&set);
	for (;;) {
		const int number = signal_wait(signals, &set);

		if (atomic_load(&signals->is_over))
			return NULL;
		if (number == SIGHUP)
			hang_up(signals);
		else if (number == SIGUSR1)
			program_reopen(signals->program);
		else if (number == SIGTERM || number == SIGINT)
			program_stop(signals->program);
		else
			program_watch(signals->program);
	}
}

bool signals_start(struct signals *signals, struct program *program)
{
	signals->program = program;
	signals->watchdog_ms = program->notify.watchdog_ms;
	signals->has_terminal = terminal_is_there();
	signals->is_running = pthread_create(&signals->thread, NULL, run, signals) == 0;
	return signals->is_running;
}

void signals_end(struct signals *signals)
{
	if (!signals->is_running)
		return;
	atomic_store(&signals->is_over, true);
	(void)pthread_kill(signals->thread, SIGUSR1);
	(void)pthread_join(signals->thread, NULL);
	signals->is_running = false;
}
