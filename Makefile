# SuperVM: one Makefile, no recursion into folders. `make help` lists the commands.
#
#   BUILD=release|debug|asan|tsan|ubsan|cov|prove|weave|fuzz|o0|o3   kind of build (default release; prove: with the points of
#                                             base/fault.h; weave: and every atomic access a step of tests/weave; fuzz: with
#                                             CC=clang, tests/fuzz driven by libFuzzer)
#   CC=gcc|clang                              compiler (default gcc)
#   WERROR=1                                  a warning is an error (CI)
#
# Output: build/<kind>/ (objects, rooms/*.a, libsupervm.a, tests/, oracle/, ...), the release binaries in build/bin/.
# Sources are found by wildcard: a new file needs no line here. Every room is an archive of its own, and a unit test
# test_<room>_<noun>.c links its room and the rooms below it only, so a room that does not compile stops nobody else.

VERSION := $(shell sed -n 's/^\#define VERSION_TEXT "\(.*\)"/\1/p' src/base/version.h)
BUILD ?= release
WERROR ?= 0
ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
PKG_CONFIG ?= pkg-config

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# ---- kind of build ---------------------------------------------------------------------------------------------------

IS_CLANG := $(if $(findstring clang,$(notdir $(CC))),1,)
KIND := $(BUILD)$(if $(IS_CLANG),-clang)
OUT := build/$(KIND)
BIN := $(if $(filter release,$(KIND)),build/bin,$(OUT)/bin)

OPT_release := -O2 -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
OPT_debug := -Og -g3
OPT_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
OPT_ubsan := -O1 -fsanitize=undefined -fno-sanitize-recover=all
OPT_tsan := -O1 -fsanitize=thread $(if $(IS_CLANG),,-Wno-tsan)
OPT_cov := -O0 --coverage
OPT_prove := -O1 -DSVM_FAULTS
OPT_weave := -O1 -DSVM_FAULTS -DSVM_WEAVE -include tests/weave/atomics.h
OPT_o0 := -O0
OPT_o3 := -O3
OPT_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DFUZZ_LIBFUZZER
SAN_asan := -fsanitize=address,undefined
SAN_ubsan := -fsanitize=undefined
SAN_tsan := -fsanitize=thread
SAN_cov := --coverage
SAN_fuzz := -fsanitize=address,undefined

KINDS := release debug asan tsan ubsan cov prove weave fuzz o0 o3
ifeq ($(filter $(BUILD),$(KINDS)),)
$(error BUILD=$(BUILD) is unknown; one of: $(KINDS))
endif

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wswitch-enum -Wformat=2 -Wundef -Wvla
STRICT := $(if $(filter 1,$(WERROR)),-Werror)

# ---- libraries -------------------------------------------------------------------------------------------------------

PKGS := libuv jansson libsodium rocksdb libmicrohttpd inih libcurl
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
CHECK_CFLAGS := $(shell $(PKG_CONFIG) --cflags check 2>/dev/null)
CHECK_LIBS := $(shell $(PKG_CONFIG) --libs check gmp 2>/dev/null)

CPPFLAGS_ALL := -Iinclude -Isrc -D_GNU_SOURCE= $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL := -std=c17 -g -fno-omit-frame-pointer -fPIC -pthread $(OPT_$(BUILD)) $(WARN) $(CFLAGS)
LDFLAGS_ALL := -pie -pthread $(SAN_$(BUILD)) -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS_ALL := $(PKG_LIBS) -lm
# The daemon's malloc, in front of the C library's, so nothing else has to know; some sanitizers have their own.
HEAP_LIBS := $(if $(filter asan tsan fuzz,$(BUILD)),,-ljemalloc)
# What the comparators of `make bench` need is there or not; without it their rows say SKIP.
COMPARE_PKGS := $(foreach p,lmdb libpq hiredis,$(shell $(PKG_CONFIG) --exists $(p) 2>/dev/null && echo $(p)))
COMPARE_CFLAGS := $(if $(COMPARE_PKGS),$(shell $(PKG_CONFIG) --cflags $(COMPARE_PKGS)))
COMPARE_LIBS := $(if $(COMPARE_PKGS),$(shell $(PKG_CONFIG) --libs $(COMPARE_PKGS)))
TEST_CFLAGS := -Itests $(CHECK_CFLAGS) $(if $(IS_CLANG),-Wno-gnu-zero-variadic-macro-arguments)

# ---- rooms, lowest first ---------------------------------------------------------------------------------------------

