// json_bench: what jsonb costs when JsonTree reads it, and when simdjson does.
//
//   cmake -B build/bench -DCMAKE_BUILD_TYPE=Release -DJSON_BENCH=ON -DBUILD_TESTING=OFF
//   cmake --build build/bench --target json-bench && build/bench/json-bench
//
// The documents are those of column body of bench's table docs, as the server's send function
// writes them, and larger ones of such parts.  CPU time, medians of rounds that take turns; every
// jsonb is compared to the byte first.  The server builds with the distribution's flags, as this
// does; -DCMAKE_CXX_FLAGS=-march=native shows what this processor could do more.
#include "bench/json/simdjson_builder.hpp"
#include "core/base/error.hpp"
#include "core/tuple/jsonb_builder.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include <simdjson.h>

namespace parallel_loader {
namespace {

constexpr int kRounds = 15;
constexpr size_t kDocuments = 20000;

// SplitMix64, in place of the server's hashes.
uint64_t hash(uint64_t id) {
  uint64_t h = id + 0x9E3779B97F4A7C15;
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EB;
  return (h ^ (h >> 31)) >> 1;
}

template <class... Values> std::string print(const char *format, Values... values) {
  char text[256];
  const int size = std::snprintf(text, sizeof(text), format, values...);
  return {text, static_cast<size_t>(size)};
}

using Long = unsigned long long;

std::string document(uint64_t id) {
  const uint64_t h = hash(id);
  return print(R"({"name": "customer %016llx%016llx", "user": %llu, )", Long{h}, Long{hash(h)},
               Long{h % 100000}) +
         print(R"("items": [%llu, %llu, "item-%llu", null], )", Long{h % 17}, Long{h % 19},
               Long{h % 23}) +
         print(R"("score": %llu.%02llu00000000000000, "active": %s, )", Long{h % 10000 / 100},
               Long{h % 100}, h % 3 > 0 ? "true" : "false") +
         print(R"("address": {"zip": "%llu", "city": "city %llu"}})", Long{10000 + h % 89999},
               Long{h % 900});
}

// As the send function of jsonb has it: a version before the text.
std::vector<std::string> fields(size_t documents_each) {
  std::vector<std::string> fields;
  for (size_t i = 0; i < kDocuments / documents_each; ++i) {
    std::string text = document(i);
    if (documents_each > 1) {
      std::string array = "[";
      for (size_t part = 0; part < documents_each; ++part)
        array += (part == 0 ? "" : ", ") + document(i * documents_each + part);
      text = array + "]";
    }
    fields.push_back("\1" + text);
  }
  return fields;
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct Way {
  const char *name;
  std::function<size_t(std::string_view field)> run; // 0: failed
  std::vector<double> seconds = {};
};

void measure(std::vector<Way> &ways, const std::vector<std::string> &fields) {
  for (int round = 0; round < kRounds; ++round)
    for (Way &way : ways) {
      const double begin = cpu_seconds();
      for (const std::string &field : fields)
        if (way.run(field) == 0)
          throw Error("XX000", std::string(way.name) + " does not read " + field.substr(1));
      way.seconds.push_back(cpu_seconds() - begin);
    }
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void require_same_jsonb(const std::vector<std::string> &fields) {
  JsonbBuilder ours(TextEncoding::kUtf8);
  SimdjsonJsonb theirs;
  for (const std::string &field : fields)
    if (const std::string_view value = ours.build(field);
        value.empty() || value != theirs.build(field))
      throw Error("XX000", "another jsonb of " + field.substr(1));
}

void compare(const char *what, const std::vector<std::string> &fields) {
  require_same_jsonb(fields);
  JsonTree tree;
  JsonbBuilder ours(TextEncoding::kUtf8);
  SimdjsonJsonb theirs;
  simdjson::dom::parser dom;
  std::vector<Way> ways = {
      {"JsonTree, read",
       [&](std::string_view field) { return size_t{tree.read(field.substr(1))}; }},
      {"simdjson, read",
       [&](std::string_view field) { return size_t{theirs.read(field.substr(1))}; }},
      {"simdjson, read as DOM (doubles)",
       [&](std::string_view field) {
         return size_t{dom.parse(field.data() + 1, field.size() - 1).error() == simdjson::SUCCESS};
       }},
      {"JsonTree, jsonb", [&](std::string_view field) { return ours.build(field).size(); }},
      {"simdjson, jsonb", [&](std::string_view field) { return theirs.build(field).size(); }}};
  measure(ways, fields);
  size_t bytes = 0;
  for (const std::string &field : fields)
    bytes += field.size();
  std::printf("%s: %zu of %zu bytes on average, simdjson's %s\n", what, fields.size(),
              bytes / fields.size(), simdjson::get_active_implementation()->name().c_str());
  for (const Way &way : ways) {
    const double seconds = median(way.seconds);
    std::printf("  %-32s %8.0f ns each  %6.0f MB/s\n", way.name,
                seconds * 1e9 / static_cast<double>(fields.size()),
                static_cast<double>(bytes) / seconds / 1e6);
  }
}

} // namespace
} // namespace parallel_loader

int main() {
  try {
    parallel_loader::compare("docs", parallel_loader::fields(1));
    parallel_loader::compare("arrays of 50 docs", parallel_loader::fields(50));
  } catch (const parallel_loader::Error &error) {
    std::fprintf(stderr, "json-bench: error: %s\n", error.message().c_str());
    return 1;
  }
}
