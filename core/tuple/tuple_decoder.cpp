#include "core/tuple/tuple_decoder.hpp"

#include "core/base/error.hpp"
#include "core/stream/binary_row.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

// A tuple's header: PostgreSQL, src/include/access/htup_details.h, struct HeapTupleHeaderData.
constexpr size_t kTidAt = 12;
constexpr size_t kInfomask2At = 18; // the number of columns
constexpr size_t kInfomaskAt = 20;
constexpr size_t kDataOffsetAt = 22;
constexpr size_t kBitmapAt = 23;
constexpr size_t kTupleHeaderBytes = 24; // without a bitmap
constexpr uint16_t kHasNull = 0x0001;
constexpr uint16_t kHasVariableWidth = 0x0002;
constexpr size_t kMaxColumns = 1664; // MaxTupleAttributeNumber

// The server forms a tuple in one piece of MaxAllocSize at most, with a HeapTupleData before it.
constexpr size_t kMaxTupleBytes = 0x3FFFFFFF - 24;

constexpr size_t align_up(size_t size) {
  return (size + TupleBatch::kAlignment - 1) & ~(TupleBatch::kAlignment - 1);
}

void check_size(size_t tuple_bytes) {
  if (tuple_bytes > kMaxTupleBytes)
    throw Error(sqlstate::kProgramLimitExceeded, "row is too large",
                "It takes more than " + std::to_string(kMaxTupleBytes) + " bytes.");
}

// What heap_form_tuple() leaves in a header whose transaction and place are not known yet.
void write_header(char *tuple, size_t column_count, size_t header_bytes, uint16_t infomask) {
  store(tuple + kTidAt, uint32_t{0xFFFFFFFF}); // no block; its item number stays 0
  store(tuple + kInfomask2At, static_cast<uint16_t>(column_count));
  store(tuple + kInfomaskAt, infomask);
  store(tuple + kDataOffsetAt, static_cast<uint8_t>(header_bytes));
}

void set_bit(char *bitmap, size_t bit) {
  bitmap[bit / 8] = static_cast<char>(bitmap[bit / 8] | 1 << bit % 8);
}

} // namespace

TupleDecoder::TupleDecoder(const std::vector<TupleColumn> &columns, size_t field_count,
                           TextEncoding encoding, FieldReceiver &receiver)
    : fields_(field_count + 1), field_count_(field_count), receiver_(receiver), jsonb_(encoding),
      bitmap_header_bytes_(align_up(kBitmapAt + (columns.size() + 7) / 8)) {
  if (columns.size() > kMaxColumns)
    throw Error(sqlstate::kInternalError, "tuple decoder was given too many columns");
  fields_.back().size = kNull;
  std::vector<bool> is_used(field_count);
  for (const TupleColumn &column : columns) {
    const bool is_absent = column.field < 0;
    const size_t field = is_absent ? field_count : static_cast<size_t>(column.field);
    if (!is_absent && (field >= field_count || is_used[field]))
      throw Error(sqlstate::kInternalError, "tuple decoder was given a column of no field");
    if (!is_absent)
      is_used[field] = true;
    is_one_absent_ |= is_absent;
    // A dropped column's type may be gone; it is never written.
    columns_.push_back({FieldWriter(is_absent ? TupleColumn{.length = 1} : column, encoding),
                        static_cast<uint32_t>(field),
                        column.length < 0 ? kHasVariableWidth : uint16_t{0}, column.is_not_null,
                        column.checks_null && !is_absent, column.kind,
                        static_cast<uint32_t>(arrays_.size())});
    if (column.kind == FieldKind::kArray && !is_absent)
      arrays_.emplace_back(column, encoding);
  }
  is_one_unused_ = std::find(is_used.begin(), is_used.end(), false) != is_used.end();
}

