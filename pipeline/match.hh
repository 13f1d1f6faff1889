// What a rule asks of a packet, in canonical form: any of some terms, each of them "all of these
// fields have these bits".
#pragma once

#include "base/field.hh"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// The name of a port, where there is one: one pointer, because a switch holds millions of
/// constraints and few of them name a port. A plain value; ordered as bytes.
class PortName {
public:
    PortName() noexcept = default;
    PortName(std::string_view name)
        : text_{name.empty() ? nullptr : std::make_unique<const std::string>(name)} {}
    PortName(const std::string& name) : PortName{std::string_view{name}} {}
    PortName(const char* name) : PortName{std::string_view{name}} {}
    PortName(const PortName& other) : PortName{other.view()} {}
    PortName(PortName&&) noexcept = default;
    PortName& operator=(const PortName& other) { return *this = PortName{other.view()}; }
    PortName& operator=(PortName&&) noexcept = default;
    ~PortName() = default;

    bool empty() const noexcept { return !text_; }
    std::string_view view() const noexcept { return text_ ? *text_ : std::string_view{}; }
    operator std::string_view() const noexcept { return view(); }
    friend bool operator==(const PortName& a, const PortName& b) noexcept {
        return a.view() == b.view();
    }
    friend bool operator==(const PortName& a, std::string_view b) noexcept { return a.view() == b; }
    friend auto operator<=>(const PortName& a, const PortName& b) noexcept {
        return a.view() <=> b.view();
    }

private:
    std::unique_ptr<const std::string> text_; // never an empty string
};

/// The field's bits under `mask` equal `value`. `value` has no bit outside `mask`, `mask` none
/// outside the field, and is not 0. Where `port` names the value (inport, outport), `value` is 0,
/// `mask` the whole field, and the number is found when the rule is made. So it is with a field
/// that is_name(): `port` is a canonical pattern (pipeline/name_pattern.hh), never empty.
struct FieldMatch {
    FieldId field{};
    U128 value{};
    U128 mask{};
    PortName port{};
    friend bool operator==(const FieldMatch&, const FieldMatch&) = default;
    friend auto operator<=>(const FieldMatch&, const FieldMatch&) = default;
};

/// All of the fields match. Sorted by field, each at most once, no views (xxreg0 is reg0..3);
/// `shape` carries every prerequisite of the others, so a packet that lacks a field never matches
/// it. Bits of the shape that must be set come with all that they imply (tcp with ip); bits that
/// must not be set only where nothing else of the term says so. An empty term matches every packet.
struct Term {
    std::vector<FieldMatch> fields;
    friend bool operator==(const Term&, const Term&) = default;
    friend auto operator<=>(const Term&, const Term&) = default;
};

/// Any of the terms matches. Sorted, without duplicates and without terms that another term
/// contains (where there are many terms under many masks some of these may stay: which ones depends
/// on the set of terms alone). `1` is one empty term; no terms match nothing.
struct Match {
    std::vector<Term> terms;
    friend bool operator==(const Match&, const Match&) = default;
};

/// The place of the only field in which the terms differ, as those of a range or of a set do;
/// nothing where there are several such fields, or terms alike.
std::optional<std::size_t> only_difference(const std::vector<Term>& terms) noexcept;

/// The same for equal matches in every process and version: the last of what decides between rows
/// of one priority (docs/decisions/0003).
std::uint64_t stable_hash(const Match& match) noexcept;

/// The terms of a match beyond which a row is refused (`too_many_terms`): ranges and sets of
/// several fields multiply.
inline constexpr std::size_t match_terms_max = 4'096;

/// What came of one more condition on a term.
enum class Added : std::uint8_t {
    possible,
    impossible, // no packet matches both; the term is spent
    mixed,      // one port by name and by number: a term cannot say that; the term is spent
    two_names,  // of one field, one of them a pattern: nor can it say that
};

/// Adds conditions to a term whose fields are sorted, with the prerequisites of the field; views
/// are split. `mask` lies in the field and may be 0: then only the prerequisites are asked for.
/// Bits of `value` outside `mask` do not count.
Added add(Term& term, const FieldInfo& field, U128 value, U128 mask);
/// A port's name, or a canonical pattern for a field that is_name(). A packet has one payload name:
/// of two fields, or of two exact names, none is possible.
Added add_port(Term& term, const FieldInfo& field, PortName name);
Added add_shape(Term& term, Shape set, Shape clear = Shape::none);
Added add(Term& term, const Term& other);

/// `bits` and all that they imply: tcp implies ip, nd implies icmp6, ip6 and ip.
Shape implied(Shape bits) noexcept;

/// Puts `terms` into canonical form: adds each field's prerequisites to its shape, splits views,
/// sorts, removes duplicates, contained and contradictory terms. A term that names one port both by
/// name and by number is a bug of the caller. Cost: some 100 ns per field, and n log n comparisons.
Match canonical(std::vector<Term> terms);
/// The same for terms that were made with add() alone.
Match canonical_of_added(std::vector<Term> terms);

} // namespace weft