LIB_ROOMS := base crypto model store mvcc exec engine
ROOMS := $(LIB_ROOMS) gateway cli app

# upto(room): the room and all below it
LADDER_base := base
LADDER_crypto := $(LADDER_base) crypto
LADDER_model := $(LADDER_crypto) model
LADDER_store := $(LADDER_model) store
LADDER_mvcc := $(LADDER_store) mvcc
LADDER_exec := $(LADDER_mvcc) exec
LADDER_engine := $(LADDER_exec) engine
LADDER_gateway := $(LADDER_engine) gateway
LADDER_cli := $(LADDER_engine) cli
LADDER_app := $(LADDER_gateway) app

# A room's sources lie in its folder or one below; main.c of app and cli is the program, not part of the room's archive.
room_src = $(sort $(wildcard src/$(1)/*.c src/$(1)/*/*.c))
obj = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
room_obj = $(call obj,$(filter-out src/%/main.c,$(call room_src,$(1))))
room_lib = $(OUT)/rooms/$(1).a
# Folders are prerequisites of archives: when a source goes away, its object goes too.
room_dirs = $(patsubst %/,%,$(wildcard src/$(1)/ src/$(1)/*/))
group = -Wl,--start-group $(1) -Wl,--end-group
comma := ,

LIB := $(OUT)/libsupervm.a
LIB_OBJ := $(foreach r,$(LIB_ROOMS),$(call room_obj,$(r)))
APP_MAIN := $(call obj,$(wildcard src/app/main.c))
CLI_MAIN := $(call obj,$(wildcard src/cli/main.c))
DAEMON := $(if $(APP_MAIN),$(BIN)/supervmd)
CLI := $(if $(CLI_MAIN),$(BIN)/supervm)

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_SUPPORT := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
UNIT_BIN := $(patsubst tests/unit/%.c,$(OUT)/tests/%,$(UNIT_SRC))

# Other test folders: a program is main_*.c, test_*.c or bench_*.c, or by the folder's own pattern; the folder's remaining
# .c files go into each.
PROG_fuzz := tests/fuzz/fuzz_*.c
PROG_demos := tests/demos/*_demo.c tests/demos/*_bench.c tests/demos/*_test.c
# What runs on the weaver is built as BUILD=weave and not otherwise.
WOVEN := weave sim
DIRS := $(filter-out unit $(if $(filter weave,$(BUILD)),,$(WOVEN)),$(sort $(patsubst tests/%/,%,$(dir $(wildcard tests/*/*.c)))))
dir_prog = $(sort $(wildcard tests/$(1)/main_*.c tests/$(1)/test_*.c tests/$(1)/bench_*.c $(PROG_$(1))))
dir_rest = $(filter-out $(call dir_prog,$(1)),$(sort $(wildcard tests/$(1)/*.c)))
# What tests/oracle shares (its reference model) is there for every such program, and for tests/unit/test_oracle_*.c.
SHARED := $(if $(wildcard tests/oracle/*.c),$(OUT)/rooms/tests-oracle.a)
DIR_BIN := $(foreach d,$(DIRS),$(patsubst tests/%.c,$(OUT)/%,$(call dir_prog,$(d))))

.PHONY: all lib daemon cli tests programs
all: lib daemon cli
lib: $(LIB)
daemon: $(DAEMON)
cli: $(CLI)
tests: $(UNIT_BIN)
programs: $(DIR_BIN)

# ---- compile ---------------------------------------------------------------------------------------------------------

# The flags of this kind: when they change, everything of the kind is compiled anew.
FLAGS_NOW := $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) | $(LDFLAGS_ALL)
FLAGS_FILE := $(OUT)/flags
ifneq ($(filter-out help clean format install check-source,$(or $(MAKECMDGOALS),all)),)
$(shell mkdir -p $(OUT); printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $(FLAGS_FILE) || printf '%s\n' '$(FLAGS_NOW)' >$(FLAGS_FILE))
endif
$(FLAGS_FILE): ;

# Results are moved into place, so that two makes in one tree never read half a file. An object that compiled with a
# warning is dated back: it is compiled again, and warns again, until it is clean. (So WERROR is not part of the flags.)
tmp = $@$(if $(filter cov,$(BUILD)),,.$$$$)
define compile
@mkdir -p $(@D)
@echo "  CC    $< ($(KIND))"
@t=$(tmp); $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(STRICT) $(1) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $$t $< 2>$@.err$$$$; rc=$$?; \
cat $@.err$$$$ >&2; test $$rc -ne 0 || ! grep -q 'warning:' $@.err$$$$ || touch -d @1 $$t; rm -f $@.err$$$$; \
test $$t = $@ || test $$rc -ne 0 || mv -f $$t $@; exit $$rc
endef

$(OUT)/obj/tests/%.o: tests/%.c $(FLAGS_FILE)
	$(call compile,$(TEST_CFLAGS))

$(OUT)/obj/%.o: %.c $(FLAGS_FILE)
	$(call compile)

# The commit is compiled into the few files that say it, and only they are compiled anew when it moves.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
COMMIT_OBJ := $(call obj,$(shell grep -l base/version.h src/*/*.c src/*/*/*.c 2>/dev/null))
ifneq ($(COMMIT)$(wildcard $(OUT)),)
$(shell printf '%s\n' '$(COMMIT)' | cmp -s - $(OUT)/commit 2>/dev/null || { test -d $(OUT) && printf '%s\n' '$(COMMIT)' >$(OUT)/commit; })
endif
$(OUT)/commit: ;
$(COMMIT_OBJ): $(OUT)/commit
$(COMMIT_OBJ): CPPFLAGS_ALL += -DVERSION_COMMIT='"$(COMMIT)"'

# Archives are made anew (q, not r): folders below a room may hold files of equal name.
define archive
@mkdir -p $(@D)
@echo "  AR    $@"
@t=$@.$$$$.a; $(AR) qcs $$t $(filter %.o,$^) && mv -f $$t $@
endef

define room_rules
$(call room_lib,$(1)): $(call room_obj,$(1)) $(call room_dirs,$(1))
	$$(archive)
.PHONY: room-$(1) test-$(1)
room-$(1): $(call room_lib,$(1)) ## compile one room
test-$(1): $(filter $(OUT)/tests/test_$(1)_% $(OUT)/tests/test_$(1),$(UNIT_BIN))
	@scripts/unit $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_rules,$(r))))

