#include "orchestrator/report/html_sections.hpp"

#include "orchestrator/base/condition.hpp"
#include "orchestrator/base/text.hpp"
#include "orchestrator/base/version.hpp"
#include "orchestrator/report/html_text.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <vector>

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;

std::string section(std::string_view title, const std::string &body) {
  return body.empty() ? "" : fmt::format("<section><h2>{}</h2>\n{}</section>\n", title, body);
}

std::string note(const std::string &text) {
  return fmt::format("<p class=\"note\">{}</p>\n", text);
}

std::string name_cell(const PullView &pull) {
  return fmt::format("<td class=\"name\">{}</td>", html_label(pull));
}

std::string number_cell(const std::string &number) {
  return fmt::format("<td class=\"n\">{}</td>", number);
}

std::string if_any(int64_t count) {
  return count == 0 ? "" : html_count(count);
}

std::string size_text(int64_t bytes) {
  std::string text = format_size(bytes);
  const size_t space = text.find(' ');
  return text.replace(space, 1, "\u00A0");
}

std::string rate_text(int64_t bytes, milliseconds time) {
  std::string text = format_rate(per_second(bytes, time));
  if (const size_t space = text.find(' '); space != std::string::npos)
    text.replace(space, 1, "\u00A0");
  return text == "-" ? "" : text;
}

/// `:` before a name: a column of numbers.
std::string html_table(std::initializer_list<std::string_view> columns, const std::string &rows,
                       const std::string &foot = "") {
  std::string text = "<div class=\"scroll\"><table><thead><tr>";
  for (const std::string_view column : columns)
    text += column.starts_with(':')
                ? fmt::format("<th scope=\"col\" class=\"n\">{}</th>", column.substr(1))
                : fmt::format("<th scope=\"col\">{}</th>", column);
  text += "</tr></thead><tbody>\n" + rows + "</tbody>";
  if (!foot.empty())
    text += "<tfoot>" + foot + "</tfoot>";
  return text + "</table></div>\n";
}

bool has_failed(const PullView &pull) {
  return pull.state != PullState::kDone && (pull.failure || pull.state == PullState::kFailed);
}

std::string state_cell(const PullView &pull) {
  std::string_view kind = "";
  std::string word;
  if (pull.state == PullState::kDone) {
    const bool differs = pull.verify && !pull.verify->matches;
    kind = differs ? " bad" : " good";
    word = differs ? "✗ differs" : pull.verify ? "✓ loaded, verified" : "✓ loaded";
  } else if (has_failed(pull) && !(pull.failure && pull.failure->sqlstate == "57014")) {
    kind = " bad";
    word = "✗ failed";
  } else {
    word = pull.state == PullState::kPlanned ? "– not begun"
                                             : "– " + std::string(state_name(pull.state));
  }
  return fmt::format("<td class=\"state{}\">{}</td>", kind, word);
}

std::string failure_card(const FailureView &failure, const std::string &title) {
  std::string text = "<div class=\"failure\">";
  if (!title.empty())
    text += fmt::format("<h3>{}</h3>", title);
  text += fmt::format("<p class=\"what\">{}</p><p>{}</p>",
                      html_text(condition_text(failure.sqlstate)), html_text(failure.message));
  for (const std::string *more : {&failure.detail, &failure.hint})
    if (!more->empty())
      text += fmt::format("<p class=\"more\">{}</p>", html_text(*more));
  if (!failure.command.empty())
    text += fmt::format("<code class=\"run\">{}</code>", html_text(failure.command));
  return text + "</div>\n";
}

} // namespace

std::string failure_section(const RunView &run) {
  constexpr int64_t kMost = 200;
  std::string text;
  int64_t count = 0;
  if (run.failure)
    text += failure_card(*run.failure, "");
  for (const PullView &pull : run.pulls)
    if (has_failed(pull) && ++count <= kMost)
      text +=
          failure_card(pull.failure.value_or(FailureView{.message = "the ledger has no reason"}),
                       html_label(pull));
  if (count > kMost)
    text += note(fmt::format("{} more tables are not loaded.", html_count(count - kMost)));
  return section("What failed, and how to continue", text);
}

namespace {

std::vector<const PullView *> by_time(const RunView &run) {
  std::vector<const PullView *> pulls;
  for (const PullView &pull : run.pulls)
    if (duration_of(pull, run).value_or(milliseconds(0)).count() > 0)
      pulls.push_back(&pull);
  std::ranges::stable_sort(pulls, std::ranges::greater(),
                           [&run](const PullView *pull) { return *duration_of(*pull, run); });
  return pulls;
}

} // namespace

