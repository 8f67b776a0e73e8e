#include "core/tuple/field_writer.hpp"

#include "core/base/error.hpp"
#include "core/tuple/varlena.hpp"

#include <array>
#include <limits>

namespace parallel_loader {
namespace {

// Limits of dates and times: PostgreSQL, src/include/datatype/timestamp.h.
constexpr int32_t kMinDate = -2451545;                 // 4714-11-24 BC, in days from 2000-01-01
constexpr int32_t kEndDate = 2147483494 - 2451545;     // 5874898-01-01, the first that is none
constexpr int64_t kMinTimestamp = -211813488000000000; // the same in microseconds
constexpr int64_t kEndTimestamp = 9223371331200000000; // 294277-01-01
constexpr int64_t kDayMicroseconds = 86400000000;
constexpr int32_t kTypmodHeader = 4; // what typmods of varchar and bpchar count in (VARHDRSZ)
constexpr int32_t kFullPrecision = 6;

// PostgreSQL, src/include/utils/inet.h: PGSQL_AF_INET and PGSQL_AF_INET6.
constexpr uint8_t kFamilyInet = 2;
constexpr uint8_t kFamilyInet6 = 3;
constexpr size_t kAddressHeaderBytes = 4;

// Whether one of the address's bits behind the first `bits` is set.
bool has_bits_behind(std::string_view address, size_t bits) {
  for (size_t i = bits / 8; i < address.size(); ++i) {
    const unsigned mask = i == bits / 8 ? 0xFFU >> bits % 8 : 0xFFU;
    if ((static_cast<uint8_t>(address[i]) & mask) != 0)
      return true;
  }
  return false;
}

template <class Number> bool is_infinite(Number value) {
  return value == std::numeric_limits<Number>::min() || value == std::numeric_limits<Number>::max();
}

[[noreturn]] void throw_impossible_column(std::string_view what) {
  throw Error(sqlstate::kInternalError, "tuple decoder was given a column " + std::string(what));
}

[[noreturn]] void throw_impossible_value(std::string_view what) {
  throw Error(sqlstate::kInternalError, "receive function returned " + std::string(what));
}

// The length a column of this kind must have; 0: any.
int16_t kind_length(FieldKind kind) {
  switch (kind) {
  case FieldKind::kBool:
  case FieldKind::kByte:
    return 1;
  case FieldKind::kSwap2:
    return 2;
  case FieldKind::kSwap4:
  case FieldKind::kDate:
    return 4;
  case FieldKind::kSwap8:
  case FieldKind::kTime:
  case FieldKind::kTimestamp:
    return 8;
  case FieldKind::kInterval:
    return 16;
  case FieldKind::kText:
  case FieldKind::kVarchar:
  case FieldKind::kBpchar:
  case FieldKind::kBytea:
  case FieldKind::kNumeric:
  case FieldKind::kInet:
  case FieldKind::kCidr:
  case FieldKind::kJsonb:
  case FieldKind::kArray:
    return -1;
  case FieldKind::kFixed:
  case FieldKind::kOther:
    return 0;
  }
  return 0;
}

// The unit in microseconds of a time of so many digits.  AdjustTimestampForTypmod() and
// AdjustTimeForTypmod() leave multiples of it as they are.
int64_t unit_of_precision(int32_t precision) {
  int64_t unit = 1;
  for (; precision < kFullPrecision; ++precision)
    unit *= 10;
  return unit;
}

void check_column(const TupleColumn &column) {
  const int16_t length = kind_length(column.kind);
  if (length != 0 && column.length != length)
    throw_impossible_column("of a length that is not its kind's");
  if (column.length == 0 || column.length < -2 ||
      (column.kind == FieldKind::kFixed && column.length < 0))
    throw_impossible_column("of no length");
  if (!std::has_single_bit(column.alignment) || column.alignment > 8)
    throw_impossible_column("of no alignment");
  if (column.is_packable && column.length != -1)
    throw_impossible_column("that cannot be packed");
}

} // namespace

FieldWriter::FieldWriter(const TupleColumn &column, TextEncoding encoding)
    : kind_(column.kind), encoding_(encoding), is_packable_(column.is_packable),
      length_(column.length), alignment_mask_(column.alignment - uintptr_t{1}) {
  check_column(column);
  limit_by_typmod(column);
}

// What the typmod asks of values.  One that cannot be told leaves all values to the server.
void FieldWriter::limit_by_typmod(const TupleColumn &column) {
  const int32_t typmod = column.typmod;
  switch (kind_) {
  case FieldKind::kTime:
  case FieldKind::kTimestamp:
    if (typmod < -1 || typmod > kFullPrecision)
      kind_ = FieldKind::kOther;
    else if (typmod != -1)
      time_unit_ = unit_of_precision(typmod);
    break;
  case FieldKind::kInterval: // also says which fields are kept
    if (typmod != -1)
      kind_ = FieldKind::kOther;
    break;
  case FieldKind::kVarchar:
  case FieldKind::kBpchar:
    if (typmod < kTypmodHeader)
      break;
    max_characters_ = static_cast<size_t>(typmod - kTypmodHeader);
    if (kind_ == FieldKind::kBpchar) // shorter values are filled with blanks
      min_characters_ = max_characters_;
    break;
  case FieldKind::kNumeric:
    numeric_limit_ = NumericLimit::of_typmod(typmod);
    if (typmod >= kTypmodHeader && numeric_limit_.scale < 0) // rounds before the point
      kind_ = FieldKind::kOther;
    break;
  default:
    break;
  }
}

char *FieldWriter::write_checked(std::string_view field, char *to) const noexcept {
  switch (kind_) {
  case FieldKind::kBool:
    return write_byte(field, 1, to);
  case FieldKind::kByte:
    return write_byte(field, 0xFF, to);
  case FieldKind::kDate:
    return write_date(field, to);
  case FieldKind::kTime:
    return write_time(field, to);
  case FieldKind::kTimestamp:
    return write_timestamp(field, to);
  case FieldKind::kInterval:
    return write_interval(field, to);
  case FieldKind::kFixed:
    return write_fixed(field, to);
  case FieldKind::kText:
  case FieldKind::kVarchar:
  case FieldKind::kBpchar:
    return write_text(field, to);
  case FieldKind::kBytea:
    return write_bytea(field, to);
  case FieldKind::kNumeric:
    return write_numeric(field, to);
  case FieldKind::kInet:
  case FieldKind::kCidr:
    return write_address(field, to);
  case FieldKind::kJsonb: // takes more room than it has in the row: by TupleDecoder
  case FieldKind::kArray:
    return nullptr;
  case FieldKind::kSwap2: // by write()
  case FieldKind::kSwap4:
  case FieldKind::kSwap8:
  case FieldKind::kOther:
    return nullptr;
  }
  return nullptr;
}

// Writes the header of a value of so much data.  Returns where the data goes.
inline char *FieldWriter::open_varlena(size_t data_bytes, char *to) const noexcept {
  if (is_packable_ && data_bytes <= kMaxShortVarlenaBytes) {
    store_short_varlena_header(to, data_bytes);
    return to + kShortVarlenaHeaderBytes;
  }
  to = align(to);
  store_varlena_header(to, data_bytes);
  return to + kVarlenaHeaderBytes;
}

inline char *FieldWriter::write_byte(std::string_view field, uint8_t highest,
                                     char *to) const noexcept {
  if (field.size() != 1 || static_cast<uint8_t>(field[0]) > highest)
    return nullptr;
  *to = field[0];
  return to + 1;
}

inline char *FieldWriter::write_date(std::string_view field, char *to) const noexcept {
  if (field.size() != 4)
    return nullptr;
  const auto date = static_cast<int32_t>(load_big_endian<uint32_t>(field.data()));
  if ((date < kMinDate || date >= kEndDate) && !is_infinite(date))
    return nullptr;
  return write_swapped<uint32_t>(field, to);
}

inline char *FieldWriter::write_time(std::string_view field, char *to) const noexcept {
  if (field.size() != 8)
    return nullptr;
  const auto time = static_cast<int64_t>(load_big_endian<uint64_t>(field.data()));
  if (time < 0 || time > kDayMicroseconds || (time_unit_ != 1 && time % time_unit_ != 0))
    return nullptr;
  return write_swapped<uint64_t>(field, to);
}

inline char *FieldWriter::write_timestamp(std::string_view field, char *to) const noexcept {
  if (field.size() != 8)
    return nullptr;
  const auto time = static_cast<int64_t>(load_big_endian<uint64_t>(field.data()));
  const bool is_valid =
      time >= kMinTimestamp && time < kEndTimestamp && (time_unit_ == 1 || time % time_unit_ == 0);
  if (!is_valid && !is_infinite(time))
    return nullptr;
  return write_swapped<uint64_t>(field, to);
}

// Microseconds, days, months, on the wire and in struct Interval.
inline char *FieldWriter::write_interval(std::string_view field, char *to) const noexcept {
  if (field.size() != 16)
    return nullptr;
  to = align(to);
  store(to, load_big_endian<uint64_t>(field.data()));
  store(to + 8, load_big_endian<uint32_t>(field.data() + 8));
  store(to + 12, load_big_endian<uint32_t>(field.data() + 12));
  return to + 16;
}

inline char *FieldWriter::write_fixed(std::string_view field, char *to) const noexcept {
  if (field.size() != static_cast<size_t>(length_))
    return nullptr;
  return write_aligned(field, to);
}

inline char *FieldWriter::write_bytea(std::string_view field, char *to) const noexcept {
  to = open_varlena(field.size(), to);
  std::memcpy(to, field.data(), field.size());
  return to + field.size();
}

// True when the column holds `field`, text that is not all ASCII and has min_characters_ bytes.
bool FieldWriter::holds_text(std::string_view field) const noexcept {
  if (!is_text(field, encoding_))
    return false;
  if (max_characters_ == SIZE_MAX)
    return true;
  const size_t characters = encoding_ == TextEncoding::kUtf8 ? utf8_length(field) : field.size();
  return characters >= min_characters_ && characters <= max_characters_;
}

// There are no more characters than bytes, and as many in ASCII.
inline char *FieldWriter::write_text(std::string_view field, char *to) const noexcept {
  if (field.size() < min_characters_)
    return nullptr;
  to = open_varlena(field.size(), to);
  const bool is_direct =
      copy_ascii(to, field) ? field.size() <= max_characters_ : holds_text(field);
  return is_direct ? to + field.size() : nullptr;
}

inline char *FieldWriter::write_numeric(std::string_view field, char *to) const noexcept {
  if (field.size() < NumericField::kHeaderBytes)
    return nullptr;
  const NumericField numeric = NumericField::read(field.data());
  if (!numeric.is_stored_unchanged(field, numeric_limit_))
    return nullptr;
  const size_t size = numeric.stored_bytes();
  to = open_varlena(size, to);
  return numeric.store_field(to, field) ? to + size : nullptr;
}

// Family, bits of the netmask, a flag that nobody reads, length, address; stored without flag and
// length: PostgreSQL, network.c, network_recv().
inline char *FieldWriter::write_address(std::string_view field, char *to) const noexcept {
  if (field.size() < kAddressHeaderBytes)
    return nullptr;
  const auto family = static_cast<uint8_t>(field[0]);
  const auto bits = static_cast<uint8_t>(field[1]);
  const std::string_view address = field.substr(kAddressHeaderBytes);
  const size_t size = family == kFamilyInet ? 4 : family == kFamilyInet6 ? 16 : 0;
  if (size == 0 || address.size() != size || static_cast<uint8_t>(field[3]) != size ||
      bits > 8 * size || (kind_ == FieldKind::kCidr && has_bits_behind(address, bits)))
    return nullptr;
  to = open_varlena(2 + size, to);
  to[0] = field[0];
  to[1] = field[1];
  std::memcpy(to + 2, address.data(), size);
  return to + 2 + size;
}

inline char *FieldWriter::write_aligned(std::string_view value, char *to) const noexcept {
  to = align(to);
  std::memcpy(to, value.data(), value.size());
  return to + value.size();
}

char *FieldWriter::write_received(std::string_view value, char *to) const {
  if (length_ == -1)
    return write_received_varlena(value, to);
  if (length_ == -2 && value.find('\0') + 1 != value.size())
    throw_impossible_value("a string that does not end at its NUL");
  if (length_ > 0 && value.size() != static_cast<size_t>(length_))
    throw_impossible_value("a value of another length than its type's");
  return write_aligned(value, to);
}

// As fill_val() of heaptuple.c.
char *FieldWriter::write_received_varlena(std::string_view value, char *to) const {
  const VarlenaForm form = value.empty() ? VarlenaForm::kExternal : varlena_form(value[0]);
  const bool is_short = form == VarlenaForm::kShort;
  const size_t header_bytes = is_short ? kShortVarlenaHeaderBytes : kVarlenaHeaderBytes;
  if (form == VarlenaForm::kExternal || value.size() < header_bytes ||
      value.size() != (is_short ? short_varlena_bytes(value.data()) : varlena_bytes(value.data())))
    throw_impossible_value("a value of another length than it says");
  if (form == VarlenaForm::kPlain) {
    value.remove_prefix(kVarlenaHeaderBytes);
    to = open_varlena(value.size(), to);
  } else if (!is_short) {
    to = align(to);
  }
  std::memcpy(to, value.data(), value.size());
  return to + value.size();
}

} // namespace parallel_loader
