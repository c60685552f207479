/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/identity.h - the persistent identity of a VM: what must stay stable across config
 * edits
 *
 * UUID, uid, MACs, addresses, versioned machine, slots, disk formats. Created on demand and saved
 * in STATE/vms/NAME/identity.json (version 1), root only. vmkeep-jail writes and fsyncs it before a
 * guest runs with it (jail/identity.c), because a slow disk must not block the daemon. Pure except
 * for load and draft.
 *
 * Entries are never dropped: a NIC or disk that is removed and added again gets its old MAC and
 * slot. But a disk that was attached to a running guest, and is not in its file, has its slot only
 * while it is there.
 */
#ifndef SUPERVISOR_QEMU_IDENTITY_H
#define SUPERVISOR_QEMU_IDENTITY_H

#include <jansson.h>
#include <net/ethernet.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "conf/vm.h"

/* Slots are numbers below IDENTITY_SLOTS_MAX; qemu/device.h defines their meaning. */
enum { IDENTITY_SLOTS_MAX = 250, IDENTITY_IMAGES_MAX = 1024 };

/* The id of a CD of one process only: nothing of it is kept, nor is its slot. */
#define IDENTITY_NOT_KEPT "vmkeep-once"

struct identity_nic {
	char *id;
	uint8_t mac[ETH_ALEN];
	char *network;	  /* that the address belongs to */
	uint32_t address; /* host byte order, 0: none yet */
	char *hostname;	  /* last one claimed in the network; NULL: unknown */
};

struct identity_disk {
	char *id;
	char *path; /* resolved at first use */
	enum conf_format format;
	int64_t created; /* Unix time if we created it by Size=; 0: it already existed */
};

struct identity_image { /* a disk image that some start found or created */
	char *path;
	int64_t seen; /* Unix time of the last such start, to the day; set by vmkeep-jail */
};

struct identity_base { /* a base of a disk, since its first use */
	char *path;
	enum conf_format format;
	char *stated;	     /* its format, as the image above it stated at that time; or "" */
	int64_t size, mtime; /* at the last start, to tell whether it changed */
};

struct identity_slot { /* a device keeps its place on the bus forever */
	char *device;  /* "disk-root", "nic-lan", "balloon" */
	unsigned slot;
};

struct identity {
	char uuid[37];
	uid_t uid;
	char generation[37]; /* VM generation ID, "": none */
	uint32_t cid;	     /* for [VSock] CID=auto, 0: none yet */
	char *machine;	     /* "pc-q35-7.2" */
	char *machine_wish;  /* the Machine= it came from: if that changes, resolve again */
	struct identity_nic *nic;
	size_t nics;
	struct identity_disk *disk;
	size_t disks;
	struct identity_image *image;
	size_t images;
	struct identity_base *base;
	size_t bases;
	struct identity_slot *slot;
	size_t slots;
	bool dirty; /* differs from what is synced to disk */
	bool kept;  /* a guest has run with it, or was about to: UUID and the like are now fixed */
	char damaged[64];      /* if not kept: the damaged file that was set aside; "": none */
	char damaged_uuid[37]; /* the UUID read from that file, or "" */
};

#define IDENTITY_INIT { 0 }

/* Returns 0 also if there is no file yet (uuid is then empty). A damaged file is renamed to
 * identity.json.damaged-TIME and logged; later loads find it again until a new identity is kept. A
 * file of a newer version is an error. */
int identity_load(struct identity *id, int dirfd, struct err *e);
/* The same, but writes nothing: a damaged file stays where it is. */
int identity_look(struct identity *id, int dirfd, struct err *e);
/* What would be saved of it; false: a name or path is not UTF-8. */
bool identity_copy(struct identity *to, const struct identity *from);
/* The file's content; NULL if a name or path is not UTF-8. */
json_t *identity_json(const struct identity *id);
/* False: not a valid identity; id is then empty or partly filled. */
bool identity_parse(struct identity *id, json_t *doc);
void identity_set_mac(struct identity *id, const char *nic, const char *mac);
/* Sets one of its strings; marks the identity dirty if it changed. */
void identity_set_text(struct identity *id, char **field, const char *text);
/* Saves the identity of a VM that never ran, if there is no file yet. Not fsynced; it stays dirty,
 * also after loading. */
int identity_draft(const struct identity *id, int dirfd, struct err *e);
void identity_release(struct identity *id);

/* Fills in what this configuration still needs: a random UUID (or the file's), MACs 52:54:00:..
 * (hash of UUID and NIC id, rehashed while mac_taken() returns true), disk formats by name. A
 * MACAddress= becomes the NIC's own only when a start has claimed it: it may belong to another
 * VM. */
int identity_complete(struct identity *id, const struct conf_vm *c, const char *image_dir,
	bool (*mac_taken)(void *data, const uint8_t mac[ETH_ALEN]), void *data, struct err *e);

void identity_random_uuid(char uuid[37]); /* version 4 */
/* Sets one if there is none. */
void identity_make_uuid(struct identity *id);

/* Changes the generation ID, if there is one, because the guest goes back in time. False: none. */
bool identity_renew_generation(struct identity *id);
/* Sets the CID for CID=auto: derived from the UUID, rehashed while taken() returns true. */
void identity_complete_cid(
	struct identity *id, bool (*taken)(void *data, uint32_t cid), void *data);

/* Pins the versioned machine that Machine= resolved to, until Machine= changes. A change between
 * q35 and pc reassigns all slots. */
void identity_pin_machine(struct identity *id, const char *wish, const char *machine);

/* The format implied by a file name, such as a base file's; CONF_FORMAT_AUTO if unknown. */
enum conf_format identity_format_of(const char *path);

/* The device's slot in [first, end), the same forever; returns end if all are taken. */
unsigned identity_slot(struct identity *id, const char *device, unsigned first, unsigned end);

/* NULL if there is none; valid until identity_complete(). */
struct identity_nic *identity_nic(const struct identity *id, const char *nic);
struct identity_disk *identity_disk(const struct identity *id, const char *disk);
/* The name must not exist yet. */
struct identity_nic *identity_add_nic(struct identity *id, const char *nic);
struct identity_disk *identity_add_disk(struct identity *id, const char *disk);
void identity_drop_bases(struct identity *id);
void identity_add_slot(struct identity *id, const char *device, unsigned slot);
/* Of a disk that was only plugged in: others may have its place. */
void identity_drop_slot(struct identity *id, const char *device);
void identity_drop_disk(struct identity *id, const char *disk);

/* --- identity_image.c --- */
/* The date when vmkeep created the disk, such as "2026-11-23"; "" if it did not. Returns day. */
const char *identity_disk_day(const struct identity *id, const char *disk, char day[16]);
/* The date when a start last found the image of this disk, whichever disk it belonged to then; "" if
 * none did. A relative path (written) also matches below a previous image directory or store, unless
 * another disk has that. Returns day. */
const char *identity_image_day(const struct identity *id, const char *disk, const char *path,
	const char *written, char day[16]);
/* As identity_image_day() finds an image. NULL: not used yet. */
const struct identity_base *identity_base(
	const struct identity *id, const char *path, const char *written);
/* The format of the disk's i-th base; CONF_FORMAT_AUTO: vmkeep-jail must find out. */
enum conf_format identity_base_format(
	const struct identity *id, const struct conf_disk *d, size_t i, const char *image_dir);
/* Takes "bases" of the file, replacing all; false: not valid. */
bool identity_read_bases(struct identity *id, const json_t *bases);
json_t *identity_bases_json(const struct identity *id);
void identity_saw(struct identity *id, const char *path, int64_t seen);

#endif
