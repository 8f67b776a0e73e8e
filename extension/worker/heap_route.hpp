// heap_route: rows of a binary COPY go into a table as heap tuples: source stream → decoder →
// batches of tuples → heap_insert.
#pragma once

#include "core/connection/connection.hpp"
#include "core/ledger/ledger.hpp"
#include "core/tuple/tuple_decoder.hpp"

#include "extension/server/load/field_receive.hpp"
#include "extension/server/load/heap_insert.hpp"
#include "extension/worker/route.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Moves the rows of a binary COPY on the source into a table that why_not_heap_route() has passed.
/// As move_rows() otherwise.
[[nodiscard]] ChunkResult move_by_heap_route(const RowSink &sink, const std::string &statement,
                                             Connection &source, RowMeter &meter);

/// Hands fields over to the receive functions of their types.
///
/// It calls the server once a field, where all else does so once a batch: the bytes of a value
/// decide where the next one lies in the tuple, and an error has to come before any of a later row.
/// Only values that the decoder does not write itself pay for it, about 5 ns each (measured
/// 2026-11).
class ServerReceiver final : public FieldReceiver {
public:
  explicit ServerReceiver(const RowSink &sink);

  /// The number of the row that fields belong to, for the context of errors.
  void set_row(int64_t row) noexcept { row_ = row; }
  [[nodiscard]] const FieldReceive *fields() const noexcept { return receive_; }

  std::string_view receive(size_t column, std::string_view field) override;
  void receive_null(size_t column) override;

private:
  FieldReceive *receive_; // in the transaction's memory
  int64_t row_ = 0;
};

/// Makes rows of one chunk heap tuples and hands them on in batches.
class HeapWriter {
public:
  /// `sink` has passed row_sink_check() and why_not_heap_route(), and outlives this.
  explicit HeapWriter(const RowSink &sink);

  /// Takes the next row, without the header of its message.  Throws Error 22P04 when it is
  /// malformed, and PgError with what the server says of values and rows, of earlier rows, too.
  void add(std::string_view row);

  /// Inserts what is left; to be called once, after the last row.
  void end();

  [[nodiscard]] int64_t inserted() const noexcept { return inserted_; }

private:
  void flush();

  ServerReceiver receiver_;
  TupleDecoder decoder_;
  TupleBatch batch_;
  HeapInsert *insert_; // in the transaction's memory
  int64_t row_count_ = 0;
  int64_t inserted_ = 0;
};

} // namespace parallel_loader
