// config_file_test: what the file of --config means, and which files are refused.
#include "orchestrator/base/failure.hpp"
#include "orchestrator/cli/options.hpp"
#include "orchestrator/cli/password_cover.hpp"
#include "orchestrator/commands/own_command.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace parallel_loader {
namespace {

using Arguments = std::vector<std::string>;

class ConfigFile : public testing::Test {
protected:
  ConfigFile()
      : path_(std::filesystem::temp_directory_path() /
              ("parallel-loader-" + std::to_string(::getpid()) + ".toml")) {}
  ~ConfigFile() override { std::filesystem::remove(path_); }

  void write(const std::string &text, mode_t mode = 0600) const {
    std::ofstream(path_) << text;
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
  }

  [[nodiscard]] Options parse(Arguments arguments) const {
    arguments.insert(arguments.begin() + 1, "--config=" + path_.string());
    return parse_invocation(arguments).options;
  }

  /// `message | hint`, with FILE for the path.
  [[nodiscard]] std::string complaint(const Arguments &arguments) const {
    try {
      (void)parse(arguments);
    } catch (const Failure &failure) {
      EXPECT_EQ(failure.status(), ExitStatus::kUsage);
      std::string text = failure.message() + " | " + failure.hint();
      for (size_t at = text.find(path_.string()); at != std::string::npos;
           at = text.find(path_.string()))
        text.replace(at, path_.string().size(), "FILE");
      return text;
    }
    return "";
  }

private:
  std::filesystem::path path_;
};

TEST_F(ConfigFile, names_connections_and_sets_options) {
  write("# a comment\n"
        "source = \"old\"   # and one behind a setting\n"
        "jobs = 8\n"
        "[connections]\n"
        "old = \"host=a#1 dbname=x\"\n"
        "new = 'postgresql://b/y?application_name=z'\n"
        "[copy]\n"
        "target = \"new\"\n"
        "exclude = [\"audit.*\", '*.o, ld'] # two\n"
        "where = \"a = 'b'\"\n"
        "tables = [\"sales.*\", \"t=u\"]\n"
        "key-for = [\"t\", \"id\"]\n"
        "sequences = false\n"
        "json = true\n"
        "on-error = stop\n"
        "[append]\n"
        "jobs = 2\n"
        "target = \"dbname=z\"\n");
  const Options copy = parse({"copy"});
  EXPECT_EQ(copy.connections.source, "host=a#1 dbname=x");
  EXPECT_EQ(copy.connections.destination, "postgresql://b/y?application_name=z");
  EXPECT_EQ(copy.speed.jobs, 8);
  EXPECT_EQ(copy.selection.excluded, (Arguments{"audit.*", "*.o, ld"}));
  EXPECT_EQ(copy.selection.where, "a = 'b'");
  EXPECT_EQ(copy.selection.tables, (Arguments{"sales.*", "t=u"}));
  EXPECT_EQ(copy.selection.keys, (std::vector<ForTable>{{"t", "id"}}));
  EXPECT_EQ(copy.safety.sequences, false);
  EXPECT_TRUE(copy.output.is_json);
  EXPECT_EQ(copy.safety.on_error, OnError::kStop);

  const Options append = parse({"append", "t"});
  EXPECT_EQ(append.connections.destination, "dbname=z");
  EXPECT_FALSE(append.output.is_json);
}

TEST_F(ConfigFile, the_command_line_wins_over_it_and_it_over_the_environment) {
  write("source = \"dbname=file\"\ntarget = \"dbname=file\"\njobs = 8\n");
  ::setenv("PARALLEL_LOADER_SOURCE", "dbname=environment", 1);
  const Options options = parse({"copy", "-j2", "-d", "dbname=given", "t"});
  ::unsetenv("PARALLEL_LOADER_SOURCE");
  EXPECT_EQ(options.speed.jobs, 2);
  EXPECT_EQ(options.connections.destination, "dbname=given");
  EXPECT_EQ(options.connections.source, "dbname=file");
}

TEST_F(ConfigFile, a_name_of_it_can_be_given) {
  write("[connections]\nold = \"dbname=x\"\nnew = \"dbname=y\"\n");
  const Options options =
      parse({"copy", "-s", "old", "-d", "new", "--source-on-target", "old", "t"});
  EXPECT_EQ(options.connections.source, "dbname=x");
  EXPECT_EQ(options.connections.destination, "dbname=y");
  EXPECT_EQ(options.connections.source_on_destination, "dbname=x");
  EXPECT_EQ(options.connections.destination_name, "new");
  EXPECT_TRUE(own_command("resume 3", options.connections)
                  .ends_with("--source old --target new --source-on-target old"));
}

TEST(OwnCommand, names_servers_without_passwords) {
  Connections servers;
  servers.source = "dbname=a password=secret";
  servers.destination = "service=new";
  servers.source_on_destination = "old_server";
  const std::string command = own_command("status", servers);
  EXPECT_TRUE(command.starts_with("parallel-loader status --source ")) << command;
  EXPECT_TRUE(command.ends_with("--target service=new --source-on-target old_server")) << command;
  EXPECT_EQ(command.find("secret"), std::string::npos) << command;
}

TEST_F(ConfigFile, a_command_for_what_is_left_says_what_it_says) {
  write("source = \"dbname=x\"\ntarget = \"dbname=y\"\n[copy]\nsequences = false\n"
        "truncate = false\njson = false\njobs = 3\ntables = ['t']\n");
  const std::string command = whole_command(parse({"copy", "--where", "id > 1"}), "7");
  for (const char *words :
       {" t", " --no-sequences", " --jobs 3", " --where 'id > 1'", " --resume 7"})
    EXPECT_NE(command.find(words), std::string::npos) << command << " lacks" << words;
  for (const char *words : {"--truncate", "--json", "false", "--sequences", "--config"})
    EXPECT_EQ(command.find(words), std::string::npos) << command << " has " << words;
}

TEST_F(ConfigFile, can_stand_before_the_command) {
  write("source = \"dbname=x\"\ntarget = \"dbname=y\"\n");
  EXPECT_EQ(complaint({"copy", "t"}), "");
}

TEST_F(ConfigFile, refuses_a_password_that_others_may_read) {
  for (const std::string text : {"[connections]\nold = \"host=a password=secret\"\n",
                                 "target = \"postgresql://me:secret@b/y\"\n",
                                 "[copy]\nsource = 'host=a password = secret'\n"}) {
    write(text, 0640);
    EXPECT_EQ(complaint({"copy", "-s", "dbname=x", "-d", "dbname=y", "t"}),
              "file \"FILE\" holds a password and has group or world access | "
              "Run: chmod 600 'FILE'");
    write(text, 0600);
    EXPECT_EQ(complaint({"copy", "-s", "dbname=x", "-d", "dbname=y", "t"}), "");
  }
  write("[connections]\nold = \"service=a\"\n", 0644);
  EXPECT_EQ(complaint({"copy", "-s", "dbname=x", "-d", "dbname=y", "t"}), "");
}

TEST_F(ConfigFile, refuses_what_no_command_has) {
  const Arguments copy{"copy", "-s", "dbname=x", "-d", "dbname=y", "t"};
  const std::string hint = " | Settings are named as the options, without dashes before them.";
  write("jbos = 4\n");
  EXPECT_EQ(complaint(copy), R"(unrecognized setting "jbos" in file "FILE")" + hint);
  write("[cpoy]\njobs = 4\n");
  EXPECT_EQ(complaint(copy), R"(unrecognized setting "cpoy.jobs" in file "FILE")" + hint);
  write("[status]\njobs = 4\n");
  EXPECT_EQ(complaint(copy), R"(unrecognized setting "status.jobs" in file "FILE")" + hint);
  write("jobs = 0\n");
  EXPECT_EQ(complaint(copy),
            R"(invalid value "0" for option "--jobs" | Give a number from 1 to 256.)");
  write("[connections]\nold = host=a dbname=b\n");
  EXPECT_EQ(complaint(copy), R"(connection "old" of file "FILE" is not one text | )"
                             "Write it in quotes: name = \"host=... dbname=...\".");
}

TEST_F(ConfigFile, refuses_a_file_that_is_not_there) {
  EXPECT_EQ(complaint({"copy", "-s", "dbname=x", "-d", "dbname=y", "t"}),
            R"(file "FILE" of --config cannot be read | Check its path and its permissions.)");
}

std::string covered(std::string argument) {
  char *const pointer = argument.data();
  cover_passwords({&pointer, 1});
  return argument;
}

TEST(PasswordCover, covers_passwords_and_nothing_else) {
  EXPECT_EQ(covered("host=a password=secret"), "host=a password=******");
  EXPECT_EQ(covered("--source=host=a password=secret"), "--source=host=a password=******");
  EXPECT_EQ(covered("-dhost=a sslpassword=secret"), "-dhost=a sslpassword=******");
  EXPECT_EQ(covered("postgresql://me:secret@b/y"), "postgresql://me:******@b/y");
  EXPECT_EQ(covered("postgresql://me:s%40c@b/y"), std::string(25, '*'));
  EXPECT_EQ(covered("host=a passwrd=x password"), "*************************");
  EXPECT_EQ(covered("service=old"), "service=old");
  EXPECT_EQ(covered("sales.orders=archive.orders"), "sales.orders=archive.orders");
  EXPECT_EQ(covered("--jobs"), "--jobs");
  EXPECT_EQ(covered(""), "");
}

} // namespace
} // namespace parallel_loader
