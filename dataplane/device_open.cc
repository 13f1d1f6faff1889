#include "dataplane/device.hh"
#include "dataplane/pcap_input.hh"

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <net/if.h>
#include <string_view>
#include <system_error>

namespace weft {

namespace {

// Ethernet, two tags and the check sequence that some devices count.
constexpr std::uint32_t frame_overhead = 14 + 8 + 4;
// What the kernel puts in front of a packet in a frame of net_af_packet's ring: 80 bytes less the
// Ethernet header.
constexpr std::uint64_t af_packet_overhead = 66;
constexpr std::uint64_t af_packet_frame_default = 2'048;

constexpr std::uint64_t rx_checksums =
    RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
constexpr std::uint64_t tx_checksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |
                                       RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
                                       RTE_ETH_TX_OFFLOAD_SCTP_CKSUM;

/// One attempt: holds what is open so far, and closes it unless finish() was reached.
class Opening {
public:
    Opening(const OpenRequest& request, DpdkLog& log) : request_{request}, log_{log} {
        log_.begin();
    }
    ~Opening();
    Result<std::unique_ptr<Port>> run();

private:
    Result<void> read_args();
    Result<void> count_inputs();
    Result<void> probe();
    bool find_device();
    Result<void> describe();
    Result<void> count_queues();
    Result<void> check_frames();
    Result<void> make_pool_for_port();
    Result<void> configure();
    int try_configure(const rte_eth_conf& conf, std::uint16_t tx_queues);
    Result<void> set_up_queues();
    Result<void> start();
    Result<void> make_handover();

