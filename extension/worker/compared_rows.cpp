#include "extension/worker/compared_rows.hpp"

#include "core/base/error.hpp"
#include "core/base/list.hpp"
#include "core/base/quote.hpp"
#include "core/plan/row_match.hpp"

#include <algorithm>

#include "extension/bridge/boundary.hpp"
#include "extension/server/load/copy_from.hpp"
#include "extension/server/load/staged_rows.hpp"
#include "extension/server/sql/destination_table.hpp"
#include "extension/server/sql/key_column.hpp"
#include "extension/server/sql/spi.hpp"
#include "extension/worker/route.hpp"

namespace parallel_loader {

namespace {

constexpr const char *kStaging = "pg_temp.parallel_loader_append";

std::string join_columns(const std::vector<std::string> &names, const std::string &prefix) {
  std::string list;
  for (const std::string &name : names)
    add_to_list(list, prefix + quote_identifier(name));
  return list;
}

void exec_as_caller(const std::string &sql) {
  call([&]() noexcept { static_cast<void>(spi_write_as_caller(sql.c_str())); });
}

bool holds(const std::vector<std::string> &names, const std::vector<std::string> &all) {
  return std::ranges::all_of(
      names, [&](const std::string &name) { return std::ranges::count(all, name) > 0; });
}

LocalKeyColumn describe_local(Oid table, const std::string &name, std::string &display) {
  const KeyColumnInfo info =
      call([&]() noexcept { return key_column_describe(table, name.c_str()); });
  display = info.display;
  LocalKeyColumn column = {.name = name,
                           .type = {.oid = info.type,
                                    .schema = info.type_schema,
                                    .name = info.type_name,
                                    .modifier = info.modifier,
                                    .display = info.display},
                           .is_deterministic = info.is_deterministic,
                           .equals_schema = {},
                           .equals = {}};
  if (info.equals_schema != nullptr) {
    column.equals_schema = info.equals_schema;
    column.equals = info.equals;
  }
  return column;
}

class Comparison {
public:
  Comparison(const ComparedRows &rows, Connection &source) : rows_(rows), source_(source) {}

  /// SQL: row `s` is row `d`.
  std::string choose_match();

private:
  std::vector<std::vector<std::string>> find_keys();
  std::optional<std::vector<LocalKeyColumn>> look_at(const std::vector<std::string> &key);

  const ComparedRows &rows_;
  Connection &source_;
  std::string reason_; // why the first key that was looked at does not do
};

// What the caller calls the key may be one that many rows share, such as a time: only a unique key
// tells rows apart, the caller's if it is one.
std::vector<std::vector<std::string>> Comparison::find_keys() {
  std::vector<std::string> named;
  for (const KeyColumn &column : rows_.key.columns())
    named.push_back(column.name);
  std::vector<std::vector<std::string>> keys = find_row_keys(source_, rows_.source_table);
  std::erase_if(
      keys, [&](const auto &key) { return !holds(key, rows_.columns.columns); });
  std::stable_partition(keys.begin(), keys.end(),
                        [&](const auto &key) { return holds(key, named); });
  return keys;
}

// The key's columns here; nullopt if two rows of the source may have the same key here.
std::optional<std::vector<LocalKeyColumn>>
Comparison::look_at(const std::vector<std::string> &key) {
  std::vector<LocalKeyColumn> columns;
  const std::vector<KeyType> types = load_key_types(source_, rows_.source_table, key);
  for (size_t index = 0; index < key.size(); index++) {
    std::string display;
    columns.push_back(describe_local(rows_.table, key[index], display));
    const LocalKeyColumn &column = columns.back();
    if (!column.equals.empty() && !may_merge_values(types[index], column.type))
      continue;
    if (reason_.empty()) {
      reason_ = "Column \"" + column.name + "\" is " + types[index].display +
                " on the source and " + display +
                " on the destination, which can represent several keys of the source as one.";
    }
    return std::nullopt;
  }
  return columns;
}

std::string Comparison::choose_match() {
  for (const std::vector<std::string> &key : find_keys())
    if (const std::optional<std::vector<LocalKeyColumn>> columns = look_at(key))
      return row_match(*columns);
  const std::string message =
      "cannot tell which rows of " + rows_.source_table.name.cited() + " were copied already";
  if (!reason_.empty()) {
    throw Error("55000", message, reason_,
                "Give the column the source's type, or create another unique index on the source, "
                "over copied columns that are NOT NULL.");
  }
  throw Error("55000", message,
              "The source has no unique index over copied columns that are all NOT NULL.",
              "Create one, or include its columns in columns.");
}

} // namespace

int64_t copy_compared_rows(const ComparedRows &rows, Connection &source,
                           const std::function<void(Oid staging)> &stage) {
  const std::string match = Comparison(rows, source).choose_match();
  const std::string local =
      call([&]() noexcept { return destination_table_display_name(rows.table); });
  exec_as_caller("CREATE TEMPORARY TABLE parallel_loader_append ON COMMIT DROP AS SELECT " +
                 join_columns(rows.columns.columns, "") + " FROM " + local + " WITH NO DATA");
  stage(call([]() noexcept { return destination_table_find(kStaging); }));
  exec_as_caller("ANALYZE " + std::string(kStaging));
  const std::string query = "SELECT " + join_columns(rows.columns.columns, "s.") + " FROM " +
                            kStaging + " AS s WHERE NOT EXISTS (SELECT FROM " + local +
                            " AS d WHERE " + match + ")";
  const SinkColumns columns(rows.columns);
  const RowSink sink = columns.sink(rows.table, rows.description.c_str());
  const StagedCount count = call([&]() noexcept { return staged_rows_copy(&sink, query.c_str()); });
  const bool may_skip = call([&]() noexcept { return copy_from_may_skip_rows(rows.table); });
  if (count.read != count.inserted && !may_skip) {
    throw Error(sqlstate::kInternalError, std::to_string(count.read) + " rows are new, but " +
                                              std::to_string(count.inserted) + " were inserted");
  }
  return static_cast<int64_t>(count.inserted);
}

} // namespace parallel_loader
