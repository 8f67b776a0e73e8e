#include "extension/worker/copy_route.hpp"

#include "core/stream/copy_stream.hpp"

#include <exception>
#include <span>

#include "extension/bridge/boundary.hpp"
#include "extension/server/load/copy_from.hpp"
#include "extension/server/process/session.hpp"

namespace parallel_loader {

namespace {

// COPY FROM buffers a thousand binary rows whatever their size and queues a trigger event for every
// row, so it is ended and begun again after this many bytes.
constexpr int64_t kSegmentBytes = int64_t{4} * 1024 * 1024;

// What the callback of COPY FROM works on, since it gets no argument.
struct ActiveCopy {
  CopyStream &stream;
  RowMeter &meter;
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

extern "C" int read_active_copy(void *buffer, int /*minimum*/, int maximum) {
  return entry([&] {
    ActiveCopy &copy = *active_copy;
    const size_t size =
        read_some(copy, {static_cast<char *>(buffer), static_cast<size_t>(maximum)});
    const int64_t rows = copy.may_skip_rows ? copy.inserted : copy.stream.row_count();
    copy.meter.pass(rows, copy.stream.byte_count(), static_cast<int64_t>(size));
    return static_cast<int>(size);
  });
}

// An error of the source crosses COPY FROM as one of the server's, and becomes itself again here: a
// query cancelled there is not a cancel of this process.
int64_t copy_segment(const RowSink &sink, ActiveCopy &copy) {
  copy.stream.begin_segment();
  try {
    const auto inserted = static_cast<int64_t>(
        call([&]() noexcept { return copy_from_run(&sink, read_active_copy); }));
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

ChunkResult move_by_copy_route(const RowSink &sink, const RowTask &task, Connection &source,
                               RowMeter &meter) {
  CopyStream stream(source, sink.is_binary ? Format::kBinary : Format::kText,
                    static_cast<size_t>(sink.column_count), kSegmentBytes);
  ActiveCopy copy = {.stream = stream, .meter = meter, .may_skip_rows = call([&]() noexcept {
                                                         return copy_from_may_skip_rows(sink.table);
                                                       })};
  const ActiveCopyScope scope(copy);
  if (copy.may_skip_rows) // a trigger runs after each row: the next one is to be read as it was
    stream.go_row_by_row();
  if (!sink.is_binary && !task.columns->chars.empty())
    stream.require_readable(task.columns->chars);
  stream.start(task.statement);
  while (stream.has_more()) {
    copy.inserted += copy_segment(sink, copy);
    call([]() noexcept { session_next_command(); });
  }
  stream.finish();
  require_nothing_skipped(copy);
  return {.row_count = copy.inserted,
          .byte_count = stream.byte_count(),
          .route = {},
          .route_reason = {}};
}

} // namespace parallel_loader
