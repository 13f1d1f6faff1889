// The specification of a walk: a recursive interpreter of actions as they were written, one packet
// at a time, slow and obvious. It shares with the engine the fields of the key and nothing else.
#pragma once

#include "base/drop.hh"
#include "base/key.hh"
#include "pipeline/story.hh"
#include "tests/oracle/spec.hh"
#include "tests/support/naive_names.hh"

#include <cstdint>
#include <optional>
#include <vector>

namespace weft::oracle {

/// What a packet does one after the other; the names are those of the engine's story.
struct Step {
    StoryStep::What what{};
    Drop reason = Drop::none; // drop, end
    std::size_t depth = 0;
    std::size_t bridge = 0;         // lookup, miss
    std::uint32_t table = 0;        // lookup, miss
    const SpecRule* rule = nullptr; // lookup
    const Action* action = nullptr; // action
    PortId port = PortId::none;     // output, patch, punt
    std::uint32_t number = 0;       // group number, bucket index
};

/// The VLAN tags of a packet, outermost first, against those that it came with.
struct Tags {
    struct Tag {
        bool received = false;
        std::uint16_t tpid = 0; // of a pushed one
    };
    std::vector<Tag> tag;   // at most two
    std::size_t popped = 0; // received ones that are gone
    friend bool operator==(const Tags&, const Tags&) = default;

    std::size_t pushed() const {
        std::size_t count = 0;
        for (const Tag& one : tag)
            count += one.received ? 0 : 1;
        return count;
    }
};
bool operator==(const Tags::Tag& a, const Tags::Tag& b);

struct Outcome {
    enum class Kind : std::uint8_t { output, punt, drop } kind{};
    Drop reason = Drop::none;
    PortId port = PortId::none;
    std::uint32_t table = 0;
    std::uint32_t max_bytes = 0;
    std::uint64_t cookie = 0; // punt
    const action::Controller* punt = nullptr;
    FlowKey key; // as it is sent
    Tags tags;
};

struct Walk {
    std::vector<Step> steps;
    std::vector<Outcome> effects; // in order; a walk without any has one drop for the last reason
    std::vector<const SpecRule*> hits;
    FlowKey key; // at the end
};

struct Asked {
    std::size_t bridge = 0;
    PortId ingress = PortId::none;       // what punts say
    FlowKey key;                         // as parsed, inport included
    std::optional<test::NaiveName> name; // in the payload
    std::uint32_t bytes = 0;             // of the whole packet
    const Actions* first = nullptr;      // packet-out: instead of table 0
};

Walk interpret(const SpecWorld& world, const Links& links, const Asked& asked);

} // namespace weft::oracle
