#include "extension/server/process/worker_census.hpp"

#include "extension/server/process/background.hpp"

extern "C" {
#include "storage/proc.h"
}

namespace parallel_loader {

static constexpr int kMaxTypes = 16;

struct TypeCount {
  char type[BGW_MAXLEN];
  int count;
};

struct TypeCounts {
  int size;
  TypeCount types[kMaxTypes]; // the last one stands for all that find no place
};

static void count_type(TypeCounts *counts, const char *type) {
  int index = 0;
  while (index < counts->size && strcmp(counts->types[index].type, type) != 0)
    index++;
  if (index == kMaxTypes - 1)
    type = "others";
  TypeCount *found = &counts->types[Min(index, kMaxTypes - 1)];
  strlcpy(found->type, type, sizeof(found->type));
  found->count++;
  counts->size = Max(counts->size, Min(index, kMaxTypes - 1) + 1);
}

static void count_processes(TypeCounts *counts) {
  for (uint32 number = 0; number < ProcGlobal->allProcCount; number++) {
    const int pid = ProcGlobal->allProcs[number].pid;
    const char *type = pid != 0 ? GetBackgroundWorkerTypeByPid(pid) : nullptr;
    if (type != nullptr)
      count_type(counts, type);
  }
}

static void describe(WorkerCensus *census, const TypeCounts *counts) {
  snprintf(census->text, sizeof(census->text), "%d of %d are in use", census->used, census->limit);
  for (int index = 0; index < counts->size; index++) {
    const size_t length = strlen(census->text);
    snprintf(census->text + length, sizeof(census->text) - length, "%s%d %s",
             index == 0 ? ": " : ", ", counts->types[index].count, counts->types[index].type);
  }
}

WorkerCensus worker_census_take() {
  TypeCounts counts = {};
  count_processes(&counts);
  WorkerCensus census = {};
  census.limit = max_worker_processes;
  for (int index = 0; index < counts.size; index++) {
    const TypeCount *type = &counts.types[index];
    census.used += type->count;
    if (strcmp(type->type, kCoordinatorType) == 0)
      census.coordinators += type->count;
    else if (strcmp(type->type, kWorkerType) != 0 && strcmp(type->type, "parallel worker") != 0)
      census.foreign += type->count;
    if (strcmp(type->type, "logical replication launcher") == 0)
      census.permanent += type->count;
  }
  describe(&census, &counts);
  return census;
}

} // namespace parallel_loader
