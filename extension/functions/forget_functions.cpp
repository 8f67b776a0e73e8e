// forget_functions: the SQL functions by which a caller says what a table that was pulled holds
// now.
#include "core/ledger/forget_ledger.hpp"

#include <algorithm>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/guarded_call.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/functions/pull_arguments.hpp"
#include "extension/ledger/pull_lookup.hpp"
#include "extension/ledger/pull_refusal.hpp"
#include "extension/server/load/local_relations.hpp"
#include "extension/server/sql/destination_table.hpp"

extern "C" {
#include "utils/acl.h"

PG_FUNCTION_INFO_V1(parallel_pull_forget);
PG_FUNCTION_INFO_V1(parallel_pull_keep);
}

namespace parallel_loader {

namespace {

std::optional<std::string> optional_argument(FunctionCallInfo fcinfo, int number) {
  return fcinfo->args[number].isnull ? std::nullopt : std::optional(text_argument(fcinfo, number));
}

std::string name_of(Oid table) {
  return call([&]() noexcept { return destination_table_display_name(table); });
}

// As for an append, which goes on from marks whoever has left them.
void require_rights(ForgetLedger &ledger, Oid table) {
  call([&]() noexcept {
    destination_table_require(table);
    destination_table_check_transaction(table);
    destination_table_check_kind(table);
    destination_table_check_rights(table);
  });
  const auto is_own = [](uint32_t owner) {
    return call([&]() noexcept { return has_privs_of_role(GetUserId(), owner); });
  };
  if (call([&]() noexcept { return destination_table_is_own(table); }) ||
      std::ranges::all_of(ledger.owners(), is_own))
    return;
  throw Error("42501", "permission denied for pulls of table " + name_of(table),
              "Another role has started some of them.",
              "The owner of the table, superusers, and members of the roles that started the pulls "
              "can do this.");
}

[[noreturn]] void throw_busy(Oid table, const std::string &what, const std::string &hint) {
  throw Error("55006", what + " table " + name_of(table) + " is running", "", hint);
}

// What runs would write its own mark, and chunks, over this.
void require_idle(Oid table) {
  if (const std::optional<int64_t> pull = find_live_pull_into(table)) {
    throw_busy(table, "pull " + std::to_string(*pull) + " into",
               "Call " + call_text("parallel_pull_wait", *pull) + " to wait for its end, or " +
                   call_text("parallel_pull_cancel", *pull) + " to cancel it.");
  }
  if (!call([&]() noexcept { return local_relations_lock_append(table); }))
    throw_busy(table, "an append to", "Wait for its end.");
}

ForgetSubject read_subject(FunctionCallInfo fcinfo) {
  if (fcinfo->args[0].isnull)
    throw Error("22004", "\"table\" cannot be null");
  return {DatumGetObjectId(fcinfo->args[0].value), optional_argument(fcinfo, 1),
          optional_argument(fcinfo, 2)};
}

/// Does `change` to the ledger and returns its count.
template <class Change> Datum change_ledger(FunctionCallInfo fcinfo, Change change) {
  guard_call(fcinfo);
  const ForgetSubject subject = read_subject(fcinfo);
  SpiExecutor executor(SpiMode::kWrite);
  ForgetLedger ledger(executor, subject);
  require_rights(ledger, subject.table);
  require_idle(subject.table);
  return Int32GetDatum(static_cast<int32>(change(ledger, subject.table)));
}

} // namespace

} // namespace parallel_loader

using namespace parallel_loader;

Datum parallel_pull_forget(PG_FUNCTION_ARGS) {
  return entry([&] {
    return change_ledger(
        fcinfo, [](ForgetLedger &ledger, Oid) { return ledger.forget(); });
  });
}

Datum parallel_pull_keep(PG_FUNCTION_ARGS) {
  return entry([&] {
    return change_ledger(
        fcinfo,
        [](ForgetLedger &ledger, Oid table) {
          return ledger.keep(call([&]() noexcept { return local_relations_all(table); }));
        });
  });
}
