// plan_function: parallel_pull_plan, the chunks that a pull would have.
#include "core/ledger/ledger.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/caller_source.hpp"
#include "extension/bridge/guarded_call.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/coordinator/pull_planner.hpp"
#include "extension/coordinator/source_connection.hpp"
#include "extension/functions/pull_arguments.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/server/process/settings.hpp"
#include "extension/server/sql/result_set.hpp"
#include "extension/server/sql/row_values.hpp"
#include "extension/worker/route.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(parallel_pull_plan);
}

namespace parallel_loader {

namespace {

const char *text_or_null(const std::optional<std::string> &text) {
  return text ? text->c_str() : nullptr;
}

void put_chunk(FunctionCallInfo fcinfo, int number, const PlannedChunk &chunk,
               const RouteChoice &choice) {
  const char *start = text_or_null(chunk.range.start);
  const char *end = text_or_null(chunk.range.end);
  const char *relation = chunk.relation.empty() ? nullptr : chunk.relation.c_str();
  const std::string route(choice.name());
  const char *route_name = route.c_str();
  const char *reason = choice.reason.empty() ? nullptr : choice.reason.c_str();
  call([&]() noexcept {
    RowValues row = {};
    row_values_add_integer(&row, number);
    row_values_add_text(&row, start);
    row_values_add_text(&row, end);
    row_values_add_boolean(&row, chunk.range.nulls);
    row_values_add_bigint(&row, chunk.row_estimate);
    row_values_add_bigint(&row, chunk.byte_estimate);
    row_values_add_text(&row, relation);
    row_values_add_text(&row, route_name);
    row_values_add_text(&row, reason);
    result_set_put_nullable(fcinfo, row.values, row.nulls);
  });
}

// A table that is emptied and loaded again is to come from where the rest of its run is from.
void require_source_of(int64_t pull, SourceReader &reader) {
  if (pull == 0)
    return;
  SpiExecutor executor(SpiMode::kReadLatest);
  require_same_source(Ledger(executor).load_pull(find_pull(pull).pull_id),
                      reader.session().identity());
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

Datum parallel_pull_plan(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    const Request request = read_request(fcinfo, kTableLayout, RequestKind::kLook);
    call([&]() noexcept { result_set_begin(fcinfo); });
    CallerSource source(request, "plan");
    const std::unique_ptr<SourceReader> reader = source.open();
    require_source_of(id_setting("parallel_loader.same_source_as", setting_same_source_as),
                      *reader);
    const PullPlan plan = plan_pull(request, *reader);
    const ColumnMap columns = {plan.columns, plan.format, {}};
    const RouteChoice choice =
        choose_route(SinkColumns(columns).sink(request.pull.table, ""), request.route);
    int number = 0;
    for (const PlannedChunk &chunk : plan.chunks)
      put_chunk(fcinfo, ++number, chunk, choice);
    return Datum(0);
  });
}
