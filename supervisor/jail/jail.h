/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/jail.h - shared state of vmkeep-jail's set-up steps
 *
 * One struct jail, filled by the plan and then by the steps of main.c in order. The process may
 * block anywhere (a dead file server stalls only itself) and ends by exec or exit. Every fd is
 * CLOEXEC; only fds_place() creates those that QEMU inherits.
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

/* Plan booleans are ints and plan numbers are long longs, as json_unpack() stores them. */
struct jail_file {
	/* from the plan */
	enum jail_kind kind;
	const char *what; /* "disk 'root'", the prefix of every message about it */
	const char *id;
	const char *path;
	/* must be below this directory, where no symbolic links are followed; NULL: anywhere */
	const char *beneath;
	const char *volume_of; /* becomes beneath if it is no block device; NULL: not a volume */
	int mounted;	       /* and that directory must be a mount point */
	int write;
	enum jail_format format;
	int format_written;
	int direct; /* QEMU opens it with O_DIRECT */
	int has_base;
	int copy; /* new, and filled by the program: copy.c */
	long long create;
	const char *created, *seen;
	int new_volume;		/* made for this start */
	struct jail_file *base; /* its base, if that is in the plan */
	/* of a base */
	struct jail_file *above; /* the image that it is for; NULL: not in the plan */
	enum jail_format by_name;
	struct json_t *known; /* owned by the plan; NULL: its first use */

	/* determined by the steps */
	/* O_PATH: the object itself, whatever the name refers to later; -1: does not exist yet */
	int fd;
	int dir;   /* beneath, O_PATH; -1: not opened yet; shared by the files in it */
	int data;  /* open for reading; for a writable block device, the exclusive claim */
	bool keep; /* data stays open across exec: the claim, or the locks that a writer must see */
	int tree;  /* detached mount; -1 for a device, which gets a device node instead */
	struct stat st;
	const char *shown_path; /* for messages */
	bool again;		/* an earlier entry has the same path */
	bool made;
	bool entered;	 /* shown to a guest that runs */
	char states[16]; /* a base: its format in the header of the image above it; "": none */
};

struct jail_path { /* the daemon's own paths, bind-mounted unchanged */
	const char *path;
	int write;
	int optional; /* if missing on the host, left out inside too */
	int tree;     /* detached mount; -1: none */
	bool is_dir;
};

struct jail_node {
	const char *path;
	dev_t device;
	mode_t type; /* S_IFCHR or S_IFBLK */
};

enum { JAIL_GROUP_DIRS_MAX = 8 };

struct jail_identity { /* dir NULL: no identity to keep */
	const char *dir;
	int changed, fresh;
	struct json_t *document;	  /* owned by the plan */
	struct json_t *vanished, *former; /* owned by the plan: lists of names, or NULL */
	const char *damaged;		  /* NULL: not damaged */
};

struct jail_group {	  /* the control group; a limit of 0 means no limit */
	const char *unit; /* "vmkeep-web1.scope", "" without systemd */
	const char *dir[JAIL_GROUP_DIRS_MAX];
	size_t n;
	long long cpu_quota; /* percent of one CPU */
	long long cpu_weight, io_weight, tasks_max, memory_max;
};

enum { JAIL_FILES_MAX = 256, JAIL_NODES_MAX = 16, JAIL_PATHS_MAX = 32 };

struct jail;

/* ioctls allowed on top of the common set; see gate.c */
enum { IOCTL_ANY = 1, IOCTL_DISK = 2, IOCTL_TAP = 4, IOCTL_INTERFACE = 8, IOCTL_ALL = 16 };

/* Which steps a plan asks for. */
enum { JAIL_START = 1, JAIL_CHECK = 2, JAIL_ENTER = 4, JAIL_LEAVE = 8, JAIL_ALL = 15 };

/* The role decides what the program may do; the plan only names the role. A limit of 0 means no
 * limit. */
struct jail_role {
	const char *name;
	const char *install; /* the hint if the program is missing */
	uint64_t keep;	     /* capability bit mask */
	/* runs this instead of exec; returns the exit status */
	int (*run)(struct jail *j);
	unsigned runs;	      /* the steps of main.c that it takes: JAIL_START, unless set */
	bool bare;	      /* the private root is empty */
	bool host_network;    /* else an empty network namespace with no access to the network */
	bool network_sockets; /* inherited fds may be network sockets; else local streams only */
	bool forks;
	/* Manages block devices: stays root, with the capabilities in keep, and uses the host's
	 * device nodes, and semaphores, by which udev tells that a node is there. */
	bool volumes;
	unsigned ioctls;       /* IOCTL_... */
	bool own_input;	       /* keep fd 0 as vmkeep-jail got it; else /dev/null */
	bool own_output;       /* keep fds 1 and 2 as vmkeep-jail got them; else /dev/null */
	bool ends_with_daemon; /* else it outlives the daemon and is adopted by the next one */
	bool keeps_locks;      /* nobody may write the files it reads while it runs */
	uint64_t nofile, nproc, cpu_seconds, memory;
	uint64_t file;	 /* maximum file size */
	uint64_t growth; /* maximum excess over the size of the largest writable file in the plan */
};

