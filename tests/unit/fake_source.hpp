// fake_source: an Executor that answers the planner's questions by what they ask for.
#pragma once

#include "core/base/error.hpp"

#include "tests/unit/fake_executor.hpp"

#include <optional>
#include <string>
#include <vector>

namespace parallel_loader::testing {

class FakeSource final : public Executor {
public:
  std::string version = "150020";
  bool has_index = true;
  std::string can_read_ctid = "t";
  std::vector<std::vector<std::optional<std::string>>> leaves;
  std::vector<std::vector<std::optional<std::string>>> pieces; // what sample_key reads
  std::optional<std::string> unique_key;
  std::optional<std::string> known_correlation;   // by pg_stats, in thousandths
  std::optional<std::string> sampled_correlation; // likewise
  std::string sample_error;                       // an SQLSTATE
  std::string filter_error;                       // likewise

  std::vector<std::string> calls;

  /// A leaf of 100 MB for each 12800 blocks.
  void add_leaf(const std::string &name, int64_t pages, const std::string &kind = "r",
                const std::string &is_readable = "t") {
    const bool is_foreign = kind == "f";
    leaves.push_back({std::to_string(16384 + leaves.size()), "public", name, kind,
                      is_foreign ? "f" : "t", is_readable, "t", can_read_ctid,
                      std::to_string(pages), std::to_string(pages * 8192),
                      std::to_string(pages * 100)});
  }

  /// The first statement that holds `part`; empty when there is none.
  [[nodiscard]] std::string asked(std::string_view part) const {
    for (const std::string &sql : calls)
      if (sql.find(part) != std::string::npos)
        return sql;
    return {};
  }

  using Executor::exec;
  Rows exec(std::string_view sql, std::span<const Param> /*params*/) override {
    calls.emplace_back(sql);
    const auto has = [&](std::string_view part) { return sql.find(part) != sql.npos; };
    if (has("server_version_num"))
      return one_row({version, "UTF8"});
    if (has("pg_table_size"))
      return rows_of(11, leaves);
    if (has("indisunique"))
      return unique_key ? one_row({unique_key}) : Rows();
    if (has("SELECT EXISTS"))
      return one_row({has_index ? "t" : "f"});
    if (has("attlen"))
      return rows_of(2, {{"id", "4"}, {"x", "-1"}});
    if (has("pg_stats"))
      return known_correlation ? one_row({known_correlation}) : Rows();
    if (has("pg_catalog.corr("))
      return one_row({sampled_correlation});
    if (has("LIMIT 0") && !filter_error.empty())
      throw Error(filter_error, "failed");
    if (has("pg_catalog.min("))
      return one_row({"10", "29"});
    if (!has("WITH sample AS"))
      return {};
    if (!sample_error.empty())
      throw Error(sample_error, "failed");
    return rows_of(7, pieces);
  }

private:
  static Rows rows_of(size_t column_count,
                      const std::vector<std::vector<std::optional<std::string>>> &rows) {
    std::vector<std::optional<std::string>> values;
    for (const auto &row : rows)
      values.insert(values.end(), row.begin(), row.end());
    return Rows(column_count, std::move(values));
  }
};

} // namespace parallel_loader::testing
