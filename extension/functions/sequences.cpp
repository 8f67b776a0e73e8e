// sequences: parallel_pull_sequences, the sequences of columns set to where the source's stand.
#include "core/base/list.hpp"
#include "core/source/sequence.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/caller_executor.hpp"
#include "extension/bridge/caller_source.hpp"
#include "extension/bridge/guarded_call.hpp"
#include "extension/bridge/source_address.hpp"
#include "extension/functions/pull_arguments.hpp"
#include "extension/server/base/notice.hpp"
#include "extension/server/sql/destination_table.hpp"
#include "extension/server/sql/result_set.hpp"
#include "extension/server/sql/row_values.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(parallel_pull_sequences);
}

namespace parallel_loader {

namespace {

/// A local sequence with its counterpart, and what becomes of it.
struct SequencePair {
  LocalSequence local;
  std::optional<SourceSequence> source = {};
  std::optional<int64_t> value = {}; // that it was set to
};

void say(const std::string &message, const std::string &detail, const std::string &hint) {
  call([&]() noexcept { notice(message.c_str(), detail.c_str(), hint.c_str()); });
}

void put(FunctionCallInfo fcinfo, uint32_t sequence, const std::optional<int64_t> &value) {
  call([&]() noexcept {
    RowValues row = {};
    row_values_add_oid(&row, sequence);
    if (value)
      row_values_add_bigint(&row, *value);
    else
      row_values_add_null(&row);
    result_set_put_nullable(fcinfo, row.values, row.nulls);
  });
}

std::vector<SequencePair> find_pairs(Executor &source,
                                     const std::vector<LocalSequence> &sequences) {
  std::vector<SequencePair> pairs;
  std::vector<SequenceOwner> owners;
  for (const LocalSequence &sequence : sequences) {
    if (sequence.owner) {
      pairs.push_back({.local = sequence});
      owners.push_back(*sequence.owner);
    }
  }
  const std::vector<std::optional<SourceSequence>> found = find_source_sequences(source, owners);
  for (size_t index = 0; index < pairs.size(); index++)
    pairs[index].source = found[index];
  return pairs;
}

void say_left(const SequencePair &pair, const std::string &reason, const std::string &hint) {
  say("sequence " + pair.local.name.cited() + " was not set", reason, hint);
}

// Who asks for one table's sequences gets an error for a right that is missing; who asks for all
// hears of each that is left out.
bool may_go_on(const SequencePair &pair, bool is_one_table) {
  const std::string reason = why_no_match(pair.local, pair.source);
  if (!reason.empty()) {
    say_left(pair, reason, "");
    return false;
  }
  if (!pair.local.may_set && !is_one_table) {
    say_left(pair, "The caller lacks the UPDATE privilege on it.",
             "Its owner can grant the privilege: " + grant_to_set(pair.local));
    return false;
  }
  if (!(pair.source->may_read && pair.source->may_use_schema) && !is_one_table) {
    say_left(pair,
             "The source's role cannot read sequence " + pair.source->name.cited() +
                 " of the source.",
             "Its owner on the source can grant the privilege: " + grant_to_read(*pair.source));
    return false;
  }
  return true;
}

// As setval tells it, but of all before one is set.
bool is_within_bounds(const SequencePair &pair, const SequenceState &state, bool is_one_table) {
  const std::string reason = why_out_of_bounds(pair.local, state);
  if (reason.empty() || is_one_table)
    return true;
  say_left(pair, reason,
           "Run " + alter_bounds(pair.local, state) + " and call parallel_pull_sequences again.");
  return false;
}

// Nothing says which sequence of the source one that no column owns belongs to: a name is no proof.
void report_unowned(FunctionCallInfo fcinfo, const std::vector<LocalSequence> &sequences) {
  std::string names;
  int count = 0;
  for (const LocalSequence &sequence : sequences) {
    if (!sequence.owner) {
      put(fcinfo, sequence.oid, std::nullopt);
      add_to_list(names, sequence.name.display());
      count++;
    }
  }
  if (count > 0)
    say("sequences that no column owns were not set: " + std::to_string(count),
        "They are: " + names + ".",
        "Set them with setval, or assign them to their columns with ALTER SEQUENCE … OWNED BY.");
}

Request read_sequence_order(FunctionCallInfo fcinfo) {
  const std::string src_dsn = read_source_argument(fcinfo);
  Request request;
  request.kind = RequestKind::kLook;
  read_session(request);
  request.pull.owner = call([]() noexcept { return GetUserId(); });
  request.source = resolve_source(src_dsn, request.pull.owner).address;
  return request;
}

std::optional<uint32_t> read_table(FunctionCallInfo fcinfo) {
  if (fcinfo->args[1].isnull)
    return std::nullopt;
  const Oid table = DatumGetObjectId(fcinfo->args[1].value);
  call([&]() noexcept { destination_table_require(table); });
  return table;
}

// All are read before one is set: a source that gives no answer changes nothing.
void set_pairs(const Request &request, Connection &source, std::vector<SequencePair> &pairs,
               bool is_one_table) {
  std::vector<SequencePair *> chosen;
  std::vector<QualifiedName> names;
  for (SequencePair &pair : pairs) {
    if (!may_go_on(pair, is_one_table))
      continue;
    chosen.push_back(&pair);
    names.push_back(pair.source->name);
  }
  const std::vector<SequenceState> states = read_sequence_states(source, names);
  CallerExecutor writer(SpiMode::kWrite, request);
  for (size_t index = 0; index < chosen.size(); index++) {
    SequencePair &pair = *chosen[index];
    if (!is_within_bounds(pair, states[index], is_one_table))
      continue;
    set_sequence(writer, pair.local.oid, states[index]);
    pair.value = states[index].last_value;
  }
}

void pull_sequences(FunctionCallInfo fcinfo) {
  const Request request = read_sequence_order(fcinfo);
  const std::optional<uint32_t> table = read_table(fcinfo);
  CallerExecutor reader(SpiMode::kReadLatest, request);
  const std::vector<LocalSequence> sequences = find_local_sequences(reader, table);
  CallerSource source(request, "sequences");
  const std::unique_ptr<SourceReader> session = source.open();
  Connection &connection = session->session().connection();
  std::vector<SequencePair> pairs = find_pairs(connection, sequences);
  set_pairs(request, connection, pairs, table.has_value());
  for (const SequencePair &pair : pairs)
    put(fcinfo, pair.local.oid, pair.value);
  report_unowned(fcinfo, sequences);
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

Datum parallel_pull_sequences(PG_FUNCTION_ARGS) {
  return entry([&] {
    guard_call(fcinfo, kSourceArgument);
    call([&]() noexcept { result_set_begin(fcinfo); });
    pull_sequences(fcinfo);
    return Datum(0);
  });
}
