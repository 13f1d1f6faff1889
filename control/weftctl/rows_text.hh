// Rows of relations, as JSON lines and as tables for people.
#pragma once

#include "control/weft.pb.h"
#include "control/weftctl/text_table.hh"

#include <span>
#include <string>

namespace weft::ctl {

/// {"flow": {...}, "packets": "n", "bytes": "n"}: the row under its relation's name, and for flows
/// their counters. `all`: also owner, scope, version, generation and used_ms.
std::string row_json(const control::StoredRow& row, bool all);

/// The name of the row's relation; "" where it has none.
std::string relation_of(const control::Row& row);
/// The row's key in short: `flow 0 priority 100 ip4`, `port "p1"`.
std::string row_text(const control::Row& row);

/// A table for flows: columns are known before the first row, so any number of pages can be printed
/// one after the other.
class FlowsTable {
public:
    explicit FlowsTable(bool all);
    void add(const control::StoredRow& row);
    std::string take() { return table_.take(); }

private:
    bool all_;
    TextTable table_;
};

/// A table for rows of one other relation: a column for each field that any of them has a value in.
std::string rows_table(std::span<const control::StoredRow> rows, bool all);

/// `name`, with its bridge in front where that is not main.
std::string name_in(const std::string& bridge, const std::string& name);

/// A field's value for people: repeated ones joined, messages as field=value.
std::string
cell_text(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field);

} // namespace weft::ctl
