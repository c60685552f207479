/* SPDX-License-Identifier: MIT */
#include "conf/image.h"
#include "conf/row.h"
#include "conf/word.h"

/* clang-format off */
static const struct conf_key image_keys[] = {
	{ .name = "Description", STRING(TEXT, conf_image, description),
	  .help = "What it is, for people." },
	{ .name = "URL",         STRING(WORD, conf_image, url),
	  .check = conf_word_https, .what = "an https:// URL",
	  .help = "The image, in the format qcow2." },
	{ .name = "Checksums",   STRING(WORD, conf_image, checksums),
	  .check = conf_word_https, .what = "an https:// URL",
	  .help = "A file with the SHA-256 or SHA-512 digest of the image, as sha256sum prints it." },
	{ .name = "Signature",   STRING(WORD, conf_image, signature),
	  .check = conf_word_https, .what = "an https:// URL",
	  .help = "A detached OpenPGP signature of that file. Default: with Keyring=, the file itself "
		  "is clear-signed." },
	{ .name = "Keyring",     STRING(PATH, conf_image, keyring),
	  .check = conf_word_absolute, .what = "an absolute path",
	  .help = "A file with the OpenPGP keys that may sign Checksums=, in binary form. Default: no "
		  "signature is checked, so that only https tells whose digest it is." },
	{ .name = "Digest",      STRING(WORD, conf_image, digest),
	  .check = conf_word_digest, .what = "sha256: or sha512: and the digits",
	  .help = "The digest itself, in place of Checksums=." },
	{ .name = "User",        STRING(WORD, conf_image, user),
	  .check = conf_word_login, .what = "a user name in small letters",
	  .help = "The user that the image is made for: of create --ssh-key without --user." },
};

static const struct conf_section sections[] = {
	{ .name = "Image", KEYS(image_keys), .help = "Where an image comes from, and how it is checked." },
};
/* clang-format on */

const struct conf_schema conf_image_schema = {
	.section = sections,
	.sections = ARRAY_SIZE(sections),
	.size = sizeof(struct conf_image),
	.ignored = offsetof(struct conf_image, ignored),
};
