#include "extension/worker/route.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/latch_waiter.hpp"
#include "extension/server/load/heap_conditions.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/throttle.hpp"
#include "extension/worker/copy_route.hpp"
#include "extension/worker/heap_route.hpp"

namespace parallel_loader {

SinkColumns::SinkColumns(const ColumnMap &map) : is_binary_(map.format == Format::kBinary) {
  names_.reserve(map.columns.size());
  for (const std::string &column : map.columns)
    names_.push_back(column.c_str());
}

RowSink SinkColumns::sink(Oid table, const char *description) const {
  return {table, is_binary_, static_cast<int>(names_.size()), names_.data(), description};
}

RouteChoice choose_route(const RowSink &sink, RouteSetting setting) {
  if (setting == RouteSetting::kCopy)
    return {.is_heap = false, .reason = "parallel_loader.route is copy"};
  const char *reason = sink.is_binary ? call([&]() noexcept { return why_not_heap_route(&sink); })
                                      : "the format is text";
  if (reason == nullptr)
    return {.is_heap = true, .reason = {}};
  if (setting == RouteSetting::kHeap)
    throw Error(sqlstate::kFeatureNotSupported, "table cannot be loaded by the heap route",
                "The reason is: " + std::string(reason) + ".",
                "Set parallel_loader.route to auto.");
  return {.is_heap = false, .reason = reason};
}

static void log_route(const RouteChoice &choice, const std::string &description) {
  const std::string text = description + " by the " + std::string(choice.name()) + " route" +
                           (choice.reason.empty() ? "" : ": " + choice.reason);
  call([&]() noexcept { session_log_debug(text.c_str()); });
}

void RowMeter::pass(int64_t rows, int64_t bytes, int64_t size) {
  pg_atomic_write_u64(&slot_.rows, static_cast<uint64>(rows));
  pg_atomic_write_u64(&slot_.bytes, static_cast<uint64>(bytes));
  pg_atomic_fetch_add_u64(&pull_->bytes_moved, size);
  if (!call([&]() noexcept { return throttle_pass(pull_, &slot_, size); }))
    throw Stopped();
}

ChunkResult move_rows(const RowTask &task, Connection &source, SharedPull *pull, int slot) {
  const SinkColumns columns(*task.columns);
  const RowSink sink = columns.sink(task.table, task.description.c_str());
  call([&]() noexcept { row_sink_check(&sink); }); // the lock keeps the choice true
  RouteChoice choice = choose_route(sink, task.route);
  log_route(choice, task.description);
  RowMeter meter(pull, slot);
  set_filter_path(source, task.filter_path);
  ChunkResult result = choice.is_heap ? move_by_heap_route(sink, task.statement, source, meter)
                                      : move_by_copy_route(sink, task, source, meter);
  if (task.filter_path)
    clear_filter_path(source);
  result.route = choice.name();
  result.route_reason = std::move(choice.reason);
  return result;
}

} // namespace parallel_loader
