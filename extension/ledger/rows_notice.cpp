#include "extension/ledger/rows_notice.hpp"

#include "core/ledger/append_ledger.hpp"
#include "core/ledger/local_relations.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/base/notice.hpp"
#include "extension/server/sql/destination_table.hpp"
#include "extension/server/sql/table_rows.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace parallel_loader {

namespace {

constexpr const char *kOldFilter = "the filter is evaluated under an empty search path";

bool is_of_whole_table(const Request &request) {
  return (request.kind == RequestKind::kRun || request.kind == RequestKind::kCreate) &&
         request.pull.kind == PullKind::kPull && !request.pull.start && !request.pull.end;
}

// Its rows are there still, and no younger pull has brought the others.
bool is_to_be_resumed(SpiExecutor &executor, int64_t pull_id) {
  return !LocalRelations(executor).why_pull_changed(pull_id) &&
         !AppendLedger(executor).find_successor(pull_id);
}

std::optional<int64_t> find_unfinished(const Request &request) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const Oid user = call([]() noexcept { return GetUserId(); });
  const std::optional<int64_t> pull_id = PullFinder(executor).find_begun(request.pull.table, user);
  return pull_id && is_to_be_resumed(executor, *pull_id) ? pull_id : std::nullopt;
}

std::string unfinished_hint(const FoundPull &found) {
  if (found.is_live)
    return live_hint(found, AttachedPull(found).get());
  if (!found.is_held)
    return resume_hint(found);
  return "SELECT parallel_pull_resume(" + std::to_string(found.pull_id) +
         "); would continue that pull instead.";
}

void say(const std::string &message, const std::string &detail, const std::string &hint) {
  call([&]() noexcept { notice(message.c_str(), detail.c_str(), hint.c_str()); });
}

void notice_rows_coming(Oid table, const std::string &name) {
  if (const std::optional<int64_t> running = find_live_pull_into(table))
    say("pull " + std::to_string(*running) + " into table " + name + " is not done",
        "This pull adds its rows to those of the other pull.",
        "If they are the same rows, cancel one of the two.");
}

} // namespace

void notice_rows_there(const Request &request) {
  const Oid table = request.pull.table;
  if (!is_of_whole_table(request))
    return;
  const std::string name = call([&]() noexcept { return destination_table_display_name(table); });
  if (!call([&]() noexcept { return table_rows_found(table, false); }))
    return notice_rows_coming(table, name);
  const std::optional<int64_t> unfinished = find_unfinished(request);
  if (!unfinished)
    return say("table " + name + " is not empty", "The pull adds rows to those that are there.",
               "If they came from the source, run TRUNCATE TABLE " + name +
                   "; before you pull them again.");
  const FoundPull found = find_pull(*unfinished);
  const bool has_same_name = found.source == request.pull.source; // one source may have several
  say("table " + name + " has rows of pull " + std::to_string(*unfinished) +
          ", which is not finished",
      has_same_name ? "This pull copies them a second time."
                    : "If both pulls have the same source, this pull copies them a second time.",
      unfinished_hint(found));
}

std::optional<PlanNotice> old_filter_word(const PullRequest &request) {
  if (request.filter.empty())
    return std::nullopt;
  SpiExecutor executor(SpiMode::kReadLatest);
  if (!AppendLedger(executor).has_old_filter(request.table, request.filter))
    return std::nullopt;
  return PlanNotice{"an append to the table continues from version 0.3, and evaluates the filter "
                    "as that version did, under an empty search path",
                    "To have names and operators resolved along the search path of the source's "
                    "role, empty the table and pull it again."};
}

void notice_old_filter(const Request &request) {
  if (const std::optional<PlanNotice> word = old_filter_word(request.pull))
    say(kOldFilter, "The mark was left by version 0.3, which evaluated filters in this way.",
        word->hint);
}

void notice_old_filter(int64_t pull_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  if (PullFinder(executor).has_old_filter(pull_id))
    say(kOldFilter, "The pull was started by version 0.3, which evaluated filters in this way.",
        "To have names and operators resolved along the search path of the source's role, empty "
        "the table and pull it again.");
}

} // namespace parallel_loader
