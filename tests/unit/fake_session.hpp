// fake_session: a connection to a FakeServer that has admitted it.
#pragma once

#include "core/connection/connection.hpp"
#include "core/connection/poll_waiter.hpp"

#include "tests/unit/fake_server.hpp"

#include <functional>
#include <utility>

namespace parallel_loader::testing {

/// Its server runs `script` once it has admitted the client.
class FakeSession {
public:
  explicit FakeSession(std::function<void(FakeBackend &)> script, Server side = Server::kSource)
      : server_([script = std::move(script)](FakeBackend &fake) {
          fake.admit();
          script(fake);
        }),
        connection(Connection::open(server_.conninfo(), "test", side, waiter_)) {}

private:
  FakeServer server_;
  PollWaiter waiter_;

public:
  Connection connection;
};

} // namespace parallel_loader::testing
