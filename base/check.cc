#include "base/check.hh"

#include <cstdio>
#include <cstdlib>

namespace weft {

void check_failed(const char* function, const char* file, int line) noexcept {
    std::fprintf(stderr, "%s:%d: bug: check failed in %s\n", file, line, function);
    std::abort();
}

} // namespace weft
