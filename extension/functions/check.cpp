// check: parallel_pull_check, what would keep a pull from running, or from running well.
//
// A check that fails is a finding, and the next one goes on: on the source behind a savepoint, here
// in a subtransaction.
#include "core/base/size_text.hpp"
#include "core/check/column_check.hpp"
#include "core/check/local_check.hpp"
#include "core/check/source_check.hpp"

#include <algorithm>

#include "extension/bridge/caller_executor.hpp"
#include "extension/bridge/caller_source.hpp"
#include "extension/bridge/guarded_call.hpp"
#include "extension/bridge/in_subtransaction.hpp"
#include "extension/bridge/local_table.hpp"
#include "extension/bridge/source_address.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/coordinator/pull_planner.hpp"
#include "extension/functions/pull_arguments.hpp"
#include "extension/ledger/rows_notice.hpp"
#include "extension/server/process/lock_trap.hpp"
#include "extension/server/process/waiting_session.hpp"
#include "extension/server/sql/destination_table.hpp"
#include "extension/server/sql/result_set.hpp"
#include "extension/server/sql/row_values.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(parallel_pull_check);
}

namespace parallel_loader {

namespace {

constexpr int64_t kLargeBytes = int64_t{1} << 30; // a table of this size should not be one piece

class Check {
public:
  explicit Check(Request request)
      : request_(std::move(request)), caller_(SpiMode::kReadLatest, request_),
        catalog_(SpiMode::kReadLatest), local_(describe_local_table(request_.pull.table)) {
    for (const DestinationColumn &column : local_.columns)
      if (!column.is_generated)
        columns_.push_back(column.name);
  }

  void check_call();
  void check_source(const std::string &src_dsn);
  void check_destination();

  [[nodiscard]] const Findings &findings() const noexcept { return findings_; }

private:
  template <class Fn> bool ask(std::string_view item, std::string_view hint, Fn fn);
  bool resolve(const std::string &src_dsn);
  bool connect();
  void check_tables();
  void set_columns(const SourceTable &table, const std::optional<ColumnMap> &map);
  void check_reading(const SourceTable &table, std::vector<std::string> columns);
  void check_plan();
  void report_key(const PullPlan &plan);
  void report_no_key(const PullPlan &plan, const std::string &size);