$(OUT)/rooms/tests-oracle.a: $(call obj,$(call dir_rest,oracle)) tests/oracle
	$(archive)

$(LIB): $(LIB_OBJ) $(foreach r,$(LIB_ROOMS),$(call room_dirs,$(r)))
	$(archive)

# ---- link ------------------------------------------------------------------------------------------------------------

define link
@mkdir -p $(@D)
@echo "  LINK  $@"
@t=$@.$$$$; $(CC) $(LDFLAGS_ALL) -o $$t $(filter %.o,$^) $(call group,$(filter %.a,$^)) $(1) $(LIBS_ALL) && mv -f $$t $@
endef

$(BIN)/supervmd $(OUT)/tests/test_app_heap: LIBS_ALL += $(HEAP_LIBS)
$(call obj,tests/unit/test_app_heap.c): CPPFLAGS_ALL += $(if $(HEAP_LIBS),-DHEAP_IS_JEMALLOC)
$(BIN)/supervmd: $(APP_MAIN) $(call room_obj,app) $(call room_obj,gateway) $(LIB)
	$(call link)

$(BIN)/supervm: $(CLI_MAIN) $(call room_obj,cli) $(LIB)
	$(call link)

# A unit test sees its room and those below, and the support files of tests/unit with its room's prefix (mvcc_fixture.c).
# A name without a known room sees the whole library.
test_room = $(or $(filter $(ROOMS),$(word 2,$(subst _, ,$(basename $(notdir $(1)))))),engine)
define unit_rule
$(patsubst tests/unit/%.c,$(OUT)/tests/%,$(1)): $(call obj,$(1)) \
    $(call obj,$(filter tests/unit/$(call test_room,$(1))_%.c,$(UNIT_SUPPORT))) \
    $(foreach r,$(LADDER_$(call test_room,$(1))),$(call room_lib,$(r))) $(if $(findstring /test_oracle_,$(1)),$(SHARED))
	$$(call link,$(CHECK_LIBS))
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(t))))

# The calls of the library that this one makes fail are led through it.
WRAPPED := malloc calloc realloc fsync fdatasync ftruncate mkdir rename renameat unlinkat write pwritev pread aligned_alloc strdup stat \
    fstat flock chmod opendir fopen pwrite open openat asprintf __asprintf_chk
