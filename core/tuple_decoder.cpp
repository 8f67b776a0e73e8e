// tuple_decoder: see tuple_decoder.hpp.
#include "core/tuple_decoder.hpp"

#include "core/copy_stream.hpp"
#include "core/error.hpp"
#include "core/network_order.hpp"
#include "core/numeric_image.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <utility>

namespace parallel_loader {
namespace {

// HeapTupleHeaderData, access/htup_details.h.
constexpr size_t kCtidOffset = 12; // before it: transactions, which the server sets
constexpr size_t kInfomask2Offset = 18;
constexpr size_t kInfomaskOffset = 20;
constexpr size_t kHoffOffset = 22;
constexpr size_t kBitsOffset = 23; // SizeofHeapTupleHeader
constexpr uint16_t kHasNull = 0x0001;
constexpr uint16_t kHasVarWidth = 0x0002;

// varatt.h.
constexpr size_t kLongHeader = 4;
constexpr size_t kShortHeader = 1;
constexpr size_t kMaxShort = 126; // bytes behind a short header

// MaxAllocSize, utils/memutils.h: what one allocation of the server can hold.
constexpr size_t kMaxTuple = 0x3FFFFFFF;

// A direct value takes no more than its field's bytes, a header and the padding before it: numeric
// loses six bytes, all others keep their size.
constexpr size_t kMaxOverhead = kLongHeader + kTupleAlignment;

constexpr int32_t kMaxTimeTypmod = 6; // digits of a second
constexpr int64_t kDayUs = 86'400'000'000;
// datatype/timestamp.h: MIN_TIMESTAMP, END_TIMESTAMP, and those of dates, in days from 2000-01-01.
constexpr int64_t kMinTimestamp = -211'813'488'000'000'000;
constexpr int64_t kEndTimestamp = 9'223'371'331'200'000'000;
constexpr int32_t kMinDate = -2'451'545;
constexpr int32_t kEndDate = 2'145'031'949;

size_t align(size_t position, size_t alignment) noexcept {
  return (position + alignment - 1) & ~(alignment - 1);
}

template <class Integer> bool is_extreme(Integer value) noexcept {
  return value == std::numeric_limits<Integer>::min() ||
         value == std::numeric_limits<Integer>::max();
}

bool needs_rounding(int64_t microseconds, int32_t typmod) noexcept {
  constexpr int64_t kSteps[kMaxTimeTypmod + 1] = {1'000'000, 100'000, 10'000, 1'000, 100, 10, 1};
  return typmod >= 0 && (typmod > kMaxTimeTypmod || microseconds % kSteps[typmod] != 0);
}

bool is_time(int64_t value, int32_t typmod) noexcept {
  return value >= 0 && value <= kDayUs && !needs_rounding(value, typmod);
}

bool is_timestamp(int64_t value, int32_t typmod) noexcept {
  return is_extreme(value) ||
         (value >= kMinTimestamp && value < kEndTimestamp && !needs_rounding(value, typmod));
}

bool is_date(int32_t value) noexcept {
  return is_extreme(value) || (value >= kMinDate && value < kEndDate);
}

bool is_text(std::string_view text, TextEncoding encoding) noexcept {
  switch (encoding) {
  case TextEncoding::kUtf8:
    return is_utf8(text);
  case TextEncoding::kSingleByte:
    return text.find('\0') == std::string_view::npos;
  case TextEncoding::kOther:
    break;
  }
  return is_ascii(text);
}

} // namespace

FieldKind field_kind(TypeOid type) noexcept {
  switch (type) { // catalog/pg_type.dat
  case 16:        // bool
    return FieldKind::kBool;
  case 18:   // "char"
  case 774:  // macaddr8
  case 829:  // macaddr
  case 2950: // uuid
    return FieldKind::kBytes;
  case 21: // int2
    return FieldKind::kSwap2;
  case 23:  // int4
  case 26:  // oid
  case 28:  // xid
  case 29:  // cid
  case 700: // float4
    return FieldKind::kSwap4;
  case 20:   // int8
  case 701:  // float8
  case 790:  // money
  case 3220: // pg_lsn
  case 5069: // xid8
    return FieldKind::kSwap8;
  case 1082: // date
    return FieldKind::kDate;
  case 1083: // time
    return FieldKind::kTime;
  case 1114: // timestamp
  case 1184: // timestamptz
    return FieldKind::kTimestamp;
  case 1186: // interval
    return FieldKind::kInterval;
  case 25: // text
    return FieldKind::kText;
  case 1043: // varchar
    return FieldKind::kVarchar;
  case 1042: // bpchar
    return FieldKind::kBpchar;
  case 17: // bytea
    return FieldKind::kBytea;
  case 1700: // numeric
    return FieldKind::kNumeric;
  default:
    return FieldKind::kOther;
  }
}

/// Writes one tuple into a batch, value after value.
class TupleDecoder::Writer {
public:
  Writer(TupleBatch &batch, size_t column_count, size_t row_size, bool has_null)
      : batch_(batch), direct_bytes_(row_size + column_count * kMaxOverhead) {
    const size_t header =
        align(kBitsOffset + (has_null ? (column_count + 7) / 8 : 0), kTupleAlignment);
    tuple_ = batch_.reserve(header + direct_bytes_);
    std::memset(tuple_, 0, header);
    std::memset(tuple_ + kCtidOffset, 0xFF, 4); // an invalid block
    put(kInfomask2Offset, static_cast<uint16_t>(column_count));
    tuple_[kHoffOffset] = static_cast<char>(header);
    infomask_ = has_null ? kHasNull : 0;
    position_ = header;
  }

