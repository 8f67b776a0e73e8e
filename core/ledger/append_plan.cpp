#include "core/ledger/append_plan.hpp"

#include "core/base/error.hpp"
#include "core/base/list.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr int64_t kXidSpan = int64_t{1} << 32; // xmin keeps this many
constexpr int64_t kFirstNormalXid = 3;

constexpr std::string_view kXmin = "xmin::pg_catalog.text::pg_catalog.int8";

// As the snapshot has it, not as it is now: an ALTER TABLE that has rewritten the table since hides
// its rows from the snapshot, and the next append must see that the table is another one.
constexpr std::string_view kRelations = R"sql(
SELECT c.oid::pg_catalog.text || ':' || c.relfilenode, c.relkind = 'p'
FROM pg_catalog.pg_class AS c
WHERE c.oid IN (
  SELECT p.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) AS p
  WHERE p.isleaf
  UNION ALL SELECT $1::pg_catalog.oid)
ORDER BY c.oid)sql";

constexpr std::string_view kIsAppendable = R"sql(
SELECT c.relkind = 'r' OR c.relkind = 'p' AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_partition_tree(c.oid::pg_catalog.regclass) AS p
  JOIN pg_catalog.pg_class AS l ON l.oid = p.relid WHERE l.relkind NOT IN ('r', 'p'))
FROM pg_catalog.pg_class AS c WHERE c.oid = $1::pg_catalog.oid)sql";

bool has_wrapped(const SnapshotBounds &bounds) {
  return bounds.xmax >= kXidSpan;
}

// The filter's search path holds for the statement: nothing in it may stand in for an operator.
std::string builtin(std::string_view name) {
  return " OPERATOR(pg_catalog." + std::string(name) + ") ";
}

// Rows of transactions in [low, high).
std::string xid_window(int64_t low, int64_t high) {
  const std::string xmin(kXmin);
  const std::string is_below = builtin("<");
  if (high >= kXidSpan) // modulo 2^32
    return "((" + xmin + builtin("+") + std::to_string(kXidSpan - low % kXidSpan) + ")" +
           builtin("%") + std::to_string(kXidSpan) + ")" + is_below + std::to_string(high - low);
  if (low <= kFirstNormalXid) // frozen for good, by servers of long ago, too
    return xmin + is_below + std::to_string(high);
  return xmin + builtin(">=") + std::to_string(low) + " AND " + xmin + is_below +
         std::to_string(high);
}

std::string in_relations(const std::vector<std::string> &relations) {
  std::string list;
  for (const std::string &relation : relations)
    add_to_list(list, relation.substr(0, relation.find(':')));
  return "tableoid" + builtin("=") + "ANY ('{" + list + "}'::pg_catalog.oid[])";
}

struct Relations {
  std::vector<std::string> known;   // as they were
  std::vector<std::string> strange; // new, or rewritten
};

Relations sort_out(const AppendMark &mark, const std::vector<std::string> &now, bool is_same_line) {
  Relations sorted;
  for (const std::string &relation : now) {
    const bool is_known =
        is_same_line && std::ranges::find(mark.relations, relation) != mark.relations.end();
    (is_known ? sorted.known : sorted.strange).push_back(relation);
  }
  return sorted;
}

void add_alternative(std::optional<std::string> &condition, const std::string &alternative) {
  condition = condition ? "(" + *condition + ") OR (" + alternative + ")" : alternative;
}

bool differs(const std::string &recorded, const std::string &found) {
  return !recorded.empty() && !found.empty() && recorded != found;
}

// A storage that was set back to an older state gives transaction ids out again: rows above them
// would lie below the mark.  WAL of another timeline has other locations.
void require_not_older(const AppendMark &mark, const SourceIdentity &identity) {
  if (mark.timeline.empty() || mark.timeline != identity.timeline)
    return;
  SourceIdentity recorded = identity;
  recorded.lsn = mark.lsn;
  const std::string reason = why_other_source(recorded, identity);
  if (!reason.empty()) {
    throw Error(
        "55000",
        "source is not the one that the table was appended from, or is an older state of it",
        reason, "Give the source that the table was appended from in src_dsn.");
  }
}

// Without a mark: everything that all later windows leave out.
std::string first_rows(const SnapshotBounds &bounds) {
  return has_wrapped(bounds) ? "true" : xid_window(0, bounds.xmin);
}

