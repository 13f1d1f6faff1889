// The rules of the language that do not depend on the text: what parsers and messages have in
// common.
#pragma once

#include "base/result.hh"
#include "pipeline/action.hh"
#include "pipeline/match.hh"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace weft::language {

/// Each is the reason why something is refused, or nothing. The sentences have no place in them.
std::optional<Error> port_name_error(std::string_view name);
/// A port's name as the value of `field`.
std::optional<Error> port_value_error(FieldSlice field, std::string_view name);
/// A pattern of names as the value of `field` (tls.sni, http.host, dns.qname): its canonical text.
Result<std::string> name_value(FieldSlice field, std::string_view text);
/// What conditions on one term that exclude each other in the language are refused with.
std::string_view why_not(Added added) noexcept;
/// `value` in the bits of `slice`. As written: "70000 does not fit tcp.dst, which has 16 bits".
std::optional<Error> fit_error(U128 value, FieldSlice slice);
/// Actions may write there; `in_exec`: inside ct(..., exec { }).
std::optional<Error> write_error(FieldSlice to, bool in_exec);
std::optional<Error> width_error(FieldSlice from, FieldSlice to);
/// One statement; of nested ones only what the outer one says about them.
std::optional<Error> statement_error(const Action& action, bool in_exec);
/// A list as a whole: a rule with conjunctions has nothing else, `nested` ones have none.
std::optional<Error> list_error(const Actions& actions, bool nested);

} // namespace weft::language