std::string slowest_section(const RunView &run) {
  constexpr size_t kMost = 10;
  std::vector<const PullView *> pulls = by_time(run);
  if (pulls.size() < 2)
    return "";
  pulls.resize(std::min(kMost, pulls.size()));
  const auto longest = static_cast<double>(duration_of(*pulls.front(), run)->count());
  std::string rows;
  for (const PullView *pull : pulls) {
    const milliseconds time = *duration_of(*pull, run);
    rows += fmt::format(
        "<tr>{}<td class=\"bar\"><svg viewBox=\"0 0 1000 12\" preserveAspectRatio=\"none\" "
        "aria-hidden=\"true\"><rect width=\"{:.0f}\" height=\"12\"/></svg></td>{}{}</tr>\n",
        name_cell(*pull), std::max(2.0, 1000 * static_cast<double>(time.count()) / longest),
        number_cell(format_duration(time)), number_cell(rate_text(pull->bytes, time)));
  }
  return section(
      "Slowest tables",
      html_table({"Table", "<span hidden>Time beside the slowest</span>", ":Time", ":Rate"}, rows));
}

namespace {

std::string table_row(const PullView &pull, const RunView &run) {
  const std::optional<milliseconds> time = duration_of(pull, run);
  const auto known = [&pull](std::string text) { return pull.is_known ? std::move(text) : "?"; };
  return "<tr>" + name_cell(pull) + state_cell(pull) + number_cell(known(html_count(pull.rows))) +
         number_cell(known(size_text(pull.bytes))) +
         number_cell(time ? format_duration(*time) : "") +
         number_cell(time ? rate_text(pull.bytes, *time) : "") +
         number_cell(
             pull.chunks_done == pull.chunks
                 ? html_count(pull.chunks)
                 : fmt::format("{} / {}", html_count(pull.chunks_done), html_count(pull.chunks))) +
         number_cell(if_any(pull.retries)) + "</tr>\n";
}

std::string rest_row(const std::vector<const PullView *> &pulls, size_t from) {
  int64_t rows = 0;
  int64_t bytes = 0;
  int64_t chunks = 0;
  int64_t retries = 0;
  for (size_t index = from; index < pulls.size(); ++index) {
    rows += pulls[index]->rows;
    bytes += pulls[index]->bytes;
    chunks += pulls[index]->chunks_done;
    retries += pulls[index]->retries;
  }
  return fmt::format("<tr><td class=\"name\">{} smaller tables</td><td></td>",
                     html_count(static_cast<int64_t>(pulls.size() - from))) +
         number_cell(html_count(rows)) + number_cell(size_text(bytes)) + number_cell("") +
         number_cell("") + number_cell(html_count(chunks)) + number_cell(if_any(retries)) +
         "</tr>\n";
}

std::string total_row(const RunView &run) {
  const RunTotals totals = totals_of(run);
  return fmt::format("<tr><td>{}</td><td></td>", format_number_of(totals.tables, "table")) +
         number_cell(html_count(totals.rows)) + number_cell(size_text(totals.bytes)) +
         number_cell(format_duration(run.elapsed)) +
         number_cell(rate_text(totals.bytes, run.elapsed)) +
         number_cell(html_count(totals.chunks_done)) + number_cell(if_any(totals.retries)) +
         "</tr>";
}

} // namespace

std::string table_section(const RunView &run) {
  constexpr size_t kMost = 1000;
  if (run.pulls.empty())
    return "";
  std::vector<const PullView *> pulls;
  for (const PullView &pull : run.pulls)
    pulls.push_back(&pull);
  std::ranges::stable_sort(pulls, std::ranges::greater(),
                           [](const PullView *pull) { return pull->bytes; });
  std::string rows;
  const size_t shown = std::min(kMost, pulls.size());
  for (size_t index = 0; index < shown; ++index)
    rows += table_row(*pulls[index], run);
  if (shown < pulls.size())
    rows += rest_row(pulls, shown);
  return section("Tables", html_table({"Table", "State", ":Rows", ":Size", ":Time", ":Rate",
                                       ":Chunks", ":Retries"},
                                      rows, pulls.size() > 1 ? total_row(run) : ""));
}

