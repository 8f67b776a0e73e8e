#include "core/tuple/json_tree.hpp"

#include "core/base/byte_order.hpp"

#include <algorithm>
#include <utility>

namespace parallel_loader {
namespace {

// Its lowest high bit is that of the first byte of a little-endian word which is a quote, a
// backslash or below a blank.
uint64_t not_plain(uint64_t word) {
  const uint64_t quote = word ^ (kOnes * '"');
  const uint64_t backslash = word ^ (kOnes * '\\');
  return (((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) |
          ((word - kOnes * ' ') & ~word)) &
         kHighBits;
}

bool is_plain(char byte) {
  return byte != '"' && byte != '\\' && static_cast<uint8_t>(byte) >= ' ';
}

bool is_digit(char byte) {
  return '0' <= byte && byte <= '9';
}

// What a backslash and `byte` stand for; NUL when it is left to others.
char unescaped(char byte) {
  switch (byte) {
  case '"':
  case '\\':
  case '/':
    return byte;
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return '\0';
  }
}

// The order of an object's keys: PostgreSQL, jsonb_util.c, lengthCompareJsonbString().
bool is_key_before(const JsonValue &one, const JsonValue &other) {
  return one.size != other.size ? one.size < other.size
                                : std::memcmp(one.text, other.text, one.size) < 0;
}

} // namespace

bool JsonTree::read(std::string_view text) {
  if (text.size() > kMaxBytes)
    return false;
  at_ = text.data();
  end_ = at_ + text.size();
  stack_.clear();
  values_.clear();
  unescaped_.clear();
  if (!read_value(0))
    return false;
  skip_space();
  return at_ == end_;
}

std::span<const JsonValue> JsonTree::values(const JsonValue &container) const noexcept {
  const size_t count = container.kind == JsonValue::Kind::kObject ? size_t{2} * container.size
                                                                  : size_t{container.size};
  return {values_.data() + container.first, count};
}

// Pushes the value on the stack.
bool JsonTree::read_value(unsigned level) {
  skip_space();
  if (at_ == end_ || level > kMaxLevels)
    return false;
  switch (*at_) {
  case '{':
    return read_object(level);
  case '[':
    return read_array(level);
  case '"':
    return read_string();
  case 'n':
    return read_literal("null", JsonValue::Kind::kNull);
  case 'f':
    return read_literal("false", JsonValue::Kind::kFalse);
  case 't':
    return read_literal("true", JsonValue::Kind::kTrue);
  default:
    return read_number();
  }
}

bool JsonTree::read_array(unsigned level) {
  const size_t first = stack_.size();
  ++at_;
  if (!take(']')) {
    do {
      if (!read_value(level + 1))
        return false;
    } while (take(','));
    if (!take(']'))
      return false;
  }
  close(JsonValue::Kind::kArray, first);
  return true;
}

bool JsonTree::read_object(unsigned level) {
  const size_t first = stack_.size();
  ++at_;
  if (!take('}')) {
    do {
      skip_space();
      if (at_ == end_ || *at_ != '"' || !read_string() || !take(':') || !read_value(level + 1))
        return false;
    } while (take(','));
    if (!take('}'))
      return false;
  }
  sort_pairs(first);
  close(JsonValue::Kind::kObject, first);
  return true;
}

// Moves the values above `first` from the stack and pushes their container.
void JsonTree::close(JsonValue::Kind kind, size_t first) {
  const size_t count = stack_.size() - first;
  JsonValue container;
  container.kind = kind;
  container.size = static_cast<uint32_t>(kind == JsonValue::Kind::kObject ? count / 2 : count);
  container.first = static_cast<uint32_t>(values_.size());
  values_.insert(values_.end(), stack_.begin() + static_cast<std::ptrdiff_t>(first), stack_.end());
  stack_.resize(first);
  stack_.push_back(container);
}

// A server sends the pairs of jsonb in order.
void JsonTree::sort_pairs(size_t first) {
  size_t ordered = first + 2;
  while (ordered < stack_.size() && is_key_before(stack_[ordered - 2], stack_[ordered]))
    ordered += 2;
  if (ordered >= stack_.size())
    return;
  std::vector<std::pair<JsonValue, JsonValue>> pairs;
  for (size_t i = first; i < stack_.size(); i += 2)
    pairs.emplace_back(stack_[i], stack_[i + 1]);
  std::ranges::stable_sort(pairs, is_key_before, &std::pair<JsonValue, JsonValue>::first);
  stack_.resize(first);
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto &[key, value] = pairs[i];
    const bool is_last = i + 1 == pairs.size() || is_key_before(key, pairs[i + 1].first);
    if (is_last) {
      stack_.push_back(key);
      stack_.push_back(value);
    }
  }
}

void JsonTree::push(JsonValue::Kind kind, std::string_view text) {
  stack_.push_back(
      {.kind = kind, .size = static_cast<uint32_t>(text.size()), .first = 0, .text = text.data()});
}

bool JsonTree::read_string() {
  const char *const begin = ++at_;
  skip_plain();
  if (at_ != end_ && *at_ == '\\')
    return read_escaped_string(begin);
  if (at_ == end_ || *at_ != '"')
    return false;
  push(JsonValue::Kind::kString, {begin, at_});
  ++at_;
  return true;
}

// The cursor is at the first backslash.  What was unescaped before must not move, so there is room
// from the start for all that is still to come.
bool JsonTree::read_escaped_string(const char *begin) {
  if (unescaped_.empty())
    unescaped_.reserve(static_cast<size_t>(end_ - begin));
  const size_t offset = unescaped_.size();
  unescaped_.append(begin, at_);
  while (at_ != end_ && *at_ == '\\') {
    const char byte = end_ - at_ > 1 ? unescaped(at_[1]) : '\0';
    if (byte == '\0')
      return false;
    unescaped_ += byte;
    at_ += 2;
    const char *const plain = at_;
    skip_plain();
    unescaped_.append(plain, at_);
  }
  if (at_ == end_ || *at_ != '"')
    return false;
  ++at_;
  push(JsonValue::Kind::kString, std::string_view(unescaped_).substr(offset));
  return true;
}

bool JsonTree::read_number() {
  const char *const begin = at_;
  if (*at_ == '-')
    ++at_;
  const char *const digits = at_;
  if (skip_digits() == 0 || (*digits == '0' && at_ - digits > 1))
    return false;
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    if (skip_digits() == 0)
      return false;
  }
  push(JsonValue::Kind::kNumber, {begin, at_});
  return stack_.back().size <= kMaxNumberBytes;
}

// What follows a word is the caller's to check: it must be a comma, a bracket or the end.
bool JsonTree::read_literal(std::string_view word, JsonValue::Kind kind) {
  if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(word))
    return false;
  at_ += word.size();
  push(kind, {});
  return true;
}

size_t JsonTree::skip_digits() noexcept {
  const char *const begin = at_;
  while (at_ != end_ && is_digit(*at_))
    ++at_;
  return static_cast<size_t>(at_ - begin);
}

// To what ends a run of a string's bytes that stand for themselves.
void JsonTree::skip_plain() noexcept {
  if constexpr (kIsLittleEndian) {
    for (; end_ - at_ >= 8; at_ += 8) {
      const uint64_t flaw = not_plain(load<uint64_t>(at_));
      if (flaw != 0) {
        at_ += std::countr_zero(flaw) / 8;
        return;
      }
    }
  }
  while (at_ != end_ && is_plain(*at_))
    ++at_;
}

void JsonTree::skip_space() noexcept {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r'))
    ++at_;
}

bool JsonTree::take(char wanted) noexcept {
  skip_space();
  if (at_ == end_ || *at_ != wanted)
    return false;
  ++at_;
  return true;
}

} // namespace parallel_loader
