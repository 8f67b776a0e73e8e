#include "core/tuple/jsonb_builder.hpp"

#include "core/tuple/numeric_field.hpp"
#include "core/tuple/varlena.hpp"

namespace parallel_loader {
namespace {

// PostgreSQL, src/include/utils/jsonb.h.
constexpr char kVersion = 1;
constexpr uint32_t kEntryKinds = 0x70000000; // JENTRY_TYPEMASK
constexpr uint32_t kEntryLength = 0x0FFFFFFF;
constexpr uint32_t kEntryNumber = 0x10000000;
constexpr uint32_t kEntryFalse = 0x20000000;
constexpr uint32_t kEntryTrue = 0x30000000;
constexpr uint32_t kEntryNull = 0x40000000;
constexpr uint32_t kEntryContainer = 0x50000000;
constexpr uint32_t kEntryIsOffset = 0x80000000;
constexpr size_t kOffsetStride = 32; // so often an entry says where its value ends
constexpr uint32_t kScalar = 0x10000000;
constexpr uint32_t kObject = 0x20000000;
constexpr uint32_t kArray = 0x40000000;

constexpr size_t kIntBytes = 4;
// What a value takes beside its text: an entry, padding, the headers of a container or a number,
// and half a group of digits at both ends of a number.
constexpr size_t kMaxGrowth = kIntBytes + 3 + kVarlenaHeaderBytes + 2 + 4;

} // namespace

std::string_view JsonbBuilder::build(std::string_view field) {
  if (field.empty() || field[0] != kVersion)
    return {};
  const std::string_view text = field.substr(1);
  if (!tree_.read(text) || !is_text(text, encoding_))
    return {};
  // A scalar is stored as an array of its own, hence one container more than values.
  const size_t bound = kVarlenaHeaderBytes + text.size() + (tree_.size() + 1) * kMaxGrowth;
  if (value_.size() < bound)
    value_.resize(bound);
  at_ = value_.data() + kVarlenaHeaderBytes;
  const JsonValue &root = tree_.root();
  if (root.is_container()) {
    static_cast<void>(write_value(root));
  } else {
    store(at_, kArray | kScalar | 1);
    char *const entry = at_ + kIntBytes;
    at_ = entry + kIntBytes;
    store(entry, write_value(root) | kEntryIsOffset);
  }
  store_varlena_header(value_.data(), offset() - kVarlenaHeaderBytes);
  return {value_.data(), offset()};
}

// convertJsonbValue() of jsonb_util.c.
JsonbBuilder::Entry JsonbBuilder::write_value(const JsonValue &value) {
  switch (value.kind) {
  case JsonValue::Kind::kNull:
    return kEntryNull;
  case JsonValue::Kind::kFalse:
    return kEntryFalse;
  case JsonValue::Kind::kTrue:
    return kEntryTrue;
  case JsonValue::Kind::kString:
    std::memcpy(at_, value.text, value.size);
    at_ += value.size;
    return value.size;
  case JsonValue::Kind::kNumber:
    return write_number(value);
  case JsonValue::Kind::kArray:
    return write_container(value, kArray);
  case JsonValue::Kind::kObject:
    return write_container(value, kObject);
  }
  return kEntryNull;
}

// Padding is part of what it is put before.
JsonbBuilder::Entry JsonbBuilder::write_number(const JsonValue &value) {
  const size_t begin = offset();
  pad();
  char *const number = at_ + kVarlenaHeaderBytes;
  const size_t size = store_decimal(number, {value.text, value.size});
  store_varlena_header(at_, size);
  at_ = number + size;
  return kEntryNumber | static_cast<uint32_t>(offset() - begin);
}

// convertJsonbArray() and convertJsonbObject(): a header, an entry for each value, the values; of
// an object all keys come before all values.
JsonbBuilder::Entry JsonbBuilder::write_container(const JsonValue &container, uint32_t flags) {
  const size_t begin = offset();
  pad();
  store(at_, container.size | flags);
  char *entry = at_ + kIntBytes;
  const std::span<const JsonValue> values = tree_.values(container);
  at_ = entry + kIntBytes * values.size();
  uint32_t total = 0;
  for (size_t i = 0; i < values.size(); ++i, entry += kIntBytes) {
    const size_t pair = i < container.size ? 2 * i : 2 * (i - container.size) + 1;
    Entry said = write_value(values[flags == kObject ? pair : i]);
    total += said & kEntryLength;
    if (i % kOffsetStride == 0)
      said = (said & kEntryKinds) | total | kEntryIsOffset;
    store(entry, said);
  }
  return kEntryContainer | static_cast<uint32_t>(offset() - begin);
}

size_t JsonbBuilder::offset() const noexcept {
  return static_cast<size_t>(at_ - value_.data());
}

void JsonbBuilder::pad() {
  while (offset() % kIntBytes != 0)
    *at_++ = '\0';
}

} // namespace parallel_loader