  void mark_not_null(size_t column) noexcept {
    if ((infomask_ & kHasNull) != 0)
      tuple_[kBitsOffset + column / 8] =
          static_cast<char>(tuple_[kBitsOffset + column / 8] | 1 << column % 8);
  }

  template <class Value> void write(Value value, size_t alignment) noexcept {
    pad(alignment);
    put(position_, value);
    position_ += sizeof(value);
  }

  void write_bytes(std::string_view bytes, size_t alignment) noexcept {
    pad(alignment);
    std::memcpy(tuple_ + position_, bytes.data(), bytes.size());
    position_ += bytes.size();
  }

  void write_varlena(std::string_view bytes, const TupleColumn &column) noexcept {
    begin_varlena(bytes.size(), column);
    std::memcpy(tuple_ + position_, bytes.data(), bytes.size());
    position_ += bytes.size();
  }

  bool write_numeric(std::string_view field, const TupleColumn &column) noexcept {
    char image[kMaxShort];
    if (field.size() > sizeof(image))
      return false;
    const size_t size = parallel_loader::write_numeric(field, column.typmod, image);
    if (size == 0)
      return false;
    write_varlena({image, size}, column);
    return true;
  }

  /// A value that the receiver has made.
  void write_received(std::string_view value, const TupleColumn &column) {
    require_size(position_ + value.size());
    tuple_ = batch_.reserve(position_ + kMaxOverhead + value.size() + direct_bytes_);
    if (column.length != -1)
      write_bytes(value, column.alignment);
    else
      write_varlena(value.substr(kLongHeader), column);
    if (column.length == -2)
      infomask_ |= kHasVarWidth;
  }

  void finish(bool breaks_not_null) {
    require_size(position_);
    put(kInfomaskOffset, infomask_);
    batch_.append(static_cast<uint32_t>(position_), breaks_not_null);
  }

private:
  template <class Value> void put(size_t position, Value value) noexcept {
    std::memcpy(tuple_ + position, &value, sizeof(value));
  }

  void pad(size_t alignment) noexcept {
    for (const size_t end = align(position_, alignment); position_ < end; ++position_)
      tuple_[position_] = 0;
  }

  void begin_varlena(size_t size, const TupleColumn &column) noexcept {
    infomask_ |= kHasVarWidth;
    if (column.is_packable && size <= kMaxShort) {
      const auto header = static_cast<unsigned>(size + kShortHeader);
      tuple_[position_++] = static_cast<char>(
          std::endian::native == std::endian::little ? header << 1 | 0x01 : header | 0x80);
      return;
    }
    const auto header = static_cast<uint32_t>(size + kLongHeader);
    write(std::endian::native == std::endian::little ? header << 2 : header, column.alignment);
  }

  static void require_size(size_t size) {
    if (size > kMaxTuple)
      throw Error("54000", "row is too large: its values take more than 1 GB");
  }

