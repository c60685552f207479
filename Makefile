# SPDX-License-Identifier: MIT
# `make help` lists the targets.

VERSION := 0.1.0
PREFIX  ?= /usr
BINDIR  ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/lib/vmkeep
DATADIR ?= $(PREFIX)/share/vmkeep
MANDIR  ?= $(PREFIX)/share/man
UNITDIR ?= /lib/systemd/system
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
DOCDIR  ?= $(PREFIX)/share/doc/vmkeep
CC      ?= cc
INSTALL ?= install
PYTHON  ?= /usr/bin/python3
B       := build$(if $(SAN),/san)$(if $(VARIANT),/$(VARIANT))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wundef -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Wconversion \
	-Wno-unused-parameter \
	-Wno-enum-float-conversion # callbacks need not use all parameters; enums here also name seconds, which clang 18 would reject
CPPFLAGS += -D_GNU_SOURCE -DVMKEEP_VERSION='"$(VERSION)"' -DVMKEEP_LIBEXECDIR='"$(LIBEXECDIR)"' \
	-DVMKEEP_DATADIR='"$(DATADIR)"' \
	-I. -I$(B) -isystem /usr/include/libnl3 $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
CFLAGS  ?= -Os -g
CFLAGS  += -std=c11 $(WARN) $(if $(WERROR),-Werror) -fstack-protector-strong -fPIE \
	-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,pack-relative-relocs -Wl,--gc-sections -Wl,--as-needed $(if $(SAN),-fsanitize=$(SAN))

