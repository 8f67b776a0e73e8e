// verify: parallel_pull_verify, a table compared with its source range by range.
//
// The source hashes in several sessions on one snapshot, each over a run of neighbouring ranges;
// meanwhile this session hashes the whole local table in one statement, so under one snapshot, and
// as a parallel query where the server finds that worth it.
#include <algorithm>
#include <iterator>

#include "core/verify/fingerprint.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/caller_executor.hpp"
#include "extension/bridge/caller_source.hpp"
#include "extension/bridge/guarded_call.hpp"
#include "extension/bridge/local_table.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/coordinator/pull_planner.hpp"
#include "extension/functions/pull_arguments.hpp"
#include "extension/server/sql/destination_table.hpp"
#include "extension/server/sql/result_set.hpp"
#include "extension/server/sql/row_values.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(parallel_pull_verify);
}

namespace parallel_loader {

namespace {

constexpr std::string_view kServerEncoding = "SELECT pg_catalog.getdatabaseencoding()";

class Verification {
public:
  explicit Verification(Request request)
      : request_(std::move(request)), source_(request_, "verify"),
        local_(SpiMode::kReadLatest, request_) {}

  void run();
  void put_rows(FunctionCallInfo fcinfo) const;

private:
  void compare();
  void end_source_queries();
  void choose_timezone();
  void require_readable_here();
  Rows read_here(const std::string &sql);
  void prepare();
  std::vector<PlannedChunk> plan_as_one();
  void choose_ranges(const TablePair &tables, TextForm form);
  void start_source();
  void finish_source();
  void put_range(FunctionCallInfo fcinfo, int number, int64_t bucket) const;

