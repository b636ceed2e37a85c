// SPDX-License-Identifier: GPL-2.0-or-later
// PROC: flow labels of IPv6 are in one table of the machine, with buckets by their last byte.
#include <linux/in6.h>
#include <netinet/in.h>

#include <chrono>
#include <set>
#include <sstream>

#include "fixtures/sockets.h"
#include "suites/support/between.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using testing::IsEmpty;
using testing::Not;

/// ipv6(7): leases a label for one alone.
Status Lease(const Fd& socket, std::uint32_t label) {
  in6_flowlabel_req request{};
  request.flr_label = htonl(label);
  request.flr_action = IPV6_FL_A_GET;
  request.flr_share = IPV6_FL_S_EXCL;
  request.flr_flags = IPV6_FL_F_CREATE | IPV6_FL_F_EXCL;
  request.flr_dst = in6addr_loopback;
  return SetSockOpt(socket, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, request);
}
std::string Text(std::uint32_t label) {
  char text[9];
  std::snprintf(text, sizeof text, "%05X", label);
  return text;
}
std::multiset<std::string> Texts(const std::set<std::uint32_t>& labels) {
  std::multiset<std::string> texts;
  for (std::uint32_t label : labels) texts.insert(Text(label));
  return texts;
}
constexpr std::uint32_t kSpan = 0x400;
/// The labels from `base` on that /proc/net/ip6_flowlabel lists.
std::multiset<std::string> Listed(const Place& at, std::uint32_t base) {
  std::istringstream lines(SETUP_OK(at.ns.ReadProcNet("ip6_flowlabel")));
  std::multiset<std::string> labels;
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line))
    if (const auto label = static_cast<std::uint32_t>(std::strtoul(line.c_str(), nullptr, 16)); label >= base && label < base + kSpan) labels.insert(Text(label));
  return labels;
}

// proc(5), ipv6(7): a label is leased, and listed, in one namespace. Here each has labels in buckets before, between and behind
// those of the other, and in the same ones, so that a list that goes on from any of its own labels meets foreign ones.
void FlowLabelsAreListedInOneNamespace(Place& owner, Place& other) {
  for (Place* place : {&owner, &other}) LoopbackUp(place->ns);
  // A label stays for seconds when its owner has gone: others each time.
  static auto round = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count() * 4);
  const std::uint32_t base = 0xC0000 + kSpan * (round++ % 0x80);
  std::set<std::uint32_t> mine, theirs;
  for (std::uint32_t bucket = 0x10; bucket < 0x100; bucket += 0x30) {
    for (std::uint32_t label : {base + bucket, base + bucket + 1}) mine.insert(label);
    for (std::uint32_t label : {base + 0x100 + bucket + 1, base + 0x100 + bucket + 2}) theirs.insert(label);
  }
  const Fd in_owner = SETUP_OK(owner.ns.Socket(AF_INET6, SOCK_DGRAM)), in_other = SETUP_OK(other.ns.Socket(AF_INET6, SOCK_DGRAM));
  EXPECT_THAT(Listed(owner, base), IsEmpty()) << "control: before";
  for (std::uint32_t label : theirs) ASSERT_OK(Lease(in_other, label));
  EXPECT_THAT(Listed(owner, base), IsEmpty()) << "ip6_flowlabel: labels of another namespace are listed where none is leased";
  for (std::uint32_t label : mine) ASSERT_OK(Lease(in_owner, label));
  EXPECT_THAT(Lease(SETUP_OK(owner.ns.Socket(AF_INET6, SOCK_DGRAM)), *mine.begin()), Not(Succeeds())) << "control: a label that is leased for one alone is taken";
  EXPECT_EQ(Listed(owner, base), Texts(mine)) << "ip6_flowlabel: not exactly the labels of its namespace";
  EXPECT_EQ(Listed(other, base), Texts(theirs)) << "ip6_flowlabel: not exactly the labels of its namespace";
  // The other namespace may have the same ones; each list then has them once.
  for (std::uint32_t label : mine) EXPECT_OK(Lease(in_other, label)) << "ipv6(7): the label is leased in another namespace only";
  EXPECT_EQ(Listed(owner, base), Texts(mine)) << "ip6_flowlabel: not exactly the labels of its namespace";
  theirs.insert(mine.begin(), mine.end());
  EXPECT_EQ(Listed(other, base), Texts(theirs)) << "ip6_flowlabel: not exactly the labels of its namespace";
}
[[maybe_unused]] const bool labels = RegisterBetween("Proc", "FlowLabelsAreListedInOneNamespace", "", __FILE__, __LINE__, FlowLabelsAreListedInOneNamespace,
                                                     Covers("PROC-33"), Needs(Config("PROC_FS"), Config("IPV6")));

// What /proc/net/ip6_flowlabel lists: ipv6(7), flow labels are leased from a table of the namespace.
NETNS_TEST(Proc, AFlowLabelIsTakenOnlyInItsNamespace, Covers("PROC-33"), Needs(Config("IPV6"))) {
  auto before = NetNamespace::Create(), here = NetNamespace::Create();
  auto nested = here.In([] { return NetNamespace::Create(); });
  for (const NetNamespace* ns : {&before, &here, &nested}) LoopbackUp(*ns);
  std::vector<Fd> owners;
  const auto lease = [&](const NetNamespace& ns) -> Status {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET6, SOCK_DGRAM));
    RETURN_IF_ERROR(Lease(socket, 0x000C3D4E));
    owners.push_back(std::move(socket));
    return Ok();
  };
  SETUP_OK(lease(here));
  EXPECT_FALSE(lease(here).ok()) << "control: a label that is leased for one alone is taken";
  EXPECT_OK(lease(before)) << "a label that is leased in another namespace is free";
  EXPECT_OK(lease(nested)) << "a label that is leased in another namespace is free";
}

}  // namespace
}  // namespace netns
