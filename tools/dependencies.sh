#!/usr/bin/env bash
# Installs by apt what weft needs on a fresh Debian 12. Does nothing where everything is already there.
# With `ovs` what ./run bench --vs ovs compares with instead.
set -euo pipefail

packages=(
    # compiler and build
    g++ meson ninja-build pkg-config ccache clang clang-format-14 libclang-rt-14-dev git ca-certificates
    # DPDK with its poll-mode drivers
    libdpdk-dev librte-meta-all dpdk dpdk-dev
    # libraries
    libboost-dev libprotobuf-dev protobuf-compiler libcli11-dev libspdlog-dev libfmt-dev libtomlplusplus-dev
    libexpected-dev nlohmann-json3-dev libpcap-dev libnuma-dev libjemalloc-dev libhyperscan-dev
    # tests and benchmarks
    libgtest-dev libgmock-dev libbenchmark-dev python3-pytest python3-scapy python3-protobuf python3-numpy
    # the demo and the end-to-end tests
    iproute2 iputils-ping curl ethtool iperf3 socat tcpdump util-linux procps
)
[ "${1:-}" = ovs ] && packages=(openvswitch-switch-dpdk openvswitch-switch openvswitch-common)

missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "run as root once, these packages are missing: ${missing[*]}" >&2; exit 1; }
    sudo="sudo"
fi
echo "installing ${#missing[@]} packages: ${missing[*]}"
log=$(mktemp)
{ $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || { tail -30 "$log"; exit 1; }
rm -f "$log"
