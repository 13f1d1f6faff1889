// TOML to Config. Switch settings are a list of (key, reader); rows go by the fields of their
// message, so that a field added to the schema is a key here.
#include "control/config.hh"

#include "control/config_rows.hh"
#include "control/file.hh"

#define TOML_EXCEPTIONS 0
#include <algorithm>
#include <charconv>
#include <functional>
#include <google/protobuf/descriptor.h>
#include <iterator>
#include <limits>
#include <toml++/toml.h>
#include <type_traits>
#include <utility>

namespace weft {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::size_t config_bytes_max = std::size_t{64} << 20;

/// Reads one file; every failure says where.
class Reader {
public:
    explicit Reader(const std::string& file) : file_{file} {}

    Result<Config> read(const toml::table& root);

private:
    using Setter = std::function<Result<void>(const toml::node&)>;
    struct Key {
        std::string_view name;
        Setter set;
    };

    tl::unexpected<Error> wrong(const toml::node& node, const std::string& what) const {
        return wrong(node.source().begin, what);
    }
    tl::unexpected<Error> wrong(toml::source_position at, const std::string& what) const {
        return fail(
            "bad_config",
            file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + what
        );
    }
    std::string where(const toml::node& node) const {
        return file_ + ":" + std::to_string(node.source().begin.line);
    }

    template <class Number>
    Key number(
        std::string_view name,
        Number& value,
        std::uint64_t least,
        std::uint64_t most = std::numeric_limits<Number>::max()
    );
    Key text(std::string_view name, std::string& value);
    Result<void> settings(
        const toml::node& node, const std::string& section, const std::vector<Key>& keys
    ) const;
    Result<void> read_switch(const toml::node& node);
    Result<void> check_workers(const toml::node& node) const;
    Result<void> read_limits(const toml::node& node);
    Result<void> read_cores(const toml::node& node);
    Result<void> read_rows(const FieldDescriptor& relation, const toml::node& node);
    Result<void> fill(Message& message, const toml::table& table, const std::string& path) const;
    Result<void>
    set(Message& message,
        const FieldDescriptor& field,
        const toml::node& node,
        const std::string& path) const;
    Result<void> set_message(
        Message& message,
        const FieldDescriptor& field,
        const toml::node& node,
        const std::string& path
    ) const;

