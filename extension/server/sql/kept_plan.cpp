#include "extension/server/sql/kept_plan.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace parallel_loader {

static constexpr int kLongestMs = 5000;
static constexpr int kMostPlans = 128; // more than there are statements

struct KeptPlan {
  char *sql;
  SPIPlanPtr plan; // nullptr: to be made
  TimestampTz made_at;
};

static KeptPlan kept_plans[kMostPlans];
static int kept_count = 0;

static SPIPlanPtr make_plan(const char *sql, int param_count) {
  auto *types = static_cast<Oid *>(palloc(sizeof(Oid) * Max(1, param_count)));
  for (int index = 0; index < param_count; index++)
    types[index] = TEXTOID;
  const SPIPlanPtr plan = SPI_prepare_cursor(sql, param_count, types, CURSOR_OPT_PARALLEL_OK);
  if (plan == nullptr)
    elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
  return plan;
}

static KeptPlan *find_place(const char *sql) {
  for (int index = 0; index < kept_count; index++)
    if (strcmp(kept_plans[index].sql, sql) == 0)
      return &kept_plans[index];
  if (kept_count == kMostPlans)
    return nullptr;
  KeptPlan *place = &kept_plans[kept_count];
  place->sql = MemoryContextStrdup(TopMemoryContext, sql);
  kept_count++;
  return place;
}

SPIPlanPtr kept_plan(const char *sql, int param_count) {
  KeptPlan *place = find_place(sql);
  if (place == nullptr)
    return make_plan(sql, param_count);
  const TimestampTz now = GetCurrentTimestamp();
  if (place->plan != nullptr && !TimestampDifferenceExceeds(place->made_at, now, kLongestMs))
    return place->plan;
  const SPIPlanPtr old = place->plan;
  place->plan = nullptr;
  if (old != nullptr)
    SPI_freeplan(old);
  const SPIPlanPtr plan = make_plan(sql, param_count);
  SPI_keepplan(plan);
  place->plan = plan;
  place->made_at = now;
  return plan;
}

} // namespace parallel_loader
