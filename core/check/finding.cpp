#include "core/check/finding.hpp"

#include <algorithm>

namespace parallel_loader {

std::string_view level_name(FindingLevel level) noexcept {
  switch (level) {
  case FindingLevel::kError:
    return "error";
  case FindingLevel::kWarning:
    return "warning";
  case FindingLevel::kInfo:
    return "info";
  }
  return {};
}

void Findings::add(Finding finding) {
  const auto same = std::ranges::find(findings_, finding.message, &Finding::message);
  if (same == findings_.end())
    findings_.push_back(std::move(finding));
  else if (same->hint.empty())
    same->hint = std::move(finding.hint);
}

void Findings::error(std::string_view item, std::string message, std::string hint) {
  add({FindingLevel::kError, std::string(item), std::move(message), std::move(hint)});
}

void Findings::warning(std::string_view item, std::string message, std::string hint) {
  add({FindingLevel::kWarning, std::string(item), std::move(message), std::move(hint)});
}

void Findings::info(std::string_view item, std::string message, std::string hint) {
  add({FindingLevel::kInfo, std::string(item), std::move(message), std::move(hint)});
}

void Findings::error(std::string_view item, const Error &error, std::string_view hint) {
  this->error(item, error.message(), error.hint().empty() ? std::string(hint) : error.hint());
}

std::vector<Finding> Findings::sorted() const {
  std::vector<Finding> sorted = findings_;
  std::ranges::stable_sort(sorted, {}, &Finding::level);
  return sorted;
}

} // namespace parallel_loader
