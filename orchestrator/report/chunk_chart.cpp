#include "orchestrator/report/chunk_chart.hpp"

#include "orchestrator/base/text.hpp"
#include "orchestrator/report/chart_scale.hpp"
#include "orchestrator/report/html_text.hpp"
#include "orchestrator/run/run_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace parallel_loader {

namespace {

using std::chrono::milliseconds;

constexpr size_t kColors = 6; // of the tables that took most; the others share one more
constexpr size_t kMostRows = 64;

/// A chunk; where there are too many, some that follow each other.
struct Bar {
  const PullView *pull = nullptr; // nullptr: chunks of several tables
  milliseconds from{0};
  milliseconds to{0};
  milliseconds busy{0}; // of several chunks, without the time between them
  int chunks = 1;
  int number = 0;
  int64_t bytes = 0;
  int retries = 0;
};

/// One worker's.
struct Row {
  std::vector<Bar> bars;
  milliseconds busy{0};
};

class Chart {
public:
  explicit Chart(const RunView &run) : run_(run) {
    find_span();
    collect();
    merge_narrow();
    choose_colors();
  }

  [[nodiscard]] std::string html() const;

private:
  using Colors = std::map<const PullView *, size_t>;

  void find_span();
  void collect();
  void choose_colors();
  void merge_narrow();
  [[nodiscard]] size_t color_of(const PullView *pull) const {
    const auto found = colors_.find(pull);
    return found == colors_.end() ? kColors : found->second;
  }
  [[nodiscard]] std::string bar(const Bar &bar, size_t row) const;
  [[nodiscard]] std::string legend() const;
  [[nodiscard]] std::string labels() const;
  [[nodiscard]] milliseconds end_of(const ChunkView &chunk) const;

