# SPDX-License-Identifier: GPL-2.0-or-later

# netns_add_requirements(TARGET YAML)
#
# Makes TARGET, a static library of the catalogue YAML as C++: #include "requirements.gen.h" gives netns::kRequirementIds,
# netns::IsRequirement() (constexpr), netns::FindRequirement(). It is made anew when the catalogue changes.
function(netns_add_requirements target yaml)
  get_filename_component(yaml "${yaml}" ABSOLUTE)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/${target}")
  add_custom_command(
    OUTPUT "${out}/requirements.gen.h" "${out}/requirements.gen.cc"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${out}"
    COMMAND netns-embed-requirements "${yaml}" "${out}/requirements.gen.h" "${out}/requirements.gen.cc"
    DEPENDS netns-embed-requirements "${yaml}"
    COMMENT "Making C++ of ${yaml}"
    VERBATIM)
  add_library(${target} STATIC "${out}/requirements.gen.cc" "${out}/requirements.gen.h")
  target_include_directories(${target} PUBLIC "${out}")
  target_compile_features(${target} PUBLIC cxx_std_20)
endfunction()
