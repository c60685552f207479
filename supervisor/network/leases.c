/* SPDX-License-Identifier: MIT */
/* The leases that dnsmasq gave. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "net/dhcp.h"
#include "supervisor/network/files.h"
#include "supervisor/network/private.h"

static int leases_compare(const void *a, const void *b)
{
	const struct dnsmasq_lease *x = a, *y = b;

	return memcmp(x->mac, y->mac, ETH_ALEN);
}

/* Ignores leases in another subnet, left from before Address= changed, or edited in by hand. */
static size_t leases_of_subnet(const struct network *n, struct dnsmasq_lease *l, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; l && i < count; i++)
		if (network_has(n, l[i].address))
			l[kept++] = l[i];
	return kept;
}

void leases_read(struct network *n)
{
	_cleanup_(buf_release) struct buf b = BUF_MAX(DNSMASQ_LEASES_BYTES);
	struct err e = ERR_INIT;

	free(n->lease);
	n->lease = NULL;
	n->leases = 0;
	if (file_read(AT_FDCWD, n->lease_file, &b, &e) < 0 && e.class != ERR_NOT_FOUND)
		log_warning(NULL, "network %s: %s", n->name, e.text);
	if (b.data)
		n->leases = leases_of_subnet(n, n->lease, dnsmasq_leases(b.data, b.len, &n->lease));
	if (n->leases)
		qsort(n->lease, n->leases, sizeof *n->lease, leases_compare);
}

/* ---- their location ---- */

/* The only file that dnsmasq writes: created before it starts, with dnsmasq as owner. */
static int leases_own_file(const char *path, uid_t uid, bool *wrong, struct err *e)
{
	_cleanup_(close_fd) int fd =
		open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;

	*wrong = fd < 0 && (errno == EISDIR || errno == ELOOP || errno == ENXIO);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "give '%s' to dnsmasq", path);
	*wrong = !S_ISREG(st.st_mode) || st.st_size > DNSMASQ_LEASES_BYTES;
	if (*wrong)
		return err_set(e, ERR_FAILED, "'%s' is not a lease file", path);
	return fchown(fd, uid, uid) < 0 ? err_errno(e, "give '%s' to dnsmasq", path) : 0;
}

static int leases_own_or_new(const char *path, uid_t uid, struct err *e)
{
	bool wrong;
	int r = leases_own_file(path, uid, &wrong, e);

	if (r < 0 && wrong && network_set_aside(path, "not a lease file")) {
		err_clear(e);
		r = leases_own_file(path, uid, &wrong, e);
	}
	return r;
}

static bool leases_copy(const char *from, const char *to)
{
	_cleanup_(buf_release) struct buf b = BUF_MAX(DNSMASQ_LEASES_BYTES);

	return file_read(AT_FDCWD, from, &b, NULL) == 0 &&
	       network_put(to, 0600, b.data ? b.data : "", b.len, NULL) == 0;
}

/* A read-only or broken disk must not keep guests from their network: RUN is the fallback. */
int leases_place(struct network *n, struct err *e)
{
	const bool was_run = access(n->leases_run, F_OK) == 0;
	struct err mine = ERR_INIT;

	free(n->leases_problem);
	n->leases_problem = NULL;
	if (leases_own_or_new(n->leases_state, n->uid, &mine) == 0) {
		if (was_run && leases_copy(n->leases_run, n->leases_state) &&
			leases_own_or_new(n->leases_state, n->uid, &mine) == 0)
			unlink(n->leases_run);
		n->lease_file = n->dnsmasq.lease_file = n->leases_state;
		return 0;
	}
	if (!was_run)
		leases_copy(n->leases_state, n->leases_run);
	n->lease_file = n->dnsmasq.lease_file = n->leases_run;
	if (leases_own_or_new(n->leases_run, n->uid, e) < 0)
		return err_class(e, ERR_FAILED);
	log_warning(NULL, "network %s: leases are kept only until the host reboots: %s", n->name,
		mine.text);
	n->leases_problem = xasprintf("leases are kept only until the host reboots: %s", mine.text);
	return 0;
}

/* The running dnsmasq has its lease file at the path that it was given, even if the preferred path
 * has changed since. */
bool leases_rescue(struct network *n)
{
	const char *const path[] = { n->leases_state, n->leases_run };
	bool seen = false;

	for (size_t i = 0; i < ARRAY_SIZE(path); i++) {
		_cleanup_(free_ptr) char *theirs =
			xasprintf("/proc/%d/root%s", (int)n->dnsmasq.pid, path[i]);

		if (access(theirs, F_OK) < 0)
			continue;
		n->lease_file = path[i];
		seen = dnsmasq_sees(&n->dnsmasq, path[i]);
		if (!seen)
			leases_copy(theirs, path[i]);
	}
	return !seen;
}

/* ---- their end ---- */

/* No dnsmasq runs: the next one reads the file. */
static int leases_strike(const struct network *n, const uint8_t mac[ETH_ALEN], struct err *e)
{
	_cleanup_(buf_release) struct buf old = BUF_MAX(DNSMASQ_LEASES_BYTES), left = BUF_INIT;
	int r = file_read(AT_FDCWD, n->lease_file, &old, e);

	if (r < 0)
		return r;
	for (const char *line = old.data, *end = line + old.len, *next; line < end; line = next) {
		_cleanup_(free_ptr) struct dnsmasq_lease *l = NULL;

		next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next + 1 : end;
		if (dnsmasq_leases(line, (size_t)(next - line), &l) == 0 ||
			memcmp(l->mac, mac, ETH_ALEN) != 0)
			buf_add(&left, line, (size_t)(next - line));
	}
	return network_put(n->lease_file, 0600, left.data ? left.data : "", left.len, e);
}

/* A dnsmasq that is starting or stopping, which takes 20 ms, is left alone: the lease expires. */
void leases_end(struct network *n, const uint8_t mac[ETH_ALEN])
{
	const struct dnsmasq_lease *l;
	struct err e = ERR_INIT;
	int r = 0;

	leases_read(n);
	l = leases_by_mac(n, mac);
	if (!l)
		return;
	if (n->dnsmasq.state == DNSMASQ_UP)
		r = dhcp_release(
			n->plan.choice.bridge, n->plan.choice.address, mac, l->address, &e);
	else if (n->dnsmasq.pidfd < 0)
		r = leases_strike(n, mac, &e);
	if (r < 0)
		log_warning(
			NULL, "network %s: a lease stays until it expires: %s", n->name, e.text);
	else if (n->dnsmasq.state != DNSMASQ_UP)
		leases_read(n);
}

/* ---- lookup ---- */

const struct dnsmasq_lease *leases_by_mac(const struct network *n, const uint8_t mac[ETH_ALEN])
{
	struct dnsmasq_lease key = { 0 };

	if (!n->leases)
		return NULL;
	memcpy(key.mac, mac, ETH_ALEN);
	return bsearch(&key, n->lease, n->leases, sizeof key, leases_compare);
}

const struct dnsmasq_lease *leases_by_address(const struct network *n, uint32_t address)
{
	for (size_t i = 0; i < n->leases; i++)
		if (n->lease[i].address == address)
			return &n->lease[i];
	return NULL;
}

/* A lease from a previous run of the guest does not prove that this run has asked for it. dnsmasq
 * removes expired leases itself, by its own clock. */
bool claim_seen(const struct claim *c, const struct dnsmasq_lease *l)
{
	if (!c->attached || !l)
		return false;
	return l->expires == 0 || l->expires != c->expires_before;
}
