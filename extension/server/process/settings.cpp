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
int setting_run_wait_ms = -1;
int setting_tables_to_come = 0;
char *setting_same_source_as = nullptr;
char *setting_continued_run = nullptr;
char *setting_sole_since = nullptr;
int setting_route = kRouteAuto;

static const config_enum_entry kRoutes[] = {{"auto", kRouteAuto, false},
                                            {"copy", kRouteAuto + 1, false},
                                            {"heap", kRouteAuto + 2, false},
                                            {nullptr, 0, false}};

void settings_define() {
  DefineCustomIntVariable("parallel_loader.workers", "Sets the default number of workers per pull.",
                          nullptr, &setting_workers, 4, 1, kMaxWorkers, PGC_USERSET, 0, nullptr,
                          nullptr, nullptr);
  DefineCustomIntVariable("parallel_loader.chunk_size",
                          "Sets the default size of the chunks that a table is cut into.",
                          "Each chunk is one transaction.", &setting_chunk_size_kb, 128 * 1024, 64,
                          MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "parallel_loader.snapshot_hold",
      "Sets how long a failed pull, or a pull on which no session works, keeps its snapshot of "
      "the source.",
      "Within this time a failed pull can be resumed under the same snapshot.",
      &setting_snapshot_hold_s, 600, 0, INT_MAX / 1000, PGC_USERSET, GUC_UNIT_S, nullptr, nullptr,
      nullptr);
  DefineCustomIntVariable("parallel_loader.retry_budget",
                          "Sets how long transient errors are retried without completing a chunk.",
                          "With 0, the first error ends the pull.", &setting_retry_budget_s, 300, 0,
                          INT_MAX / 1000, PGC_USERSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("parallel_loader.run_wait",
                          "Sets how long a run waits for the next pull that is created in it, once "
                          "all others are done.",
                          "With -1, a run of several pulls waits half a second.",
                          &setting_run_wait_ms, -1, -1, 60 * 1000, PGC_USERSET, GUC_UNIT_MS,
                          nullptr, nullptr, nullptr);
  DefineCustomStringVariable("parallel_loader.continued_run",
                             "Sets the id of the run whose missing tables a new run loads.",
                             "The old run is no longer recorded as one that lacks them.",
                             &setting_continued_run, "", PGC_USERSET, GUC_NOT_IN_SAMPLE, nullptr,
                             nullptr, nullptr);
  DefineCustomStringVariable("parallel_loader.same_source_as",
                             "Sets the id of the pull whose source a plan is to find.",
                             "An empty string lets it take any source.", &setting_same_source_as,
                             "", PGC_USERSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("parallel_loader.sole_since",
                             "Sets the time since which no other pull may have loaded a table.",
                             "An empty string lets several pulls load it.", &setting_sole_since, "",
                             PGC_USERSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "parallel_loader.tables_to_come",
      "Sets how many tables are to be loaded in a run after the one that is created.",
      "It is recorded, so that a run that has lost its client can tell what it lacks.",
      &setting_tables_to_come, 0, 0, INT_MAX, PGC_USERSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr,
      nullptr);
  DefineCustomEnumVariable("parallel_loader.route", "Sets how rows are inserted into the table.",
                           "auto selects the fastest route that behaves like COPY.", &setting_route,
                           kRouteAuto, kRoutes, PGC_USERSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr,
                           nullptr);
  compat_reserve_settings("parallel_loader");
}

} // namespace parallel_loader
