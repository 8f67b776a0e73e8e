// chunk_mover: claims a pull's next chunk and moves it, all in one destination transaction.
#pragma once

#include "core/ledger/ledger.hpp"
#include "core/plan/range.hpp"
#include "core/source/column_map.hpp"
#include "core/source/column_shape.hpp"
#include "core/source/enum_labels.hpp"
#include "core/source/source_table.hpp"

#include "extension/bridge/latch_waiter.hpp"
#include "extension/bridge/source_reader.hpp"
#include "extension/server/base/error_report.hpp"
#include "extension/worker/worker_context.hpp"

#include <optional>
#include <set>
#include <string>

namespace parallel_loader {

/// One per worker.  In a run it goes from pull to pull, and knows one at a time.  It owns the
/// worker's session on the source, from its first chunk to an error, to 32 locked relations, or to
/// the last row of the pull.
class ChunkMover {
public:
  explicit ChunkMover(const WorkerContext &context);

  /// Returns false when no chunk is left to claim.  Throws Error (the source's, or of a check of
  /// ours on either side), PgError (the destination's), Stopped; the transaction is then open, to
  /// be aborted, and chunk() says which it was.
  bool move_next();

  /// The chunk that move_next() has claimed last and not completed; 0: none.
  [[nodiscard]] int chunk() const noexcept { return chunk_; }

  /// True once its rows are being read.
  [[nodiscard]] bool is_copying() const noexcept { return is_copying_; }

  /// True while a chunk that another worker has claimed may come to need this one's session on the
  /// source.
  [[nodiscard]] bool may_be_needed() const;

  /// The pull of that chunk, or of the one before; 0: it has had none of its run yet.
  [[nodiscard]] int64_t pull_id() const noexcept { return pull_id_; }

  /// What is known of that pull.
  [[nodiscard]] const PullRequest &pull() const noexcept { return request_.pull; }

  /// Gives up the session on the source; the next chunk connects anew.
  void disconnect();

private:
  void load_plan();
  void take_plan();
  void enter_pull(Ledger &ledger, int64_t pull_id);
  std::optional<ClaimedChunk> claim(Ledger &ledger);
  [[nodiscard]] int done_count() const;
  Connection &open_source(const ClaimedChunk &chunk);
  [[nodiscard]] SourceAddress source_address() const;
  void prepare_table(SourceReader &reader);
  void find_chars(const Types &types);
  void lock_relation(const ClaimedChunk &chunk);
  void lock_filter(const std::string &from);
  void require_types(const Shape &now, PlaceRule places);
  void require_members(const Shape &now);
  void require_source_unchanged(const ClaimedChunk &chunk);
  [[nodiscard]] ExpectedRelation relation_of(const ClaimedChunk &chunk) const;
  [[noreturn]] void throw_other_members(const std::string &change);
  [[nodiscard]] bool has_members() const;
  void require_local_types();
  [[noreturn]] void throw_altered(const ShapeChange &change, const std::string &table);
  [[nodiscard]] std::string from_item(const ClaimedChunk &chunk) const;
  ChunkResult move(Connection &source, const ClaimedChunk &chunk);
  [[nodiscard]] std::string note_written(Executor &executor, ChunkResult &result);
  [[nodiscard]] std::string next_resume() const;
  void note_read();
  void note_done(const ChunkResult &result);
  [[nodiscard]] std::string describe(const ClaimedChunk &chunk) const;

  const WorkerContext &context_;
  WorkerSlot &slot_;
  LatchWaiter waiter_;
  Request request_; // of the pull that it is at
  int64_t pull_id_; // 0: of a run, and none yet
  std::optional<SourceReader> reader_;
  std::optional<PullPlan> plan_;
  SourceTable table_;
  ColumnMap columns_;
  Key key_;
  Shape source_shape_; // as the plan found it
  Shape local_shape_;  // likewise
  SourceShape shape_;  // how to ask the source for its shape
  EnumLabels labels_;
  std::set<std::string> locked_;       // what the session on the source has locked, by from_item
  std::set<uint32_t> read_;            // the same by OID
  std::string table_name_;             // of the destination, for people
  std::optional<std::string> written_; // by done chunks, as far as this worker knows
  int chunk_ = 0;
  bool is_copying_ = false; // rows of that chunk
};

} // namespace parallel_loader
