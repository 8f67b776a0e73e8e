// copy_job: see copy_job.hpp.
#include "extension/copy_job.hpp"

#include "core/copy_stream.hpp"

#include <exception>
#include <span>
#include <vector>

#include "extension/latch_waiter.hpp"
#include "extension/server/copy_from.hpp"
#include "extension/server/session.hpp"
#include "extension/server/throttle.hpp"

namespace parallel_loader {

namespace {

// COPY FROM buffers a thousand binary rows whatever their size and queues a trigger event for every
// row, so it is ended and begun again after this many bytes.
constexpr int64_t kSegmentBytes = int64_t{4} * 1024 * 1024;

// What the callback of COPY FROM works on, since it gets no argument.
struct ActiveCopy {
  CopyStream &stream;
  SharedPull *pull;
  WorkerSlot &progress;
  bool may_skip_rows;                        // that it is given
  int64_t inserted = 0;                      // by the segments that have ended
  std::exception_ptr source_error = nullptr; // that broke the stream off
};
ActiveCopy *active_copy = nullptr; // a process moves one chunk at a time

class ActiveCopyScope {
public:
  explicit ActiveCopyScope(ActiveCopy &copy) { active_copy = &copy; }
  ActiveCopyScope(const ActiveCopyScope &) = delete;
  ActiveCopyScope &operator=(const ActiveCopyScope &) = delete;
  ~ActiveCopyScope() { active_copy = nullptr; }
};

size_t read_some(ActiveCopy &copy, std::span<char> buffer) {
  try {
    return copy.stream.read(buffer);
  } catch (const Error &) {
    copy.source_error = std::current_exception();
    throw;
  }
}

void pass_throttle(const ActiveCopy &copy, size_t size) {
  const bool may_go_on = call([&]() noexcept {
    return throttle_pass(copy.pull, &copy.progress, static_cast<int64>(size));
  });
  if (!may_go_on)
    throw Stopped();
}

extern "C" int read_active_copy(void *buffer, int /*minimum*/, int maximum) {
  return entry([&] {
    ActiveCopy &copy = *active_copy;
    const size_t size =
        read_some(copy, {static_cast<char *>(buffer), static_cast<size_t>(maximum)});
    const int64_t rows = copy.may_skip_rows ? copy.inserted : copy.stream.row_count();
    pg_atomic_write_u64(&copy.progress.rows, static_cast<uint64>(rows));
    pg_atomic_write_u64(&copy.progress.bytes, static_cast<uint64>(copy.stream.byte_count()));
    pg_atomic_fetch_add_u64(&copy.pull->bytes_moved, static_cast<int64>(size));
    pass_throttle(copy, size);
    return static_cast<int>(size);
  });
}

// An error of the source crosses COPY FROM as one of the server's, and becomes itself again here: a
// query cancelled there is not a cancel of this process.
int64_t copy_segment(const CopyTarget &target, ActiveCopy &copy) {
  copy.stream.begin_segment();
  try {
    const auto inserted = static_cast<int64_t>(
        call([&]() noexcept { return copy_from_run(&target, read_active_copy); }));
    if (!copy.stream.is_segment_drained())
      throw Error(sqlstate::kBadCopyFileFormat,
                  "source sent an end-of-data marker within the data");
    return inserted;
  } catch (const PgError &) {
    if (copy.source_error)
      std::rethrow_exception(copy.source_error);
    throw;
  }
}

void require_nothing_skipped(const ActiveCopy &copy) {
  const int64_t read = copy.stream.row_count();
  if (read != copy.inserted && !copy.may_skip_rows) {
    throw Error(sqlstate::kProtocolViolation, "source sent " + std::to_string(read) +
                                                  " rows, but " + std::to_string(copy.inserted) +
                                                  " were inserted");
  }
}

} // namespace

ChunkResult run_copy_job(const CopyJob &job, Connection &source, SharedPull *pull, int slot) {
  std::vector<const char *> names;
  for (const std::string &column : job.columns->columns)
    names.push_back(column.c_str());
  const CopyTarget target = {job.table, job.columns->format == Format::kBinary,
                             static_cast<int>(names.size()), names.data(), job.description.c_str()};
  call([&]() noexcept { copy_from_check(&target); });

  CopyStream stream(source, job.columns->format, names.size(), kSegmentBytes);
  ActiveCopy copy = {.stream = stream,
                     .pull = pull,
                     .progress = pull->slots[slot],
                     .may_skip_rows =
                         call([&]() noexcept { return copy_from_may_skip_rows(job.table); })};
  const ActiveCopyScope scope(copy);
  stream.start(job.statement);
  while (stream.has_more()) {
    copy.inserted += copy_segment(target, copy);
    call([]() noexcept { session_next_command(); });
  }
  stream.finish();
  require_nothing_skipped(copy);
  return {copy.inserted, stream.byte_count(), "copy"};
}

} // namespace parallel_loader
