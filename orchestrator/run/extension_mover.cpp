#include "orchestrator/run/extension_mover.hpp"

#include "orchestrator/base/failure.hpp"
#include "orchestrator/run/pull_reader.hpp"

#include <fmt/format.h>

#include <vector>

namespace parallel_loader {

namespace {

constexpr std::string_view kArguments =
    "src_dsn => $1::pg_catalog.text, "
    "\"table\" => $2::pg_catalog.oid::pg_catalog.regclass, "
    "source_table => $3::pg_catalog.text, key => $4::pg_catalog.text, "
    "columns => $5::pg_catalog.text[], filter => $6::pg_catalog.text";

constexpr std::string_view kPlanArguments =
    ", format => $7::pg_catalog.text, chunk_size => $8::pg_catalog.text, "
    "snapshot => $9::pg_catalog.text, workers => $10::pg_catalog.int4";

/// Between two tables are some round trips to the destination, which may be far away.
constexpr const char *kWaitForNext = "5s";

Param text_of(const std::optional<int> &number) {
  return number ? Param(std::to_string(*number)) : std::nullopt;
}

CallTerms terms_of(const Creation &creation, uint32_t table) {
  CallTerms terms;
  terms.settings.emplace_back("run_wait", creation.is_followed ? kWaitForNext : "0");
  if (creation.tables_to_come > 0)
    terms.settings.emplace_back("tables_to_come", std::to_string(creation.tables_to_come));
  if (creation.run_id == 0 && creation.continued_run != 0)
    terms.settings.emplace_back("continued_run", std::to_string(creation.continued_run));
  if (!creation.sole_since.empty()) {
    terms.settings.emplace_back("sole_since", creation.sole_since);
    terms.locked_tables.push_back(table);
  }
  return terms;
}

} // namespace

ExtensionMover::ExtensionMover(const ConnInfo &destination, std::string source, Waiter &waiter)
    : destination_(Destination::open(destination, waiter)), source_(std::move(source)) {}

template <class Step> auto ExtensionMover::guarded(Step &&step) {
  try {
    return step();
  } catch (const Failure &) {
    throw;
  } catch (const Error &error) {
    const ExitStatus status = destination_.status_of(error);
    if (status == ExitStatus::kFailed)
      throw;
    throw Failure(status, error);
  }
}

std::string ExtensionMover::existing_table(const QualifiedName &name) {
  return std::to_string(destination_.find_table(name).oid);
}

Rows ExtensionMover::call_for(std::string_view function, std::string_view columns,
                              const TableTask &task, std::string_view more_arguments,
                              std::initializer_list<Param> more, const Creation *creation) {
  return guarded([&] {
    // By bind parameter: statements are logged and shown in pg_stat_activity, and the source's
    // password is in the first.
    const uint32_t table = destination_.find_table(task.table).oid;
    std::vector<Param> params = {
        source_,
        std::to_string(table),
        task.source_table.quoted(),
        task.key,
        task.columns ? Param(array_literal(*task.columns)) : std::nullopt,
        task.filter,
    };
    params.insert(params.end(), more.begin(), more.end());
    CallTerms terms = creation ? terms_of(*creation, table) : CallTerms();
    if (task.same_source_as != 0)
      terms.settings.emplace_back("same_source_as", std::to_string(task.same_source_as));
    return destination_.call_function(function,
                                      fmt::format("SELECT {} FROM {}.parallel_pull_{}({}{})",
                                                  columns, destination_.schema(), function,
                                                  kArguments, more_arguments),
                                      params, terms);
  });
}

// A run that nobody may work on would wait for somebody.
void ExtensionMover::require_rights(const LoadCalls &calls) {
  std::vector<std::string_view> functions{"create", "work"};
  if (calls.alters)
    functions.push_back("alter");
  if (calls.checks)
    functions.insert(functions.end(), {"plan", "check"});
  if (calls.verifies)
    functions.push_back("verify");
  std::erase_if(functions,
                [this](std::string_view function) { return callable_.contains(function); });
  if (functions.empty())
    return;
  constexpr std::string_view kAfterwards[] = {"sequences"};
  guarded([&] { destination_.require_functions(functions, kAfterwards); });
  callable_.insert(functions.begin(), functions.end());
}

int64_t ExtensionMover::create(const TableTask &task, const Creation &creation,
                               const TakeNotice &take) {
  destination_.on_notice(take);
  require_rights({.alters = creation.is_altered});
  const int64_t run_id = creation.run_id;
  const Rows rows = call_for("create", "*", task,
                             std::string(kPlanArguments) + ", run_id => $11::pg_catalog.int8",
                             {task.format, task.chunk_size, task.snapshot, text_of(task.workers),
                              run_id == 0 ? std::nullopt : Param(std::to_string(run_id))},
                             &creation);
  return rows.integer(0, 0);
}

std::vector<PlannedChunk> ExtensionMover::plan(const TableTask &task) {
  const Rows rows = call_for("plan",
                             "chunk, start, \"end\", nulls, estimated_rows, estimated_bytes, "
                             "relation, route, route_reason",
                             task, kPlanArguments,
                             {task.format, task.chunk_size, task.snapshot, text_of(task.workers)});
  std::vector<PlannedChunk> chunks;
  for (size_t row = 0; row < rows.size(); ++row)
    chunks.push_back({.number = rows.required_count(row, 0),
                      .start = rows.text(row, 1),
                      .end = rows.text(row, 2),
                      .nulls = rows.boolean(row, 3),
                      .estimated_rows = rows.integer(row, 4),
                      .estimated_bytes = rows.integer(row, 5),
                      .relation = rows.text(row, 6),
                      .route = rows.text(row, 7),
                      .route_reason = rows.text(row, 8)});
  return chunks;
}

std::vector<CheckItem> ExtensionMover::check(const TableTask &task) {
  const Rows rows = call_for("check", "level, item, message, hint", task, kPlanArguments,
                             {task.format, task.chunk_size, task.snapshot, text_of(task.workers)});
  std::vector<CheckItem> items;
  for (size_t row = 0; row < rows.size(); ++row)
    items.push_back({.level = rows.text(row, 0),
                     .item = rows.text(row, 1),
                     .message = rows.text(row, 2),
                     .hint = rows.text(row, 3)});
  return items;
}

std::vector<VerifiedRange> ExtensionMover::verify(const TableTask &task) {
  const Rows rows = call_for(
      "verify", "chunk, start, \"end\", nulls, source_rows, local_rows, matches", task,
      kPlanArguments, {task.format, task.chunk_size, task.snapshot, text_of(task.workers)});
  std::vector<VerifiedRange> ranges;
  for (size_t row = 0; row < rows.size(); ++row)
    ranges.push_back({.number = rows.required_count(row, 0),
                      .start = rows.text(row, 1),
                      .end = rows.text(row, 2),
                      .nulls = rows.boolean(row, 3),
                      .source_rows = rows.integer(row, 4),
                      .local_rows = rows.integer(row, 5),
                      .matches = rows.boolean(row, 6)});
  return ranges;
}

std::vector<SequenceView> ExtensionMover::set_sequences(const std::optional<QualifiedName> &table,
                                                        const TakeNotice &take) {
  destination_.on_notice(take);
  const Rows rows = guarded([&] {
    const Param params[] = {source_, table ? Param(existing_table(*table)) : std::nullopt};
    return destination_.call_function(
        "sequences",
        fmt::format("SELECT sequence, value FROM {}.parallel_pull_sequences($1::pg_catalog.text, "
                    "$2::pg_catalog.oid::pg_catalog.regclass)",
                    destination_.schema()),
        params);
  });
  std::vector<SequenceView> sequences;
  for (size_t row = 0; row < rows.size(); ++row)
    sequences.push_back(
        {.name = rows.text(row, 0),
         .value = rows.is_null(row, 1) ? std::nullopt : std::optional(rows.integer(row, 1))});
  return sequences;
}

int64_t ExtensionMover::append(const TableTask &task, const TakeNotice &take) {
  destination_.on_notice(take);
  return call_for("append", "*", task, ", \"window\" => $7::pg_catalog.text", {task.window})
      .integer(0, 0);
}

std::vector<PullView> ExtensionMover::read_run(int64_t run_id) {
  return guarded([&] { return parallel_loader::read_run(destination_, run_id); });
}

std::vector<PullView> ExtensionMover::read_pulls(std::span<const int64_t> pull_ids) {
  return guarded([&] { return parallel_loader::read_pulls(destination_, pull_ids); });
}

std::vector<ChunkView> ExtensionMover::read_chunks(int64_t pull_id) {
  return guarded([&] { return parallel_loader::read_chunks(destination_, pull_id); });
}

int ExtensionMover::chunk_count(int64_t pull_id) {
  return guarded([&] { return read_chunk_count(destination_, pull_id); });
}

void ExtensionMover::work(int64_t pull_id, const TakeNotice &take) {
  destination_.on_notice(take);
  const Param params[] = {std::to_string(pull_id)};
  static_cast<void>(guarded([&] {
    return destination_.call_function(
        "work",
        fmt::format("SELECT chunks, rows, bytes, remaining "
                    "FROM {}.parallel_pull_work($1::bigint, whole_run => true)",
                    destination_.schema()),
        params);
  }));
}

void ExtensionMover::alter(int64_t pull_id, std::optional<int> workers,
                           std::optional<int> max_rate_kb) {
  const Param params[] = {std::to_string(pull_id), text_of(workers), text_of(max_rate_kb)};
  static_cast<void>(guarded([&] {
    return destination_.call_function(
        "alter",
        fmt::format("SELECT {}.parallel_pull_alter($1::bigint, $2::integer, $3::integer)",
                    destination_.schema()),
        params);
  }));
}

bool ExtensionMover::cancel(int64_t pull_id) {
  const Param params[] = {std::to_string(pull_id)};
  return guarded([&] {
    return destination_
        .call_function(
            "cancel",
            fmt::format("SELECT {}.parallel_pull_cancel($1::bigint)", destination_.schema()),
            params)
        .boolean(0, 0);
  });
}

void ExtensionMover::resume(int64_t pull_id, bool takes_new_snapshot, const TakeNotice &take) {
  destination_.on_notice(take);
  const Param params[] = {std::to_string(pull_id), source_.empty() ? std::nullopt : Param(source_),
                          takes_new_snapshot ? "true" : "false"};
  static_cast<void>(guarded([&] {
    return destination_.call_function(
        "resume",
        fmt::format("SELECT pull_id FROM {}.parallel_pull_resume($1::bigint, "
                    "$2::pg_catalog.text, $3::boolean)",
                    destination_.schema()),
        params);
  }));
}

} // namespace parallel_loader
