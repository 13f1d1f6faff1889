// Who may change a scope's rows while several controllers could: one at a time, by a fence that
// grows with every holder.
#pragma once

#include "base/result.hh"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

/// A scope that was never leased is anybody's. While a lease is held, changes of its rows carry its
/// fence; a change that carries an older one is refused also after the lease ran out. Control
/// thread only.
class Leases {
public:
    static constexpr std::size_t scopes_max = 4'096;
    static constexpr std::uint32_t ttl_ms_max = 3'600'000;

    struct Asked {
        std::string scope;
        std::string client;
        std::uint32_t ttl_ms = 0; // 0: gives it up
        std::uint64_t fence = 0;  // renews; 0: takes it
    };
    /// The fence of the lease, where `asked` has it now (or gave it up). Refuses with lease_held
    /// (by another client, for so much longer), fenced (somebody took it since), out_of_range,
    /// busy.
    Result<std::uint64_t> ask(const Asked& asked, std::uint64_t now_ms);

    /// Why a change of `scope` that carries `fence` (0: none) is refused; nothing where it is not.
    std::optional<Error>
    refusal(std::string_view scope, std::uint64_t fence, std::uint64_t now_ms) const;
    bool none() const noexcept { return leases_.empty(); }

private:
    struct Lease {
        std::uint64_t fence = 0;
        std::uint64_t until_ms = 0;
        std::string client;
    };
    std::map<std::string, Lease, std::less<>>
        leases_; // also those that ran out: their fences count
};

} // namespace weft
