#include "extension/server/base/random_number.hpp"

namespace parallel_loader {

int64 random_number() {
  int64 number = 0;
  while (number == 0)
    if (!pg_strong_random(&number, sizeof(number)))
      elog(ERROR, "could not generate a random number");
  return number;
}

} // namespace parallel_loader
