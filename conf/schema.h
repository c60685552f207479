/* SPDX-License-Identifier: MIT */
/*
 * conf/schema.h - the table of sections and keys
 *
 * Parser, checks, dump, diff, manual pages, completion and the `schema` verb all walk these rows.
 * A new key is one row here and one field in conf/vm.h. Rows are constant; nothing here
 * allocates.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"

enum { CONF_LIST_MAX = 256, CONF_KEY_MAX = 64, CONF_HEADER_MAX = 128 };

/* The type of a value and of its field: strings first, then numbers. */
enum conf_type {
	CONF_TYPE_TEXT,	  /* const char *: any line */
	CONF_TYPE_WORD,	  /* const char *: no blanks */
	CONF_TYPE_ID,	  /* const char *: conf_id_ok() */
	CONF_TYPE_NAME,	  /* const char *: conf_name_ok() */
	CONF_TYPE_PATH,	  /* const char * */
	CONF_TYPE_IPV4,	  /* const char * */
	CONF_TYPE_SIZE,	  /* uint64_t, bytes */
	CONF_TYPE_TIME,	  /* uint64_t, milliseconds, UINT64_MAX: infinity */
	CONF_TYPE_UINT,	  /* uint64_t */
	CONF_TYPE_BOOL,	  /* bool */
	CONF_TYPE_ENUM,	  /* an enum of conf/vm.h or conf/network.h */
	CONF_TYPE_MAC,	  /* struct conf_mac */
	CONF_TYPE_SUBNET, /* struct conf_subnet */
	CONF_TYPE_RANGE,  /* struct conf_range */
	CONF_TYPES
};

struct conf_key {
	const char *name;
	enum conf_type type;
	bool list;	       /* the field is a struct conf_list of strings of this type */
	bool root;	       /* only root may set it */
	bool operators;	       /* not for the VM's owner to set: it concerns others */
	bool own;	       /* part of the VM's identity: not allowed in [Defaults] */
	enum conf_apply apply; /* when a change takes effect */
	size_t offset;	       /* of the field */
	uint64_t min, max;     /* numbers, sizes, times; max 0: no limit */
	uint64_t step;	       /* sizes: must be a multiple of it, 0: any */
	const char *zero;      /* the word for number 0, "auto" */
	/* enum: by value, NULL: invalid for this key; bool: its two names; word: all valid ones */
	const char *const *names;
	size_t n_names;
	bool (*check)(const char *value); /* strings: a check beyond the type's */
	const char *what;		  /* what check accepts: "a CPU model of QEMU" */
	const char *preset;		  /* the default, as text; NULL: unset */
	const char *help;		  /* for the manual */
};

struct conf_section {
	const char *name;
	const char *help;
	const struct conf_key *key;
	size_t keys;

	/* A named section ([Disk root]) is an element of an array in the root struct. size is 0
	 * for the others, whose fields are in the root itself. Sections that share an array are
	 * adjacent here, are told apart by a bool in the element, and keep this order in the
	 * array. */
	size_t size;	       /* of an element; it begins with a struct conf_element */
	size_t array, count;   /* offsets of pointer and size_t in the root */
	size_t max;	       /* elements in the array */
	size_t variant;	       /* offset of the bool, 0: none */
	bool is;	       /* the bool's value for this section */
	enum conf_apply apply; /* when adding or removing one takes effect */
	bool users;	       /* the id is a user or @group */

	bool defaults; /* [Defaults]: its keys are Section.Key of the VM schema */
};

/* The first members of every named section; may_alias because it is also read as its own struct. */
struct conf_element {
	const char *id;
	struct conf_place place;
} __attribute__((may_alias));

struct conf_schema {
	const struct conf_section *section;
	size_t sections;
	size_t size;	/* of the root struct, which begins with its arena */
	size_t ignored; /* offset of the conf_list for X- keys */
};

extern const struct conf_schema conf_vm_schema, conf_network_schema, conf_daemon_schema,
	conf_image_schema;

const struct conf_section *conf_section_find(const struct conf_schema *s, const char *name);
const struct conf_key *conf_key_find(const struct conf_section *s, const char *name);
/* The nearest name, first ignoring case; NULL if none is near. */
const char *conf_section_nearest(const struct conf_schema *s, const char *name);
const char *conf_key_nearest(const struct conf_section *s, const char *name);
/* The first section with exactly this key, or NULL: for keys in the wrong section. */
const struct conf_section *conf_key_home(const struct conf_schema *s, const char *name);

/* What a value must be: "kvm, tcg or auto", "a size such as 512M, at least 1M". */
void conf_key_type(const struct conf_key *k, struct buf *b);
const char *conf_apply_name(enum conf_apply a); /* "start", "live", "guest" */

/* The elements of a named section; *n includes those of all sections that share the array. The
 * array pointer has another type, so it is copied rather than read through a cast. */
static inline char *conf_elements(const struct conf_section *s, const void *root, size_t *n)
{
	char *array;

	memcpy(&array, (const char *)root + s->array, sizeof array);
	memcpy(n, (const char *)root + s->count, sizeof *n);
	return array;
}

static inline bool conf_key_is_string(const struct conf_key *k)
{
	return k->type <= CONF_TYPE_IPV4;
}

static inline bool conf_key_is_number(const struct conf_key *k)
{
	return k->type >= CONF_TYPE_SIZE && k->type <= CONF_TYPE_UINT;
}

/* True if the element belongs to this section and not to one that shares the array. */
static inline bool conf_element_is(const struct conf_section *s, const void *element)
{
	return !s->variant || *((const bool *)element + s->variant) == s->is;
}

/* [A-Za-z0-9][A-Za-z0-9._-]{0,30} */
enum { CONF_ID_MAX = 31 };
bool conf_id_ok(const char *id);

#endif
