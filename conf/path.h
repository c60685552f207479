/* SPDX-License-Identifier: MIT */
/*
 * conf/path.h - paths as people write them, in the one form in which they are compared
 */
#ifndef CONF_PATH_H
#define CONF_PATH_H

#include <stdbool.h>

#include "base/mem.h"

/* Without "//", "/./" and a slash at the end: "/a//b/./c/" is "/a/b/c", "./a" is "a". NULL for what is
 * too long, goes up by "..", or names nothing ("", ".", "/"). */
const char *conf_path_plain(const char *path, struct arena *a);
bool conf_path_ok(const char *path); /* there is such a form */

#endif
