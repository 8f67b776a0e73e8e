#include "orchestrator/cli/option_table.hpp"

#include "orchestrator/cli/option_value.hpp"

#include <array>

namespace parallel_loader {

namespace {

constexpr std::string_view kConnection = "Connection";
constexpr std::string_view kSelection = "Selection";
constexpr std::string_view kSpeed = "Speed";
constexpr std::string_view kOutput = "Output";
constexpr std::string_view kOther = "Other";

constexpr std::array kTable{
    OptionSpec{kConnection, 's', "source", "CONN",
               "server to read: a connection string, a postgresql:// URI or service=NAME", "",
               "PARALLEL_LOADER_SOURCE",
               [](CopyOptions &options, std::string_view value) { options.source = value; }},
    OptionSpec{kConnection, 'd', "target", "CONN",
               "server to load into; has extension parallel_loader", "", "PARALLEL_LOADER_TARGET",
               [](CopyOptions &options, std::string_view value) { options.destination = value; }},
    OptionSpec{
        kConnection, 0, "source-on-target", "CONN|SERVER",
        "how the destination server reaches the source: a connection string, a URI or the name of "
        "a foreign server",
        "--source, with service file and password file resolved here", "",
        [](CopyOptions &options, std::string_view value) {
          options.source_on_destination = value;
        }},

    OptionSpec{kSelection, 0, "key", "KEY",
               R"(column to cut ranges on, spelled as in the catalogs, or ctid, or (a, "B c"))",
               "a unique key; ctid, if rows are not stored in its order", "",
               [](CopyOptions &options, std::string_view value) { options.key = value; }},
    OptionSpec{kSelection, 0, "start", "VALUE", "first key to copy; times without a zone are UTC",
               "from the first row", "",
               [](CopyOptions &options, std::string_view value) { options.start = value; }},
    OptionSpec{kSelection, 0, "end", "VALUE", "key to stop before", "to the last row", "",
               [](CopyOptions &options, std::string_view value) { options.end = value; }},
    OptionSpec{kSelection, 0, "where", "CONDITION",
               "copy only rows that satisfy this SQL condition on the source", "all rows", "",
               [](CopyOptions &options, std::string_view value) { options.where = value; }},
    OptionSpec{kSelection, 0, "columns", "LIST", R"(columns to copy, as in SQL: 'id, "Odd Name"')",
               "all that the destination does not generate", "", apply_columns},

    OptionSpec{kSpeed, 'j', "jobs", "N", "sessions on the destination, one worker each, up to 256",
               "4", "", apply_jobs},
    OptionSpec{kSpeed, 0, "chunk-size", "SIZE", "size of a chunk, for example 64MB",
               "setting parallel_loader.chunk_size of the destination", "", apply_chunk_size},
    OptionSpec{kSpeed, 0, "format", "auto|text|binary", "how values are copied", "auto", "",
               apply_format},

    OptionSpec{kOutput, 0, "json", "", "write one JSON document to standard output", "", "",
               [](CopyOptions &options, std::string_view) { options.output = Output::kJson; }},
    OptionSpec{kOutput, 0, "progress", "auto|always|never",
               "a bar on a terminal, dated lines elsewhere", "auto", "", apply_progress},
    OptionSpec{kOutput, 0, "report-every", "SECONDS", "time between dated lines", "30", "",
               apply_report_every},
    OptionSpec{kOutput, 0, "color", "auto|always|never", "color on standard error", "auto", "",
               apply_color},
    OptionSpec{
        kOutput, 'q', "quiet", "", "no progress and no summary", "", "",
        [](CopyOptions &options, std::string_view) { options.verbosity = Verbosity::kQuiet; }},
    OptionSpec{
        kOutput, 'v', "verbose", "", "connections (without passwords), choices, SQLSTATEs", "", "",
        [](CopyOptions &options, std::string_view) { options.verbosity = Verbosity::kVerbose; }},

    OptionSpec{kOther, '?', "help", "", "show this help", "", "",
               [](CopyOptions &, std::string_view) {}},
};

} // namespace

std::span<const OptionSpec> copy_option_table() noexcept {
  return kTable;
}

} // namespace parallel_loader
