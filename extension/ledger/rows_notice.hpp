// rows_notice: word to whoever pulls a whole table into one that has rows.
#pragma once

#include "extension/bridge/request.hpp"

namespace parallel_loader {

/// Sends a NOTICE when the request is for a whole table and the local one has rows: those of an
/// unfinished pull from the same source, which a resume would complete, or others.
void notice_rows_there(const Request &request);

/// Sends a NOTICE when an append goes on from rows whose filter 0.3 read under an empty search
/// path: it keeps to that.
void notice_old_filter(const Request &request);
/// The same when the pull is resumed.
void notice_old_filter(int64_t pull_id);

/// What notice_old_filter would say of an append, with the hint; nullopt: nothing.
[[nodiscard]] std::optional<PlanNotice> old_filter_word(const PullRequest &request);

} // namespace parallel_loader
