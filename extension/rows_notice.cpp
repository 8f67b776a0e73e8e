// rows_notice: see rows_notice.hpp.
#include "extension/rows_notice.hpp"

#include "extension/boundary.hpp"
#include "extension/server/notice.hpp"
#include "extension/server/table_rows.hpp"
#include "extension/server/target_table.hpp"
#include "extension/spi_executor.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace parallel_loader {

namespace {

constexpr std::string_view kFindUnfinished = R"sql(
SELECT p.pull_id
FROM parallel_loader.pull AS p
WHERE p.kind = 'pull' AND p.state <> 'done' AND p."table" = $1::pg_catalog.oid
  AND p.source = $2::pg_catalog.text AND p.range_start IS NULL AND p.range_end IS NULL
  AND pg_catalog.pg_has_role($3::pg_catalog.oid, p.owner, 'USAGE')
  AND EXISTS (SELECT FROM parallel_loader.chunk AS c
              WHERE c.pull_id = p.pull_id AND c.state = 'done' AND c.rows > 0)
ORDER BY p.pull_id DESC LIMIT 1)sql";

constexpr std::string_view kFindOldFilter = R"sql(
SELECT FROM parallel_loader.mark AS m
WHERE m."table" = $1::pg_catalog.oid AND m.filter = $2::pg_catalog.text AND m.filter <> ''
  AND m.source_path IS NULL LIMIT 1)sql";

bool is_of_whole_table(const Order &order) {
  return (order.kind == OrderKind::kRun || order.kind == OrderKind::kCreate) &&
         order.request.kind == PullKind::kPull && !order.request.start && !order.request.end;
}

std::string find_unfinished(const Order &order) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Oid user = call([]() noexcept { return GetUserId(); });
  const Rows found = executor.exec(kFindUnfinished, {std::to_string(order.request.table),
                                                     order.request.source, std::to_string(user)});
  return found.empty() ? std::string() : found.text(0, 0);
}

void say(const std::string &message, const std::string &detail, const std::string &hint) {
  call([&]() noexcept { notice(message.c_str(), detail.c_str(), hint.c_str()); });
}

} // namespace

void notice_rows_there(const Order &order) {
  const Oid table = order.request.table;
  if (!is_of_whole_table(order) || !call([&]() noexcept { return table_rows_found(table); }))
    return;
  const std::string name = call([&]() noexcept { return target_table_display_name(table); });
  const std::string unfinished = find_unfinished(order);
  if (unfinished.empty())
    return say("table " + name + " is not empty", "The pull adds rows to those that are there.",
               "If they came from the source, run TRUNCATE TABLE " + name +
                   "; before you pull them again.");
  say("table " + name + " has rows of pull " + unfinished + ", which is not finished",
      "This pull brings them a second time.",
      "SELECT parallel_pull_resume(" + unfinished + "); would go on with that pull instead.");
}

void notice_old_filter(const Order &order) {
  if (order.request.filter.empty())
    return;
  SpiExecutor executor(SpiMode::kReadLatest);
  const Rows found = executor.exec("SELECT EXISTS (" + std::string(kFindOldFilter) + ")",
                                   {std::to_string(order.request.table), order.request.filter});
  if (found.boolean(0, 0))
    say("the filter is read under an empty search path",
        "The mark that the append goes on from was left by version 0.3, which read filters so.",
        "To have names and operators found along the path of the source's role, empty the table "
        "and pull it again.");
}

} // namespace parallel_loader
