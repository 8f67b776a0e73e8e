// tuple_decoder_fuzz: any bytes as rows for any columns; each becomes a sound tuple or an Error.
#include "core/base/error.hpp"
#include "core/tuple/tuple_decoder.hpp"

#include "tests/unit/tuple_walk.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace parallel_loader {
namespace {

struct Shape {
  FieldKind kind;
  int16_t length;
  uint8_t alignment;
};

constexpr std::array kShapes = {
    Shape{FieldKind::kBool, 1, 1},      Shape{FieldKind::kByte, 1, 1},
    Shape{FieldKind::kSwap2, 2, 2},     Shape{FieldKind::kSwap4, 4, 4},
    Shape{FieldKind::kSwap8, 8, 8},     Shape{FieldKind::kDate, 4, 4},
    Shape{FieldKind::kTime, 8, 8},      Shape{FieldKind::kTimestamp, 8, 8},
    Shape{FieldKind::kInterval, 16, 8}, Shape{FieldKind::kFixed, 16, 1},
    Shape{FieldKind::kFixed, 6, 4},     Shape{FieldKind::kText, -1, 4},
    Shape{FieldKind::kVarchar, -1, 4},  Shape{FieldKind::kBpchar, -1, 4},
    Shape{FieldKind::kBytea, -1, 4},    Shape{FieldKind::kNumeric, -1, 4},
    Shape{FieldKind::kInet, -1, 4},     Shape{FieldKind::kCidr, -1, 4},
    Shape{FieldKind::kJsonb, -1, 4},    Shape{FieldKind::kArray, -1, 4},
    Shape{FieldKind::kArray, -1, 8},    Shape{FieldKind::kOther, -1, 8},
    Shape{FieldKind::kOther, 12, 4},    Shape{FieldKind::kOther, -2, 1},
};

// bool, int4, float8, text, varchar, numeric, uuid
constexpr std::array kElements = {
    ArrayElement{16, FieldKind::kBool, 1, 1},       ArrayElement{23, FieldKind::kSwap4, 4, 4},
    ArrayElement{701, FieldKind::kSwap8, 8, 8},     ArrayElement{25, FieldKind::kText, -1, 4},
    ArrayElement{1043, FieldKind::kVarchar, -1, 4}, ArrayElement{1700, FieldKind::kNumeric, -1, 4},
    ArrayElement{2950, FieldKind::kFixed, 16, 1},
};

[[noreturn]] void fail(std::string_view what) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

// Deals out the input, zeros behind its end.
class Input {
public:
  Input(const uint8_t *data, size_t size) : data_(data), size_(size) {}

  uint8_t byte() {
    if (size_ == 0)
      return 0;
    --size_;
    return *data_++;
  }

  // The next bytes, in a piece of memory of exactly that size.
  std::vector<char> bytes(size_t size) {
    size = std::min(size, size_);
    std::vector<char> out(data_, data_ + size);
    data_ += size;
    size_ -= size;
    return out;
  }

  [[nodiscard]] bool is_empty() const { return size_ == 0; }

private:
  const uint8_t *data_;
  size_t size_;
};

// Makes a value of the column's length of any field, or throws.
class DerivingReceiver : public FieldReceiver {
public:
  explicit DerivingReceiver(const std::vector<TupleColumn> &columns) : columns_(columns) {}

  std::string_view receive(size_t column, std::string_view field) override {
    if (!field.empty() && field.back() == '~')
      throw Error("22P03", "it is refused");
    const int16_t length = columns_.at(column).length;
    if (length > 0) {
      value_.assign(field.substr(0, static_cast<size_t>(length)));
      value_.resize(static_cast<size_t>(length), '#');
    } else if (length == -2) {
      value_.assign(field.substr(0, field.find('\0')));
      value_ += '\0';
    } else {
      make_varlena(field);
    }
    return value_;
  }

  void receive_null(size_t column) override {
    if (!columns_.at(column).checks_null)
      fail("a column was asked of NULL that does not look at it");
  }

private:
  void make_varlena(std::string_view field) {
    value_.assign(4, '\0');
    for (size_t i = 0; i <= (field.empty() ? 0U : field[0] & 3U); ++i)
      value_ += field; // grows beyond what the row takes
    const auto size = static_cast<uint32_t>(value_.size());
    const uint32_t header = std::endian::native == std::endian::little ? size << 2 : size;
    std::memcpy(value_.data(), &header, sizeof header);
  }

