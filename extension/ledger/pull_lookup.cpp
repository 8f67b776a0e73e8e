#include "extension/ledger/pull_lookup.hpp"

#include "extension/bridge/spi_executor.hpp"

extern "C" {
#include "utils/acl.h"
}

namespace parallel_loader {

namespace {

bool may_see(const FoundPull &found) {
  return call([&]() noexcept { return has_privs_of_role(GetUserId(), found.owner); });
}

} // namespace

static FoundPull look_up(int64_t pull_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  const std::optional<FoundPull> found = PullFinder(executor).find(pull_id);
  if (!found || !may_see(*found))
    throw Error(sqlstate::kUndefinedObject, "pull " + std::to_string(pull_id) + " does not exist",
                "", "View parallel_pulls lists your pulls.");
  return *found;
}

// A coordinator that ends between the look at the ledger and the look at its lock seems lost.  Its
// last word is committed before its lock goes, so a second look tells.
FoundPull find_pull(int64_t pull_id) {
  FoundPull found = look_up(pull_id);
  return found.state == PullState::kInterrupted ? look_up(pull_id) : found;
}

int find_resumer(int64_t pull_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  return PullFinder(executor).find_resumer(pull_id);
}

std::vector<FoundPull> find_live_pulls() {
  SpiExecutor executor(SpiMode::kReadLatest);
  std::vector<FoundPull> pulls = PullFinder(executor).find_live();
  std::erase_if(pulls, [](const FoundPull &found) { return !may_see(found); });
  return pulls;
}

std::vector<FoundPull> find_held_pulls() {
  SpiExecutor executor(SpiMode::kReadLatest);
  return PullFinder(executor).find_held();
}

std::vector<FoundPull> find_coordinators() {
  SpiExecutor executor(SpiMode::kReadLatest);
  std::vector<FoundPull> pulls = PullFinder(executor).find_coordinators();
  std::erase_if(pulls, [](const FoundPull &found) { return !may_see(found); });
  return pulls;
}

std::optional<int64_t> find_live_pull_into(Oid table) {
  SpiExecutor executor(SpiMode::kReadLatest);
  return PullFinder(executor).find_live_into(table);
}

std::optional<FoundPull> find_loader(Oid table, const std::string &since) {
  SpiExecutor executor(SpiMode::kReadLatest);
  return PullFinder(executor).find_loader(table, since);
}

std::optional<int64_t> find_live_whole_pull(const AppendSubject &subject) {
  SpiExecutor executor(SpiMode::kReadLatest);
  return PullFinder(executor).find_live_whole(subject);
}

std::optional<FoundRun> find_run(int64_t run_id) {
  SpiExecutor executor(SpiMode::kReadLatest);
  return RunLedger(executor).find(run_id);
}

AttachedPull::AttachedPull(const FoundPull &found) {
  if (found.is_live || found.is_held)
    attach(found.segment, found.coordinator, found.ledger);
}

AttachedPull::AttachedPull(const FoundRun &found) {
  attach(found.segment, found.coordinator, found.ledger);
}

void AttachedPull::attach(dsm_handle handle, int64_t coordinator, Oid ledger) {
  segment_ = call([&]() noexcept { return shared_pull_attach(handle, &pull_, &is_new_mapping_); });
  if (segment_ == nullptr)
    return;
  if (pull_->coordinator_id != coordinator || pull_->ledger != ledger)
    pull_ = nullptr;
}

AttachedPull::~AttachedPull() {
  if (segment_ != nullptr && is_new_mapping_)
    dsm_detach(segment_); // raises nothing: it unmaps and, as the last one, frees
}

} // namespace parallel_loader
