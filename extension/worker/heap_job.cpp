// heap_job: see heap_job.hpp.
#include "extension/worker/heap_job.hpp"

#include "core/stream/copy_rows.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/server/process/session.hpp"
#include "extension/worker/heap_writer.hpp"

namespace parallel_loader {

namespace {

// How many bytes go by between two looks at pause and rate.
constexpr int64_t kMeterBytes = int64_t{64} * 1024;

} // namespace

ChunkResult run_heap_job(const CopyTarget &target, const std::string &statement, Connection &source,
                         RowMeter &meter) {
  HeapWriter writer(target);
  CopyRows rows(source, Format::kBinary);
  int64_t metered = 0; // bytes
  const auto pass_meter = [&] {
    meter.pass(writer.inserted(), rows.byte_count(), rows.byte_count() - metered);
    metered = rows.byte_count();
  };
  for (rows.start(statement); rows.has_row(); rows.next()) {
    writer.add(rows.row());
    if (rows.byte_count() - metered >= kMeterBytes)
      pass_meter();
  }
  writer.end();
  call([]() noexcept { session_next_command(); });
  rows.finish();
  pass_meter();
  return {.row_count = writer.inserted(),
          .byte_count = rows.byte_count(),
          .route = {},
          .route_reason = {}};
}

} // namespace parallel_loader
