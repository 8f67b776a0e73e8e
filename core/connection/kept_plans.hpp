// kept_plans: statements that a session runs again and again, which its server plans once.
#pragma once

#include "core/connection/executor.hpp"

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// A statement that the server has under a name: by PREPARE and EXECUTE, which a pooler passes on
/// as any other statement.  Its parameters become literals, so their types are to be clear from the
/// statement: `$1::bigint`.
class KeptPlan {
public:
  explicit KeptPlan(std::string name) : name_(std::move(name)) {}

  [[nodiscard]] std::string prepare(std::string_view sql) const;
  [[nodiscard]] std::string execute(std::span<const Param> params) const;
  [[nodiscard]] std::string deallocate() const;

  bool is_made = false;
  int times = 0; // that the statement has come
private:
  std::string name_;
};

/// Those of one session, by their statements.
class KeptPlans {
public:
  KeptPlans();

  /// The plan of the statement, when it has come so often that a plan pays for its preparation, a
  /// message to the server and back; else nullptr.
  [[nodiscard]] KeptPlan *find(std::string_view sql);

  /// The statements that take away what has been made.
  [[nodiscard]] std::vector<std::string> deallocations() const;

private:
  std::string prefix_; // of names: a pooler's session may have others' plans
  std::map<std::string, KeptPlan, std::less<>> plans_;
};

} // namespace parallel_loader
