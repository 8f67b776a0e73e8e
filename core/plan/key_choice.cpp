#include "core/plan/key_choice.hpp"

#include "core/base/error.hpp"
#include "core/plan/key_sample.hpp"
#include "core/source/relation_sizes.hpp"

#include <algorithm>
#include <cmath>

namespace parallel_loader {
namespace {

constexpr double kOrderedCorrelation = 0.9;
constexpr int64_t kCorrelationPages = 32;
constexpr std::string_view kNoResume =
    " Ranges of ctid cannot be resumed once their snapshot is lost.";

constexpr std::string_view kFindCorrelation = R"sql(
SELECT pg_catalog.round((1000 * pg_catalog.abs(s.correlation))::pg_catalog.numeric)::bigint
FROM pg_catalog.pg_stats AS s
WHERE s.schemaname = $1::pg_catalog.text::pg_catalog.name
  AND s.tablename = $2::pg_catalog.text::pg_catalog.name
  AND s.attname = $3::pg_catalog.text::pg_catalog.name
  AND NOT s.inherited AND s.correlation IS NOT NULL)sql";

// The leaf that decides for all: order across leaves is nothing a scan of one sees.
const Leaf &largest(const std::vector<Leaf> &leaves) {
  return *std::ranges::max_element(leaves, {}, &Leaf::bytes);
}

std::optional<double> find_correlation(Executor &source, const KeyChoiceRequest &request,
                                       const RelationSizes &sizes, const std::string &column) {
  const Leaf &leaf = largest(sizes.leaves);
  const Rows known = source.exec(kFindCorrelation,
                                 {Param(leaf.name.schema), Param(leaf.name.name), Param(column)});
  if (!known.empty() && !known.is_null(0, 0))
    return static_cast<double>(known.integer(0, 0)) / 1000;
  if (leaf.kind == 'f')
    return std::nullopt;
  const bool is_itself = leaf.oid == request.table.oid;
  if ((!is_itself && !leaf.is_readable) || !leaf.can_read_ctid)
    return std::nullopt;
  return sample_correlation(
      source,
      SampleSource::of(is_itself ? request.table.from_item() : leaf_item(leaf.name.quoted()),
                       leaf.pages, kCorrelationPages, sizes.has_tid_ranges(leaf)),
      Key::resolve(column, request.table, request.types, ""));
}

KeyChoice key_of_range(const KeyChoiceRequest &request, const std::optional<std::string> &unique) {
  if (!unique) {
    throw Error(sqlstate::kInvalidParameterValue,
                "source table " + request.table.name.cited() + " has no key to cut a range on",
                "It has neither a primary key nor a unique index of one column that is NOT NULL.",
                "Name a column with key => '…', or pull the whole table with both bounds NULL.");
  }
  return {.key = *unique,
          .reason = "Column " + quote_identifier(*unique) + " is the table's unique key."};
}

KeyChoice key_without_ctid(const std::optional<std::string> &unique, const std::string &missing) {
  const std::string cause = "cuts by ctid need " + missing + ".";
  if (unique)
    return {.key = *unique,
            .reason =
                "Column " + quote_identifier(*unique) + " is the table's unique key; " + cause};
  return {.key = {}, .reason = "The table has no unique column that is NOT NULL, and " + cause};
}

} // namespace

KeyChoice choose_key(Executor &source, const KeyChoiceRequest &request) {
  if (!request.key.empty()) {
    const bool is_ctid = Key::resolve(request.key, request.table, request.types, "").is_ctid();
    return {.key = request.key,
            .reason = "The caller named the key." + std::string(is_ctid ? kNoResume : ""),
            .can_resume = !is_ctid};
  }
  const std::optional<std::string> unique = find_default_key(source, request.table);
  if (!request.is_whole)
    return key_of_range(request, unique);
  const RelationSizes sizes = RelationSizes::find(source, request.table, request.columns);
  if (sizes.leaves.empty())
    return key_without_ctid(unique, "a table");
  const std::string missing = sizes.missing_for_ctid();
  if (!missing.empty())
    return key_without_ctid(unique, missing);
  if (!unique)
    return {.key = "ctid",
            .reason = "The table has no unique column that is NOT NULL, so its blocks are cut." +
                      std::string(kNoResume),
            .can_resume = false};
  const std::optional<double> correlation = find_correlation(source, request, sizes, *unique);
  const std::string column = "Column " + quote_identifier(*unique) + " is the table's unique key";
  if (!correlation || *correlation >= kOrderedCorrelation)
    return {.key = *unique, .reason = column + ", and the rows lie in its order."};
  return {.key = "ctid",
          .reason = column + ", but the rows do not lie in its order, so the blocks are cut." +
                    std::string(kNoResume),
          .can_resume = false};
}

} // namespace parallel_loader
