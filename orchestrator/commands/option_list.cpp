#include "orchestrator/commands/option_list.hpp"

#include "orchestrator/base/text.hpp"

namespace parallel_loader {

namespace {

using List = std::vector<std::pair<std::string, std::string>>;

void add(List &list, std::string name, const std::optional<std::string> &value) {
  if (value)
    list.emplace_back(std::move(name), *value);
}

void add_each(List &list, const std::string &name, const std::vector<ForTable> &values) {
  for (const ForTable &value : values)
    list.emplace_back(name + " " + value.table, value.value);
}

} // namespace

List option_list(const Options &options) {
  List list;
  list.emplace_back("--jobs", std::to_string(options.speed.jobs.value_or(kDefaultJobs)));
  add(list, "--chunk-size", options.speed.chunk_size);
  list.emplace_back("--format", options.speed.format);
  if (options.speed.max_rate_kb.value_or(0) > 0)
    list.emplace_back("--max-rate",
                      format_rate(static_cast<double>(*options.speed.max_rate_kb) * 1024));
  const Selection &selection = options.selection;
  add(list, "--key", selection.key);
  add(list, "--start", selection.start);
  add(list, "--end", selection.end);
  add(list, "--where", selection.where);
  add_each(list, "--key-for", selection.keys);
  add_each(list, "--where-for", selection.conditions);
  add_each(list, "--columns-for", selection.columns_of);
  list.emplace_back("--on-error", options.safety.on_error == OnError::kStop ? "stop" : "continue");
  if (options.safety.truncates)
    list.emplace_back("--truncate", "yes");
  add(list, "--snapshot", options.safety.snapshot);
  if (options.safety.takes_new_snapshot)
    list.emplace_back("--new-snapshot", "yes");
  if (options.safety.restarts)
    list.emplace_back("--restart", "yes");
  return list;
}

} // namespace parallel_loader
