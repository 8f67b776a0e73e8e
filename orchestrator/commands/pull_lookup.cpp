#include "orchestrator/commands/pull_lookup.hpp"

#include "orchestrator/base/failure.hpp"

#include <fmt/format.h>

#include <charconv>

namespace parallel_loader {

namespace {

int64_t parse_id(const std::string &text) {
  int64_t id = 0;
  const char *const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, id);
  if (problem != std::errc() || stop != end || id <= 0)
    throw usage_failure(fmt::format("invalid id \"{}\"", text),
                        "Give the number of a run or a pull, as parallel-loader status shows it.");
  return id;
}

} // namespace

std::vector<PullView> find_pulls(Mover &mover, const std::string &id) {
  const int64_t number = parse_id(id);
  std::vector<PullView> pulls = mover.read_run(number);
  if (pulls.empty())
    pulls = mover.read_pulls({&number, 1});
  if (pulls.empty())
    throw Error("42704", fmt::format("pull {} does not exist", id), "",
                "parallel-loader status shows the runs and pulls that there are.");
  return pulls;
}

} // namespace parallel_loader
