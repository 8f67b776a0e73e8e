// tuple_walk: reads a tuple back by the columns of its table, as the server would.
#pragma once

#include "core/tuple/tuple_column.hpp"

#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader::testing {

struct WalkedTuple {
  std::string flaw;                               // what is wrong with the tuple; empty: nothing
  std::vector<std::optional<std::string>> values; // without padding and header; nullopt: NULL
};

/// Shares no code with the decoder.  Rules: heap_form_tuple() and heap_deform_tuple().
class TupleWalk {
public:
  TupleWalk(const std::vector<TupleColumn> &columns, std::string_view tuple)
      : columns_(columns), tuple_(tuple) {}

  WalkedTuple run() {
    read_header();
    for (size_t i = 0; result_.flaw.empty() && i < columns_.size(); ++i)
      read_value(i);
    if (result_.flaw.empty() && at_ != tuple_.size())
      result_.flaw = "bytes follow the last value";
    if (result_.flaw.empty() && is_wide_ != ((infomask_ & 2) != 0))
      result_.flaw = "HEAP_HASVARWIDTH does not say what is there";
    return result_;
  }

private:
  static constexpr bool kIsLittle = std::endian::native == std::endian::little;

  template <class T> T number(size_t at) const {
    T value;
    std::memcpy(&value, tuple_.data() + at, sizeof value);
    return value;
  }
  [[nodiscard]] uint8_t byte(size_t at) const { return static_cast<uint8_t>(tuple_[at]); }

  void require(bool is_met, const char *flaw) {
    if (!is_met && result_.flaw.empty())
      result_.flaw = flaw;
  }

  void require_zeros(size_t begin, size_t end, const char *flaw) {
    require(tuple_.substr(begin, end - begin).find_first_not_of('\0') == std::string_view::npos,
            flaw);
  }

  void read_header() {
    require(tuple_.size() >= 24, "its header is cut short");
    if (!result_.flaw.empty())
      return;
    infomask_ = number<uint16_t>(20);
    const bool has_null = (infomask_ & 1) != 0;
    const size_t bitmap_bytes = has_null ? (columns_.size() + 7) / 8 : 0;
    at_ = (23 + bitmap_bytes + 7) / 8 * 8;
    require((infomask_ & ~3) == 0, "t_infomask has another bit");
    require(number<uint16_t>(18) == columns_.size(), "t_infomask2 is not the number of columns");
    require(byte(22) == at_ && at_ <= tuple_.size(), "t_hoff is another");
    require_zeros(0, 12, "t_choice is not zero");
    require(tuple_.substr(12, 6) == std::string_view("\377\377\377\377\0\0", 6),
            "t_ctid is not the invalid one");
    if (!result_.flaw.empty())
      return;
    require_zeros(23 + bitmap_bytes, at_, "bytes before the data are not zero");
    bool is_any_null = false;
    for (size_t i = 0; i < bitmap_bytes * 8; ++i) {
      const bool is_set = (byte(23 + i / 8) >> i % 8 & 1) != 0;
      require(i < columns_.size() || !is_set, "the bitmap has a bit of no column");
      is_any_null |= i < columns_.size() && !is_set;
    }
    require(is_any_null == has_null, "there is a bitmap without a NULL");
  }

  [[nodiscard]] bool is_null(size_t column) const {
    return (infomask_ & 1) != 0 && (byte(23 + column / 8) >> column % 8 & 1) == 0;
  }

  void align(size_t alignment) {
    const size_t aligned = (at_ + alignment - 1) / alignment * alignment;
    require(aligned <= tuple_.size(), "a value's alignment goes beyond the end");
    if (!result_.flaw.empty())
      return;
    require_zeros(at_, aligned, "padding is not zero");
    at_ = aligned;
  }

  void take(size_t header_bytes, size_t bytes) {
    require(bytes >= header_bytes && bytes <= tuple_.size() - at_,
            "a value goes beyond the tuple's end");
    if (!result_.flaw.empty())
      return;
    result_.values.emplace_back(tuple_.substr(at_ + header_bytes, bytes - header_bytes));
    at_ += bytes;
  }

  void read_value(size_t i) {
    const TupleColumn &column = columns_[i];
    if (is_null(i)) {
      result_.values.emplace_back();
      return;
    }
    require(column.field >= 0, "a column that is not in the row has a value");
    is_wide_ |= column.length < 0;
    if (column.length == -1)
      return read_varlena(column);
    align(column.alignment);
    if (!result_.flaw.empty())
      return;
    if (column.length > 0)
      return take(0, static_cast<size_t>(column.length));
    const size_t end = tuple_.find('\0', at_);
    require(end != std::string_view::npos, "a string has no end");
    if (result_.flaw.empty())
      take(0, end + 1 - at_);
  }

  void read_varlena(const TupleColumn &column) {
    require(at_ < tuple_.size(), "a value has no header");
    if (!result_.flaw.empty())
      return;
    const uint8_t first = byte(at_);
    if (kIsLittle ? (first & 1) != 0 : (first & 0x80) != 0) {
      require(column.is_packable, "a value is packed that may not be");
      return take(1, kIsLittle ? first >> 1 : first & 0x7F);
    }
    align(column.alignment);
    require(tuple_.size() - at_ >= 4, "a value's header is cut short");
    if (!result_.flaw.empty())
      return;
    const auto header = number<uint32_t>(at_);
    const size_t bytes = kIsLittle ? header >> 2 : header & 0x3FFFFFFF;
    require((kIsLittle ? header & 3 : header >> 30) == 0, "a value is compressed or external");
    require(bytes >= 4 && !(column.is_packable && bytes - 4 <= 126), "a value is not packed");
    take(4, bytes);
  }

  const std::vector<TupleColumn> &columns_;
  std::string_view tuple_;
  size_t at_ = 0;
  uint16_t infomask_ = 0;
  bool is_wide_ = false; // a value of variable width was seen
  WalkedTuple result_;
};

/// Reads `tuple` back and says what is wrong with it.
inline WalkedTuple walk_tuple(const std::vector<TupleColumn> &columns, std::string_view tuple) {
  return TupleWalk(columns, tuple).run();
}

} // namespace parallel_loader::testing
