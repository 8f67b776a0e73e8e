// worker_main: a worker's process from its start to its end.
#include <optional>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/read_secret.hpp"
#include "extension/server/process/background.hpp"
#include "extension/server/process/session.hpp"
#include "extension/server/shared/worker_slots.hpp"
#include "extension/worker/worker.hpp"

extern "C" {
#include "storage/ipc.h"
}

namespace parallel_loader {

void pin_worker_session(const Request &request) {
  const SessionSettings settings = {request.pull.timezone.c_str(), request.pull.date_order.c_str(),
                                    request.pull.search_path.c_str(),
                                    request.pull.replication_role.c_str()};
  call([&]() noexcept {
    session_pin_settings(&settings);
    session_commit_asynchronously();
  });
}

// Returns false when the worker failed.
static bool run_in_slot(SharedPull *pull, const WorkerArgs &args) {
  std::optional<Request> request = read_secret(pull->request, parse_request);
  if (!request)
    return true; // it came late: the pull has ended
  SharedSession *session =
      args.session == 0 ? nullptr
                        : call([&]() noexcept { return shared_session_attach(args.session); });
  if (args.session != 0 && session == nullptr)
    return true; // the session that brought this worker has ended
  const bool has_own_source = session != nullptr && session->address.size > 0;
  const std::optional<SourceAddress> source =
      has_own_source ? read_secret(session->address, parse_address) : request->source;
  if (!source)
    return true;                           // likewise
  request->source.conninfo.wipe_secrets(); // `source` is what counts
  pin_worker_session(*request);
  const bool result = run_worker({.pull = pull,
                                  .slot = args.slot,
                                  .session = session,
                                  .request = *request,
                                  .source = *source});
  if (session != nullptr)
    pg_atomic_fetch_add_u32(&session->workers_through, 1);
  return result;
}

} // namespace parallel_loader

extern "C" PGDLLEXPORT void parallel_loader_worker_main(Datum /*argument*/);

void parallel_loader_worker_main(Datum /*argument*/) {
  using namespace parallel_loader;
  const WorkerArgs args = background_worker_args();
  SharedPull *pull = background_attach(args.pull);
  background_enter_slot(pull, &args);
  background_connect(pull);
  const bool is_done = entry([&] { return run_in_slot(pull, args); });
  worker_slot_leave(pull, args.slot, kSlotFree);
  proc_exit(is_done ? 0 : 1);
}
