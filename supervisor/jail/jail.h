/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/jail.h - what vmkeep-jail knows while it prepares the ground
 *
 * One struct jail, filled by the plan and by the steps of main.c in their order. The program blocks
 * wherever it must (a dead file server stops only itself) and ends by exec or by exit. Every
 * descriptor is CLOEXEC; only fds_place() makes those that QEMU gets.
 */
#ifndef SUPERVISOR_JAIL_JAIL_H
#define SUPERVISOR_JAIL_JAIL_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"
#include "supervisor/jail/plan.h"

enum jail_kind {
	JAIL_DISK,
	JAIL_BASE,
	JAIL_CDROM,
	JAIL_KERNEL,
	JAIL_FIRMWARE,
	JAIL_NVRAM,
	JAIL_KINDS
};
enum jail_format { JAIL_ANY, JAIL_RAW, JAIL_QCOW2, JAIL_FORMATS };
extern const char *const jail_format_names[JAIL_FORMATS];

/* What the plan says of yes or no is an int and of numbers a long long, as json_unpack() writes them. */
struct jail_file {
	/* from the plan */
	enum jail_kind kind;
	const char *what; /* "disk 'root'", begins every message about it */
	const char *id;
	const char *path;
	int beneath; /* stays below the image directory, follows no symbolic link */
	int write;
	enum jail_format format;
	int format_written;
	int has_base;
	long long create;
	const char *created, *seen;

	/* found out */
	int fd; /* O_PATH: the thing itself, whatever its name may mean later; -1: not there yet */
	int data;  /* open for reading; a writable block device: the exclusive claim */
	bool keep; /* data goes on through exec: the claim, or the locks that a writer must see */
	int tree;  /* detached mount, -1 for a device, which gets a node instead */
	struct stat st;
	const char *shown_path; /* for messages */
	bool again;		/* an earlier entry has the same path */
	bool made;
};

struct jail_path { /* of the daemon's own, shown as it stands */
	const char *path;
	int write;
	int optional; /* where it is not there, it is not there inside either */
	int tree;     /* detached mount, -1: none */
	bool is_dir;
};

struct jail_node {
	const char *path;
	dev_t device;
	mode_t type; /* S_IFCHR or S_IFBLK */
};

enum { JAIL_GROUP_DIRS_MAX = 8 };

struct jail_identity { /* NULL: none to keep */
	const char *dir;
	int changed, fresh;
	struct json_t *document;	  /* part of the plan */
	struct json_t *vanished, *former; /* likewise: lists of names, or NULL */
	const char *damaged;		  /* NULL: none is */
};

struct jail_group {	  /* the control group; limits of 0 are none */
	const char *unit; /* "vmkeep-web1.scope", "" without systemd */
	const char *dir[JAIL_GROUP_DIRS_MAX];
	size_t n;
	long long cpu_quota; /* percent of one processor */
	long long cpu_weight, io_weight, tasks_max, memory_max;
};

enum { JAIL_FILES_MAX = 256, JAIL_NODES_MAX = 16, JAIL_PATHS_MAX = 32 };

struct jail;

/* What it may ask of descriptors by ioctl(), beside what all may; see gate.c. */
enum { IOCTL_ANY = 1, IOCTL_DISK = 2, IOCTL_TAP = 4, IOCTL_INTERFACE = 8 };

/* What the program is decides what it may; the plan only names it. Limits of 0 are none. */
struct jail_role {
	const char *name;
	const char *install; /* the cure where it is missing */
	uint64_t keep;	     /* capabilities, as bits */
	int (*run)(void);    /* our own, in place of a program: its exit status */
	bool bare;	     /* a private root with nothing in it at all */
	bool host_network; /* else a network namespace with nothing in it, and nothing to connect to */
	bool network_sockets; /* among what it is given; else local streams only */
	bool forks;
	unsigned ioctls;       /* IOCTL_... */
	bool own_input;	       /* 0 stays what vmkeep-jail was started with; else /dev/null */
	bool own_output;       /* 1 and 2 stay what vmkeep-jail was started with; else /dev/null */
	bool ends_with_daemon; /* else it outlives it, and a later one takes it back */
	bool keeps_locks;      /* others may not write what it reads as long as it runs */
	uint64_t nofile, nproc, cpu_seconds, memory;
	uint64_t file;	 /* no file beyond this size */
	uint64_t growth; /* no file beyond that of the largest in the plan by more than this */
};

