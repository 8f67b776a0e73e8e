#include "orchestrator/report/json_document.hpp"

namespace parallel_loader {

JsonDocument::JsonDocument(const Json &object) {
  for (const auto &[key, value] : object.items())
    add(key, value);
}

void JsonDocument::add(std::string_view key, const Json &value) {
  add_key(key);
  append(value);
}

void JsonDocument::add_key(std::string_view key) {
  if (text_.size() > 1)
    text_ += ',';
  append(Json(key));
  text_ += ':';
}

} // namespace parallel_loader