// Rows that this append or one before it has taken.
std::string settled_rows(const SnapshotBounds &bounds) {
  if (!has_wrapped(bounds))
    return xid_window(0, bounds.xmin);
  return bounds.xmin < bounds.xmax ? "NOT (" + xid_window(bounds.xmin, bounds.xmax) + ")" : "true";
}

void add_known(AppendPlan &plan, const AppendMark &mark, const SnapshotBounds &bounds,
               const std::vector<std::string> &known) {
  const int64_t low = mark.horizon;
  const int64_t high = bounds.xmin;
  if (known.empty() || low >= high)
    return;
  const std::string where = in_relations(known) + " AND ";
  if (has_wrapped(bounds)) {
    // A window of half the span or more tells nothing.
    const bool is_window_clear = high - low < kXidSpan / 2;
    add_alternative(plan.compare,
                    where + (is_window_clear ? xid_window(low, high) : std::string("true")));
    return;
  }
  const int64_t middle = std::clamp(mark.compare_to, low, high);
  if (low < middle)
    add_alternative(plan.compare, where + xid_window(low, middle));
  if (middle < high)
    add_alternative(plan.direct, where + xid_window(middle, high));
}

// It becomes part of a condition, and is compared with what later appends find.
const std::string &require_relation(const std::string &text) {
  const size_t colon = text.find(':');
  const auto is_number = [](std::string_view part) {
    return !part.empty() && part.size() <= 10 &&
           std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (colon == std::string::npos || !is_number(std::string_view(text).substr(0, colon)) ||
      !is_number(std::string_view(text).substr(colon + 1)))
    throw Error(sqlstate::kProtocolViolation,
                "source sent a relation's OID or filenode that is not a number");
  return text;
}

} // namespace

AppendPlan plan_append(const std::optional<AppendMark> &mark, const SnapshotBounds &bounds,
                       const std::vector<std::string> &relations, const SourceIdentity &identity) {
  AppendPlan plan;
  plan.next = {.horizon = bounds.xmin,
               .compare_to = bounds.xmin,
               .relations = relations,
               .system_identifier = identity.system_identifier,
               .timeline = identity.timeline,
               .key = {},
               .highest_key = {},
               .pull_id = 0,
               .lsn = identity.lsn,
               .local_relations = {},
               .source_path = {}};
  plan.settled = settled_rows(bounds);
  if (!mark) {
    plan.direct = first_rows(bounds);
    return plan;
  }
  if (differs(mark->system_identifier, identity.system_identifier) || mark->horizon > bounds.xmax) {
    throw Error(
        "55000",
        "source is not the one that the table was appended from, or is an older state of it",
        "The table has rows of transactions up to " + std::to_string(mark->horizon) +
            "; the source's next one is " + std::to_string(bounds.xmax) + ".",
        "Give the source that the table was appended from in src_dsn.");
  }
  require_not_older(*mark, identity);
  const Relations sorted = sort_out(*mark, relations, !differs(mark->timeline, identity.timeline));
  add_known(plan, *mark, bounds, sorted.known);
  if (!sorted.strange.empty()) {
    add_alternative(plan.compare, in_relations(sorted.strange) + " AND " + first_rows(bounds));
    // The transaction that has rewritten one may be above the horizon, and has put its id on old
    // rows.
    plan.next.compare_to = bounds.xmax;
    plan.compares_all = sorted.known.empty();
  }
  plan.next.horizon = std::max(mark->horizon, bounds.xmin);
  plan.next.compare_to = std::max({mark->compare_to, plan.next.compare_to, plan.next.horizon});
  return plan;
}

std::string join_relations(const std::vector<std::string> &relations) {
  return join(relations, " ");
}

std::vector<std::string> read_relations(Executor &source, const SourceTable &table) {
  const Rows rows = source.exec(kRelations, {Param(std::to_string(table.oid))});
  if (rows.empty()) // the table itself is always there
    throw Error(sqlstate::kProtocolViolation, "source named no relation of the table");
  std::vector<std::string> relations;
  for (size_t row = 0; row < rows.size(); ++row)
    if (const bool has_no_rows = rows.boolean(row, 1); !has_no_rows)
      relations.push_back(require_relation(rows.required_text(row, 0)));
  return relations;
}

void require_appendable(Executor &source, const SourceTable &table) {
  if (source.exec(kIsAppendable, {Param(std::to_string(table.oid))}).boolean(0, 0))
    return;
  throw Error(sqlstate::kFeatureNotSupported,
              "cannot append from " + table.name.cited() + " of the source",
              "Only tables, and partitioned tables whose partitions are tables, record which "
              "transaction inserted a row.");
}

} // namespace parallel_loader
