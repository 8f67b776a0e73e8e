// extension_mover: the extension on the destination moves tables: each call is one of its SQL
// functions.
#pragma once

#include "core/connection/conninfo.hpp"
#include "core/connection/waiter.hpp"
#include "orchestrator/run/destination.hpp"
#include "orchestrator/run/mover.hpp"

#include <set>
#include <string>
#include <string_view>

namespace parallel_loader {

class ExtensionMover final : public Mover {
public:
  /// Connects.  `source` is how the destination server reaches the source: a conninfo string with
  /// its password, or the name of a foreign server; empty where no call needs it.  Throws what
  /// Destination::open throws.
  ExtensionMover(const ConnInfo &destination, std::string source, Waiter &waiter);

  [[nodiscard]] std::string_view via() const noexcept override { return "extension"; }

  void require_rights(const LoadCalls &calls) override;
  [[nodiscard]] int64_t create(const TableTask &task, const Creation &creation,
                               const TakeNotice &take) override;
  [[nodiscard]] std::vector<PlannedChunk> plan(const TableTask &task) override;
  [[nodiscard]] std::vector<CheckItem> check(const TableTask &task) override;
  [[nodiscard]] std::vector<VerifiedRange> verify(const TableTask &task) override;
  [[nodiscard]] std::vector<SequenceView> set_sequences(const std::optional<QualifiedName> &table,
                                                        const TakeNotice &take) override;
  [[nodiscard]] int64_t append(const TableTask &task, const TakeNotice &take) override;

  [[nodiscard]] std::vector<PullView> read_run(int64_t run_id) override;
  [[nodiscard]] std::vector<PullView> read_pulls(std::span<const int64_t> pull_ids) override;
  [[nodiscard]] std::vector<ChunkView> read_chunks(int64_t pull_id) override;
  [[nodiscard]] int chunk_count(int64_t pull_id) override;
  void work(int64_t pull_id, const TakeNotice &take) override;
  void alter(int64_t pull_id, std::optional<int> workers, std::optional<int> max_rate_kb) override;
  [[nodiscard]] bool cancel(int64_t pull_id) override;
  void resume(int64_t pull_id, bool takes_new_snapshot, const TakeNotice &take) override;

  /// The session, for what is not about moving.
  [[nodiscard]] Destination &destination() noexcept { return destination_; }

private:
  /// Runs `step`; what it throws says whether a server was lost.
  template <class Step> auto guarded(Step &&step);
  /// A function about one table: its name without parallel_pull_, what is read of its result, and
  /// the arguments that not all such functions have.
  Rows call_for(std::string_view function, std::string_view columns, const TableTask &task,
                std::string_view more_arguments = "", std::initializer_list<Param> more = {},
                const Creation *creation = nullptr);
  [[nodiscard]] std::string existing_table(const QualifiedName &name);

  Destination destination_;
  std::string source_;
  std::set<std::string_view> callable_; // functions that the user may call
};

} // namespace parallel_loader