# Rooms (layers) and what each needs come from the rules in scripts/check-deps, bottom first. Each becomes an archive,
# and the linker goes through them once, from top to bottom: a call that goes upward stays undefined.
$(foreach room,$(shell scripts/check-deps --rooms),$(eval $(subst |, ,$(room))))
ROOMS := $(needs_supervisor/verbs) supervisor/jail supervisor/client
archive = $(B)/$(1).a
libs    = $(foreach r,$(needs_$(1)),$(call archive,$(r)))
MAINS := supervisor/daemon.c supervisor/client/main.c supervisor/jail/main.c
PROGRAMS := $(B)/vmkeepd $(B)/vmkeep $(B)/vmkeep-jail
STORES   := $(patsubst scripts/%,$(B)/%,$(wildcard scripts/stores/*)) # beside vmkeep-jail

.PHONY: all
all: $(PROGRAMS) $(STORES)

define room
$(B)/$(1).a: $(patsubst %.c,$(B)/%.o,$(filter-out $(MAINS),$(wildcard $(1)/*.c)))
	@rm -f $$@
	$$(if $$(V),,@echo "  AR    $$@";)$(AR) crs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room,$(r))))

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<";)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

link = $(if $(V),,@echo "  LD    $@";)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

$(B)/stores/%: scripts/stores/%
	@install -D -m 755 $< $@

# Contain paths of what is installed: rebuilt if these change between make and make install.
$(B)/supervisor/daemon.o $(B)/supervisor/make/catalogue.o: $(B)/paths
$(B)/paths: FORCE
	@mkdir -p $(@D); echo '$(LIBEXECDIR) $(DATADIR)' | cmp -s - $@ || echo '$(LIBEXECDIR) $(DATADIR)' >$@
.PHONY: FORCE

$(B)/vmkeepd: $(B)/supervisor/daemon.o $(call libs,supervisor/verbs)
	$(link) -lev -ljansson -lnl-3 -linih
$(B)/vmkeep: $(B)/supervisor/client/main.o $(call libs,supervisor/client)
	$(link) -ljansson -linih
$(B)/vmkeep-jail: $(B)/supervisor/jail/main.o $(call libs,supervisor/jail)
	$(link) -ljansson -lsystemd -lseccomp

# Tests: tests/unit/ROOM_what.c is linked with its room and those that it needs; with all if there is no such room.
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*_*.c))
unit_room = $(firstword $(subst _, ,$(1)))
unit_libs = $(or $(call libs,$(call unit_room,$(1))),$(call libs,supervisor/$(call unit_room,$(1))),$(call libs,supervisor/verbs))
define unit
$(B)/tests/unit/$(1): $(B)/tests/unit/$(1).o $(call unit_libs,$(1))
	$$(link) -lcmocka -lev -ljansson -lnl-3 -linih -lsystemd -lseccomp
endef
$(foreach t,$(notdir $(UNIT)),$(eval $(call unit,$(t))))
$(filter $(B)/tests/unit/network_%,$(UNIT)): | $(B)/vmkeep-jail

.PHONY: unit
unit: $(UNIT)
	@for t in $(sort $(UNIT)); do $$t 2>$$t.log || { cat $$t.log; exit 1; }; done

# not below these two: they contain trees of other files
-include $(shell find $(B) \( -path $(B)/deb -o -path $(B)/release \) -prune -o -name '*.d' -type f -print 2>/dev/null)

# Targets for people: `make help` prints the lines with two hashes.
JOBS  ?= $(shell nproc 2>/dev/null || echo 2)
WORLDS ?= $(shell expr 2 '*' $(JOBS)) # system tests at a time: they wait more than they compute
GUEST := build/guest
DEB   := build/vmkeep_$(VERSION)_amd64.deb
SUB   := @$(MAKE) --no-print-directory
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help setup guest check deps objects tidy format format-check lint fuzz fuzz-smoke system service chaos faults san demo bench bench-libvirt deb check-release install uninstall clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]*:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## install what building, running and testing need (Debian 12 or 13, as root)
	@scripts/setup test

demo: ## two guests, a network and a crash, in private namespaces (KEEP=1: then a shell there)
	@scripts/setup demo
	$(SUB) -j$(JOBS) all guest
	@KEEP=$(KEEP) scripts/demo $(B)

check: ## set up, build, and run all tests except the long ones (as root)
	@scripts/setup test
	$(SUB) -j$(JOBS) all $(UNIT)
	$(SUB) deps
	$(SUB) unit
	$(SUB) lint
	$(SUB) system AGAIN=1
	$(SUB) service
	$(SUB) fuzz-smoke
	$(SUB) chaos T=25 SEED=1

guest:
	@scripts/guest/build $(GUEST)
deps: $(PROGRAMS) ## check the layering of includes, and that there are no call cycles
	@scripts/check-deps
	@scripts/check-circles --test
	@scripts/check-circles $(B) $(basename $(wildcard $(ROOMS:%=%/*.c) supervisor/*.c))
	@scripts/check-order $(B)
PYTEST = VMKEEP_BUILD=$(abspath $(B)) $(PYTHON) -m pytest -q -rfEs -n $(WORLDS) -o cache_dir=$(abspath $(B))/tests/cache $(T)
# AGAIN=1: tests that fail among many worlds on few cores are reported, and run once more alone. The first failure still
# has to be fixed.
system: all guest ## system tests: real QEMU in private namespaces, in parallel (as root; T='-x -k adopt' goes to pytest)
	@$(PYTEST) tests/system || { [ "$(AGAIN)" ] && echo "The failed tests once more, alone:" && \
		$(PYTEST) -n 0 --last-failed --last-failed-no-failures none --maxfail 3 tests/system; }
faults: all guest ## the long walks in full, every damage and every step; make check runs samples (as root)
	@VMKEEP_WHOLE=1 $(PYTEST) -m walk tests/system
service: all $(DEB) ## tests of the systemd units, of the installation, and of the package
	@VMKEEP_BUILD=$(abspath $(B)) VMKEEP_DEB=$(abspath $(DEB)) $(PYTHON) -m pytest -q -rfEs -p no:cacheprovider $(T) tests/service
chaos: all guest ## random operations and faults for T=600 seconds, then an audit (as root; SEED= N= guests)
	@VMKEEP_BUILD=$(abspath $(B)) tests/faults/chaos --seconds $(or $(T),600) $(if $(SEED),--seed $(SEED)) $(if $(N),--guests $(N))
san: ## unit and system tests with AddressSanitizer and UBSan
	$(SUB) -j$(JOBS) SAN=address,undefined all unit
	$(SUB) SAN=address,undefined system
MEASURE := $(B)/tests/bench/measure
$(MEASURE): $(patsubst %.c,$(B)/%.o,$(wildcard tests/bench/*.c)) $(call libs,base)
	$(link) -ljansson
bench: all $(MEASURE) ## figures compared with plain QEMU (as root; BENCH_QUICK=1: fewer samples; T='--json FILE')
	@BENCH_QUICK=$(BENCH_QUICK) tests/bench/run $(B) $(T)
bench-libvirt: all $(MEASURE) ## vmkeep compared with libvirt, which is installed temporarily (as root, with network)
	@BENCH_QUICK=$(BENCH_QUICK) tests/bench/run $(B) --only libvirt $(T)

# Lint: both compilers with warnings as errors, then two checkers; clang-tidy checks only files that have changed.
LINT_SRC := $(sort $(shell find base conf qmp net supervisor scripts -name '*.c'))
lint: format-check ## layout, English, gcc and clang with -Werror, cppcheck, clang-tidy
	@scripts/check-words
	$(SUB) -j$(JOBS) B=$(if $(and $(WERROR),$(filter cc gcc,$(CC))),$(B),build/lint/gcc) CC=gcc WERROR=1 objects
	$(SUB) -j$(JOBS) B=build/lint/clang CC=clang WERROR=1 objects
	@mkdir -p build/lint/cppcheck
	@cppcheck -q -j$(JOBS) --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --library=scripts/cppcheck.cfg --cppcheck-build-dir=build/lint/cppcheck \
		-D_GNU_SOURCE -DVMKEEP_VERSION='""' -DVMKEEP_LIBEXECDIR='""' -DVMKEEP_DATADIR='""' -I. $(LINT_SRC)
	$(SUB) -j$(JOBS) tidy
FORMAT     = clang-format-19 # the same version on every Debian
FORMAT_SRC = $(shell git ls-files '*.[ch]' 2>/dev/null || find base conf net qmp scripts supervisor tests -name '*.[ch]')
format: ## format the sources with clang-format
	@echo $(FORMAT_SRC) | xargs -P$(JOBS) -n50 $(FORMAT) -i
format-check: ## check the format of the sources
	@echo $(FORMAT_SRC) | xargs -P$(JOBS) -n50 $(FORMAT) --dry-run -Werror
objects: $(PROGRAMS) $(UNIT) $(B)/scripts/gendoc
TIDY_NODES = 50000 # states of a function that clang's analyzer looks at; empty (check-release): its own bound, which takes three times as long
tidy: $(LINT_SRC:%.c=build/lint/tidy/%.ok)
build/lint/tidy/%.ok: %.c .clang-tidy
	@mkdir -p $(@D)
	@echo "  TIDY  $<"; clang-tidy --quiet $(TIDY_NODES:%=$(foreach w,-analyzer-config max-nodes=%,--extra-arg=-Xclang --extra-arg=$w)) \
		$< -- $(CPPFLAGS) -std=c11 >$@.log 2>&1 || { cat $@.log; exit 1; }
	@touch $@

# Fuzzing: tests/fuzz/fuzz_NAME.c, with its corpus in tests/fuzz/corpus/NAME; findings are kept in build/fuzz.
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ    := $(or $(F),$(FUZZERS))
.SECONDARY: $(FUZZERS:%=$(B)/tests/fuzz/fuzz_%.o)
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(call archive,supervisor/client) $(call libs,supervisor/verbs)
	$(link) -fsanitize=fuzzer -lev -ljansson -lnl-3 -linih
fuzz: ## run the fuzzers for T=600 seconds each (F=name: only this one)
	@CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' $(MAKE) --no-print-directory -j$(JOBS) \
		B=build/fuzz CC=clang SAN=address,undefined $(FUZZ:%=build/fuzz/tests/fuzz/fuzz_%)
	@for f in $(FUZZ); do \
		mkdir -p build/fuzz/corpus/$$f tests/fuzz/corpus/$$f; \
		build/fuzz/tests/fuzz/fuzz_$$f -max_total_time=$(or $(T),600) -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
			-print_final_stats=1 -artifact_prefix=build/fuzz/$$f- build/fuzz/corpus/$$f tests/fuzz/corpus/$$f \
			>build/fuzz/$$f.log 2>&1 || { tail -n 60 build/fuzz/$$f.log; exit 1; }; \
		sed -n "s/^stat::number_of_executed_units: */  FUZZ  $$f, executions: /p" build/fuzz/$$f.log | tail -n 1; done
fuzz-smoke: ## run all fuzzers, 30 seconds in total
	$(if $(FUZZERS),$(SUB) fuzz T=$(shell expr 30 / $(words $(FUZZERS)) + 1))

# Manual pages: templates next to what they describe, filled from the tables by scripts/gendoc.c.
MAN_IN   := $(shell find conf supervisor -name '*.[1-8].in')
MANPAGES := $(patsubst %.in,$(B)/man/%,$(notdir $(MAN_IN)))
$(B)/scripts/gendoc: $(B)/scripts/gendoc.o $(B)/scripts/roff.o $(call libs,supervisor/client)
	$(link) -ljansson -linih
define manpage
$(B)/man/$(notdir $(1:%.in=%)): $(1) $(B)/scripts/gendoc
	@mkdir -p $$(@D)
	$$(if $$(V),,@echo "  MAN   $$@";)$(B)/scripts/gendoc <$$< >$$@.new && mv $$@.new $$@
endef
$(foreach m,$(MAN_IN),$(eval $(call manpage,$(m))))
$(B)/tests/unit/doc_pages: | $(MANPAGES)
.PHONY: docs
docs: $(MANPAGES)
all: docs

# What is installed where: mode, file, directory. Programs are stripped; paths in units follow PREFIX.
SBINDIR  ?= $(PREFIX)/sbin
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
UNITS    := $(wildcard scripts/systemd/*.service scripts/systemd/*.socket scripts/systemd/*.slice)
SLEEPDIR ?= /lib/systemd/system-sleep
EXAMPLES := $(wildcard scripts/demo.d/* scripts/examples/*)
IMAGES   := $(wildcard scripts/images.d/*.ini)
DOCS     := README.md CHANGELOG.md LICENSE
man_path  = $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(1)))/$(notdir $(1)).gz
paths     = sed 's|/usr/sbin/vmkeepd|$(SBINDIR)/vmkeepd|g; s|/usr/bin/vmkeep|$(BINDIR)/vmkeep|g; \
	s|/usr/lib/vmkeep/|$(LIBEXECDIR)/|g' $(1)
install: all ## install programs, units, manual, completion and examples (DESTDIR=, PREFIX=/usr)
	$(INSTALL) -D -s -m 755 $(B)/vmkeep $(DESTDIR)$(BINDIR)/vmkeep
	$(INSTALL) -D -s -m 755 $(B)/vmkeepd $(DESTDIR)$(SBINDIR)/vmkeepd
	$(INSTALL) -D -s -m 755 $(B)/vmkeep-jail $(DESTDIR)$(LIBEXECDIR)/vmkeep-jail
	install -D -m 644 scripts/completion.bash $(DESTDIR)$(COMPDIR)/vmkeep
	install -D -m 644 scripts/systemd/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/vmkeep.conf
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOCDIR)/examples $(dir $(foreach m,$(MANPAGES),$(call man_path,$(m))))
	install -D -m 755 scripts/systemd/vmkeep-shutdown $(DESTDIR)$(LIBEXECDIR)/vmkeep-shutdown
	install -D -m 755 -t $(DESTDIR)$(LIBEXECDIR)/stores $(STORES)
	install -D -m 755 scripts/systemd/vmkeep-sleep $(DESTDIR)$(SLEEPDIR)/vmkeep
	$(call paths,scripts/systemd/vmkeep-shutdown) >$(DESTDIR)$(LIBEXECDIR)/vmkeep-shutdown
	$(call paths,scripts/systemd/vmkeep-sleep) >$(DESTDIR)$(SLEEPDIR)/vmkeep
	$(foreach u,$(UNITS),$(call paths,$(u)) >$(DESTDIR)$(UNITDIR)/$(notdir $(u)) &&) :
	$(foreach m,$(MANPAGES),gzip -9n <$(m) >$(call man_path,$(m)) &&) :
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/images.d $(IMAGES)
	install -m 644 $(EXAMPLES) $(DESTDIR)$(DOCDIR)/examples
	install -m 644 $(DOCS) $(DESTDIR)$(DOCDIR)
uninstall: ## remove what install installed, and nothing else
	rm -f $(DESTDIR)$(BINDIR)/vmkeep $(DESTDIR)$(SBINDIR)/vmkeepd $(DESTDIR)$(COMPDIR)/vmkeep
	rm -f $(foreach m,$(MANPAGES),$(call man_path,$(m))) $(UNITS:scripts/systemd/%=$(DESTDIR)$(UNITDIR)/%)
	rm -f $(DESTDIR)$(SYSUSERSDIR)/vmkeep.conf $(DESTDIR)$(SLEEPDIR)/vmkeep
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR) $(DESTDIR)$(DOCDIR)

# The package is built from a copy of its sources; it contains what install installs.
deb: ## build the Debian package, build/vmkeep_VERSION_amd64.deb (VERSION=)
	@scripts/setup deb
	$(SUB) $(DEB)
$(DEB): Makefile $(DOCS) $(shell find base conf net qmp scripts supervisor -type f)
	@echo "  DEB   $@"; scripts/deb $(VERSION) build

# Two more packages: the same one built in another place, and a newer one for the upgrade.
NEWER := build/release/vmkeep_$(VERSION).1_amd64.deb
check-release: ## test the package on a separate Debian with KVM, and guests with cloud-init (as root; an hour)
	@scripts/setup release
	@rm -f $(DEB) $(NEWER) # they contain the date of the last commit
	$(SUB) -j$(JOBS) $(DEB) $(NEWER)
	@scripts/deb $(VERSION) build/release/again && cmp $(DEB) build/release/again/$(notdir $(DEB))
	@echo "PASS  two builds are identical"
	@lintian --allow-root -I --pedantic --fail-on info $(DEB)
	@echo "PASS  lintian finds nothing"
	$(SUB) -B -j$(JOBS) tidy TIDY_NODES=
	$(SUB) guest
	@tests/service/release/image build/release
	@tests/service/release/run build/release $(DEB) $(NEWER)
	$(SUB) -j$(JOBS) all
	@tests/service/release/cloud-image build/release
	@tests/service/release/cloud build/release
$(NEWER): $(DEB)
	@echo "  DEB   $@"; scripts/deb $(VERSION).1 build/release

clean: ## remove build/
	rm -rf build
