#include "bench/acl_engine.hh"

#include <rte_acl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace weft::bench {

namespace {

constexpr std::uint8_t tcp = 6, udp = 17;
constexpr std::size_t fields = 5;
RTE_ACL_RULE_DEF(Rule, fields);

std::uint64_t allocated() {
    rte_malloc_socket_stats stats{};
    return rte_malloc_get_socket_stats(0, &stats) == 0 ? stats.heap_allocsz_bytes : 0;
}

rte_acl_config config() {
    using Input = AclEngine::Input;
    rte_acl_config made{};
    made.num_categories = 1;
    made.num_fields = fields;
    const auto field = [&](std::uint8_t number,
                           std::uint8_t type,
                           std::uint8_t bytes,
                           std::uint8_t input,
                           std::size_t offset) {
        made.defs[number] = {type, bytes, number, input, static_cast<std::uint32_t>(offset)};
    };
    field(0, RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, offsetof(Input, proto));
    field(1, RTE_ACL_FIELD_TYPE_MASK, 4, 1, offsetof(Input, src));
    field(2, RTE_ACL_FIELD_TYPE_MASK, 4, 2, offsetof(Input, dst));
    field(3, RTE_ACL_FIELD_TYPE_RANGE, 2, 3, offsetof(Input, src_port));
    field(4, RTE_ACL_FIELD_TYPE_RANGE, 2, 3, offsetof(Input, dst_port));
    return made;
}

Rule rule_of(const Filter& filter, std::uint8_t proto, std::uint8_t proto_mask) {
    Rule rule{};
    rule.field[0].value.u8 = proto;
    rule.field[0].mask_range.u8 = proto_mask;
    rule.field[1].value.u32 = filter.src;
    rule.field[1].mask_range.u32 = filter.src_bits;
    rule.field[2].value.u32 = filter.dst;
    rule.field[2].mask_range.u32 = filter.dst_bits;
    rule.field[3].value.u16 = filter.src_port[0];
    rule.field[3].mask_range.u16 = filter.src_port[1];
    rule.field[4].value.u16 = filter.dst_port[0];
    rule.field[4].mask_range.u16 = filter.dst_port[1];
    return rule;
}

/// As patterns_of() does it: ports are those of TCP and UDP.
std::vector<Rule> rules_of(const Filter& filter) {
    if (filter.any_port())
        return {rule_of(filter, filter.proto, filter.any_proto ? 0 : 0xff)};
    std::vector<Rule> rules;
    for (const std::uint8_t proto : {tcp, udp})
        if (filter.any_proto || filter.proto == proto)
            rules.push_back(rule_of(filter, proto, 0xff));
    return rules;
}

} // namespace

void AclEngine::start_eal() {
    char program[] = "classifier_bench", no_huge[] = "--no-huge", memory[] = "-m",
         megabytes[] = "4096", no_pci[] = "--no-pci", no_conf[] = "--no-shconf",
         lcores[] = "--lcores=0", quiet[] = "--log-level=4";
    char* arguments[] = {program, no_huge, memory, megabytes, no_pci, no_conf, lcores, quiet};
    if (rte_eal_init(8, arguments) < 0) {
        std::fputs("classifier_bench: rte_eal_init\n", stderr);
        std::exit(1);
    }
}

AclEngine::Input AclEngine::input_of(const Header& header) noexcept {
    const bool has_ports = header.proto == tcp || header.proto == udp;
    const auto port = [&](std::uint16_t number) {
        return has_ports ? __builtin_bswap16(number) : std::uint16_t{0};
    };
    return {
        .proto = header.proto,
        .rest = {},
        .src = __builtin_bswap32(header.src),
        .dst = __builtin_bswap32(header.dst),
        .src_port = port(header.src_port),
        .dst_port = port(header.dst_port)};
}

void AclEngine::Free::operator()(rte_acl_ctx* context) const noexcept {
    rte_acl_free(context);
}

bool AclEngine::build(const std::vector<Filter>& filters) {
    std::vector<Rule> rules;
    for (std::size_t i = 0; i < filters.size(); ++i)
        for (Rule rule : rules_of(filters[i])) {
            rule.data.category_mask = 1;
            rule.data.priority = static_cast<std::int32_t>(filters.size() - i);
            rule.data.userdata = static_cast<std::uint32_t>(i + 1);
            rules.push_back(rule);
        }
    rte_acl_param parameters{};
    parameters.name = "bench";
    parameters.socket_id = 0;
    parameters.rule_size = RTE_ACL_RULE_SZ(fields);
    parameters.max_rule_num = static_cast<std::uint32_t>(rules.size());
    context_.reset(rte_acl_create(&parameters));
    const rte_acl_config how = config();
    const std::uint64_t before = allocated();
    int failed = context_ == nullptr ? -rte_errno : 0;
    if (failed == 0)
        failed = rte_acl_add_rules(
            context_.get(),
            reinterpret_cast<const rte_acl_rule*>(rules.data()),
            static_cast<std::uint32_t>(rules.size())
        );
    if (failed == 0)
        failed = rte_acl_build(context_.get(), &how);
    if (failed == 0)
        failed = rte_acl_set_ctx_classify(context_.get(), RTE_ACL_CLASSIFY_AVX2);
    bytes_ = allocated() - before;
    if (failed != 0)
        error_ = rte_strerror(-failed);
    return failed == 0;
}

void AclEngine::lookup(const Input* headers, std::uintptr_t* answers) const noexcept {
    std::array<const std::uint8_t*, burst_max> data;
    std::array<std::uint32_t, burst_max> found{};
    for (std::size_t lane = 0; lane < burst_max; ++lane)
        data[lane] = reinterpret_cast<const std::uint8_t*>(headers + lane);
    rte_acl_classify(context_.get(), data.data(), found.data(), burst_max, 1);
    std::copy(found.begin(), found.end(), answers);
}

} // namespace weft::bench
