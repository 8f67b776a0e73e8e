// sequence: sequences that belong to columns, and where they stand.
#pragma once

#include "core/executor.hpp"
#include "core/quote.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parallel_loader {

/// The column that a sequence belongs to, by `serial`, `IDENTITY` or `OWNED BY`.
struct SequenceOwner {
  QualifiedName table;
  std::string column;
};

struct LocalSequence {
  uint32_t oid = 0;
  QualifiedName name;
  std::optional<SequenceOwner> owner; // nullopt: no column's
};

struct SequenceState {
  int64_t last_value = 0;
  bool is_called = false; // false: the next value is last_value itself
};

/// The sequences that columns of `table` own; without a table, all that the current user may set,
/// and with them those that no column owns.  Sequences of the server and of extensions are left
/// out.  In the order of their names.
[[nodiscard]] std::vector<LocalSequence> find_local_sequences(Executor &server,
                                                              std::optional<uint32_t> table);

/// The names of the source's sequences that these columns own there; nullopt where there is none.
[[nodiscard]] std::vector<std::optional<QualifiedName>>
find_source_sequences(Executor &source, std::span<const SequenceOwner> owners);

/// Where the sequences stand now, in their order.  Throws Error 42501 for one that may not be read.
[[nodiscard]] std::vector<SequenceState>
read_sequence_states(Executor &source, std::span<const QualifiedName> sequences);

/// Throws what setval does: 42501, 22003, 25006.
void set_sequence(Executor &server, uint32_t sequence, const SequenceState &state);

} // namespace parallel_loader
