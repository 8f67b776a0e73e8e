# Builds, installs and regression-tests the extension with PGXS:
#   make && sudo make install && make installcheck PGUSER=postgres
# The parallel-loader program and the unit tests are built by CMakeLists.txt.

EXTENSION     = parallel_loader
MODULE_big    = parallel_loader
DATA          = $(wildcard extension/sql/parallel_loader--*.sql)
# Tests update from older versions, whose scripts nobody else needs: make install OLD_VERSIONS=1
ifeq ($(OLD_VERSIONS),1)
DATA         += $(wildcard tests/old_versions/parallel_loader--*.sql)
endif
SOURCES       = $(sort $(shell find core extension -name '*.cpp'))
OBJS          = $(SOURCES:.cpp=.o)
# Without this list every C++ name of ours would be visible to all other libraries of the backend.
SHLIB_EXPORTS = exports.txt

REGRESS       = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS  = --load-extension=dblink --load-extension=parallel_loader

PG_CONFIG    ?= pg_config
# -isystem: the server's headers warn (g++) or fail (clang, "register") as C++20 with plain -I.
PG_CPPFLAGS   = -I. -isystem $(shell $(PG_CONFIG) --includedir-server) -I$(libpq_srcdir)
# -MMD -MP: PGXS tracks no dependencies by itself; a changed header must rebuild its users.
PG_CXXFLAGS   = -std=c++20 -Wall -Wextra -Wno-register -MMD -MP
# For clang++: macros of the server count in volatile variables, and its own flags are those of the
# compiler that built it.
PG_CXXFLAGS  += $(if $(findstring clang,$(CXX)),-Wno-deprecated-volatile -Wno-unknown-warning-option)
ifeq ($(WERROR),1)
PG_CXXFLAGS  += -Werror
endif
# What the environment adds to the compiler's options (COPT) reaches C alone by itself.
PG_CXXFLAGS  += $(COPT)
# PGXS links with the C compiler.
SHLIB_LINK    = $(libpq) -lstdc++
# For a server that has loaded the sanitizers' libraries first, as `scripts/test sanitize` does.
ifeq ($(SANITIZE),1)
SANITIZERS    = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
PG_CXXFLAGS  += $(SANITIZERS)
SHLIB_LINK   += $(SANITIZERS)
endif
# Bitcode serves the JIT inlining of SQL functions only, and its rule lacks our C++ standard.
override with_llvm = no

# What the TAP tests load into a server beside the extension: some of its own code, by SQL.
TEST_MODULE   = tests/module/heap_rows.so
TEST_SOURCES  = $(sort $(wildcard tests/module/*.cpp))
TEST_OBJS     = $(TEST_SOURCES:.cpp=.o)
# The file with the library's entry points would have a second one be the extension.
TEST_ARCHIVE  = tests/module/extension.a
TEST_ARCHIVED = $(filter-out extension/functions/pull_functions.o,$(OBJS))

EXTRA_CLEAN   = $(OBJS:.o=.d) exports.list tmp_check $(TEST_MODULE) $(TEST_OBJS) \
  $(TEST_OBJS:.o=.d) $(TEST_ARCHIVE)

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(TEST_ARCHIVE): $(TEST_ARCHIVED)
	rm -f $@
	$(AR) crs $@ $^

# --exclude-libs: what comes from the archive stays hidden, as it does in the extension.
$(TEST_MODULE): $(TEST_OBJS) $(TEST_ARCHIVE)
	$(CXX) $(CXXFLAGS) -shared -o $@ $^ $(LDFLAGS) -Wl,--exclude-libs,ALL $(SHLIB_LINK)

.PHONY: test-module
test-module: $(TEST_MODULE)

# The TAP tests start clusters of their own, so they are no part of `installcheck`, which needs
# nothing but a running server. They refuse to run as root, as the server does.
PROVE_TESTS ?= tests/tap/*.pl
.PHONY: tapcheck
tapcheck: test-module
	$(prove_installcheck)

# The committed tree as PGXN takes it.
DIST_NAME     = $(EXTENSION)-$(shell sed -n 's/^  "version": "\(.*\)",/\1/p' META.json)
DIST_FOLDER  ?= .
.PHONY: dist
dist:
	git archive --format=zip --prefix=$(DIST_NAME)/ --output=$(DIST_FOLDER)/$(DIST_NAME).zip HEAD

# For tools that read C++ as the compiler named in CXX does.
.PHONY: show-flags
show-flags:
	@:$(info $(CPPFLAGS) $(CXXFLAGS))

# What the library expects to be installed in the database.  For the one file that compares it: a new
# version does not compile the others anew.
SQL_VERSION  := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" parallel_loader.control)
extension/server/base/installed_version.o: parallel_loader.control
extension/server/base/installed_version.o: override CPPFLAGS += -DPARALLEL_LOADER_VERSION='"$(SQL_VERSION)"'

-include $(OBJS:.o=.d) $(TEST_OBJS:.o=.d)
