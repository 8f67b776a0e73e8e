#include "core/connection/kept_plans.hpp"

#include "core/base/quote.hpp"

#include <chrono>

namespace parallel_loader {
namespace {

constexpr int kTimesBefore = 3;   // what one pull repeats is not worth it
constexpr size_t kMostPlans = 64; // more than there are statements

} // namespace

std::string KeptPlan::prepare(std::string_view sql) const {
  return "PREPARE " + name_ + " AS " + std::string(sql);
}

std::string KeptPlan::execute(std::span<const Param> params) const {
  std::string list;
  for (const Param &param : params)
    list += (list.empty() ? "" : ", ") + (param ? quote_literal(*param) : "NULL");
  return "EXECUTE " + name_ + "(" + list + ")";
}

std::string KeptPlan::deallocate() const {
  return "DEALLOCATE " + name_;
}

KeptPlans::KeptPlans()
    : prefix_("parallel_loader_" +
              std::to_string(std::chrono::system_clock::now().time_since_epoch().count()) + "_") {}

KeptPlan *KeptPlans::find(std::string_view sql) {
  auto place = plans_.find(sql);
  if (place == plans_.end()) {
    if (plans_.size() == kMostPlans)
      return nullptr;
    const std::string name = prefix_ + std::to_string(plans_.size());
    place = plans_.emplace(std::string(sql), KeptPlan(name)).first;
  }
  KeptPlan &plan = place->second;
  return plan.times++ < kTimesBefore ? nullptr : &plan;
}

std::vector<std::string> KeptPlans::deallocations() const {
  std::vector<std::string> statements;
  for (const auto &[sql, plan] : plans_)
    if (plan.is_made)
      statements.push_back(plan.deallocate());
  return statements;
}

} // namespace parallel_loader
