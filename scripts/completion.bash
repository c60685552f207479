# SPDX-License-Identifier: MIT
# bash completion for vmkeep, which supplies its commands, options and names itself
_vmkeep()
{
	mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	# a value or an id follows
	[[ ${COMPREPLY[0]} != *[=.] ]] || compopt -o nospace 2>/dev/null
}
complete -o default -F _vmkeep vmkeep
