#include "extension/ledger/attempt_notes.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/server/process/session.hpp"

namespace parallel_loader {

bool AttemptNotes::write() {
  for (auto note = notes_.begin(); note != notes_.end();)
    note = write_one(*note) ? notes_.erase(note) : note + 1;
  return notes_.empty();
}

bool AttemptNotes::write_one(const Note &note) {
  try {
    call([]() noexcept { session_begin(); });
    SpiExecutor executor(SpiMode::kWrite);
    const bool is_written = Ledger(executor).note_attempt(note.pull_id, note.chunk, note.attempt);
    call([]() noexcept { session_commit(); });
    return is_written;
  } catch (const PgError &error) {
    call([]() noexcept { session_abort(); });
    if (error.is_cancel())
      throw;
    return false;
  }
}

} // namespace parallel_loader
