/* SPDX-License-Identifier: MIT */
/*
 * vmkeepd: builds the daemon object from the bottom up, reports READY, runs the loop. SIGTERM
 * ends the daemon and leaves guests and networks running; SIGHUP rereads all files.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/control/peer.h"
#include "supervisor/control/keep.h"
#include "supervisor/boot/service.h"
#include "supervisor/control/server.h"
#include "supervisor/verbs/verbs.h"
#include "supervisor/core/hooks.h"
#include "supervisor/core/known_keys.h"
#include "supervisor/core/options.h"
#include "supervisor/core/replace.h"
#include "supervisor/check/preview.h"
#include "supervisor/core/sweeper.h"
#include "supervisor/core/watch.h"
#include "supervisor/host/cgroup.h"
#include "supervisor/qemu/probe.h"
#include "supervisor/host/uids.h"
#include "supervisor/boot/boot.h"
#include "supervisor/guest/health.h"
#include "supervisor/guest/parts.h"
#include "supervisor/make/image.h"
#include "supervisor/make/throwaway.h"
#include "supervisor/make/trash.h"
#include "supervisor/boot/down.h"
#include "supervisor/vm/adopt.h"
#include "supervisor/vm/record.h"
#include "supervisor/vm/renamed.h"
#include "supervisor/vm/revert.h"
#include "supervisor/start/seed.h"
#include "supervisor/start/start.h"
#include "supervisor/vm/vanished.h"

#define FINISH_SECONDS 1.0 /* to reap killed children and flush closed connections */

/* PID:FD:OURS, the last as in struct inherited_socket */
#define LISTENER_ENV "VMKEEP_LISTENER"

/* helpers that were killed but not reaped yet */
#define CHILDREN_ENV "VMKEEP_CHILDREN"

/* where nft, dnsmasq and qemu-img are found, whatever shell started us */
#define PATH_OF_OURS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The path at which an upgrade installs the next version. */
static char *daemon_find_program(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	return n > 0 ? xstrndup(self, (size_t)n) : xstrdup("/usr/sbin/vmkeepd");
}

/* The control socket inherited from our predecessor, which had the same pid, or from the service
 * manager. */
static struct inherited_socket daemon_inherited_listener(void)
{
	const char *text = getenv(LISTENER_ENV);
	int pid = 0, fd = 0, ours = 0, managers = service_listen_fd();
	bool left = text && sscanf(text, "%d:%d:%d", &pid, &fd, &ours) == 3 &&
		    pid == (int)getpid() && fd >= 3;

	unsetenv(LISTENER_ENV);
	return left ? (struct inherited_socket){ fd, ours != 0 }
		    : (struct inherited_socket){ managers, false };
}

/* Next to this program in a build tree, otherwise where it is installed. */
static char *daemon_find_jail(const char *program)
{
	char *jail = xasprintf("%.*s/vmkeep-jail", (int)(strrchr(program, '/') - program), program);

	if (access(jail, X_OK) == 0)
		return jail;
	free(jail);
	return xstrdup(VMKEEP_LIBEXECDIR "/vmkeep-jail");
}

static int daemon_make_image_dir(struct daemon *d, struct err *e)
{
	free(d->image_dir);
	d->image_dir = d->conf.image_dir ? xstrdup(d->conf.image_dir)
					 : xasprintf("%s/images", d->dirs.state);
	return d->conf.image_dir ? 0 : file_mkdir_private(d->dirs.state_fd, "images", e);
}

/* What makes something new, such as a clone, is theirs who began it; all else belongs to the owner that
 * the VM has now. */
static bool daemon_owns_job(void *data, const struct request *r, json_int_t number)
{
	const struct job *j = job_find(data, number);
	const struct api_verb *v = j ? api_verb_by_execute(j->verb) : NULL;

	if (v && v->role == API_ROLE_CREATE && j->account &&
		j->account->uid == request_peer(r)->uid)
		return true;
	return j && j->vm[0] && verbs_owns(data, r, j->vm);
}

static unsigned daemon_jobs_of(void *data, const struct request *r, const char *vm)
{
	const struct api_verb *v = request_verb(r);
	unsigned n;

	if ((v->traits & API_SHARED) && job_running(data, v->execute, vm, &n))
		return 0;
	job_running(data, NULL, vm, &n);
	return n;
}

static void daemon_network_changed(void *data, const char *network, enum networks_change change)
{
	struct daemon *d = data;

	if (change != NETWORKS_LEASE) {
		daemon_event(d, "NETWORK_STATE",
			json_pack("{s:s, s:s}", "name", network, "state",
				change == NETWORKS_UP ? "up" : "down"));
		return;
	}

	if (d->vms)
		vms_leased(d->vms);
	boot_kick(d);
	daemon_event(d, "NETWORK_LEASE", json_pack("{s:s}", "name", network));
}

static void daemon_emit(struct daemon *d, const char *name, json_t *data)
{
	if (d->server)
		server_event(d->server, name, data);
	else
		json_decref(data);
}

