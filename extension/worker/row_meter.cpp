// row_meter: see row_meter.hpp.
#include "extension/worker/row_meter.hpp"

#include "extension/server/shared/throttle.hpp"

namespace parallel_loader {

void RowMeter::pass(int64_t rows, int64_t bytes, int64_t size) {
  pg_atomic_write_u64(&slot_.rows, static_cast<uint64>(rows));
  pg_atomic_write_u64(&slot_.bytes, static_cast<uint64>(bytes));
  pg_atomic_fetch_add_u64(&pull_->bytes_moved, size);
  if (!call([&]() noexcept { return throttle_pass(pull_, &slot_, size); }))
    throw Stopped();
}

} // namespace parallel_loader
