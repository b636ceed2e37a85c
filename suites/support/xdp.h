// SPDX-License-Identifier: GPL-2.0-or-later
// The smallest XDP program, and how a device gets it.
#pragma once

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "fixtures/rtnl.h"
#include "harness/assertions.h"

namespace netns {

/// A program that lets every packet pass.
inline Result<Fd> LoadXdpPass() {
  bpf_insn program[2] = {};
  program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;  // r0 = XDP_PASS
  program[0].imm = XDP_PASS;
  program[1].code = BPF_JMP | BPF_EXIT;
  static const char license[] = "GPL";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.insn_cnt = 2;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program);
  attributes.license = reinterpret_cast<std::uintptr_t>(license);
  Fd fd(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
  if (!fd.valid()) return ErrnoError("bpf(BPF_PROG_LOAD)");
  return fd;
}

/// -1 takes the program away.
inline Status SetXdp(Rtnl& rtnl, const LinkRef& link, int program, std::uint32_t flags = 0) {
  return rtnl.SetLink(link, {.more = [=](Request& request) {
                        request.Nest(IFLA_XDP, [&](Request& xdp) {
                          xdp.S32(IFLA_XDP_FD, program);
                          if (flags != 0) xdp.U32(IFLA_XDP_FLAGS, flags);
                        });
                      }});
}

/// In the driver where it can, else generic.
inline Status AttachXdp(Rtnl& rtnl, const LinkRef& link) {
  ASSIGN_OR_RETURN(Fd program, LoadXdpPass());
  if (SetXdp(rtnl, link, program.get(), XDP_FLAGS_DRV_MODE).ok()) return Ok();
  return SetXdp(rtnl, link, program.get(), XDP_FLAGS_SKB_MODE);
}

}  // namespace netns
