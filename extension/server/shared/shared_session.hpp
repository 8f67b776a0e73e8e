// shared_session: what a session that joins a pull shares with the workers it brings.
#pragma once

#include "extension/server/base/error_report.hpp"
#include "extension/server/base/postgres.hpp"
#include "extension/server/shared/secret_bytes.hpp"

extern "C" {
#include "port/atomics.h"
#include "storage/dsm.h"
}

namespace parallel_loader {

struct SharedSession {
  pg_atomic_uint32 chunks_allowed;  // that may still be begun; kNoChunkLimit is not counted down
  pg_atomic_uint32 workers_through; // that have left by themselves
  pg_atomic_uint32 chunks;          // done so far, with their rows and bytes
  pg_atomic_uint64 rows;
  pg_atomic_uint64 bytes;
  pg_atomic_uint32 error_state; // a SessionErrorState
  ErrorReport error;            // of its own source, which leaves the pull alone
  int64 pull_id;                // whose chunks its workers take; 0: of any pull of the run
  SecretBytes address;          // a source of their own, see request.hpp; none: the pull's source
};

enum SessionErrorState : uint32 { kNoSessionError, kWritingSessionError, kHasSessionError };

inline constexpr uint32 kNoChunkLimit = PG_UINT32_MAX;

/// Creates the segment; the creating transaction's owner detaches it, which overwrites the address,
/// as `address` is here once it is copied: it may hold a password.
dsm_segment *shared_session_create(uint32 chunks_allowed, int64 pull_id, char *address,
                                   Size address_size);

/// Attaches the segment for as long as the process lives; nullptr when it is gone, and the session
/// with it.
SharedSession *shared_session_attach(dsm_handle handle);

/// True if another chunk may be begun, which is then counted.
bool shared_session_take_chunk(SharedSession *session) noexcept;
/// Keeps `report` if it is the first error of the session's own source.
void shared_session_fail(SharedSession *session, const ErrorReport *report) noexcept;
/// False if there is none.
bool shared_session_error(SharedSession *session, ErrorReport *report) noexcept;
/// The chunk taken last was not done.
void shared_session_return_chunk(SharedSession *session) noexcept;

} // namespace parallel_loader
