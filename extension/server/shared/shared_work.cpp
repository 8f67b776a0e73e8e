// shared_work: see shared_work.hpp.
#include "extension/server/shared/shared_work.hpp"

namespace parallel_loader {

// A segment's memory may outlive it.
static void wipe_address(dsm_segment *segment, Datum /*unused*/) {
  auto *work = static_cast<SharedWork *>(dsm_segment_address(segment));
  explicit_bzero(work->address, work->address_size);
}

dsm_segment *shared_work_create(uint32 chunks_allowed, char *address, Size address_size) {
  dsm_segment *segment = dsm_create(offsetof(SharedWork, address) + address_size, 0);
  auto *work = static_cast<SharedWork *>(dsm_segment_address(segment));
  pg_atomic_init_u32(&work->chunks_allowed, chunks_allowed);
  pg_atomic_init_u32(&work->workers_through, 0);
  pg_atomic_init_u32(&work->chunks, 0);
  pg_atomic_init_u64(&work->rows, 0);
  pg_atomic_init_u64(&work->bytes, 0);
  work->address_size = address_size;
  memcpy(work->address, address, address_size);
  explicit_bzero(address, address_size);
  on_dsm_detach(segment, wipe_address, Datum(0));
  return segment;
}

SharedWork *shared_work_attach(dsm_handle handle) {
  dsm_segment *segment = dsm_attach(handle);
  if (segment == nullptr)
    return nullptr;
  dsm_pin_mapping(segment);
  return static_cast<SharedWork *>(dsm_segment_address(segment));
}

bool shared_work_take_chunk(SharedWork *work) {
  uint32 left = pg_atomic_read_u32(&work->chunks_allowed);
  while (left != kNoChunkLimit && left > 0)
    if (pg_atomic_compare_exchange_u32(&work->chunks_allowed, &left, left - 1))
      return true;
  return left == kNoChunkLimit;
}

void shared_work_return_chunk(SharedWork *work) {
  if (pg_atomic_read_u32(&work->chunks_allowed) != kNoChunkLimit)
    pg_atomic_fetch_add_u32(&work->chunks_allowed, 1);
}

} // namespace parallel_loader
