#include "core/ledger/forget_ledger.hpp"

#include "core/base/quote.hpp"
#include "core/ledger/local_relations.hpp"

namespace parallel_loader {
namespace {

// Stands for the conditions on one of the ledger's tables `r` in the statements below: $1 table,
// $2 name of the source's table as the ledger shows it, $3 the end of such a name, $4 filter.
constexpr std::string_view kSubjectMark = "@subject@";
constexpr std::string_view kSubject = R"sql(r."table" = $1::pg_catalog.oid
  AND ($2::pg_catalog.text IS NULL OR r.source_table = $2::pg_catalog.text
    OR pg_catalog.right(r.source_table, pg_catalog.length($3::pg_catalog.text))
      = $3::pg_catalog.text)
  AND ($4::pg_catalog.text IS NULL OR coalesce(r.filter, '') = $4::pg_catalog.text))sql";

constexpr std::string_view kOwners = R"sql(
SELECT coalesce(r.owner, p.owner)::pg_catalog.oid
FROM @ledger@.mark AS r LEFT JOIN @ledger@.pull AS p ON p.pull_id = r.pull_id
WHERE @subject@ AND coalesce(r.owner, p.owner) IS NOT NULL
UNION
SELECT r.owner::pg_catalog.oid
FROM @ledger@.pull AS r
WHERE r.kind = 'pull' AND @subject@
  AND (r.state <> 'done' OR r.snapshot_xmin IS NOT NULL))sql";

constexpr std::string_view kForgetMarks = R"sql(
DELETE FROM @ledger@.mark AS r WHERE @subject@)sql";

constexpr std::string_view kForgetTableBounds = R"sql(
UPDATE @ledger@.pull AS r SET snapshot_xmin = NULL, snapshot_xmax = NULL
WHERE r.kind = 'pull' AND r.state = 'done' AND r.range_start IS NULL AND r.range_end IS NULL
  AND r.snapshot_xmin IS NOT NULL AND @subject@)sql";

constexpr std::string_view kKeepMarks = R"sql(
UPDATE @ledger@.mark AS r SET local_relations = $5::pg_catalog.text
WHERE @subject@)sql";

// Of pulls that an append or a resume may go on from; once a pull, since there may be many chunks.
constexpr std::string_view kKeepChunks = R"sql(
UPDATE @ledger@.chunk AS c
SET local_relations = CASE WHEN c.chunk = f.chunk THEN $5::pg_catalog.text ELSE '' END
FROM @ledger@.pull AS r
CROSS JOIN LATERAL (
  SELECT pg_catalog.min(d.chunk) AS chunk FROM @ledger@.chunk AS d
  WHERE d.pull_id = r.pull_id AND d.state = 'done') AS f
WHERE c.pull_id = r.pull_id AND c.state = 'done' AND r.kind = 'pull'
  AND (r.state <> 'done' OR r.snapshot_xmin IS NOT NULL AND r.range_start IS NULL
    AND r.range_end IS NULL)
  AND @subject@)sql";

constexpr std::string_view kCountKept = R"sql(
SELECT pg_catalog.count(*)
FROM @ledger@.pull AS r
WHERE r.kind = 'pull'
  AND (r.state <> 'done' OR r.snapshot_xmin IS NOT NULL AND r.range_start IS NULL
    AND r.range_end IS NULL)
  AND EXISTS (SELECT FROM @ledger@.chunk AS c
              WHERE c.pull_id = r.pull_id AND c.state = 'done')
  AND @subject@)sql";

constexpr std::string_view kKeepUnlogged = R"sql(
INSERT INTO @ledger@.unlogged_chunk (pull_id, chunk)
SELECT r.pull_id, 1 FROM @ledger@.mark AS r WHERE @subject@
UNION
SELECT r.pull_id, c.chunk
FROM @ledger@.pull AS r JOIN @ledger@.chunk AS c ON c.pull_id = r.pull_id
WHERE r.kind = 'pull' AND c.state = 'done' AND c.local_relations LIKE '%:u%' AND @subject@
ON CONFLICT DO NOTHING)sql";

std::vector<Param> subject_params(const ForgetSubject &subject) {
  std::vector<Param> params = {std::to_string(subject.table), {}, {}, subject.filter};
  if (subject.source_table) {
    const QualifiedName name = parse_qualified_name(*subject.source_table);
    params[1] = name.display();
    if (name.schema.empty())
      params[2] = "." + name.display();
  }
  return params;
}

} // namespace

ForgetLedger::ForgetLedger(Executor &executor, const ForgetSubject &subject,
                           std::string_view schema)
    : executor_(executor, schema), params_(subject_params(subject)) {}

Rows ForgetLedger::exec(std::string_view statement, std::vector<Param> more) {
  std::vector<Param> params = params_;
  for (Param &param : more)
    params.push_back(std::move(param));
  return executor_.exec(replace_marks(statement, kSubjectMark, kSubject), params);
}

std::vector<uint32_t> ForgetLedger::owners() {
  const Rows rows = exec(kOwners);
  std::vector<uint32_t> owners;
  for (size_t row = 0; row < rows.size(); row++)
    owners.push_back(static_cast<uint32_t>(rows.integer(row, 0)));
  return owners;
}

int64_t ForgetLedger::forget() {
  return static_cast<int64_t>(exec(kForgetMarks).affected() + exec(kForgetTableBounds).affected());
}

int64_t ForgetLedger::keep(const std::string &relations) {
  const auto marks = static_cast<int64_t>(exec(kKeepMarks, {relations}).affected());
  static_cast<void>(exec(kKeepChunks, {relations}));
  if (has_unlogged(relations))
    static_cast<void>(exec(kKeepUnlogged));
  return marks + exec(kCountKept).integer(0, 0);
}

} // namespace parallel_loader
