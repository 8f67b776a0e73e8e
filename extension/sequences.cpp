// sequences: parallel_pull_sequences, the sequences of columns set to where the source's stand.
#include "core/sequence.hpp"

#include "extension/boundary.hpp"
#include "extension/caller_executor.hpp"
#include "extension/caller_source.hpp"
#include "extension/guarded_call.hpp"
#include "extension/pull_arguments.hpp"
#include "extension/server/notice.hpp"
#include "extension/server/result_set.hpp"
#include "extension/server/row_values.hpp"
#include "extension/server/target_table.hpp"
#include "extension/source_address.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(parallel_pull_sequences);
}

namespace parallel_loader {

namespace {

/// A local sequence with its counterpart.
struct SequencePair {
  LocalSequence local;
  QualifiedName source;
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
  std::vector<LocalSequence> owned;
  std::vector<SequenceOwner> owners;
  for (const LocalSequence &sequence : sequences) {
    if (sequence.owner) {
      owned.push_back(sequence);
      owners.push_back(*sequence.owner);
    }
  }
  const std::vector<std::optional<QualifiedName>> found = find_source_sequences(source, owners);
  std::vector<SequencePair> pairs;
  for (size_t index = 0; index < owned.size(); index++) {
    if (found[index]) {
      pairs.push_back({owned[index], *found[index]});
    } else {
      say("sequence \"" + owned[index].name.display() + "\" was left as it is",
          "Column \"" + owners[index].column + "\" of table \"" + owners[index].table.display() +
              "\" has no sequence on the source.",
          "");
    }
  }
  return pairs;
}

// Nothing says which sequence of the source one that no column owns belongs to: a name is no proof.
void report_unowned(FunctionCallInfo fcinfo, const std::vector<LocalSequence> &sequences) {
  std::string names;
  int count = 0;
  for (const LocalSequence &sequence : sequences) {
    if (!sequence.owner) {
      put(fcinfo, sequence.oid, std::nullopt);
      names += (names.empty() ? "" : ", ") + sequence.name.display();
      count++;
    }
  }
  if (count > 0)
    say("sequences that no column owns were left as they are: " + std::to_string(count),
        "They are: " + names + ".",
        "Set them with setval, or give them to their columns with ALTER SEQUENCE … OWNED BY.");
}

Order read_sequence_order(FunctionCallInfo fcinfo) {
  const std::string src_dsn = read_source_argument(fcinfo);
  Order order;
  order.kind = OrderKind::kLook;
  read_session(order);
  order.source = resolve_source(src_dsn).address;
  return order;
}

std::optional<uint32_t> read_table(FunctionCallInfo fcinfo) {
  if (fcinfo->args[1].isnull)
    return std::nullopt;
  const Oid table = DatumGetObjectId(fcinfo->args[1].value);
  call([&]() noexcept { target_table_require(table); });
  return table;
}

void pull_sequences(FunctionCallInfo fcinfo) {
  const Order order = read_sequence_order(fcinfo);
  const std::optional<uint32_t> table = read_table(fcinfo);
  CallerExecutor reader(SpiMode::kReadLatest, order);
  const std::vector<LocalSequence> sequences = find_local_sequences(reader, table);
  CallerSource source(order, "sequences");
  const std::unique_ptr<SourceReader> session = source.open();
  Connection &connection = session->session().connection();
  const std::vector<SequencePair> pairs = find_pairs(connection, sequences);
  std::vector<QualifiedName> names;
  names.reserve(pairs.size());
  for (const SequencePair &pair : pairs)
    names.push_back(pair.source);
  // All are read before one is set: a sequence that may not be read changes nothing.
  const std::vector<SequenceState> states = read_sequence_states(connection, names);
  CallerExecutor writer(SpiMode::kWrite, order);
  for (size_t index = 0; index < pairs.size(); index++) {
    set_sequence(writer, pairs[index].local.oid, states[index]);
    put(fcinfo, pairs[index].local.oid, states[index].last_value);
  }
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
