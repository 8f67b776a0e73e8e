#include "orchestrator/commands/status.hpp"

#include "core/connection/conninfo.hpp"

#include "orchestrator/base/output.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/base/text_table.hpp"
#include "orchestrator/commands/command_frame.hpp"
#include "orchestrator/commands/pull_lookup.hpp"
#include "orchestrator/display/run_display.hpp"
#include "orchestrator/run/pull_need.hpp"
#include "orchestrator/run/rate_window.hpp"
#include "orchestrator/run/reconnection.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace parallel_loader {

namespace {

/// Runs in the order of their first pulls, the latest last.
std::vector<RunView> runs_of(std::vector<PullView> pulls) {
  std::map<int64_t, RunView> runs;
  for (PullView &pull : pulls) {
    RunView &run = runs[pull.run_id];
    run.command = "status";
    run.id = std::to_string(pull.run_id);
    if (pull.started && (!run.started || *pull.started < *run.started))
      run.started = pull.started;
    if (run.snapshot.empty())
      run.snapshot = pull.snapshot;
    run.pulls.push_back(std::move(pull));
  }
  std::vector<RunView> list;
  list.reserve(runs.size());
  for (auto &[id, run] : runs)
    list.push_back(std::move(run));
  return list;
}

/// What is known of the run of a pull, whose other pulls may not be shown.
struct RunState {
  int64_t newest_pull = 0;
  bool is_worked_on = false; // its workers take the chunks of all its pulls, one after the other
};

/// What goes on with it, or with all of its run, as words behind the program's name; empty: nothing
/// is to be done, or no command can do it.
std::string next_words(const PullView &pull, const RunState &run, const std::string &id) {
  if (pull.state == PullState::kDone ||
      pull.kind == "append") // the next append copies what is left
    return "";
  if (pull.state == PullState::kPaused)
    return fmt::format("alter {} --jobs {}", id, kDefaultJobs);
  if (!is_over(pull) && run.is_worked_on)
    return ""; // else nobody works on it, or nobody will
  if (need_of(pull) != PullNeed::kChoice)
    return fmt::format("resume {}", id);
  if (has_key_ranges(pull))
    return fmt::format("resume {} --new-snapshot", id);
  return pull.began_empty == true ? restart_words(pull, id) : "";
}

std::string time_text(const std::optional<WallTime> &time) {
  return time ? fmt::format("{:%Y-%m-%d %H:%M:%S}",
                            fmt::localtime(std::chrono::system_clock::to_time_t(*time)))
              : "-";
}

using std::chrono::milliseconds;

/// `?` where there is no such time.
std::string text_between(const std::optional<WallTime> &from, const std::optional<WallTime> &to) {
  if (!from || !to)
    return "?";
  return format_duration(
      std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(*to - *from)));
}

/// Why it does not move; empty: it does, or is over.
std::string stillness_of(const PullView &pull, const RunState &run) {
  if (is_over(pull))
    return "";
  if (!pull.waiting_for.empty())
    return wait_words(pull.waiting_for);
  if (pull.state == PullState::kPaused || pull.workers > 0)
    return "";
  return run.is_worked_on ? "waits for a worker" : "nobody works on it";
}

/// What keeps the snapshot of one that has failed; empty: nothing does.
std::string hold_of(const PullView &pull) {
  if (!is_over(pull) || pull.state == PullState::kDone || pull.coordinator_pid == 0)
    return "";
  const WallTime now = std::chrono::system_clock::now();
  return fmt::format("its snapshot, {} old, is held in the worker slot of process {} for {} more",
                     text_between(pull.snapshot_taken, now), pull.coordinator_pid,
                     text_between(now, pull.coordinator_ends));
}

/// Others that a pull is not resumed for.
struct Others {
  OtherPulls successors;
  OtherPulls later_loaders;
};

int64_t other_of(const OtherPulls &others, const PullView &pull) {
  const auto found = others.find(pull.pull_id);
  return found == others.end() ? 0 : found->second;
}

