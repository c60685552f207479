/* SPDX-License-Identifier: MIT */
/*
 * No golden contains a command line that QEMU refuses: each is run with the real QEMU, with empty
 * files where it needs files and TCG for KVM, and must reach a monitor that answers. And the output
 * of `cmdline` boots a guest when pasted into a shell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/child.h"
#include "tests/unit/golden.h"
#include "tests/unit/slow.h"

#define PATIENCE_MS stretched_ms(30)

enum { EXIT_STATUS = 33 };

static char dir[] = "/tmp/vmkeep-qemu-XXXXXX";
static bool have_taps;

static char *below(const char *path)
{
	return xasprintf("%s%s", dir, path);
}

static int tap_open(const char *name)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	snprintf(req.ifr_name, sizeof req.ifr_name, "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &req) < 0)
		close_fd(&fd);
	return fd;
}

/* A private network namespace, so that the host does not see our taps. */
static int setup(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	if (unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNET) == 0 &&
		(fd = tap_open("vk-try")) >= 0) {
		have_taps = true;
		close(fd);
	} else {
		print_message(
			"[  SKIP    ] all NICs: no tap can be made here: %s\n", strerror(errno));
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL);
}

static const char *moved(struct golden *g, const char *path)
{
	return path && path[0] == '/' ? arena_printf(&g->conf.arena, "%s%s", dir, path) : path;
}

/* Replaces every file of the host by one of ours. */
static void move_files(struct golden *g)
{
	struct conf_vm *c = &g->conf;

	for (size_t i = 0; i < c->disks; i++) {
		if (conf_disk_format(&c->disk[i]) == CONF_FORMAT_RAW)
			c->disk[i].format =
				CONF_FORMAT_RAW; /* /dev/x has been replaced by a file */
		c->disk[i].path = moved(g, c->disk[i].path);
		c->disk[i].dir = moved(g, c->disk[i].dir);
		for (size_t j = 0; j < c->disk[i].base.n; j++)
			c->disk[i].base.item[j] = moved(g, c->disk[i].base.item[j]);
	}
	c->kernel = moved(g, c->kernel);
	c->initrd = moved(g, c->initrd);
	if (!streq(c->rng_source, "none"))
		c->rng_source = "/dev/zero";
	if (!have_taps)
		c->nics = 0;
}