static void daemon_on_lost(void *data, double seconds)
{
	struct daemon *d = data;

	log_info(NULL,
		"the daemon was not running for %.0f s, which do not count toward any timeout",
		seconds);
	service_lives(d->service);
	if (d->vms)
		vms_lost(d->vms);
}

static void daemon_run_lost(struct daemon *d, bool networks_lost)
{
	if (networks_lost)
		networks_repair(d->networks, NULL);
	vms_record_again(d->vms);
}

static void daemon_kept_lost(struct daemon *d)
{
	vms_revert_again(d->vms);
}

static const struct keep_calls keep_calls = { .run = daemon_run_lost, .kept = daemon_kept_lost };

static int daemon_listen_for_clients(struct daemon *d, struct err *e)
{
	struct server_options o = { .run = verbs_run,
		.inherited = daemon_inherited_listener(),
		.clients_max = (unsigned)d->conf.max_clients,
		.clients_per_user_max = (unsigned)d->conf.max_clients_per_user,
		.owns = verbs_owns,
		.owns_job = daemon_owns_job,
		.jobs = daemon_jobs_of,
		.accounts = &d->accounts,
		.data = d };
	_cleanup_(free_ptr) char *path = xasprintf("%s/control.sock", d->dirs.run);

	o.path = path;
	d->server = server_new(d->loop.ev, &o, e);
	if (!d->server)
		return e->number;
	d->keep = keep_new(d, &keep_calls);
	return 0;
}

static int daemon_build(struct daemon *d, struct err *e)
{
	struct conf_problems problems = { 0 };
	struct networks_dirs dirs = { .config = d->dirs.config,
		.state = d->dirs.state,
		.run = d->dirs.run,
		.keep = keep_unwatched,
		.keep_data = d };
	int r;

	d->program = daemon_find_program();
	d->jail = daemon_find_jail(d->program);
	child_inherit(d->loop.ev, getenv(CHILDREN_ENV));
	unsetenv(CHILDREN_ENV);
	r = daemon_make_image_dir(d, e);
	if (r < 0)
		return r;
	known_keys_leave(d->dirs.state_fd);
	d->newer_keys = known_keys_read(d->dirs.state_fd);
	d->uids = uids_new(UIDS_CLAIMS, d->dirs.state_fd, d->dirs.state, e);
	if (!d->uids)
		return e->number;
	d->sweeper = sweeper_new(d, e);
	if (!d->sweeper)
		return e->number;
	d->hooks = hooks_new(d);
	d->watches = watches_new(d->loop.ev);
	d->cgroups = xcalloc(1, sizeof *d->cgroups);
	cgroups_find(d->cgroups, d->loop.ev, d->dirs.run, "/proc/self/mounts",
		access("/run/systemd/system", F_OK) == 0);
	d->probes = probes_new(d->loop.ev, d->dirs.state_fd, d->jail, d->dirs.run, d->uids);
	dirs.jail = d->jail;
	dirs.uids = d->uids;
	d->networks = networks_new(d->loop.ev, &dirs);
	networks_on_change(d->networks, daemon_network_changed, d);
	networks_reload(d->networks, &problems);
	r = networks_adopt(d->networks, e);
	if (r < 0)
		return r;
	d->actions = vm_actions;
	d->parts = guest_parts;
	d->n_parts = guest_parts_n;
	d->vms = vms_new(d);
	d->health = health_new(d->vms);
	vms_reload(d->vms, &problems);
	boot_check(d->vms, &problems);
	if (problems.count + problems.warnings)
		log_warning(NULL, "problems in the configuration: %zu; vmkeep check shows them",
			problems.count + problems.warnings);
	conf_problems_release(&problems);
	vms_adopt(d->vms);
	throwaways_end(d);
	vms_claim_vanished(d->vms);
	verbs_take_up(d);
	networks_sweep(d->networks);
	d->trash = trash_pruner_new(d);
	d->service = service_new(d);
	d->emit = daemon_emit;
	d->loop.on_lost = daemon_on_lost;
	d->loop.data = d;
	return 0;
}

static void daemon_unbuild(struct daemon *d)
{
	d->emit = NULL;
	d->loop.on_lost = NULL;
	service_free(d->service);
	boot_end(d);
	keep_free(d->keep);
	server_free(d->server);
	trash_pruner_free(d->trash);
	health_free(d->health);
	vms_clear(d->vms);
	hooks_free(d->hooks);
	networks_free(d->networks);
	probes_free(d->probes);
	watches_free(d->watches);
	loop_finish(&d->loop, FINISH_SECONDS);
	sweeper_free(d->sweeper);
	vms_free(d->vms);
	if (d->cgroups)
		cgroups_release(d->cgroups);
	free(d->cgroups);
	uids_free(d->uids);
	jobs_release(&d->jobs);
	daemon_release(d);
}

static void daemon_on_term(struct ev_loop *ev, ev_signal *w, int revents)
{
	log_info(NULL, "stopping; guests and networks keep running");
	daemon_notify("STOPPING=1");
	ev_break(ev, EVBREAK_ALL);
}

