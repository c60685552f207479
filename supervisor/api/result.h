/* SPDX-License-Identifier: MIT */
/*
 * supervisor/api/result.h - what the verbs return: on the wire, and as the objects of --json
 *
 * Defined once, in api/results.c. It drives the columns of tables on the wire, query-schema and
 * the manual, the client's headings and units, its --json and the JSON schemas.
 */
#ifndef SUPERVISOR_API_RESULT_H
#define SUPERVISOR_API_RESULT_H

#include "supervisor/api/api.h"

/* {"columns": [...], "rows": rows}; the cells of rows are in this order. */
json_t *api_table(const struct api_field *columns, json_t *rows /* stolen */);

struct conf_problems;
/* Columns file, line, key, reason, and rows; whole: severity, hint and class too. */
json_t *api_problems(const struct conf_problems *p, bool whole);

/* The result type of a request with these arguments. */
const struct api_result *api_result_of(const struct api_verb *v, const json_t *arguments);

/* A result as the objects that --json prints, in an array: one per row, or just one. Each has all
 * keys in order, null for unknown values, and its target first: as "name", in a row as "vm" or
 * "network". If the verb has no target and returns no table, the array's only object is printed
 * alone. */
json_t *api_objects(const struct api_verb *v, const struct api_result *result, const char *target,
	const json_t *wire);
bool api_is_array(const struct api_verb *v, const struct api_result *result);

/* The JSON Schema (2020-12) of this verb's --json output. */
json_t *api_json_schema(const struct api_verb *v);

extern const struct api_field api_renamed[], api_cloned[];
extern const struct api_field api_life[], api_state[], api_state_changed[], api_wait[], api_ssh[],
	api_forget[], api_delete[], api_vm_row[], api_trouble_row[], api_info[], api_rule_row[],
	api_address_row[], api_serial[], api_history_row[], api_check_row[], api_problem_row[],
	api_plain[], api_diff_row[], api_edit_row[], api_created[], api_ran[], api_file[],
	api_reload_dry[], api_reload_row[], api_memory[], api_medium[], api_plugged[], api_nic[],
	api_snapshot[], api_snapshot_row[], api_revert_dry[], api_revert_row[], api_ping[],
	api_guest_info[], api_exec[], api_fs_row[], api_trim_row[], api_freeze[], api_thaw[],
	api_time[], api_job_row[], api_network_row[], api_network[], api_lease_row[],
	api_net_stop_dry[], api_net_stop_row[], api_store_row[], api_image_row[], api_fetched[],
	api_image_gone[], api_pruned_row[], api_host_row[], api_shutdown_row[], api_shutdown_dry[],
	api_shutdown_dry_row[], api_reexec[], api_version[], api_versions[], api_nothing[],
	api_loop[], api_job[], api_error[];

#endif
