// tuple_fixture: columns, rows and a receiver for tests of the tuple decoder.
#pragma once

#include "core/tuple/tuple_decoder.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_server.hpp"
#include "tests/unit/tuple_walk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace parallel_loader::testing {

inline const std::string kNullField{"\377\377\377\377", 4};

inline std::string big_endian(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = bytes; i-- > 0;)
    out += static_cast<char>(value >> (8 * i));
  return out;
}

/// A number as it lies in memory.
template <class T> std::string native(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

inline std::string field(std::string_view value) {
  return big_endian(value.size(), 4) + std::string(value);
}

inline std::string row_of(const std::vector<std::string> &fields) {
  std::string row = big_endian(fields.size(), 2);
  for (const std::string &each : fields)
    row += each;
  return row;
}

inline std::string long_varlena(std::string_view data) {
  const auto size = static_cast<uint32_t>(data.size() + 4);
  return native(std::endian::native == std::endian::little ? size << 2 : size) + std::string(data);
}

inline std::string short_varlena(std::string_view data) {
  const auto size = static_cast<unsigned>(data.size() + 1);
  const unsigned header = std::endian::native == std::endian::little ? size << 1 | 1 : size | 0x80;
  return static_cast<char>(header) + std::string(data);
}

/// A column as the catalog describes one of this kind.
inline TupleColumn column_of(FieldKind kind, int16_t length, int32_t typmod = -1) {
  TupleColumn column;
  column.kind = kind;
  column.length = length;
  column.alignment = static_cast<uint8_t>(length < 0 ? 4 : length == 16 ? 8 : length);
  column.is_packable = length == -1;
  column.typmod = typmod;
  return column;
}

inline const TupleColumn kBoolColumn = column_of(FieldKind::kBool, 1);
inline const TupleColumn kInt2Column = column_of(FieldKind::kSwap2, 2);
inline const TupleColumn kInt4Column = column_of(FieldKind::kSwap4, 4);
inline const TupleColumn kInt8Column = column_of(FieldKind::kSwap8, 8);
inline const TupleColumn kTextColumn = column_of(FieldKind::kText, -1);
inline const TupleColumn kOtherColumn = column_of(FieldKind::kOther, -1);

/// The columns with the fields of a row in their order.
inline std::vector<TupleColumn> in_order(std::vector<TupleColumn> columns) {
  for (size_t i = 0; i < columns.size(); ++i)
    columns[i].field = static_cast<int>(i);
  return columns;
}

/// Returns `answer`; by default a varlena with the field in brackets, or as many 'r' as the column
/// is long.  Remembers what it was asked.
class FakeReceiver : public FieldReceiver {
public:
  explicit FakeReceiver(std::vector<TupleColumn> columns) : columns_(std::move(columns)) {}

  struct Call {
    size_t column;
    std::string field;
  };

  std::string_view receive(size_t column, std::string_view field) override {
    calls.push_back({column, std::string(field)});
    if (field == "refused")
      throw Error("22P03", "it is refused");
    const int16_t length = columns_.at(column).length;
    result_ = !answer.empty() ? answer
              : length > 0    ? std::string(static_cast<size_t>(length), 'r')
                              : long_varlena("<" + std::string(field) + ">");
    return result_;
  }

  void receive_null(size_t column) override {
    null_columns.push_back(column);
    if (is_null_refused)
      throw Error("23502", "it is NULL");
  }

  std::vector<Call> calls;
  std::vector<size_t> null_columns;
  std::string answer;
  bool is_null_refused = false;

private:
  std::vector<TupleColumn> columns_;
  std::string result_;
};

/// One decoder with its receiver and its batch.
class Decoding {
public:
  explicit Decoding(const std::vector<TupleColumn> &columns,
                    TextEncoding encoding = TextEncoding::kUtf8)
      : receiver(columns), columns_(columns),
        decoder_(columns_, count_fields(columns), encoding, receiver) {}

  /// Decodes a copy of exact size, so that AddressSanitizer sees a read past the end.
  void decode_row(std::string_view row) {
    const std::vector<char> exact(row.begin(), row.end());
    decoder_.decode({exact.data(), exact.size()}, batch);
  }

  void decode(const std::vector<std::string> &fields) { decode_row(row_of(fields)); }

  /// The bytes of the tuple that was appended last.
  [[nodiscard]] std::string tuple() const {
    const Tuple &last = batch.tuples().back();
    return {batch.data() + last.offset, last.length};
  }

  /// The tuple appended last, read back; fails the test when it is not sound.
  [[nodiscard]] WalkedTuple walk() const {
    WalkedTuple walked = walk_tuple(columns_, tuple());
    EXPECT_EQ(walked.flaw, "");
    return walked;
  }

  FakeReceiver receiver;
  TupleBatch batch;

private:
  static size_t count_fields(const std::vector<TupleColumn> &columns) {
    size_t count = 0;
    for (const TupleColumn &column : columns)
      count = std::max(count, static_cast<size_t>(column.field + 1));
    return count;
  }

  std::vector<TupleColumn> columns_;
  TupleDecoder decoder_;
};

} // namespace parallel_loader::testing