$(OUT)/tests/test_store_failing: LDFLAGS_ALL += $(foreach f,$(WRAPPED),-Wl,--wrap=$(f))
WRAPPED_MEMORY := malloc calloc realloc aligned_alloc slab_take pool_take
$(filter %_memory,$(UNIT_BIN)): LDFLAGS_ALL += $(foreach f,$(WRAPPED_MEMORY),-Wl,--wrap=$(f))
$(OUT)/tests/test_engine_void: LDFLAGS_ALL += -Wl,--wrap=mvcc_seq_next -Wl,--wrap=mvcc_seq_next_many
$(OUT)/tests/test_mvcc_rare: LDFLAGS_ALL += -Wl,--wrap=qsbr_drain

define dir_rule
$(patsubst tests/%.c,$(OUT)/%,$(2)): $(call obj,$(2)) $(call obj,$(call dir_rest,$(1))) $(SHARED) $(LIB)
	$$(call link,$(CHECK_LIBS))
endef
$(foreach d,$(DIRS),$(foreach p,$(call dir_prog,$(d)),$(eval $(call dir_rule,$(d),$(p)))))
# The load generator is used by hand too: it has a place beside the programs.
LOAD := $(if $(filter release,$(KIND)),build/bench/load)
build/bench/load: $(OUT)/bench/bench_load
	@mkdir -p $(@D) && cp -f $< $@.$$$$ && mv -f $@.$$$$ $@
bench-programs: $(LOAD)
define dir_target
.PHONY: $(1)-programs
$(1)-programs: $(patsubst tests/%.c,$(OUT)/%,$(call dir_prog,$(1)))
endef
$(foreach d,$(DIRS),$(eval $(call dir_target,$(d))))

# The weaver stands in front of threads, clocks and memory.
WOVEN_CALLS := malloc calloc realloc aligned_alloc free strdup pthread_create pthread_join pthread_setname_np pthread_once sched_yield \
    pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_rwlock_unlock \
    pthread_cond_wait pthread_cond_timedwait pthread_cond_signal pthread_cond_broadcast nanosleep clock_gettime syscall getrandom
