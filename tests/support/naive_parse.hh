// The parser said again, slowly: one byte at a time, one field at a time through base/field.hh.
// What pipeline/parse.cc is held against.
#pragma once

#include "pipeline/parse.hh"

namespace weft::test {

struct NaiveParse {
    Drop drop = Drop::none;
    FlowKey key{}; // every word, as if the depth were all
    std::uint16_t l3_offset = 0, l4_offset = 0;
    std::uint8_t l2_bytes = 0;
};

/// Of the packet's bytes in its head; nothing of it is written.
NaiveParse naive_parse(const Packet& packet, PortNumber inport);

} // namespace weft::test
