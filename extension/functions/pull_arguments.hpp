// pull_arguments: the arguments that the functions which begin a pull share, as a request.
#pragma once

#include "extension/bridge/request.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/server/sql/arguments.hpp"

#include <string>

namespace parallel_loader {

/// Where each argument stands in the function's list; -1: it has none.
struct ArgumentLayout {
  int start = -1;
  int end = -1;
  int key;
  int source_table;
  int columns;
  int filter;
  int workers;
  int format = -1;
  int snapshot = -1;
  int chunk_size = -1;
  int run_id = -1;
  int window = -1;
};

/// Of parallel_pull_table, and of every function that takes the same arguments.
inline constexpr ArgumentLayout kTableLayout = {.key = 2,
                                                .source_table = 3,
                                                .columns = 4,
                                                .filter = 5,
                                                .workers = 6,
                                                .format = 7,
                                                .snapshot = 8,
                                                .chunk_size = 9};

/// A text argument; empty for NULL.
[[nodiscard]] std::string text_argument(FunctionCallInfo fcinfo, int number);

/// The first argument, a pull's id.  Throws Error 22004 for NULL.
[[nodiscard]] int64_t pull_id_argument(FunctionCallInfo fcinfo);

/// Where src_dsn stands in the functions that need it.
inline constexpr int kSourceArgument = 0;

/// Reads src_dsn, which must not be NULL (22004).
[[nodiscard]] std::string read_source_argument(FunctionCallInfo fcinfo);

/// The id that the setting of this name has; 0: none.  Throws Error 22023 where it is not one.
[[nodiscard]] int64_t id_setting(const char *name, const std::string &value);

/// How the caller's session reads and writes values, into `request`.
void read_session(Request &request);

/// As read_request, without the source: its address is for the caller to resolve.  With kLook the
/// destination need only exist (42P01).
[[nodiscard]] Request read_local_request(FunctionCallInfo fcinfo, const ArgumentLayout &layout,
                                         RequestKind kind);

/// Checks the call as far as it can be without asking the source, and makes it a request.
/// Throws Error 22004 (src_dsn or table NULL), 22023 (workers, format, chunk_size), what
/// resolve_source throws, and PgError for the destination: see destination_table_check and
/// lock_trap.
[[nodiscard]] Request read_request(FunctionCallInfo fcinfo, const ArgumentLayout &layout,
                                   RequestKind kind);

/// Has the request read under the snapshot of its run.  Throws Error 42704 when there is no such
/// run, 55000 when it holds no snapshot.
void join_run(Request &request);

/// The request to go on with a pull that is in the ledger.  An empty `src_dsn` is the source that
/// the ledger names, or, while the pull's snapshot is held, the one its coordinator was given.
/// Throws as read_request does.
[[nodiscard]] Request resume_request(const FoundPull &found, const std::string &src_dsn,
                                     bool new_snapshot);

} // namespace parallel_loader
