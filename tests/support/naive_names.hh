// Names in payloads said again, slowly: what pipeline/payload_names.cc and name_pattern.cc are held
// against.
#pragma once

#include "base/field.hh"
#include "pipeline/packet.hh"

#include <optional>
#include <string>

namespace weft::test {

struct NaiveName {
    FieldId field{};
    std::string text;
    friend bool operator==(const NaiveName&, const NaiveName&) = default;
};

/// Of the packet's bytes in its head; offsets and shape as parse left them.
std::optional<NaiveName> naive_name(const Packet& packet, std::uint16_t shape);

bool naive_matches(const std::string& pattern, const std::string& name);

} // namespace weft::test