  TupleBatch &batch_;
  size_t direct_bytes_; // that all fields together can take
  char *tuple_ = nullptr;
  size_t position_ = 0;
  uint16_t infomask_ = 0;
};

namespace {

template <class Unsigned>
bool write_swapped(auto &writer, std::string_view field, size_t alignment) {
  if (field.size() != sizeof(Unsigned))
    return false;
  writer.write(read_network<Unsigned>(field.data()), alignment);
  return true;
}

template <class Unsigned>
bool write_if(auto &writer, std::string_view field, size_t alignment, auto &&is_sound) {
  using Signed = std::make_signed_t<Unsigned>;
  return field.size() == sizeof(Unsigned) &&
         is_sound(static_cast<Signed>(read_network<Unsigned>(field.data()))) &&
         write_swapped<Unsigned>(writer, field, alignment);
}

bool write_varlena_if(auto &writer, std::string_view field, const TupleColumn &column,
                      bool is_sound) {
  if (is_sound)
    writer.write_varlena(field, column);
  return is_sound;
}

bool write_bool(auto &writer, std::string_view field) {
  if (field.size() != 1 || static_cast<unsigned char>(field[0]) > 1)
    return false;
  writer.write_bytes(field, 1);
  return true;
}

bool write_fixed(auto &writer, std::string_view field, const TupleColumn &column) {
  if (field.size() != static_cast<size_t>(column.length))
    return false;
  writer.write_bytes(field, column.alignment);
  return true;
}

// timestamp.h: struct Interval has the fields in the order of the wire.
bool write_interval(auto &writer, std::string_view field, const TupleColumn &column) {
  if (field.size() != 16 || column.typmod >= 0)
    return false;
  writer.write(read_network<uint64_t>(field.data()), column.alignment);
  writer.write(read_network<uint32_t>(field.data() + 8), sizeof(uint32_t));
  writer.write(read_network<uint32_t>(field.data() + 12), sizeof(uint32_t));
  return true;
}

// The typmod of varchar and bpchar is the greatest number of characters and four.
bool fits_varchar(std::string_view text, int32_t typmod) noexcept {
  return typmod < 4 || text.size() <= static_cast<size_t>(typmod - 4);
}

// Neither to be padded with blanks nor to be cut.
bool fills_bpchar(std::string_view text, int32_t typmod) noexcept {
  return typmod < 4 || (text.size() == static_cast<size_t>(typmod - 4) && is_ascii(text));
}

// Writes the value if the type's receive function would store it as it came.
bool write_direct(auto &writer, std::string_view field, const TupleColumn &column,
                  TextEncoding encoding) {
  const size_t alignment = column.alignment;
  switch (column.kind) {
  case FieldKind::kBool:
    return write_bool(writer, field);
  case FieldKind::kBytes:
    return write_fixed(writer, field, column);
  case FieldKind::kSwap2:
    return write_swapped<uint16_t>(writer, field, alignment);
  case FieldKind::kSwap4:
    return write_swapped<uint32_t>(writer, field, alignment);
  case FieldKind::kSwap8:
    return write_swapped<uint64_t>(writer, field, alignment);
  case FieldKind::kDate:
    return write_if<uint32_t>(writer, field, alignment, is_date);
  case FieldKind::kTime:
    return write_if<uint64_t>(writer, field, alignment,
                              [&](int64_t value) { return is_time(value, column.typmod); });
  case FieldKind::kTimestamp:
    return write_if<uint64_t>(writer, field, alignment,
                              [&](int64_t value) { return is_timestamp(value, column.typmod); });
  case FieldKind::kInterval:
    return write_interval(writer, field, column);
  case FieldKind::kText:
    return write_varlena_if(writer, field, column, is_text(field, encoding));
  case FieldKind::kVarchar:
    return write_varlena_if(writer, field, column,
                            fits_varchar(field, column.typmod) && is_text(field, encoding));
  case FieldKind::kBpchar:
    return write_varlena_if(writer, field, column,
                            fills_bpchar(field, column.typmod) && is_text(field, encoding));
  case FieldKind::kBytea:
    return write_varlena_if(writer, field, column, true);
  case FieldKind::kNumeric:
    return writer.write_numeric(field, column);
  case FieldKind::kOther:
    break;
  }
  return false;
}

} // namespace

TupleDecoder::TupleDecoder(std::vector<TupleColumn> columns, size_t field_count,
                           TextEncoding encoding, FieldReceiver &receiver)
    : columns_(std::move(columns)), fields_(field_count), encoding_(encoding), receiver_(receiver),
      has_absent_(std::ranges::any_of(columns_,
                                      [](const TupleColumn &column) { return column.field < 0; })) {
}

void TupleDecoder::decode(std::string_view row, TupleBatch &batch) {
  ++row_count_;
  if (!split(row))
    throw_malformed_row(row_count_, check_binary_row(row, fields_.size()));
  breaks_not_null_ = false;
  Writer writer(batch, columns_.size(), row.size(), has_null_);
  for (size_t index = 0; index < columns_.size(); ++index)
    write_column(writer, index);
  writer.finish(breaks_not_null_);
}

// Finds the fields; false when the row is not exactly as many as there should be.
bool TupleDecoder::split(std::string_view row) noexcept {
  has_null_ = has_absent_;
  if (row.size() < 2 || read_network<uint16_t>(row.data()) != fields_.size())
    return false;
  const char *at = row.data() + 2;
  const char *const end = row.data() + row.size();
  for (Field &field : fields_) {
    if (end - at < 4)
      return false;
    field = {at + 4, static_cast<int32_t>(read_network<uint32_t>(at))};
    at += 4;
    if (field.size == -1) {
      has_null_ = true;
      continue;
    }
    if (field.size < 0 || field.size > end - at)
      return false;
    at += field.size;
  }
  return at == end;
}

void TupleDecoder::write_column(Writer &writer, size_t index) {
  const TupleColumn &column = columns_[index];
  const Field field =
      column.field < 0 ? Field{nullptr, -1} : fields_[static_cast<size_t>(column.field)];
  if (field.size < 0) {
    if (column.checks_null && column.field >= 0)
      receiver_.receive_null(index);
    breaks_not_null_ = breaks_not_null_ || column.is_not_null;
    return;
  }
  writer.mark_not_null(index);
  const std::string_view bytes(field.bytes, static_cast<size_t>(field.size));
  if (!write_direct(writer, bytes, column, encoding_))
    writer.write_received(receiver_.receive(index, bytes), column);
}

} // namespace parallel_loader
