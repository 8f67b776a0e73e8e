// run_figures: what follows from a run's view: how much is done, how fast, how long still.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace parallel_loader {

/// `sales.orders`, or `sales.orders -> archive.orders` where the names differ; as the server has
/// them, see printable().
[[nodiscard]] std::string label_of(const PullView &pull);

/// PullView::waiting_for as a clause: `waiting for a lock on …`; sentences stay as they are.
[[nodiscard]] std::string wait_words(const std::string &reason);

/// Why a pull is over, of which the ledger has no error: it was cancelled, or has lost its
/// coordinator.
[[nodiscard]] Error ending_of(const PullView &pull);

/// What a table takes on disk only estimates what travels: the total rises when it is passed, and
/// is what has come once the table is done.  0: unknown, as of a part of its rows or columns.
[[nodiscard]] int64_t total_bytes_of(const PullView &pull) noexcept;
[[nodiscard]] int64_t total_bytes_of(const RunView &run) noexcept;

/// How much is done, from 0 to 1, and 1 only when all is.
///
/// The chunks that are done and those in flight bound it on either side; between the two the bytes
/// decide where their total is known.
[[nodiscard]] double fraction_of(const PullView &pull) noexcept;
/// The tables by their bytes; by their chunks, or their number, where nothing more is known.
[[nodiscard]] double fraction_of(const RunView &run) noexcept;
/// Rounded down: 100 is for what is done.
[[nodiscard]] int percent_of(double fraction) noexcept;

/// The state of the whole: running while one of its tables moves, done when all are.
[[nodiscard]] PullState state_of(const RunView &run) noexcept;
/// Its turn has not come, perhaps as a server was lost before.
[[nodiscard]] bool is_unbegun(const PullView &pull) noexcept;
/// Nothing of it moves any more, nor will.
[[nodiscard]] bool is_over(const PullView &pull) noexcept;
[[nodiscard]] bool is_over(const RunView &run) noexcept;

/// How long it has moved, to its end or until now: by its chunks, if they are known, else as it was
/// seen, else since it was planned.  Nothing before that.
[[nodiscard]] std::optional<std::chrono::milliseconds> duration_of(const PullView &pull,
                                                                   const RunView &run) noexcept;

/// Bytes and rows a second over that time; 0 without one.
[[nodiscard]] double mean_rate_of(const PullView &pull, const RunView &run) noexcept;
[[nodiscard]] double mean_row_rate_of(const PullView &pull, const RunView &run) noexcept;

/// Whether its turn has not come yet.
[[nodiscard]] bool waits_for_turn(const PullView &pull) noexcept;

/// `amount` over `duration`; 0 before the first millisecond has passed.
[[nodiscard]] double per_second(int64_t amount, std::chrono::milliseconds duration) noexcept;

/// Of the last seconds, over all tables.
[[nodiscard]] double current_rate(const RunView &run) noexcept;

/// From the bytes that are left at the rate of the last seconds, in whole seconds.  Nothing in the
/// first three seconds of the run, without an estimate, and when nothing moves.  Of a part of a
/// table the chunks that are done tell how much of the estimate travels.
[[nodiscard]] std::optional<std::chrono::milliseconds> time_left(const PullView &pull,
                                                                 const RunView &run) noexcept;
[[nodiscard]] std::optional<std::chrono::milliseconds> time_left(const RunView &run) noexcept;

} // namespace parallel_loader
