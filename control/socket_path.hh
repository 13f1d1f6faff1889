// Where the control socket is when nobody says.
#pragma once

#include "base/result.hh"

#include <string>

namespace weft {

/// For a daemon: /run/weft/control.sock as root, else $XDG_RUNTIME_DIR/weft/control.sock. Fails
/// where a user has no such directory.
Result<std::string> default_socket_to_open();

/// For a client: $WEFT_SOCKET, else a daemon of this user where its socket is there, else the
/// machine's.
std::string default_socket_to_call();

/// Makes the directory of the socket where it is not there, for us and our group; what is above it
/// must be there. Fails with one sentence.
Result<void> make_socket_directory(const std::string& path);

} // namespace weft
