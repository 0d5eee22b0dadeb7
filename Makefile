# `make help` lists the targets. One file, not recursive; every object of every variant goes under build/<variant>/.
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
VARIANT ?= release
B       := $(BUILD)/$(VARIANT)

# The folders, lowest first; each becomes lib<name>.a and has tests in tests/<name>/.
MODULES := base rtp sdp ice dtls core api kurento
DIR_base := core/base
DIR_rtp  := rtp
DIR_sdp  := rtp/sdp
DIR_ice  := ice
DIR_dtls := dtls
DIR_core := core
DIR_api  := api
DIR_kurento := api/kurento
# Tests of several modules together: tests/<name>/ without a folder of its own.
SUITES   := rooms bench
# What a module's programs link with, in link order.
NEED_base := base
NEED_rtp  := rtp base
NEED_sdp  := sdp rtp base
NEED_ice  := ice base
NEED_dtls := dtls base
NEED_core := core dtls ice rtp base
NEED_api  := api core sdp dtls ice rtp base
NEED_kurento := kurento $(NEED_api)
NEED_rooms := $(NEED_api)
NEED_bench := load sdp dtls ice rtp base
# Modules whose objects open no socket, read no clock, start no thread: `make layers` asks nm.
SANS_IO   := rtp sdp ice dtls

LIBS_base := -lmbedcrypto -pthread
LIBS_dtls := -lmbedtls -lmbedx509 -lsrtp2
# intel-ipsec-mb is for amd64 only; `make MB=` builds without it there, too.
MB        ?= $(findstring x86_64,$(shell $(CC) -dumpmachine))
LIBS_dtls += $(if $(MB),-lIPSec_MB)
LIBS_core := -luv -lyaml
LIBS_load := -lcjson
LIBS_api  := -lwebsockets -lcjson -lmbedtls -lmbedx509
LIBS_kurento := -lm

WARN    := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CFLAGS_release := -O2 -g
CFLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan    := -O1 -g -fsanitize=thread
CFLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
CFLAGS         ?= $(CFLAGS_$(VARIANT))
ALL_CFLAGS     := -std=c11 -D_GNU_SOURCE -I. -I$(B) -MMD -MP $(WARN) $(CFLAGS)
ALL_CFLAGS     += -DSL_HAVE_MB=$(if $(MB),1,0)

