// copy_job: see copy_job.hpp.
#include "extension/copy_job.hpp"

#include "core/copy_stream.hpp"

#include "extension/server/copy_from.hpp"
#include "extension/server/session.hpp"

#include <vector>

namespace parallel_loader {

namespace {

// COPY FROM buffers a thousand binary rows whatever their size and queues a trigger event for every
// row, so it is ended and begun again after this many bytes.
constexpr int64_t kSegmentBytes = int64_t{4} * 1024 * 1024;

// The callback of COPY FROM gets no argument; a process moves one chunk at a time.
struct ActiveCopy {
  CopyStream *stream;
  WorkerSlot *progress;
};
ActiveCopy active_copy = {};

extern "C" int read_active_copy(void *buffer, int /*minimum*/, int maximum) {
  return entry([&] {
    CopyStream &stream = *active_copy.stream;
    const size_t size = stream.read({static_cast<char *>(buffer), static_cast<size_t>(maximum)});
    pg_atomic_write_u64(&active_copy.progress->rows, static_cast<uint64>(stream.row_count()));
    pg_atomic_write_u64(&active_copy.progress->bytes, static_cast<uint64>(stream.byte_count()));
    return static_cast<int>(size);
  });
}

class ActiveCopyScope {
public:
  ActiveCopyScope(CopyStream &stream, WorkerSlot &progress) { active_copy = {&stream, &progress}; }
  ActiveCopyScope(const ActiveCopyScope &) = delete;
  ActiveCopyScope &operator=(const ActiveCopyScope &) = delete;
  ~ActiveCopyScope() { active_copy = {}; }
};

void require_nothing_skipped(const CopyJob &job, int64_t read, int64_t inserted) {
  if (read != inserted && !call([&]() noexcept { return copy_from_may_skip_rows(job.table); })) {
    throw Error(sqlstate::kProtocolViolation, "source sent " + std::to_string(read) +
                                                  " rows, but " + std::to_string(inserted) +
                                                  " were inserted");
  }
}

} // namespace

ChunkResult run_copy_job(const CopyJob &job, Connection &source, WorkerSlot &progress) {
  std::vector<const char *> names;
  for (const std::string &column : job.columns->columns)
    names.push_back(column.c_str());
  const CopyTarget target = {job.table, job.columns->format == Format::kBinary,
                             static_cast<int>(names.size()), names.data(), job.description.c_str()};
  call([&]() noexcept { copy_from_check(&target); });

  CopyStream stream(source, job.columns->format, names.size(), kSegmentBytes);
  const ActiveCopyScope scope(stream, progress);
  stream.start(job.statement);
  int64_t inserted = 0;
  while (stream.has_more()) {
    stream.begin_segment();
    inserted += static_cast<int64_t>(
        call([&]() noexcept { return copy_from_run(&target, read_active_copy); }));
    if (!stream.is_segment_drained()) {
      throw Error(sqlstate::kBadCopyFileFormat,
                  "source sent an end-of-data marker within the data");
    }
    call([]() noexcept { session_next_command(); });
  }
  stream.finish();
  require_nothing_skipped(job, stream.row_count(), inserted);
  return {inserted, stream.byte_count(), "copy"};
}

} // namespace parallel_loader