/// Why it does not move, and what it holds.
std::string note_of(const PullView &pull, const RunState &run, const Others &others) {
  const int64_t successor = other_of(others.successors, pull);
  const int64_t later = other_of(others.later_loaders, pull);
  std::string note;
  const auto add = [&note](const std::string &text) {
    if (!text.empty())
      note += (note.empty() ? "" : "; ") + text;
  };
  if (pull.failure)
    add(pull.failure->message);
  if (successor != 0)
    add(fmt::format("pull {} has taken its place", successor));
  if (later != 0)
    add(fmt::format("pull {} has loaded rows into its table since", later));
  add(stillness_of(pull, run));
  add(hold_of(pull));
  const PullNeed need = need_of(pull);
  const bool lacks_snapshot = need == PullNeed::kRenew || need == PullNeed::kChoice;
  if (lacks_snapshot && pull.kind != "append" && successor == 0)
    add("its snapshot is gone" + (pull.hold_ended.empty() ? "" : ": " + pull.hold_ended));
  add(pull.warning);
  return note;
}

/// The same of a run: what one of its tables says stands for all.
std::string note_of(const RunView &run, const RunState &state) {
  for (const PullView &pull : run.pulls)
    if (std::string hold = hold_of(pull); !hold.empty())
      return hold;
  for (const PullView &pull : run.pulls)
    if (std::string stillness = stillness_of(pull, state);
        !state.is_worked_on && !stillness.empty())
      return stillness;
  return "";
}

std::string run_table(const std::vector<RunView> &runs, const std::map<int64_t, RunState> &states) {
  std::vector<std::vector<std::string>> rows;
  for (const RunView &run : runs) {
    const RunTotals totals = totals_of(run);
    const auto state = states.find(run.pulls.front().run_id);
    rows.push_back(
        {run.id, std::string(state_name(state_of(run))),
         run.pulls.size() == 1 ? run.pulls.front().table : format_number_of(totals.tables, "table"),
         fmt::format("{} of {}", totals.done, totals.tables), format_count(totals.rows),
         format_size(totals.bytes), time_text(run.started),
         state == states.end() ? "" : note_of(run, state->second)});
  }
  return text_table({{"run", Align::kRight},
                     {"state"},
                     {"tables"},
                     {"done", Align::kRight},
                     {"rows", Align::kRight},
                     {"size", Align::kRight},
                     {"started"},
                     {"note"}},
                    rows);
}

std::string pull_table(const RunView &run, const RunState &state, const Others &others) {
  std::vector<std::vector<std::string>> rows;
  for (const PullView &pull : run.pulls)
    rows.push_back({pull.id, pull.table, std::string(state_name(pull.state)),
                    fmt::format("{} of {}", pull.chunks_done, pull.chunks), format_count(pull.rows),
                    format_size(pull.bytes), note_of(pull, state, others)});
  return text_table({{"pull", Align::kRight},
                     {"table"},
                     {"state"},
                     {"chunks", Align::kRight},
                     {"rows", Align::kRight},
                     {"size", Align::kRight},
                     {"note"}},
                    rows);
}

/// A run waits for its next table no longer than that, but perhaps for a resume.
constexpr std::chrono::seconds kFeedPatience{10};

/// Whether somebody is about to add tables to it.
bool is_fed(const RunView &run) {
  return run.pulls.back().tables_to_come > 0 && run.pulls.back().coordinator_pid != 0;
}

class Status {
public:
  Status(CommandFrame &frame, const Options &options, const Terminal &terminal)
      : frame_(frame), options_(options), terminal_(terminal), id_(options.id) {}

