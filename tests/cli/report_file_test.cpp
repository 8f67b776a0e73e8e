// report_file_test: files that are there as a whole or not at all.
#include "core/base/error.hpp"
#include "orchestrator/base/failure.hpp"
#include "orchestrator/report/html_report.hpp"
#include "orchestrator/report/json_report.hpp"
#include "orchestrator/report/report_file.hpp"
#include "orchestrator/report/run_report.hpp"
#include "tests/cli/golden.hpp"
#include "tests/cli/sample_report.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

namespace parallel_loader {
namespace {

namespace fs = std::filesystem;

class ReportFile : public testing::Test {
protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "report_file.XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(std::string_view name) const { return (folder_ / name).string(); }
  [[nodiscard]] size_t file_count() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }

  fs::path folder_;
};

std::string message_of(const std::string &path, std::string_view text) {
  try {
    write_file(path, text);
  } catch (const Error &error) {
    EXPECT_EQ(error.sqlstate(), "58030");
    return error.message();
  }
  return "";
}

TEST_F(ReportFile, writes_a_file_and_leaves_no_other) {
  write_file(path("report.html"), "text");
  EXPECT_EQ(read_file(path("report.html")), "text");
  EXPECT_EQ(file_count(), 1U);
}

TEST_F(ReportFile, replaces_a_file_and_keeps_its_mode) {
  write_file(path("report.html"), "old and longer");
  ASSERT_EQ(chmod(path("report.html").c_str(), 0640), 0);
  write_file(path("report.html"), "new");
  EXPECT_EQ(read_file(path("report.html")), "new");
  struct stat file {};
  ASSERT_EQ(stat(path("report.html").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0640U);
}

TEST_F(ReportFile, a_link_stays_a_link) {
  write_file(path("real.html"), "old");
  fs::create_symlink("real.html", path("link.html"));
  write_file(path("link.html"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link.html")));
  EXPECT_EQ(read_file(path("real.html")), "new");
}

TEST_F(ReportFile, a_missing_folder_is_a_clear_error) {
  EXPECT_EQ(message_of(path("no/report.html"), "text"), "could not write the report \"" +
                                                            path("no/report.html") +
                                                            "\": No such file or directory");
  EXPECT_THROW(check_report_folder(path("no/report.html")), Error);
  EXPECT_NO_THROW(check_report_folder(path("report.html")));
  EXPECT_NO_THROW(check_report_folder("/dev/stdout"));
}

TEST_F(ReportFile, a_folder_is_no_file) {
  EXPECT_NE(message_of(folder_.string(), "text").find("Is a directory"), std::string::npos);
}

// As a full disk: the old report stays, and no half of the new one.
TEST_F(ReportFile, a_file_that_cannot_be_written_whole_changes_nothing) {
  write_file(path("report.html"), "old");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit low{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  const std::string message = message_of(path("report.html"), std::string(5000, 'x'));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("File too large"), std::string::npos) << message;
  EXPECT_EQ(read_file(path("report.html")), "old");
  EXPECT_EQ(file_count(), 1U);
}

TEST_F(ReportFile, a_full_device_is_a_clear_error) {
  EXPECT_EQ(message_of("/dev/full", "text"),
            "could not write the report \"/dev/full\": No space left on device");
}

TEST_F(ReportFile, a_run_is_reported_by_the_end_of_the_name) {
  const RunView run = sample::reported();
  EXPECT_EQ(write_report(path("run.json"), run, ExitStatus::kDone, {}), ExitStatus::kDone);
  EXPECT_EQ(read_file(path("run.json")), copy_document(run, JsonDetail::kChunks) + "\n");
  EXPECT_EQ(write_report(path("run.html"), run, ExitStatus::kFailed, {}), ExitStatus::kFailed);
  EXPECT_EQ(read_file(path("run.html")), html_report(run));
}

TEST_F(ReportFile, a_report_that_cannot_be_written_is_a_failure_of_its_own) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(write_report(path("no/run.html"), sample::reported(), ExitStatus::kDone, {}),
            ExitStatus::kFailed);
  EXPECT_EQ(write_report("/dev/full", sample::reported(), ExitStatus::kInterrupted, {}),
            ExitStatus::kInterrupted);
  EXPECT_EQ(
      testing::internal::GetCapturedStderr(),
      "parallel-loader: error: could not write the report \"" + path("no/run.html") +
          "\": No such file or directory\n"
          "parallel-loader: hint: What was copied is not affected.\n"
          "parallel-loader: error: could not write the report \"/dev/full\": No space left on "
          "device\n"
          "parallel-loader: hint: What was copied is not affected.\n");
}

TEST_F(ReportFile, a_report_is_refused_before_the_run) {
  const auto status_of = [](const std::string &name) {
    try {
      check_report(name);
    } catch (const Failure &failure) {
      return failure.status();
    }
    return ExitStatus::kDone;
  };
  EXPECT_EQ(status_of(path("run.html")), ExitStatus::kDone);
  EXPECT_EQ(status_of(path("run.pdf")), ExitStatus::kUsage);
  EXPECT_EQ(status_of(path("no/run.html")), ExitStatus::kUsage);
}

TEST(ReportFormat, is_told_by_the_name) {
  EXPECT_EQ(report_format("a.html"), ReportFormat::kHtml);
  EXPECT_EQ(report_format("/b/A.HTM"), ReportFormat::kHtml);
  EXPECT_EQ(report_format("a.json"), ReportFormat::kJson);
  EXPECT_EQ(report_format("a.pdf"), std::nullopt);
  EXPECT_EQ(report_format("html"), std::nullopt);
}

} // namespace
} // namespace parallel_loader
