// The text language for matches and actions (docs/language.md), in both directions. The same
// everywhere: rows, command line, traces, documentation.
#pragma once

#include "base/result.hh"
#include "pipeline/action.hh"
#include "pipeline/match.hh"

#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// What a text may ask for, beyond match_terms_max.
struct LanguageLimits {
    static constexpr unsigned parentheses_max = 100;      // nested
    static constexpr unsigned combinations_max = 1 << 18; // of terms that one match joins with &&
    static constexpr unsigned clones_max = 16;            // nested
    static constexpr unsigned statements_max = 4'096;     // of one list, nested ones included
    static constexpr std::size_t name_bytes_max = 255;    // of a port
};

/// Parses a match and puts it into canonical form. Refuses with bad_match (not the language),
/// unknown_field, bad_value (does not fit, or says nothing sensible), too_many_terms. The sentence
/// begins with the place: `match column 12: "tcp.prot" is not a field; did you mean "ip.proto"?`
/// Pure; any thread. Time and memory are bounded by the text's length and the limits above,
/// whatever the text; the caller bounds the length.
Result<Match> parse_match(std::string_view text);

/// Parses a list of statements. Refuses with bad_actions, unknown_field, bad_value,
/// read_only_field, too_many_actions. Slices of views come as slices of the narrowest field that
/// holds them (vlan.vid as vlan.tci[0..11], xxreg0[0..31] as reg3).
Result<Actions> parse_actions(std::string_view text);

/// The canonical text: parse_match(print(m)) == m for every canonical m. Two matches print alike
/// only if they are equal.
std::string print(const Match& match);
/// Into `out`, in place of what is there: whoever prints many keeps its memory.
void print(const Match& match, std::string& out);
std::string print(const Actions& actions);
std::string print(const Action& action);
/// One term as it stands in a match; "1" for the empty one.
std::string print(const Term& term);
/// `reg0`, `reg0[3..7]`, `vlan.vid`.
std::string print(FieldSlice slice);

/// The checks of the language for structures that came another way (messages, importers): the
/// canonical form, or why it is refused. Any structure is safe to pass, whatever its numbers.
Result<Match> checked(std::vector<Term> terms);
Result<Actions> checked(Actions actions);

} // namespace weft
