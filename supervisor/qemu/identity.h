/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/identity.h - what of a VM must not move while its file changes
 *
 * UUID, uid, MACs, addresses, versioned machine, slots, disk formats. Made on demand, kept in
 * STATE/vms/NAME/identity.json (version 1), root only. Before a guest runs with it, vmkeep-jail has
 * written and fsynced it there (jail/identity.c): that takes a disk as long as it likes, which must
 * not stop the daemon. Pure but for load and draft.
 * What once was there stays: a NIC or disk that comes back finds its MAC and its slot again.
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

/* Slots are numbers below IDENTITY_SLOTS_MAX; what a number means is qemu/device.h's business. */
enum { IDENTITY_SLOTS_MAX = 250, IDENTITY_IMAGES_MAX = 1024 };

struct identity_nic {
	char *id;
	uint8_t mac[ETH_ALEN];
	char *network;	  /* the address belongs to it */
	uint32_t address; /* host byte order, 0: none yet */
	char *hostname;	  /* as last claimed in the network; NULL: not known */
};

struct identity_disk {
	char *id;
	char *path; /* as resolved at first use */
	enum conf_format format;
	int64_t created; /* Unix time when we made it by Size=, 0: it was there */
};

struct identity_image { /* of a disk, as some start found or made it */
	char *path;
	int64_t seen; /* Unix time of the last such start, to the day: vmkeep-jail writes it */
};

struct identity_slot { /* a device keeps its place on the bus for life */
	char *device;  /* "disk-root", "nic-lan", "balloon" */
	unsigned slot;
};

struct identity {
	char uuid[37];
	uid_t uid;
	char generation[37]; /* VM generation ID, "": none */
	uint32_t cid;	     /* of [VSock] CID=auto, 0: none yet */
	char *machine;	     /* "pc-q35-7.2" */
	char *machine_wish;  /* the Machine= it came from: another wish resolves anew */
	struct identity_nic *nic;
	size_t nics;
	struct identity_disk *disk;
	size_t disks;
	struct identity_image *image;
	size_t images;
	struct identity_slot *slot;
	size_t slots;
	bool dirty; /* differs from what is safely on disk */
	bool kept;  /* a guest ran with it, or was about to: who it is does not change any more */
	char damaged[64]; /* where it is not kept: the file that was set aside; "": there is none */
	char damaged_uuid[37]; /* what can still be read there, or "" */
};

#define IDENTITY_INIT { 0 }

/* 0 also when there is none yet (uuid is then empty). A damaged file is set aside as
 * identity.json.damaged-TIME, named in the log and found again by later loads, as long as no other is
 * kept; one of a newer version is an error. */
int identity_load(struct identity *id, int dirfd, struct err *e);
/* What the file holds; NULL where a name or path is not UTF-8. */
json_t *identity_json(const struct identity *id);
/* False: it is none of ours; id is empty or half filled then. */
bool identity_parse(struct identity *id, json_t *doc);
void identity_set_mac(struct identity *id, const char *nic, const char *mac);
/* One of its texts; marks it dirty where that is another. */
void identity_set_text(struct identity *id, char **field, const char *text);
/* For what was told of a VM that never ran: written where there is no file yet, and not fsynced. It
 * stays dirty, also for who loads it. */
int identity_draft(const struct identity *id, int dirfd, struct err *e);
void identity_release(struct identity *id);

/* Fills what is missing for this configuration: a random UUID (or the file's), MACs 52:54:00:..
 * (hash of UUID and NIC id, bytes chosen anew while taken() says so), disk formats by name. What MACAddress=
 * says becomes the NIC's own when a start has claimed it: it may be another VM's. */
int identity_complete(struct identity *id, const struct conf_vm *c, const char *image_dir,
	bool (*mac_taken)(void *data, const uint8_t mac[ETH_ALEN]), void *data, struct err *e);

/* A random one (version 4) where there is none. */
void identity_make_uuid(struct identity *id);

/* Another generation ID, where it has one: the guest is back in time. False: it has none. */
bool identity_renew_generation(struct identity *id);
/* What CID=auto is: from the UUID, and another one while taken() says so. */
void identity_complete_cid(
	struct identity *id, bool (*taken)(void *data, uint32_t cid), void *data);

/* Keeps the versioned machine that Machine= was resolved to, until the wish changes: as long as it
 * is the same, the machine kept stays. From q35 to pc or back all slots are given anew. */
void identity_pin_machine(struct identity *id, const char *wish, const char *machine);

/* What a file's name tells, of base files for instance; CONF_FORMAT_AUTO when it does not. */
enum conf_format identity_format_of(const char *path);

/* The device's slot from first up to and without end, the same for ever; end when all are taken. */
unsigned identity_slot(struct identity *id, const char *device, unsigned first, unsigned end);

/* NULL when there is none; valid until identity_complete(). */
struct identity_nic *identity_nic(const struct identity *id, const char *nic);
struct identity_disk *identity_disk(const struct identity *id, const char *disk);
/* There is none of that name yet. */
struct identity_nic *identity_add_nic(struct identity *id, const char *nic);
struct identity_disk *identity_add_disk(struct identity *id, const char *disk);
void identity_add_slot(struct identity *id, const char *device, unsigned slot);

/* --- identity_image.c --- */
/* "2026-11-23", when vmkeep made it; "": it did not. Returns day. */
const char *identity_disk_day(const struct identity *id, const char *disk, char day[16]);
/* When a start last found this image, whatever disk it was; "": none did. A relative path, as it was
 * written, is also known below what was the image directory then. Returns day. */
const char *identity_image_day(
	const struct identity *id, const char *path, const char *written, char day[16]);
void identity_saw(struct identity *id, const char *path, int64_t seen);

#endif
