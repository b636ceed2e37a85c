// SPDX-License-Identifier: GPL-2.0-or-later
// tc-actions(8): shared actions, by RTM_NEWACTION and its like.
#pragma once

#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <functional>
#include <string>

#include "fixtures/netlink.h"

namespace netns {

/// A request about one action, of which `first` says what is asked: TCA_ACT_KIND, TCA_ACT_INDEX, TCA_ACT_OPTIONS.
inline Request ActionRequest(std::uint16_t type, std::uint16_t flags, const std::string& what, const std::function<void(Request&)>& first) {
  Request request(type, flags);
  request.Named(what).Header(tcamsg{}).Nest(TCA_ACT_TAB, [&](Request& table) { table.Nest(1, first); });
  return request;
}
/// "tc actions add action KIND", with the structure that is the kind's attribute of this number.
template <class Parameters>
Request AddActionRequest(const char* kind, std::uint16_t attribute, const Parameters& parameters) {
  return ActionRequest(RTM_NEWACTION, NLM_F_CREATE | NLM_F_EXCL, std::string("add an action of kind ") + kind, [&](Request& one) {
    one.Text(TCA_ACT_KIND, kind).Nest(TCA_ACT_OPTIONS, [&](Request& options) { options.Structure(attribute, parameters); });
  });
}

}  // namespace netns
