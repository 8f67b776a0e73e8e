#include "extension/bridge/request.hpp"

#include "core/base/error.hpp"
#include "core/base/secret.hpp"

#include <cstring>

namespace parallel_loader {

namespace {

// Begin the bytes of a request and of an address; another number when the fields change.
constexpr int64_t kOrderHeader = 0x504c4f7264303631;   // "PLOrd061"
constexpr int64_t kAddressHeader = 0x504c416464303430; // "PLAdd040"

// The last value of each enum; the first is 1.
constexpr RequestKind last_value(RequestKind /*unused*/) {
  return RequestKind::kLook;
}
constexpr RouteSetting last_value(RouteSetting /*unused*/) {
  return RouteSetting::kHeap;
}
constexpr PasswordRule last_value(PasswordRule /*unused*/) {
  return PasswordRule::kMustBeUsed;
}
constexpr PullKind last_value(PullKind /*unused*/) {
  return PullKind::kAppend;
}

// Writer and Reader share one list of fields (visit below), so they cannot disagree.
class Writer {
public:
  void field(const std::string &text) {
    field(static_cast<int64_t>(text.size()));
    append(text);
  }
  void field(const int64_t &number) {
    append({reinterpret_cast<const char *>(&number), sizeof(number)});
  }
  template <class Number>
  requires(std::is_integral_v<Number> || std::is_enum_v<Number>) void field(const Number &number) {
    field(static_cast<int64_t>(number));
  }
  template <class Value> void field(const std::optional<Value> &value) {
    field(static_cast<int64_t>(value.has_value()));
    if (value)
      field(*value);
  }
  void field(const std::vector<std::string> &texts) {
    field(static_cast<int64_t>(texts.size()));
    for (const std::string &text : texts)
      field(text);
  }
  void field(const ConnInfo &conninfo) {
    field(static_cast<int64_t>(conninfo.options().size()));
    for (const ConnOption &option : conninfo.options()) {
      field(option.keyword);
      field(option.value);
    }
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

private:
  // A string that grows by itself would leave copies of the password behind.
  void append(std::string_view bytes) {
    if (bytes_.capacity() - bytes_.size() < bytes.size()) {
      std::string larger;
      larger.reserve(2 * (bytes_.size() + bytes.size()));
      larger += bytes_;
      wipe(bytes_);
      bytes_ = std::move(larger);
    }
    bytes_ += bytes;
  }

  std::string bytes_;
};

class Reader {
public:
  Reader(std::string_view bytes, int64_t header) : bytes_(bytes) {
    int64_t found = 0;
    field(found);
    require(found == header);
  }

  void field(std::string &text) {
    int64_t size = 0;
    field(size);
    text = std::string(next(length(size)));
  }
  void field(int64_t &number) { std::memcpy(&number, next(sizeof(number)).data(), sizeof(number)); }
  template <class Number>
  requires std::is_integral_v<Number>
  void field(Number &number) {
    int64_t wide = 0;
    field(wide);
    number = static_cast<Number>(wide);
    require(static_cast<int64_t>(number) == wide);
  }
  template <class Enum>
  requires std::is_enum_v<Enum>
  void field(Enum &value) {
    int64_t wide = 0;
    field(wide);
    require(wide >= 1 && wide <= static_cast<int64_t>(last_value(Enum{})));
    value = static_cast<Enum>(wide);
  }
  template <class Value> void field(std::optional<Value> &value) {
    bool has_value = false;
    field(has_value);
    if (has_value)
      field(value.emplace());
  }
  void field(std::vector<std::string> &texts) {
    int64_t count = 0;
    field(count);
    texts.resize(length(count));
    for (std::string &text : texts)
      field(text);
  }
  void field(ConnInfo &conninfo) {
    int64_t count = 0;
    field(count);
    std::vector<ConnOption> options(length(count));
    for (ConnOption &option : options) {
      field(option.keyword);
      field(option.value);
    }
    conninfo = ConnInfo(std::move(options));
  }

  void end() const { require(bytes_.empty()); }

private:
  static void require(bool is_right) {
    if (!is_right)
      throw Error(sqlstate::kInternalError, "request in shared memory cannot be read");
  }

  // Of what takes at least a byte each.
  [[nodiscard]] size_t length(int64_t size) const {
    require(size >= 0 && static_cast<uint64_t>(size) <= bytes_.size());
    return static_cast<size_t>(size);
  }

  std::string_view next(size_t size) {
    require(size <= bytes_.size());
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }

  std::string_view bytes_;
};

template <class Archive, class Address> void visit_address(Archive &archive, Address &address) {
  archive.field(address.conninfo);
  archive.field(address.password_rule);
}

template <class Archive, class Snapshot> void visit_snapshot(Archive &archive, Snapshot &snapshot) {
  archive.field(snapshot.name);
  archive.field(snapshot.lock);
  archive.field(snapshot.state);
  archive.field(snapshot.place.host);
  archive.field(snapshot.place.hostaddr);
  archive.field(snapshot.place.port);
}

template <class Archive, class Pull> void visit_pull(Archive &archive, Pull &pull) {
  archive.field(pull.run_id);
  archive.field(pull.owner);
  archive.field(pull.table);
  archive.field(pull.source);
  archive.field(pull.source_table);
  archive.field(pull.key);
  archive.field(pull.start);
  archive.field(pull.end);
  archive.field(pull.columns);
  archive.field(pull.filter);
  archive.field(pull.format);
  archive.field(pull.workers);
  archive.field(pull.chunk_bytes);
  archive.field(pull.timezone);
  archive.field(pull.date_order);
  archive.field(pull.segment);
  archive.field(pull.kind);
  archive.field(pull.search_path);
  archive.field(pull.replication_role);
  archive.field(pull.coordinator);
  archive.field(pull.begins_run);
  archive.field(pull.tables_to_come);
  archive.field(pull.continued_run);
}

template <class Archive, class AnyRequest>
void visit_request(Archive &archive, AnyRequest &request) {
  archive.field(request.kind);
  visit_address(archive, request.source);
  visit_pull(archive, request.pull);
  archive.field(request.bound_type);
  visit_snapshot(archive, request.snapshot);
  archive.field(request.snapshot_hold_ms);
  archive.field(request.retry_budget_ms);
  archive.field(request.run_wait_ms);
  archive.field(request.route);
  archive.field(request.resume_id);
  archive.field(request.new_snapshot);
  archive.field(request.window);
}

} // namespace

std::string serialize_request(const Request &request) {
  Writer writer;
  writer.field(kOrderHeader);
  visit_request(writer, request);
  return writer.take();
}

Request parse_request(std::string_view bytes) {
  Reader reader(bytes, kOrderHeader);
  Request request;
  visit_request(reader, request);
  reader.end();
  return request;
}

std::string serialize_address(const SourceAddress &address) {
  Writer writer;
  writer.field(kAddressHeader);
  visit_address(writer, address);
  return writer.take();
}

SourceAddress parse_address(std::string_view bytes) {
  Reader reader(bytes, kAddressHeader);
  SourceAddress address;
  visit_address(reader, address);
  reader.end();
  return address;
}

} // namespace parallel_loader
