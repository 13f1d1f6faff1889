// Edits as walks make them, at random: what a packet may have on its way out.
#pragma once

#include "pipeline/rewrite.hh"

#include <random>

namespace weft::test {

struct RandomEdit {
    Edit edit;
    FlowKey key; // the key that the walk ended with
};

/// Some of the writable header fields that `key` has, set to random values (mostly; sometimes to
/// what they were), and now and then tags popped and pushed. ICMPv6 type and code of neighbour
/// discovery stay: they decide which fields there are.
RandomEdit random_edit(const FlowKey& key, std::mt19937_64& random);

} // namespace weft::test
