// SPDX-License-Identifier: GPL-2.0-or-later
//
// The guest's first process, and its /sbin/modprobe.
//
// As init it makes the few mounts that tests expect, loads the modules named in /etc/netns-modules, runs the command in
// /etc/netns-command with results going to a raw channel to the host, and switches the machine off. It must work on any
// kernel: without modules, without IPv6, without network namespaces. So nothing here is fatal but a missing command;
// what does not work is said on the console and left to the tests, which know what they need.
//
// As modprobe it serves the kernel's own requests ("rtnl-link-bridge", "net-pf-16-proto-6") through libkmod.

#include <fcntl.h>
#include <libkmod.h>
#include <linux/netlink.h>
#include <linux/reboot.h>
#include <poll.h>
#include <signal.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr const char* kStreamPortName = "netns-conformance.stream";

/// One line on the kernel log, where the launcher reads it among the kernel's own lines.
void Say(const std::string& text) {
  const std::string line = "<5>netns-conformance: " + text + "\n";
  const int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
  // The launcher needs the line even where the kernel has no log (CONFIG_PRINTK=n): standard output is the console.
  if (kmsg < 0 || write(kmsg, line.data(), line.size()) < 0) std::printf("%s", line.c_str() + 3), std::fflush(stdout);
  if (kmsg >= 0) close(kmsg);
}

void SayErrno(const std::string& what) { Say(what + ": " + std::strerror(errno)); }

std::string ReadFile(const char* path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool WriteFile(const char* path, std::string_view value) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  close(fd);
  return written;
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

// ---- modules

using Kmod = std::unique_ptr<kmod_ctx, decltype([](kmod_ctx* context) { kmod_unref(context); })>;

/// Loads what `alias` stands for, with all that it depends on. 0 where that is loaded or built in, else -errno.
int LoadModule(kmod_ctx* context, const char* alias) {
  kmod_list* list = nullptr;
  int result = kmod_module_new_from_lookup(context, alias, &list);
  if (result >= 0 && list == nullptr) result = -ENOENT;
  kmod_list* entry = nullptr;
  kmod_list_foreach(entry, list) {
    kmod_module* module = kmod_module_get_module(entry);
    const int loaded = kmod_module_probe_insert_module(module, KMOD_PROBE_APPLY_BLACKLIST, nullptr, nullptr, nullptr, nullptr);
    if (loaded < 0 && result >= 0) result = loaded;
    kmod_module_unref(module);
  }
  kmod_module_unref_list(list);
  return result < 0 ? result : 0;
}

Kmod OpenKmod() {
  const char* no_configuration = nullptr;
  Kmod context(kmod_new(nullptr, &no_configuration));
  if (context) kmod_set_log_priority(context.get(), 0);
  return context;
}

/// The kernel calls "/sbin/modprobe -q -- ALIAS".
int ModprobeMain(int argc, char** argv) {
  const Kmod context = OpenKmod();
  if (!context) return 1;
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-' && LoadModule(context.get(), argv[i]) < 0) status = 1;
  }
  return status;
}

void LoadEagerModules() {
  utsname names{};
  uname(&names);
  const auto wanted = Split(ReadFile("/etc/netns-modules"), '\n');
  if (wanted.empty() || !fs::exists(std::string("/lib/modules/") + names.release)) return;
  const Kmod context = OpenKmod();
  if (!context) return Say("libkmod cannot be set up; no module is loaded");
  for (const auto& name : wanted) {
    const int result = LoadModule(context.get(), name.c_str());
    // EEXIST and ENODEV (no such card) are fine; anything else the launcher shows to the user.
    if (result < 0 && result != -EEXIST && result != -ENODEV) Say("module " + name + ": " + std::strerror(-result));
  }
}

// ---- mounts and settings

void Mount(const char* type, const char* target, unsigned long flags, const char* options, bool optional = false) {
  mkdir(target, 0755);
  if (mount(type, target, type, flags, options) < 0 && errno != EBUSY && !optional) SayErrno(std::string("mount ") + target);
}

