// SPDX-License-Identifier: GPL-2.0-or-later
// USER: rows of the table of rights (permissions.cc) for sysctls, and for attributes of devices in sysfs (Documentation/ABI/
// testing/sysfs-class-net, sysfs-class-net-queues). They belong to root of the owner, whom their mode lets write; besides, the
// kernel asks for CAP_NET_ADMIN: in the user namespace of the owner, or in the initial one where it is about queues and
// processors.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "suites/support/rights.h"

namespace netns::rights {
namespace {

//                                    nobody  child  owner  parent  ancestor  sibling  -NET_ADMIN  -SYS_ADMIN  creator
constexpr Rights kInitialAttribute = {A,     A,     P,     P,      ok,       A,       P,          P,          A};

constexpr const char* kItsSysfs = "/tmp/its-queues";

/// A device with two queues, and the sysfs of the namespace for everybody to see.
void ShowQueues(World& world) {
  if (!world.Has("itsq")) SETUP_OK(world.root().AddVeth("itsq", "peerq", {.tx_queues = 2, .rx_queues = 2}));
  if (::access(kItsSysfs, F_OK) == 0) return;
  ::mkdir(kItsSysfs, 0755);
  Status mounted = world.ns->In([]() -> Status {
    if (::mount("sysfs", kItsSysfs, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) return ErrnoError("mount(sysfs)");
    return Ok();
  });
  SETUP_OK(std::move(mounted));
}

Step Attribute(const char* name, const char* value, const char* device = "itsq") {
  return {name, [=](World&) -> Status {
            const Status written = WriteFile(std::string(kItsSysfs) + "/class/net/" + device + "/" + name, value);
            if (written.code() == ENOENT) return Error{EOPNOTSUPP, std::string("writing ") + name};
            // That a veth has no such thing is told only to those who may ask for it.
            return Heard(written, {EOPNOTSUPP});
          }};
}

/// The same with a bridge, of which the device is a port.
void ShowABridge(World& world) {
  ShowQueues(world);
  if (world.Has("itsbr")) return;
  Status added = world.root().AddLink({.name = "itsbr", .kind = "bridge"});
  if (added.code() == EOPNOTSUPP) throw MissingNeed("needs-config:BRIDGE", added.error().ToString());
  SETUP_OK(std::move(added));
  SETUP_OK(world.root().SetLink("itsq", {.master = LinkRef("itsbr")}));
}

std::vector<Operation> Operations() {
  auto row = [](const char* name, const Rights& rights, const Rights& one_user, std::vector<Step> steps, const char* config = "SYSFS") {
    return Operation{name, {"USER-21", "SYSFS-07"}, From::kInside, rights, Effect::kNone, All(std::move(steps)), ShowQueues, config, &one_user};
  };
  return {
      row("WriteAttributesOfADevice", kAttribute, kAttribute1, {Attribute("ifalias", "queues"), Attribute("netdev_group", "0"), Attribute("flags", "0x1002")}),
      row("WriteReceiveQueuesOfAQueue", kAttribute, kAttribute1, {Attribute("queues/tx-0/xps_rxqs", "1")}, "XPS"),
      row("WriteTheQueueLengthOfADevice", kInitialAttribute, kRefused, {Attribute("tx_queue_len", "500")}),
      row("WriteWhenADeviceInterrupts", kInitialAttribute, kRefused, {Attribute("gro_flush_timeout", "0"), Attribute("napi_defer_hard_irqs", "0")}),
      row("WriteReceivingProcessors", kInitialAttribute, kRefused, {Attribute("queues/rx-0/rps_cpus", "1"), Attribute("queues/rx-0/rps_flow_cnt", "0")}, "RPS"),
      row("WriteSendingProcessors", kInitialAttribute, kRefused, {Attribute("queues/tx-0/xps_cpus", "1")}, "XPS"),
      row("WriteTheRateOfAQueue", kInitialAttribute, kRefused, {Attribute("queues/tx-0/tx_maxrate", "0")}, "XPS"),
      // A sysctl asks again when it is written, whoever has opened it.
      {"WriteASysctlThatRootOpened", {"SYSCTL-16", "USER-20"}, From::kHome, kNetAdmin, Effect::kNone,
       [](World& world) -> Status {
         if (::pwrite(world.socket.get(), "65", 2, 0) < 0) return ErrnoError("write to a sysctl");
         return Ok();
       },
       [](World& world) { world.socket = SETUP_OK(world.ns->OpenIn("/proc/sys/net/ipv4/ip_default_ttl", O_WRONLY)); }, "SYSCTL"},
      // Documentation/networking/bridge.rst
      {"WriteAttributesOfABridge", {"USER-21", "SYSFS-07"}, From::kInside, kAttribute, Effect::kNone,
       All({Attribute("bridge/ageing_time", "30000", "itsbr"), Attribute("bridge/stp_state", "0", "itsbr"), Attribute("brport/path_cost", "100"),
            Attribute("brport/priority", "32")}),
       ShowABridge, "BRIDGE", &kAttribute1},
  };
}

const bool registered = RegisterOperations(Operations(), /*with_devices=*/false, __FILE__, __LINE__);

}  // namespace
}  // namespace netns::rights
