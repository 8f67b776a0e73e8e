// poll_waiter_test: waiting for sockets with poll(2).
#include "core/connection/poll_waiter.hpp"

#include "tests/unit/expect_error.hpp"

#include <climits>
#include <sys/socket.h>
#include <unistd.h>

namespace parallel_loader {
namespace {

using std::chrono::milliseconds;

class PollWaiterTest : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ASSERT_EQ(pipe(interrupt), 0);
  }
  void TearDown() override {
    for (const int fd : {pair[0], pair[1], interrupt[0], interrupt[1]})
      close(fd);
  }

  int pair[2];
  int interrupt[2];
};

TEST_F(PollWaiterTest, returns_when_the_socket_is_ready) {
  PollWaiter waiter;
  EXPECT_EQ(waiter.wait(pair[0], Want::kWrite, milliseconds(0)), Woke::kReady);
  ASSERT_EQ(write(pair[1], "x", 1), 1);
  EXPECT_EQ(waiter.wait(pair[0], Want::kRead, Waiter::kNoTimeout), Woke::kReady);
}

TEST_F(PollWaiterTest, returns_when_the_time_has_passed) {
  PollWaiter waiter;
  EXPECT_EQ(waiter.wait(pair[0], Want::kRead, milliseconds(1)), Woke::kTimeout);
}

TEST_F(PollWaiterTest, returns_when_the_server_has_gone) {
  PollWaiter waiter;
  ASSERT_EQ(shutdown(pair[1], SHUT_RDWR), 0);
  EXPECT_EQ(waiter.wait(pair[0], Want::kRead, milliseconds(LLONG_MAX)), Woke::kReady);
}

TEST_F(PollWaiterTest, interrupt_is_57014) {
  PollWaiter waiter(interrupt[0]);
  ASSERT_EQ(write(interrupt[1], "x", 1), 1);
  EXPECT_SQLSTATE("57014", waiter.wait(pair[0], Want::kRead, Waiter::kNoTimeout));
}

TEST_F(PollWaiterTest, nap_lasts_whatever_comes) {
  using Clock = std::chrono::steady_clock;
  PollWaiter waiter(interrupt[0]);
  ASSERT_EQ(write(pair[1], "x", 1), 1);
  const Clock::time_point begin = Clock::now();
  waiter.nap(std::chrono::microseconds(1'000));
  EXPECT_GE(Clock::now() - begin, milliseconds(1));
}

TEST_F(PollWaiterTest, interrupt_of_a_nap_is_57014) {
  PollWaiter waiter(interrupt[0]);
  ASSERT_EQ(write(interrupt[1], "x", 1), 1);
  EXPECT_SQLSTATE("57014", waiter.nap(std::chrono::microseconds(1)));
}

} // namespace
} // namespace parallel_loader
