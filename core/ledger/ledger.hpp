// ledger: the SQL of the ledger's tables pull and chunk, over an Executor.
#pragma once

#include "core/ledger/ledger_executor.hpp"
#include "core/ledger/pull_state.hpp"
#include "core/plan/plan.hpp"
#include "core/plan/range.hpp"
#include "core/source/column_map.hpp"
#include "core/source/source_session.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

enum class PullKind { kPull = 1, kAppend };

/// A pull as it is first written down, before the source is known.  Values are as the caller gave
/// them; text that is empty is stored as NULL.
struct PullRequest {
  int64_t run_id = 0; // 0: a run of its own
  uint32_t owner = 0;
  uint32_t table = 0;
  std::string source; // display form: never with a password
  std::string source_table;
  std::string key;
  std::optional<std::string> start;
  std::optional<std::string> end;
  std::optional<std::vector<std::string>> columns;
  std::string filter;
  std::string format;
  int workers = 0;
  int64_t chunk_bytes = 0;
  std::string timezone;
  std::string date_order;
  int64_t segment = 0; // the coordinator's shared memory, for sessions that join or watch
  PullKind kind = PullKind::kPull;
  std::string search_path; // of the caller's session, in which rows are written
  std::string replication_role;
  int64_t coordinator = 0;   // that works on it, by the key of its lock; 0: its own
  bool begins_run = false;   // its own coordinator is a run's, with a key below 0
  int tables_to_come = 0;    // of its run, as far as the client has said
  int64_t continued_run = 0; // whose tables that were to come are in the new run; 0: none
};

/// What the caller of a pull named, where the plan's choice stands in its place: a pull of which
/// nothing is done yet can be planned anew by it.
struct PullWish {
  std::string key;
  std::optional<std::vector<std::string>> columns;
  std::string format; // empty: not known, as the pull is of an earlier version
  std::string bound_type;
};

/// How a resume changes the chunks of a pull.
enum class ChunkChange {
  kNone,
  kAdded,    // to those that are there
  kReplaced, // they were planned anew
};

/// A relation of the source that chunks are read from.
struct ChunkRelation {
  std::string relation; // see PlannedChunk
  uint32_t oid = 0;     // 0: not recorded, as by an earlier version
  bool is_done = false; // with all chunks
};

/// Word to the caller of a pull; empty: none.
struct PlanNotice {
  std::string message;
  std::string hint;
};

/// What the plan adds to a pull.
struct PullPlan {
  QualifiedName source_table;
  std::string key;        // Key::text(); empty for one piece
  std::string key_reason; // why that key, in sentences; not recorded
  std::string bound_type;
  Format format = Format::kText;
  std::vector<std::string> columns;
  HeldSnapshot snapshot;
  FilterPath source_path; // of the request's filter, if it has one
  SourceIdentity identity;
  SnapshotBounds bounds;
  std::string relations; // of the source's table, see read_relations; empty where not known
  int source_version = 0;
  std::string source_shape; // see core/source/column_shape; empty: a pull of an earlier version
  std::string local_shape;  // likewise
  PullWish wish;
  PlanNotice notice; // not recorded
  std::vector<PlannedChunk> chunks;
  std::optional<bool> began_empty;               // the local table; nullopt: not known
  ChunkChange chunk_change = ChunkChange::kNone; // by a resume
  // By a resume of a pull of an earlier version, which recorded neither OIDs nor shapes.
  std::vector<ChunkRelation> found_relations;
  bool has_new_shape = false; // by a resume
};

/// What a resume has to know of a pull.
struct RecordedPull {
  PullRequest request;
  PullPlan plan;                         // without its chunks
  PullState state = PullState::kPlanned; // in the ledger
  int64_t max_rate_kb = 0;               // 0: no limit
  bool shares_snapshot = false;          // with other pulls of its run
  bool is_held = false;                  // a coordinator has the snapshot; not of the ledger
};

struct ClaimedChunk {
  int64_t pull_id = 0;
  int number = 0;
  int64_t byte_estimate = 0;
  Range range;
  std::string relation;      // see PlannedChunk
  uint32_t relation_oid = 0; // likewise; 0: a pull of an earlier version
};

struct ChunkResult {
  int64_t row_count = 0;
  int64_t byte_count = 0;
  std::string_view route;
  std::string route_reason;         // why not the faster one, or empty
  std::string local_relations = {}; // that the rows went into, see core/ledger/local_relations.hpp
  double started = 0;               // when it was claimed, in seconds since 1970; 0: not known
  int copied_by = 0;                // the process that has done it; 0: not known
};

/// What has ended a pull; all empty where no error did.
struct PullError {
  std::string sqlstate = {};
  std::string message = {};
  std::string detail = {};
  std::string hint = {};
};

struct FailedAttempt {
  std::string sqlstate;
  std::string message;
  bool is_final = false; // it is not to be repeated
};

/// Every call runs its statements in the Executor's current transaction.
class Ledger {
public:
  explicit Ledger(Executor &executor, std::string_view schema = kExtensionSchema)
      : executor_(executor, schema) {}

