#include "tests/unit/append_model.hpp"

#include <algorithm>
#include <stdexcept>

namespace parallel_loader::testing {
namespace {

constexpr int64_t kSpan = int64_t{1} << 32;

const SourceIdentity kSource = {
    .system_identifier = "7001", .timeline = "1", .database = "d", .lsn = {}};

class ConditionReader {
public:
  ConditionReader(std::string_view text, int64_t xmin, int64_t tableoid)
      : text_(text), xmin_(xmin), tableoid_(tableoid) {}

  bool read() {
    const bool value = alternatives();
    if (!text_.empty())
      fail();
    return value;
  }

private:
  [[noreturn]] void fail() const {
    throw std::logic_error("not a condition of an append: " + std::string(text_));
  }
  bool skip(std::string_view word) {
    if (!text_.starts_with(word))
      return false;
    text_.remove_prefix(word.size());
    return true;
  }
  void expect(std::string_view word) {
    if (!skip(word))
      fail();
  }
  int64_t number() {
    size_t size = 0;
    while (size < text_.size() && text_[size] >= '0' && text_[size] <= '9')
      ++size;
    if (size == 0)
      fail();
    const int64_t value = std::stoll(std::string(text_.substr(0, size)));
    text_.remove_prefix(size);
    return value;
  }
  bool alternatives() {
    bool value = conjunction();
    while (skip(" OR "))
      value = conjunction() || value;
    return value;
  }
  bool conjunction() {
    bool value = factor();
    while (skip(" AND "))
      value = factor() && value;
    return value;
  }
  bool factor() {
    constexpr std::string_view kXmin = "xmin::pg_catalog.text::pg_catalog.int8";
    if (skip("true"))
      return true;
    if (skip("NOT "))
      return !factor();
    if (skip("tableoid OPERATOR(pg_catalog.=) ANY ('{"))
      return is_listed();
    if (skip(kXmin)) {
      const bool is_below = skip(" OPERATOR(pg_catalog.<) ");
      if (!is_below)
        expect(" OPERATOR(pg_catalog.>=) ");
      const int64_t limit = number();
      return is_below == (xmin_ < limit);
    }
    expect("(");
    if (skip("(" + std::string(kXmin)))
      return is_in_window();
    const bool value = alternatives();
    expect(")");
    return value;
  }
  bool is_listed() {
    bool is_there = number() == tableoid_;
    while (skip(", "))
      is_there = number() == tableoid_ || is_there;
    expect("}'::pg_catalog.oid[])");
    return is_there;
  }
  bool is_in_window() {
    expect(" OPERATOR(pg_catalog.+) ");
    const int64_t shift = number();
    expect(") OPERATOR(pg_catalog.%) ");
    const int64_t modulus = number();
    expect(")");
    expect(" OPERATOR(pg_catalog.<) ");
    return (xmin_ + shift) % modulus < number();
  }

  std::string_view text_;
  int64_t xmin_;
  int64_t tableoid_;
};

} // namespace

bool append_condition_holds(std::string_view condition, int64_t xmin, int64_t tableoid) {
  return ConditionReader(condition, xmin, tableoid).read();
}

AppendModel::AppendModel(uint32_t seed) : random_(seed) {
  // At the beginning, before the limit, beyond it, and far beyond.
  const int64_t starts[] = {3, 700, kSpan - 150, kSpan + 3, 6 * kSpan - 150};
  next_xid_ = starts[seed % std::size(starts)];
  for (int64_t oid = 1; oid <= 3; ++oid)
    relations_.push_back({oid, next_filenode_++, oid != 3, {}});
  for (int turn = 0; turn < 5; ++turn)
    write();
  if (seed % 2 == 0)
    pull();
}

int64_t AppendModel::any(int64_t from, int64_t to) {
  return std::uniform_int_distribution<int64_t>(from, to)(random_);
}

int64_t AppendModel::take_xid() {
  while (next_xid_ % kSpan < 3) // which are special
    ++next_xid_;
  return next_xid_++;
}

void AppendModel::insert(Transaction &transaction, size_t relation) {
  transaction.rows[relation].push_back({next_key_++, transaction.xid});
}

void AppendModel::write_in(Transaction &transaction) {
  const auto relation = static_cast<size_t>(any(0, 2));
  insert(transaction, relation);
  if (!chance(30))
    return;
  // A subtransaction has an id of its own; one that is rolled back leaves a gap.
  const int64_t xid = take_xid();
  if (chance(60))
    transaction.rows[relation].push_back({next_key_++, xid});
}

void AppendModel::end_transaction(size_t index, bool is_committed) {
  if (is_committed)
    for (const auto &[relation, rows] : open_[index].rows)
      relations_[relation].rows.insert(relations_[relation].rows.end(), rows.begin(), rows.end());
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(index));
}

