// value_type: how values of options are written, read and refused.
#pragma once

#include "orchestrator/cli/options.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parallel_loader {

template <class T> struct ValueType {
  std::string name;                                       // what stands for the value in the help
  std::string hint;                                       // what to give in place of a wrong one
  std::function<std::optional<T>(std::string_view)> read; // nullopt: it is wrong
};

[[nodiscard]] ValueType<std::string> text_type(std::string name);
[[nodiscard]] ValueType<int> number_type(int least, int most);
/// `64MB`; kept as it is written.
[[nodiscard]] ValueType<std::string> size_type();
/// `50MB`, a second; in kB.  `0` is no limit.
[[nodiscard]] ValueType<int> rate_type();
/// `30`, `30s`, `5min`, `1h`; from a second to a day.
[[nodiscard]] ValueType<std::chrono::seconds> duration_type();
/// `id, "Odd Name"`.
[[nodiscard]] ValueType<std::vector<std::string>> columns_type();

/// One of a few words.
template <class T>
[[nodiscard]] ValueType<T> choice_type(std::vector<std::pair<std::string, T>> choices) {
  std::string name;
  std::string hint = "Give ";
  for (size_t index = 0; index < choices.size(); ++index) {
    name += (index == 0 ? "" : "|") + choices[index].first;
    hint += (index == 0 ? "" : index + 1 == choices.size() ? " or " : ", ") + choices[index].first;
  }
  return {name, hint + '.', [choices = std::move(choices)](std::string_view text) {
            for (const auto &[word, value] : choices)
              if (word == text)
                return std::optional<T>(value);
            return std::optional<T>();
          }};
}

} // namespace parallel_loader