struct jail {
	int sock;
	struct json_t *plan; /* that all strings live in */
	const char *name;
	uid_t uid;	/* and gid */
	int check;	/* look at everything, make nothing, become nothing */
	int space;	/* with check: only what the files may grow by */
	int running;	/* with check: its own QEMU holds the files */
	int qemu;	/* and is this process; 0: not known */
	int may_create; /* images that are to be made */
	const char **argv;
	int oom_score_adj;
	int io_uring;	     /* some disk wants it */
	const char *modules; /* where QEMU looks for those of its own version, NULL: nowhere */
	const char *root;
	const char *image_dir;
	int image_dir_fd; /* -1 until needed */
	const struct jail_role *role;

	int fd[PLAN_FDS_MAX]; /* received */
	int to[PLAN_FDS_MAX]; /* their numbers in QEMU */
	size_t n_fds;
	struct jail_file *file;
	size_t n_files;
	struct jail_path path[JAIL_PATHS_MAX];
	size_t n_paths;
	struct jail_node node[JAIL_NODES_MAX];
	size_t n_nodes;
	struct jail_group group;
	struct jail_identity identity;
};

/* The steps of main.c; of the second kind once for each file. */
typedef int jail_step(struct jail *j, struct err *e);
typedef int jail_file_step(struct jail *j, struct jail_file *f, struct err *e);

/* plan.c */
jail_step plan_receive;
void plan_release(struct jail *j);
int plan_parse(struct jail *j, const char *text, size_t len, struct err *e);

/* role.c */
const struct jail_role *role_named(const char *name); /* NULL: there is none */

/* scope.c */
jail_step group_join;

/* files.c: opens what the plan names and looks at what it is */
jail_file_step file_open;
jail_step nodes_find, paths_open;

/* path.c */
const char *path_shown(const char *path); /* the end of a very long one, so that the reason fits */
int path_openat2(int dir, const char *path, int flags, uint64_t resolve);
/* The same by hand: O_PATH, or a directory for reading; links by their text; beneath a directory, in a
 * root, or neither. link: as path_open_outside() tells it, or NULL. */
int path_walk(int root, const char *path, int flags, uint64_t resolve, uid_t *link);
/* Opens (O_PATH) what root named outside of the image directory. *link: who owns the symbolic links that
 * were followed, PATH_ROOT where only root's were; PATH_SEVERAL is nobody. -1 with errno on failure. */
int path_open_outside(const char *path, uid_t *link);
#define PATH_ROOT    0u
#define PATH_SEVERAL UINT32_MAX
/* Says why f's path could not be opened (error: an errno), by its first part that fails. */
int path_blame(const struct jail *j, const struct jail_file *f, int error, struct err *e);
/* A bare file name's directory below the image directory; name points into f->path. */
int path_parent(const struct jail *j, const struct jail_file *f, const char **name);
bool path_was_there(
	const struct jail_file *f); /* at an earlier start: it is missed, and not made */
extern const uint64_t path_beneath; /* how names in the image directory are resolved */
const char *path_in_image_dir(
	const struct jail *j, const struct jail_file *f); /* NULL: not in it */

/* create.c */
jail_file_step image_create;
int image_uncreated(const struct jail *j, const struct jail_file *f,
	struct err *e); /* says who would make it */

