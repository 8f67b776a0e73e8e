#include "orchestrator/report/html_report.hpp"

#include "orchestrator/base/text.hpp"
#include "orchestrator/base/version.hpp"
#include "orchestrator/report/chunk_chart.hpp"
#include "orchestrator/report/html_sections.hpp"
#include "orchestrator/report/html_style.hpp"
#include "orchestrator/report/html_text.hpp"
#include "orchestrator/report/throughput_chart.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

namespace parallel_loader {

namespace {

int64_t differing_count(const RunView &run) {
  return std::ranges::count_if(
      run.pulls, [](const PullView &pull) { return pull.verify && !pull.verify->matches; });
}

/// What a reader wants to know first.
std::string verdict(const RunView &run) {
  const RunTotals totals = totals_of(run);
  const int64_t differing = differing_count(run);
  std::string text;
  if (run.pulls.empty())
    return "Nothing was loaded";
  if (totals.done == totals.tables)
    text = format_number_of(totals.tables, "table") + " loaded";
  else
    text = fmt::format("{} of {} loaded", format_count(totals.done),
                       format_number_of(totals.tables, "table"));
  if (totals.failed > 0)
    text += fmt::format(", {} failed", format_count(totals.failed));
  if (differing > 0)
    text += fmt::format(", {} {} from the source", format_count(differing),
                        differing == 1 ? "differs" : "differ");
  return text;
}

bool is_well(const RunView &run) {
  return !run.pulls.empty() && state_of(run) == PullState::kDone && differing_count(run) == 0;
}

/// `shop on old.example:5432`, where the address can be read, which says more than that.
std::string place(const ServerView &server) {
  if (server.address.empty())
    return "unknown";
  std::map<std::string_view, std::string> values;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(server.address.c_str(), nullptr), PQconninfoFree);
  for (const PQconninfoOption *option = options.get();
       option != nullptr && option->keyword != nullptr; ++option)
    if (option->val != nullptr)
      values[option->keyword] = option->val;
  if (!values.contains("host") || !values.contains("dbname"))
    return server.address;
  return values["dbname"] + " on " + values["host"] +
         (values.contains("port") ? ":" + values["port"] : "");
}

std::string date_text(const std::optional<WallTime> &time) {
  return time ? fmt::format("{:%Y-%m-%d %H:%M} UTC",
                            fmt::gmtime(std::chrono::system_clock::to_time_t(*time)))
              : "";
}

std::string figure(std::string_view name, const std::string &value, const std::string &below) {
  return fmt::format("<div><dt>{}</dt><dd>{}{}</dd></div>\n", name, value,
                     below.empty() ? "" : "<small>" + below + "</small>");
}

std::string figures(const RunView &run) {
  const RunTotals totals = totals_of(run);
  return "<dl class=\"figures\">\n" +
         figure("Rows", html_count(totals.rows),
                html_count(std::llround(per_second(totals.moved_rows, run.elapsed))) +
                    " a second") +
         figure("Size", format_size(totals.bytes),
                format_rate(per_second(totals.moved_bytes, run.elapsed)) + " on average") +
         figure("Time", format_duration(run.elapsed), date_text(run.started)) +
         figure("Tables", html_count(totals.done),
                totals.done == totals.tables ? "all of them" : "of " + html_count(totals.tables)) +
         figure("Chunks", html_count(totals.chunks_done),
                totals.chunks == totals.chunks_done ? "all of them"
                                                    : "of " + html_count(totals.chunks)) +
         figure("Retries", html_count(totals.retries), format_number_of(run.sessions, "session")) +
         "</dl>\n";
}

std::string header(const RunView &run) {
  return fmt::format(
      "<header><p class=\"over\">parallel-loader {}{}</p>\n<h1 class=\"{}\">{}</h1>\n"
      "<p class=\"way\"><b>{}</b> → <b>{}</b></p>\n{}</header>\n",
      html_text(run.command), run.id.empty() ? "" : " · run " + html_text(run.id),
      is_well(run) ? "good" : "bad", verdict(run), html_text(printable(place(run.source))),
      html_text(printable(place(run.destination))), figures(run));
}

std::string drawing_section(std::string_view title, const std::string &drawing) {
  return drawing.empty() ? "" : fmt::format("<section><h2>{}</h2>\n{}</section>\n", title, drawing);
}

std::string warning_section(const RunView &run) {
  std::string text;
  for (const std::string &warning : run.warnings)
    text += fmt::format("<li>{}</li>\n", html_text(warning));
  for (const PullView &pull : run.pulls)
    if (!pull.warning.empty())
      text += fmt::format("<li>{}: {}</li>\n", html_label(pull), html_text(pull.warning));
  return text.empty() ? "" : "<section><h2>Warnings</h2>\n<ul>\n" + text + "</ul></section>\n";
}

} // namespace

std::string html_report(const RunView &run) {
  // Whatever a name holds, the page loads and runs nothing.
  return fmt::format(
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
             "'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, "
             "initial-scale=1\">\n<title>{} – parallel-loader</title>\n<style>{}</style>\n</head>\n"
             "<body><main>\n",
             verdict(run), kReportStyle) +
         header(run) + failure_section(run) + warning_section(run) +
         drawing_section("Throughput", throughput_chart(run)) +
         drawing_section("Chunks by worker", chunk_chart(run)) + slowest_section(run) +
         table_section(run) + retry_section(run) + verify_section(run) + setting_section(run) +
         fmt::format("<footer>Written by parallel-loader {}.</footer>\n</main></body>\n</html>\n",
                     program_version());
}

} // namespace parallel_loader