    std::string file_;
    Config config_;
};

template <class Number>
Reader::Key
Reader::number(std::string_view name, Number& value, std::uint64_t least, std::uint64_t most) {
    return {name, [this, name, &value, least, most](const toml::node& node) -> Result<void> {
                const auto read = node.value_exact<std::int64_t>();
                if (!read || *read < 0 || static_cast<std::uint64_t>(*read) < least ||
                    static_cast<std::uint64_t>(*read) > most)
                    return wrong(
                        node,
                        std::string{name} + " must be a number from " + std::to_string(least) +
                            " to " + std::to_string(most)
                    );
                value = static_cast<Number>(*read);
                return {};
            }};
}

Reader::Key Reader::text(std::string_view name, std::string& value) {
    return {name, [this, name, &value](const toml::node& node) -> Result<void> {
                const auto read = node.value_exact<std::string>();
                if (!read)
                    return wrong(node, std::string{name} + " must be a string");
                value = *read;
                return {};
            }};
}

Result<void> Reader::settings(
    const toml::node& node, const std::string& section, const std::vector<Key>& keys
) const {
    const auto* table = node.as_table();
    if (table == nullptr)
        return wrong(node, section + " must be a table: [" + section + "]");
    for (const auto& [name, value] : *table) {
        const auto key = std::ranges::find(keys, name.str(), &Key::name);
        if (key == keys.end()) {
            std::string names;
            for (const Key& known : keys)
                names += (names.empty() ? "" : ", ") + std::string{known.name};
            return wrong(
                name.source().begin,
                section + "." + std::string{name.str()} + " is unknown: [" + section + "] has " +
                    names
            );
        }
        if (auto done = key->set(value); !done)
            return done;
    }
    return {};
}

Result<void> Reader::read_cores(const toml::node& node) {
    std::string list;
    if (const auto text = node.value_exact<std::string>())
        list = *text;
    else if (const auto* array = node.as_array())
        for (const toml::node& element : *array) {
            const auto core = element.value_exact<std::int64_t>();
            if (!core)
                return wrong(element, "cores must be numbers, or a string such as \"2-5,18\"");
            list += (list.empty() ? "" : ",") + std::to_string(*core);
        }
    else
        return wrong(node, "cores must be a string such as \"2-5,18\", or an array of numbers");
    auto cores = parse_cores(list);
    if (!cores)
        return wrong(node, cores.error().what);
    config_.cores = std::move(*cores);
    return {};
}

Result<void> Reader::read_switch(const toml::node& node) {
    const Setter level = [this](const toml::node& value) -> Result<void> {
        const auto name = value.value_exact<std::string>();
        if (!name)
            return wrong(value, "log_level must be a string");
        const auto severity = severity_from(*name);
        if (!severity)
            return wrong(value, severity.error().what);
        config_.log_level = *severity;
        return {};
    };
    const Setter eal = [this](const toml::node& value) -> Result<void> {
        const auto* array = value.as_array();
        if (array == nullptr)
            return wrong(value, "eal must be an array of strings");
        for (const toml::node& element : *array) {
            const auto arg = element.value_exact<std::string>();
            if (!arg)
                return wrong(element, "eal must be an array of strings");
            config_.eal_args.push_back(*arg);
        }
        return {};
    };
    return settings(
        node,
        "switch",
        {text("node", config_.node),
         text("socket", config_.socket),
         text("read_only_socket", config_.read_only_socket),
         {"cores", [this](const toml::node& value) { return read_cores(value); }},
         number("workers", config_.workers, 1, 64),
         number("memory_mb", config_.memory_mb, 0, 1'048'576),
         number("worker_buffers", config_.worker_buffers, 256, 4'194'304),
         {"log_level", level},
         {"eal", eal}}
    );
}

Result<void> Reader::check_workers(const toml::node& node) const {
    const auto* table = node.as_table();
    if (table->contains("cores") && table->contains("workers"))
        return wrong(node, "switch has cores and workers: one of them says it all");
    return {};
}

Result<void> Reader::read_limits(const toml::node& node) {
    TableLimits& limits = config_.limits;
    return settings(
        node,
        "limits",
        {number("ports", limits.ports, 1, 1'000'000),
         number("groups", limits.groups, 1, 16'000'000),
         number("meters", limits.meters, 1, 16'000'000),
         number("tables", limits.tables, 1, 1'000'000),
         number("bridges", limits.bridges, 1, 65'535),
         number("rules", limits.rules, 1, 1'000'000'000),
         number("macs_per_bridge", limits.macs_per_bridge, 1, 16'000'000)}
    );
}

Result<void> Reader::set_message(
    Message& message, const FieldDescriptor& field, const toml::node& node, const std::string& path
) const {
    const auto* table = node.as_table();
    if (table == nullptr)
        return wrong(node, path + " must be a table");
    Message* inner = message.GetReflection()->AddMessage(&message, &field);
    return fill(*inner, *table, path);
}

Result<void> Reader::set(
    Message& message, const FieldDescriptor& field, const toml::node& node, const std::string& path
) const {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
        return set_message(message, field, node, path);
    // A value of the right type, as text: one set of range checks for the file and the command
    // line.
    std::string text;
    const auto number = node.value_exact<std::int64_t>();
    const auto string = node.value_exact<std::string>();
    const auto boolean = node.value_exact<bool>();
    switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
        if (!string)
            return wrong(node, path + " must be a string");
        text = *string;
        break;
    case FieldDescriptor::CPPTYPE_BOOL:
        if (!boolean)
            return wrong(node, path + " must be true or false");
        text = *boolean ? "true" : "false";
        break;
    default:
        // TOML's integers end at 2^63 - 1: larger ones may stand in quotes.
        if (!number && !(string && field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64))
            return wrong(node, path + " must be a number");
        text = number ? std::to_string(*number) : *string;
    }
    if (auto done = set_field(message, field.name(), text); !done)
        return wrong(node, path + done.error().what.substr(field.name().size()));
    return {};
}

Result<void>
Reader::fill(Message& message, const toml::table& table, const std::string& path) const {
    const auto& type = *message.GetDescriptor();
    for (const auto& [key, node] : table) {
        const auto* field = type.FindFieldByName(std::string{key.str()});
        const std::string name = path + "." + std::string{key.str()};
        if (field == nullptr)
            return wrong(
                key.source().begin, name + " is unknown: " + path + " has " + field_names(type)
            );
        if (!field->is_repeated()) {
            if (auto done = set(message, *field, node, name); !done)
                return done;
            continue;
        }
        const auto* array = node.as_array();
        if (array == nullptr)
            return wrong(node, name + " must be an array");
        for (const toml::node& element : *array)
            if (auto done = set(message, *field, element, name); !done)
                return done;
    }
    return {};
}

Result<void> Reader::read_rows(const FieldDescriptor& relation, const toml::node& node) {
    const auto* array = node.as_array();
    if (array == nullptr)
        return wrong(node, relation.name() + " must be rows: [[" + relation.name() + "]]");
    for (const toml::node& element : *array) {
        const auto* table = element.as_table();
        if (table == nullptr)
            return wrong(element, relation.name() + " must be rows: [[" + relation.name() + "]]");
        ConfigRow row{.op = {}, .where = where(element)};
        row.op.set_weight(1);
        Message* message = row.op.GetReflection()->MutableMessage(&row.op, &relation);
        if (auto done = fill(*message, *table, relation.name()); !done)
            return done;
        config_.rows.push_back(std::move(row));
    }
    return {};
}

Result<Config> Reader::read(const toml::table& root) {
    const auto& relations = *control::Op::descriptor()->FindOneofByName("row");
    for (const auto& [name, node] : root) {
        Result<void> done;
        if (name == "switch") {
            done = read_switch(node);
            if (done)
                done = check_workers(node);
        } else if (name == "limits") {
            done = read_limits(node);
        } else {
            const auto* relation =
                relations.containing_type()->FindFieldByName(std::string{name.str()});
            if (relation == nullptr || relation->containing_oneof() != &relations) {
                std::string names;
                for (int i = 0; i < relations.field_count(); ++i)
                    names += ", [[" + relations.field(i)->name() + "]]";
                return wrong(
                    name.source().begin,
                    std::string{name.str()} + " is unknown: the file has [switch], [limits]" + names
                );
            }
            done = read_rows(*relation, node);
        }
        if (!done)
            return tl::unexpected{done.error()};
    }
    put_in_order(config_.rows);
    return std::move(config_);
}

std::string cores_text(const Config& config) {
    std::string text;
    for (const unsigned core : config.cores)
        text += (text.empty() ? "" : ",") + std::to_string(core);
    return text;
}

} // namespace

Result<Config> parse_config(std::string_view text, const std::string& name) {
    const toml::parse_result parsed = toml::parse(text, name);
    if (!parsed) {
        const auto at = parsed.error().source().begin;
        return fail(
            "bad_config",
            name + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " +
                std::string{parsed.error().description()}
        );
    }
    return Reader{name}.read(parsed.table());
}

Result<Config> read_config(const std::string& path) {
    const auto text = read_file("configuration", path, config_bytes_max);
    if (!text)
        return tl::unexpected{text.error()};
    return parse_config(*text, path);
}

Result<std::vector<unsigned>> parse_cores(std::string_view text) {
    const auto wrong = [&](const std::string& rule) {
        return fail("bad_value", "cores \"" + std::string{text} + "\": " + rule);
    };
    constexpr unsigned core_max = 4'095;
    std::vector<unsigned> cores;
    std::string_view rest = text;
    const auto number = [&]() -> std::optional<unsigned> {
        unsigned core = 0;
        const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), core);
        if (problem != std::errc{} || core > core_max)
            return std::nullopt;
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        return core;
    };
    do {
        const auto first = number();
        auto last = first;
        if (first && rest.starts_with('-')) {
            rest.remove_prefix(1);
            last = number();
        }
        if (!first || !last || *last < *first || !(rest.empty() || rest.front() == ','))
            return wrong("must be a list of cores and ranges, such as 2-5,18");
        for (unsigned core = *first; core <= *last; ++core) {
            if (std::ranges::find(cores, core) != cores.end())
                return wrong("names core " + std::to_string(core) + " twice");
            cores.push_back(core);
        }
        if (rest.empty())
            return cores;
        rest.remove_prefix(1);
    } while (true);
}

