#include "extension/worker/heap_route.hpp"

#include "core/stream/copy_rows.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "extension/bridge/boundary.hpp"
#include "extension/server/process/session.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace parallel_loader {

namespace {

// A batch ends at kHeapBatchRows rows or after this many bytes.
constexpr size_t kBatchBytes = size_t{256} * 1024;

// How many bytes go by between two looks at pause and rate.
constexpr int64_t kMeterBytes = int64_t{64} * 1024;

TextEncoding text_encoding() {
  const int encoding = GetDatabaseEncoding();
  if (encoding == PG_UTF8)
    return TextEncoding::kUtf8;
  return pg_database_encoding_max_length() == 1 ? TextEncoding::kSingleByte : TextEncoding::kOther;
}

// Of arrays by their elements.
FieldKind kind_of(const StoredColumn &column) {
  const FieldKind kind = field_kind(column.type);
  const bool is_array = kind == FieldKind::kOther && column.element_type != InvalidOid;
  return is_array && field_kind(column.element_type) != FieldKind::kOther ? FieldKind::kArray
                                                                          : kind;
}

// The stream's columns by name, so that each column of the table finds its field.
std::vector<TupleColumn> tuple_columns(const RowSink &sink, const FieldReceive *receive) {
  std::vector<TupleColumn> columns;
  const StoredColumn *stored = field_receive_columns(receive);
  const std::span<const char *const> names(sink.columns, static_cast<size_t>(sink.column_count));
  for (int index = 0; index < field_receive_column_count(receive); index++) {
    const StoredColumn &column = stored[index];
    const auto name = std::ranges::find_if(
        names, [&](const char *travelling) { return std::string_view(travelling) == column.name; });
    const bool travels = column.type != InvalidOid && name != names.end();
    columns.push_back({.kind = kind_of(column),
                       .length = column.length,
                       .alignment = column.alignment,
                       .is_packable = column.is_packable,
                       .typmod = column.typmod,
                       .is_not_null = column.is_not_null,
                       .checks_null = column.receives_null,
                       .field = travels ? static_cast<int>(name - names.begin()) : -1,
                       .element = {.type = column.element_type,
                                   .kind = field_kind(column.element_type),
                                   .length = column.element_length,
                                   .alignment = column.element_alignment}});
  }
  return columns;
}

} // namespace

ServerReceiver::ServerReceiver(const RowSink &sink)
    : receive_(call([&]() noexcept { return field_receive_begin(&sink); })) {}

std::string_view ServerReceiver::receive(size_t column, std::string_view field) {
  const FieldBytes value = call([&]() noexcept {
    return field_receive(receive_, static_cast<int>(column), field.data(), field.size(), row_);
  });
  return {value.bytes, value.size};
}

void ServerReceiver::receive_null(size_t column) {
  call([&]() noexcept { field_receive_null(receive_, static_cast<int>(column), row_); });
}

HeapWriter::HeapWriter(const RowSink &sink)
    : receiver_(sink), decoder_(tuple_columns(sink, receiver_.fields()),
                                static_cast<size_t>(sink.column_count), text_encoding(), receiver_),
      insert_(call([&]() noexcept { return heap_insert_begin(&sink); })) {}

void HeapWriter::add(std::string_view row) {
  receiver_.set_row(++row_count_);
  decoder_.decode(row, batch_);
  if (batch_.tuples().size() == kHeapBatchRows || batch_.size_bytes() >= kBatchBytes ||
      batch_.tuples().back().breaks_not_null) // an error that comes before any of the next row
    flush();
}

void HeapWriter::end() {
  flush();
  call([&]() noexcept { heap_insert_end(insert_); });
}

void HeapWriter::flush() {
  const std::span<const Tuple> tuples = batch_.tuples();
  std::array<HeapImage, kHeapBatchRows> images;
  for (size_t index = 0; index < tuples.size(); index++)
    images[index] = {batch_.data() + tuples[index].offset, tuples[index].length,
                     tuples[index].breaks_not_null};
  call([&]() noexcept {
    heap_insert_batch(insert_, images.data(), static_cast<int>(tuples.size()));
  });
  inserted_ += static_cast<int64_t>(tuples.size());
  batch_.clear();
}

ChunkResult move_by_heap_route(const RowSink &sink, const std::string &statement,
                               Connection &source, RowMeter &meter) {
  HeapWriter writer(sink);
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
