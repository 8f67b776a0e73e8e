// report_file: files that are there as a whole or not at all.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Writes a new file beside `path` and gives it that name once it is on the disk: who reads the old
/// one meanwhile, or finds the disk full, has lost nothing.  The file has the mode of the old one;
/// else that of the umask.  `path` may be something else than a file (/dev/stdout, a pipe): that is
/// written to as it is.
///
/// Throws Error 58030 with the system's reason.
void write_file(const std::string &path, std::string_view text);

enum class ReportFormat { kHtml, kJson };

/// By the end of the name, `.html`, `.htm` or `.json` in any case; nullopt for any other.
[[nodiscard]] std::optional<ReportFormat> report_format(std::string_view path);

/// For before the run, which may take hours: that the folder of `path` is there and can be written
/// to.  Throws Error 58030 if not.
void check_report_folder(const std::string &path);

} // namespace parallel_loader
