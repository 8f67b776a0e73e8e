// tuple_decoder: rows of binary COPY become heap tuples as they lie on disk.
#pragma once

#include "core/tuple_batch.hpp"
#include "core/types.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// How the bytes of a field become those of a stored value.
enum class FieldKind : uint8_t {
  kBool,
  kBytes, // fixed length, as they are
  kSwap2, // integers and floats, big-endian on the wire
  kSwap4,
  kSwap8,
  kDate,
  kTime,
  kTimestamp,
  kInterval,
  kText,
  kVarchar,
  kBpchar,
  kBytea,
  kNumeric,
  kOther, // by the type's receive function
};

/// The kind of a built-in type; kOther for all that have none of their own.
[[nodiscard]] FieldKind field_kind(TypeOid type) noexcept;

/// A column of the table, by attribute number; dropped ones keep their place.
struct TupleColumn {
  FieldKind kind = FieldKind::kOther;
  int16_t length = 0;       // bytes; -1: varlena, -2: C string (pg_type.typlen)
  uint8_t alignment = 1;    // bytes
  bool is_packable = false; // a varlena that may have a one-byte header
  int32_t typmod = -1;
  bool is_not_null = false;
  bool checks_null = false; // its receive function is called for NULL as well
  int field = -1;           // position in the row; -1: it has none and is NULL
};

/// Of the text that travels: that of the database.
enum class TextEncoding {
  kUtf8,
  kSingleByte, // in which any byte but NUL is a character
  kOther,
};

/// The receive functions of the columns' types.
class FieldReceiver {
public:
  FieldReceiver() = default;
  FieldReceiver(const FieldReceiver &) = delete;
  FieldReceiver &operator=(const FieldReceiver &) = delete;
  virtual ~FieldReceiver() = default;

  /// Returns the value as it lies in a tuple, a varlena with a header of four bytes; valid until
  /// the next call.  Throws what the function raises.
  virtual std::string_view receive(size_t column, std::string_view field) = 0;
  virtual void receive_null(size_t column) = 0;
};

/// Decodes rows in one pass: each value goes from the row straight to its place in the tuple.
///
/// A field is decoded here only when its type's receive function would store it unchanged; whatever
/// that function would refuse, round, cut or normalize goes to the function itself, so that the
/// server's own code has the last word on every value.
///
/// Format of rows: PostgreSQL manual, COPY, "Binary Format".  Format of tuples:
/// access/htup_details.h, heap_fill_tuple() in access/common/heaptuple.c, varatt.h.
class TupleDecoder {
public:
  /// `field_count`: of each row.
  TupleDecoder(std::vector<TupleColumn> columns, size_t field_count, TextEncoding encoding,
               FieldReceiver &receiver);

  /// Appends the next row of the stream, without the header of its message, as a tuple.  Throws
  /// Error 22P04 when it is malformed, 54000 when its tuple would be too large for the server, and
  /// what the receiver throws; the batch is then as it was.
  void decode(std::string_view row, TupleBatch &batch);

private:
  struct Field {
    const char *bytes;
    int32_t size; // -1: NULL
  };
  class Writer;

  [[nodiscard]] bool split(std::string_view row) noexcept;
  void write_column(Writer &writer, size_t index);

  std::vector<TupleColumn> columns_;
  std::vector<Field> fields_; // of the current row
  TextEncoding encoding_;
  FieldReceiver &receiver_;
  int64_t row_count_ = 0;
  bool has_absent_ = false;      // a column without a field
  bool has_null_ = false;        // in the current row
  bool breaks_not_null_ = false; // likewise
};

} // namespace parallel_loader
