# The front door: each target is one thing that people do.  CMake does the work
# (CMakePresets.json), in build/PRESET.
#
#   make            release build             make test        what must pass before a commit
#   make demo       see it work               make check-long  sanitizers, CPU levels, fuzzing
#   make install PREFIX=/usr/local DESTDIR=   make fuzz        long fuzzing, FUZZ_SECONDS each
#   make bench MODEL=FOLDER     time it       make format, make lint, make clean

PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 600
MODEL ?= default

.PHONY: all test demo install check-long fuzz bench format lint clean
.NOTPARALLEL:

all:
	@tools/install_packages.sh build
	@tools/build.sh release -j $(JOBS)

test:
	@tools/run_tests.sh -j $(JOBS)

demo: all
	@tools/install_packages.sh demo
	@tools/demo.sh build/release

install: all
	@cmake -S . -B build/release -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build build/release -j $(JOBS)
	DESTDIR="$(DESTDIR)" cmake --install build/release

check-long:
	@tools/install_packages.sh build test
	@tools/check_long.sh -j $(JOBS)

fuzz:
	@tools/install_packages.sh build test
	@tools/build.sh fuzz -j $(JOBS)
	@tools/fuzz.sh build/fuzz $(FUZZ_SECONDS)

bench: all
	@build/release/s3r bench --dtype both -m $(MODEL)

format:
	@find include src cli examples tests fuzz tools -name '*.[ch]' | xargs clang-format -i

lint: all
	@tools/lint.sh build/release

clean:
	rm -rf build