static void run(const char *const *argv)
{
	struct err e = ERR_INIT;
	int pidfd, status;
	pid_t pid;

	if (child_spawn(argv, NULL, 0, false, &pid, &pidfd, &e) < 0)
		fail_msg("%s", e.text);
	close(pidfd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The part of a Linux kernel that QEMU checks. */
static void make_kernel(int fd)
{
	static const struct {
		const char *bytes;
		int len;
		off_t at;
	} part[] = { { "HdrS", 4, 0x202 }, { "\x0c\x02", 2, 0x206 },
		{ "\xff\xff\xff\x37", 4, 0x22c } };

	for (size_t i = 0; i < ARRAY_SIZE(part); i++)
		assert_int_equal(
			pwrite(fd, part[i].bytes, (size_t)part[i].len, part[i].at), part[i].len);
}

static void make_file(const struct argv_file *f)
{
	const char *bytes = f->kind == ARGV_FILE_NVRAM ? "540672" : "1M";
	const char *const qcow2[] = { "qemu-img", "create", "-q", "-f", "qcow2", f->path, bytes,
		NULL };
	char *parent = xstrndup(f->path, (size_t)(strrchr(f->path, '/') - f->path));
	int fd;

	assert_int_equal(file_mkdirs(parent, 0755, NULL), 0);
	free(parent);
	if (f->format == CONF_FORMAT_QCOW2 || f->by_name == CONF_FORMAT_QCOW2) {
		run(qcow2);
		return;
	}
	fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	if (f->kind == ARGV_FILE_KERNEL)
		make_kernel(fd);
	close(fd);
}

static bool make_files(struct golden *g)
{
	struct argv_file file[GOLDEN_MAX];
	struct arena a = ARENA_INIT;
	size_t n = argv_files(&g->conf, &g->id, &g->ctx, &a, file, GOLDEN_MAX);
	bool ok = true;

	for (size_t i = 0; i < n; i++)
		if (file[i].kind != ARGV_FILE_FIRMWARE)
			make_file(&file[i]);
		else if (access(file[i].path, R_OK) < 0)
			ok = false;
	arena_release(&a);
	return ok;
}

struct fds {
	struct child_fd fd[64];
	size_t n;
};

static void give(struct fds *f, int fd, int number)
{
	assert_true(fd >= 0);
	f->fd[f->n++] = (struct child_fd){ fd, number };
}

static int listener(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/%s", dir, name);
	unlink(sa.sun_path);
	return bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 4) < 0 ? -1 : fd;
}

static int connected(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/%s", dir, name);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

/* As the daemon and the jail pass them. */
static void give_all(struct golden *g, struct fds *f)
{
	char name[80];
	int out;

	give(f, open("/dev/null", O_RDWR | O_CLOEXEC), 0);
	give(f, open("/dev/null", O_RDWR | O_CLOEXEC), 1);
	snprintf(name, sizeof name, "%s/stderr", dir);
	give(f, open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), 2);
	give(f, listener("qmp"), ARGV_FD_QMP);
	give(f, listener("agent"), ARGV_FD_AGENT);
	if (argv_wants_notify(&g->conf)) {
		snprintf(name, sizeof name, "%s/notify", dir);
		give(f, open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600),
			ARGV_FD_NOTIFY);
	}
	if (conf_vm_wants_seed(&g->conf))
		give(f, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), ARGV_FD_SEED);
	for (size_t i = 0; i < g->conf.serials; i++) {
		snprintf(name, sizeof name, "serial-%zu", i);
		give(f, listener(name), argv_fd_serial(i));
		snprintf(name, sizeof name, "%s/log-%zu", dir, i);
		out = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
		if (g->conf.serial[i].log)
			give(f, out, argv_fd_serial_log(i));
		else
			close_fd(&out);
	}
	for (size_t i = 0; i < g->conf.nics; i++) {
		snprintf(name, sizeof name, "vk-%zu", i);
		give(f, tap_open(name), argv_fd_tap(i));
	}
}

static char *stderr_text(void)
{
	struct buf b = BUF_MAX(1 << 16);
	char *path = below("/stderr");

	file_read(AT_FDCWD, path, &b, NULL);
	free(path);
	return buf_steal(&b);
}

/* Reads until the monitor has sent all of this, or nothing more arrives. */
static bool hears(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct buf b = BUF_MAX(1 << 20);
	char chunk[4096];
	bool found = false;
	ssize_t n;

	while (!found && poll(&p, 1, PATIENCE_MS) > 0 && (n = read(fd, chunk, sizeof chunk)) > 0) {
		buf_add(&b, chunk, (size_t)n);
		found = strstr(b.data, text) != NULL;
	}
	buf_release(&b);
	return found;
}

static void say(int fd, const char *text)
{
	file_write_all(fd, text, strlen(text));
}

static void test_accepted(void **state)
{
	char *images = below("/images"), *nvram = below("/nvram.qcow2");
	struct golden g = { .image_dir = images, .nvram = nvram, .tcg = true, .edit = move_files };
	struct fds fds = { .n = 0 };
	struct err e = ERR_INIT;
	int pidfd, qmp, status;
	bool good;
	pid_t pid;

	golden_load(&g, *state);
	golden_build(&g);
	if (!make_files(&g)) {
		print_message("[  SKIP    ] no UEFI firmware is installed\n");
		golden_release(&g);
		skip();
	}
	if (g.conf.vsock_cid && access("/dev/vhost-vsock", R_OK | W_OK) < 0) {
		print_message("[  SKIP    ] this host has no /dev/vhost-vsock\n");
		golden_release(&g);
		skip();
	}
	give_all(&g, &fds);
	qmp = connected("qmp");
	if (child_spawn(g.argv.word, fds.fd, fds.n, false, &pid, &pidfd, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < fds.n; i++)
		close(fds.fd[i].from);
	good = hears(qmp, "\"QMP\"");
	say(qmp, "{\"execute\": \"qmp_capabilities\"} {\"execute\": \"query-status\"}");
	good = good && hears(qmp, "\"prelaunch\"");
	say(qmp, "{\"execute\": \"quit\"}");
	if (!good)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!good || status != 0)
		fail_msg("status %#x: %s", (unsigned)status, stderr_text());
	close(pidfd);
	close(qmp);
	golden_release(&g);
	free(images);
	free(nvram);
}