void AppendModel::write() {
  for (int64_t step = any(0, 12); step > 0; --step) {
    if (open_.size() < 6 && chance(40))
      open_.push_back({take_xid(), {}});
    if (open_.empty())
      continue;
    const auto index = static_cast<size_t>(any(0, static_cast<int64_t>(open_.size()) - 1));
    if (chance(50))
      write_in(open_[index]);
    else if (index > 0 || chance(15)) // the first one stays open for long
      end_transaction(index, chance(80));
  }
  if (chance(10))
    change_relations();
  if (chance(5))
    let_ids_pass();
}

// Needs a lock that no writer's goes with.
void AppendModel::change_relations() {
  const auto index = static_cast<size_t>(any(0, 2));
  Relation &relation = relations_[index];
  for (const Transaction &transaction : open_)
    if (transaction.rows.contains(index))
      return;
  const int64_t xid = take_xid();
  if (chance(40)) {
    relation.is_attached = !relation.is_attached;
    return;
  }
  relation.filenode = next_filenode_++;
  if (chance(50)) // ALTER TABLE inserts all rows anew, VACUUM FULL keeps who has inserted them
    for (Row &row : relation.rows)
      row.xid = xid;
}

// Other tables are written to.  No transaction may be older than half of all ids.
void AppendModel::let_ids_pass() {
  if (open_.empty())
    next_xid_ += chance(50) ? any(1, 100) : any(1, next_xid_ < kSpan ? kSpan / 4 : 2 * kSpan);
}

SnapshotBounds AppendModel::bounds() const {
  SnapshotBounds bounds = {.xmin = next_xid_, .xmax = next_xid_};
  for (const Transaction &transaction : open_)
    bounds.xmin = std::min(bounds.xmin, transaction.xid);
  return bounds;
}

std::vector<std::string> AppendModel::relations() const {
  std::vector<std::string> list;
  for (const Relation &relation : relations_)
    if (relation.is_attached)
      list.push_back(std::to_string(relation.oid) + ":" + std::to_string(relation.filenode));
  return list;
}

void AppendModel::add_copy(int64_t key) {
  if (++copy_[key] > 1)
    complaint_ = "row " + std::to_string(key) + " came twice";
}

void AppendModel::pull() {
  for (const Relation &relation : relations_)
    if (relation.is_attached)
      for (const Row &row : relation.rows)
        add_copy(row.key);
  mark_ = AppendMark{.horizon = bounds().xmin,
                     .compare_to = bounds().xmax,
                     .relations = relations(),
                     .system_identifier = kSource.system_identifier,
                     .timeline = kSource.timeline,
                     .key = {},
                     .highest_key = {},
                     .pull_id = 0};
}

void AppendModel::append() {
  const AppendPlan plan = plan_append(mark_, bounds(), relations(), kSource);
  const auto each = [&](const std::optional<std::string> &condition, auto take) {
    if (!condition)
      return;
    for (const Relation &relation : relations_)
      if (relation.is_attached)
        for (const Row &row : relation.rows)
          if (append_condition_holds(*condition, row.xid % kSpan, relation.oid))
            take(row);
  };
  each(
      plan.compare,
      [&](const Row &row) {
        if (!copy_.contains(row.key))
          add_copy(row.key);
      });
  each(
      plan.direct, [&](const Row &row) { add_copy(row.key); });
  each(plan.settled, [&](const Row &row) {
    if (!copy_.contains(row.key))
      complaint_ = "row " + std::to_string(row.key) + " counts as settled and is not here";
  });
  mark_ = plan.next;
}

void AppendModel::finish() {
  while (!open_.empty())
    end_transaction(0, true);
  append();
}

int64_t AppendModel::missing_count() const {
  int64_t count = 0;
  for (const Relation &relation : relations_)
    for (const Row &row : relation.rows)
      count += relation.is_attached && !copy_.contains(row.key) ? 1 : 0;
  return count;
}

} // namespace parallel_loader::testing
