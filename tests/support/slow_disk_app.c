/* SPDX-License-Identifier: MIT */
/*
 * slow_disk_app.c - runs a program with a disk that answers when it is told to, by a seccomp filter whose
 * listener is a child process. Usage: slow_disk_app FD PROGRAM ARGUMENTS... From the stream socket FD comes
 * 'c': reads that must not wait say EAGAIN from now on, others and directories are held, and 'h' is written
 * for each; 'w': what is held goes on, and nothing is held any more. Each is written back when it is done.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HELD_MAX 64
#define NOWAIT 0x8u /* RWF_NOWAIT */

#define HOLD(call) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)

static struct disk {
	int listener, control;
	int is_cold;
	unsigned held_cnt;
	uint64_t held[HELD_MAX];
} disk;

static void answer(uint64_t id, int error)
{
	struct seccomp_notif_resp resp = { .id = id, .error = -error };

	if (error == 0)
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	(void)ioctl(disk.listener, SECCOMP_IOCTL_NOTIF_SEND, &resp); /* ENOENT: who asked has ended */
}

static void let_go(void)
{
	for (unsigned i = 0; i < disk.held_cnt; i++)
		answer(disk.held[i], 0);
	disk.held_cnt = 0;
	disk.is_cold = 0;
}

static void call_came(void)
{
	struct seccomp_notif call = { 0 };

	if (ioctl(disk.listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
		return;
	if (!disk.is_cold) {
		answer(call.id, 0);
	} else if (call.data.nr == SYS_preadv2 && (call.data.args[5] & NOWAIT) != 0) {
		answer(call.id, EAGAIN);
	} else if (disk.held_cnt < HELD_MAX) {
		disk.held[disk.held_cnt++] = call.id;
		if (write(disk.control, "h", 1) != 1)
			let_go();
	} else {
		answer(call.id, EIO);
	}
}

/* Returns 0 when nobody is there any more to say something. */
static int word_came(void)
{
	char word = 'w';
	ssize_t n = read(disk.control, &word, 1);

	if (n < 0 && errno == EINTR)
		return 1;
	if (n <= 0 || word == 'w')
		let_go();
	else
		disk.is_cold = 1;
	return n > 0 && write(disk.control, &word, 1) == 1;
}

static void disk_main(void)
{
	struct pollfd fds[2] = { { .fd = disk.listener, .events = POLLIN },
				 { .fd = disk.control, .events = POLLIN } };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (int fd = 0; fd <= 2; fd++)
		close(fd); /* who reads what the program says waits for its end */
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if ((fds[0].revents & POLLIN) != 0)
			call_came();
		if (fds[1].revents != 0 && !word_came())
			fds[1].fd = -1;
	}
	_exit(0);
}

static int listener_make(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		HOLD(SYS_preadv2),
		HOLD(SYS_preadv),
		HOLD(SYS_pread64),
		HOLD(SYS_getdents64),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

int main(int argc, char **argv)
{
	pid_t child;

	if (argc < 3)
		return 2;
	disk.control = atoi(argv[1]);
	disk.listener = listener_make();
	if (disk.listener < 0) {
		perror("slow_disk_app: seccomp");
		return 77;
	}
	child = fork(); /* it makes none of the calls that are held */
	if (child == 0)
		disk_main();
	close(disk.listener);
	close(disk.control);
	if (child < 0)
		return 77;
	execv(argv[2], argv + 2);
	perror("slow_disk_app: exec");
	return 2;
}