  const RunView &run_;
  WallTime begin_ = WallTime::max();
  milliseconds length_{0};
  std::vector<Row> rows_;
  size_t hidden_rows_ = 0;
  Colors colors_;
  std::vector<const PullView *> named_; // by their color
  bool is_merged_ = false;
};

bool is_known(const ChunkView &chunk) {
  return chunk.started && chunk.copied_by != 0 &&
         (chunk.finished || chunk.state == PullState::kRunning);
}

void Chart::find_span() {
  WallTime end = WallTime::min();
  for (const PullView &pull : run_.pulls)
    for (const ChunkView &chunk : pull.chunk_list)
      if (is_known(chunk)) {
        begin_ = std::min(begin_, *chunk.started);
        end = std::max(end, chunk.finished.value_or(*chunk.started));
      }
  if (begin_ == WallTime::max())
    return;
  // As in the other drawing: from the start of the run, if that is no other clock's.
  if (run_.started && *run_.started < begin_)
    begin_ = *run_.started;
  length_ = std::max(std::chrono::duration_cast<milliseconds>(end - begin_), run_.elapsed);
}

milliseconds Chart::end_of(const ChunkView &chunk) const {
  return chunk.finished ? std::chrono::duration_cast<milliseconds>(*chunk.finished - begin_)
                        : length_;
}

void Chart::collect() {
  std::map<int64_t, Row> by_worker;
  for (const PullView &pull : run_.pulls)
    for (const ChunkView &chunk : pull.chunk_list) {
      if (!is_known(chunk))
        continue;
      const auto from = std::chrono::duration_cast<milliseconds>(*chunk.started - begin_);
      const milliseconds to = std::max(from, end_of(chunk));
      Row &row = by_worker[chunk.copied_by];
      row.busy += to - from;
      row.bars.push_back({.pull = &pull,
                          .from = from,
                          .to = to,
                          .busy = to - from,
                          .number = chunk.number,
                          .bytes = chunk.bytes,
                          .retries = std::max(0, chunk.attempts - 1)});
    }
  for (auto &[worker, row] : by_worker) {
    std::ranges::stable_sort(row.bars, {}, &Bar::from);
    rows_.push_back(std::move(row));
  }
  std::ranges::stable_sort(rows_, {}, [](const Row &row) { return row.bars.front().from; });
  if (rows_.size() > kMostRows) {
    hidden_rows_ = rows_.size() - kMostRows;
    rows_.resize(kMostRows);
  }
}

void Chart::choose_colors() {
  std::map<const PullView *, milliseconds> busy;
  for (const Row &row : rows_)
    for (const Bar &each : row.bars)
      if (each.pull != nullptr)
        busy[each.pull] += each.busy;
  for (const PullView &pull : run_.pulls)
    if (busy.contains(&pull))
      named_.push_back(&pull);
  std::ranges::stable_sort(named_, std::ranges::greater(),
                           [&busy](const PullView *pull) { return busy[pull]; });
  for (size_t index = 0; index < std::min(kColors, named_.size()); ++index)
    colors_[named_[index]] = index;
}

/// A page of some MB is not to have more bars than anybody can see.
void Chart::merge_narrow() {
  constexpr size_t kMost = 3000;
  size_t count = 0;
  for (const Row &row : rows_)
    count += row.bars.size();
  if (count <= kMost)
    return;
  const milliseconds least =
      length_ * static_cast<int64_t>(rows_.size()) / static_cast<int64_t>(kMost);
  is_merged_ = true;
  for (Row &row : rows_) {
    std::vector<Bar> bars;
    for (const Bar &each : row.bars) {
      Bar *last = bars.empty() ? nullptr : &bars.back();
      if (last == nullptr || each.from - last->to > least || last->to - last->from >= least) {
        bars.push_back(each);
        continue;
      }
      last->pull = last->pull == each.pull ? each.pull : nullptr;
      last->to = std::max(last->to, each.to);
      last->busy += each.busy;
      last->chunks += each.chunks;
      last->bytes += each.bytes;
      last->retries += each.retries;
    }
    row.bars = std::move(bars);
  }
}

std::string Chart::bar(const Bar &bar, size_t row) const {
  const auto x = [this](milliseconds at) {
    return kChartWidth * static_cast<double>(at.count()) / static_cast<double>(length_.count());
  };
  // Some space to the next one, as far as there is any.
  const double width = std::max(0.4, x(bar.to) - x(bar.from) - 0.6);
  // What is drawn as one is as pale as its worker was idle.
  const double density = std::min(1.0, per_second(bar.busy.count(), bar.to - bar.from) / 1000);
  const std::string opacity =
      bar.chunks == 1 || density > 0.95
          ? ""
          : fmt::format(" fill-opacity=\"{:.2f}\"", std::max(0.15, density));
  const std::string what =
      bar.pull == nullptr ? "several tables" : html_text(printable(label_of(*bar.pull)));
  const std::string which =
      bar.chunks == 1 ? fmt::format("chunk {}", bar.number) : format_number_of(bar.chunks, "chunk");
  return fmt::format(
      "<rect class=\"c{}{}\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" "
      "height=\"14\"{}><title>{}, {}: {} in {}{}</title></rect>",
      color_of(bar.pull), bar.retries > 0 ? " again" : "", x(bar.from), row * 18 + 2, width,
      opacity, what, which, format_size(bar.bytes), format_duration(bar.to - bar.from),
      bar.retries == 0 ? ""
                       : ", " + (bar.retries == 1 ? std::string("1 retry")
                                                  : fmt::format("{} retries", bar.retries)));
}

std::string Chart::legend() const {
  std::string text;
  for (size_t index = 0; index < std::min(kColors, named_.size()); ++index)
    text += fmt::format("<span class=\"key c{}\">{}</span> ", index, html_label(*named_[index]));
  if (named_.size() > kColors || is_merged_)
    text += fmt::format("<span class=\"key c{}\">{}</span> ", kColors,
                        named_.empty() ? "several tables" : "others");
  if (is_merged_)
    text += "<span>the paler, the more idle</span> ";
  const bool has_retries = std::ranges::any_of(rows_, [](const Row &row) {
    return std::ranges::any_of(row.bars, [](const Bar &each) { return each.retries > 0; });
  });
  if (has_retries)
    text += "<span class=\"key again\">after retries</span>";
  return text;
}

std::string Chart::labels() const {
  std::string text = "<div class=\"rows\" aria-hidden=\"true\">";
  for (size_t index = 0; index < rows_.size(); ++index)
    text += fmt::format(
        "<span>{}<i> {}&#8239;%</i></span>", index + 1,
        percent_of(std::min(1.0, per_second(rows_[index].busy.count(), length_) / 1000)));
  return text + "</div>";
}

std::string Chart::html() const {
  if (rows_.empty() || length_.count() <= 0)
    return "";
  const size_t height = rows_.size() * 18;
  std::string drawing;
  const std::vector<Tick> ticks = time_ticks(length_, 8);
  for (const Tick &tick : ticks)
    drawing +=
        fmt::format("<path class=\"grid\" d=\"M{:.1f},0V{}\"/>", kChartWidth * tick.share, height);
  size_t bars = 0;
  for (size_t row = 0; row < rows_.size(); ++row)
    for (const Bar &each : rows_[row].bars) {
      drawing += bar(each, row);
      ++bars;
    }
  std::string axis = "<div class=\"x\" aria-hidden=\"true\">";
  for (const Tick &tick : ticks)
    axis += fmt::format("<span style=\"left:{:.2f}%\">{}</span>", tick.share * 100, tick.label);
  return fmt::format(
      "<figure><figcaption>{}</figcaption><div class=\"plot\">"
      "<div class=\"unit\">worker, busy</div>{}"
      "<svg class=\"bars\" style=\"height:{}px\" viewBox=\"0 0 {} {}\" "
      "preserveAspectRatio=\"none\" role=\"img\" "
      "aria-labelledby=\"chunks-title chunks-desc\"><title id=\"chunks-title\">Chunks by "
      "worker</title>"
      "<desc id=\"chunks-desc\">{} bars of {} over {}</desc>{}</svg>{}</div></div>{}</figure>\n",
      legend(), labels(), height, kChartWidth, height, bars,
      format_number_of(static_cast<int64_t>(rows_.size()), "worker"), format_duration(length_),
      drawing, axis,
      hidden_rows_ == 0
          ? ""
          : fmt::format("<p class=\"note\">{} more.</p>",
                        format_number_of(static_cast<int64_t>(hidden_rows_), "worker")));
}

} // namespace

std::string chunk_chart(const RunView &run) {
  return Chart(run).html();
}

} // namespace parallel_loader
