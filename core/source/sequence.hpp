// sequence: sequences that belong to columns, and where they stand.
#pragma once

#include "core/base/quote.hpp"
#include "core/connection/executor.hpp"

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
  std::optional<SequenceOwner> owner = {}; // nullopt: no column's
  bool may_set = true;                     // `user`
  std::string user = {};                   // the current one
  int64_t least = INT64_MIN;               // its bounds
  int64_t most = INT64_MAX;
  bool is_descending = false;
};

/// A sequence of the source that the same column owns there.
struct SourceSequence {
  QualifiedName name;
  bool may_read = true; // `user`, if it may use the schema
  bool may_use_schema = true;
  std::string user = {}; // the session's
  bool is_descending = false;

  friend bool operator==(const SourceSequence &, const SourceSequence &) = default;
};

struct SequenceState {
  int64_t last_value = 0;
  bool is_called = false; // false: the next value is last_value itself
};

/// The sequences that columns of `table` own; without a table, all of the database.  Sequences of
/// the server and of extensions are left out.  In the order of their names.
[[nodiscard]] std::vector<LocalSequence> find_local_sequences(Executor &server,
                                                              std::optional<uint32_t> table);

/// The source's sequences that these columns own there; nullopt where there is none.
[[nodiscard]] std::vector<std::optional<SourceSequence>>
find_source_sequences(Executor &source, std::span<const SequenceOwner> owners);

/// Why the local sequence cannot go on where that of the source stands, in a sentence; empty when
/// it can.  Rights and bounds are not looked at: may_set, may_read and why_out_of_bounds tell.
[[nodiscard]] std::string why_no_match(const LocalSequence &local,
                                       const std::optional<SourceSequence> &source);
/// Why it cannot be set to this state, likewise.
[[nodiscard]] std::string why_out_of_bounds(const LocalSequence &local, const SequenceState &state);

/// SQL that gives the local sequence bounds which this state is between.
[[nodiscard]] std::string alter_bounds(const LocalSequence &local, const SequenceState &state);

/// What gives the right to set the local sequence, or to read that of the source: SQL for a role
/// that may grant it.
[[nodiscard]] std::string grant_to_set(const LocalSequence &local);
[[nodiscard]] std::string grant_to_read(const SourceSequence &source);

/// Where the sequences stand now, in their order.  Throws Error 42501 for one that may not be read,
/// 08P01 unless each has one state.
[[nodiscard]] std::vector<SequenceState>
read_sequence_states(Executor &source, std::span<const QualifiedName> sequences);

/// Throws what setval does: 42501, 22003, 25006.
void set_sequence(Executor &server, uint32_t sequence, const SequenceState &state);

} // namespace parallel_loader
