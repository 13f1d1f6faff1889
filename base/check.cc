#include "base/check.hh"

#include <cstdio>
#include <cstdlib>

namespace weft {

void check_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "%s:%d: bug: check(%s) failed\n", file, line, condition);
    std::abort();
}

} // namespace weft
