// Packets out of fields: for every shape that parse can find, the bytes of a packet that has it.
#pragma once

#include "base/key.hh"
#include "pipeline/match.hh"
#include "tests/support/packets.hh"

#include <random>
#include <span>
#include <vector>

namespace weft::oracle {

using Random = std::mt19937_64;

/// A number below `count`, which is not 0.
std::size_t below(Random& random, std::size_t count);
/// True in `percent` of cases.
bool chance(Random& random, unsigned percent);

/// A packet whose header fields are those of `key`, with this many bytes behind its headers. Fields
/// that do not fit together are as the shape says: eth.type of IP is that of the version, ip.proto
/// that of the L4 kind. What parse() makes of these bytes is a key with the same header fields,
/// unless an IPv6 fragment or a lone ip.proto says otherwise.
test::Bytes packet_bytes(const FlowKey& key, std::size_t payload_bytes);

/// Values that rules ask for, field by field: random fields take one of them every other time.
class Values {
public:
    void add(const Match& match);
    void add(FieldId field, U128 value);
    U128 some(Random& random, const FieldInfo& field) const;

private:
    std::vector<std::vector<U128>> of_ = std::vector<std::vector<U128>>(field_count);
};

/// A key of a packet that can be, with random values in every field, and the term's where it says
/// something: packet_bytes() and setting the other fields give a packet that matches the term,
/// unless it asks for what no packet has.
FlowKey random_key(Random& random, const Values& values, const Term& term);

/// True for fields that parse() reads from the packet's bytes.
bool is_header_field(FieldId field);

} // namespace weft::oracle