namespace {

std::string wait_rows(const RunView &run) {
  constexpr size_t kMost = 100;
  std::vector<const WaitView *> waits;
  for (const WaitView &wait : run.waits)
    waits.push_back(&wait);
  std::ranges::stable_sort(waits, std::ranges::greater(),
                           [](const WaitView *wait) { return wait->lasted; });
  waits.resize(std::min(kMost, waits.size()));
  std::string text;
  for (const WaitView *wait : waits)
    text += fmt::format("<tr><td class=\"name\">{}</td><td class=\"text\">{}</td>",
                        html_name(wait->table), html_text(wait_words(wait->reason))) +
            number_cell(format_duration(wait->since)) + number_cell(format_duration(wait->lasted)) +
            "</tr>\n";
  return text;
}

std::string retry_rows(const RunView &run) {
  constexpr int kMost = 100;
  std::string text;
  int count = 0;
  for (const PullView &pull : run.pulls)
    for (const ChunkView &chunk : pull.chunk_list) {
      if (chunk.attempts < 2 || ++count > kMost)
        continue;
      text += "<tr>" + name_cell(pull) + number_cell(html_count(chunk.number)) +
              number_cell(html_count(chunk.attempts - 1)) +
              fmt::format("<td class=\"text\">{}</td></tr>\n",
                          html_text(chunk.error.empty() ? "not recorded" : chunk.error));
    }
  return text;
}

} // namespace

std::string retry_section(const RunView &run) {
  std::string text;
  if (const std::string rows = retry_rows(run); !rows.empty())
    text += html_table({"Chunks that were retried", ":Chunk", ":Retries", "Reason of the last one"},
                       rows);
  if (const std::string rows = wait_rows(run); !rows.empty())
    text += html_table({"Tables that waited", "Reason", ":After", ":For"}, rows);
  if (text.empty())
    text = totals_of(run).retries == 0
               ? "<p>No chunk was retried, and no table waited for longer than a moment.</p>\n"
               : fmt::format("<p>{} in all.</p>\n",
                             totals_of(run).retries == 1
                                 ? "1 retry"
                                 : fmt::format("{} retries", totals_of(run).retries));
  return section("Retries and waits", text);
}

std::string verify_section(const RunView &run) {
  constexpr int64_t kMost = 1000;
  std::string rows;
  int64_t equal = 0;
  int64_t compared = 0;
  const auto add = [&](const PullView &pull) {
    const VerifyView &verify = *pull.verify;
    equal += verify.matches ? 1 : 0;
    if (++compared > kMost)
      return;
    rows += "<tr>" + name_cell(pull) +
            (verify.matches ? "<td class=\"state good\">✓ equal</td>"
                            : "<td class=\"state bad\">✗ differs</td>") +
            number_cell(html_count(verify.source_rows)) +
            number_cell(html_count(verify.local_rows)) +
            number_cell(html_count(verify.range_count)) +
            number_cell(if_any(verify.differing_count)) + "</tr>\n";
  };
  // What differs comes first.
  for (const bool matches : {false, true})
    for (const PullView &pull : run.pulls)
      if (pull.verify && pull.verify->matches == matches)
        add(pull);
  if (compared == 0)
    return section("Verification", "<p>Source and destination were not compared (--verify).</p>\n");
  return section("Verification",
                 fmt::format("<p>{} of {} {} equal on source and destination.</p>\n",
                             html_count(equal), format_number_of(compared, "table"),
                             compared == 1 ? "is" : "are") +
                     html_table({"Table", "Result", ":Rows on source", ":Rows on destination",
                                 ":Ranges", ":Ranges that differ"},
                                rows));
}

std::string setting_section(const RunView &run) {
  std::string text = "<dl class=\"facts\">";
  const auto add = [&text](const std::string &name, const std::string &value) {
    if (!value.empty())
      text += fmt::format("<dt>{}</dt><dd>{}</dd>", html_text(name), html_text(value));
  };
  const auto server = [](const ServerView &view) {
    return view.version.empty() ? view.address
                                : fmt::format("PostgreSQL {}; {}", view.version, view.address);
  };
  add("parallel-loader", std::string(program_version()) + ", by " + run.via);
  add("Source", server(run.source));
  add("Destination", server(run.destination));
  add("Snapshot", run.has_several_snapshots
                      ? "several: the tables do not show one moment of the source"
                      : run.snapshot);
  add("Sessions", std::to_string(run.sessions));
  for (const auto &[name, value] : run.options)
    add(name, value);
  for (const SequenceView &sequence : run.sequences)
    add("Sequence " + printable(sequence.name),
        sequence.value ? format_count(*sequence.value) : "was not set");
  text += "</dl>\n";
  return section("Versions and settings", text);
}

} // namespace parallel_loader
