// attempt_notes: failed attempts at chunks, on their way into the ledger.
#pragma once

#include "core/ledger/ledger.hpp"

#include <string>
#include <vector>

namespace parallel_loader {

/// The worker that takes a chunk next locks its row while it moves it, so a note may have to wait;
/// its writer need not.
class AttemptNotes {
public:
  void add(int64_t pull_id, int chunk, FailedAttempt attempt) {
    notes_.push_back({pull_id, chunk, std::move(attempt)});
  }
  /// Writes the notes whose chunks nobody has, each in a transaction of its own; false if some are
  /// left.  What fails is left too, but for a cancel, which is thrown.
  bool write();

private:
  struct Note {
    int64_t pull_id;
    int chunk;
    FailedAttempt attempt;
  };
  [[nodiscard]] bool write_one(const Note &note);

  std::vector<Note> notes_;
};

} // namespace parallel_loader
