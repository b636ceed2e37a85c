// SPDX-License-Identifier: GPL-2.0-or-later
// Processes of a benchmark, which end with it.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <functional>
#include <vector>

#include "benchmarks/bench.h"
#include "harness/fd.h"

namespace netns::bench {

/// Memory that forked processes share with the benchmark.
template <class T>
class Shared {
 public:
  explicit Shared(std::size_t count)
      : bytes_(count * sizeof(T)),
        data_(static_cast<T*>(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    if (data_ == MAP_FAILED) Fail(ErrnoError("mmap"));
  }
  ~Shared() { ::munmap(data_, bytes_); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* get() { return data_; }
  T& operator[](std::size_t index) { return data_[index]; }

 private:
  std::size_t bytes_;
  T* data_;
};

/// Processes that live until they are let go.
class Family {
 public:
  Family();
  ~Family() { End(); }
  /// Forks; the child runs `body` and then stays until End(). `flags`: CLONE_NEW*. Returns once it exists.
  void Start(const std::function<void()>& body, unsigned long flags = 0);
  /// In a body, and in the starter: waits until all are told to go. Started before, they begin at the same moment.
  void WaitForStart() const;
  void SignalStart() { begin_.second.Reset(); }
  /// Waits until `count` bodies are done, by their own report; a body that failed sends its errno, which is thrown.
  void WaitUntilDone(int count);
  void End();

 private:
  std::vector<pid_t> children_;
  std::pair<Fd, Fd> begin_, done_, stay_;
};

/// fork, `body` in the child, exit with what it returns (0: fine), wait. Throws where it is not 0: taken for an errno.
void InChild(const std::function<int()>& body);

/// Runs a program with standard output thrown away, and waits; throws where its exit status is not 0. `path` is absolute.
void Execute(const std::vector<std::string>& words);
/// The program's path, or "" where it is not installed.
std::string FindProgram(const std::string& name);

}  // namespace netns::bench