  [[nodiscard]] ExitStatus run() {
    frame_.attempt([&] {
      frame_.open_destination("");
      look_at_all();
      read();
      if (options_.output.watches)
        watch();
    });
    return frame_.finish(ExitStatus::kDone, status_document(runs_, frame_.document_failure()),
                         text());
  }

private:
  void look_at_all() {
    const std::vector<PullView> pulls = frame_.mover().read_run(0);
    PullList list;
    list.reserve(pulls.size());
    for (const PullView &pull : pulls)
      list.push_back(&pull);
    others_ = {find_successors(list), find_later_loaders(list)};
    is_superuser_ = frame_.mover()
                        .destination()
                        .query("SELECT pg_catalog.current_setting('is_superuser')::pg_catalog.bool")
                        .boolean(0, 0);
    states_.clear();
    for (const PullView &pull : pulls) {
      RunState &state = states_[pull.run_id];
      state = {.newest_pull = pull.pull_id, .is_worked_on = state.is_worked_on || pull.workers > 0};
    }
  }

  void read() {
    runs_ = runs_of(id_.empty() ? frame_.mover().read_run(0) : find_pulls(frame_.mover(), id_));
    for (RunView &run : runs_)
      for (PullView &pull : run.pulls)
        if (const std::string words = next_words_of(pull); !words.empty())
          pull.next_command = frame_.command(words);
  }

  [[nodiscard]] std::string next_words_of(const PullView &pull) const {
    return other_of(others_.successors, pull) != 0 || other_of(others_.later_loaders, pull) != 0
               ? ""
               : next_words(pull, state_of_run(pull), pull.id);
  }

  /// A run that was begun since the start has no state here.
  [[nodiscard]] RunState state_of_run(const PullView &pull) const {
    const auto found = states_.find(pull.run_id);
    return found == states_.end() ? RunState{pull.pull_id, pull.workers > 0} : found->second;
  }

  // Without an id: the latest run.
  void watch() {
    if (runs_.empty())
      return;
    id_ = runs_.back().id;
    RunDisplay display(choose_display(options_.output.progress, false, terminal_),
                       {.glyphs = options_.output.is_ascii || !terminal_.has_utf8
                                      ? Glyphs::kAscii
                                      : Glyphs::kUnicode,
                        .color = choose_color(options_.output.color, terminal_)},
                       options_.output.report_every);
    const auto began = std::chrono::steady_clock::now();
    auto moved_at = began;
    bool has_begun = false;
    while (true) {
      std::erase_if(runs_, [this](const RunView &run) { return run.id != id_; });
      RunView &run = runs_.front();
      take_rates(run, std::chrono::steady_clock::now() - began);
      has_begun ? display.update(run) : display.begin(run);
      has_begun = true;
      const auto now = std::chrono::steady_clock::now();
      if (!is_over(run))
        moved_at = now;
      if ((is_over(run) && (!is_fed(run) || now - moved_at > kFeedPatience)) ||
          frame_.interrupt().is_raised())
        break;
      wait_for_any({frame_.interrupt().fd()}, std::chrono::milliseconds(500));
      if (!frame_.interrupt().is_raised())
        read_again();
    }
    display.end(runs_.front());
    if (frame_.interrupt().is_raised())
      return;
    look_at_all(); // it may have grown
    read();
  }

  void read_again() {
    bool is_lost = false;
    read_or_reconnect(
        [&] {
          if (frame_.interrupt().is_raised())
            throw Error("57014", "interrupted");
          if (is_lost)
            frame_.open_destination("");
          read();
        },
        [&is_lost] { is_lost = true; });
  }

