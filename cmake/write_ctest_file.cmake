# SPDX-License-Identifier: GPL-2.0-or-later
# Called by netns_discover_tests when the program has been built: PROGRAM, LIST, OUTPUT, VM_STREAM, REPORT.
execute_process(COMMAND "${PROGRAM}" --list=json OUTPUT_FILE "${LIST}" RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} --list=json ended with ${status}")
endif()
file(READ "${LIST}" json)
# One pass over the text: string(JSON) on an array of many hundreds of objects is quadratic.
string(REGEX MATCHALL "\"covers\": \\[[^]]*\\][^}]*\"name\": \"[^\"]+\"" entries "${json}")
set(text "")
foreach(entry IN LISTS entries)
  string(REGEX MATCH "\"name\": \"([^\"]+)\"" ignored "${entry}")
  set(name "${CMAKE_MATCH_1}")
  string(REGEX MATCH "\"covers\": \\[([^]]*)\\]" ignored "${entry}")
  string(REGEX MATCHALL "[A-Z]+-[0-9]+" covers "${CMAKE_MATCH_1}")
  set(areas "${covers}")
  list(TRANSFORM areas REPLACE "-[0-9]+$" "")
  list(REMOVE_DUPLICATES areas)
  # GoogleTest's exit statuses and texts are not asked: 4 is our own for "could not run here".
  string(APPEND text
    "add_test([==[host.${name}]==] [==[${PROGRAM}]==] [==[--gtest_filter=${name}]==] --ctest)\n"
    "set_tests_properties([==[host.${name}]==] PROPERTIES LABELS [==[host;${areas};${covers}]==] TIMEOUT 300 SKIP_RETURN_CODE 4)\n"
    "add_test([==[vm.${name}]==] [==[${REPORT}]==] verdict [==[${VM_STREAM}]==] [==[${name}]==])\n"
    "set_tests_properties([==[vm.${name}]==] PROPERTIES LABELS [==[vm;${areas};${covers}]==] TIMEOUT 60 SKIP_RETURN_CODE 4 FIXTURES_REQUIRED netns_vm)\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}")
