#include "extension/server/shared/shared_session.hpp"

namespace parallel_loader {

// A segment's memory may outlive it.
static void wipe_address(dsm_segment *segment, Datum /*unused*/) {
  auto *session = static_cast<SharedSession *>(dsm_segment_address(segment));
  secret_bytes_wipe(&session->address);
}

dsm_segment *shared_session_create(uint32 chunks_allowed, int64 pull_id, char *address,
                                   Size address_size) {
  dsm_segment *segment = dsm_create(offsetof(SharedSession, address.bytes) + address_size, 0);
  auto *session = static_cast<SharedSession *>(dsm_segment_address(segment));
  pg_atomic_init_u32(&session->chunks_allowed, chunks_allowed);
  pg_atomic_init_u32(&session->workers_through, 0);
  pg_atomic_init_u32(&session->chunks, 0);
  pg_atomic_init_u64(&session->rows, 0);
  pg_atomic_init_u64(&session->bytes, 0);
  pg_atomic_init_u32(&session->error_state, kNoSessionError);
  session->pull_id = pull_id;
  secret_bytes_init(&session->address, address, address_size);
  explicit_bzero(address, address_size);
  on_dsm_detach(segment, wipe_address, Datum(0));
  return segment;
}

SharedSession *shared_session_attach(dsm_handle handle) {
  dsm_segment *segment = dsm_attach(handle);
  if (segment == nullptr)
    return nullptr;
  dsm_pin_mapping(segment);
  return static_cast<SharedSession *>(dsm_segment_address(segment));
}

bool shared_session_take_chunk(SharedSession *session) noexcept {
  uint32 left = pg_atomic_read_u32(&session->chunks_allowed);
  while (left != kNoChunkLimit && left > 0)
    if (pg_atomic_compare_exchange_u32(&session->chunks_allowed, &left, left - 1))
      return true;
  return left == kNoChunkLimit;
}

void shared_session_fail(SharedSession *session, const ErrorReport *report) noexcept {
  uint32 none = kNoSessionError;
  if (!pg_atomic_compare_exchange_u32(&session->error_state, &none, kWritingSessionError))
    return;
  session->error = *report;
  pg_write_barrier();
  pg_atomic_write_u32(&session->error_state, kHasSessionError);
}

bool shared_session_error(SharedSession *session, ErrorReport *report) noexcept {
  if (pg_atomic_read_u32(&session->error_state) != kHasSessionError)
    return false;
  pg_read_barrier();
  *report = session->error;
  return true;
}

void shared_session_return_chunk(SharedSession *session) noexcept {
  if (pg_atomic_read_u32(&session->chunks_allowed) != kNoChunkLimit)
    pg_atomic_fetch_add_u32(&session->chunks_allowed, 1);
}

} // namespace parallel_loader