void MakeMounts() {
  constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  Mount("proc", "/proc", kSafe, "");
  Mount("sysfs", "/sys", kSafe, "");
  Mount("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
  if (access("/dev/null", F_OK) < 0) {
    // Without CONFIG_DEVTMPFS /dev is the archive's directory, with console and null only.
    mknod("/dev/kmsg", S_IFCHR | 0644, makedev(1, 11));
    mknod("/dev/zero", S_IFCHR | 0666, makedev(1, 5));
    mknod("/dev/urandom", S_IFCHR | 0666, makedev(1, 9));
    mknod("/dev/ttyS0", S_IFCHR | 0600, makedev(4, 64));
    mknod("/dev/ttyS1", S_IFCHR | 0600, makedev(4, 65));
  }
  for (const auto& [link, target] : {std::pair{"/dev/fd", "/proc/self/fd"}, std::pair{"/dev/stdin", "/proc/self/fd/0"},
                                     std::pair{"/dev/stdout", "/proc/self/fd/1"}, std::pair{"/dev/stderr", "/proc/self/fd/2"}}) {
    (void)!symlink(target, link);
  }
  // Static nodes, as kmod makes them: to open one is what loads the module.
  mkdir("/dev/net", 0755);
  mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200));
  chmod("/dev/net/tun", 0666);
  Mount("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "ptmxmode=0666,mode=0620", true);
  Mount("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", true);
  Mount("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
  Mount("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
  Mount("cgroup2", "/sys/fs/cgroup", kSafe, "", true);
  Mount("debugfs", "/sys/kernel/debug", kSafe, "", true);
  Mount("tracefs", "/sys/kernel/tracing", kSafe, "", true);
  Mount("bpf", "/sys/fs/bpf", kSafe, "mode=0700", true);
}

void MakeSettings() {
  sethostname("netns-guest", std::strlen("netns-guest"));
  // Namespaces stay lean when tunnel modules get loaded: no tunl0, sit0 and so on of their own in each.
  WriteFile("/proc/sys/net/core/fb_tunnels_only_for_init_net", "2");
  // The tests' markers and the kernel's splats must all arrive.
  WriteFile("/proc/sys/kernel/printk_devkmsg", "on");
  WriteFile("/proc/sys/kernel/printk_ratelimit", "0");
  WriteFile("/proc/sys/kernel/hung_task_timeout_secs", "60");
  WriteFile("/proc/sys/kernel/panic_on_rcu_stall", "1");  // a stuck CPU must end the boot, not the run
  WriteFile("/proc/sys/kernel/sysrq", "1");
  // All namespaces share one queue of received packets for each CPU. Where many tests send at once and the CPU is slow, it
  // overflows at 1000, and a frame is lost that has nothing to do with them.
  WriteFile("/proc/sys/net/core/netdev_max_backlog", "100000");
  const auto limit = ReadFile("/proc/sys/user/max_net_namespaces");
  if (!limit.empty() && std::atol(limit.c_str()) < 1024) WriteFile("/proc/sys/user/max_net_namespaces", "4096");
}

// ---- the channel to the host

/// A virtio port by the name that the launcher gave it, or "" (also without CONFIG_DEVTMPFS).
std::string VirtioStream() {
  std::error_code error;
  for (const auto& port : fs::directory_iterator("/sys/class/virtio-ports", error)) {
    auto name = ReadFile((port.path() / "name").c_str());
    const std::string path = "/dev/" + port.path().filename().string();
    if (name.starts_with(kStreamPortName) && access(path.c_str(), W_OK) == 0) return path;
  }
  return "";
}

/// The same once the host has told the driver of its ports, which takes a moment after the driver is loaded. The kernel sends an
/// event for each; without events (or ports) the second serial port serves.
std::string AwaitVirtioStream() {
  constexpr int kLimitMs = 2000;
  const int events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  const bool listening = events >= 0 && bind(events, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  std::string path = VirtioStream();
  if (path.empty()) {
    const Kmod context = OpenKmod();
    const bool driver = (context && LoadModule(context.get(), "virtio_console") == 0) || access("/sys/class/virtio-ports", F_OK) == 0;
    path = VirtioStream();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(kLimitMs);
    while (driver && listening && path.empty()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - std::chrono::steady_clock::now()).count();
      pollfd ready{events, POLLIN, 0};
      if (left <= 0 || poll(&ready, 1, static_cast<int>(left)) <= 0) break;
      char event[4096];
      (void)!recv(events, event, sizeof event, MSG_DONTWAIT);
      path = VirtioStream();
    }
  }
  if (events >= 0) close(events);
  return path;
}

/// The second serial port, raw: no echo, no translation of line ends. Descriptor, or -1.
int OpenSerial() {
  const int serial = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  termios settings{};
  // A port number without a UART behind it opens, but answers EIO.
  if (serial >= 0 && tcgetattr(serial, &settings) == 0) {
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL | CREAD;
    settings.c_cflag &= ~static_cast<tcflag_t>(HUPCL | CRTSCTS);
    cfsetspeed(&settings, B115200);
    if (tcsetattr(serial, TCSANOW, &settings) == 0) return serial;
  }
  if (serial >= 0) close(serial);
  return -1;
}

/// Whether the channel for results is open; `path` is then its device, and `held` keeps the settings of a serial line, or is -1.
/// A virtio port first: an emulated UART costs a trap for each byte, and the plan of all tests alone is 200 kB.
bool OpenStream(std::string& path, int& held) {
  held = -1;
  path = AwaitVirtioStream();
  if (!path.empty()) return true;
  path = "/dev/ttyS1";
  held = OpenSerial();
  return held >= 0;
}

// ---- faults for the launcher's own tests

/// netns_guest.fault=WORD on the kernel's command line makes the guest misbehave before the first test.
void MakeFault() {
  const auto command_line = ReadFile("/proc/cmdline");
  constexpr std::string_view kOption = "netns_guest.fault=";
  const auto at = command_line.find(kOption);
  if (at == std::string::npos) return;
  const auto fault = command_line.substr(at + kOption.size(), command_line.find_first_of(" \n", at) - at - kOption.size());
  Say("fault " + fault + " as asked");
  if (fault == "hang") {
    for (;;) pause();
  }
  if (fault == "exit") std::_Exit(3);
  if (fault == "reboot") reboot(RB_AUTOBOOT);
  if (fault == "panic") WriteFile("/proc/sysrq-trigger", "c");
}

// ---- running the tests

[[noreturn]] void SwitchOff(int status) {
  Say("guest finished status=" + std::to_string(status));
  sync();
  // Without ACPI there is nothing to switch off, and only a reboot (which -no-reboot turns into an end) ends QEMU.
  reboot(access("/sys/firmware/acpi", F_OK) == 0 ? RB_POWER_OFF : RB_AUTOBOOT);
  for (;;) pause();
}

int RunTests(std::vector<std::string> command) {
  std::string stream;
  int held = -1;
  if (!OpenStream(stream, held)) {
    Say("no channel for results: neither a virtio port (VIRTIO_PCI, VIRTIO_CONSOLE) nor a second serial port (SERIAL_8250)");
    return 3;
  }
  for (auto& word : command) {
    if (const auto at = word.find("@STREAM@"); at != std::string::npos) word.replace(at, std::strlen("@STREAM@"), stream);
  }
  std::vector<char*> arguments;
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  Say("tests start");
  const pid_t child = fork();
  if (child < 0) {
    SayErrno("fork");
    return 3;
  }
  if (child == 0) {
    setsid();
    setenv("PATH", "/sbin:/bin:/usr/sbin:/usr/bin:/", 1);
    setenv("HOME", "/root", 1);
    setenv("TMPDIR", "/tmp", 1);
    execv(arguments[0], arguments.data());
    std::fprintf(stderr, "%s: %s\n", arguments[0], std::strerror(errno));
    _exit(127);
  }
  // Orphans of the tests come to us as well; only the runner's own end counts.
  int status = 0;
  for (;;) {
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) return 3;
  }
  if (held >= 0) tcdrain(held);
  if (WIFSIGNALED(status)) Say("the runner was killed by signal " + std::to_string(WTERMSIG(status)));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int InitMain() {
  umask(022);
  MakeMounts();
  MakeSettings();
  LoadEagerModules();
  MakeFault();
  const auto command = Split(ReadFile("/etc/netns-command"), '\0');
  if (command.empty()) {
    Say("no command in /etc/netns-command");
    SwitchOff(3);
  }
  SwitchOff(RunTests(command));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 0 ? argv[0] : "";
  if (name.ends_with("modprobe")) return ModprobeMain(argc, argv);
  if (getpid() != 1) {
    std::fprintf(stderr, "netns-guest-init: this is the init of a test machine; it runs as process 1 or as modprobe only\n");
    return 2;
  }
  return InitMain();
}
