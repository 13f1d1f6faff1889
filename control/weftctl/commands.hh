// What each command does: asks weftd, prints the answer, says what to end with.
#pragma once

#include "control/weftctl/arguments.hh"

namespace weft::ctl {

Exit run(const Arguments& arguments, const Apply& apply);
Exit run(const Arguments& arguments, const Dump& dump);
Exit run(const Arguments& arguments, const Watch& watch);
Exit run(const Arguments& arguments, const Trace& trace);
Exit run(const Arguments& arguments, const Stats& stats);
Exit run(const Arguments& arguments, const Drops& drops);
Exit run(const Arguments& arguments, const Pending& pending);
Exit run(const Arguments& arguments, const Explain& explain);
Exit run(const Arguments& arguments, const PortAdd& port);
Exit run(const Arguments& arguments, const PortDel& port);
Exit run(const Arguments& arguments, const PortList& ports);
Exit run(const Arguments& arguments, const Barrier& barrier);
Exit run(const Arguments& arguments, const Release& release);
Exit run(const Arguments& arguments, const ClockAdvance& clock);
Exit run(const Arguments& arguments, const PacketOut& packet_out);
Exit run(const Arguments& arguments, const Digest& digest);
Exit run(const Arguments& arguments, const Sweep& sweep);
Exit run(const Arguments& arguments, const Hello& hello);
Exit run(const Arguments& arguments, const Status& status);
Exit run(const Arguments& arguments, const Version& version);
Exit run(const Arguments& arguments, const Top& top);

} // namespace weft::ctl
