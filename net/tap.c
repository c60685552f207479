/* SPDX-License-Identifier: MIT */
#include "net/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/file.h"
#include "base/mem.h"
#include "net/rtnl.h"

enum { FDINFO_MAX = 65536 };

void tap_sysctl(const char *link, const char *family, const char *key, const char *value)
{
	_cleanup_(free_ptr) char *path =
		xasprintf("/proc/sys/net/%s/conf/%s/%s", family, link, key);
	_cleanup_(close_fd) int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && write(fd, value, strlen(value)) < 0)
		return;
}

void tap_quiet(const struct tap *t)
{
	tap_sysctl(t->name, "ipv6", "disable_ipv6", "1");
	/* no ARP reply for any address of the host */
	tap_sysctl(t->name, "ipv4", "arp_ignore", "8");
}

static int tap_device(struct err *e)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	err_errno(e, "open '/dev/net/tun'");
	return err_hint(e, "is the kernel module there? modprobe tun");
}

int tap_possible(struct err *e)
{
	int fd = tap_device(e);

	return fd < 0 ? fd : close(fd);
}

int tap_open(struct rtnl *r, const char *alias, struct tap *t, struct err *e)
{
	_cleanup_(close_fd) int fd = tap_device(e);
	struct ifreq req = { .ifr_name = "vk%d" };
	int code;

	*t = (struct tap){ 0 };
	if (fd < 0)
		return fd;
	req.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &req) < 0)
		return err_errno(e, "make a tap");
	memcpy(t->name, req.ifr_name, IFNAMSIZ);
	t->index = (int)if_nametoindex(t->name);
	if (!t->index)
		return err_errno(e, "look up tap '%s'", t->name);
	code = rtnl_alias(r, t->index, alias, e);
	if (code == 0)
		code = rtnl_no_addrgen(r, t->index, e);
	if (code < 0)
		return err_wrap(e, code, "tap '%s'", t->name);
	tap_quiet(t);
	return steal_fd(&fd);
}

static bool tap_is(const struct net_link *l, const char *alias)
{
	return l->index && streq(l->kind, "tun") && streq(l->alias, alias);
}

void tap_find(struct rtnl *r, const char *alias, struct tap *t)
{
	struct net_link l;

	if (!t->index && t->name[0] && rtnl_link(r, t->name, &l, NULL) == 0 && tap_is(&l, alias))
		t->index = l.index;
}

void tap_held(pid_t pid, void (*with)(void *data, const char *name), void *data)
{
	_cleanup_(free_ptr) char *path = xasprintf("/proc/%d/fdinfo", (int)pid);
	_cleanup_(close_dir) DIR *dir = opendir(path);

	for (const struct dirent *d; dir && (d = readdir(dir));) {
		_cleanup_(buf_release) struct buf text = BUF_MAX(FDINFO_MAX);
		const char *at = NULL;
		char name[IFNAMSIZ];

		if (d->d_name[0] != '.' && file_read(dirfd(dir), d->d_name, &text, NULL) == 0 &&
			text.data)
			at = strstr(text.data, "\niff:\t");
		if (at && sscanf(at, "\niff:\t%15s", name) == 1)
			with(data, name);
	}
}

int tap_remove(struct rtnl *r, const char *alias, const struct tap *t, struct err *e)
{
	struct net_link l = { 0 };
	int code = 0;

	if (t->index)
		code = rtnl_link_at(r, t->index, &l, e);
	else if (t->name[0])
		code = rtnl_link(r, t->name, &l, e);
	if (code < 0 || !tap_is(&l, alias) || (!t->index && !tap_is_left(&l)))
		return code;
	code = rtnl_delete(r, l.index, e);
	return code < 0 ? err_wrap(e, code, "tap '%s'", l.name) : 1;
}

bool tap_is_left(const struct net_link *l)
{
	return streq(l->kind, "tun") && strncmp(l->alias, "vmkeep:", 7) == 0 && !l->carrier;
}

void tap_mac(uint8_t tap[ETH_ALEN], const uint8_t guest[ETH_ALEN])
{
	memcpy(tap, guest, ETH_ALEN);
	tap[0] = 0xfe;
}
