// rows_notice: word to whoever pulls a whole table into one that has rows.
#pragma once

#include "extension/order.hpp"

namespace parallel_loader {

/// Sends a NOTICE when the order is for a whole table and the local one has rows: those of an
/// unfinished pull from the same source, which a resume would complete, or others.
void notice_rows_there(const Order &order);

/// Sends a NOTICE when an append goes on from a mark whose filter 0.3 read under an empty search
/// path: it keeps to that.
void notice_old_filter(const Order &order);

} // namespace parallel_loader
