// broken: breaks both rules of calls.query, and once keeps each; never built.
#include "extension/bridge/boundary.hpp"

#include <string>

extern "C" {
#include "utils/builtins.h"
}

namespace parallel_loader {

char *server_call_over_a_cpp_frame(const std::string &name) {
  return pstrdup(name.c_str()); // breach
}

char *server_call_in_a_lambda_that_is_no_call(const std::string &name) {
  const auto copy = [&] { return pstrdup(name.c_str()); }; // breach
  return copy();
}

char *quiet_function_that_raises(const char *name) noexcept {
  return pstrdup(name); // breach
}

char *server_call_inside_call(const std::string &name) {
  return call([&]() noexcept { return pstrdup(name.c_str()); });
}

extern "C" char *called_by_the_server(const char *name) {
  return pstrdup(name);
}

} // namespace parallel_loader