SIM_CALLS := mkdir open openat close fstat pread pwritev fdatasync fsync ftruncate renameat unlinkat opendir readdir closedir posix_fadvise
ifeq ($(BUILD),weave)
$(foreach d,$(WOVEN),$(eval $(patsubst tests/%.c,$(OUT)/%,$(call dir_prog,$(d))): LDFLAGS_ALL += $(patsubst %,-Wl$(comma)--wrap=%,$(WOVEN_CALLS) $(if $(filter sim,$(d)),$(SIM_CALLS)))))
$(patsubst tests/%.c,$(OUT)/%,$(call dir_prog,sim)): $(call obj,$(filter-out tests/weave/case_% $(call dir_prog,weave),$(wildcard tests/weave/*.c)))
else
.PHONY: $(WOVEN:%=%-programs)
$(WOVEN:%=%-programs):
	@$(MAKE) --no-print-directory BUILD=weave $@
endif

# The benchmark of the original's workloads has them from the demonstrations.
$(OUT)/bench/bench_original: $(call obj,$(filter-out $(call dir_prog,demos),$(wildcard tests/demos/*.c)))

# What is loaded in front of the C library, by LD_PRELOAD.
define shim
@mkdir -p $(@D)
@echo "  LINK  $@"
@t=$@.$$$$; $(CC) -std=c17 -g -O2 -fPIC -shared -pthread -D_GNU_SOURCE= $(WARN) $(STRICT) -Itests -o $$t $< && mv -f $$t $@
endef

# Failing calls stand in front of those of our own objects.
FAIL_CALLS := malloc calloc realloc aligned_alloc strdup mmap pthread_create open openat mkdir rename renameat unlinkat opendir fopen \
    read pread __pread_chk fstat statvfs write pwrite pwritev ftruncate fdatasync fsync
$(filter $(OUT)/fail/%,$(DIR_BIN)): LDFLAGS_ALL += $(patsubst %,-Wl$(comma)--wrap=%,$(FAIL_CALLS))

$(OUT)/fail/shim.so: tests/fail/shim/shim.c $(FLAGS_FILE)
	$(shim)
fail-programs: $(OUT)/fail/shim.so

# Power cuts: the drivers, roles and checker of tests/crash, below which a shim plays the disk.
$(filter $(OUT)/power/%,$(DIR_BIN)): $(call obj,$(filter-out tests/crash/main_% tests/crash/points.c,$(wildcard tests/crash/*.c)))
$(OUT)/power/shim.so: tests/power/shim/shim.c tests/power/tape.h $(FLAGS_FILE)
	$(shim)
power-programs: $(OUT)/power/shim.so

# tests/compare: SuperVM and others under the same workloads. The rig is that of tests/bench.
COMPARE_BIN := $(filter $(OUT)/compare/%,$(DIR_BIN))
$(COMPARE_BIN): $(call obj,tests/bench/rig.c tests/bench/latency.c)
$(COMPARE_BIN): LIBS_ALL += $(COMPARE_LIBS)
$(call obj,$(wildcard tests/compare/*.c)): CPPFLAGS_ALL += $(COMPARE_CFLAGS)
$(shell test -d $(OUT) && { printf '%s\n' '$(COMPARE_PKGS)' | cmp -s - $(OUT)/compare-packages || printf '%s\n' '$(COMPARE_PKGS)' >$(OUT)/compare-packages; })
$(OUT)/compare-packages: ;
$(call obj,$(wildcard tests/compare/*.c)): $(OUT)/compare-packages

# tests/fuzz: with BUILD=fuzz libFuzzer is the program, else tests/fuzz/replay.c is. The faces are under test too.
FUZZ_BIN := $(filter $(OUT)/fuzz/%,$(DIR_BIN))
$(FUZZ_BIN): LDFLAGS_ALL += $(if $(filter fuzz,$(BUILD)),-fsanitize=fuzzer)
$(FUZZ_BIN): $(call room_lib,gateway)
$(OUT)/fuzz/fuzz_options: $(call room_lib,app)
$(OUT)/fuzz/fuzz_log: $(call obj,tests/unit/store_bed.c)
$(OUT)/fuzz/fuzz_lanes: $(call obj,tests/lanes/cases.c)

# The demonstrations are where their names say, as build/bin is.
demos-programs: $(if $(filter release,$(KIND)),build/demos)
build/demos: | $(FLAGS_FILE)
	@ln -sfn release/demos $@

# ---- commands --------------------------------------------------------------------------------------------------------

.PHONY: help setup run demo demos stop test check check-source unit rpc-test crash-long power-long model bench bench-quick bench-full compare format install clean
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@echo "  make room-<name>    compile one room        make test-<room>    build and run its unit tests"
	@echo "  BUILD=$(subst $() ,|,$(KINDS))   CC=gcc|clang   WERROR=1"

setup:
	@scripts/setup run

run: ## a development node with a transaction on each path; DETACH=1 leaves it running
	@scripts/setup run
	@$(MAKE) --no-print-directory -j2 daemon cli BUILD=release CC=gcc
	@scripts/run $(if $(filter 1,$(DETACH)),detach,serve)

demo: ## the same, then stop
	@scripts/setup run
	@$(MAKE) --no-print-directory -j2 daemon cli BUILD=release CC=gcc
	@scripts/run demo

demos: demos-programs ## the original's nine demonstrations, each checks its own numbers
	@tests/demos/run

stop: ## stop the node that `make run DETACH=1` left running
	@scripts/run stop

test: ## everything CI runs
	@scripts/setup test
	@WERROR=$(WERROR) scripts/test

check: ## source checks, unit tests, RPC tests: under three minutes
	@WERROR=$(WERROR) scripts/test check

check-source: ## layers, format, sizes, words, drift, documentation: under thirty seconds
	@scripts/check-source

unit: ## build and run every unit test of this kind of build (BUILD=)
	@$(MAKE) --no-print-directory -k tests; built=$$?; scripts/unit $(UNIT_BIN) && exit $$built

rpc-test: all ## golden JSON-RPC exchanges and HTTP edge cases against a fresh node
	@tests/rpc/run

power-long: ## power cuts: 1,000 in each mode, and a longer log cut at every byte; goes on where it was stopped
	@tests/power/run long

crash-long: ## kill -9: 1,000 cycles in each mode and every named point 20 times; goes on where it was stopped
	@tests/crash/run long

.PHONY: fail-long valgrind
valgrind: ## every unit test under memcheck, the portable path: hours, a row in the ledger
	@scripts/setup test
	@scripts/valgrind

fail-long: ## failing calls: under the sanitizers, and every socket call of the daemon; ten minutes, a row in the ledger
	@tests/fail/run long

model: ## the protocol's models, searched exhaustively by spin within large bounds (minutes, 2 GiB)
	@scripts/setup test
	@tests/model/run full

.PHONY: mutants
mutants: ## each seeded defect against every kind of test: two at least have to find it; the table in docs/reliability.md, a row in the ledger
	@tests/mutants/run all --write

.PHONY: lanes-long
lanes-long: ## ten million signatures of all kinds, each verdict of the lanes beside libsodium's: ten minutes, a row in the ledger
	@tests/lanes/run long

.PHONY: history-long
history-long: ## a million operations against the running node in each durable mode, twenty kills each, checked for one serial order
	@tests/history/run long

.PHONY: overload-long soak
overload-long: ## more load than a node can take, clocks that leap, stops of 30 s; a row in the ledger
	@$(MAKE) --no-print-directory -j2 all build/bench/load
	@LONG=1 tests/overload/run

soak: ## mixed load with restarts for MINUTES (30): nothing lost, memory steady; build/soak.csv, a row in the ledger
	@$(MAKE) --no-print-directory -j2 all
	@tests/overload/soak.py $(or $(MINUTES),30)

sim: ## SEED=n: the simulation of one seed, with the end of its transcript; without: a thousand
	@tests/sim/run $(if $(SEED),seed $(SEED))

sim-long: ## the simulation of 10^5 seeds, taken up where it was left; SEEDS=n
	@tests/sim/run long $(SEEDS)

.PHONY: sim sim-long weave-long
weave-long: ## all interleavings of small tests of the code, and 10^7 random ones
	@tests/weave/run long

.PHONY: fuzz cov hash
cov: ## coverage by room beside what is asked: builds with counters, runs the tests; writes docs/reliability.md, a row in the ledger
	@scripts/setup test
	@scripts/cov

hash: ## the same state and receipts from gcc and clang, -O0, as released, -O3; a row in the ledger
	@scripts/setup test
	@tests/hash/run long

fuzz: ## every fuzz target for five minutes (MINUTES=n), two at a time, from where it was left; a row in the ledger
	@scripts/setup test
	@tests/fuzz/run long $(or $(MINUTES),5)

bench: ## what was asked beside what this machine shows: under 40 minutes, writes docs/benchmarks.md; ARGS='--only ROWS'
bench-quick: ## the same for a look: three minutes
bench-full: ## and the sweeps, with plots: an hour more, taken up where it was left
bench bench-quick bench-full:
	@scripts/setup bench
	@$(MAKE) --no-print-directory -j2 all bench-programs compare-programs demos-programs BUILD=release CC=gcc
	@scripts/bench $(patsubst bench-%,%,$(@:bench=table)) $(ARGS)

compare: ## the same workloads on RocksDB, LMDB, PostgreSQL and Redis; ARGS='--set quick'
	@scripts/setup bench
	@$(MAKE) --no-print-directory -j2 compare-programs BUILD=release CC=gcc
	@scripts/compare $(ARGS)

format: ## clang-format everything that is written by hand
	@find src include tests -path '*/gen' -prune -o -path '*/node_modules' -prune -o -name '*.[ch]' -print0 | xargs -0 clang-format -i

PREFIX ?= /usr/local
libdir = $(DESTDIR)$(PREFIX)/lib
install: all ## into PREFIX (default /usr/local), below DESTDIR
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(BIN)/supervmd $(BIN)/supervm
	install -D -m 644 -t $(libdir) $(LIB)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/include include/svm.h
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/include/svm include/svm/*.h
	install -d $(libdir)/pkgconfig $(libdir)/systemd/system
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: supervm' 'Description: the SuperVM engine as a library' 'Version: $(VERSION)' \
	    'Requires: libsodium rocksdb' 'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lsupervm -pthread -lm' \
	    >$(libdir)/pkgconfig/supervm.pc
	sed 's#/usr/bin/supervmd#$(PREFIX)/bin/supervmd#' conf/supervmd.service >$(libdir)/systemd/system/supervmd.service
	install -D -m 644 -t $(libdir)/sysusers.d conf/sysusers.d/supervm.conf
	install -D -m 644 -t $(libdir)/tmpfiles.d conf/tmpfiles.d/supervm.conf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/supervm README.md LICENSE $(wildcard conf/supervm.conf)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/supervm/docs docs/*.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/supervm/docs/rpc docs/rpc/*.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/supervm/docs/decisions docs/decisions/*.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/supervm/docs/plots docs/plots/*.svg

clean: ## remove build/
	rm -rf build

-include $(patsubst %.o,%.d,$(wildcard $(OUT)/obj/*/*/*.o $(OUT)/obj/*/*/*/*.o))
