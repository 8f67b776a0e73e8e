// numeric_image: see numeric_image.hpp.
#include "core/numeric_image.hpp"

#include "core/network_order.hpp"

namespace parallel_loader {
namespace {

// On the wire: four 16-bit integers, then the digits, to base 10000.
constexpr size_t kWireHeader = 8;
constexpr int kDecimals = 4; // of a digit
constexpr uint16_t kMaxDigit = 9999;
constexpr uint16_t kWireNegative = 0x4000;

// On disk: one 16-bit header, then the digits.
constexpr uint16_t kShort = 0x8000;
constexpr uint16_t kShortNegative = 0x2000;
constexpr int kShortScaleShift = 7;
constexpr int kMaxShortScale = 63;
constexpr uint16_t kShortWeightSign = 0x0040;
constexpr uint16_t kShortWeightMask = 0x003F;
constexpr int kMaxShortWeight = 63;
constexpr int kMinShortWeight = -64;

constexpr int kVarlenaHeader = 4; // that a typmod is offset by

struct Number {
  int digit_count = 0;
  int weight = 0; // of the first digit
  bool is_negative = false;
  int scale = 0; // decimals after the point, as shown
  const char *digits = nullptr;

  [[nodiscard]] uint16_t digit(int index) const noexcept {
    return read_network<uint16_t>(digits + 2 * static_cast<ptrdiff_t>(index));
  }
};

int decimals_of(uint16_t digit) noexcept {
  return digit >= 1000 ? 4 : digit >= 100 ? 3 : digit >= 10 ? 2 : 1;
}

bool has_short_form(const Number &number, uint16_t sign) noexcept {
  return (sign == 0 || sign == kWireNegative) && number.scale <= kMaxShortScale &&
         number.weight >= kMinShortWeight && number.weight <= kMaxShortWeight;
}

// Digits that are in range, and none at either end that would be cut off.
bool is_normal(const Number &number) noexcept {
  if (number.digit_count == 0)
    return number.weight == 0 && !number.is_negative;
  if (number.digit(0) == 0 || number.digit(number.digit_count - 1) == 0)
    return false;
  for (int index = 0; index < number.digit_count; ++index)
    if (number.digit(index) > kMaxDigit)
      return false;
  return true;
}

// Decimals beyond the scale are cut off by numeric_recv().
bool is_within_scale(const Number &number) noexcept {
  const int beyond = (number.digit_count - number.weight - 1) * kDecimals - number.scale;
  if (number.digit_count == 0 || beyond <= 0)
    return true;
  constexpr uint16_t kPowers[kDecimals] = {1, 10, 100, 1000};
  return beyond < kDecimals && number.digit(number.digit_count - 1) % kPowers[beyond] == 0;
}

bool fits_column(const Number &number, int32_t typmod) noexcept {
  if (typmod < kVarlenaHeader)
    return true;
  const int precision = ((typmod - kVarlenaHeader) >> 16) & 0xFFFF;
  // Eleven bits with a sign; versions before 15 had sixteen, and scales up to the precision.
  const int scale = (((typmod - kVarlenaHeader) & 0x7FF) ^ 1024) - 1024;
  if (number.scale != scale || precision < scale)
    return false;
  return number.digit_count == 0 ||
         number.weight * kDecimals + decimals_of(number.digit(0)) <= precision - scale;
}

uint16_t short_header(const Number &number) noexcept {
  int header = kShort | (number.scale << kShortScaleShift) | (number.weight & kShortWeightMask);
  if (number.is_negative)
    header |= kShortNegative;
  if (number.weight < 0)
    header |= kShortWeightSign;
  return static_cast<uint16_t>(header);
}

} // namespace

size_t write_numeric(std::string_view field, int32_t typmod, char *out) noexcept {
  if (field.size() < kWireHeader)
    return 0;
  const uint16_t sign = read_network<uint16_t>(field.data() + 4);
  const Number number = {
      .digit_count = read_network<uint16_t>(field.data()),
      .weight = static_cast<int16_t>(read_network<uint16_t>(field.data() + 2)),
      .is_negative = sign == kWireNegative,
      .scale = read_network<uint16_t>(field.data() + 6),
      .digits = field.data() + kWireHeader,
  };
  if (field.size() != kWireHeader + 2 * static_cast<size_t>(number.digit_count) ||
      !has_short_form(number, sign) || !is_normal(number) || !is_within_scale(number) ||
      !fits_column(number, typmod))
    return 0;
  const uint16_t header = short_header(number);
  std::memcpy(out, &header, sizeof(header));
  for (int index = 0; index < number.digit_count; ++index) {
    const uint16_t digit = number.digit(index);
    std::memcpy(out + sizeof(header) + 2 * static_cast<ptrdiff_t>(index), &digit, sizeof(digit));
  }
  return sizeof(header) + 2 * static_cast<size_t>(number.digit_count);
}

} // namespace parallel_loader
