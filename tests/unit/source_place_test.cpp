// source_place_test: which of several servers is dialled, and how.
#include "core/connection/source_place.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

ConnInfo at(std::string_view conninfo, const SourcePlace &place) {
  return conninfo_at(ConnInfo::parse(conninfo), place);
}

std::string conninfo_text(const ConnInfo &conninfo) {
  std::string text;
  for (const char *keyword : {"host", "hostaddr", "port", "target_session_attrs"})
    if (!conninfo.get(keyword).empty())
      text += std::string(keyword) + "=" + std::string(conninfo.get(keyword)) + " ";
  return text;
}

std::vector<std::string> tried(std::string_view conninfo, const SourcePlace &wanted) {
  std::vector<std::string> texts;
  for (const ConnInfo &one : conninfos_for(ConnInfo::parse(conninfo), wanted))
    texts.push_back(conninfo_text(one));
  return texts;
}

const SourcePlace kB = {"b.example", "10.0.0.2", "5433"};

TEST(SourcePlace, one_of_several_hosts_is_dialled_by_name_and_address) {
  const ConnInfo one = at("host=a.example,b.example port=5432,5433 dbname=d "
                          "target_session_attrs=read-write",
                          kB);
  EXPECT_EQ(conninfo_text(one),
            "host=b.example hostaddr=10.0.0.2 port=5433 target_session_attrs=any ");
  EXPECT_EQ(one.get("dbname"), "d");
}

TEST(SourcePlace, socket_has_no_address) {
  EXPECT_EQ(conninfo_text(at("host=/a,/b port=1,2", {"/b", "", "2"})),
            "host=/b port=2 target_session_attrs=any ");
}

// libpq would check a certificate against it.
TEST(SourcePlace, address_without_a_name_stays_without) {
  EXPECT_EQ(
      conninfo_text(at("hostaddr=10.0.0.1,10.0.0.2 port=5432", {"10.0.0.2", "10.0.0.2", "5432"})),
      "hostaddr=10.0.0.2 port=5432 target_session_attrs=any ");
}

TEST(SourcePlace, link_local_address_needs_the_interface_of_the_name) {
  EXPECT_EQ(conninfo_text(at("host=fe80::1%eth0", {"fe80::1%eth0", "fe80::1", "5432"})),
            "host=fe80::1%eth0 port=5432 target_session_attrs=any ");
}

TEST(SourcePlace, order_of_hosts_at_random_is_given_up) {
  const ConnInfo several({{"host", "a,b"}, {"load_balance_hosts", "random"}, {"port", "5432"}});
  EXPECT_EQ(conninfo_at(several, {"b", "10.0.0.2", "5432"}).get("load_balance_hosts"), "");
}

TEST(SourcePlace, wanted_place_is_tried_alone_where_it_is_named) {
  EXPECT_EQ(tried("host=a.example,b.example port=5432,5433", kB),
            std::vector<std::string>{
                "host=b.example hostaddr=10.0.0.2 port=5433 target_session_attrs=any "});
  EXPECT_EQ(tried("host=b.example port=5433", kB).size(), 1U);
}

TEST(SourcePlace, each_server_is_tried_where_the_wanted_one_is_not_named) {
  const std::vector<std::string> all = {"host=/a port=1 target_session_attrs=any ",
                                        "host=/b port=2 target_session_attrs=any "};
  EXPECT_EQ(tried("host=/a,/b port=1,2", kB), all);
  EXPECT_EQ(tried("host=/a,/b port=1,2", {"/b", "", "1"}), all) << "another port";
  EXPECT_EQ(tried("host=/a,/b port=1,2", {}), all) << "no place is known";
}

TEST(SourcePlace, one_server_alone_is_dialled_as_it_is) {
  EXPECT_EQ(tried("host=/a port=1", kB), std::vector<std::string>{"host=/a port=1 "});
}

TEST(SourcePlace, address_that_is_given_must_be_the_wanted_one) {
  const std::string here = "host=b.example,b.example hostaddr=10.0.0.2,10.0.0.3 port=5433";
  EXPECT_EQ(tried(here, kB).size(), 1U);
  EXPECT_EQ(tried(here, {"b.example", "10.0.0.4", "5433"}).size(), 2U);
}

} // namespace
} // namespace parallel_loader
