// SPDX-License-Identifier: GPL-2.0-or-later
// PROC: directories that have a file for each device of a kind: it goes with the name of the device, and with the device.
#include "fixtures/nic.h"
#include "suites/support/between.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::HasSubstr;

/// A directory below /proc/net or /proc/sys/net.
struct Directory {
  const char* name;
  std::vector<const char*> covers;
  std::vector<const char*> configs;
  std::string directory;                                          ///< With a slash at its end.
  std::string rest;                                               ///< Of the path, behind the name of the device.
  std::function<Status(Place&, const std::string& name)> make;    ///< A device that is down.
  bool moves = true;
  const char* tells_name = nullptr;                               ///< What stands before the device's name in the file.
  const char* text = "";                                          ///< What stands in the file.
};
Status MakeVeth(Place& at, const std::string& name) { return at->AddVeth(name, PeerSpec{.name = name + "p"}); }
const std::vector<Directory>& Directories() {
  static const std::vector<Directory> all = {
      {"Bonding", {"PROC-26", "VIRT-18", "DEV-44"}, {"BONDING"}, "/proc/thread-self/net/bonding/", "", [](Place& at, const std::string& name) { return at->AddLink({.name = name, .kind = "bond"}); }, false, nullptr,
       "Bonding Mode"},
      {"Vlan", {"PROC-26", "VIRT-27", "DEV-44"}, {"VETH", "VLAN_8021Q"}, "/proc/thread-self/net/vlan/", "",
       [](Place& at, const std::string& name) -> Status {
         RETURN_IF_ERROR(MakeVeth(at, "below" + name));
         return at->AddLink({.name = name, .kind = "vlan", .link = "below" + name, .data = [](Request& r) { r.U16(IFLA_VLAN_ID, 7); }});
       },
       true, "", "VID: 7"},
      {"Snmp6", {"PROC-26", "DEV-44"}, {"IPV6", "VETH"}, "/proc/thread-self/net/dev_snmp6/", "", MakeVeth, true, nullptr, "ifIndex"},
      {"Ipv4Settings", {"DEV-44", "SYSCTL-02"}, {"SYSCTL", "VETH"}, "/proc/sys/net/ipv4/conf/", "/rp_filter", MakeVeth, true, nullptr, ""},
      {"Ipv4NeighbourSettings", {"DEV-44", "SYSCTL-02"}, {"SYSCTL", "VETH"}, "/proc/sys/net/ipv4/neigh/", "/app_solicit", MakeVeth, true, nullptr, ""},
      {"Ipv6Settings", {"DEV-44", "SYSCTL-02"}, {"SYSCTL", "IPV6", "VETH"}, "/proc/sys/net/ipv6/conf/", "/forwarding", MakeVeth, true, nullptr, ""},
      {"Ipv6NeighbourSettings", {"DEV-44", "SYSCTL-02"}, {"SYSCTL", "IPV6", "VETH"}, "/proc/sys/net/ipv6/neigh/", "/app_solicit", MakeVeth, true, nullptr, ""},
  };
  return all;
}

/// Which of these devices have a file, as a process of the namespace sees it: by its path and in the directory.
std::string Shown(const Place& at, const Directory& of, const std::vector<std::string>& names) {
  return at.ns.In([&] {
    std::string text;
    std::error_code error;
    std::set<std::string> listed;
    for (std::filesystem::directory_iterator entry(of.directory, error), end; !error && entry != end; entry.increment(error)) listed.insert(entry->path().filename());
    for (const std::string& name : names) {
      const auto content = ReadFile(of.directory + name + of.rest);
      if (content.ok() != listed.contains(name)) text += name + (content.ok() ? " can be read but is not listed; " : " is listed but cannot be read; ");
      if (!content.ok()) continue;
      text += name + " ";
      if (content->find(of.text) == std::string::npos) text += "(which says '" + *content + "') ";
      if (of.tells_name != nullptr && !content->starts_with(of.tells_name + name)) text += "(which is of another device: '" + *content + "') ";
    }
    return text;
  });
}

// Each step on two devices, so that a name goes from one to the other as well.
void FollowsTheName(const Directory& of, Place& here, Place& other) {
  const std::vector<std::string> names = {"nsc1", "nsc2", "nsc3", "nsc4"};
  Undo undo([&] {
    for (Place* place : {&here, &other})
      for (const std::string& name : names)
        for (const std::string& each : {name, name + "p", "below" + name}) (void)(*place)->DeleteLink(each).ok();
  });
  const auto shown = [&](Place& at) { return Shown(at, of, names); };
  for (Place* place : {&here, &other}) ASSERT_EQ(shown(*place), "") << "control: before";
  for (const char* name : {"nsc1", "nsc2"}) {
    Status made = of.make(here, name);
    RequireBuiltIn(made, of.configs.back());
    SETUP_OK(std::move(made));
  }
  ASSERT_EQ(shown(here), "nsc1 nsc2 ") << "control: a file of each device";
  EXPECT_EQ(shown(other), "") << "a file of a device of another namespace";
  ASSERT_OK(here->Rename("nsc1", "nsc3"));
  EXPECT_EQ(shown(here), "nsc2 nsc3 ") << "nsc1 was renamed nsc3: its file in " << of.directory << " goes with its name";
  ASSERT_OK(here->Rename("nsc2", "nsc1"));
  EXPECT_EQ(shown(here), "nsc1 nsc3 ") << "nsc2 was renamed nsc1, a name that another device had before";
  EXPECT_EQ(shown(other), "") << "a file of a device of another namespace";
  // An equally named one elsewhere has a file of its own.
  SETUP_OK(of.make(other, "nsc3"));
  EXPECT_EQ(shown(other), "nsc3 ");
  ASSERT_OK(other->Rename("nsc3", "nsc4"));
  EXPECT_EQ(shown(other), "nsc4 ");
  EXPECT_EQ(shown(here), "nsc1 nsc3 ") << "an equally named device of another namespace was renamed";
  if (of.moves) {
    ASSERT_OK(here->MoveLink("nsc3", other.ref()));
    EXPECT_EQ(shown(here), "nsc1 ") << "the device has moved";
    EXPECT_EQ(shown(other), "nsc3 nsc4 ") << "the device has come";
    ASSERT_OK(other->MoveLink("nsc3", here.ref(), {.new_name = "nsc4"}));
    EXPECT_EQ(shown(here), "nsc1 nsc4 ") << "the device has come back by another name";
    EXPECT_EQ(shown(other), "nsc4 ") << "the device has moved, another one has the name that it has now";
  }
  const char* last = of.moves ? "nsc4" : "nsc3";
  ASSERT_OK(here->DeleteLink(last));
  EXPECT_EQ(shown(here), "nsc1 ") << "the device was deleted";
  ASSERT_OK(here->DeleteLink("nsc1"));
  EXPECT_EQ(shown(here), "") << "the device was deleted";
  EXPECT_EQ(shown(other), "nsc4 ") << "devices of another namespace were deleted";
}

[[maybe_unused]] const bool registered = [] {
  for (const Directory& directory : Directories()) {
    Covers covers;
    covers.list.assign(directory.covers.begin(), directory.covers.end());
    Needs needs(Config("PROC_FS"));
    for (const char* symbol : directory.configs) needs.list.push_back(Config(symbol));
    RegisterBetween("Proc", "FilesOfDevicesFollowTheirNames", directory.name, __FILE__, __LINE__,
                    [&directory](Place& owner, Place& other) { FollowsTheName(directory, owner, other); }, covers, needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
