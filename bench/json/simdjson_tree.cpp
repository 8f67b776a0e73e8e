#include "bench/json/simdjson_tree.hpp"

#include <algorithm>
#include <cstring>

namespace parallel_loader {
namespace {

namespace ondemand = simdjson::ondemand;

bool is_key_before(const JsonValue &one, const JsonValue &other) {
  return one.size != other.size ? one.size < other.size
                                : std::memcmp(one.text, other.text, one.size) < 0;
}

bool is_digit(char byte) {
  return '0' <= byte && byte <= '9';
}

// simdjson checks a number only when it makes a double or an integer of it, which loses digits.
std::string_view checked_number(std::string_view token) {
  while (!token.empty() && static_cast<unsigned char>(token.back()) <= ' ')
    token.remove_suffix(1);
  const char *at = token.data();
  const char *const end = at + token.size();
  const auto skip_digits = [&] {
    const char *const begin = at;
    while (at != end && is_digit(*at))
      ++at;
    return at != begin;
  };
  if (at != end && *at == '-')
    ++at;
  const char *const digits = at;
  bool is_number = skip_digits() && !(*digits == '0' && at - digits > 1);
  if (at != end && *at == '.') {
    ++at;
    is_number = skip_digits() && is_number;
  }
  if (!is_number || at != end || token.size() > JsonTree::kMaxNumberBytes)
    throw simdjson::simdjson_error(simdjson::NUMBER_ERROR);
  return token;
}

} // namespace

bool SimdjsonTree::read(std::string_view text) {
  if (text.size() > JsonTree::kMaxBytes)
    return false;
  stack_.clear();
  values_.clear();
  if (padded_.size() < text.size() + simdjson::SIMDJSON_PADDING)
    padded_.resize(2 * (text.size() + simdjson::SIMDJSON_PADDING));
  std::memcpy(padded_.data(), text.data(), text.size());
  try {
    ondemand::document document = parser_.iterate(padded_.data(), text.size(), padded_.size());
    if (document.is_scalar()) // not in the documents that are measured
      return false;
    read_value(document.get_value());
    return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
  } catch (const simdjson::simdjson_error &) {
    return false;
  }
}

std::span<const JsonValue> SimdjsonTree::values(const JsonValue &container) const noexcept {
  const size_t count = container.kind == JsonValue::Kind::kObject ? size_t{2} * container.size
                                                                  : size_t{container.size};
  return {values_.data() + container.first, count};
}

void SimdjsonTree::read_value(ondemand::value value) {
  switch (ondemand::json_type(value.type())) {
  case ondemand::json_type::object:
    return read_object(value.get_object());
  case ondemand::json_type::array:
    return read_array(value.get_array());
  case ondemand::json_type::string:
    return push(JsonValue::Kind::kString, value.get_string());
  case ondemand::json_type::number: // the iterator moves on by itself
    return push(JsonValue::Kind::kNumber, checked_number(value.raw_json_token()));
  case ondemand::json_type::boolean:
    return push(value.get_bool() ? JsonValue::Kind::kTrue : JsonValue::Kind::kFalse, {});
  case ondemand::json_type::null:
    if (!value.is_null())
      throw simdjson::simdjson_error(simdjson::N_ATOM_ERROR);
    return push(JsonValue::Kind::kNull, {});
  }
}

void SimdjsonTree::read_array(ondemand::array array) {
  const size_t first = stack_.size();
  for (ondemand::value value : array)
    read_value(value);
  close(JsonValue::Kind::kArray, first);
}

void SimdjsonTree::read_object(ondemand::object object) {
  const size_t first = stack_.size();
  for (ondemand::field field : object) {
    push(JsonValue::Kind::kString, field.unescaped_key());
    read_value(field.value());
  }
  sort_pairs(first);
  close(JsonValue::Kind::kObject, first);
}

void SimdjsonTree::push(JsonValue::Kind kind, std::string_view text) {
  stack_.push_back(
      {.kind = kind, .size = static_cast<uint32_t>(text.size()), .first = 0, .text = text.data()});
}

// As in JsonTree.
void SimdjsonTree::close(JsonValue::Kind kind, size_t first) {
  const size_t count = stack_.size() - first;
  JsonValue container;
  container.kind = kind;
  container.size = static_cast<uint32_t>(kind == JsonValue::Kind::kObject ? count / 2 : count);
  container.first = static_cast<uint32_t>(values_.size());
  values_.insert(values_.end(), stack_.begin() + static_cast<std::ptrdiff_t>(first), stack_.end());
  stack_.resize(first);
  stack_.push_back(container);
}

void SimdjsonTree::sort_pairs(size_t first) {
  for (size_t next = first + 2; next < stack_.size(); next += 2)
    if (!is_key_before(stack_[next - 2], stack_[next]))
      throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE); // a server sends pairs in order
}

} // namespace parallel_loader
