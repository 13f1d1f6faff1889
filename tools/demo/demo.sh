#!/usr/bin/env bash
# The switch at work: three VMs (network namespaces), one weftd, a controller that sends deltas. Leaves nothing behind.
# Everything happens in namespaces of its own, as root as well as for an ordinary user, who is root in a user namespace.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${WEFT_BUILD:-$(cd "$here/../.." && pwd)/build}
for program in weftd weftctl; do
    [ -x "$build/$program" ] || { echo "demo: $build/$program is not built: ./run build" >&2; exit 1; }
done

if [ "${1:-}" != --inside ]; then
    spaces=(--net --mount --pid --fork --kill-child)
    [ "$(id -u)" -eq 0 ] || spaces+=(--user --map-root-user)
    unshare "${spaces[@]}" true 2>/dev/null || {
        echo "demo: this system lets user $(id -un) make no namespaces: run it as root" >&2
        exit 1
    }
    exec unshare "${spaces[@]}" "$0" --inside
fi

# Here everything is private: names of namespaces (/run), processes, interfaces.
mount -t tmpfs none /run
mount -t proc none /proc
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip link set lo up
export PYTHONDONTWRITEBYTECODE=1 WEFT_BUILD=$build
exec /usr/bin/python3 "$here/demo.py"
