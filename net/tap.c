/* SPDX-License-Identifier: MIT */
#include "net/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "base/mem.h"
#include "net/rtnl.h"

int tap_open(struct rtnl *r, const char *alias, char name[IFNAMSIZ], struct err *e)
{
	_cleanup_(close_fd) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq req = { .ifr_name = "vk%d" };
	int code, index;

	if (fd < 0) {
		code = err_errno(e, "open '/dev/net/tun'");
		err_hint(e, "is the kernel module there? modprobe tun");
		return code;
	}
	req.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &req) < 0)
		return err_errno(e, "make a tap");
	memcpy(name, req.ifr_name, IFNAMSIZ);
	index = (int)if_nametoindex(name);
	if (!index)
		return err_errno(e, "look up tap '%s'", name);
	code = rtnl_alias(r, index, alias, e);
	if (code == 0)
		code = rtnl_no_addrgen(r, index, e);
	if (code < 0)
		return err_wrap(e, code, "tap '%s'", name);
	return steal_fd(&fd);
}

void tap_mac(uint8_t tap[ETH_ALEN], const uint8_t guest[ETH_ALEN])
{
	memcpy(tap, guest, ETH_ALEN);
	tap[0] = 0xfe;
}
