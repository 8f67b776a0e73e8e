// append_model: a source whose transactions end in any order, and a copy that appends from it.
#pragma once

#include "core/ledger/append_plan.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader::testing {

/// Evaluates a condition of plan_append() for a row: `xmin` is what the column of that name shows,
/// the lower 32 bits.  Throws std::logic_error for a condition of another form.
[[nodiscard]] bool append_condition_holds(std::string_view condition, int64_t xmin,
                                          int64_t tableoid);

/// Rows are known by their keys.  Everything random follows from the seed: whether the copy begins
/// with a whole pull or empty, how far transaction ids have come, what each writer does, and when
/// tables are rewritten, partitions attached and detached.
class AppendModel {
public:
  explicit AppendModel(uint32_t seed);

  /// Lets writers do something.
  void write();
  /// One append, as run_append() does it.
  void append();
  /// Ends all transactions and appends what is left.
  void finish();

  /// What has gone wrong; empty: nothing.
  [[nodiscard]] const std::string &complaint() const { return complaint_; }
  /// Committed rows that the copy lacks.
  [[nodiscard]] int64_t missing_count() const;

private:
  struct Row {
    int64_t key;
    int64_t xid;
  };
  struct Relation {
    int64_t oid;
    int64_t filenode;
    bool is_attached;
    std::vector<Row> rows; // committed
  };
  struct Transaction {
    int64_t xid;
    std::map<size_t, std::vector<Row>> rows; // by relation
  };

  [[nodiscard]] int64_t any(int64_t from, int64_t to);
  [[nodiscard]] bool chance(int percent) { return any(1, 100) <= percent; }
  int64_t take_xid();
  void insert(Transaction &transaction, size_t relation);
  void write_in(Transaction &transaction);
  void end_transaction(size_t index, bool is_committed);
  void change_relations();
  void let_ids_pass();
  void pull();
  [[nodiscard]] SnapshotBounds bounds() const;
  [[nodiscard]] std::vector<std::string> relations() const;
  void add_copy(int64_t key);

  std::mt19937_64 random_;
  int64_t next_xid_;
  int64_t next_key_ = 1;
  int64_t next_filenode_ = 100;
  std::vector<Relation> relations_;
  std::vector<Transaction> open_;
  std::map<int64_t, int> copy_; // key: how often
  std::optional<AppendMark> mark_;
  std::string complaint_;
};

} // namespace parallel_loader::testing