src   = $(filter-out core/main.c,$(wildcard $(DIR_$1)/*.c))
objs  = $(patsubst %.c,$(B)/%.o,$1)
libs  = $(foreach m,$(NEED_$1),$(B)/lib$m.a)
links = $(foreach m,$(NEED_$1),$(LIBS_$m))
TESTLIB := $(call objs,tests/runner.c $(wildcard tests/lib/*.c))
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzzmod = $(firstword $(subst _, ,$1))

all: $(B)/sluice                              ## build the server

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

# The page is embedded by .incbin, which the compiler does not report.
$(B)/api/assets.o: $(wildcard api/web/*)

# Tables that are written by a program: from Kurento's interface descriptions.
KMD          := api/kurento/kmd
MADE_kurento := $(B)/kurento_tables.o
$(B)/kurento_tables.c: $(KMD)/compile.py $(wildcard $(KMD)/*.json $(KMD)/*/*.json)
	@mkdir -p $(@D)
	python3 $(KMD)/compile.py $(KMD) $@
$(B)/kurento_tables.o: $(B)/kurento_tables.c
	$(CC) $(ALL_CFLAGS) -c $< -o $@

define library
$(B)/lib$1.a: $$(call objs,$$(call src,$1)) $$(MADE_$1)
	@rm -f $$@
	$$(AR) rcs $$@ $$^
endef
# Fakes of another module's tests.
FAKES_kurento := $(addprefix tests/api/,fake_core.c rig.c wsclient.c)
define unit
$(B)/unit-$1: $$(call objs,$$(wildcard tests/$1/*.c) $$(FAKES_$1)) $$(TESTLIB) $$(call libs,$1)
	$$(CC) $$(CFLAGS) $$^ -o $$@ $$(call links,$1) -lcmocka
unit-$1: $(B)/unit-$1
	$(B)/unit-$1
	$(B)/unit-$1 --oom
endef
$(foreach m,$(MODULES),$(eval $(call library,$m)))
$(foreach m,$(MODULES) $(SUITES),$(eval $(call unit,$m)))

$(B)/sluice: $(B)/core/main.o $(call libs,kurento)
	$(CC) $(CFLAGS) $^ -o $@ $(call links,kurento)

FUZZ_FAKES_kurento := tests/api/fake_core.c
define fuzzer
$(B)/replay-$1: $(B)/tests/fuzz/fuzz_$1.o $(B)/tests/fuzz/replay.o $$(call objs,$$(FUZZ_FAKES_$(call fuzzmod,$1))) $$(call libs,$(call fuzzmod,$1))
	$$(CC) $$(CFLAGS) $$^ -o $$@ $$(call links,$(call fuzzmod,$1))
$(B)/fuzz-$1: $(B)/tests/fuzz/fuzz_$1.o $$(call objs,$$(FUZZ_FAKES_$(call fuzzmod,$1))) $$(call libs,$(call fuzzmod,$1))
	$$(CC) $$(CFLAGS) -fsanitize=fuzzer $$^ -o $$@ $$(call links,$(call fuzzmod,$1))
replay-$1: $(B)/replay-$1
	$(B)/replay-$1 $1 tests/fuzz/corpus/$1
endef
$(foreach f,$(FUZZ),$(eval $(call fuzzer,$f)))

SOURCES = $(shell find $(wildcard core rtp ice dtls codecs record rtsp api) -name '*.[ch]')
layers: $(foreach m,$(SANS_IO),$(call objs,$(call src,$m)))  ## check that folders depend only on what lies below
	@nm -u -A $^ > $(B)/undefined.nm
	@awk -f tests/layers.awk $(SOURCES) $(B)/undefined.nm && echo "layers: 1 passed, 0 failed"
	@CC="$(CC)" sh tests/layers_test.sh

# ---- what people type ----

JOBS      ?= $(shell nproc)
FUZZ_TIME ?= 60
SOAK_TIME ?= 600
TESTS      = BUILD="$(BUILD)" JOBS="$(JOBS)" CC="$(CC)" SOAK_TIME="$(SOAK_TIME)" tests/run-all
QUIET      = $(MAKE) --no-print-directory -j$(JOBS)

run:                                          ## install what is missing, build, start the server (ARGS=flags)
	@dist/install-packages run >&2
	@$(QUIET) VARIANT=release $(BUILD)/release/sluice >&2
	@exec $(abspath $(BUILD)/release/sluice) $(ARGS)

test:                                         ## install what is missing, run everything that is tested
	@dist/install-packages run test
	@+$(TESTS) test

check:                                        ## the fast part: unit tests, simulation, layers
	@+$(TESTS) check

asan:                                         ## unit tests, corpora and four end-to-end rows under ASan and UBSan
	@+$(TESTS) asan

tsan:                                         ## simulation, and joins and leaves on two loops, under TSan
	@+$(TESTS) tsan

soak:                                         ## joins, leaves and end-to-end rows for SOAK_TIME seconds
	@+$(TESTS) soak

fuzz:                                         ## each fuzz target for FUZZ_TIME seconds
	@$(QUIET) VARIANT=fuzz CC=clang $(FUZZ:%=$(BUILD)/fuzz/fuzz-%)
	@for f in $(FUZZ); do \
		mkdir -p $(BUILD)/fuzz/found/$$f && echo "== $$f" && \
		$(BUILD)/fuzz/fuzz-$$f -max_total_time=$(FUZZ_TIME) -timeout=10 -max_len=8192 -print_final_stats=0 \
			-artifact_prefix=$(BUILD)/fuzz/crash-$$f- $(BUILD)/fuzz/found/$$f tests/fuzz/corpus/$$f || exit 1; \
	done

# ---- benchmarks ----

$(B)/libload.a: $(call objs,$(wildcard bench/load_*.c))
	@rm -f $@
	$(AR) rcs $@ $^
$(B)/sluice-load: $(B)/bench/load.o $(call libs,bench)
	$(CC) $(CFLAGS) $^ -o $@ $(call links,bench)

$(B)/bench-floor: $(B)/bench/floor.o $(call libs,base)
	$(CC) $(CFLAGS) $^ -o $@ -lIPSec_MB -lsrtp2 $(call links,base)

NEED_micro := sdp core dtls ice rtp base
$(B)/micro: $(B)/bench/micro.o $(call libs,micro)
	$(CC) $(CFLAGS) $^ -o $@ $(call links,micro)

BENCH_PARTS = $(BUILD)/release/sluice $(BUILD)/release/sluice-load $(if $(MB),$(BUILD)/release/bench-floor)
bench:                                        ## measure sluice against janus and the machine's floor (BENCH=flags)
	@dist/install-packages run bench
	@$(QUIET) VARIANT=release $(BENCH_PARTS) >&2
	@python3 bench/run.py --build $(BUILD)/release $(BENCH)

bench-smoke:                                  ## every scenario of the benchmark, small, for correctness only
	@$(QUIET) VARIANT=release $(BUILD)/release/sluice $(BUILD)/release/sluice-load >&2
	@python3 bench/run.py --build $(BUILD)/release --smoke

bench-micro: $(B)/micro                       ## timers and parsing, times per second
	@$(B)/micro tests/fuzz/corpus/sdp_answer/chromium.sdp

# The cipher is left out: the program stands in for it.
$(B)/micro_forward: $(B)/bench/micro_forward.o $(call libs,core)
	$(CC) $(CFLAGS) $^ -o $@ -Wl,--wrap=sl_srtp_seal,--wrap=sl_srtp_open $(call links,core)

bench-micro-forward: $(B)/micro_forward       ## instructions per forwarded packet, by callgrind
	@for n in 50 100; do \
		packets=$$(valgrind -q --tool=callgrind --collect-atstart=no --toggle-collect=measured \
			--callgrind-out-file=$(B)/micro_forward.$$n.out $(B)/micro_forward $$n) && \
		awk -v n=$$n -v packets=$$packets '/^(summary|totals):/ { count = $$2 } END { \
			printf "micro_forward: %d players: %.1f instructions per forwarded packet\n", n, count / packets }' \
			$(B)/micro_forward.$$n.out || exit 1; \
	done

$(B)/micro_srtp: $(B)/bench/micro_srtp.o $(call libs,dtls)
	$(CC) $(CFLAGS) $^ -o $@ $(call links,dtls)
bench-micro-srtp: $(B)/micro_srtp             ## packets per second that each SRTP transform seals
	$(B)/micro_srtp

list-modules:
	@echo $(MODULES) $(SUITES)
list-fuzz:
	@echo $(FUZZ)

# Headers are laid out by hand: their columns of remarks are for reading.
format:                                       ## lay the code out by .clang-format
	clang-format -i $(filter %.c,$(COMPILED))

COMPILED = $(filter %.c,$(SOURCES)) $(shell find bench tests -name '*.c' -not -path '*/node_modules/*')
compile_commands.json: Makefile               ## for editors and clang-tidy
	@printf '%s\n' $(COMPILED) | awk -v dir="$(CURDIR)" -v cc="$(CC) $(filter-out -MMD -MP -Werror,$(ALL_CFLAGS)) -c" ' \
		BEGIN { printf "[" } \
		{ printf "%s\n{\"directory\":\"%s\",\"file\":\"%s\",\"command\":\"%s %s\"}", sep, dir, $$0, cc, $$0; sep = "," } \
		END { print "\n]" }' >$@

tidy: compile_commands.json                   ## clang-tidy over the product
	@printf '%s\n' $(filter %.c,$(SOURCES)) | xargs -P $(JOBS) -n 1 clang-tidy -p . --quiet && echo "tidy: 1 passed, 0 failed"

install: $(B)/sluice $(B)/sluice-load         ## into DESTDIR and PREFIX
	install -D -m 755 $(B)/sluice $(DESTDIR)$(PREFIX)/bin/sluice
	install -D -m 755 $(B)/sluice-load $(DESTDIR)$(PREFIX)/bin/sluice-load
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/sluice/README.md
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/sluice/LICENSE

clean:                                        ## remove what was built
	rm -rf $(BUILD) compile_commands.json

help:                                         ## this list
	@awk -F'[:#]+' '/^[a-z_.-]+:.*##/ {printf "  %-24s%s\n", $$1, $$NF}' Makefile

.PHONY: all help run test check asan tsan soak fuzz bench bench-smoke bench-micro bench-micro-forward format tidy install clean layers compile_commands.json list-modules list-fuzz
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
