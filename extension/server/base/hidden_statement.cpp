#include "extension/server/base/hidden_statement.hpp"

#include "extension/server/base/postgres.hpp"

extern "C" {
#include "executor/spi.h"
#include "nodes/params.h"
#include "parser/parse_node.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
}

namespace parallel_loader {

using ContextFunction = void (*)(void *);

// Adds the text of a statement that runs within a function; nullptr: not known yet.
static ContextFunction spi_context = nullptr;

static void note_spi_context(ParseState * /*unused*/, void * /*unused*/) {
  spi_context = error_context_stack->callback;
}

// SPI keeps its function to itself, but it is the one in charge while SPI parses a statement.
static void learn_spi_context() {
  SPI_connect();
  if (SPI_prepare_params("SELECT 1", note_spi_context, nullptr, 0) == nullptr)
    elog(ERROR, "SPI_prepare_params failed: %s", SPI_result_code_string(SPI_result));
  SPI_finish();
}

void hidden_statement_hide() {
  static const char kHidden[] = "parallel pull (statement not shown: it may hold a password)";
  if (spi_context == nullptr)
    learn_spi_context();
  debug_query_string = kHidden;
  pgstat_report_activity(STATE_RUNNING, kHidden);
}

static void add_hidden_context(void * /*unused*/) {
  errcontext("SQL statement not shown: it may hold a password");
}

void hidden_statement_mask_context() noexcept {
  for (ErrorContextCallback *frame = error_context_stack; frame != nullptr; frame = frame->previous)
    if (frame->callback == spi_context || frame->callback == ParamsErrorCallback)
      frame->callback = add_hidden_context;
}

} // namespace parallel_loader