static void daemon_notify_reloading(void)
{
	char text[96];

	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%.0f", clock_awake() * 1e6);
	daemon_notify(text);
}

static void daemon_on_hup(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct daemon *d = w->data;
	struct conf_problems problems = { 0 };

	daemon_notify_reloading();
	verbs_reload(d, &problems);
	log_info(NULL, "configuration reloaded, problems: %zu", problems.count + problems.warnings);
	conf_problems_release(&problems);
	daemon_notify("READY=1");
}

static void daemon_run(struct daemon *d)
{
	ev_signal term, intr, hup;

	ev_signal_init(&term, daemon_on_term, SIGTERM);
	ev_signal_init(&intr, daemon_on_term, SIGINT);
	ev_signal_init(&hup, daemon_on_hup, SIGHUP);
	hup.data = d;
	ev_signal_start(d->loop.ev, &term);
	ev_signal_start(d->loop.ev, &intr);
	ev_signal_start(d->loop.ev, &hup);
	log_info(NULL, "ready, version " VMKEEP_VERSION ", pid %d, %zu VMs", (int)getpid(),
		d->vms->n);
	daemon_notify("READY=1");
	boot_begin(d);
	ev_run(d->loop.ev, 0);
	ev_signal_stop(d->loop.ev, &term);
	ev_signal_stop(d->loop.ev, &intr);
	ev_signal_stop(d->loop.ev, &hup);
}

/* Executes the program now installed at our path, in our process. Returns only on failure: then
 * the service manager restarts us as after a crash, which guests do not notice either. */
static int daemon_run_successor(struct daemon *d, char **argv)
{
	_cleanup_(free_ptr) char *program = xstrdup(d->program);
	char text[48], pids[1024];
	struct inherited_socket to = server_hand_over(d->server);

	snprintf(text, sizeof text, "%d:%d:%d", (int)getpid(), to.fd, to.ours);
	setenv(LISTENER_ENV, text, 1);
	service_hand_over(d->service);
	daemon_notify_reloading();
	dirs_hand_over(&d->dirs);
	daemon_unbuild(d);
	child_bequeath(pids, sizeof pids);
	setenv(CHILDREN_ENV, pids, 1);
	log_close();
	execv(program, argv);
	log_error(NULL, "run '%s': %s", program, strerror(errno));
	return 1;
}

static void daemon_raise_descriptor_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* If one of them is closed, a file of ours would get its number, and the output meant for it. */
static void daemon_open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

int main(int argc, char **argv)
{
	struct options o = OPTIONS_INIT;
	struct conf_problems problems = { 0 };
	enum log_level level = LOG_INFO_;
	struct daemon d;
	struct err e = ERR_INIT;
	int r;

	if (argc == 4 && streq(argv[1], "--sweep"))
		return sweep(argv[2]) | sweep(argv[3]);
	if (argc == 3 && streq(argv[1], "--sync"))
		return keep_sync_main(argv[2]);
	if (argc == 5 && streq(argv[1], "--keep"))
		return keep_main(argv[2], argv[3], argv[4]);
	if (argc == 4 && streq(argv[1], "--replace"))
		return replace_main(argv[2], argv[3]);
	if (argc == 2 && streq(argv[1], "--image"))
		return image_main();
	if (argc == 2 && streq(argv[1], "--trash"))
		return trash_main();
	if (argc > 3 && streq(argv[1], "--prune-trash"))
		return trash_prune_main(argv[2], (const char *const *)argv + 3);
	if (argc == 3 && streq(argv[1], "--seed"))
		return seed_main(argv[2]);
	r = options_parse(&o, argc, argv);
	if (r)
		return r - 1;
	if (o.print_time)
		return down_print_time(o.dirs.config);
	if (o.check)
		return preview_print(o.dirs.config, o.dirs.state);
	if (o.log_level && log_level_parse(o.log_level, &level) < 0) {
		fprintf(stderr, "vmkeepd: --log-level is error, warning, info or debug\n");
		return 2;
	}
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	daemon_open_standard();
	/* or malloc raises these thresholds and keeps ever larger freed blocks */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
	setenv("PATH", PATH_OF_OURS, 1);
	log_open(LOG_INFO_);
	daemon_raise_descriptor_limit();
	r = daemon_init(&d, &o.dirs, &e);
	if (r == 0) {
		d.log_level_given = o.log_level != NULL;
		if (d.log_level_given)
			log_open(level);
		daemon_load_conf(&d, &problems);
		conf_problems_release(&problems);
		r = daemon_build(&d, &e);
	}
	if (r == 0 && !o.shutdown)
		r = daemon_listen_for_clients(&d, &e);
	if (r == 0 && o.shutdown)
		down_run(&d, o.shutdown_ms);
	else if (r == 0)
		daemon_run(&d);
	else
		log_error(NULL, "%s%s%s", e.text, e.hint[0] ? "; " : "", e.hint);
	if (r == 0 && d.reexec)
		return daemon_run_successor(&d, argv);
	daemon_unbuild(&d);
	log_close();
	return r == 0 ? 0 : api_class(e.class)->exit;
}