  /// Returns the new pull's id; its state is `planned`.
  [[nodiscard]] int64_t create_pull(const PullRequest &request);
  /// Stores the plan and its chunks (numbered from 1).
  void record_plan(int64_t pull_id, const PullPlan &plan);
  /// Reads back what a worker needs of record_plan; the chunks stay in the ledger, to be claimed.
  /// Throws Error 42704 when there is no such pull.
  [[nodiscard]] PullPlan load_plan(int64_t pull_id);
  /// Reads back all of a pull but its chunks.  Throws Error 42704 when there is no such pull.
  [[nodiscard]] RecordedPull load_pull(int64_t pull_id);
  /// What the pull's chunks are read from, each relation once.
  [[nodiscard]] std::vector<ChunkRelation> relations(int64_t pull_id);
  /// A pull without coordinator becomes `running` again (as change_state), under the snapshot of
  /// `plan`; chunks that failed are planned again.
  void resume_pull(int64_t pull_id, int64_t segment, const PullPlan &plan);
  /// The same for one of which every chunk is done, so that it needs no snapshot.  Unless the
  /// source was seen to flush what its snapshot showed, no append can begin there from now on.
  void reopen_pull(int64_t pull_id, int64_t segment);
  /// The source has flushed what the pull's snapshot showed.
  void note_flushed(int64_t pull_id);
  /// It may not have: no append can begin there.
  void forget_bounds(int64_t pull_id);
  /// True of a pull at whose snapshot an append could begin, had its bounds not been forgotten.
  [[nodiscard]] bool has_lost_bounds(int64_t pull_id);
  /// Why the snapshot of a pull that has failed is held no longer.
  void note_hold_ended(int64_t pull_id, std::string_view reason);
  /// Writes the state that the event leads to.  Throws Error 55000 when the pull is in none of
  /// those in which this actor may write it (see pull_state.hpp).
  void change_state(int64_t pull_id, PullEvent event, PullActor actor);
  /// Remembers limits for a resume; nullopt leaves one as it is.
  void set_limits(int64_t pull_id, std::optional<int> workers, std::optional<int> max_rate_kb);
  /// Takes the next chunk that is neither done nor held by another worker, by row lock
  /// (FOR UPDATE SKIP LOCKED), until the transaction ends; nullopt when there is none.
  [[nodiscard]] std::optional<ClaimedChunk> claim_chunk(int64_t pull_id);
  /// The same among the chunks of a run that its coordinator has released for copying, by their
  /// priority; of one pull, or of any (0).
  [[nodiscard]] std::optional<ClaimedChunk> claim_run_chunk(int64_t coordinator, int64_t pull_id);
  /// In the transaction that holds the chunk's rows.
  void complete_chunk(int64_t pull_id, int chunk, const ChunkResult &result);
  /// Notes an attempt that failed, in a transaction of its own after that one was aborted; false
  /// when another worker has the chunk by now, which must not be waited for.
  [[nodiscard]] bool note_attempt(int64_t pull_id, int chunk, const FailedAttempt &attempt);
  /// As change_state, with the error that ended the pull.
  void end_pull(int64_t pull_id, PullEvent event, PullActor actor, const PullError &error);

  struct Totals {
    int64_t row_count = 0;
    int64_t byte_count = 0;
    int chunk_count = 0;
    int done_count = 0;
    int retry_count = 0;
    int64_t estimate_all = 0;  // bytes, at least 1 a chunk
    int64_t estimate_done = 0; // likewise, of done chunks
  };
  [[nodiscard]] Totals totals(int64_t pull_id);
  /// The same of many pulls.
  [[nodiscard]] std::map<int64_t, Totals> totals_of_runs(const std::vector<int64_t> &pulls);

  struct Ending {
    std::optional<int64_t> finished; // microseconds since 2000, as the server counts them
    PullError error;
  };
  [[nodiscard]] Ending ending(int64_t pull_id);
  /// The error that has ended the pull.
  [[nodiscard]] PullError error_of(int64_t pull_id);
  /// True while no worker is to take what is left of the pull: it is about to end.
  [[nodiscard]] bool has_withheld_chunks(int64_t pull_id);

private:
  Rows exec(std::string_view statement, std::initializer_list<Param> params) {
    return executor_.exec(statement, params);
  }
  std::optional<ClaimedChunk> claim(std::string_view condition,
                                    std::initializer_list<Param> params);
  void record_shapes(int64_t pull_id, const PullPlan &plan);
  void add_chunks(int64_t pull_id, const std::vector<PlannedChunk> &added);
  [[nodiscard]] std::vector<std::string> load_columns(int64_t pull_id, std::string_view list);
  void load_shapes(int64_t pull_id, PullPlan &plan);
  void change_chunks(int64_t pull_id, const PullPlan &plan);
  void name_relations(int64_t pull_id, const std::vector<ChunkRelation> &relations);

  LedgerExecutor executor_;
};

} // namespace parallel_loader