  Request request_;
  CallerExecutor caller_;
  SpiExecutor catalog_;
  DestinationTable local_;
  std::vector<std::string> columns_; // that travel, as far as is known
  int64_t source_bytes_ = 0;
  Findings findings_;
  std::unique_ptr<CallerSource> source_;
  std::unique_ptr<SourceReader> reader_;
};

// What every call that starts a pull checks before it asks the source.
void Check::check_call() {
  struct Part {
    std::string_view item;
    std::string_view hint;
    void (*check)(Oid table);
  };
  constexpr Part kParts[] = {
      {"server", "Pull into the primary server, in a transaction that may write.",
       destination_table_check_transaction},
      {"table", "", destination_table_check_kind},
      {"table", "Pull into a table that is not temporary.", destination_table_check_storage},
      {"rights", "", destination_table_check_rights},
      {"row security", "", destination_table_check_row_security},
      {"locks", "", lock_trap_check_before_start}};
  const Oid table = request_.pull.table;
  for (const Part &part : kParts)
    run_in_subtransaction(findings_, part.item, part.hint,
                          [&] { call([&]() noexcept { part.check(table); }); });
}

// A savepoint lets the source's transaction outlive a statement that fails.
template <class Fn> bool Check::ask(std::string_view item, std::string_view hint, Fn fn) {
  Connection &source = reader_->session().connection();
  try {
    source.exec("SAVEPOINT parallel_loader");
    fn();
    source.exec("RELEASE SAVEPOINT parallel_loader");
    return true;
  } catch (const Error &error) {
    findings_.error(item, error, hint);
    if (error.sqlstate() == sqlstate::kConnectionLost)
      throw;
  }
  source.exec("ROLLBACK TO SAVEPOINT parallel_loader");
  source.exec("RELEASE SAVEPOINT parallel_loader"); // the plan exports from no subtransaction
  return false;
}

// A text that is no connection string is a wrong argument, not a finding.
bool Check::resolve(const std::string &src_dsn) {
  if (is_conninfo(src_dsn))
    static_cast<void>(ConnInfo::parse(src_dsn));
  return run_in_subtransaction(findings_, "connection", "", [&] {
    NamedSource source = resolve_source(src_dsn, request_.pull.owner);
    request_.source = std::move(source.address);
    request_.pull.source = std::move(source.display);
  });
}

bool Check::connect() {
  source_ = std::make_unique<CallerSource>(request_, "check");
  try {
    reader_ = source_->open();
    return true;
  } catch (const Error &error) {
    findings_.error(
        "connection", error,
        error.sqlstate() == sqlstate::kCannotConnect
            ? "The destination server connects to the source. Check the address from there."
            : "");
    return false;
  }
}

void Check::check_source(const std::string &src_dsn) {
  if (!resolve(src_dsn) || !connect())
    return;
  Connection &source = reader_->session().connection();
  try {
    ask("connection", "", [&] {
      check_source_server(source, request_.pull.workers, findings_);
      check_encodings(
          source.exec("SELECT pg_catalog.current_setting('server_encoding')").text(0, 0),
          catalog_.exec("SELECT pg_catalog.getdatabaseencoding()").text(0, 0), findings_);
    });
    check_tables();
  } catch (const Error &error) {
    findings_.error("connection", error); // lost in the middle
  }
  reader_.reset();
}

std::vector<std::string> names_of(const SourceTable &table) {
  std::vector<std::string> names;
  for (const SourceColumn &column : table.columns)
    names.push_back(column.name);
  return names;
}

void Check::check_reading(const SourceTable &table, std::vector<std::string> columns) {
  Connection &source = reader_->session().connection();
  ColumnMap map;
  map.columns = std::move(columns);
  ask("row security", "", [&] { check_source_row_security(source, table, findings_); });
  std::string missing;
  ask("rights", "", [&] { missing = missing_source_rights(source, table, map.columns); });
  // By the statement that every worker begins with.
  const bool may_read =
      ask("rights", missing, [&] { static_cast<void>(source.exec(lock_statement(table, map))); });
  if (may_read && !request_.pull.filter.empty()) {
    ask(
        "filter", "",
        [&] {
          reader_->set_timezone(request_, Format::kBinary);
          require_readable_filter(source, reader_->session().filter_path(), table.probe_item(),
                                  request_.pull.filter);
        });
  }
}

// What would travel; of columns that do not fit, those that may be made to.
void Check::set_columns(const SourceTable &table, const std::optional<ColumnMap> &map) {
  if (map)
    columns_ = map->columns;
  else if (request_.pull.columns)
    columns_ = *request_.pull.columns;
  else
    std::erase_if(
        columns_, [&](const std::string &name) { return table.find_column(name) == nullptr; });
}

void Check::check_tables() {
  SourceTable table;
  const bool is_there = ask("table", "", [&] {
    table = reader_->find_table(parse_qualified_name(request_.pull.source_table));
  });
  if (!is_there)
    return;
  source_bytes_ = table.bytes;
  if (const PlanNotice word = children_notice(table); !word.message.empty())
    findings_.warning("table", word.message, word.hint);
  const Types source_types = reader_->session().column_types(table.columns);
  const Types local_types = load_local_types(local_.columns);
  const TablePair tables{table, source_types, local_, local_types};
  const std::optional<ColumnMap> map =
      check_columns({tables, request_.pull.columns, parse_format(request_.pull.format)}, findings_);
  set_columns(table, map);
  check_reading(table, map ? map->columns : names_of(table));
  check_plan();
}

// The last of all, since it needs no savepoint and cannot have one: a snapshot is not exported from
// a subtransaction.
void Check::check_plan() {
  try {
    report_key(plan_pull(request_, *reader_));
  } catch (const Error &error) {
    findings_.error("plan", error);
  }
}

// Partitions are chunks without a key, too, as far as they may be read by their own names.
void Check::report_no_key(const PullPlan &plan, const std::string &size) {
  constexpr std::string_view kNameOne =
      "Name a column that an index begins with in key, to cut the table on it.";
  const std::string chunks = plan.chunks.size() > 1 ? "in " + std::to_string(plan.chunks.size()) +
                                                          " chunks, one for each partition"
                                                    : "as one chunk";
  const std::string message =
      "no key: the table" + size + " is pulled " + chunks + ": " + plan.key_reason;
  const bool is_large = std::ranges::any_of(plan.chunks, [&](const PlannedChunk &chunk) {
    return (plan.chunks.size() > 1 ? chunk.byte_estimate : source_bytes_) >= kLargeBytes;
  });
  if (is_large)
    findings_.warning("key", message, std::string(kNameOne));
  else
    findings_.info("key", message);
}

void Check::report_key(const PullPlan &plan) {
  const std::string chunks =
      std::to_string(plan.chunks.size()) + (plan.chunks.size() == 1 ? " chunk" : " chunks");
  const std::string size = source_bytes_ > 0 ? " of " + size_text(source_bytes_) : "";
  if (plan.key.empty())
    return report_no_key(plan, size);
  findings_.info("key", "the table" + size + " is pulled in " + chunks + ", cut on key " +
                            plan.key + ": " + plan.key_reason);
  if (plan.key == "ctid")
    findings_.warning(
        "resume", "chunks are cut on ctid: once its snapshot is lost, the pull cannot be resumed",
        "Name a column in key to be able to resume then.");
}

void Check::check_destination() {
  const bool has_slots = run_in_subtransaction(
      findings_, "workers", "", [] { call([]() noexcept { waiting_session_require_slots(); }); });
  const LocalCheck check = {.table = request_.pull.table,
                            .name = local_.name,
                            .from_item = local_from_item(request_.pull.table),
                            .is_replica = request_.pull.replication_role == "replica",
                            .workers = request_.pull.workers,
                            .source_bytes = source_bytes_,
                            .has_slots = has_slots};
  run_in_subtransaction(
      findings_, "columns", "", [&] { check_local_columns(caller_, check, columns_, findings_); });
  run_in_subtransaction(
      findings_, "table", "", [&] { check_local_table(caller_, check, findings_); });
  run_in_subtransaction(findings_, "filter", "", [&] {
    if (const std::optional<PlanNotice> word = old_filter_word(request_.pull))
      findings_.warning("filter", word->message, word->hint);
  });
  // The owner of the ledger sees what processes of others are.
  run_in_subtransaction(findings_, "server", "",
                        [&] { check_local_server(catalog_, check, findings_); });
}

void put_findings(FunctionCallInfo fcinfo, const Findings &findings) {
  for (const Finding &finding : findings.sorted()) {
    const std::string level(level_name(finding.level));
    call([&]() noexcept {
      RowValues row = {};
      row_values_add_text(&row, level.c_str());
      row_values_add_text(&row, finding.item.c_str());
      row_values_add_text(&row, finding.message.c_str());
      row_values_add_text(&row, finding.hint.empty() ? nullptr : finding.hint.c_str());
      result_set_put_nullable(fcinfo, row.values, row.nulls);
    });
  }
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

Datum parallel_pull_check(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    const std::string src_dsn = read_source_argument(fcinfo);
    Check check(read_local_request(fcinfo, kTableLayout, RequestKind::kLook));
    call([&]() noexcept { result_set_begin(fcinfo); });
    check.check_call();
    check.check_source(src_dsn);
    check.check_destination();
    put_findings(fcinfo, check.findings());
    return Datum(0);
  });
}