Result<ConfigRow> port_row(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos || equals + 1 == text.size())
        return fail(
            "bad_value",
            "--port " + std::string{text} +
                ": must be NAME=DEVARGS, such as p1=net_pcap0,rx_pcap=in.pcap"
        );
    ConfigRow row{.op = {}, .where = "--port " + std::string{text.substr(0, equals)}};
    row.op.set_weight(1);
    row.op.mutable_port()->set_name(std::string{text.substr(0, equals)});
    row.op.mutable_port()->set_devargs(std::string{text.substr(equals + 1)});
    return row;
}

Result<void> set_port_options(std::string_view text, std::vector<ConfigRow>& rows) {
    const auto wrong = [&](const std::string& rule) {
        return fail("bad_value", "--port-option " + std::string{text} + ": " + rule);
    };
    // A port's name may hold colons, the options do not begin before the last one in front of the
    // first value.
    const std::size_t colon = text.substr(0, text.find('=')).rfind(':');
    if (colon == 0 || colon == std::string_view::npos || colon + 1 == text.size())
        return wrong("must be NAME:FIELD[=VALUE][,FIELD[=VALUE]...], such as p1:hold,queues=2");
    const std::string_view name = text.substr(0, colon);
    const auto row = std::ranges::find_if(rows, [&](const ConfigRow& each) {
        return each.op.has_port() && each.op.port().name() == name;
    });
    if (row == rows.end())
        return wrong(
            "port \"" + std::string{name} + "\" is not given by --port or the configuration"
        );
    for (std::string_view rest = text.substr(colon + 1); !rest.empty();) {
        const std::string_view option = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), option.size() + 1));
        const std::size_t equals = option.find('=');
        const std::string_view value =
            equals == std::string_view::npos ? "true" : option.substr(equals + 1);
        if (auto set = set_field(*row->op.mutable_port(), option.substr(0, equals), value); !set)
            return wrong(set.error().what);
    }
    return {};
}

