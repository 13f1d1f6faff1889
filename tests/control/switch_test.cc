#include "tests/control/engine.hh"
