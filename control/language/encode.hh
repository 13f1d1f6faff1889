// Matches and actions as bytes, for identity and digests.
#pragma once

#include "pipeline/action.hh"
#include "pipeline/match.hh"

#include <string>

namespace weft {

// Appends to `out`. Two structures give the same bytes only if they are equal; no encoding is the
// beginning of another; the bytes are the same in every process and version (fields and statements
// are numbered for ever). There is no way back: a structure's readable form is its text. Not for
// matches and actions that are not canonical: equal meanings would differ.
void encode(const Match& match, std::string& out);
void encode(const Actions& actions, std::string& out);

} // namespace weft
