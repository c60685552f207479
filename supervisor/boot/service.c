/* SPDX-License-Identifier: MIT */
#include "supervisor/boot/service.h"

#include "base/text.h"
#include "supervisor/vm/vms.h"

enum { LISTEN_FIRST = 3 };
#define STATUS_DELAY 0.2 /* seconds: state changes come in bursts */

struct service {
	struct daemon *daemon;
	struct vm_observer observer;
	ev_timer watchdog;	  /* half of $WATCHDOG_USEC, if that is set for this process */
	struct loop_timer status; /* shortly after a change */
	char told[128];
};

static bool service_is_for_us(const char *variable)
{
	const char *pid = getenv(variable);

	return pid && atoi(pid) == (int)getpid();
}

int service_listen_fd(void)
{
	const char *n = getenv("LISTEN_FDS");
	bool ours = n && streq(n, "1") && service_is_for_us("LISTEN_PID");

	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return ours ? LISTEN_FIRST : 0;
}

static void service_on_watchdog(struct ev_loop *ev, ev_timer *w, int revents)
{
	daemon_notify("WATCHDOG=1");
}

static void service_on_status(void *data)
{
	struct service *s = data;
	const struct vms *vms = s->daemon->vms;
	unsigned n[VM_STATES] = { 0 }, listed = 0;
	char text[sizeof s->told];
	int len = snprintf(text, sizeof text, "STATUS=");

	for (size_t i = 0; i < vms->n; i++)
		n[vms->vm[i]->st.state]++;
	/* adjacent states may have the same name */
	for (int state = VM_STATES - 1; state >= 0; state--) {
		const char *name = vm_state_name((enum vm_state)state);

		if (state > 0 && streq(name, vm_state_name((enum vm_state)(state - 1)))) {
			n[state - 1] += n[state];
			continue;
		}
		if (n[state] && len < (int)sizeof text)
			len += snprintf(text + len, sizeof text - (size_t)len, "%s%u %s",
				listed++ ? ", " : "", n[state], name);
	}
	if (!listed)
		snprintf(text, sizeof text, "STATUS=no VMs");
	if (streq(text, s->told))
		return;
	memcpy(s->told, text, sizeof s->told);
	daemon_notify(text);
}

static void service_state(void *data, struct vm *vm)
{
	struct service *s = data;

	if (!loop_timer_is_active(&s->status) && getenv("NOTIFY_SOCKET"))
		loop_timer_start(&s->status, STATUS_DELAY);
}

void service_lives(const struct service *s)
{
	if (s && s->watchdog.repeat > 0)
		daemon_notify("WATCHDOG=1");
}

struct service *service_new(struct daemon *d)
{
	struct service *s = xcalloc(1, sizeof *s);
	const char *usec = getenv("WATCHDOG_USEC");
	uint64_t us = 0;

	s->daemon = d;
	ev_timer_init(&s->watchdog, service_on_watchdog, 0, 0);
	loop_timer_init(&s->status, d->loop.ev, service_on_status, s);
	s->watchdog.data = s;
	if (usec && (!getenv("WATCHDOG_PID") || service_is_for_us("WATCHDOG_PID")) &&
		text_parse_uint(usec, 1, UINT64_MAX / 2, &us) == 0) {
		s->watchdog.repeat = (double)us / 2e6;
		ev_timer_again(d->loop.ev, &s->watchdog);
		service_lives(s); /* the manager has counted since our predecessor's last one */
	}
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	s->observer = (struct vm_observer){ .state = service_state, .data = s };
	vms_observe(d->vms, &s->observer);
	service_state(s, NULL);
	return s;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	vms_unobserve(s->daemon->vms, &s->observer);
	ev_timer_stop(s->daemon->loop.ev, &s->watchdog);
	loop_timer_stop(&s->status);
	free(s);
}

void service_hand_over(const struct service *s)
{
	char usec[32];

	if (s->watchdog.repeat <= 0)
		return;
	service_lives(s);
	snprintf(usec, sizeof usec, "%.0f", s->watchdog.repeat * 2e6);
	setenv("WATCHDOG_USEC", usec, 1);
}
