#include "tests/oracle/spec.hh"

namespace weft::oracle {

const SpecPort* SpecBridge::find(PortNumber number) const {
    for (const SpecPort& port : ports)
        if (port.number == number && number != PortNumber::none)
            return &port;
    return nullptr;
}

const SpecPort* SpecBridge::find(const std::string& name) const {
    for (const SpecPort& port : ports)
        if (port.name == name)
            return &port;
    return nullptr;
}

const SpecPort* SpecWorld::find(PortId id, std::size_t* bridge) const {
    for (std::size_t i = 0; i < bridges.size(); ++i)
        for (const SpecPort& port : bridges[i].ports)
            if (port.id == id && id != PortId::none) {
                if (bridge != nullptr)
                    *bridge = i;
                return &port;
            }
    return nullptr;
}

} // namespace weft::oracle