  void take_rates(RunView &run, std::chrono::steady_clock::duration since) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(since);
    // Of the run, by the destination's clock, where it says when it began.
    run.elapsed = run.started ? std::chrono::duration_cast<std::chrono::milliseconds>(
                                    std::chrono::system_clock::now() - *run.started)
                              : elapsed;
    rates_.note(run, elapsed);
    for (PullView &pull : run.pulls)
      note_time(pull, run);
    looked_at_ = std::chrono::system_clock::now();
  }

  // One that was seen to wait has begun since the last look, another one perhaps when it was
  // planned.
  void note_time(PullView &pull, const RunView &run) {
    if (!pull.started || !run.started || (!begun_.contains(pull.pull_id) && waits_for_turn(pull)))
      return;
    const auto [begun, is_new] =
        begun_.try_emplace(pull.pull_id, looked_at_ ? *looked_at_ : *pull.started);
    const WallTime until = pull.finished.value_or(std::chrono::system_clock::now());
    pull.moving_since = std::chrono::duration_cast<milliseconds>(begun->second - *run.started);
    pull.moved_for =
        std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(until - begun->second));
  }

  [[nodiscard]] std::string text() const {
    if (frame_.failure() && runs_.empty())
      return "";
    if (runs_.empty())
      return "There are no runs.\n";
    std::string text =
        runs_.size() == 1
            ? pull_table(runs_.front(), state_of_run(runs_.front().pulls.front()), others_)
            : run_table(runs_, states_);
    return text + next_steps();
  }

  [[nodiscard]] std::string next_steps() const {
    std::string text;
    bool needs_password = false;
    for (const RunView &run : runs_) {
      // The newest pull of the run knows, and may not be the one that was asked for.
      const PullView &last = run.pulls.back();
      if (const int to_come = last.tables_to_come;
          to_come > 0 && state_of_run(last).newest_pull == last.pull_id)
        text += fmt::format(
            "{} of run {} {} not been begun. If the copy command has ended: call it "
            "again with --resume {}, without --truncate and --snapshot.\n",
            format_number_of(to_come, "table"), run.id, to_come == 1 ? "has" : "have", run.id);
      for (const std::string &command : next_commands(run))
        text += fmt::format("next: {}\n", command);
      needs_password =
          needs_password || std::ranges::any_of(run.pulls, [this](const PullView &pull) {
            return next_words_of(pull).starts_with("resume") && is_conninfo(pull.source);
          });
    }
    if (needs_password && !is_superuser_)
      text +=
          "The ledger has no passwords: add --source CONN to a resume, with the password in it or "
          "in a password file.\n";
    return text.empty() ? "" : '\n' + text;
  }

  /// Where all pulls need the same, one command for the run.  Else a restart empties tables of its
  /// own pull alone: the number of a run, which is that of its first pull, stands for all of them.
  [[nodiscard]] std::vector<std::string> next_commands(const RunView &run) const {
    std::map<std::string, std::vector<const PullView *>> open; // by the words for the run
    for (const PullView &pull : run.pulls)
      if (!next_words_of(pull).empty())
        open[next_words(pull, state_of_run(pull), run.id)].push_back(&pull);
    std::vector<std::string> alone; // first: a command for the run succeeds when all is loaded
    std::vector<std::string> shared;
    for (const auto &[words, pulls] : open) {
      const PullView &first = *pulls.front();
      const bool empties = need_of(first) == PullNeed::kChoice && !has_key_ranges(first);
      if (pulls.size() == 1 && (first.id != run.id || open.size() == 1))
        (empties ? alone : shared).push_back(first.next_command);
      else if (!empties || open.size() == 1)
        shared.push_back(frame_.command(words));
      else
        for (const PullView *const pull : pulls)
          if (pull->id != run.id)
            alone.push_back(pull->next_command);
    }
    alone.insert(alone.end(), shared.begin(), shared.end());
    return alone;
  }

  CommandFrame &frame_;
  const Options &options_;
  const Terminal &terminal_;
  bool is_superuser_ = false; // who need not give a password
  std::string id_;            // of what is shown; empty: all runs
  std::vector<RunView> runs_;
  // Of a watch:
  RunRates rates_;
  std::optional<WallTime> looked_at_;
  std::map<int64_t, WallTime> begun_;  // when a pull began to move
  Others others_;                      // as it was at the last look at all
  std::map<int64_t, RunState> states_; // by run, likewise
};

} // namespace

ExitStatus show_status(const Options &options, const Terminal &terminal,
                       const Interrupt &interrupt) {
  CommandFrame frame(options, terminal, interrupt);
  return Status(frame, options, terminal).run();
}

} // namespace parallel_loader