struct jail {
	int sock;
	struct json_t *plan; /* owns all strings below */
	const char *name;
	uid_t uid;	/* also the gid */
	int check;	/* inspect everything, change nothing, exec nothing */
	int space;	/* with check: report only how much the files may grow */
	int running;	/* with check: the VM's own QEMU holds the files */
	int qemu;	/* with running: that QEMU's pid; 0: unknown */
	int may_create; /* missing images may be created */
	bool stays;	/* an error of this step does not pass until somebody acts */
	const char **argv;
	int oom_score_adj;
	int io_uring; /* at least one disk uses it */
	/* where QEMU looks for modules of its own version; NULL: default only */
	const char *modules;
	const char *root;
	const struct jail_role *role;

	int fd[PLAN_FDS_MAX]; /* received */
	int to[PLAN_FDS_MAX]; /* fd numbers in QEMU */
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

/* The steps of main.c. A jail_file_step runs once per file. */
typedef int jail_step(struct jail *j, struct err *e);
typedef int jail_file_step(struct jail *j, struct jail_file *f, struct err *e);

/* For findings of a check that do not keep a guest from starting. */
typedef void jail_warn(
	const struct jail *j, const char *step, const struct jail_file *f, const struct err *e);

/* plan.c */
jail_step plan_receive;
void plan_release(struct jail *j);
int plan_parse(struct jail *j, const char *text, size_t len, struct err *e);

/* role.c */
const struct jail_role *role_named(const char *name); /* NULL: there is none */

/* scope.c */
jail_step group_join;

/* files.c: opens what the plan names and determines its type */
jail_file_step file_open;
jail_step nodes_find, paths_open;

/* path.c */
/* Shortens a very long path to its end, so that the reason still fits in the message. */
const char *path_shown(const char *path);
int path_openat2(int dir, const char *path, int flags, uint64_t resolve);
/* The same in user space: O_PATH, or a directory for reading; links are read and followed by hand;
 * beneath a directory, in a root, or unrestricted. link: as for path_open_outside(), or NULL. */
int path_walk(int root, const char *path, int flags, uint64_t resolve, uid_t *link);
/* Opens (O_PATH) a path anywhere on the host that root configured. *link: the owner of the
 * symbolic links that were followed, PATH_ROOT if only root's were; PATH_SEVERAL matches no user.
 * Returns -1 with errno on failure. */
int path_open_outside(const char *path, uid_t *link);
#define PATH_ROOT    0u
#define PATH_SEVERAL UINT32_MAX
/* Explains why f's path could not be opened (error: an errno): finds the first component that
 * fails. */
int path_blame(const struct jail_file *f, int error, struct err *e);
/* Opens the directory of the file, which is beneath another; name points into f->path. */
int path_parent(const struct jail_file *f, const char **name);
bool path_was_there(
	const struct jail_file *f); /* an earlier start saw it, so it is missing, not new */
extern const uint64_t path_beneath; /* how names beneath a directory are resolved */
/* Renames without replacing anything. Returns -errno. */
int path_move_new(int dir, const char *from, const char *to);
const char *path_below(const struct jail_file *f); /* its path from there; NULL if not below it */

/* qcow2.c */
/* Guest-visible size according to the image header; 0: unknown. */
uint64_t image_size(const struct jail_file *f);

/* base.c */
jail_file_step base_settle; /* determines a base's format */
jail_step bases_place;	    /* puts it into the command line */
void base_warn(const struct jail *j, const struct jail_file *f, jail_warn *warn);

/* create.c */
jail_file_step image_create;
int image_uncreated(const struct jail *j, const struct jail_file *f,
	struct err *e); /* fails; the hint says how the image gets created */

/* copy.c */
jail_file_step image_copy;
int copy_exists(const struct jail_file *f, struct err *e); /* fails */

/* image.c */
jail_file_step image_check;
/* Checks the first len bytes of f against what the plan says about it. */
int image_check_header(const struct jail_file *f, const uint8_t *head, size_t len, struct err *e);
enum { IMAGE_HEAD = 4096 }; /* usually fits a header and its backing file's name */
void image_warn(const struct jail *j, const struct jail_file *f, jail_warn *warn);

/* identity.c */
jail_step identity_keep;
/* What a base is, as in the identity: what the header above it stated at the first use stays. */
struct json_t *base_row(const struct jail_file *f);

/* mark.c */
/* Does the disk belong to a VM whose state is lost? */
jail_file_step mark_check;
/* This VM's identity is lost, and no disk tells which VM it was. */
jail_step mark_lost;
int mark_new(const struct jail *j, const struct jail_file *f,
	struct err *e); /* fails if an existing disk is probably meant instead of a new one */
void marks_set(const struct jail *j);

/* answer.c: replies to the daemon, one line each */
int answer(int sock, void *json /* stolen */);
/* With descriptors. */
int answer_with(int sock, void *json /* stolen */, const int *fds, size_t n);
int answer_error(int sock, const char *step, bool stays, const struct err *e);
/* f NULL: none of the files */
void answer_problem(const struct jail *j, const char *severity, const char *step,
	const struct jail_file *f, const struct err *e);
const char *answer_key(const struct jail_file *f); /* that names it in the configuration, or "" */
/* A warning: the file has this in place of what a key, which applies once, says. */
void answer_once(const struct jail *j, const char *id, const char *key, const char *has,
	const struct err *e);
void answer_warning(
	const struct jail *j, const char *step, const struct jail_file *f, const struct err *e);

/* space.c: one warning per file system with too little space for what may still be written */
void space_check(const struct jail *j, jail_warn *warn);
struct growth {
	dev_t dev;
	uint64_t bytes, room; /* how much it may still grow; free space on its file system */
};
bool space_growth(const struct jail_file *f, struct growth *g); /* false: unknown */

/* direct.c */
jail_file_step direct_check; /* also of an image that is not there yet */

/* found.c */
void found_check(const struct jail *j, const struct jail_file *f, jail_warn *warn);
/* Warns if an image does not have the Size= that it would be created with. */
void found_size(const struct jail *j, const struct jail_file *f);
/* Warns if the running guest has a different file open than the one now at that path. */
void found_replaced(const struct jail *j, const struct jail_file *f, jail_warn *warn);
int found_refuse(
	const struct jail_file *f, struct err *e); /* fails if an attribute makes it unwritable */

/* holder.c: who is using a file or block device */
enum { HOLDER_TEXT = 512 };
/* writers: ignore readers, even if they hold locks. Reports, in order of preference: "VM 'web1'
 * (pid 4711)", "busybox (pid 4712)", "a file system mounted on /mnt", "loop0", or a guess. */
void holder_find(const struct stat *st, bool writers, char who[HOLDER_TEXT]);
/* True if a process on this host has it open for writing, or a loop device uses it. */
bool holder_writes(const struct stat *st);

/* lock.c */
jail_file_step lock_check;
/* Names the holder in e; writers: ignore readers. */
int lock_busy(const struct jail_file *f, bool writers, struct err *e);
int lock_leased(
	const struct jail_file *f, struct err *e); /* names the program that has a lease on it */

/* idmap.c */
jail_file_step mount_prepare;
/* Between these two calls, files are accessed with the guest's credentials (supplementary groups
 * were dropped at the start). */
void guest_begin(const struct jail *j);
void guest_end(void);
int file_refused(const struct jail *j, const struct jail_file *f, struct err *e);

/* root.c */
jail_step namespaces_enter, root_build, root_enter;
/* Host paths shown inside if they exist; NULL-terminated. */
extern const char *const root_system_paths[];

/* Opens a path as if root were the root. O_PATH */
int root_open_inside(int root, const char *path);
/* Opens a mount point, creating it if necessary. */
int root_open_place(int root, const char *path, bool is_dir);
/* Shows a file in a root that has a place for it; a device node, in one that is writable. */
int root_put_file(const struct jail *j, int root, const struct jail_file *f, struct err *e);

/* enter.c: the private root of a guest that runs */
jail_step enter_guest, leave_guest;
/* Waits until the daemon says that the files stay, or takes them out. */
int enter_run(struct jail *j);
int leave_run(struct jail *j);

/* landlock.c */
jail_step landlock_enter;

/* drop.c */
jail_step fds_own_only, session_reset, oom_score_set, privileges_drop, program_check, fds_place;
jail_step program_owner; /* of one that runs as root: nobody else may change it */
jail_step fds_check;	 /* checks the fds received with the plan */
jail_step limits_set;	 /* the program's limits; the last step before exec */

/* seccomp.c */
jail_step filter_load;
/* The denied calls, one table line each; NULL past the end. */
const char *filter_calls(size_t i);
int filter_number(
	const char *call); /* of the first name in such a line; __NR_SCMP_ERROR (-1): unknown */

/* gate.c */
enum { GATE_OPS = 128, FILTER_OPS = 4096 /* FILTER_OPS: the kernel's limit */ };
struct gate {
	unsigned short n;
	struct sock_filter op[FILTER_OPS];
};
void gate_write(struct gate *g, const struct jail *j); /* at most GATE_OPS instructions */

#endif
