// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/kernel_config.h"

#include <sys/utsname.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace netns {
namespace {

/// gzread(3) passes plain files through, so one reader serves /proc/config.gz and /boot.
std::string ReadMaybeGzip(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return {};
  std::string text;
  char buffer[65536];
  for (int n; (n = gzread(file, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  gzclose(file);
  return text;
}

std::string Digest(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  return hex;
}

}  // namespace

const KernelConfig& KernelConfig::Running() {
  static const KernelConfig running = [] {
    KernelConfig config;
    utsname names{};
    ::uname(&names);
    std::string release = names.release;
    for (const std::string& path : {std::string("/proc/config.gz"), "/boot/config-" + release,
                                    "/lib/modules/" + release + "/config", "/usr/lib/modules/" + release + "/config",
                                    "/lib/modules/" + release + "/build/.config"}) {
      std::string text = ReadMaybeGzip(path);
      if (text.find("CONFIG_NET") == std::string::npos) continue;
      config.source_ = path;
      config.digest_ = Digest(text);
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) {
        if (line.rfind("CONFIG_", 0) != 0) continue;
        std::size_t equals = line.find('=');
        if (equals != std::string::npos && equals + 1 < line.size())
          config.options_[line.substr(7, equals - 7)] = line[equals + 1];
      }
      break;
    }
    return config;
  }();
  return running;
}

char KernelConfig::Value(const std::string& symbol) const {
  if (source_.empty()) return '?';
  auto option = options_.find(symbol);
  return option == options_.end() ? 'n' : option->second;
}

std::string KernelConfig::ModuleName(const std::string& symbol) {
  static const std::map<std::string, std::string> others{
      {"VLAN_8021Q", "8021q"},     {"NET_IPIP", "ipip"},           {"IPV6_SIT", "sit"},
      {"NET_IPGRE", "ip_gre"},     {"IPV6_GRE", "ip6_gre"},        {"IPV6_TUNNEL", "ip6_tunnel"},
      {"NET_IPVTI", "ip_vti"},     {"IPV6_VTI", "ip6_vti"},        {"NET_VRF", "vrf"},
      {"NET_TEAM", "team"},        {"IP_SCTP", "sctp"},            {"INET_UDP_DIAG", "udp_diag"},
      {"INET_TCP_DIAG", "tcp_diag"}, {"IP_NF_IPTABLES", "ip_tables"}, {"IP6_NF_IPTABLES", "ip6_tables"},
      {"IP_NF_ARPTABLES", "arp_tables"}, {"BRIDGE_NF_EBTABLES", "ebtables"}, {"BRIDGE_NETFILTER", "br_netfilter"},
      {"NF_CT_NETLINK", "nf_conntrack_netlink"}, {"NETFILTER_NETLINK_QUEUE", "nfnetlink_queue"},
      {"NETFILTER_NETLINK_LOG", "nfnetlink_log"}, {"NETFILTER_NETLINK_ACCT", "nfnetlink_acct"},
      {"NET_KEY", "af_key"},       {"PACKET", "af_packet"},        {"PACKET_DIAG", "af_packet_diag"},
      {"PPP", "ppp_generic"},      {"VSOCKETS", "vsock"},          {"XFRM_USER", "xfrm_user"},
      {"AF_RXRPC", "rxrpc"},       {"AF_KCM", "kcm"},              {"MPLS_ROUTING", "mpls_router"},
      {"L2TP", "l2tp_core"},       {"NET_SCH_INGRESS", "sch_ingress"}, {"CAN_VCAN", "vcan"}, {"CAN_VXCAN", "vxcan"},
      {"NFT_NAT", "nft_chain_nat"}, {"NF_TABLES", "nf_tables"},    {"IP_SET", "ip_set"}, {"IP_VS", "ip_vs"}};
  auto other = others.find(symbol);
  if (other != others.end()) return other->second;
  std::string name = symbol;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

bool KernelConfig::ModuleLoaded(const std::string& module) {
  // /proc, not /sys: a test's fresh sysfs and a host's agree on it, and built-in options never get here.
  std::ifstream modules("/proc/modules");
  for (std::string line; std::getline(modules, line);)
    if (line.rfind(module + " ", 0) == 0) return true;
  return false;
}

}  // namespace netns
