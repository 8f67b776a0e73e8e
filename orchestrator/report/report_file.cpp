#include "orchestrator/report/report_file.hpp"

#include "core/base/error.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace parallel_loader {

namespace {

[[noreturn]] void fail(const std::string &path, int reason) {
  throw Error("58030", "could not write the report \"" + path + "\": " + std::strerror(reason), "",
              "What was copied is not affected.");
}

/// Writes all and closes, also when it fails.  Returns 0 or the errno.
int write_and_close(int file, std::string_view text, bool is_on_disk) {
  int reason = 0;
  while (!text.empty() && reason == 0) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written >= 0)
      text.remove_prefix(static_cast<size_t>(written));
    else if (errno != EINTR)
      reason = errno;
  }
  if (reason == 0 && is_on_disk && fsync(file) != 0)
    reason = errno;
  if (close(file) != 0 && reason == 0)
    reason = errno;
  return reason;
}

mode_t usual_mode() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

std::string folder_of(const std::string &path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

} // namespace

void write_file(const std::string &path, std::string_view text) {
  struct stat old {};
  const bool is_there = stat(path.c_str(), &old) == 0;
  if (is_there && S_ISDIR(old.st_mode))
    fail(path, EISDIR);
  if (is_there && !S_ISREG(old.st_mode)) {
    const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (const int reason = file < 0 ? errno : write_and_close(file, text, false); reason != 0)
      fail(path, reason);
    return;
  }
  // The file that a link points to, not the link.
  const std::string real = is_there ? std::filesystem::canonical(path).string() : path;
  std::string name = real + ".XXXXXX";
  const int file = mkostemp(name.data(), O_CLOEXEC);
  if (file < 0)
    fail(path, errno);
  int reason = fchmod(file, is_there ? old.st_mode & 07777 : usual_mode()) == 0 ? 0 : errno;
  if (const int failed_with = write_and_close(file, text, true); reason == 0)
    reason = failed_with;
  if (reason == 0 && rename(name.c_str(), real.c_str()) != 0)
    reason = errno;
  if (reason == 0)
    return;
  unlink(name.c_str());
  fail(path, reason);
}

std::optional<ReportFormat> report_format(std::string_view path) {
  std::string lower(path);
  std::ranges::transform(lower, lower.begin(), [](unsigned char letter) {
    return static_cast<char>(std::tolower(letter));
  });
  if (lower.ends_with(".html") || lower.ends_with(".htm"))
    return ReportFormat::kHtml;
  if (lower.ends_with(".json"))
    return ReportFormat::kJson;
  return std::nullopt;
}

void check_report_folder(const std::string &path) {
  struct stat old {};
  if (stat(path.c_str(), &old) == 0 && !S_ISREG(old.st_mode) && !S_ISDIR(old.st_mode))
    return; // /dev/stdout
  struct stat folder {};
  const std::string name = folder_of(path);
  if (stat(name.c_str(), &folder) != 0 || access(name.c_str(), W_OK | X_OK) != 0)
    throw Error("58030", "could not write the report \"" + path + "\": " + std::strerror(errno), "",
                "Give --report a file in a folder that exists and that you can write to.");
}

} // namespace parallel_loader
