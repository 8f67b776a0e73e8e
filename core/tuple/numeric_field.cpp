#include "core/tuple/numeric_field.hpp"

#include "core/base/byte_order.hpp"

#include <algorithm>
#include <array>
#include <utility>

// Names and rules in the comments: PostgreSQL, src/backend/utils/adt/numeric.c.
namespace parallel_loader {
namespace {

constexpr uint16_t kNegative = 0x4000; // NUMERIC_NEG; other bits are special values or flaws
constexpr uint16_t kMaxScale = 0x3FFF; // NUMERIC_DSCALE_MASK
constexpr int32_t kDigitsPerGroup = 4; // DEC_DIGITS
constexpr int32_t kVarlenaHeader = 4;  // what a typmod counts in (VARHDRSZ)
constexpr std::array<uint16_t, 4> kTenTo = {1, 10, 100, 1000};

// Four digits of the wire in the machine's order.
uint64_t swap_groups(uint64_t word) {
  constexpr uint64_t kLowBytes = 0x00FF00FF00FF00FF;
  return kIsLittleEndian ? (word >> 8 & kLowBytes) | (word & kLowBytes) << 8 : word;
}

// Has a high bit set if, and only if, one of the four digits is above 9999.  The sum of a digit
// that has none itself stays within its 16 bits.
uint64_t above_9999(uint64_t groups) {
  constexpr uint64_t kGroupHighBits = 0x8000800080008000;
  constexpr uint64_t kDistance = 0x0001000100010001 * (0x8000 - 10000);
  return (groups | (groups + kDistance)) & kGroupHighBits;
}

// NumericShort: 10 | sign | scale, 6 bits | weight, 7 bits with a sign.
uint16_t short_header(bool is_negative, unsigned scale, int32_t weight) {
  return static_cast<uint16_t>(0x8000 | (is_negative ? 0x2000 : 0) | scale << 7 |
                               (static_cast<unsigned>(weight) & 0x7F));
}

int32_t leading_zeros(uint16_t group) {
  return group >= 1000 ? 0 : group >= 100 ? 1 : group >= 10 ? 2 : 3;
}

} // namespace

NumericLimit NumericLimit::of_typmod(int32_t typmod) noexcept {
  if (typmod < kVarlenaHeader)
    return {};
  const int32_t packed = typmod - kVarlenaHeader;
  const int32_t precision = packed >> 16 & 0xFFFF;
  const int32_t scale = ((packed & 0x7FF) ^ 1024) - 1024; // 11 bits with a sign
  return {scale, precision - scale};
}

NumericField NumericField::read(const char *from) noexcept {
  return {load_big_endian<uint16_t>(from),
          static_cast<int16_t>(load_big_endian<uint16_t>(from + 2)),
          load_big_endian<uint16_t>(from + 4), load_big_endian<uint16_t>(from + 6)};
}

// make_result() strips zero digits at both ends, trunc_var() what lies behind the scale, and
// apply_typmod() rounds and raises.
bool NumericField::is_stored_unchanged(std::string_view field,
                                       const NumericLimit &limit) const noexcept {
  if ((sign & ~kNegative) != 0 || scale > kMaxScale ||
      field.size() != kHeaderBytes + 2 * size_t{group_count})
    return false;
  const bool is_limited = limit.scale != NumericLimit::kAnyScale;
  if (is_limited && scale != limit.scale)
    return false;
  if (group_count == 0)
    return weight == 0 && sign == 0;
  const auto first = load_big_endian<uint16_t>(field.data() + kHeaderBytes);
  const auto last = load_big_endian<uint16_t>(field.data() + field.size() - 2);
  if (first == 0 || last == 0)
    return false;
  const int32_t integer_digits = (weight + 1) * kDigitsPerGroup;
  const int32_t hidden_digits = group_count * kDigitsPerGroup - (integer_digits + scale);
  if (hidden_digits >= kDigitsPerGroup ||
      (hidden_digits > 0 && last % kTenTo[static_cast<size_t>(hidden_digits)] != 0))
    return false;
  return !is_limited || integer_digits - leading_zeros(first) <= limit.integer_digits;
}

// NUMERIC_CAN_BE_SHORT.
bool NumericField::is_short() const noexcept {
  return scale <= 63 && weight <= 63 && weight >= -64;
}

size_t NumericField::stored_bytes() const noexcept {
  return (is_short() ? 2 : 4) + 2 * size_t{group_count};
}

bool NumericField::store_field(char *to, std::string_view field) const noexcept {
  if (is_short()) {
    store(to, short_header(sign != 0, scale, weight));
    to += 2;
  } else { // NumericLong
    store(to, static_cast<uint16_t>(sign | scale));
    store(to + 2, weight);
    to += 4;
  }
  const char *from = field.data() + kHeaderBytes;
  const char *const end = field.data() + field.size();
  uint64_t flaw = 0;
  for (; end - from >= 8; from += 8, to += 8) {
    const uint64_t groups = swap_groups(load<uint64_t>(from));
    flaw |= above_9999(groups);
    store(to, groups);
  }
  if (from != end) {
    const uint64_t groups = swap_groups(load_tail(end, static_cast<size_t>(end - from)));
    flaw |= above_9999(groups);
    store(to, groups);
  }
  return flaw == 0;
}

// set_var_from_str(), strip_var() and make_result().
size_t store_decimal(char *to, std::string_view text) noexcept {
  const bool is_negative = text.starts_with('-');
  text.remove_prefix(is_negative ? 1 : 0);
  const std::string_view whole = text.substr(0, text.find('.'));
  const std::string_view fraction = text.substr(std::min(whole.size() + 1, text.size()));
  char *at = to + 2;
  int32_t weight = static_cast<int32_t>(whole.size() + kDigitsPerGroup - 1) / kDigitsPerGroup - 1;
  const auto put = [&](uint16_t group) {
    if (at == to + 2 && group == 0) {
      --weight;
    } else {
      store(at, group);
      at += 2;
    }
  };
  uint16_t group = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    group = static_cast<uint16_t>(10 * group + (whole[i] - '0'));
    if ((whole.size() - i - 1) % kDigitsPerGroup == 0)
      put(std::exchange(group, 0));
  }
  for (size_t i = 0; i < fraction.size(); ++i) {
    const size_t place = i % kDigitsPerGroup;
    group =
        static_cast<uint16_t>(group + (fraction[i] - '0') * kTenTo[kDigitsPerGroup - 1 - place]);
    if (place == kDigitsPerGroup - 1 || i + 1 == fraction.size())
      put(std::exchange(group, 0));
  }
  while (at != to + 2 && load<uint16_t>(at - 2) == 0)
    at -= 2;
  const bool is_zero = at == to + 2;
  store(to, short_header(is_negative && !is_zero, static_cast<unsigned>(fraction.size()),
                         is_zero ? 0 : weight));
  return static_cast<size_t>(at - to);
}

} // namespace parallel_loader
