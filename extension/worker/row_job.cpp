// row_job: see row_job.hpp.
#include "extension/worker/row_job.hpp"

#include <vector>

#include "extension/bridge/boundary.hpp"
#include "extension/server/process/session.hpp"
#include "extension/worker/copy_job.hpp"
#include "extension/worker/heap_job.hpp"
#include "extension/worker/route.hpp"
#include "extension/worker/row_meter.hpp"

namespace parallel_loader {

ChunkResult run_row_job(const RowJob &job, Connection &source, SharedPull *pull, int slot) {
  const TargetColumns names(*job.columns);
  const CopyTarget target = names.target(job.table, job.description.c_str());
  call([&]() noexcept { copy_from_check(&target); }); // the lock keeps the choice true
  RouteChoice choice = choose_route(target, job.route);
  log_route(choice, job.description);
  RowMeter meter(pull, slot);
  set_filter_path(source, job.filter_path);
  ChunkResult result = choice.is_heap ? run_heap_job(target, job.statement, source, meter)
                                      : run_copy_job(target, job.statement, source, meter);
  if (job.filter_path)
    clear_filter_path(source);
  result.route = choice.name();
  result.route_reason = std::move(choice.reason);
  return result;
}

} // namespace parallel_loader