  Request request_;
  CallerSource source_;
  CallerExecutor local_;
  std::vector<std::unique_ptr<SourceReader>> readers_; // the first has the snapshot
  HeldSnapshot snapshot_;
  FilterPath filter_path_;
  SourceTable table_;
  ColumnMap columns_;
  FingerprintPlan plan_;
  Fingerprints there_;
  Fingerprints here_;
};

TypeOid common_type(const TablePair &tables, const std::string &name) {
  const SourceColumn *const column = tables.source.find_column(name);
  const auto here = std::ranges::find(tables.destination.columns, name, &DestinationColumn::name);
  if (column == nullptr || here == tables.destination.columns.end()) // altered between two looks
    throw Error(sqlstate::kUndefinedColumn,
                "column \"" + name + "\" no longer exists on both sides");
  const TypeOid there = tables.source_types.base(column->type).oid;
  const bool is_same = tables.destination_types.base(here->type).oid == there;
  return is_same && there < kFirstUserOid ? there : 0;
}

// The column that a key begins with, as Key::resolve reads it; empty for ctid and for none.
std::string first_key_column(const std::string &key, const TablePair &tables) {
  const Key resolved = Key::resolve(key, tables.source, tables.source_types, {});
  return resolved.is_none() || resolved.is_ctid() ? std::string() : resolved.columns().front().name;
}

// As Key::text writes it.
std::string key_text(const std::string &column) {
  return column.front() == '(' ? "(" + quote_identifier(column) + ")" : column;
}

// The plan of a partitioned table has ranges of its partitions, and the other side has other ones.
// Two ranges of the table as such that meet at some row do for all.
std::vector<PlannedChunk> Verification::plan_as_one() {
  SourceReader &reader = *readers_.front();
  const std::string column = quote_identifier(plan_.key->column());
  const Rows row = reader.session().connection().exec(
      "SELECT (" + column + ")::pg_catalog.text FROM " + table_.from_item() + " WHERE " + column +
      " IS NOT NULL LIMIT 1");
  if (row.empty())
    return {};
  Request part = request_;
  part.pull.start = row.text(0, 0);
  std::vector<PlannedChunk> chunks = plan_pull(part, reader, LeafRule::kAsOne).chunks;
  std::swap(part.pull.start, part.pull.end);
  const std::vector<PlannedChunk> below = plan_pull(part, reader, LeafRule::kAsOne).chunks;
  // Little or nothing lies below the row: it makes no range of its own.
  if (below.size() <= 1 && !chunks.empty())
    chunks.front().range.start.reset();
  else
    std::ranges::copy(below, std::back_inserter(chunks));
  return chunks;
}

// Without a key by which both sides find the same rows in a range, one range is everything.
void Verification::choose_ranges(const TablePair &tables, TextForm form) {
  SourceReader &reader = *readers_.front();
  Connection &source = reader.session().connection();
  const std::string wanted = first_key_column(request_.pull.key, tables);
  plan_.key = choose_bucket_key(source, tables, wanted, form);
  if (plan_.key)
    request_.pull.key = key_text(plan_.key->column());
  const PullPlan plan = plan_pull(request_, reader);
  snapshot_ = plan.snapshot;
  filter_path_ = plan.source_path;
  columns_.columns = plan.columns;
  if (plan_.key && plan.key == request_.pull.key)
    plan_.boundaries =
        plan_.key->sort_boundaries(source, table_.kind == 'p' ? plan_as_one() : plan.chunks);
  if (plan_.boundaries.empty())
    plan_.key.reset();
}

// Both sides have to write times alike.
void Verification::choose_timezone() {
  SourceReader &reader = *readers_.front();
  reader.set_timezone(request_, Format::kBinary);
  if (!reader.try_timezone(request_))
    request_.pull.timezone = "UTC";
}

void Verification::prepare() {
  readers_.push_back(source_.open());
  SourceReader &reader = *readers_.front();
  choose_timezone();
  Connection &source = reader.session().connection();
  SpiExecutor catalog(SpiMode::kReadLatest);
  table_ = reader.find_table(parse_qualified_name(request_.pull.source_table));
  const Types source_types = reader.session().column_types(table_.columns);
  const DestinationTable destination = describe_local_table(request_.pull.table);
  const Types local_types = load_local_types(destination.columns);
  const TablePair tables{table_, source_types, destination, local_types};

  const TextForm form = common_text_form(
      source.exec("SELECT pg_catalog.current_setting('server_encoding')").text(0, 0),
      catalog.exec(kServerEncoding).text(0, 0));
  choose_ranges(tables, form);
  std::vector<HashColumn> hashed;
  for (const std::string &name : columns_.columns)
    hashed.push_back({name, common_type(tables, name)});
  plan_.row_hash = row_hash(hashed, form, common_hash_function(source, catalog));
  plan_.filter = request_.pull.filter;
  if (!plan_.filter.empty())
    require_readable_here();
}

// The source has read it by now.
void Verification::require_readable_here() {
  try {
    static_cast<void>(
        local_.exec_filter(filter_probe(local_from_item(request_.pull.table), plan_.filter)));
  } catch (const PgError &error) {
    if (error.is_cancel())
      throw;
    const ErrorReport &report = error.report();
    const std::string hint(report.hint);
    throw Error(error_report_sqlstate(&report),
                "filter cannot be read on the destination: " + std::string(report.message),
                report.detail,
                (hint.empty() ? hint : hint + " ") +
                    "Names in it are resolved along this session's search_path.");
  }
}

void Verification::start_source() {
  const auto workers = static_cast<size_t>(request_.pull.workers);
  const std::vector<std::pair<size_t, size_t>> runs = deal_buckets(plan_.bucket_count(), workers);
  // A table in one piece is still hashed by several processes, if the source has them to spare.
  if (runs.size() == 1)
    readers_.front()->session().connection().exec(
        "SELECT pg_catalog.set_config('max_parallel_workers_per_gather', $1::pg_catalog.text, "
        "true)",
        {Param(std::to_string(workers - 1))});
  while (readers_.size() < runs.size()) {
    readers_.push_back(source_.open_on(snapshot_));
    static_cast<void>(readers_.back()->try_timezone(request_));
    static_cast<void>(readers_.back()->lock_members(table_, columns_));
  }
  for (size_t run = 0; run < runs.size(); run++) {
    Connection &source = readers_[run]->session().connection();
    set_filter_path(source, filter_path_);
    source.start(
        fingerprint_statement(plan_, table_.from_item(), runs[run].first, runs[run].second));
  }
}

// Each session closes as soon as it is done with: that lets its part of the snapshot go.
void Verification::finish_source() {
  for (std::unique_ptr<SourceReader> &reader : readers_) {
    add_fingerprints(there_, reader->session().connection().finish());
    reader.reset();
  }
}

void Verification::end_source_queries() {
  std::vector<int> pids;
  for (const std::unique_ptr<SourceReader> &reader : readers_)
    if (reader && reader->session().connection().server_version() < kConnectionCheckSince)
      pids.push_back(reader->session().connection().backend_pid());
  readers_.clear();
  if (!pids.empty())
    source_.cancel(pids, snapshot_.place);
}

void Verification::run() {
  try {
    compare();
  } catch (...) {
    end_source_queries();
    throw;
  }
}

// Both sides run the filter, and functions of types: an error says which.
Rows Verification::read_here(const std::string &sql) {
  try {
    return plan_.filter.empty() ? local_.exec(sql) : local_.exec_filter(sql);
  } catch (const PgError &error) {
    if (error.is_cancel())
      throw;
    const ErrorReport &report = error.report();
    const Oid table = request_.pull.table;
    const std::string name = call([&]() noexcept { return destination_table_display_name(table); });
    std::string hint = report.hint;
    if (error_report_sqlstate(&report) == sqlstate::kInsufficientPrivilege && hint.empty())
      hint =
          "GRANT SELECT ON " + name + " TO " +
          quote_identifier(call([]() noexcept { return GetUserNameFromId(GetUserId(), false); })) +
          ";";
    throw Error(error_report_sqlstate(&report),
                "could not read table " + name + " of the destination: " + report.message,
                report.detail, hint);
  }
}

void Verification::compare() {
  prepare();
  start_source();
  const std::string sql = fingerprint_statement(plan_, local_from_item(request_.pull.table), 0,
                                                plan_.boundaries.size());
  add_fingerprints(here_, read_here(sql));
  finish_source();
}

Fingerprint find_fingerprint(const Fingerprints &fingerprints, int64_t bucket) {
  const auto found = fingerprints.find(bucket);
  return found == fingerprints.end() ? Fingerprint() : found->second;
}

void Verification::put_range(FunctionCallInfo fcinfo, int number, int64_t bucket) const {
  const Fingerprint there = find_fingerprint(there_, bucket);
  const Fingerprint here = find_fingerprint(here_, bucket);
  const auto index = static_cast<size_t>(bucket);
  const bool is_null = bucket == kNullBucket;
  const char *start = is_null || index == 0 ? nullptr : plan_.boundaries[index - 1].text.c_str();
  const char *end =
      is_null || index >= plan_.boundaries.size() ? nullptr : plan_.boundaries[index].text.c_str();
  const bool is_equal = there == here;
  const int64_t there_count = there.row_count;
  const int64_t here_count = here.row_count;
  call([&]() noexcept {
    RowValues row = {};
    row_values_add_integer(&row, number);
    row_values_add_text(&row, start);
    row_values_add_text(&row, end);
    row_values_add_boolean(&row, is_null);
    row_values_add_bigint(&row, there_count);
    row_values_add_bigint(&row, here_count);
    row_values_add_boolean(&row, is_equal);
    result_set_put_nullable(fcinfo, row.values, row.nulls);
  });
}

void Verification::put_rows(FunctionCallInfo fcinfo) const {
  int number = 0;
  for (size_t bucket = 0; bucket < plan_.bucket_count(); bucket++)
    put_range(fcinfo, ++number, static_cast<int64_t>(bucket));
  if ((plan_.key && plan_.key->is_nullable()) || here_.contains(kNullBucket))
    put_range(fcinfo, ++number, kNullBucket);
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

Datum parallel_pull_verify(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    Verification verification(read_request(fcinfo, kTableLayout, RequestKind::kLook));
    call([&]() noexcept { result_set_begin(fcinfo); });
    verification.run();
    verification.put_rows(fcinfo);
    return Datum(0);
  });
}
