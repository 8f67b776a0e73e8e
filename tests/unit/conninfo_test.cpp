// conninfo_test: connection strings in, nothing secret out.
#include "core/connection/conninfo.hpp"

#include "tests/unit/expect_error.hpp"

namespace parallel_loader {
namespace {

TEST(ConnInfo, reads_strings_and_uris_alike) {
  const ConnInfo text = ConnInfo::parse("host=h port=5433 user='a b' password=p\\'w dbname=d");
  const ConnInfo uri = ConnInfo::parse("postgresql://a%20b:p'w@h:5433/d");
  EXPECT_EQ(text.get("user"), "a b");
  EXPECT_EQ(text.get("password"), "p'w");
  EXPECT_EQ(text.options(), uri.options());
}

TEST(ConnInfo, reads_uris_with_encoded_and_with_later_at_signs) {
  const ConnInfo uri = ConnInfo::parse("postgresql://a%40b:p%40%2Fw@h/d%40e?application_name=x@y");
  EXPECT_EQ(uri.get("user"), "a@b");
  EXPECT_EQ(uri.get("password"), "p@/w");
  EXPECT_EQ(uri.get("host"), "h");
  EXPECT_EQ(uri.get("dbname"), "d@e");
  EXPECT_EQ(uri.get("application_name"), "x@y");
  EXPECT_EQ(ConnInfo::parse("postgresql:///d?host=/run/a@b").get("host"), "/run/a@b");
  EXPECT_EQ(ConnInfo::parse("host=@/run/x user=a://b@c@d").get("host"), "@/run/x");
}

TEST(ConnInfo, holds_only_what_was_given) {
  EXPECT_EQ(ConnInfo::parse("host=h").options().size(), 1U);
  EXPECT_EQ(ConnInfo::parse("host=h").get("port"), "");
}

TEST(ConnInfo, error_never_repeats_the_text) {
  for (const std::string_view text :
       {std::string_view("password=sec ret"), std::string_view("secret"),
        std::string_view("postgresql://u:secret@[h"), std::string_view("sec\0ret", 7),
        std::string_view("password='secret"), std::string_view("host=h secret=1"),
        std::string_view("postgresql://u:sec@ret@h/d"),
        std::string_view("postgres://u:12/sec@ret/d")}) {
    const Error error = testing::catch_error([&] { (void)ConnInfo::parse(text); });
    EXPECT_EQ(error.sqlstate(), "42601");
    for (const std::string &part : {error.message(), error.detail(), error.hint()})
      EXPECT_EQ(part.find("ret"), std::string::npos) << part;
  }
}

TEST(ConnInfo, writes_what_it_reads_back) {
  const ConnInfo given(
      {{"host", "/tmp/a b"}, {"user", "it's"}, {"password", "\\'"}, {"dbname", ""}});
  const ConnInfo read = ConnInfo::parse(given.to_conninfo());
  for (const ConnOption &option : given.options())
    EXPECT_EQ(read.get(option.keyword), option.value);
}

TEST(ConnInfo, displays_no_secret) {
  const ConnInfo info({{"host", "h"},
                       {"password", "secret"},
                       {"sslpassword", "secret"},
                       {"oauth_client_secret", "secret"},
                       {"scram_client_key", "secret"},
                       {"dbname", "my db"}});
  EXPECT_EQ(info.display(), "host=h dbname='my db'");
}

TEST(ConnInfo, set_replaces_or_appends) {
  ConnInfo info = ConnInfo::parse("host=h");
  info.set("host", "i");
  info.set("port", "1");
  EXPECT_EQ(info.to_conninfo(), "host=i port=1");
}

TEST(ConnInfo, allows_users_harmless_options) {
  EXPECT_NO_THROW(ConnInfo::parse("host=h port=1 user=u password=p dbname=d sslmode=require "
                                  "application_name=x connect_timeout=3")
                      .require_options_allowed_to_users(ServerFiles::kMayNotRead));
}

TEST(ConnInfo, forbids_users_files_and_protocol_options) {
  for (const char *keyword : {"passfile", "service", "servicefile", "sslkey", "sslcert",
                              "sslkeylogfile", "options", "replication", "client_encoding",
                              "krbsrvname", "sslpassword", "oauth_issuer", "requirepeer"}) {
    const ConnInfo info({{"host", "h"}, {keyword, "x"}});
    const Error error = testing::catch_error(
        [&] { info.require_options_allowed_to_users(ServerFiles::kMayNotRead); });
    EXPECT_EQ(error.sqlstate(), "42501");
    EXPECT_NE(error.message().find(keyword), std::string::npos);
  }
}

ConnInfo with_option(const char *keyword, const char *value) {
  return ConnInfo(std::vector<ConnOption>{{keyword, value}});
}

TEST(ConnInfo, allows_certificates_of_authorities_to_those_who_read_server_files) {
  for (const char *keyword : {"sslrootcert", "sslcrl", "sslcrldir"}) {
    const ConnInfo info = with_option(keyword, "/etc/hosts");
    EXPECT_NO_THROW(info.require_options_allowed_to_users(ServerFiles::kMayRead));
    EXPECT_SQLSTATE("42501", (info.require_options_allowed_to_users(ServerFiles::kMayNotRead), 0));
  }
  EXPECT_NO_THROW(with_option("sslrootcert", "system")
                      .require_options_allowed_to_users(ServerFiles::kMayNotRead));
  EXPECT_SQLSTATE("42501", (with_option("passfile", "/etc/hosts")
                                .require_options_allowed_to_users(ServerFiles::kMayRead),
                            0));
}

TEST(ConnInfo, takes_regular_files_alone) {
  for (const char *keyword :
       {"sslrootcert", "sslcrl", "sslcert", "sslkey", "passfile", "servicefile", "sslkeylogfile"}) {
    EXPECT_SQLSTATE("42809", (with_option(keyword, "/dev/zero").require_regular_files(), 0));
    EXPECT_SQLSTATE("42809", (with_option(keyword, "/etc").require_regular_files(), 0));
    for (const char *path : {"/etc/passwd", "/nowhere/at/all", ""})
      EXPECT_NO_THROW(with_option(keyword, path).require_regular_files());
  }
  EXPECT_SQLSTATE("42809", (with_option("sslcrldir", "/dev").require_regular_files(), 0));
  EXPECT_SQLSTATE("42809", (with_option("sslcrldir", "/dev/null").require_regular_files(), 0));
  EXPECT_NO_THROW(with_option("sslcrldir", "/nowhere/at/all").require_regular_files());
  EXPECT_NO_THROW(with_option("host", "/dev/zero").require_regular_files());
}

TEST(IsConninfo, tells_strings_from_server_names) {
  EXPECT_TRUE(is_conninfo("host=h"));
  EXPECT_TRUE(is_conninfo("postgresql://h"));
  EXPECT_FALSE(is_conninfo("prod_server"));
  EXPECT_FALSE(is_conninfo(""));
}

TEST(IsServerOption, knows_libpq_options_but_debug_ones_and_encoding) {
  EXPECT_TRUE(is_server_option("host"));
  EXPECT_TRUE(is_server_option("password"));
  EXPECT_FALSE(is_server_option("client_encoding"));
  EXPECT_FALSE(is_server_option("replication"));
  EXPECT_FALSE(is_server_option("fetch_size"));
}

} // namespace
} // namespace parallel_loader