/* image.c */
jail_file_step image_check;
/* The first len bytes of f against what the plan says of it. */
int image_check_header(const struct jail_file *f, const uint8_t *head, size_t len, struct err *e);
enum { IMAGE_HEAD = 4096 }; /* a header and its backing file's name, as a rule */

/* The size that the guest sees, from the image's header; 0: not known. */
uint64_t image_size(const struct jail_file *f);

/* identity.c */
jail_step identity_keep;

/* mark.c */
jail_file_step mark_check; /* is it a disk of a VM whose state is lost? */
jail_step mark_lost;	   /* its identity is, and no disk told whose it is */
int mark_new(const struct jail *j, const struct jail_file *f,
	struct err *e); /* is another meant than a new one? */
void marks_set(const struct jail *j);

/* answer.c: one line to the daemon */
int answer(int sock, void *json /* stolen */);
int answer_error(int sock, const char *step, const struct err *e);
void answer_problem(const struct jail *j, const char *severity, const char *step, const char *id,
	const struct err *e);
void answer_warning(const struct jail *j, const char *step, const char *id, const struct err *e);

/* Where a check finds something that keeps no guest from starting. */
typedef void jail_warn(const struct jail *j, const char *step, const char *id, const struct err *e);

/* space.c: one for each file system that is too small for what may still be written */
void space_check(const struct jail *j, jail_warn *warn);
struct growth {
	dev_t dev;
	uint64_t bytes, room; /* it may still grow by; its file system has left */
};
bool space_growth(
	const struct jail *j, const struct jail_file *f, struct growth *g); /* false: unknown */

/* found.c */
void found_check(const struct jail *j, const struct jail_file *f, jail_warn *warn);
/* The guest that runs has another file than the one that stands there by now. */
void found_replaced(const struct jail *j, const struct jail_file *f, jail_warn *warn);
int found_refuse(
	const struct jail_file *f, struct err *e); /* what keeps everybody from writing it */

/* holder.c: who has a file or a block device in use */
enum { HOLDER_TEXT = 512 };
/* writers: who only reads it is no holder, whatever it locked.
 * "VM 'web1' (pid 4711)", "busybox (pid 4712)", "a file system mounted on /mnt", "loop0", or a guess; in that order. */
void holder_find(const struct stat *st, bool writers, char who[HOLDER_TEXT]);
/* A process of this host has it open for writing, or a loop device has it. */
bool holder_writes(const struct stat *st);

/* lock.c */
jail_file_step lock_check;
/* Says who has it; writers: who only reads it does not count. */
int lock_busy(const struct jail_file *f, bool writers, struct err *e);
int lock_leased(
	const struct jail_file *f, struct err *e); /* says who keeps all others from opening it */

/* idmap.c */
jail_file_step mount_prepare;
/* Between these two, files are accessed with the guest's rights (groups are gone since the start).
 */
void guest_begin(const struct jail *j);
void guest_end(void);
int file_refused(const struct jail *j, const struct jail_file *f, struct err *e);

/* root.c */
jail_step namespaces_enter, root_build, root_enter;
extern const char *const root_system_paths[]; /* of the host's, where it has them; ends with NULL */

/* landlock.c */
jail_step landlock_enter;

/* drop.c */
jail_step fds_own_only, session_reset, oom_score_set, privileges_drop, program_check, fds_place;
jail_step fds_check;  /* those that came with the plan */
jail_step limits_set; /* the program's: the last thing before it */

/* seccomp.c */
jail_step filter_load;
const char *filter_calls(size_t i); /* what is refused, a line of the table; NULL behind the last */
int filter_number(
	const char *call); /* of the first word in such a line; __NR_SCMP_ERROR (-1): unknown */

/* gate.c */
enum { GATE_OPS = 128, FILTER_OPS = 4096 /* the kernel's limit */ };
struct gate {
	unsigned short n;
	struct sock_filter op[FILTER_OPS];
};
void gate_write(struct gate *g, const struct jail *j); /* not more than GATE_OPS */

#endif
