// mover: what moves tables: the commands of the program, whoever carries them out.
#pragma once

#include "core/base/quote.hpp"
#include "orchestrator/run/run_view.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// What is to be done with one table: the arguments that the SQL functions share.
struct TableTask {
  QualifiedName source_table;
  QualifiedName table; // on the destination
  std::optional<std::string> key;
  std::optional<std::vector<std::string>> columns;
  std::optional<std::string> filter;     // SQL, on the source
  std::optional<std::string> chunk_size; // as the extension reads it
  std::optional<std::string> snapshot;   // of the source, exported by somebody else
  std::optional<std::string> window;     // append alone
  std::string format = "auto";
  std::optional<int> workers = {}; // that share the table; as the server is set
  /// A plan is refused with 55000 where the source is not that of this pull; 0: any source.
  int64_t same_source_as = 0;
};

/// How a pull comes into a run.
struct Creation {
  int64_t run_id = 0;        // 0: a new one
  bool is_followed = false;  // more pulls are to come into it
  int tables_to_come = 0;    // by this command or, of a run that is not complete, by another one
  int64_t continued_run = 0; // whose missing tables a new run loads; 0: none
  bool is_altered = false;   // at once: refused to those who may not
  /// Error 55006 where a pull of the table goes on, or has loaded rows and ended after that time of
  /// the destination; empty: it may.
  std::string sole_since = {};
};

struct PlannedChunk {
  int number = 0;
  std::string start; // empty: open, like the next
  std::string end;
  bool nulls = false;
  int64_t estimated_rows = 0;
  int64_t estimated_bytes = 0;
  std::string relation;
  std::string route;
  std::string route_reason;
};

struct VerifiedRange {
  int number = 0;
  std::string start;
  std::string end;
  bool nulls = false;
  int64_t source_rows = 0;
  int64_t local_rows = 0;
  bool matches = false;
};

/// The task that the pull is about, to be done again or compared; nullopt when its names cannot be
/// read.  Binary is what its columns were fit for then.
[[nodiscard]] std::optional<TableTask> task_of(const PullView &pull);

/// Takes what a server says meanwhile.
using TakeNotice = std::function<void(std::string_view message, std::string_view hint)>;

/// The answer of many pulls takes more memory than what is kept of them.
inline constexpr size_t kPullsAtOnce = 500;

/// What a load calls beside what it cannot do without.
struct LoadCalls {
  bool alters = false; // a limit of its rate
  bool checks = false; // before tables are emptied
  bool verifies = false;
};

/// One session's view of the destination and of how it moves tables.  Every call is a transaction
/// of its own there.  Each throws Failure when a server cannot be reached, and Error with the
/// SQLSTATE of what went wrong.  Not for two threads at once.
class Mover {
public:
  virtual ~Mover() = default;

  /// `extension`; `client` moves rows through the program itself.
  [[nodiscard]] virtual std::string_view via() const noexcept = 0;

  /// Throws 42501, with the GRANT that is missing, unless pulls may be created and worked on, and
  /// what else is called.
  virtual void require_rights(const LoadCalls &calls) = 0;

  // About one table.
  /// Plans and records a pull; moves nothing.  Returns its id.
  [[nodiscard]] virtual int64_t create(const TableTask &task, const Creation &creation,
                                       const TakeNotice &take) = 0;
  [[nodiscard]] virtual std::vector<PlannedChunk> plan(const TableTask &task) = 0;
  [[nodiscard]] virtual std::vector<CheckItem> check(const TableTask &task) = 0;
  [[nodiscard]] virtual std::vector<VerifiedRange> verify(const TableTask &task) = 0;
  /// Sets the sequences of the table, or without one of all tables; `take` is told of those that it
  /// could not set.
  [[nodiscard]] virtual std::vector<SequenceView>
  set_sequences(const std::optional<QualifiedName> &table, const TakeNotice &take) = 0;
  /// Returns how many rows were new.
  [[nodiscard]] virtual int64_t append(const TableTask &task, const TakeNotice &take) = 0;

  // About pulls in the ledger.
  /// All pulls of the run, or of all runs for 0, the oldest first.
  [[nodiscard]] virtual std::vector<PullView> read_run(int64_t run_id) = 0;
  /// These pulls, kPullsAtOnce at the most; those that are not there are left out.
  [[nodiscard]] virtual std::vector<PullView> read_pulls(std::span<const int64_t> pull_ids) = 0;
  /// The pull's chunks, in their order.
  [[nodiscard]] virtual std::vector<ChunkView> read_chunks(int64_t pull_id) = 0;
  /// How many chunks the pull was cut into.
  [[nodiscard]] virtual int chunk_count(int64_t pull_id) = 0;
  /// Moves chunks of any pull of the run that `pull_id` is in, until none is left.
  virtual void work(int64_t pull_id, const TakeNotice &take) = 0;
  /// `workers` 0 pauses; `max_rate_kb` 0: no limit.
  virtual void alter(int64_t pull_id, std::optional<int> workers,
                     std::optional<int> max_rate_kb) = 0;
  /// False when it had ended already.
  [[nodiscard]] virtual bool cancel(int64_t pull_id) = 0;
  /// Goes on with a pull that has ended unfinished, and waits for it.
  virtual void resume(int64_t pull_id, bool takes_new_snapshot, const TakeNotice &take) = 0;
};

} // namespace parallel_loader
