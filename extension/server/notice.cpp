// notice: see notice.hpp.
#include "extension/server/notice.hpp"

namespace parallel_loader {

void notice(const char *message, const char *detail, const char *hint) {
  ereport(NOTICE,
          (errmsg_internal("%s", message), detail[0] != '\0' ? errdetail_internal("%s", detail) : 0,
           hint[0] != '\0' ? errhint("%s", hint) : 0));
}

} // namespace parallel_loader
