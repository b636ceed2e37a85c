# SPDX-License-Identifier: GPL-2.0-or-later
# netns_discover_tests(TARGET): one ctest test per conformance test, on the host and in the VM.
#
# Not gtest_discover_tests: that adds a text match on "[  SKIPPED ]", which turns a failing test that prints it into a
# skipped one, and knows no labels per test. The list is made when the program is built, read when ctest runs.
function(netns_discover_tests target)
  set(include "${CMAKE_CURRENT_BINARY_DIR}/${target}-ctest.cmake")
  set(list "${CMAKE_CURRENT_BINARY_DIR}/${target}-list.json")
  add_custom_command(
    TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -D "PROGRAM=$<TARGET_FILE:${target}>" -D "LIST=${list}" -D "OUTPUT=${include}"
            -D "VM_STREAM=${PROJECT_BINARY_DIR}/vm-results/events.jsonl"
            -D "REPORT=$<TARGET_FILE:netns-report>"
            -P "${PROJECT_SOURCE_DIR}/cmake/write_ctest_file.cmake"
    BYPRODUCTS "${include}" "${list}"
    COMMENT "Listing the conformance tests"
    VERBATIM)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include}")
endfunction()
