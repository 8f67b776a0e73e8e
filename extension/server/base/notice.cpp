#include "extension/server/base/notice.hpp"

namespace parallel_loader {

static void report(int level, const char *message, const char *detail, const char *hint) {
  ereport(level,
          (errmsg_internal("%s", message), detail[0] != '\0' ? errdetail_internal("%s", detail) : 0,
           hint[0] != '\0' ? errhint("%s", hint) : 0));
}

void notice(const char *message, const char *detail, const char *hint) {
  report(NOTICE, message, detail, hint);
}

void warning(const char *message, const char *detail, const char *hint) {
  report(WARNING, message, detail, hint);
}

} // namespace parallel_loader
