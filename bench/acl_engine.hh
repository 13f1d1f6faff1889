// DPDK's rte_acl on ClassBench filters, beside which classifier_bench measures.
#pragma once

#include "base/lanes.hh"
#include "bench/classbench.hh"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct rte_acl_ctx;

namespace weft::bench {

/// Needs a running EAL (start_eal()). One category, AVX2.
class AclEngine {
public:
    /// A header as it reads it: fields in the order of the network.
    struct Input {
        std::uint8_t proto;
        std::uint8_t rest[3];
        std::uint32_t src, dst;
        std::uint16_t src_port, dst_port;
    };

    static void start_eal();
    static Input input_of(const Header& header) noexcept;

    /// Adds the rules and builds; false where the library cannot, error() says why.
    bool build(const std::vector<Filter>& filters);
    const std::string& error() const noexcept { return error_; }
    /// The first filter that matches each header, plus 1, or 0.
    void lookup(const Input* headers, std::uintptr_t* answers) const noexcept;
    std::uint64_t memory_bytes() const noexcept { return bytes_; } // of what lookups read

private:
    struct Free {
        void operator()(rte_acl_ctx* context) const noexcept;
    };
    std::unique_ptr<rte_acl_ctx, Free> context_;
    std::string error_;
    std::uint64_t bytes_ = 0;
};
static_assert(sizeof(AclEngine::Input) == 16);

} // namespace weft::bench
