// table_pool: something is done for each of many tables, by several sessions at once.
#pragma once

#include "orchestrator/run/interrupt.hpp"
#include "orchestrator/run/run_threads.hpp"

#include <functional>
#include <span>

namespace parallel_loader {

/// Calls `work` for each table, by up to `session_count` threads with a session each.  `work`
/// touches nothing that it would share with another table's.  Returns when all is done; the first
/// error ends the work and is thrown: Failure, or Error 57014 after an interrupt.
void work_on_tables(std::span<const size_t> tables, int session_count, const OpenMover &open,
                    const Interrupt &interrupt,
                    const std::function<void(Mover &, size_t table)> &work);

} // namespace parallel_loader
