#include "control/leases.hh"

namespace weft {

namespace {

std::string scope_named(std::string_view scope) {
    return scope.empty() ? std::string{"the scope without a name"}
                         : "scope \"" + std::string{scope} + "\"";
}

tl::unexpected<Error> fenced(std::string_view scope, std::uint64_t given, std::uint64_t newest) {
    return fail(
        "fenced",
        scope_named(scope) + ": fence " + std::to_string(given) + " is not that of its lease, " +
            std::to_string(newest)
    );
}

} // namespace

Result<std::uint64_t> Leases::ask(const Asked& asked, std::uint64_t now_ms) {
    if (asked.ttl_ms > ttl_ms_max)
        return fail(
            "out_of_range",
            "ttl_ms " + std::to_string(asked.ttl_ms) + " is above " + std::to_string(ttl_ms_max)
        );
    const auto found = leases_.find(asked.scope);
    if (asked.fence != 0) {
        const std::uint64_t newest = found == leases_.end() ? 0 : found->second.fence;
        if (newest != asked.fence || found->second.client != asked.client)
            return fenced(asked.scope, asked.fence, newest);
        found->second.until_ms = asked.ttl_ms == 0 ? 0 : now_ms + asked.ttl_ms;
        return asked.fence;
    }
    if (asked.ttl_ms == 0)
        return fail("bad_value", "to give a lease up takes its fence");
    if (found != leases_.end() && found->second.until_ms > now_ms &&
        found->second.client != asked.client)
        return fail(
            "lease_held",
            scope_named(asked.scope) + " is leased by client \"" + found->second.client +
                "\" for " + std::to_string(found->second.until_ms - now_ms) + " ms more"
        );
    if (found == leases_.end() && leases_.size() >= scopes_max)
        return fail(
            "busy", std::to_string(scopes_max) + " scopes have had leases already: no more may"
        );
    Lease& lease = leases_[asked.scope];
    lease.client = asked.client;
    lease.until_ms = now_ms + asked.ttl_ms;
    return ++lease.fence;
}

std::optional<Error>
Leases::refusal(std::string_view scope, std::uint64_t fence, std::uint64_t now_ms) const {
    const auto found = leases_.find(scope);
    if (found == leases_.end())
        return fence == 0 ? std::nullopt : std::optional{fenced(scope, fence, 0).value()};
    const Lease& lease = found->second;
    if (fence != 0)
        return fence == lease.fence ? std::nullopt
                                    : std::optional{fenced(scope, fence, lease.fence).value()};
    if (lease.until_ms <= now_ms)
        return std::nullopt;
    return Error{
        "fenced",
        scope_named(scope) + " is leased by client \"" + lease.client +
            "\": a transaction needs its fence"};
}

} // namespace weft