// Room is reserved once for all that the decoder writes by itself: a field of n bytes takes 4 + n
// in the row, and FieldWriter::kMaxGrowth + n at most in the tuple.
void TupleDecoder::decode(std::string_view row, TupleBatch &batch) {
  ++row_count_;
  const bool has_null = find_fields(row);
  const size_t header_bytes = has_null ? bitmap_header_bytes_ : kTupleHeaderBytes;
  const size_t bound = header_bytes + row.size() + FieldWriter::kOverrun +
                       columns_.size() * (FieldWriter::kMaxGrowth - 4);
  char *tuple = batch.reserve(bound);
  std::memset(tuple, 0, header_bytes);
  char *end = tuple + header_bytes;
  uint16_t infomask = has_null ? kHasNull : 0;
  bool breaks_not_null = false;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column &column = columns_[i];
    const Field field = fields_[column.field];
    if (field.size == kNull) {
      breaks_not_null |= see_null(i);
      continue;
    }
    infomask |= column.width_bit;
    if (has_null)
      set_bit(tuple + kBitmapAt, i);
    if (char *const next = column.writer.write({field.data, field.size}, end); next != nullptr) {
      end = next;
    } else {
      const size_t used = write_other(i, batch, static_cast<size_t>(end - tuple), bound);
      tuple = batch.reserve(0);
      end = tuple + used;
    }
  }
  const auto length = static_cast<size_t>(end - tuple);
  check_size(length);
  write_header(tuple, columns_.size(), header_bytes, infomask);
  batch.append(static_cast<uint32_t>(length), breaks_not_null);
}

// Checks the row's form and notes where its fields lie.  Returns whether a column is NULL.
bool TupleDecoder::find_fields(std::string_view row) {
  const char *at = row.data();
  const char *const end = at + row.size();
  if (row.size() < 2 || load_big_endian<uint16_t>(at) != field_count_)
    throw_malformed_row(row_count_, check_binary_row(row, field_count_));
  at += 2;
  bool has_null = false;
  for (size_t i = 0; i < field_count_; ++i) {
    if (end - at < 4)
      throw_malformed_row(row_count_, check_binary_row(row, field_count_));
    const auto size = load_big_endian<uint32_t>(at);
    at += 4;
    fields_[i] = {at, size};
    if (size == kNull) {
      has_null = true;
      continue;
    }
    if (size > static_cast<size_t>(end - at))
      throw_malformed_row(row_count_, check_binary_row(row, field_count_));
    at += size;
  }
  if (at != end)
    throw_malformed_row(row_count_, check_binary_row(row, field_count_));
  return is_one_absent_ || (has_null && (!is_one_unused_ || is_any_null()));
}

bool TupleDecoder::is_any_null() const noexcept {
  return std::any_of(
      columns_.begin(), columns_.end(),
      [this](const Column &column) { return fields_[column.field].size == kNull; });
}

// Returns whether the column may not be NULL.
bool TupleDecoder::see_null(size_t column) {
  if (columns_[column].checks_null)
    receiver_.receive_null(column);
  return columns_[column].is_not_null;
}

// The value that has more room than its field, if it is one that can be told without the server.
std::string_view TupleDecoder::build(const Column &column, std::string_view field) {
  switch (column.kind) {
  case FieldKind::kJsonb:
    return jsonb_.build(field);
  case FieldKind::kArray:
    return arrays_[column.array].build(field);
  default:
    return {};
  }
}

// Appends what a builder or else the receiver makes of a field to the `used` bytes of the tuple.
// Returns how many there are then, with room for `bound` more.
size_t TupleDecoder::write_other(size_t column, TupleBatch &batch, size_t used, size_t bound) {
  const Column &it = columns_[column];
  const std::string_view field(fields_[it.field].data, fields_[it.field].size);
  std::string_view value = build(it, field);
  if (value.empty())
    value = receiver_.receive(column, field);
  check_size(used + value.size());
  char *const tuple = batch.reserve(used + FieldWriter::kMaxGrowth + value.size() + bound);
  return static_cast<size_t>(it.writer.write_received(value, tuple + used) - tuple);
}

} // namespace parallel_loader