void make_standalone(std::vector<ConfigRow>& rows) {
    auto row = std::ranges::find_if(rows, [](const ConfigRow& each) {
        return each.op.has_bridge() && each.op.bridge().name() == "main";
    });
    if (row == rows.end()) {
        row = rows.insert(rows.end(), {.op = {}, .where = "--standalone"});
        row->op.set_weight(1);
        row->op.mutable_bridge()->set_name("main");
    }
    row->op.mutable_bridge()->set_standalone(true);
}

void put_in_order(std::vector<ConfigRow>& rows) {
    constexpr control::Op::RowCase order[] = {
        control::Op::kBridge,
        control::Op::kPort,
        control::Op::kTable,
        control::Op::kMeter,
        control::Op::kGroup,
        control::Op::kFlow};
    std::ranges::stable_sort(rows, std::less{}, [&](const ConfigRow& row) {
        return std::ranges::find(order, row.op.row_case()) - std::begin(order);
    });
}

std::vector<std::string> needs_restart(const Config& running, const Config& wanted) {
    std::vector<std::string> sentences;
    const auto compare =
        [&](std::string_view key, const std::string& before, const std::string& after) {
            if (before != after)
                sentences.push_back(
                    std::string{key} + ": \"" + after + "\" instead of \"" + before +
                    "\" needs a restart"
                );
        };
    const auto compare_numbers = [&](std::string_view key, std::uint64_t before, std::uint64_t after
                                 ) { compare(key, std::to_string(before), std::to_string(after)); };
    compare("switch.node", running.node, wanted.node);
    compare("switch.socket", running.socket, wanted.socket);
    compare("switch.read_only_socket", running.read_only_socket, wanted.read_only_socket);
    compare("switch.cores", cores_text(running), cores_text(wanted));
    compare_numbers("switch.workers", running.workers, wanted.workers);
    compare_numbers("switch.memory_mb", running.memory_mb, wanted.memory_mb);
    compare_numbers("switch.worker_buffers", running.worker_buffers, wanted.worker_buffers);
    if (running.eal_args != wanted.eal_args)
        sentences.emplace_back("switch.eal: a change needs a restart");
    const auto compare_limit = [&](std::string_view key, std::uint64_t before, std::uint64_t after
                               ) { compare_numbers("limits." + std::string{key}, before, after); };
    compare_limit("ports", running.limits.ports, wanted.limits.ports);
    compare_limit("groups", running.limits.groups, wanted.limits.groups);
    compare_limit("meters", running.limits.meters, wanted.limits.meters);
    compare_limit("tables", running.limits.tables, wanted.limits.tables);
    compare_limit("bridges", running.limits.bridges, wanted.limits.bridges);
    compare_limit("rules", running.limits.rules, wanted.limits.rules);
    compare_limit("macs_per_bridge", running.limits.macs_per_bridge, wanted.limits.macs_per_bridge);
    return sentences;
}

} // namespace weft
