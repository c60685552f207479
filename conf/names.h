/* SPDX-License-Identifier: MIT */
/*
 * conf/names.h - names of files, for the files of conf/load.h
 */
#ifndef CONF_NAMES_H
#define CONF_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Names, or the paths of the files that make up one object. */
struct conf_names { /* zero it before use */
	char **name;
	size_t n, cap;
};

void conf_names_add(struct conf_names *l, char *name /* stolen */);
/* The names in the directory with this suffix, sorted, without leftovers of editors and package
 * managers; -errno if it cannot be read. */
int conf_names_read(struct conf_names *l, const char *dir, const char *suffix);
void conf_names_release(struct conf_names *l);

/* Left by an editor or a package manager. */
bool conf_name_is_leftover(const char *name);
/* NAME.VM, as another system or a program wrote it. */
bool conf_name_is_misspelt(const char *name, const char *suffix);

#endif
