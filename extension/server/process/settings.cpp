// settings: see settings.hpp.
#include "extension/server/process/settings.hpp"

#include "extension/server/base/compat.hpp"
#include "extension/server/shared/shared_pull.hpp"

extern "C" {
#include "utils/guc.h"
}

namespace parallel_loader {

static constexpr int kRouteAuto = 1; // as RouteSetting::kAuto, and so on

int setting_workers = 4;
int setting_chunk_size_kb = 128 * 1024;
int setting_snapshot_hold_s = 600;
int setting_retry_budget_s = 300;
int setting_route = kRouteAuto;

static const config_enum_entry kRoutes[] = {{"auto", kRouteAuto, false},
                                            {"copy", kRouteAuto + 1, false},
                                            {"heap", kRouteAuto + 2, false},
                                            {nullptr, 0, false}};

void settings_define() {
  DefineCustomIntVariable("parallel_loader.workers",
                          "Sets the number of background workers of a pull that does not say.",
                          nullptr, &setting_workers, 4, 1, kMaxWorkers, PGC_USERSET, 0, nullptr,
                          nullptr, nullptr);
  DefineCustomIntVariable(
      "parallel_loader.chunk_size", "Sets the size of the pieces that a table is cut into.",
      "Each chunk is pulled in one transaction.", &setting_chunk_size_kb, 128 * 1024, 64,
      MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "parallel_loader.snapshot_hold",
      "Sets how long a pull that has failed, or that nobody works on, keeps its snapshot of the "
      "source.",
      "Until then a resume goes on under the same snapshot.", &setting_snapshot_hold_s, 600, 0,
      INT_MAX / 1000, PGC_USERSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "parallel_loader.retry_budget",
      "Sets how long a pull repeats what fails for passing reasons without completing a chunk.",
      "0 lets the first failure end the pull.", &setting_retry_budget_s, 300, 0, INT_MAX / 1000,
      PGC_USERSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomEnumVariable("parallel_loader.route", "Sets the way on which rows go into the table.",
                           "auto is the fastest that does all that COPY would do.", &setting_route,
                           kRouteAuto, kRoutes, PGC_USERSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr,
                           nullptr);
  compat_reserve_settings("parallel_loader");
}

} // namespace parallel_loader
