/* SPDX-License-Identifier: MIT */
#include "supervisor/host/port.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

enum { PORT_LISTENS = 0x0a /* TCP_LISTEN in /proc/net/tcp */, PORT_ADDRESS = 33 };

static bool port_has_socket(int proc, const char *pid, const char *wanted)
{
	_cleanup_(free_ptr) char *fds = xasprintf("%s/fd", pid);
	_cleanup_(close_dir) DIR *dir = file_open_dir(proc, fds, 0);
	const struct dirent *d;
	char target[64];

	while (dir && (d = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, target, sizeof target - 1);

		target[n > 0 ? n : 0] = '\0';
		if (streq(target, wanted))
			return true;
	}
	return false;
}

static void port_name_process(int proc, const char *pid, char who[HOST_WHO])
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/comm", pid);
	char comm[32];

	file_peek(proc, path, comm, sizeof comm);
	comm[strcspn(comm, "\n")] = '\0';
	text_clean(comm);
	snprintf(who, HOST_WHO, "%s (pid %.20s)", comm, pid);
}

void host_socket_holder(int root, unsigned long inode, char who[HOST_WHO])
{
	_cleanup_(free_ptr) char *wanted = xasprintf("socket:[%lu]", inode);
	_cleanup_(close_dir) DIR *proc = file_open_dir(root, "proc", 0);
	const struct dirent *p;

	snprintf(who, HOST_WHO, "somebody");
	while (proc && (p = readdir(proc)))
		if (isdigit((unsigned char)p->d_name[0]) &&
			port_has_socket(dirfd(proc), p->d_name, wanted)) {
			port_name_process(dirfd(proc), p->d_name, who);
			return;
		}
}

/* In the kernel's notation: words in host byte order. */
static unsigned port_address(const struct sockaddr *at, char text[PORT_ADDRESS])
{
	const struct sockaddr_in *v4 = (const void *)at;
	const struct sockaddr_in6 *v6 = (const void *)at;
	uint32_t word[4];

	if (at->sa_family == AF_INET) {
		snprintf(text, PORT_ADDRESS, "%08X", v4->sin_addr.s_addr);
		return ntohs(v4->sin_port);
	}
	memcpy(word, &v6->sin6_addr, sizeof word);
	snprintf(text, PORT_ADDRESS, "%08X%08X%08X%08X", word[0], word[1], word[2], word[3]);
	return ntohs(v6->sin6_port);
}

static bool port_is_any(const char *address)
{
	return strspn(address, "0") == strlen(address);
}

unsigned long host_port_inode(
	int root, const char *table, bool listens, const char *address, unsigned port)
{
	int fd = openat(root, table, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_(close_file) FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char line[512], there[PORT_ADDRESS];
	unsigned long inode = 0, found;
	unsigned at, state;

	while (f && !inode && fgets(line, sizeof line, f)) {
		if (sscanf(line, " %*u: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %lu", there, &at,
			    &state, &found) != 4)
			continue; /* the heading */
		/* listening sockets come first; there may be very many connections */
		if (listens && state != PORT_LISTENS)
			break;
		if (at == port &&
			(port_is_any(there) ||
				(address && (streq(there, address) || port_is_any(address)))))
			inode = found;
	}
	return inode;
}

void host_port_holder(const struct sockaddr *at, char who[HOST_WHO])
{
	_cleanup_(close_fd) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char address[PORT_ADDRESS];
	unsigned port = port_address(at, address);
	unsigned long inode = host_port_inode(root, "proc/net/tcp", true, address, port);

	if (!inode)
		inode = host_port_inode(root, "proc/net/tcp6", true, address, port);
	snprintf(who, HOST_WHO, "another program");
	if (inode)
		host_socket_holder(root, inode, who);
}
