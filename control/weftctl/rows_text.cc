#include "control/weftctl/rows_text.hh"

#include "control/codec_json.hh"

#include <algorithm>
#include <google/protobuf/descriptor.h>
#include <utility>

namespace weft::ctl {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

/// The message of the row's relation; null where there is none.
const Message* body_of(const control::Row& row, const FieldDescriptor** relation) {
    const auto* all = row.GetReflection();
    *relation = all->GetOneofFieldDescriptor(row, row.GetDescriptor()->oneof_decl(0));
    return *relation == nullptr ? nullptr : &all->GetMessage(row, *relation);
}

std::string scalar_text(const Message& message, const FieldDescriptor& field, int index) {
    const auto* all = message.GetReflection();
    const bool many = field.is_repeated();
    switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
        return many ? all->GetRepeatedString(message, &field, index)
                    : all->GetString(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
        return all->GetBool(message, &field) ? "yes" : "no";
    case FieldDescriptor::CPPTYPE_UINT32:
        return std::to_string(
            many ? all->GetRepeatedUInt32(message, &field, index) : all->GetUInt32(message, &field)
        );
    case FieldDescriptor::CPPTYPE_UINT64:
        return std::to_string(all->GetUInt64(message, &field));
    default:
        return "?";
    }
}

std::string message_text(const Message& message) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    std::string text;
    for (const FieldDescriptor* field : fields)
        text += (text.empty() ? "" : " ") + field->name() + "=" + cell_text(message, *field);
    return text;
}

std::string bridge_text(const std::string& bridge) {
    return bridge.empty() ? "main" : bridge;
}

bool has_value(const Message& message, const FieldDescriptor& field) {
    const auto* all = message.GetReflection();
    if (field.is_repeated())
        return all->FieldSize(message, &field) > 0;
    if (field.name() == "bridge") // main goes without saying
        return bridge_text(all->GetString(message, &field)) != "main";
    return all->HasField(message, &field);
}

bool is_always_shown(std::string_view name) {
    constexpr std::string_view names[] = {
        "name", "number", "state", "table", "group", "meter", "mac", "port"};
    return std::ranges::find(names, name) != std::end(names);
}

Align align_of(const FieldDescriptor& field) {
    const bool is_number = field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32 ||
                           field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
    return is_number && !field.is_repeated() ? Align::right : Align::left;
}

/// What FlowsTable and rows_table() show of any row with --all.
void add_stored_columns(std::vector<Column>& columns) {
    columns.push_back({"owner"});
    columns.push_back({"scope"});
    columns.push_back({"version", Align::right});
    columns.push_back({"generation", Align::right});
}

void add_stored_cells(std::vector<std::string>& cells, const control::StoredRow& row) {
    cells.push_back(row.owner());
    cells.push_back(row.scope());
    cells.push_back(std::to_string(row.version()));
    cells.push_back(std::to_string(row.generation()));
}

std::vector<Column> flow_columns(bool all) {
    std::vector<Column> columns{
        {"table", Align::right},
        {"priority", Align::right},
        {"packets", Align::right},
        {"bytes", Align::right}};
    if (all) {
        columns.push_back({"cookie", Align::right});
        columns.push_back({"idle s", Align::right});
        columns.push_back({"hard s", Align::right});
        add_stored_columns(columns);
    }
    columns.push_back({"match"});
    columns.push_back({"actions"});
    return columns;
}

} // namespace

std::string cell_text(const Message& message, const FieldDescriptor& field) {
    const auto* all = message.GetReflection();
    if (!field.is_repeated())
        return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE
                   ? message_text(all->GetMessage(message, &field))
                   : scalar_text(message, field, 0);
    std::string text;
    for (int i = 0; i < all->FieldSize(message, &field); ++i)
        if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
            text += (i == 0 ? "{" : " {") +
                    message_text(all->GetRepeatedMessage(message, &field, i)) + "}";
        else
            text += (i == 0 ? "" : ",") + scalar_text(message, field, i);
    return text;
}

