// run_display_test: what a live screen leaves on a terminal.
#include "orchestrator/base/text.hpp"
#include "orchestrator/base/utf8.hpp"
#include "orchestrator/display/run_display.hpp"
#include "tests/cli/golden.hpp"
#include "tests/cli/sample_run.hpp"

#include <algorithm>
#include <charconv>

namespace parallel_loader {
namespace {

using namespace sample;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A terminal that knows the few sequences that are used, and wraps lines that are too long.
class FakeTerminal {
public:
  size_t width = 80;
  size_t height = 24;
  std::string written;
  std::chrono::steady_clock::time_point now;

  Screen screen() {
    return {.write =
                [this](std::string_view text) {
                  written += text;
                  take(text);
                },
            .width = [this] { return width; },
            .height = [this] { return height; },
            .now = [this] { return now; },
            .date = [] { return at(0); }};
  }

  /// As terminals do that rearrange long lines.
  void narrow(size_t columns) {
    width = columns;
    std::vector<std::string> wrapped;
    for (std::string_view line : lines_)
      do {
        std::string part;
        while (!line.empty() && text_width(part) < width)
          part += take_char(line).bytes;
        wrapped.push_back(part);
      } while (!line.empty());
    row_ = wrapped.size() - 1;
    lines_ = std::move(wrapped);
  }

  [[nodiscard]] bool is_on_empty_line() const { return lines_[row_].empty(); }
  [[nodiscard]] std::string text() const {
    std::string result;
    for (const std::string &line : lines_)
      result += line + "\n";
    return result;
  }

private:
  void take(std::string_view text) {
    while (!text.empty()) {
      const std::string_view rest = text;
      const Utf8Char character = take_char(text);
      if (character.code == '\n')
        next_line();
      else if (character.code == '\r')
        column_ = 0;
      else if (character.code == '\033')
        text = rest.substr(sequence(rest));
      else
        put(character);
    }
  }

  void next_line() {
    column_ = 0;
    if (++row_ == lines_.size())
      lines_.emplace_back();
  }

  // Lines are only ever written from their start.
  void put(const Utf8Char &character) {
    if (column_ == 0)
      lines_[row_].clear();
    EXPECT_LT(column_, width);
    column_ += char_width(character);
    lines_[row_] += character.bytes;
  }

  size_t sequence(std::string_view text) {
    const size_t end = text.find_first_of("AJKm");
    int count = 0;
    std::from_chars(text.data() + 2, text.data() + end, count);
    if (text[end] == 'A') {
      EXPECT_LT(static_cast<size_t>(count), height);
      row_ -= std::min(row_, static_cast<size_t>(count));
    } else if (text[end] == 'J') {
      EXPECT_EQ(column_, 0U);
      lines_.resize(row_ + 1);
      lines_[row_].clear();
    }
    return end + 1;
  }

  std::vector<std::string> lines_{""};
  size_t row_ = 0;
  size_t column_ = 0;
};

TEST(RunDisplay, leaves_one_screen_and_the_cursor_below_it) {
  FakeTerminal terminal;
  RunView run = half_way();
  RunDisplay display(DisplayMode::kLive, {}, seconds(30), terminal.screen());
  display.begin(run);
  terminal.now += milliseconds(100);
  display.update(run);
  EXPECT_TRUE(terminal.is_on_empty_line());
  std::string expected = run_header(run, {}) + "\n";
  for (const std::string &line : run_screen(run, {}))
    expected += line + "\n";
  EXPECT_EQ(terminal.text(), expected + "\n");
}

TEST(RunDisplay, shrinks_to_the_total_at_the_end) {
  FakeTerminal terminal;
  RunDisplay display(DisplayMode::kLive, {}, seconds(30), terminal.screen());
  display.begin(half_way());
  display.end(at_the_end());
  EXPECT_TRUE(terminal.is_on_empty_line());
  EXPECT_EQ(terminal.text(),
            run_header(half_way(), {}) + "\n" + run_screen(at_the_end(), {}).back() + "\n\n");
}

TEST(RunDisplay, messages_stay_above_the_screen) {
  FakeTerminal terminal;
  const RunView run = half_way();
  RunDisplay display(DisplayMode::kLive, {}, seconds(30), terminal.screen());
  display.begin(run);
  display.say("parallel-loader: warning: something\nparallel-loader: hint: do something\n");
  terminal.now += seconds(1);
  display.update(run);
  expect_golden("run_display_message.txt", terminal.text());
}

TEST(RunDisplay, a_narrower_window_leaves_nothing_of_the_old_screen) {
  FakeTerminal terminal;
  const RunView run = half_way();
  RunDisplay display(DisplayMode::kLive, {}, seconds(30), terminal.screen());
  display.begin(run);
  terminal.narrow(50);
  terminal.now += seconds(1);
  display.update(run);
  expect_golden("run_display_narrowed.txt", terminal.text());
}

TEST(RunDisplay, a_live_screen_is_drawn_ten_times_a_second_at_most) {
  FakeTerminal terminal;
  RunDisplay display(DisplayMode::kLive, {}, seconds(30), terminal.screen());
  display.begin(half_way());
  const size_t before = terminal.written.size();
  terminal.now += milliseconds(99);
  display.update(half_way());
  EXPECT_EQ(terminal.written.size(), before);
}

TEST(RunDisplay, a_pipe_gets_a_line_for_what_is_over_at_once) {
  FakeTerminal terminal;
  terminal.width = 10'000;
  RunDisplay display(DisplayMode::kLog, {}, seconds(30), terminal.screen());
  display.begin(half_way());
  terminal.written.clear();
  RunView run = half_way();
  run.pulls[0] = at_the_end().pulls[0];
  run.pulls[9] = loaded(21, "public.small_21", 10, 1000, 179'500, 180'000); // took a moment only
  display.update(run);
  display.update(run);
  EXPECT_EQ(terminal.written.find("small_21"), std::string::npos);
  EXPECT_NE(terminal.written.find("sales.orders  done  412 004 118 rows"), std::string::npos);
  EXPECT_EQ(terminal.written.find('\033'), std::string::npos);
}

TEST(RunDisplay, json_lines_come_once_a_second) {
  FakeTerminal terminal;
  terminal.width = 10'000; // a pipe
  RunDisplay display(DisplayMode::kJson, {}, seconds(30), terminal.screen());
  display.begin(half_way());
  terminal.now += milliseconds(999);
  display.update(half_way());
  terminal.now += milliseconds(1);
  display.update(half_way());
  EXPECT_EQ(std::ranges::count(terminal.written, '\n'), 2);
}

TEST(RunDisplay, is_silent_when_it_is_off) {
  FakeTerminal terminal;
  RunDisplay display(DisplayMode::kOff, {}, seconds(30), terminal.screen());
  display.begin(half_way());
  display.end(at_the_end());
  EXPECT_EQ(terminal.written, "");
  display.say("a message\n");
  EXPECT_EQ(terminal.written, "a message\n");
}

} // namespace
} // namespace parallel_loader
