// What the system says of a call that just failed.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace weft {

/// Of errno as it is now, such as "Connection refused". Any thread.
inline std::string system_says() {
    return std::generic_category().message(errno);
}

} // namespace weft