/* Pasting */

/* QEMU 9 and later treat it as a power-off, which -no-shutdown would keep from ending QEMU. */
static const char *exit_port[] = { "-device isa-debug-exit,iobase=0xf4,iosize=1",
	"-action shutdown=poweroff" };

/* A guest that prints a word on its serial line and ends QEMU with a given status. */
static void make_bootable(const char *path)
{
	static const uint8_t code[] = {
		0xfa,
		0x31,
		0xc0,
		0x8e,
		0xd8,
		0xfc, /* cli; xor %ax, %ax; mov %ax, %ds; cld */
		0xba,
		0xf8,
		0x03, /* mov $0x3f8, %dx */
		0xbe,
		0x1a,
		0x7c, /* mov $word, %si */
		0xac,
		0x84,
		0xc0,
		0x74,
		0x03, /* 1: lodsb; test %al, %al; jz 2f */
		0xee,
		0xeb,
		0xf8, /* out %al, %dx; jmp 1b */
		0xb0,
		0x10,
		0xe6,
		0xf4, /* 2: mov $0x10, %al; out %al, $0xf4 */
		0xf4,
		0xfd, /* hlt */
		'p',
		'a',
		's',
		't',
		'e',
		'd',
		0,
	};
	static const uint8_t mark[] = { 0x55, 0xaa };
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_int_equal(code[10] | code[11] << 8, 0x7c00 + sizeof code - 7);
	assert_true(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	assert_int_equal(pwrite(fd, code, sizeof code, 0), sizeof code);
	assert_int_equal(pwrite(fd, mark, sizeof mark, 510), sizeof mark);
	close(fd);
}

static void edit_paste(struct golden *g)
{
	struct conf_vm *c = &g->conf;

	move_files(g);
	c->disk[0].path = "it's a, disk.raw";
	c->disk[0].format = CONF_FORMAT_RAW;
	c->args = (struct conf_list){ exit_port, ARRAY_SIZE(exit_port) };
}

static void test_pasted(void **state)
{
	char *images = below("/images"), *disk = below("/images/it's a, disk.raw");
	char *out = below("/stdout");
	struct golden g = { .image_dir = images, .paste = true, .tcg = true, .edit = edit_paste };
	struct buf said = BUF_MAX(4096);
	struct fds fds = { .n = 0 };
	struct err e = ERR_INIT;
	const char *shell[] = { "/bin/sh", "-c", NULL, NULL };
	int pidfd, status;
	char *command;
	pid_t pid;

	golden_load(&g, *state);
	golden_build(&g);
	make_files(&g);
	make_bootable(disk);
	shell[2] = command = argv_paste(&g.argv, &g.conf, &g.id, &g.ctx, false);
	give_all(&(struct golden){ 0 }, &fds);
	close(fds.fd[1].from);
	fds.fd[1].from = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (child_spawn(shell, fds.fd, 3, false, &pid, &pidfd, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < fds.n; i++)
		close(fds.fd[i].from);
	if (poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, PATIENCE_MS) <= 0)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_STATUS)
		fail_msg("status %#x: %s\n%s", (unsigned)status, stderr_text(), command);
	assert_int_equal(file_read(AT_FDCWD, out, &said, &e), 0);
	assert_non_null(strstr(said.data, "pasted"));
	close(pidfd);
	buf_release(&said);
	golden_release(&g);
	free(command);
	free(images);
	free(disk);
	free(out);
}

int main(void)
{
	static char pasted[2][16] = { "minimal", "tutorial" };
	struct CMUnitTest tests[GOLDEN_MAX + ARRAY_SIZE(pasted)];
	char *names[GOLDEN_MAX];
	size_t n = golden_names(names), all = n;
	int r;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ names[i], test_accepted, NULL, NULL, names[i] };
	for (size_t i = 0; i < ARRAY_SIZE(pasted); i++)
		tests[all++] = (struct CMUnitTest){ "pasted", test_pasted, NULL, NULL, pasted[i] };
	r = _cmocka_run_group_tests("real QEMU", tests, all, setup, teardown);
	while (n)
		free(names[--n]);
	return r;
}