  const std::vector<TupleColumn> &columns_;
  std::string value_;
};

TupleColumn read_column(Input &input) {
  const Shape shape = kShapes[input.byte() % kShapes.size()];
  const uint8_t flags = input.byte();
  TupleColumn column;
  column.kind = shape.kind;
  column.length = shape.length;
  column.alignment = shape.alignment;
  column.is_packable = shape.length == -1 && (flags & 1) == 0;
  if (shape.kind == FieldKind::kArray)
    column.element = kElements[input.byte() % kElements.size()];
  column.is_not_null = (flags & 2) != 0;
  column.checks_null = (flags & 4) != 0;
  if ((flags & 8) != 0)
    column.typmod = input.byte();
  if ((flags & 16) != 0)
    column.typmod += input.byte() << 16;
  return column;
}

// Columns whose fields lie in the row forwards or backwards, some of them absent.
std::vector<TupleColumn> read_columns(Input &input, size_t &field_count) {
  const uint8_t layout = input.byte();
  std::vector<TupleColumn> columns(layout % 20);
  field_count = 0;
  for (TupleColumn &column : columns) {
    column = read_column(input);
    if ((layout & 0x80) != 0 && input.byte() % 4 == 0)
      column.field = -1;
    else
      column.field = static_cast<int>(field_count++);
  }
  if ((layout & 0x40) != 0)
    for (TupleColumn &column : columns)
      if (column.field >= 0)
        column.field = static_cast<int>(field_count) - 1 - column.field;
  return columns;
}

// Sound fields around bytes of the input, so that not all rows end at their first length.
std::vector<char> read_row(Input &input, size_t field_count) {
  const size_t size = input.byte();
  if (size % 4 == 0)
    return input.bytes(size);
  std::vector<char> row = {'\0', static_cast<char>(field_count)};
  for (size_t i = 0; i < field_count; ++i) {
    const uint8_t length = input.byte();
    if (length == 0xFF) {
      row.insert(row.end(), 4, '\xFF');
      continue;
    }
    const std::vector<char> value = input.bytes(length);
    row.insert(row.end(), {'\0', '\0', '\0', static_cast<char>(value.size())});
    row.insert(row.end(), value.begin(), value.end());
  }
  row.shrink_to_fit();
  return row;
}

void check_batch(const std::vector<TupleColumn> &columns, const TupleBatch &batch) {
  size_t end = 0;
  for (const Tuple &tuple : batch.tuples()) {
    if (tuple.offset != end || tuple.offset + tuple.length > batch.size_bytes())
      fail("a tuple does not lie behind the one before");
    const std::string_view bytes(batch.data() + tuple.offset, tuple.length);
    const testing::WalkedTuple walked = testing::walk_tuple(columns, bytes);
    if (!walked.flaw.empty())
      fail(walked.flaw);
    bool breaks_not_null = false;
    for (size_t i = 0; i < columns.size(); ++i)
      breaks_not_null |= columns[i].is_not_null && !walked.values[i].has_value();
    if (breaks_not_null != tuple.breaks_not_null)
      fail("it does not say where NULL may not be");
    end += tuple.length;
    for (; end % TupleBatch::kAlignment != 0; ++end)
      if (batch.data()[end] != '\0')
        fail("bytes between tuples are not zero");
  }
  if (end != batch.size_bytes())
    fail("bytes follow the last tuple");
}

void decode_all(Input &input) {
  const auto encoding = static_cast<TextEncoding>(input.byte() % 3);
  size_t field_count = 0;
  const std::vector<TupleColumn> columns = read_columns(input, field_count);
  DerivingReceiver receiver(columns);
  TupleDecoder decoder(columns, field_count, encoding, receiver);
  TupleBatch batch;
  while (!input.is_empty()) {
    const std::vector<char> row = read_row(input, field_count);
    const size_t tuple_count = batch.tuples().size();
    try {
      decoder.decode({row.data(), row.size()}, batch);
      if (batch.tuples().size() != tuple_count + 1)
        fail("a row became another number of tuples");
    } catch (const Error &error) {
      if (error.sqlstate() != "22P04" && error.sqlstate() != "22P03")
        fail("an error has another SQLSTATE");
      if (batch.tuples().size() != tuple_count)
        fail("a row that failed has left a tuple");
    }
  }
  check_batch(columns, batch);
}

} // namespace
} // namespace parallel_loader

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  parallel_loader::Input input(data, size);
  parallel_loader::decode_all(input);
  return 0;
}