std::string row_json(const control::StoredRow& row, bool all) {
    const FieldDescriptor* relation = nullptr;
    const Message* body = body_of(row.row(), &relation);
    if (body == nullptr)
        return "{}";
    std::string text = "{\"" + relation->name() + "\": " + to_json(*body);
    if (all) {
        control::StoredRow rest = row;
        rest.clear_row();
        return text + ", " + to_json(rest).substr(1);
    }
    if (row.row().has_flow())
        text += ", \"packets\": \"" + std::to_string(row.packets()) + "\", \"bytes\": \"" +
                std::to_string(row.bytes()) + '"';
    return text + "}";
}

std::string relation_of(const control::Row& row) {
    const FieldDescriptor* relation = nullptr;
    return body_of(row, &relation) == nullptr ? std::string{} : relation->name();
}

std::string row_text(const control::Row& row) {
    if (row.has_flow())
        return "flow table " + std::to_string(row.flow().table()) + " priority " +
               std::to_string(row.flow().priority()) + ": " + row.flow().match();
    if (row.has_table())
        return "table " + std::to_string(row.table().table());
    if (row.has_group())
        return "group " + std::to_string(row.group().group());
    if (row.has_meter())
        return "meter " + std::to_string(row.meter().meter());
    const FieldDescriptor* relation = nullptr;
    const Message* body = body_of(row, &relation);
    if (body == nullptr)
        return "?";
    const FieldDescriptor* name = body->GetDescriptor()->FindFieldByName("name");
    return relation->name() + (name == nullptr ? "" : " \"" + cell_text(*body, *name) + "\"");
}

std::string name_in(const std::string& bridge, const std::string& name) {
    return bridge.empty() || bridge == "main" ? name : bridge + "/" + name;
}

FlowsTable::FlowsTable(bool all) : all_{all}, table_{flow_columns(all)} {}

void FlowsTable::add(const control::StoredRow& row) {
    const control::Flow& flow = row.row().flow();
    std::vector<std::string> cells{
        name_in(flow.bridge(), std::to_string(flow.table())),
        std::to_string(flow.priority()),
        std::to_string(row.packets()),
        std::to_string(row.bytes())};
    if (all_) {
        cells.push_back(std::to_string(flow.cookie()));
        cells.push_back(std::to_string(flow.idle_timeout_s()));
        cells.push_back(std::to_string(flow.hard_timeout_s()));
        add_stored_cells(cells, row);
    }
    cells.push_back(flow.match());
    cells.push_back(flow.actions());
    table_.add(std::move(cells));
}

std::string rows_table(std::span<const control::StoredRow> rows, bool all) {
    if (rows.empty())
        return {};
    const FieldDescriptor* relation = nullptr;
    const Message* first = body_of(rows.front().row(), &relation);
    if (first == nullptr)
        return {};
    std::vector<const FieldDescriptor*> shown;
    std::vector<Column> columns;
    for (int i = 0; i < first->GetDescriptor()->field_count(); ++i) {
        const FieldDescriptor* field = first->GetDescriptor()->field(i);
        const bool is_used = std::ranges::any_of(rows, [&](const control::StoredRow& row) {
            const Message* body = body_of(row.row(), &relation);
            return body != nullptr && has_value(*body, *field);
        });
        if (!is_used && !is_always_shown(field->name()))
            continue;
        shown.push_back(field);
        columns.push_back({field->name(), align_of(*field)});
    }
    if (all)
        add_stored_columns(columns);
    TextTable table{std::move(columns)};
    for (const control::StoredRow& row : rows) {
        const Message* body = body_of(row.row(), &relation);
        std::vector<std::string> cells;
        for (const FieldDescriptor* field : shown)
            cells.push_back(
                field->name() == "bridge" ? bridge_text(cell_text(*body, *field))
                : has_value(*body, *field) || align_of(*field) == Align::right
                    ? cell_text(*body, *field)
                    : "-"
            );
        if (all)
            add_stored_cells(cells, row);
        table.add(std::move(cells));
    }
    return table.take();
}

} // namespace weft::ctl
