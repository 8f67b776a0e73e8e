// tuple_decoder: makes heap tuples of the rows of a binary COPY.
#pragma once

#include "core/tuple/array_builder.hpp"
#include "core/tuple/field_writer.hpp"
#include "core/tuple/jsonb_builder.hpp"
#include "core/tuple/tuple_batch.hpp"
#include "core/tuple/tuple_column.hpp"
#include "core/tuple/tuple_text.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// The server's own receive functions, for what the decoder leaves to them.
class FieldReceiver {
public:
  virtual ~FieldReceiver() = default;
  /// Returns the value's bytes as they lie in a tuple: all of a fixed length, a varlena with its
  /// header (never one kept elsewhere), a cstring with its NUL.  Valid until the next call.
  /// `column` is an index into the decoder's columns.  Throws what the server says of the value.
  [[nodiscard]] virtual std::string_view receive(size_t column, std::string_view field) = 0;
  /// Called for the NULLs in the row of a column that checks them.  Throws as above.
  virtual void receive_null(size_t column) = 0;
};

/// Makes of each row the tuple that COPY FROM would form.  It writes by itself only what the type's
/// receive function would store unchanged and would not refuse; any other value goes to the
/// receiver.
class TupleDecoder {
public:
  /// `columns`: all of the table's, by attribute number.  Each of the `field_count` fields of a row
  /// goes to one of them at most.  Throws Error XX000 on columns that cannot be.
  TupleDecoder(const std::vector<TupleColumn> &columns, size_t field_count, TextEncoding encoding,
               FieldReceiver &receiver);

  /// Appends one row (a message of the stream, without the stream's header) as a tuple.
  /// Throws Error 22P04 when the row is malformed, 54000 when it is too large for the server, and
  /// what the receiver throws; the batch then holds what it held before.
  /// Format: PostgreSQL manual, COPY, "Binary Format"; "Database Page Layout".
  void decode(std::string_view row, TupleBatch &batch);

private:
  struct Field {
    const char *data = nullptr;
    uint32_t size = 0; // kNull: none
  };
  struct Column {
    FieldWriter writer;
    uint32_t field;     // field_count_: always NULL
    uint16_t width_bit; // what a value of it sets in t_infomask
    bool is_not_null;
    bool checks_null;
    FieldKind kind;
    uint32_t array; // of kind kArray: its builder
  };
  static constexpr uint32_t kNull = 0xFFFFFFFF;

  [[nodiscard]] bool find_fields(std::string_view row);
  [[nodiscard]] bool is_any_null() const noexcept;
  [[nodiscard]] bool see_null(size_t column);
  [[nodiscard]] std::string_view build(const Column &column, std::string_view field);
  [[nodiscard]] size_t write_other(size_t column, TupleBatch &batch, size_t used, size_t bound);

  std::vector<Column> columns_;
  std::vector<Field> fields_; // of the current row, and one more that is NULL
  size_t field_count_;
  FieldReceiver &receiver_;
  JsonbBuilder jsonb_;
  std::vector<ArrayBuilder> arrays_;
  size_t bitmap_header_bytes_; // of a tuple with NULLs
  bool is_one_absent_ = false; // a column that is NULL in every row
  bool is_one_unused_ = false; // a field that goes to no column
  int64_t row_count_ = 0;      // given to decode()
};

} // namespace parallel_loader
