// append_ledger: see append_ledger.hpp.
#include "core/append_ledger.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr std::string_view kFindMark = R"sql(
SELECT m.horizon, m.compare_to, m.source_relations, m.source_system, m.source_timeline,
  m.highest_key
FROM (
  SELECT horizon, compare_to, source_relations, source_system, source_timeline, highest_key, updated
  FROM parallel_loader.mark
  WHERE "table" = $1::pg_catalog.oid AND source_database = $2::pg_catalog.text
    AND source_table = $3::pg_catalog.text AND filter = $4::pg_catalog.text
  UNION ALL
  SELECT snapshot_xmin, snapshot_xmax, source_relations, source_system, source_timeline, NULL,
    finished
  FROM parallel_loader.pull
  WHERE kind = 'pull' AND state = 'done' AND "table" = $1::pg_catalog.oid
    AND source_database = $2::pg_catalog.text AND source_table = $3::pg_catalog.text
    AND coalesce(filter, '') = $4::pg_catalog.text AND range_start IS NULL AND range_end IS NULL
    AND snapshot_xmin IS NOT NULL) AS m
ORDER BY m.updated DESC LIMIT 1)sql";

constexpr std::string_view kDropMark = R"sql(
DELETE FROM parallel_loader.mark
WHERE "table" = $1::pg_catalog.oid AND source_database = $2::pg_catalog.text
  AND source_table = $3::pg_catalog.text AND filter = $4::pg_catalog.text)sql";

constexpr std::string_view kSaveMark = R"sql(
INSERT INTO parallel_loader.mark ("table", source_database, source_table, filter, horizon,
  compare_to, source_relations, source_system, source_timeline, highest_key)
VALUES ($1::pg_catalog.oid::pg_catalog.regclass, $2::pg_catalog.text, $3::pg_catalog.text,
  $4::pg_catalog.text, $5::bigint, $6::bigint, $7::pg_catalog.text, $8::pg_catalog.text,
  $9::pg_catalog.text, $10::pg_catalog.text))sql";

// A job every minute would else fill the ledger.
constexpr std::string_view kPrune = R"sql(
DELETE FROM parallel_loader.pull
WHERE pull_id IN (
  SELECT pull_id FROM parallel_loader.pull
  WHERE "table" = $1::pg_catalog.oid AND kind = 'append' AND state = 'done'
  ORDER BY pull_id DESC OFFSET 100))sql";

Param null_if_empty(const std::string &text) {
  return text.empty() ? Param() : Param(text);
}

std::vector<Param> subject_params(const AppendSubject &subject) {
  return {std::to_string(subject.table), subject.source_database, subject.source_table,
          subject.filter};
}

} // namespace

static std::vector<std::string> split_relations(const std::string &text) {
  std::vector<std::string> relations;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    relations.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return relations;
}

std::optional<AppendMark> AppendLedger::find_mark(const AppendSubject &subject) {
  const Rows row = executor_.exec(kFindMark, subject_params(subject));
  if (row.empty())
    return std::nullopt;
  return AppendMark{.horizon = row.integer(0, 0),
                    .compare_to = row.integer(0, 1),
                    .relations = split_relations(row.text(0, 2)),
                    .system_identifier = row.text(0, 3),
                    .timeline = row.text(0, 4),
                    .highest_key = row.at(0, 5)};
}

void AppendLedger::save_mark(const AppendSubject &subject, const AppendMark &mark) {
  std::vector<Param> params = subject_params(subject);
  executor_.exec(kDropMark, params);
  for (const Param &value :
       {Param(std::to_string(mark.horizon)), Param(std::to_string(mark.compare_to)),
        Param(join_relations(mark.relations)), null_if_empty(mark.system_identifier),
        null_if_empty(mark.timeline), mark.highest_key})
    params.push_back(value);
  executor_.exec(kSaveMark, params);
}

void AppendLedger::prune(uint32_t table) {
  executor_.exec(kPrune, {Param(std::to_string(table))});
}

} // namespace parallel_loader
