/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/netns.h - a host for networks: a network namespace, directories, a daemon's networks
 *
 * For tests that run as root; netns_enter() returns whether this one does. What a failed test leaves behind is
 * removed with the namespaces, and files in teardown.
 */
#ifndef TESTS_UNIT_NETNS_H
#define TESTS_UNIT_NETNS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "supervisor/host/uids.h"
#include "supervisor/network/private.h"
#include "tests/unit/guest.h"
#include "tests/unit/slow.h"

struct world {
	struct loop loop;
	char dir[32];
	char *config, *state, *run;
	struct networks *ns;
	unsigned changes;
	bool answered;
	struct err answer;
};

static struct world w;

static inline void on_patience(struct ev_loop *ev, ev_timer *t, int revents)
{
	(void)t, (void)revents;
	ev_break(ev, EVBREAK_ALL);
}

/* Runs the loop until *flag is set, or until it takes too long. */
static inline bool run_until(const bool *flag)
{
	ev_timer patience;

	ev_timer_init(&patience, on_patience, stretched(5), 0);
	ev_timer_start(w.loop.ev, &patience);
	while (!*flag && ev_is_active(&patience))
		ev_run(w.loop.ev, EVRUN_ONCE);
	ev_timer_stop(w.loop.ev, &patience);
	return *flag;
}

static inline void on_done(void *data, const struct err *e)
{
	(void)data;
	w.answered = true;
	err_clear(&w.answer);
	err_copy(&w.answer, e);
}

static inline void on_change(void *data, const char *network, enum networks_change change)
{
	(void)data, (void)network, (void)change;
	w.changes++;
}

static inline int up(const char *network)
{
	w.answered = false;
	networks_need(w.ns, network, on_done, NULL);
	assert_true(run_until(&w.answered));
	return w.answer.number;
}

static inline int stop(const char *network, bool force)
{
	w.answered = false;
	networks_stop(w.ns, network, force, on_done, NULL);
	assert_true(run_until(&w.answered));
	return w.answer.number;
}

static inline struct network *net(const char *name)
{
	struct network *n = networks_find(w.ns, name);

	assert_non_null(n);
	return n;
}

static inline int sh(const char *command)
{
	const int r = system(command);

	return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

static inline void daemon_starts(void)
{
	static struct uids uids;
	static char jail[PATH_MAX + 16] = "";
	const struct networks_dirs dirs = {
		.config = w.config, .state = w.state, .run = w.run, .jail = jail, .uids = &uids
	};

	/* BUILD/tests/unit/THIS; /proc/self/exe shows another path in a chroot with our own
	 * mounts */
	assert_non_null(realpath(program_invocation_name, jail));
	for (int up = 0; up < 3; up++)
		*strrchr(jail, '/') = '\0';
	strcat(jail, "/vmkeep-jail");

	uids_of_block(&uids, 0);
	w.ns = networks_new(w.loop.ev, &dirs);
	networks_on_change(w.ns, on_change, NULL);
}

static inline void write_conf(const char *file, const char *text)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", w.config, file);

	assert_int_equal(file_replace(AT_FDCWD, path, 0644, text, strlen(text), false, NULL), 0);
}

static inline int setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	sh("sysctl -qw net.ipv4.ip_forward=0");
	snprintf(w.dir, sizeof w.dir, "/tmp/vmkeep-netXXXXXX");
	if (!mkdtemp(w.dir) || chmod(w.dir, 0755) < 0)
		return -1;
	w.config = xasprintf("%s/etc", w.dir);
	w.state = xasprintf("%s/lib", w.dir);
	w.run = xasprintf("%s/run", w.dir);
	if (mkdir(w.config, 0755) < 0 || mkdir(w.state, 0700) < 0 || mkdir(w.run, 0755) < 0 ||
		loop_init(&w.loop) < 0)
		return -1;
	daemon_starts();
	return 0;
}

/* Removes what a failed test left, for the next one. */
static inline int teardown(void **state)
{
	(void)state;
	for (struct network *n = w.ns->list; n; n = n->next)
		if (n->state != NETWORK_DOWN && n->dnsmasq.pid)
			kill(n->dnsmasq.pid, SIGKILL);
	sh("for i in virbr0 virbr1 br9; do ip link del $i 2>/dev/null; done; nft flush ruleset");
	networks_free(w.ns);
	loop_release(&w.loop);
	file_remove_tree(AT_FDCWD, w.dir, NULL);
	free(w.config);
	free(w.state);
	free(w.run);
	return 0;
}

struct machine {
	struct guest guest;
	struct network_nic nic;
	struct tap tap;
};

/* Claims an address, creates the tap and joins, as a VM does at its start. */
static inline void machine_up(struct machine *m, const char *vm, uint8_t last)
{
	struct err e = ERR_INIT;
	uint32_t address;

	m->nic = (struct network_nic){
		.vm = vm, .nic = "lan", .network = "default", .hostname = vm
	};
	memcpy(m->nic.mac, (const uint8_t[]){ 0x52, 0x54, 0, 1, 2, last }, ETH_ALEN);
	m->nic.link = true;
	if (networks_claim(w.ns, &m->nic, &address, &e) < 0 ||
		networks_tap(w.ns, &m->nic, &m->tap, &m->guest.fd, &e) < 0)
		fail_msg("%s", e.text);
	m->nic.address = address;
	if (networks_join(w.ns, &m->nic, &m->tap, &e) < 0)
		fail_msg("%s", e.text);
	memcpy(m->guest.mac, m->nic.mac, ETH_ALEN);
}

static inline void machine_down(struct machine *m)
{
	close_fd(&m->guest.fd);
	networks_leave(w.ns, m->nic.vm, m->nic.nic, &m->tap);
}

static inline char ip_forward(void)
{
	_cleanup_(close_fd) int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDONLY | O_CLOEXEC);
	char c = 0;

	assert_int_equal(read(fd, &c, 1), 1);
	return c;
}

static inline void assert_nothing_left(void)
{
	_cleanup_(free_ptr) char *files = xasprintf("test -z \"$(ls %s/networks)\"", w.run);

	assert_int_not_equal(sh("ip link show virbr0 2>/dev/null"), 0);
	assert_int_equal(sh("test -z \"$(nft list tables)\""), 0);
	assert_int_equal(sh(files), 0);
	assert_int_equal(ip_forward(), '0');
}

static inline double milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* The test becomes process 1 of new namespaces and dies with its parent, as does every dnsmasq.
 * False, with the reason printed, if that is not possible. */
static inline bool netns_enter(void)
{
	int status = 0;
	pid_t child;

	if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS) < 0) {
		print_message("skipped: needs root for namespaces of its own\n");
		return false;
	}
	child = fork();
	if (child != 0) {
		waitpid(child, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("proc", "/proc", "proc", 0, NULL) < 0) {
		print_message("skipped: cannot mount /proc\n");
		return false;
	}
	sh("ip link set lo up");
	log_open(LOG_INFO_);
	return true;
}

#endif
