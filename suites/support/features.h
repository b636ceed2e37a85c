// SPDX-License-Identifier: GPL-2.0-or-later
// The features of a network device (Documentation/networking/netdev-features.rst), as ethtool(8) -k and -K have them.
#pragma once

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "fixtures/net_namespace.h"
#include "harness/assertions.h"

namespace netns {

struct DeviceFeature {
  bool changeable = false, requested = false, active = false;
};

/// Those of one device, through a socket of `ns` (which it keeps alive).
class DeviceFeatures {
 public:
  DeviceFeatures(const NetNamespace& ns, std::string name) : socket_(SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM))), device_(std::move(name)) {
    std::vector<std::uint64_t> storage(sizeof(ethtool_sset_info) / 8 + 1);
    auto* sets = reinterpret_cast<ethtool_sset_info*>(storage.data());
    sets->cmd = ETHTOOL_GSSET_INFO;
    sets->sset_mask = 1ull << ETH_SS_FEATURES;
    if (!Do(sets, "ETHTOOL_GSSET_INFO").ok() || sets->sset_mask == 0) return;
    names_.resize(sets->data[0]);
    std::vector<std::uint32_t> texts((sizeof(ethtool_gstrings) + names_.size() * ETH_GSTRING_LEN) / 4 + 1);
    auto* strings = reinterpret_cast<ethtool_gstrings*>(texts.data());
    strings->cmd = ETHTOOL_GSTRINGS;
    strings->string_set = ETH_SS_FEATURES;
    strings->len = sets->data[0];
    SETUP_OK(Do(strings, "ETHTOOL_GSTRINGS"));
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const char* text = reinterpret_cast<const char*>(strings->data) + i * ETH_GSTRING_LEN;
      names_[i].assign(text, ::strnlen(text, ETH_GSTRING_LEN));
    }
  }

  /// By name; empty where the kernel tells of none.
  std::map<std::string, DeviceFeature> All() const {
    std::vector<std::uint32_t> storage(sizeof(ethtool_gfeatures) / 4 + Blocks() * sizeof(ethtool_get_features_block) / 4);
    auto* told = reinterpret_cast<ethtool_gfeatures*>(storage.data());
    told->cmd = ETHTOOL_GFEATURES;
    told->size = Blocks();
    if (!names_.empty()) SETUP_OK(Do(told, "ETHTOOL_GFEATURES"));
    std::map<std::string, DeviceFeature> all;
    for (std::uint32_t i = 0; i < names_.size(); ++i) {
      const ethtool_get_features_block& block = told->features[i / 32];
      const auto has = [&](std::uint32_t mask) { return (mask >> i % 32 & 1) != 0; };
      if (!names_[i].empty()) all[names_[i]] = {has(block.available & ~block.never_changed), has(block.requested), has(block.active)};
    }
    return all;
  }
  /// Asks for each of `wanted` that can be changed to be on or off; the kernel may see reasons against it.
  Status Ask(const std::map<std::string, bool>& wanted) const {
    const auto now = All();
    std::vector<std::uint32_t> storage(sizeof(ethtool_sfeatures) / 4 + Blocks() * sizeof(ethtool_set_features_block) / 4);
    auto* asked = reinterpret_cast<ethtool_sfeatures*>(storage.data());
    asked->cmd = ETHTOOL_SFEATURES;
    asked->size = Blocks();
    for (std::uint32_t i = 0; i < names_.size(); ++i) {
      const auto each = wanted.find(names_[i]);
      if (each == wanted.end() || !now.at(names_[i]).changeable) continue;
      asked->features[i / 32].valid |= 1u << i % 32;
      if (each->second) asked->features[i / 32].requested |= 1u << i % 32;
    }
    return Do(asked, "ETHTOOL_SFEATURES");
  }

 private:
  std::uint32_t Blocks() const { return static_cast<std::uint32_t>((names_.size() + 31) / 32); }
  Status Do(void* command, const char* text) const {
    ifreq request{};
    std::strncpy(request.ifr_name, device_.c_str(), IFNAMSIZ - 1);
    request.ifr_data = static_cast<char*>(command);
    if (::ioctl(socket_.get(), SIOCETHTOOL, &request) < 0) return ErrnoError(std::string(text) + "(" + device_ + ")");
    return Ok();
  }

  Fd socket_;
  std::string device_;
  std::vector<std::string> names_;
};

}  // namespace netns
