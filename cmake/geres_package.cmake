# SPDX-License-Identifier: Apache-2.0
# geres_package(name [FILES a.sh …] [LIBRARIES target …]): a package as a directory, build/examples/<name>/, and as a
# ZIP, build/examples/<name>.zip, made anew when one of its files changes. FILES lie in its root, executable bits kept.
function(geres_package name)
  cmake_parse_arguments(arg "" "" "FILES;LIBRARIES" ${ARGN})
  set(directory ${CMAKE_BINARY_DIR}/examples/${name})
  set(copies)
  foreach(file ${arg_FILES})
    list(APPEND copies ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  set(made ${copies})
  foreach(library ${arg_LIBRARIES})
    list(APPEND copies $<TARGET_FILE:${library}>)
    list(APPEND made ${library})
  endforeach()
  add_custom_command(OUTPUT ${directory}.zip
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${directory}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${directory}
    COMMAND ${CMAKE_COMMAND} -E copy ${copies} ${directory}
    COMMAND geres-pack ${directory} ${directory}.zip
    DEPENDS ${made} geres-pack
    COMMENT "Packing ${name}" VERBATIM)
  add_custom_target(${name} ALL DEPENDS ${directory}.zip)
endfunction()
