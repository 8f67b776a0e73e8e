#include "core/source/old_holder.hpp"

#include <charconv>

namespace parallel_loader {
namespace {

constexpr std::string_view kFindHolder = R"sql(
SELECT l.pid
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'virtualxid'::pg_catalog.text AND l.granted
  AND l.mode = 'ExclusiveLock'::pg_catalog.text AND l.virtualxid = $1::pg_catalog.text
  AND a.datname = pg_catalog.current_database()
  AND a.application_name = $2::pg_catalog.text)sql";

constexpr std::string_view kIsThere = R"sql(
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_locks AS l
  WHERE l.locktype = 'virtualxid'::pg_catalog.text AND l.virtualxid = $1::pg_catalog.text
    AND l.pid = $2::integer))sql";

// Eight hexadecimal digits before a hyphen, which are taken off `text`.
std::string take_number(std::string_view &text) {
  constexpr size_t kDigits = 8;
  uint32_t number = 0;
  const char *end = text.data() + std::min(kDigits, text.size());
  const auto [stop, error] = std::from_chars(text.data(), end, number, 16);
  if (error != std::errc() || stop != end || text.size() <= kDigits || text[kDigits] != '-')
    return {};
  text.remove_prefix(kDigits + 1);
  return std::to_string(number);
}

} // namespace

// XXXXXXXX-YYYYYYYY-N: both numbers of the virtual transaction, and how often it has exported.
std::string exporting_transaction(std::string_view snapshot) {
  const std::string backend = take_number(snapshot);
  const std::string transaction = take_number(snapshot);
  return backend.empty() || transaction.empty() || snapshot.empty() ? std::string()
                                                                    : backend + "/" + transaction;
}

OldHolder find_old_holder(SourceSession &source, const std::string &snapshot,
                          const SnapshotBounds &recorded, int64_t pull_id) {
  const std::string transaction = exporting_transaction(snapshot);
  const Rows found = source.connection().exec(
      kFindHolder, {transaction, "parallel_loader coordinator of pull " + std::to_string(pull_id)});
  if (transaction.empty() || found.size() != 1)
    throw SnapshotGone("55000", "the pull was started by an earlier version, and no session of its "
                                "coordinator is visible on the source");
  const SnapshotBounds bounds = source.snapshot_bounds();
  if (bounds.xmin != recorded.xmin || bounds.xmax != recorded.xmax)
    throw SnapshotGone("55000", "snapshot \"" + snapshot + "\" is a different one of that name");
  return {.pid = static_cast<int>(found.required_integer(0, 0, 1, INT32_MAX)),
          .transaction = transaction};
}

bool has_left(Executor &source, const OldHolder &holder) {
  return !source.exec(kIsThere, {holder.transaction, std::to_string(holder.pid)})
              .required_boolean(0, 0);
}

} // namespace parallel_loader
