// finding: what a check before a pull has to say.
#pragma once

#include "core/base/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

enum class FindingLevel {
  kError,   // the pull would fail, or fail on the first row that is concerned
  kWarning, // it would run, and perhaps not as the caller wants
  kInfo,
};

[[nodiscard]] std::string_view level_name(FindingLevel level) noexcept;

struct Finding {
  FindingLevel level = FindingLevel::kInfo;
  std::string item; // what it is about, such as "rights"
  std::string message;
  std::string hint; // or empty
};

/// Findings in the order of their levels, then in that of their coming.
class Findings {
public:
  /// The same message twice is one finding, with the hint of the first that has one.
  void add(Finding finding);
  void error(std::string_view item, std::string message, std::string hint = {});
  void warning(std::string_view item, std::string message, std::string hint = {});
  void info(std::string_view item, std::string message, std::string hint = {});
  /// An error as the pull would raise it; `hint` for one that has none.
  void error(std::string_view item, const Error &error, std::string_view hint = {});

  [[nodiscard]] std::vector<Finding> sorted() const;

private:
  std::vector<Finding> findings_;
};

} // namespace parallel_loader
