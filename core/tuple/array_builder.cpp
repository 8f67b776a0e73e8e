#include "core/tuple/array_builder.hpp"

#include "core/tuple/varlena.hpp"

#include <limits>

namespace parallel_loader {
namespace {

constexpr uint32_t kNull = 0xFFFFFFFF;

// In a field: dimensions, a flag for NULLs that nobody trusts, the element's type, and length and
// lower bound of each dimension.
constexpr size_t kFieldHeaderBytes = 20; // of one dimension
constexpr size_t kEmptyFieldBytes = 12;  // of none

// In a value, behind the varlena's header: dimensions, where the elements begin if a bitmap comes
// before them, the element's type, and length and lower bound of each dimension.
constexpr size_t kArrayHeaderBytes = 24; // of one dimension
constexpr size_t kEmptyBytes = 16;       // of none

constexpr size_t align_up(size_t size, size_t mask) {
  return (size + mask) & ~mask;
}

TupleColumn column_of(const TupleColumn &array) {
  return {.kind = array.element.kind,
          .length = array.element.length,
          .alignment = array.element.alignment,
          .typmod = array.typmod};
}

} // namespace

ArrayBuilder::ArrayBuilder(const TupleColumn &column, TextEncoding encoding)
    : element_type_(column.element.type), element_mask_(column.element.alignment - size_t{1}),
      writer_(column_of(column), encoding) {}

std::string_view ArrayBuilder::build(std::string_view field) {
  const std::optional<Elements> elements = find_elements(field);
  if (!elements)
    return {};
  const size_t bitmap_bytes = elements->has_null ? (elements->count + 7) / 8 : 0;
  const size_t data_offset = align_up(kArrayHeaderBytes + bitmap_bytes, sizeof(uint64_t) - 1);
  const size_t bound = data_offset + field.size() + FieldWriter::kOverrun +
                       elements->count * (FieldWriter::kMaxGrowth + element_mask_);
  if (value_.size() * sizeof(uint64_t) < bound)
    value_.resize(bound / sizeof(uint64_t) + 1);
  auto *const value = reinterpret_cast<char *>(value_.data());
  if (elements->count == 0) {
    write_header(0, 0);
    return close(value + kEmptyBytes);
  }
  write_header(1, elements->has_null ? static_cast<uint32_t>(data_offset) : 0);
  store(value + kEmptyBytes, static_cast<uint32_t>(elements->count));
  store(value + kEmptyBytes + 4, load_big_endian<uint32_t>(field.data() + kFieldHeaderBytes - 4));
  std::memset(value + kArrayHeaderBytes, 0, data_offset - kArrayHeaderBytes);
  char *const bitmap = elements->has_null ? value + kArrayHeaderBytes : nullptr;
  char *const end = write_elements(*elements, bitmap, value + data_offset);
  return end == nullptr ? std::string_view() : close(end);
}

// Checks the form of a field of one dimension or none, and what array_recv() checks of its header.
std::optional<ArrayBuilder::Elements> ArrayBuilder::find_elements(std::string_view field) const {
  if (field.size() < kEmptyFieldBytes || field.size() > kMaxBytes)
    return std::nullopt;
  const auto number = [&](size_t offset) {
    return load_big_endian<uint32_t>(field.data() + offset);
  };
  const uint32_t dimensions = number(0);
  if (number(4) > 1 || number(8) != element_type_)
    return std::nullopt;
  const char *const end = field.data() + field.size();
  if (dimensions == 0 && field.size() == kEmptyFieldBytes)
    return Elements{end, end, 0, false};
  if (dimensions != 1 || field.size() < kFieldHeaderBytes)
    return std::nullopt;
  const size_t count = number(12);
  const auto lower_bound = static_cast<int32_t>(number(16));
  const char *const first = field.data() + kFieldHeaderBytes;
  if (count > static_cast<size_t>(end - first) / 4 ||
      int64_t{lower_bound} + static_cast<int64_t>(count) > std::numeric_limits<int32_t>::max())
    return std::nullopt;
  Elements elements{first, end, count, false};
  const char *at = first;
  for (size_t i = 0; i < count; ++i) {
    if (end - at < 4)
      return std::nullopt;
    const auto size = load_big_endian<uint32_t>(at);
    at += 4;
    if (size == kNull) {
      elements.has_null = true;
      continue;
    }
    if (size > static_cast<size_t>(end - at))
      return std::nullopt;
    at += size;
  }
  return at == end ? std::optional(elements) : std::nullopt;
}

// Returns the end of the last element, padded as each is; nullptr when one is left to others.
char *ArrayBuilder::write_elements(const Elements &elements, char *bitmap, char *to) const {
  const char *at = elements.first;
  for (size_t i = 0; i < elements.count; ++i) {
    const auto size = load_big_endian<uint32_t>(at);
    at += 4;
    if (size == kNull)
      continue;
    if (bitmap != nullptr)
      bitmap[i / 8] = static_cast<char>(bitmap[i / 8] | 1 << i % 8);
    to = writer_.write({at, size}, to);
    if (to == nullptr)
      return nullptr;
    store(to, uint64_t{0});
    to += -reinterpret_cast<uintptr_t>(to) & element_mask_;
    at += size;
  }
  return to;
}

void ArrayBuilder::write_header(uint32_t dimensions, uint32_t data_offset) {
  auto *const value = reinterpret_cast<char *>(value_.data());
  store(value + 4, dimensions);
  store(value + 8, data_offset);
  store(value + 12, element_type_);
}

std::string_view ArrayBuilder::close(char *end) {
  auto *const value = reinterpret_cast<char *>(value_.data());
  const auto size = static_cast<size_t>(end - value);
  store_varlena_header(value, size - kVarlenaHeaderBytes);
  return {value, size};
}

} // namespace parallel_loader