    bool is(std::string_view driver) const { return driver_ == driver; }
    /// net_af_packet takes frames as large as its ring's and says that it takes 1518 bytes.
    std::uint16_t driver_mtu() const {
        return is("net_af_packet") ? std::min<std::uint16_t>(request_.mtu, 1'500) : request_.mtu;
    }
    tl::unexpected<Error> refuse(std::string code, const std::string& what) {
        return fail(
            std::move(code), "port " + request_.name + ": device " + request_.devargs + ": " + what
        );
    }
    /// What DPDK said meanwhile, or else what its return value means.
    tl::unexpected<Error> refused(const std::string& step, int code) {
        std::string why = reason_in(log_.end());
        log_.begin();
        if (why.empty())
            why = rte_strerror(code < 0 ? -code : code);
        return refuse("bad_device", step.empty() ? why : step + ": " + why);
    }

    tl::unexpected<Error> refused_probe(int code);

    const OpenRequest& request_;
    DpdkLog& log_;
    DeviceArgs args_;
    std::unique_ptr<Port> port_ = std::make_unique<Port>();
    bool probed_ = false;
    bool finished_ = false;
    rte_eth_dev_info info_{};
    std::string driver_;
    bool is_virtual_ = true;
    std::uint64_t rx_offloads_ = 0;
    std::uint64_t tx_offloads_ = 0;
    PoolSize pool_size_;
    std::uint16_t rx_descriptors_ = 1'024;
    std::uint16_t tx_descriptors_ = 1'024;
};

Opening::~Opening() {
    if (finished_)
        return;
    if (probed_) {
        PoolGraveyard graveyard; // nothing was received yet: everything is home
        close_device(*port_, graveyard);
    }
    log_.end();
}

Result<void> Opening::read_args() {
    auto args = parse_device_args(request_.devargs);
    if (!args)
        return fail(args.error().code, "port " + request_.name + ": " + args.error().what);
    args_ = std::move(*args);
    if (request_.mtu < 68)
        return refuse("bad_value", "mtu " + std::to_string(request_.mtu) + ": must be 68 to 65535");
    return {};
}

Result<void> Opening::count_inputs() {
    if (!args_.device.starts_with("net_pcap"))
        return {};
    const auto endless = args_.find("infinite_rx");
    port_->endless_input = endless && *endless != "0";
    for (const std::string& file : args_.all("rx_pcap")) {
        const auto records = count_records(file);
        if (!records)
            return refuse(records.error().code, records.error().what);
        port_->has_input_files = true;
        port_->input_records += *records;
    }
    std::error_code none;
    for (const std::string& file : args_.all("tx_pcap"))
        if (file == "-" || std::filesystem::is_fifo(file, none)) // it would wait for a reader
            return refuse("bad_device", "output " + file + ": must be a file");
    return {};
}

/// The Ethernet device of that name, whoever made it.
bool Opening::find_device() {
    for (std::uint16_t id = 0; id < RTE_MAX_ETHPORTS; ++id) {
        rte_eth_dev_info info;
        if (rte_eth_dev_is_valid_port(id) == 0 || rte_eth_dev_info_get(id, &info) != 0 ||
            info.device == nullptr || args_.device != rte_dev_name(info.device))
            continue;
        info_ = info;
        port_->ethdev = id;
        port_->handle = info.device;
        return true;
    }
    return false;
}

/// Where EAL's own words would leave the reader alone.
tl::unexpected<Error> Opening::refused_probe(int code) {
    const std::string why = reason_in(log_.end());
    if (code == -EEXIST)
        return refuse("bad_device", "it is in use");
    if (why.find("failed to parse device") != std::string::npos)
        return refuse("bad_device", "no DPDK driver goes by this name, and it is no PCI address");
    if (why.find("Cannot find device") != std::string::npos)
        return refuse("bad_device", "there is no such PCI device, or it is bound to no driver");
    if (why.empty() && code == -ENOTSUP)
        return refuse(
            "bad_device", "no DPDK driver takes it (PCI devices are usually bound to vfio-pci)"
        );
    if (why.empty() && code == -EPERM) // -1, from a driver's own parsing
        return refuse("bad_device", "its driver refuses the arguments");
    return refuse("bad_device", why.empty() ? rte_strerror(-code) : why);
}

Result<void> Opening::probe() {
    // The driver would follow this address wherever it leads.
    if (args_.device.starts_with("net_ring") && args_.find("internal"))
        return refuse("bad_device", "internal= is not for port rows");
    // Devices may be there before: made by EAL's own arguments.
    probed_ = find_device();
    if (probed_)
        return {};
    if (const int code = rte_dev_probe(request_.devargs.c_str()); code != 0)
        return refused_probe(code);
    probed_ = find_device();
    if (!probed_)
        return refuse("bad_device", "its driver brought no Ethernet device");
    return {};
}

Result<void> Opening::describe() {
    driver_ = info_.driver_name == nullptr ? "" : info_.driver_name;
    is_virtual_ = std::string_view{rte_bus_name(rte_dev_bus(info_.device))} == "vdev";
    rte_ether_addr mac{};
    rte_eth_macaddr_get(port_->ethdev, &mac);
    for (const std::uint8_t byte : mac.addr_bytes)
        port_->mac = port_->mac << 8 | byte;
    port_->numa_node = rte_eth_dev_socket_id(port_->ethdev);
    std::array<char, IF_NAMESIZE> interface {};
    if (info_.if_index != 0 && if_indextoname(info_.if_index, interface.data()) != nullptr)
        port_->kernel = KernelLink{interface.data(), is("net_tap")};
    return {};
}

Result<void> Opening::count_queues() {
    // Devices that spread packets over all queues that their arguments name: one that nobody reads
    // would lose its share.
    const bool all = is("net_pcap") || is("net_af_packet") || is("net_af_xdp");
    const std::uint16_t asked = std::max<std::uint16_t>(request_.queues, 1);
    if (asked > info_.max_rx_queues)
        return refuse(
            "bad_value",
            "queues " + std::to_string(asked) + ": the device has " +
                std::to_string(info_.max_rx_queues)
        );
    port_->rx_queues = all ? info_.max_rx_queues : asked;
    const auto wanted = static_cast<std::uint16_t>(request_.workers);
    port_->tx_queues = std::min(wanted, info_.max_tx_queues);
    // A ring that nobody reads would swallow what is sent into it; net_tap wants as many of both.
    if (is("net_ring"))
        port_->tx_queues = std::min(port_->tx_queues, port_->rx_queues);
    if (is("net_tap"))
        port_->tx_queues = port_->rx_queues;
    if (port_->tx_queues == 0)
        return refuse("bad_device", "it has no transmit queue");
    return {};
}

/// Buffers and offloads for frames of the port's MTU.
Result<void> Opening::check_frames() {
    const std::uint32_t frame = request_.mtu + frame_overhead;
    std::uint64_t bytes = buffer_bytes_default;
    if (is("net_af_packet")) {
        const std::uint64_t framesz = args_.number("framesz").value_or(af_packet_frame_default);
        if (request_.mtu + 18u + af_packet_overhead > framesz)
            return refuse(
                "bad_value",
                "mtu " + std::to_string(request_.mtu) + ": frames of " + std::to_string(framesz) +
                    " bytes hold an mtu of " +
                    std::to_string(
                        framesz > af_packet_overhead + 18 ? framesz - af_packet_overhead - 18 : 0
                    ) +
                    " (framesz= and blocksz= of the device change that)"
            );
        bytes = std::max(bytes, framesz);
    }
    if (is("net_null")) // which writes packets of this size without looking at the buffer's
        bytes = std::max(bytes, args_.number("size").value_or(0));
    const bool chains_itself = is("net_pcap") && !port_->endless_input;
    if (frame > bytes && (info_.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) != 0)
        rx_offloads_ |= RTE_ETH_RX_OFFLOAD_SCATTER;
    else if (!chains_itself)
        bytes = std::max<std::uint64_t>(bytes, frame);
    if (bytes > buffer_bytes_max)
        return refuse(
            "bad_value",
            "packets of " + std::to_string(bytes) + " bytes: buffers hold at most " +
                std::to_string(buffer_bytes_max)
        );
    pool_size_.buffer_bytes = static_cast<std::uint32_t>(bytes);

    const bool real = !is_virtual_ || is("net_vhost") || is("net_virtio_user");
    if (real) // the others would do it in software, packet by packet, where we know better when
        rx_offloads_ |= info_.rx_offload_capa & rx_checksums;
    if (real)
        port_->tx_checksums = info_.tx_offload_capa & tx_checksums;
    tx_offloads_ = port_->tx_checksums | (info_.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
    port_->sends_segments =
        (tx_offloads_ & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0 || is("net_pcap") || is("net_null");
    return {};
}

Result<void> Opening::make_pool_for_port() {
    rte_eth_dev_adjust_nb_rx_tx_desc(port_->ethdev, &rx_descriptors_, &tx_descriptors_);
    pool_size_.buffers = buffers_for({
        .rx_queues = port_->rx_queues,
        .rx_descriptors = rx_descriptors_,
        .tx_descriptors = tx_descriptors_,
        .workers = static_cast<std::uint32_t>(request_.workers),
        .endless_records = port_->endless_input ? port_->input_records : 0,
        .asked = request_.buffers,
    });
    const int node = request_.huge_pages ? port_->numa_node : SOCKET_ID_ANY;
    auto pool = make_pool(pool_size_, node);
    if (!pool)
        return refuse(pool.error().code, pool.error().what);
    port_->pool = *pool;
    return {};
}

int Opening::try_configure(const rte_eth_conf& conf, std::uint16_t tx_queues) {
    return rte_eth_dev_configure(port_->ethdev, port_->rx_queues, tx_queues, &conf);
}

Result<void> Opening::configure() {
    rte_eth_conf conf{};
    conf.rxmode.mtu = driver_mtu();
    conf.rxmode.offloads = rx_offloads_;
    conf.txmode.offloads = tx_offloads_;
    const std::uint64_t spread =
        info_.flow_type_rss_offloads &
        (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP);
    if (port_->rx_queues > 1 && spread != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = spread;
    }
    const bool tells_link = !is_virtual_ && request_.link_signal != nullptr &&
                            (*info_.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
    conf.intr_conf.lsc = tells_link ? 1 : 0;
    int code = try_configure(conf, port_->tx_queues);
    if (code != 0 && port_->tx_queues != port_->rx_queues &&
        port_->rx_queues <= info_.max_tx_queues) {
        // Some drivers want as many queues for sending as for receiving.
        code = try_configure(conf, port_->rx_queues);
        if (code == 0)
            port_->tx_queues = port_->rx_queues;
    }
    if (code != 0 && tells_link) {
        conf.intr_conf.lsc = 0;
        code = try_configure(conf, port_->tx_queues);
    }
    if (code != 0)
        return refused(
            "mtu " + std::to_string(request_.mtu) + ", " + std::to_string(port_->rx_queues) +
                " queues",
            code
        );
    if (conf.intr_conf.lsc != 0)
        listen_for_link(port_->ethdev, *request_.link_signal);
    return {};
}

Result<void> Opening::set_up_queues() {
    const unsigned node = static_cast<unsigned>(std::max(port_->numa_node, 0));
    for (std::uint16_t queue = 0; queue < port_->rx_queues; ++queue) {
        rte_eth_rxconf conf = info_.default_rxconf;
        conf.offloads = rx_offloads_;
        const int code =
            rte_eth_rx_queue_setup(port_->ethdev, queue, rx_descriptors_, node, &conf, port_->pool);
        if (code != 0)
            return refused("receive queue " + std::to_string(queue), code);
    }
    for (std::uint16_t queue = 0; queue < port_->tx_queues; ++queue) {
        rte_eth_txconf conf = info_.default_txconf;
        conf.offloads = tx_offloads_;
        const int code = rte_eth_tx_queue_setup(port_->ethdev, queue, tx_descriptors_, node, &conf);
        if (code != 0)
            return refused("transmit queue " + std::to_string(queue), code);
    }
    return {};
}

Result<void> Opening::start() {
    const int mtu_code = rte_eth_dev_set_mtu(port_->ethdev, driver_mtu());
    if (mtu_code != 0 && mtu_code != -ENOTSUP)
        return refused("mtu " + std::to_string(request_.mtu), mtu_code);
    if (driver_mtu() != request_.mtu && !port_->kernel.set_mtu(request_.mtu))
        return refuse(
            "bad_value",
            "mtu " + std::to_string(request_.mtu) + ": the kernel refuses it for " +
                port_->kernel.interface()
        );
    port_->mtu = request_.mtu;
    if (const int code = rte_eth_dev_start(port_->ethdev); code != 0)
        return refused("cannot start", code);
    const int promiscuous = rte_eth_promiscuous_enable(port_->ethdev);
    if (promiscuous != 0 && promiscuous != -ENOTSUP)
        return refused(
            "cannot receive packets for other addresses (promiscuous mode)", promiscuous
        );
    return {};
}

Result<void> Opening::make_handover() {
    static std::atomic<unsigned> made{0}; // ring names are unique in the process
    port_->counters = std::vector<PortCounters>(request_.workers);
    port_->handover.resize(request_.workers);
    for (std::size_t worker = 0; worker < request_.workers; ++worker) {
        const std::uint16_t queue = port_->tx_queue_of(worker, request_.workers);
        if (port_->owner_of(queue, request_.workers) == worker)
            continue;
        const std::string name = "weft_handover_" + std::to_string(made.fetch_add(1));
        port_->handover[worker] = Handover::make(name.c_str(), SOCKET_ID_ANY);
        if (port_->handover[worker] == nullptr)
            return refuse("no_memory", "no memory for a ring of 1024 packets between workers");
    }
    return {};
}

Result<std::unique_ptr<Port>> Opening::run() {
    port_->id = request_.port;
    port_->name = request_.name;
    using Step = Result<void> (Opening::*)();
    constexpr std::array<Step, 11> steps = {
        &Opening::read_args,
        &Opening::count_inputs,
        &Opening::probe,
        &Opening::describe,
        &Opening::count_queues,
        &Opening::check_frames,
        &Opening::make_pool_for_port,
        &Opening::configure,
        &Opening::set_up_queues,
        &Opening::make_handover,
        &Opening::start,
    };
    for (const Step step : steps) {
        auto done = (this->*step)();
        if (!done)
            return tl::unexpected<Error>{std::move(done.error())};
        port_->device = args_.device;
    }
    sample_device(*port_);
    log_.end();
    finished_ = true;
    return std::move(port_);
}

} // namespace

Result<std::unique_ptr<Port>> open_device(const OpenRequest& request, DpdkLog& log) {
    return Opening{request, log}.run();
}

} // namespace weft
