// settings: the parameters parallel_loader.* of the server's configuration.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// parallel_loader.workers: the default number of workers per pull.
extern int setting_workers;
/// parallel_loader.chunk_size, in kB: wanted size of a chunk.
extern int setting_chunk_size_kb;
/// parallel_loader.snapshot_hold, in seconds: how long a pull that has failed, or that nobody
/// works on, keeps its snapshot.
extern int setting_snapshot_hold_s;
/// parallel_loader.retry_budget, in seconds: how long a pull goes on without completing a chunk
/// while attempts fail.
extern int setting_retry_budget_s;
/// parallel_loader.run_wait, in milliseconds: how long a run whose pulls are done waits for one
/// more; -1: as the coordinator sees fit.
extern int setting_run_wait_ms;
/// parallel_loader.tables_to_come: how many tables follow in the run of a pull that is created.
extern int setting_tables_to_come;
/// parallel_loader.same_source_as: a pull's id, or empty: whose source parallel_pull_plan is to
/// find.
extern char *setting_same_source_as;
/// parallel_loader.sole_since: a time, or empty: which pulls of a table keep
/// parallel_pull_create from loading it.
extern char *setting_sole_since;
/// parallel_loader.continued_run: a run's id, or empty: whose missing tables a new run loads.
extern char *setting_continued_run;

/// parallel_loader.route, for tests and measurements: which way rows go into the table; the values
/// are those of RouteSetting.
extern int setting_route;

void settings_define();

} // namespace parallel_loader
